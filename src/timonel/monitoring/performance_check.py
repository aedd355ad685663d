"""Whether a version still answers as well as it did on its own holdout, by the truths that came.

Three looks at the same labels: by the time of the prediction (judged again while late truths
come), by the time the truth arrived (the first to tell), and since the last deploy (where traffic
is thin). A loss is an *alert* when even the upper limit of the interval lies below the baseline
less the loss that is allowed, and outside the baseline's own interval; only for the worse.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from timonel.monitoring.performance import metric_of, quality
from timonel.monitoring.series.month import first_hour
from timonel.monitoring.verdicts import (
    JudgedWindows,
    Verdict,
    VerdictState,
    read_judged,
    read_verdicts,
    write_verdicts,
)
from timonel.monitoring.watched import CheckResult, Watched
from timonel.monitoring.windows import HOUR_US, HourlyCounts, Window, due
from timonel.registry.catalogue import ModelVersion
from timonel.signals import Condition, Kind, Severity
from timonel.stats.intervals import Interval
from timonel.store.engine import reading
from timonel.store.reads_series import (
    LabelledHours,
    read_label_sums,
    read_label_values,
)
from timonel.store.reads_windows import Cell

PERFORMANCE = "performance"
BY_PREDICTION, BY_ARRIVAL, SINCE_DEPLOY = "prediction", "arrival", "since_deploy"
_ENOUGH_FOLD = 2.5  # windows are expected to hold so many times the labels that are needed


class _Sum(msgspec.Struct):
    """Of a verdict's facts the sum of the labels that it saw."""

    sum: float | None = None


_kept_sum = lru_cache(4096)(msgspec.json.Decoder(_Sum).decode)  # each run reads the same texts


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a version reached on its holdout, and from where on it is worse.

    Parameters
    ----------
    value : float
    limit : float
        A window whose whole interval lies on the worse side of it is an alert.
    allowed : float
        The loss that is allowed.
    """

    metric: str
    value: float
    limit: float
    allowed: float
    greater_is_better: bool

    def worse(self, value: float) -> bool:
        """Say whether a figure is on the worse side of the limit."""
        return value < self.limit if self.greater_is_better else value > self.limit


def baseline_of(version: ModelVersion, watched: Watched) -> Baseline | None:
    """Give a version's baseline; None where its holdout gave no figure."""
    main = version.metrics.get("main") or {}
    value, plan = main.get("value"), watched.plan
    if value is None:
        return None
    metric = metric_of(watched.task)[0]
    if watched.task == "regression":
        limit = max(value * (1 + plan.error_rise), main.get("upper") or value)
        return Baseline(metric, value, limit, plan.error_rise * value, greater_is_better=False)
    limit = min(value - plan.accuracy_loss, main.get("lower") or value)
    return Baseline(metric, value, limit, plan.accuracy_loss, greater_is_better=True)


def check_performance(watched: Watched) -> CheckResult:
    """Judge what labels have come since; tell of a loss, and of its end."""
    version = watched.champion
    closed_h = watched.month.closed_hour()
    if closed_h is None:
        return CheckResult(PERFORMANCE, watched.model, "unknown", "no_live_drainer")
    if version is None:
        return CheckResult(PERFORMANCE, watched.model, "unknown", "no_version")
    baseline = baseline_of(version, watched)
    if baseline is None:
        return CheckResult(PERFORMANCE, watched.model, "unknown", "no_baseline")
    look = _Look(watched, version, baseline, closed_h)
    found = look.verdicts()
    look.clear_others()
    if not found:
        known = look.has_labels()
        return CheckResult(
            PERFORMANCE, watched.model, *(("idle", "") if known else ("unknown", "no_labels"))
        )
    with watched.engine.begin() as connection:
        write_verdicts(connection, watched.project, found)
    state = look.tell()
    return CheckResult(PERFORMANCE, watched.model, state, "", len(found))


class _Look:
    """One look at a version's labels."""

    def __init__(
        self, watched: Watched, version: ModelVersion, baseline: Baseline, closed_h: int
    ) -> None:
        self._watched = watched
        self._version = version
        self._baseline = baseline
        self._closed_h = closed_h
        self._since_h = first_hour(closed_h)
        self._kept = metric_of(watched.task)[1]
        self._hours = {
            view: watched.month.labels(version.version, self._kept, by_arrival=view == BY_ARRIVAL)
            for view in (BY_PREDICTION, BY_ARRIVAL)
        }

    def has_labels(self) -> bool:
        """Say whether any label came for this version."""
        return len(self._hours[BY_PREDICTION].hour) > 0

    def verdicts(self) -> list[Verdict]:
        """Judge what is due in each of the three looks."""
        found = []
        for view, hours in self._hours.items():
            found += [self._judge(view, window) for window in self._due(view, hours)]
        if not found:
            return []
        start_h = max(self._deployed_h(), 0)
        found.append(self._judge(SINCE_DEPLOY, Window(start_h, self._closed_h, 0)))
        return self._of_one_class(found)

    def _of_one_class(self, found: list[Verdict]) -> list[Verdict]:
        """Say nothing where all truths are of one class: their accuracy is that class's recall."""
        hours = self._hours[BY_PREDICTION]
        labelled = hours.hour[hours.n > 0]
        if self._watched.task == "regression" or not len(labelled):
            return found
        until_us = (int(labelled[-1]) + 1) * HOUR_US
        with reading(self._watched.engine) as connection:
            values = read_label_values(
                connection, self._watched.project, self._watched.model, until_us
            )
        if len(values) != 1:
            return found
        reason = f"labels of one class only: {values[0]}"
        return [
            replace(v, state=VerdictState.UNKNOWN, facts={**v.facts, "reason": reason})
            if v.state is not VerdictState.NOT_ENOUGH
            else v
            for v in found
        ]

    def _deployed_h(self) -> int:
        return (self._version.deployed_at or self._version.created_at) // HOUR_US

    def _due(self, view: str, hours: LabelledHours) -> list[Window]:
        past = self._past(view)
        spans = past.hours()
        counts = HourlyCounts(hours.hour, hours.n)
        needed = self._watched.plan.min_labels
        windows = due(
            counts,
            spans,
            self._closed_h,
            window_h=None,
            # who asks for windows of a length gets the shortest that holds enough labels
            wanted=needed if self._watched.plan.window_h else round(needed * _ENOUGH_FOLD),
        )
        listed = {window.start_h for window in windows}
        # a revised truth changes the sum and leaves the number as it was
        kept = np.array([_kept_sum(text).sum for text in past.texts], np.float64)
        _, totals = hours.within_each(spans.start_h, spans.end_h)
        for at in np.flatnonzero(np.abs(totals - kept) > 0.5).tolist():
            start_h, end_h, n = (int(column[at]) for column in spans)
            if start_h not in listed:
                windows.append(Window(start_h, end_h, n, revised=True))
        return windows

    def _past(self, view: str) -> JudgedWindows:
        with reading(self._watched.engine) as connection:
            return read_judged(
                connection,
                self._watched.project,
                self._watched.model,
                PERFORMANCE,
                since_us=self._since_h * HOUR_US,
                versions=[self._version.version],
                subject=self._subject(view),
                facts=True,
            )

    def _subject(self, view: str) -> str:
        return f"{self._baseline.metric}:{view}"

    def _judge(self, view: str, window: Window) -> Verdict:
        watched = self._watched
        with reading(watched.engine) as connection:
            n, total, squares = read_label_sums(
                connection,
                watched.project,
                watched.model,
                self._version.version,
                self._kept,
                window.start_h,
                window.end_h,
                by_arrival=view == BY_ARRIVAL,
            )
        cell = Cell(self._version.version, "model", self._kept, window.start_h, n, total, squares)
        needed = watched.plan.min_labels
        measured = quality([cell], watched.task, n_answered=n, n_needed=needed)
        state, reason = self._state(measured.interval, n, needed)
        facts: dict[str, Any] = {
            "metric": self._baseline.metric,
            "baseline": self._baseline.value,
            "limit": self._baseline.limit,
            "threshold": self._baseline.allowed,
            "by": view,
            "sum": float(total),
            "revised": window.revised,
        }
        if reason:
            facts["reason"] = reason
        interval = measured.interval
        if interval is not None:
            facts |= {"value": interval.estimate, "lower": interval.low, "upper": interval.high}
        return Verdict(
            model=watched.model,
            version=self._version.version,
            monitor=PERFORMANCE,
            subject=self._subject(view),
            start_us=window.start_us,
            end_us=window.end_us,
            state=state,
            n=n,
            statistic=None if interval is None else interval.estimate,
            effect=None if interval is None else interval.estimate - self._baseline.value,
            facts=facts,
            judged_at=watched.now_us,
        )

    def _state(self, interval: Interval | None, n: int, needed: int) -> tuple[VerdictState, str]:
        if interval is None or n < needed:
            return VerdictState.NOT_ENOUGH, f"not enough: {n} of {needed}"
        best = interval.high if self._baseline.greater_is_better else interval.low
        if self._baseline.worse(best):
            return VerdictState.ALERT, ""
        worse = self._baseline.worse(interval.estimate)
        return (VerdictState.WARNING if worse else VerdictState.OK), ""

    # -- signals

    def tell(self) -> str:
        """Raise a loss, or clear one that is over."""
        latest = [verdict for view in (BY_PREDICTION, BY_ARRIVAL) for verdict in self._latest(view)]
        latest = latest or self._latest(SINCE_DEPLOY)
        alerts = [verdict for verdict in latest if verdict.state is VerdictState.ALERT]
        if alerts:
            self._raise(Condition.HOLDS, max(alerts, key=lambda v: (v.end_us, v.n)))
        elif latest and all(verdict.state is VerdictState.OK for verdict in latest):
            self._raise(Condition.CLEAR, max(latest, key=lambda v: (v.end_us, v.n)))
        if not latest:
            return "not_enough"
        return "alert" if alerts else str(max(latest, key=lambda v: v.end_us).state)

    def _latest(self, view: str) -> list[Verdict]:
        """Give the newest window of a look that holds enough labels."""
        with reading(self._watched.engine) as connection:
            newest = read_verdicts(
                connection,
                self._watched.project,
                self._watched.model,
                PERFORMANCE,
                since_us=self._since_h * HOUR_US,
                versions=[self._version.version],
                subject=self._subject(view),
                without=[VerdictState.NOT_ENOUGH],
                limit=1,
            )
        return [verdict for verdict in newest if verdict.state is not VerdictState.UNKNOWN]

    def _raise(self, condition: Condition, verdict: Verdict) -> None:
        facts = {
            name: verdict.facts.get(name)
            for name in ("metric", "value", "lower", "upper", "baseline", "threshold", "by")
        }
        self._watched.tell(
            Kind.PERFORMANCE_DEGRADATION,
            condition,
            Severity.HIGH,
            at=self._closed_h * HOUR_US,
            monitor=PERFORMANCE,
            version=self._version.version,
            column=self._baseline.metric,
            facts={
                **facts,
                "n": verdict.n,
                "window_start": verdict.start_us,
                "window_end": verdict.end_us,
            },
        )

    def clear_others(self) -> None:
        """Clear the alerts of versions that are no longer in production."""
        at = self._closed_h * HOUR_US
        alerted = {version for version, _, _ in self._watched.ever_alerted([PERFORMANCE], at)}
        for version in sorted(alerted - {self._version.version}):
            self._watched.supersede(
                Kind.PERFORMANCE_DEGRADATION,
                Severity.HIGH,
                at=at,
                monitor=PERFORMANCE,
                version=version,
                column=self._baseline.metric,
                facts={"metric": self._baseline.metric},
            )
