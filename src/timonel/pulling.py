"""What fetches a model's truths in a process of its own, which is named by this path."""

from pathlib import Path
from typing import Any

_SHOWN = 20


def pull(payload: dict[str, Any]) -> dict[str, Any]:
    """Fetch the truths of a model from the source that it declares; give what became of them.

    Parameters
    ----------
    payload : dict
        ``folder``, ``database`` (its address, with the password) and ``model``.
    """
    from timonel.app import open_app

    app = open_app(Path(payload["folder"]), database_url=payload["database"])
    try:
        report = app.imports.from_source(app.project.model(payload["model"]))
    finally:
        app.engine.dispose()
    return {
        "rows": report.n_rows,
        "rejected": None if report.rejected is None else str(report.rejected),
        "unusual": [{"row": one.row, "reason": one.reason} for one in report.rows[:_SHOWN]],
        **{str(fate): n for fate, n in report.counts.items()},
    }
