"""Whether the same scores are still worth what they were: concept drift, from the truths.

Two looks, and only a change for the worse is told. *Window*: what truths say of a window of
predictions, against what its own scores promised (``estimate_check``): a loss that the scores do
not explain. *Stream*: a detector of change over the errors in the order their truths came, which
knows of no window; it goes on from where it stood, kept in its last verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import sqrt
from statistics import NormalDist
from typing import Any

import msgspec

from timonel.monitoring.estimate_check import ESTIMATED
from timonel.monitoring.performance import metric_of
from timonel.monitoring.performance_check import Baseline, baseline_of
from timonel.monitoring.series.month import first_hour
from timonel.monitoring.verdicts import (
    JudgedWindow,
    JudgedWindows,
    Verdict,
    VerdictState,
    read_judged,
    read_verdicts,
    write_verdicts,
)
from timonel.monitoring.watched import CheckResult, Watched
from timonel.monitoring.windows import HOUR_US
from timonel.registry.catalogue import ModelVersion
from timonel.signals import Condition, Kind, Severity
from timonel.stats.detectors import Adwin, Ddm, Detector, Eddm, Hddm, Kswin, PageHinkley
from timonel.store.engine import reading
from timonel.store.reads_series import Arrived, read_arrived

CONCEPT = "concept_drift"
WINDOW, STREAM = "window", "stream"
LEVEL = 0.01
PERSISTENCE, PERSISTENCE_OF = 2, 3  # windows that warn, of the last ones
MOST_AN_HOUR = 1_000
"""Labels of one hour of predictions that enter the stream; of more, as many in proportion."""
LARGEST_ERROR = 8.0
"""Regression: errors enter the stream as parts of so many times the holdout's mean error."""

_STEP = 1_000_000


class _Known(msgspec.Struct):
    """Of a verdict's facts what it knew: labels, their sum, and when they were estimated."""

    known: tuple[int, float, int]


_known_of = lru_cache(4096)(msgspec.json.Decoder(_Known).decode)  # each run reads the same texts


def check_concept(watched: Watched) -> CheckResult:
    """Judge what truths have come since, in both looks; tell of a drift, and of its end."""
    version = watched.champion
    closed_h = watched.month.closed_hour()
    if closed_h is None:
        return CheckResult("concept", watched.model, "unknown", "no_live_drainer")
    if version is None:
        return CheckResult("concept", watched.model, "unknown", "no_version")
    baseline = baseline_of(version, watched)
    if baseline is None:
        return CheckResult("concept", watched.model, "unknown", "no_baseline")
    look = _Look(watched, version, baseline, closed_h)
    found = [*look.windows(), *look.stream()]
    look.clear_others()
    if not found:
        return CheckResult("concept", watched.model, "idle")
    with watched.engine.begin() as connection:
        write_verdicts(connection, watched.project, found)
    state = look.tell()
    return CheckResult("concept", watched.model, state, "", len(found))


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at the truths of the version in production."""

    watched: Watched
    version: ModelVersion
    baseline: Baseline
    closed_h: int

    def _past(
        self, monitor: str, subject: str, *, facts: bool, since_us: int | None = None
    ) -> JudgedWindows:
        with reading(self.watched.engine) as connection:
            return read_judged(
                connection,
                self.watched.project,
                self.watched.model,
                monitor,
                since_us=first_hour(self.closed_h) * HOUR_US if since_us is None else since_us,
                versions=[self.version.version],
                subject=subject,
                facts=facts,
            )

    def _newest(self, look: str, without: Sequence[VerdictState] = ()) -> Verdict | None:
        with reading(self.watched.engine) as connection:
            found = read_verdicts(
                connection,
                self.watched.project,
                self.watched.model,
                CONCEPT,
                since_us=first_hour(self.closed_h) * HOUR_US,
                versions=[self.version.version],
                subject=self._subject(look),
                without=without,
                limit=1,
            )
        return found[0] if found else None

    def _subject(self, look: str) -> str:
        return f"{self.baseline.metric}:{look}"

    @property
    def _kept(self) -> str:
        return metric_of(self.watched.task)[1]

    @property
    def _floor(self) -> float:
        """The least loss that counts, in the metric's unit."""
        return (
            min(self.watched.plan.floor, self.baseline.allowed)
            if self._of_classes
            else (self.baseline.allowed / 2.0)
        )

    @property
    def _of_classes(self) -> bool:
        return self.baseline.greater_is_better

    # -- window by window, against what the scores promised

    def windows(self) -> list[Verdict]:
        """Judge the estimated windows whose truths came or changed."""
        estimated = self._past(ESTIMATED, self.baseline.metric, facts=False)
        if not len(estimated):
            return []
        kept = self._past(CONCEPT, self._subject(WINDOW), facts=True)
        hours = self.watched.month.labels(self.version.version, self._kept)
        spans = estimated.hours()
        n, totals = (column.tolist() for column in hours.within_each(spans.start_h, spans.end_h))
        starts, judged_at = estimated.start_us.tolist(), estimated.judged_at.tolist()
        now = dict(zip(starts, zip(n, totals, judged_at, strict=True), strict=True))
        texts = zip(kept.start_us.tolist(), kept.texts, strict=True)
        known = {start: _known_of(text).known for start, text in texts}
        due = [start for start, one in now.items() if one[0] > 0 and known.get(start) != one]
        if not due:
            return []
        states = dict(zip(kept.start_us.tolist(), kept.states, strict=True))
        found = []
        promises = self._past(ESTIMATED, self.baseline.metric, facts=True, since_us=min(due))
        for one in reversed(promises):
            if one.start_us not in due:
                continue
            verdict = self._judge(one, *now[one.start_us][:2])
            if verdict.found and _persists(states, one.start_us):
                verdict = replace(verdict, state=VerdictState.ALERT)
            states[one.start_us] = verdict.state
            found.append(verdict)
        return found

    def _judge(self, estimated: JudgedWindow, n: int, total: float) -> Verdict:
        promised = estimated.facts["estimates"][self.baseline.metric]
        lower, upper = promised.get("claimed") or (promised["lower"], promised["upper"])
        realised = total / _STEP / n
        facts: dict[str, Any] = {
            "metric": self.baseline.metric,
            "by": WINDOW,
            "realised": realised,
            "estimate": promised["value"],
            "lower": lower,
            "upper": upper,
            "known": [n, total, estimated.judged_at],
        }
        needed = self.watched.plan.min_labels
        state, p_value, effect = VerdictState.OK, None, None
        if n < needed:
            state = VerdictState.NOT_ENOUGH
            facts["reason"] = f"not enough: {n} of {needed}"
        elif promised["value"] is None:
            state = VerdictState.UNKNOWN
            facts["reason"] = f"no estimate: {promised['reason']}"
        else:
            worse = 1.0 if self._of_classes else -1.0
            effect = realised - promised["value"]
            of_labels = (promised["se"] ** 2 - promised["se_reference"] ** 2) * (estimated.n / n)
            facts["se"] = se = sqrt(promised["se_reference"] ** 2 + of_labels)
            p_value = NormalDist().cdf(worse * effect / se) if se > 0.0 else 1.0
            if p_value < LEVEL and -worse * effect > self._floor:
                state = VerdictState.WARNING
        return self._verdict(
            WINDOW,
            (estimated.start_us, estimated.end_us),
            state,
            n,
            facts,
            p_value=p_value,
            effect=effect,
        )

    # -- one after the other, as truths came

    def stream(self) -> list[Verdict]:
        """Let the detector see the truths that came since it last did."""
        last = self._newest(STREAM)
        deployed_h = (self.version.deployed_at or self.version.created_at) // HOUR_US
        start_h = max(deployed_h, first_hour(self.closed_h))
        if last is not None:
            start_h = last.end_us // HOUR_US
        with reading(self.watched.engine) as connection:
            rows = read_arrived(
                connection,
                self.watched.project,
                self.watched.model,
                self.version.version,
                self._kept,
                start_h,
                self.closed_h,
            )
        rows = [row for row in rows if row.n > 0]  # what revisions take back was seen already
        if not rows:
            return []
        name = self.watched.plan.detector
        if name in ("ddm", "eddm") and not self._of_classes:
            facts = {"by": STREAM, "reason": f"{name} is for errors of 0 and 1: choose adwin"}
            span = (start_h * HOUR_US, self.closed_h * HOUR_US)
            n = sum(row.n for row in rows)
            return [self._verdict(STREAM, span, VerdictState.UNKNOWN, n, facts)]
        return [self._follow(name, rows, start_h, last)]

    def _follow(
        self, name: str, rows: list[Arrived], start_h: int, last: Verdict | None
    ) -> Verdict:
        kept: dict[str, Any] = {} if last is None else last.facts
        follower = Follower(name, kept.get("before"), kept.get("since_us"))
        if kept.get("detector") == name:
            follower.detector.restore(kept["state"])
        unit = 1.0 if self._of_classes else LARGEST_ERROR * self.baseline.value
        for row in rows:
            follower.take(row, errors_of(row, unit, of_classes=self._of_classes))
        usual = (1.0 - self.baseline.value) if self._of_classes else self.baseline.value / unit
        state, now = follower.state(usual, self._floor / unit)
        facts: dict[str, Any] = {
            "metric": self.baseline.metric,
            "by": STREAM,
            "detector": name,
            "before": follower.before,
            "after": now,
            "unit": unit,
            "since_us": follower.since_us,
            "state": follower.detector.state(),
        }
        return self._verdict(
            STREAM,
            (start_h * HOUR_US, self.closed_h * HOUR_US),
            state,
            sum(row.n for row in rows),
            facts,
            effect=None if follower.before is None or now is None else now - follower.before,
        )

    def _verdict(
        self,
        look: str,
        span: tuple[int, int],
        state: VerdictState,
        n: int,
        facts: dict[str, Any],
        *,
        p_value: float | None = None,
        effect: float | None = None,
    ) -> Verdict:
        return Verdict(
            model=self.watched.model,
            version=self.version.version,
            monitor=CONCEPT,
            subject=self._subject(look),
            start_us=span[0],
            end_us=span[1],
            state=state,
            n=n,
            p_value=p_value,
            effect=effect,
            facts=facts,
            judged_at=self.watched.now_us,
        )

    # -- signals

    def tell(self) -> str:
        """Raise a drift that either look shows, or clear one that neither does."""
        unsaid = (VerdictState.NOT_ENOUGH, VerdictState.UNKNOWN)
        latest = [v for look in (WINDOW, STREAM) if (v := self._newest(look, unsaid)) is not None]
        alerts = [v for v in latest if v.state is VerdictState.ALERT]
        if alerts:
            self._raise(Condition.HOLDS, alerts[0])
            return "alert"
        if latest and all(v.state is VerdictState.OK for v in latest):
            self._raise(Condition.CLEAR, latest[0])
        return str(latest[0].state) if latest else "not_enough"

    def _raise(self, condition: Condition, verdict: Verdict) -> None:
        names = ("metric", "by", "realised", "estimate", "lower", "upper", "before", "after")
        facts = {name: verdict.facts[name] for name in names if name in verdict.facts}
        if not self._of_classes:  # parts of a unit say nothing to a reader
            facts = {name: value for name, value in facts.items() if name not in ("before",)}
        self.watched.tell(
            Kind.DRIFT_DETECTED,
            condition,
            Severity.HIGH,
            at=self.closed_h * HOUR_US,
            monitor=CONCEPT,
            version=self.version.version,
            facts={
                **facts,
                "concept": self.baseline.metric,
                "effect": verdict.effect,
                "p_value": verdict.p_value,
                "floor": self._floor,
                "n": verdict.n,
                "window_start": verdict.start_us,
                "window_end": verdict.end_us,
            },
        )

    def clear_others(self) -> None:
        """Clear the alerts of versions that are no longer in production."""
        at = self.closed_h * HOUR_US
        alerted = {version for version, _, _ in self.watched.ever_alerted([CONCEPT], at)}
        for version in sorted(alerted - {self.version.version}):
            self.watched.supersede(
                Kind.DRIFT_DETECTED,
                Severity.HIGH,
                at=at,
                monitor=CONCEPT,
                version=version,
                facts={"concept": self.baseline.metric},
            )


def _persists(states: Mapping[int, str], start_us: int) -> bool:
    """Say whether enough of the two windows before one, of those with a word, warned as well."""
    silent = (VerdictState.NOT_ENOUGH, VerdictState.UNKNOWN)
    before = [start for start, state in states.items() if start < start_us and state not in silent]
    warned = (VerdictState.WARNING, VerdictState.ALERT)
    recent = sorted(before, reverse=True)[: PERSISTENCE_OF - 1]
    return sum(states[start] in warned for start in recent) + 1 >= PERSISTENCE


def errors_of(row: Arrived, unit: float, *, of_classes: bool) -> list[float]:
    """Give the errors of an hour's labels as a stream of numbers in [0, 1].

    Their order within the hour is not known: they are spread evenly. Of a regression mean and
    spread are kept, by values on both sides of the mean.

    Examples
    --------
    >>> errors_of(Arrived(0, 0, 4, 2_000_000, 0), 1.0, of_classes=True)
    [0.0, 1.0, 0.0, 1.0]
    """
    n = min(row.n, MOST_AN_HOUR)
    mean = row.sum_q / _STEP / row.n
    if of_classes:
        wrong = min(n, max(0, round(n * (1.0 - mean))))
        return [float((i + 1) * wrong // n - i * wrong // n) for i in range(n)]
    spread = sqrt(max(0.0, row.sum_q2 / _STEP**2 / row.n - mean**2))
    sides = (mean - spread, mean + spread)
    return [min(1.0, max(0.0, sides[i % 2] / unit)) for i in range(n)]


@dataclass(slots=True)
class Follower:
    """A detector on its way through a stream, and what it was like before it changed.

    Parameters
    ----------
    name : str
        Of ``timonel.project.model.DETECTORS``.
    before : float or None
        The mean error before the change that was signalled last; None: none was.
    since_us : int or None
        The hour of the predictions at which that was signalled.
    """

    name: str
    before: float | None = None
    since_us: int | None = None
    detector: Detector = field(init=False)

    def __post_init__(self) -> None:
        match self.name:
            case "page_hinkley":
                self.detector = PageHinkley(direction="up")
            case "ddm":
                self.detector = Ddm()
            case "eddm":
                self.detector = Eddm()
            case "hddm":
                self.detector = Hddm(direction="up")
            case "kswin":
                self.detector = Kswin(direction="up")
            case _:
                self.detector = Adwin(direction="up")

    def take(self, row: Arrived, errors: list[float]) -> None:
        """Let the detector see the errors of an hour."""
        before, changed = self.detector.mean, False
        for error in errors:
            changed |= self.detector.update(error)
        if changed and self.before is None:
            self.before, self.since_us = before, row.exposure_h * HOUR_US

    def state(self, usual: float, floor: float) -> tuple[VerdictState, float | None]:
        """Say how it stands, and the mean error now.

        Parameters
        ----------
        usual : float
            The holdout's mean error: what is no worse than that alarms nobody.
        floor : float
            The least rise that counts; a change that has gone back by half of it is over.
        """
        now = self.detector.mean
        if self.before is None or now is None:
            return VerdictState.OK, now
        if now <= self.before + floor / 2.0:
            self.before = self.since_us = None
            return VerdictState.OK, now
        alarming = now > self.before + floor and now > usual
        return (VerdictState.ALERT if alarming else VerdictState.WARNING), now
