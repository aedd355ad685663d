"""Whether the further metrics that a model asks to watch are still what its holdout gave.

``Watch(losses={"roc_auc": 0.03})``: of each window of outcomes that was judged by accuracy (or mean
error) the chosen metrics are judged, too, by the same rule: an *alert* when the whole interval lies
on the worse side of the baseline less the loss that is allowed, and outside the baseline's own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from timonel.monitoring.performance import measure
from timonel.monitoring.performance_check import (
    BY_ARRIVAL,
    BY_PREDICTION,
    PERFORMANCE,
    SINCE_DEPLOY,
    Baseline,
)
from timonel.monitoring.series.measured import Measure
from timonel.monitoring.series.month import first_hour
from timonel.monitoring.verdicts import (
    Verdict,
    VerdictState,
    read_verdicts,
    write_verdicts,
)
from timonel.monitoring.watched import CheckResult, Watched
from timonel.registry.catalogue import ModelVersion
from timonel.signals import Condition, Kind, Severity
from timonel.store.engine import reading
from timonel.store.reads_windows import HOUR_US

METRIC_LOSS = "metric_loss"
_GREATER_IS_BETTER = ("roc_auc", "macro_f1")
_SILENT = (VerdictState.NOT_ENOUGH, VerdictState.UNKNOWN)


def check_metrics(watched: Watched) -> CheckResult:
    """Judge the chosen metrics in the windows that were judged since; tell of losses and ends."""
    version = watched.champion
    closed_h = watched.month.closed_hour()
    if closed_h is None:
        return CheckResult(METRIC_LOSS, watched.model, "unknown", "no_live_drainer")
    if version is None:
        return CheckResult(METRIC_LOSS, watched.model, "unknown", "no_version")
    look = _Look(watched, version, closed_h)
    look.clear_others()
    if not watched.plan.losses:
        return CheckResult(METRIC_LOSS, watched.model, "idle")
    found = look.verdicts()
    if not found:
        return CheckResult(METRIC_LOSS, watched.model, "idle")
    with watched.engine.begin() as connection:
        write_verdicts(connection, watched.project, found)
    states = [look.tell(metric) for metric in sorted(watched.plan.losses)]
    return CheckResult(METRIC_LOSS, watched.model, max(states, key=_badness), "", len(found))


def baseline_of(one: Measure, allowed: float) -> Baseline | None:
    """Give what a metric is held against; None where its holdout gave no figure.

    Parameters
    ----------
    allowed : float
        Of ROC AUC and macro F1 the points that may be lost, of others the relative rise.
    """
    held = one.holdout
    if held.value is None:
        return None
    if one.metric in _GREATER_IS_BETTER:
        lost = held.value - allowed
        limit = min(lost, lost if held.low is None else held.low)
        return Baseline(one.metric, held.value, limit, allowed, greater_is_better=True)
    risen = held.value * (1 + allowed)
    limit = max(risen, risen if held.high is None else held.high)
    return Baseline(one.metric, held.value, limit, allowed * held.value, greater_is_better=False)


@dataclass(slots=True)
class _Look:
    """One look at the windows of a version's outcomes."""

    watched: Watched
    version: ModelVersion
    closed_h: int
    known: list[Verdict] = field(default_factory=list)  # of this monitor, what is new among them

    def verdicts(self) -> list[Verdict]:
        """Judge each window whose outcomes were judged after it was."""
        since_us = first_hour(self.closed_h) * HOUR_US
        with reading(self.watched.engine) as connection:
            judged, self.known = (
                read_verdicts(
                    connection,
                    self.watched.project,
                    self.watched.model,
                    monitor,
                    since_us=since_us,
                    versions=[self.version.version],
                )
                for monitor in (PERFORMANCE, METRIC_LOSS)
            )
        done = {(v.subject, v.start_us, v.end_us): v.judged_at for v in self.known}
        found = []
        for window in judged:
            view = window.subject.rpartition(":")[2]
            due = [
                metric
                for metric in sorted(self.watched.plan.losses)
                if done.get((f"{metric}:{view}", window.start_us, window.end_us), -1)
                < window.judged_at
            ]
            if due and window.state is not VerdictState.NOT_ENOUGH:
                found += self._judge(window, view, due)
        fresh = {(v.subject, v.start_us, v.end_us) for v in found}
        self.known = found + [
            v for v in self.known if (v.subject, v.start_us, v.end_us) not in fresh
        ]
        return found

    def _judge(self, window: Verdict, view: str, metrics: Iterable[str]) -> list[Verdict]:
        watched = self.watched
        measured = measure(
            watched.engine,
            watched.project,
            watched.model,
            watched.task,
            since_us=window.start_us,
            until_us=window.end_us,
            n_needed=watched.plan.min_labels,
            by_arrival=view == BY_ARRIVAL,
        )
        own = {
            one.metric: one
            for group in measured.groups
            if (group.version, group.source) == (self.version.version, "model")
            for one in group.measures
            if one.label is None
        }
        return [self._verdict(window, view, own[metric]) for metric in metrics if metric in own]

    def _verdict(self, window: Verdict, view: str, one: Measure) -> Verdict:
        baseline = baseline_of(one, self.watched.plan.losses[one.metric])
        state, reason = self._state(one, baseline)
        facts = {"metric": one.metric, "by": view}
        figures: dict[str, float] = {}
        if baseline is not None:
            figures = {"baseline": baseline.value, "limit": baseline.limit}
            figures["threshold"] = baseline.allowed
        interval = one.interval
        if interval is not None:
            figures |= {"value": interval.estimate, "lower": interval.low, "upper": interval.high}
        return Verdict(
            model=self.watched.model,
            version=self.version.version,
            monitor=METRIC_LOSS,
            subject=f"{one.metric}:{view}",
            start_us=window.start_us,
            end_us=window.end_us,
            state=state,
            n=one.n,
            statistic=None if interval is None else interval.estimate,
            effect=None
            if interval is None or baseline is None
            else interval.estimate - baseline.value,
            facts={**facts, **figures, **({"reason": reason} if reason else {})},
            judged_at=self.watched.now_us,
        )

    def _state(self, one: Measure, baseline: Baseline | None) -> tuple[VerdictState, str]:
        needed, interval = self.watched.plan.min_labels, one.interval
        if one.n < needed:
            return VerdictState.NOT_ENOUGH, f"not enough: {one.n} of {needed}"
        if interval is None:
            return VerdictState.UNKNOWN, one.unknown or ""
        if baseline is None:
            return VerdictState.UNKNOWN, f"baseline: {one.holdout.unknown}"
        if baseline.worse(interval.high if baseline.greater_is_better else interval.low):
            return VerdictState.ALERT, ""
        worse = baseline.worse(interval.estimate)
        return (VerdictState.WARNING if worse else VerdictState.OK), ""

    # -- signals

    def tell(self, metric: str) -> str:
        """Raise a loss of a metric, or clear one that is over."""
        latest = self._latest(metric, (BY_PREDICTION, BY_ARRIVAL))
        latest = latest or self._latest(metric, (SINCE_DEPLOY,))
        alerts = [verdict for verdict in latest if verdict.state is VerdictState.ALERT]
        if alerts:
            self._raise(metric, Condition.HOLDS, max(alerts, key=lambda v: (v.end_us, v.n)))
        elif latest and all(verdict.state is VerdictState.OK for verdict in latest):
            self._raise(metric, Condition.CLEAR, max(latest, key=lambda v: (v.end_us, v.n)))
        return str(max(latest, key=lambda v: _badness(str(v.state))).state) if latest else "unknown"

    def _latest(self, metric: str, views: Iterable[str]) -> list[Verdict]:
        """Give the newest window of each look that could be judged."""
        found = []
        for view in views:
            subject = f"{metric}:{view}"
            told = [v for v in self.known if v.subject == subject and v.state not in _SILENT]
            found += [max(told, key=lambda v: (v.start_us, v.end_us))] if told else []
        return found

    def _raise(self, metric: str, condition: Condition, verdict: Verdict) -> None:
        names = ("metric", "value", "lower", "upper", "baseline", "threshold", "by")
        self.watched.tell(
            Kind.PERFORMANCE_DEGRADATION,
            condition,
            Severity.HIGH,
            at=self.closed_h * HOUR_US,
            monitor=METRIC_LOSS,
            version=self.version.version,
            column=metric,
            facts={
                **{name: verdict.facts.get(name) for name in names},
                "n": verdict.n,
                "window_start": verdict.start_us,
                "window_end": verdict.end_us,
            },
        )

    def clear_others(self) -> None:
        """Clear the alerts of versions out of production, and of metrics no longer asked for."""
        watched, at = self.watched, self.closed_h * HOUR_US
        alerted = watched.ever_alerted([METRIC_LOSS], at)
        gone = {(version, subject.partition(":")[0]) for version, _, subject in alerted}
        for version, metric in sorted(gone):
            if version == self.version.version and metric in watched.plan.losses:
                continue
            watched.supersede(
                Kind.PERFORMANCE_DEGRADATION,
                Severity.HIGH,
                at=at,
                monitor=METRIC_LOSS,
                version=version,
                column=metric,
                facts={"metric": metric},
            )


def _badness(state: str) -> int:
    return ["unknown", "ok", "warning", "alert"].index(state)
