"""Whether more rows stand out than ordinary ones do; where a model asks for it.

The drain looked at each row and counted those that stand out (`timonel.stats.multivariate`); here
their share of a window is judged, as of refused rows: an alert needs the whole 95 % interval
beyond what is allowed, and two such windows (the alert's own life cycle sees to that).
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from timonel.monitoring.drift.telling import WindowRows
from timonel.monitoring.verdicts import Verdict, VerdictState
from timonel.monitoring.watched import Watched
from timonel.signals import Condition, Kind, Severity
from timonel.stats.drift import FEWEST_ROWS
from timonel.stats.intervals import wilson
from timonel.stats.multivariate.row_outliers import Limits, outliers_add
from timonel.store.reads_series import Counted

MONITOR = "outliers"
HYSTERESIS = 0.8
_MOST_NAMED = 5
_CONDITIONS = {
    VerdictState.ALERT: Condition.HOLDS,
    VerdictState.OK: Condition.CLEAR,
}


class _Looked(msgspec.Struct):
    """The part of a window's counts that says how many rows stand out."""

    outliers: dict[str, Any] | None = None


_looked = msgspec.json.Decoder(_Looked).decode


def judge_outliers(watched: Watched, read: WindowRows, clustering: float) -> Verdict | None:
    """Judge the rows of a window that stand out; None where nobody asks for it."""
    if watched.plan.outliers is None:
        return None
    counts = counted_outliers(read.rows)
    limits = watched.limits_of(read.version)
    state, facts = judge_share(counts, limits, watched.plan.outliers, clustering)
    return Verdict(
        model=watched.model,
        version=read.version,
        monitor=MONITOR,
        subject="",
        start_us=read.window.start_us,
        end_us=read.window.end_us,
        state=state,
        n=counts["n"],
        statistic=facts.get("rate"),
        facts=facts,
        judged_at=watched.now_us,
    )


def counted_outliers(rows: Sequence[Counted]) -> dict[str, Any]:
    """Add up what was counted of a window's rows, whoever answered them."""
    total: dict[str, Any] = {"n": 0, "outliers": 0, "alone": 0, "by": {}}
    for row in rows:
        looked = _looked(row.counts).outliers
        if looked is not None:
            total = outliers_add(total, looked)
    return total


def judge_share(
    counts: dict[str, Any], limits: Limits | None, allowed: float, clustering: float = 1.0
) -> tuple[VerdictState, dict[str, Any]]:
    """Judge how many of a window's rows stand out.

    Parameters
    ----------
    counts : dict
        As of `counted_outliers`.
    limits : Limits or None
        Of the version: how many ordinary rows stood out, and of how many.
    allowed : float
        The share that is allowed. Where the ordinary share is known too roughly (few rows were
        held back), the upper end of its 95 % interval is.
    clustering : float
        How many rows of its own unit a row meets: so many count as one.

    Returns
    -------
    pair of VerdictState and dict
        Facts: ``rate``, ``lower``, ``upper``, ``usual``, ``threshold``, ``n_outliers``,
        ``alone``, ``columns``; or a ``reason``.
    """
    n, n_outliers = counts["n"], counts["outliers"]
    if limits is None or not n:
        return VerdictState.UNKNOWN, {"reason": "no_row_reference"}
    units = int(n / clustering)
    if units < FEWEST_ROWS:
        return VerdictState.NOT_ENOUGH, {"reason": f"not enough: {units} of {FEWEST_ROWS}"}
    threshold = max(allowed, wilson(limits.n_outliers, limits.n).high)
    found = wilson(min(units, round(n_outliers / clustering)), units)
    named = Counter(counts["by"]).most_common(_MOST_NAMED)
    facts: dict[str, Any] = {
        "n": n,
        "n_outliers": n_outliers,
        "rate": n_outliers / n,
        "lower": found.low,
        "upper": found.high,
        "usual": limits.n_outliers / limits.n,
        "threshold": threshold,
        "alone": counts["alone"],
        "columns": dict(sorted(named, key=lambda item: (-item[1], item[0]))),
    }
    if found.low > threshold:
        return VerdictState.ALERT, facts
    calm = n_outliers / n <= HYSTERESIS * threshold
    return VerdictState.OK if calm else VerdictState.WARNING, facts


def tell_outliers(watched: Watched, verdict: Verdict | None) -> None:
    """Raise what was found of the newest window."""
    if verdict is None:
        return
    watched.tell(
        Kind.DATA_QUALITY,
        _CONDITIONS.get(verdict.state, Condition.UNKNOWN),
        Severity.MEDIUM,
        at=verdict.end_us,
        monitor=MONITOR,
        facts=verdict.facts,
    )
