"""What columns do together: to the rows (``--multivariate``), and to the performance."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from timonel.cli.output import decimal, say, text

if TYPE_CHECKING:
    from timonel.monitoring.drift.together import Together
    from timonel.monitoring.verdicts import Verdict

_MOST_COLUMNS = 5


def tell(found: "Together") -> None:
    """Print it."""
    if found.found is None:
        say("together_unknown", reason=found.reason)
        return
    figures = found.found
    say(
        "together",
        auc=decimal(figures.auc, ".3f"),
        lower=decimal(figures.lower, ".3f"),
        upper=decimal(figures.upper, ".3f"),
        p=decimal(figures.p_value, ".2g"),
        n=figures.n,
        n_reference=figures.n_reference,
        state=text(f"together_{found.state}"),
    )
    if figures.found and figures.columns:
        by = [f"{one.column} {decimal(one.auc_drop, '.2g')}" for one in figures.columns]
        say("together_columns", columns=", ".join(by[:_MOST_COLUMNS]))
    if not found.as_trained:
        say("together_other_source")


def tell_parts(explained: Sequence[dict[str, Any]], measured: "Verdict | None") -> None:
    """Say what the mix of each column that moved accounts for, beside the change of the whole."""
    parts = [(one["column"], one.get("performance")) for one in explained[:_MOST_COLUMNS]]
    said = [f"{column} {_part(part)}" for column, part in parts if part is not None]
    metric = next((part["metric"] for _, part in parts if part and "metric" in part), None)
    if not said or metric is None:
        return
    say("parts", metric=text(f"parts_{metric}"), columns=", ".join(said))
    if measured is not None and measured.effect is not None:
        key = "parts_measured" if measured.monitor == "performance" else "parts_estimated"
        say(key, change=_change(measured.effect, metric), n=measured.n)


def _part(part: dict[str, Any]) -> str:
    if "reason" in part:
        return text(f"parts_{part['reason']}")
    change, lower, upper = (_change(part[k], part["metric"]) for k in ("change", "lower", "upper"))
    return f"{change} [{lower}, {upper}]"


def _change(value: float, metric: str) -> str:
    return decimal(100 * value, "+.1f") if metric == "accuracy" else decimal(value, "+.3g")
