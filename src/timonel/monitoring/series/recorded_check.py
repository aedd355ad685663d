"""Whether the newest minutes of what the project records are unlike the same hours before.

The rule of ``anomaly_check``, on the means of minutes of ten values or more, to both sides: nobody
but the project knows which is bad. The least spread that is believed is a tenth of what is usual,
and what the values' own spread within the minute explains.
"""

from dataclasses import dataclass
from math import sqrt

from sqlalchemy import Engine

from timonel.events.outcomes import complete_until
from timonel.events.recorded.naming import DROPPED, Series
from timonel.monitoring.series.anomaly_check import facts_of, state_of
from timonel.monitoring.series.recorded import (
    KEPT_MIN,
    MINUTE_US,
    MONITOR,
    read_active,
    read_minutes,
)
from timonel.monitoring.verdicts import Verdict, VerdictState, write_verdicts
from timonel.monitoring.watched import CheckResult
from timonel.signals import Condition, Kind, RaiseSignal, Severity, Signal
from timonel.stats.moments import ExactSums
from timonel.stats.series.seasonal import OF_LAST, Anomaly, Baseline, Side, judge
from timonel.store.engine import reading

FEWEST_VALUES = 10
"""Fewer in a minute say nothing of their mean."""
MOST_WATCHED = 200
"""Series that are judged, by name; what is usual of each is read anew once an hour."""
LATE_US = 2_000_000
"""How long values may be in the memory of whoever recorded them, with time to spare."""
_LEAST_SHARE = 0.10
_CENTURY_MIN = 52_560_000
_CONDITIONS = {VerdictState.ALERT: Condition.HOLDS, VerdictState.OK: Condition.CLEAR}


@dataclass(frozen=True, slots=True)
class _Learned:
    """What was usual of a series, as of an hour."""

    hour: int
    baseline: Baseline | None


class RecordedWatch:
    """Knows what is usual of each series, and judges the newest minutes.

    Parameters
    ----------
    engine : Engine
    project : str
    raise_signal : callable
    """

    def __init__(self, engine: Engine, project: str, raise_signal: RaiseSignal) -> None:
        self._engine = engine
        self._project = project
        self._raise = raise_signal
        self._learned: dict[Series, _Learned] = {}
        self._states: dict[Series, VerdictState] = {}
        self._done_until: int | None = None

    def check(self, now_us: int) -> CheckResult:
        """Judge up to a complete minute; a second call within it does nothing."""
        with reading(self._engine) as connection:
            closed = (complete_until(connection, self._project) - LATE_US) // MINUTE_US
            if closed >= _CENTURY_MIN:
                return CheckResult(MONITOR, "", "unknown", "no_live_drainer")
            if closed == self._done_until:
                return CheckResult(MONITOR, "", "idle")
            active = read_active(connection, self._project, closed - OF_LAST, closed)
        alerted = [s for s, state in self._states.items() if state is VerdictState.ALERT]
        watched = sorted({s for s in [*active, *alerted] if s.name != DROPPED})
        verdicts = [self._judged(series, closed, now_us) for series in watched[:MOST_WATCHED]]
        self._keep(dict(zip(watched, verdicts, strict=False)))
        self._done_until = closed
        states = [verdict.state for verdict in verdicts]
        worst = next(
            (s for s in (VerdictState.ALERT, VerdictState.OK) if s in states),
            VerdictState.NOT_ENOUGH,
        )
        left = len(watched) - len(verdicts)
        reason = f"{left} series beyond {MOST_WATCHED} are not judged" if left else ""
        return CheckResult(MONITOR, "", str(worst), reason, len(verdicts))

    def _judged(self, series: Series, closed: int, now_us: int) -> Verdict:
        baseline = self._usual(series, closed)
        with reading(self._engine) as connection:
            minutes = read_minutes(connection, self._project, series, closed - OF_LAST, closed)
        newest = []
        for minute, sums in sorted(minutes.items()):
            usual = None if baseline is None else baseline.at(minute)
            if usual is not None and sums.n >= FEWEST_VALUES:
                newest.append((minute, _mean(sums), _floor(usual.centre, sums)))
        anomaly = Anomaly(0, 0) if baseline is None else judge(baseline, newest, Side.BOTH)
        return _verdict(series, closed, anomaly, now_us)

    def _usual(self, series: Series, closed: int) -> Baseline | None:
        hour = closed // 60
        known = self._learned.get(series)
        if known is None or known.hour != hour:
            until = hour * 60 - OF_LAST
            with reading(self._engine) as connection:
                past = read_minutes(connection, self._project, series, until - KEPT_MIN, until)
            means = {m: _mean(sums) for m, sums in past.items() if sums.n >= FEWEST_VALUES}
            baseline = Baseline.of(means) if means else None
            known = self._learned[series] = _Learned(hour, baseline)
        return known.baseline

    def _keep(self, found: dict[Series, Verdict]) -> None:
        """Store what is an alert or has changed, and tell it all."""
        changed = [
            verdict
            for series, verdict in found.items()
            if verdict.state is VerdictState.ALERT or self._states.get(series) != verdict.state
        ]
        if changed:
            with self._engine.begin() as connection:
                write_verdicts(connection, self._project, changed)
        for series, verdict in found.items():
            self._states[series] = verdict.state
            self._raise(
                Signal(
                    kind=Kind.METRIC_ANOMALY,
                    condition=_CONDITIONS.get(verdict.state, Condition.UNKNOWN),
                    severity=Severity.MEDIUM,
                    monitor=MONITOR,
                    column=series.subject,
                    at=verdict.end_us,
                    facts={**verdict.facts, "verdict": "alert"},
                )
            )


def _mean(sums: ExactSums) -> float:
    moments = sums.moments()
    assert moments is not None  # noqa: S101 - a stored minute has values
    return moments.mean


def _floor(centre: float, sums: ExactSums) -> float:
    moments = sums.moments()
    variance = None if moments is None else moments.variance
    chance = 0.0 if variance is None else sqrt(variance / sums.n)
    return max(_LEAST_SHARE * abs(centre), chance)


def _verdict(series: Series, closed: int, anomaly: Anomaly, now_us: int) -> Verdict:
    value, usual = anomaly.value, anomaly.usual
    return Verdict(
        model="",
        version="",
        monitor=MONITOR,
        subject=series.subject,
        start_us=(closed - OF_LAST) * MINUTE_US,
        end_us=closed * MINUTE_US,
        state=state_of(anomaly),
        n=anomaly.n_judged,
        statistic=anomaly.z,
        effect=None if value is None or usual is None else value - usual.centre,
        facts={"series": str(series), **facts_of(str(series), anomaly, of="values")},
        judged_at=now_us,
    )
