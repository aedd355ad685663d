"""What monitoring said of the champion's performance, as far as retraining needs it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Engine, select

from timonel.registry.catalogue import ModelVersion
from timonel.store.engine import reading
from timonel.store.tables_loop import verdicts

PERFORMANCE = "performance"
ALERT, OK = "alert", "ok"
_SILENT = ("not_enough", "unknown")
_VIEWS = ("prediction", "arrival")
_PAGE = 500


class Loss(NamedTuple):
    """A confirmed loss of performance: since when, and the newest window that shows it."""

    since_us: int
    until_us: int
    n: int
    effect: float | None
    subject: str


def confirmed_loss(engine: Engine, project: str, champion: ModelVersion) -> Loss | None:
    """Find the loss that the champion is in now, if it is confirmed.

    It lasts while the newest window that could be judged is an alert: by the time of the answers,
    by the time of the truths, or, where neither holds enough, since the last deploy. It began with
    the first window before it from where on none was well.
    """
    by_view: dict[str, list[Any]] = {}
    for row in _judged(engine, project, champion):
        by_view.setdefault(row.subject.rpartition(":")[2], []).append(row)
    newer = [view for view in _VIEWS if view in by_view]
    for view in newer or [v for v in by_view if v not in _VIEWS]:
        if by_view[view][0].state == ALERT:
            return _run(by_view[view])
    return None


def _judged(engine: Engine, project: str, champion: ModelVersion) -> Sequence[Any]:
    """Read the champion's windows that could be judged, the newest first."""
    row = verdicts.c
    query = (
        select(row.state, row.window_start, row.window_end, row.n, row.effect, row.subject)
        .where(
            row.project == project,
            row.model == champion.model,
            row.version == champion.version,
            row.monitor == PERFORMANCE,
            row.window_end > (champion.deployed_at or 0),
            row.state.not_in(_SILENT),
        )
        .order_by(row.window_start.desc(), row.window_end.desc())
        .limit(_PAGE)
    )
    with reading(engine) as connection:
        return connection.execute(query).all()


def _run(windows: Sequence[Any]) -> Loss:
    newest = windows[0]
    since = newest.window_start
    for window in windows:
        if window.state == OK:
            break
        since = window.window_start
    return Loss(since, newest.window_end, newest.n, newest.effect, newest.subject)


def loss_onset(engine: Engine, project: str, champion: ModelVersion) -> int | None:
    """Give when the confirmed loss began, event time; None where there is none."""
    loss = confirmed_loss(engine, project, champion)
    return None if loss is None else loss.since_us
