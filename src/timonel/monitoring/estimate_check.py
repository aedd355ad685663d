"""What performance a version has before its truths come, estimated from the scores of a window.

The labelled holdout of its training says what such scores were worth; the window's histogram says
which scores came. No estimate sees concept drift: that the same scores come to be worth less is
what ``concept_check`` looks for, once there are truths. Where they contradict the estimates by more
than chance explains, later bands are as wide as the misses were, and say so.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec

from timonel.monitoring.drift_check import MOST_A_RUN
from timonel.monitoring.history import Monitor
from timonel.monitoring.performance_check import Baseline, baseline_of
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
from timonel.stats.calibration.record import MOST_WINDOWS, Miss, Record
from timonel.stats.calibration.reference import Estimator
from timonel.stats.estimation import Estimate, Unestimable
from timonel.stats.profiles.profile import Profile, counts_add
from timonel.stats.profiles.reference import PREDICTION, SCORE
from timonel.store.engine import reading
from timonel.store.reads_series import read_counted

ESTIMATED = "estimated"
FEWEST_ROWS = 200
ANSWERS = (SCORE, PREDICTION)


def check_estimate(watched: Watched) -> CheckResult:
    """Estimate the windows that have closed since; tell of an estimated loss, and of its end."""
    look = _look(watched)
    if isinstance(look, str):
        return CheckResult("estimate", watched.model, "unknown", look)
    found = look.verdicts()
    look.clear_others()
    if not found:
        return CheckResult("estimate", watched.model, "idle")
    with watched.engine.begin() as connection:
        write_verdicts(connection, watched.project, found)
    newest = max(found, key=lambda verdict: verdict.end_us)
    if newest.end_us >= look.past.newest_us:
        look.tell(newest)
    return CheckResult("estimate", watched.model, str(newest.state), "", len(found))


def _look(watched: Watched) -> "_Look | str":
    """Make ready to look, or say why there is nothing to look with."""
    closed_h = watched.month.closed_hour()
    version = watched.champion
    if closed_h is None:
        return "no_live_drainer"
    if version is None:
        return "no_version"
    baseline = baseline_of(version, watched)
    if baseline is None:
        return "no_baseline"
    profile = watched.profile_of(version.version)
    estimator = watched.estimator_of(version.version)
    if profile is None or estimator is None:
        return "no_labelled_reference"
    with reading(watched.engine) as connection:
        past = read_judged(
            connection,
            watched.project,
            watched.model,
            ESTIMATED,
            since_us=first_hour(closed_h) * HOUR_US,
            versions=[version.version],
            subject=baseline.metric,
        )
        compared = read_verdicts(
            connection,
            watched.project,
            watched.model,
            Monitor.CONCEPT_DRIFT,
            since_us=first_hour(closed_h) * HOUR_US,
            versions=[version.version],
            subject=f"{baseline.metric}:window",
            without=(VerdictState.NOT_ENOUGH, VerdictState.UNKNOWN),
            limit=MOST_WINDOWS,
        )
    record = Record.of([Miss(v.effect or 0.0, v.facts.get("se", 0.0)) for v in compared])
    return _Look(watched, version, baseline, closed_h, *profile, estimator, past, record)


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at the answers of the version in production."""

    watched: Watched
    version: ModelVersion
    baseline: Baseline
    closed_h: int
    profile_id: str
    profile: Profile
    estimator: Estimator
    past: JudgedWindows
    record: Record

    @property
    def answers(self) -> Profile:
        """The cells of the answer's own columns, which is all that an estimate reads."""
        columns = self.profile.columns
        return Profile((columns[name].empty() for name in ANSWERS if name in columns), 0)

    def verdicts(self) -> list[Verdict]:
        """Estimate the windows that are due."""
        counted = self.watched.month.counted(first_hour(self.closed_h))
        hours = counted.of(self.profile_id, self.version.version)
        windows = due(
            HourlyCounts(*hours),
            self.past.hours(),
            self.closed_h,
            window_h=self.watched.plan.window_h,
        )
        return [self._judge(window) for window in windows[:MOST_A_RUN]]

    def _judge(self, window: Window) -> Verdict:
        counts: dict[str, Any] = {"n": 0, "cells": {}, "ends": {}}
        with reading(self.watched.engine) as connection:
            rows = read_counted(
                connection, self.watched.project, self.watched.model, window.start_h, window.end_h
            )
        for row in rows:
            if (row.profile_id, row.version) == (self.profile_id, self.version.version):
                counts = counts_add(counts, {"n": row.n, **_of_answers(row.counts)})
        counted = self.answers.with_counts(counts)
        found = self.estimator.estimates(counted)
        claimed = found[self.baseline.metric]
        if self.record.contradicted:
            found = self._contradicted(found)
        main = found[self.baseline.metric]
        state, reason = self._state(main, window.n)
        facts: dict[str, Any] = {
            "metric": self.baseline.metric,
            "baseline": self.baseline.value,
            "limit": self.baseline.limit,
            "threshold": self.baseline.allowed,
            "revised": window.revised,
            "estimates": {name: _document(one) for name, one in found.items()},
            "record": asdict(self.record),
        }
        # what the scores alone promise: truths are held against this
        facts["estimates"][self.baseline.metric]["claimed"] = [claimed.lower, claimed.upper]
        if reason:
            facts["reason"] = reason
        return Verdict(
            model=self.watched.model,
            version=self.version.version,
            monitor=ESTIMATED,
            subject=self.baseline.metric,
            start_us=window.start_us,
            end_us=window.end_us,
            state=state,
            n=window.n,
            statistic=main.value,
            effect=None if main.value is None else main.value - self.baseline.value,
            facts=facts,
            judged_at=self.watched.now_us,
        )

    def _contradicted(self, found: dict[str, Estimate]) -> dict[str, Estimate]:
        """Make the main band as wide as its misses were; of other figures nothing is known."""
        others = {
            name: replace(
                one, value=None, se=None, lower=None, upper=None, reason=Unestimable.CONTRADICTED
            )
            for name, one in found.items()
        }
        main = found[self.baseline.metric]
        if main.value is None or main.se is None:
            return found
        half = self.record.half(main.se)
        upper = main.value + half
        if self.baseline.greater_is_better:
            upper = min(1.0, upper)
        return {
            **others,
            self.baseline.metric: replace(main, lower=max(0.0, main.value - half), upper=upper),
        }

    def _state(self, main: Estimate, n: int) -> tuple[VerdictState, str]:
        if n < FEWEST_ROWS:
            return VerdictState.NOT_ENOUGH, f"not enough: {n} of {FEWEST_ROWS}"
        if main.value is None or main.lower is None or main.upper is None:
            return VerdictState.UNKNOWN, str(main.reason)
        best = main.upper if self.baseline.greater_is_better else main.lower
        if self.baseline.worse(best):
            return VerdictState.ALERT, ""
        if self.record.contradicted:
            return VerdictState.UNKNOWN, str(Unestimable.CONTRADICTED)
        worse = self.baseline.worse(main.value)
        return (VerdictState.WARNING if worse else VerdictState.OK), ""

    # -- signals

    def tell(self, verdict: Verdict) -> None:
        """Raise an estimated loss, or clear one; what cannot be estimated does neither.

        What truths contradict is cleared: they have their own word on the loss.
        """
        condition = {
            VerdictState.ALERT: Condition.HOLDS,
            VerdictState.OK: Condition.CLEAR,
        }.get(verdict.state, Condition.UNKNOWN)
        if verdict.facts.get("reason") == Unestimable.CONTRADICTED:
            condition = Condition.CLEAR
        main = verdict.facts["estimates"][self.baseline.metric]
        self.watched.tell(
            Kind.PERFORMANCE_DEGRADATION,
            condition,
            Severity.MEDIUM,
            at=verdict.end_us,
            monitor=ESTIMATED,
            version=verdict.version,
            column=self.baseline.metric,
            facts={
                "metric": self.baseline.metric,
                "estimated": True,
                "estimate": main["value"],
                "lower": main["lower"],
                "upper": main["upper"],
                "baseline": self.baseline.value,
                "threshold": self.baseline.allowed,
                "n": verdict.n,
                "window_start": verdict.start_us,
                "window_end": verdict.end_us,
            },
        )

    def clear_others(self) -> None:
        """Clear the alerts of versions that are no longer in production."""
        at = self.closed_h * HOUR_US
        for version, _, metric in self.watched.ever_alerted([ESTIMATED], at):
            if version != self.version.version:
                self.watched.supersede(
                    Kind.PERFORMANCE_DEGRADATION,
                    Severity.MEDIUM,
                    at=at,
                    monitor=ESTIMATED,
                    version=version,
                    column=metric,
                    facts={"metric": metric},
                )


def _of_answers(counts: str) -> dict[str, Any]:
    read = msgspec.json.decode(counts)
    return {
        part: {name: found for name, found in read[part].items() if name in ANSWERS}
        for part in ("cells", "ends")
    }


def _document(found: Estimate) -> dict[str, Any]:
    return {
        "value": found.value,
        "lower": found.lower,
        "upper": found.upper,
        "se": found.se,
        "se_reference": found.se_reference,
        "reason": None if found.reason is None else str(found.reason),
    }
