"""Whether the model itself answers, is sure enough, is asked at all, and rightly; by the minute.

The newest complete minutes are judged: as few of them as hold 200 answers, at most an hour; of a
model that is asked too rarely for that, as few of the last day as hold 50. "No traffic" is
judged by the silences of the week before, on the event clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection

from timonel.events.outcomes import complete_until
from timonel.monitoring.drift.batch_quality import refused_rows
from timonel.monitoring.drift_check import worst
from timonel.monitoring.verdicts import Verdict, VerdictState, write_verdicts
from timonel.monitoring.watched import CheckResult, Watched
from timonel.registry.comparison import SchemaDifference
from timonel.signals import Condition, Kind, Severity
from timonel.stats.intervals import wilson
from timonel.store.engine import reading
from timonel.store.reads_series import (
    Minute,
    Presence,
    Refused,
    presence_of,
    read_presence,
    read_presences,
    read_reasons,
    read_refused,
)

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
WEEK_MIN = 7 * 24 * 60
LEAST_MIN, HOUR_MIN, DAY_MIN = 5, 60, 1440
ANSWERS_WANTED, ANSWERS_NEEDED = 200, 50
SILENCE_MIN, SILENCE_FOLD = 10, 2
_HOURS_A_TURN = 7
HYSTERESIS = 0.8
_CENTURY_MIN = 52_560_000
_REFUSED = "refused"

_CONDITIONS = {
    VerdictState.ALERT: Condition.HOLDS,
    VerdictState.OK: Condition.CLEAR,
    VerdictState.WARNING: Condition.UNKNOWN,
    VerdictState.NOT_ENOUGH: Condition.UNKNOWN,
    VerdictState.UNKNOWN: Condition.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says of the newest minutes."""

    state: VerdictState
    n: int
    minutes: int
    facts: dict[str, Any]


def closed_minute(watched: Watched) -> int | None:
    """Give the epoch minute that the watermark is in; None while no drainer lives."""
    with reading(watched.engine) as connection:
        until = complete_until(connection, watched.project) // MINUTE_US
    return until if until < _CENTURY_MIN else None


class QualityWatch:
    """Judges the newest minutes; of the week before it knows, hour by hour, when who was asked.

    A week is ten thousand minutes and more rows, of which an hour adds sixty: each hour the one
    that has settled is read, and seven of the others again, so that in a day all are. A row that
    comes hours late is seen by then: it could only have shortened a silence of the past.
    """

    def __init__(self) -> None:
        self._weeks: dict[str, tuple[int, dict[int, Presence]]] = {}

    def check(self, watched: Watched, closed_min: int | None) -> CheckResult:
        """Judge fallback, confidence, silence, refused rows and the schema up to a minute."""
        if closed_min is None:
            return CheckResult("quality", watched.model, "unknown", "no_live_drainer")
        with reading(watched.engine) as connection:
            mine = connection, watched.project, watched.model
            asked = self.asked(*mine, closed_min)
            if asked is None:
                return CheckResult("quality", watched.model, "unknown", "no_predictions")
            span, minutes = _read_newest(*mine, closed_min)
            refused = read_refused(*mine, closed_min - span, closed_min)
        found = _judge(watched, minutes, refused, closed_min)
        # who is refused asks all the same
        found["no_data", Kind.NO_DATA, Severity.HIGH] = judge_silence(asked, closed_min)
        version = watched.champion.version if watched.champion is not None else ""
        verdicts = []
        for (monitor, kind, severity), finding in found.items():
            end_us = closed_min * MINUTE_US
            verdicts.append(
                Verdict(
                    model=watched.model,
                    version=version,
                    monitor=monitor,
                    subject="",
                    start_us=end_us - end_us % HOUR_US,  # one row an hour: the newest state
                    end_us=end_us,
                    state=finding.state,
                    n=finding.n,
                    statistic=finding.facts.get("rate"),
                    facts=finding.facts,
                    judged_at=watched.now_us,
                )
            )
            watched.tell(
                kind,
                _CONDITIONS[finding.state],
                severity,
                at=end_us,
                monitor=monitor,
                facts=finding.facts,
            )
        with watched.engine.begin() as connection:
            write_verdicts(connection, watched.project, verdicts)
        return CheckResult(
            "quality",
            watched.model,
            str(worst([verdict.state for verdict in verdicts])),
            "",
            len(verdicts),
        )

    def asked(
        self, connection: Connection, project: str, model: str, closed_min: int
    ) -> Presence | None:
        """Say when a model was asked in the week before the present hour, and in it."""
        hour = closed_min // HOUR_MIN
        # rows of the last hour may still come late
        settled = (hour - 1) * HOUR_MIN
        before = presence_of(self._week(connection, project, model, hour))
        newest = read_presence(connection, project, model, settled, closed_min)
        if before is None or newest is None:
            return before or newest
        return before.followed_by(newest)

    def _week(
        self, connection: Connection, project: str, model: str, hour: int
    ) -> dict[int, Presence]:
        """Give the settled hours of the week before an hour in which the model was asked."""
        known_to, known = self._weeks.get(model, (0, {}))
        first, end = hour - WEEK_MIN // HOUR_MIN, hour - 1
        if known_to != end:
            # in 24 hours every place of the week has its turn
            again = first + (_HOURS_A_TURN * hour - first) % (WEEK_MIN // HOUR_MIN)
            known = {at: one for at, one in known.items() if at >= first}
            stretches = [(known_to, end), (again, min(again + _HOURS_A_TURN, end))]
            if not first <= known_to < end:
                known, stretches = {}, [(first, end)]
            for start, stop in stretches:
                read = read_presences(connection, project, model, start * HOUR_MIN, stop * HOUR_MIN)
                known = {at: one for at, one in known.items() if not start <= at < stop} | read
            self._weeks[model] = (end, known)
        return known


def _judge(
    watched: Watched, minutes: Sequence[Minute], refused: Sequence[Refused], closed_min: int
) -> dict[tuple[str, Kind, Severity], Finding]:
    """Judge what the newest minutes hold, and whether the version learned what is declared."""
    plan, champion = watched.plan, watched.champion
    found = {
        ("fallback", Kind.HIGH_FALLBACK_RATE, Severity.HIGH): judge_fallback(
            minutes, closed_min, plan.fallback_rate
        ),
        ("data_quality", Kind.DATA_QUALITY, Severity.MEDIUM): judge_refused(
            minutes, refused, closed_min, plan.refused_rate
        ),
    }
    if watched.low_confidence is not None:
        found["low_confidence", Kind.LOW_CONFIDENCE, Severity.LOW] = judge_confidence(
            minutes, closed_min, plan.fallback_rate, watched.low_confidence
        )
    if champion is not None and (changes := watched.schema_changes_of(champion.version)):
        found["schema", Kind.DATA_QUALITY, Severity.LOW] = judge_schema(str(champion), changes)
    return found


def _read_newest(
    connection: Connection, project: str, model: str, closed_min: int
) -> tuple[int, list[Minute]]:
    """Read the newest hour; the newest day where that has too few answers for a judgement."""
    for span in (HOUR_MIN, DAY_MIN):
        minutes = read_reasons(connection, project, model, closed_min - span, closed_min)
        if sum(row.n for row in _by_the_model(minutes)) >= ANSWERS_NEEDED:
            break  # then no judgement looks further back
    return span, minutes


def judge_fallback(minutes: Sequence[Minute], closed_min: int, threshold: float) -> Finding:
    """Judge the share of answers that rules or the baseline gave in the model's place.

    Answers of a model that has no version yet are not counted.
    """
    counted = [row for row in minutes if row.reason != "no_version"]
    newest, span = _newest(counted, closed_min)
    reasons: dict[str, int] = {}
    for row in newest:
        if row.reason != "assigned":
            reasons[row.reason] = reasons.get(row.reason, 0) + row.n
    n_fallback = sum(reasons.values())
    facts = {"n_fallback": n_fallback, "reasons": reasons}
    return _judge_share(newest, span, n_fallback, threshold, facts)


def judge_confidence(
    minutes: Sequence[Minute], closed_min: int, threshold: float, limit: float
) -> Finding:
    """Judge the share of answers that were less sure than the policy asks for."""
    newest, span = _newest(_by_the_model(minutes), closed_min)
    unsure = sum(row.n for row in newest if row.reason == "low_confidence")
    # `threshold` is the least confidence: what alerts show as expected
    found = _judge_share(newest, span, unsure, threshold, {"n_fallback": unsure})
    return Finding(found.state, found.n, span, {**found.facts, "threshold": limit})


def judge_refused(
    minutes: Sequence[Minute], refused: Sequence[Refused], closed_min: int, threshold: float
) -> Finding:
    """Judge the share of rows that broke the schema among those that were sent."""
    bad = [Minute(row.minute, _REFUSED, row.n) for row in refused]
    newest, span = _newest([*minutes, *bad], closed_min)
    n_refused, fields = refused_rows(row for row in refused if row.minute >= closed_min - span)
    facts = {"n_refused": n_refused, "fields": fields}
    return _judge_share(newest, span, n_refused, threshold, facts)


def judge_schema(version: str, changes: SchemaDifference) -> Finding:
    """Judge whether what is declared is what the version in production was trained on."""
    parts = {
        "added": list(changes.added),
        "removed": list(changes.removed),
        "different": [field.name for field in changes.changed],
    }
    differs = [name for names in parts.values() for name in names]
    if not differs:
        return Finding(VerdictState.OK, 0, 0, {})
    facts = {"trained": version, "differs": differs, **parts}
    return Finding(VerdictState.ALERT, 0, 0, facts)


def judge_silence(asked: Presence, closed_min: int) -> Finding:
    """Judge the present silence by the longest one of the week before it."""
    total, silent = asked.n, closed_min - 1 - asked.last
    elapsed = asked.last - asked.first + 1
    facts: dict[str, Any] = {
        "minutes": silent,
        "usual_per_minute": round(total / elapsed, 2),
    }
    if elapsed < 60 or total < ANSWERS_WANTED:
        facts["reason"] = f"not enough: {total} answers in {elapsed} minutes"
        return Finding(VerdictState.NOT_ENOUGH, total, silent, facts)
    allowed = max(SILENCE_MIN, SILENCE_FOLD * asked.longest_silence)
    facts["longest_silence"] = asked.longest_silence
    facts["allowed"] = allowed
    state = VerdictState.ALERT if silent > allowed else VerdictState.OK
    return Finding(state, total, silent, facts)


def _by_the_model(minutes: Sequence[Minute]) -> list[Minute]:
    return [row for row in minutes if row.reason in ("assigned", "low_confidence")]


def _newest(minutes: Sequence[Minute], closed_min: int) -> tuple[list[Minute], int]:
    """Give the newest complete minutes, and how far back they reach: as few as hold enough answers.

    Counted minute by minute, so that their beginning only moves on: in steps, a pause after many
    answers brought back what had been judged and left behind, and with it the same alert.
    """
    span, n = _reach(minutes, closed_min, ANSWERS_WANTED, HOUR_MIN)
    if n < ANSWERS_NEEDED:
        rare, n = _reach(minutes, closed_min, ANSWERS_NEEDED, DAY_MIN)
        span = rare if n >= ANSWERS_NEEDED else span
    return [row for row in minutes if row.minute >= closed_min - span], span


def _reach(
    minutes: Sequence[Minute], closed_min: int, wanted: int, longest: int
) -> tuple[int, int]:
    """Say how many minutes back the newest ``wanted`` answers begin, and how many are in them."""
    n, reached = 0, 0
    for row in sorted(minutes, key=attrgetter("minute"), reverse=True):
        span = closed_min - row.minute
        if span > longest or (n >= wanted and span > max(LEAST_MIN, reached)):
            break
        n += row.n
        reached = span
    return (max(LEAST_MIN, reached) if n >= wanted else longest), n


def _judge_share(
    newest: Sequence[Minute], span: int, n_found: int, threshold: float, facts: dict[str, Any]
) -> Finding:
    n = sum(row.n for row in newest)
    facts = {"n": n, "threshold": threshold, "minutes": span, **facts}
    if n < ANSWERS_NEEDED:
        facts["reason"] = f"not enough: {n} of {ANSWERS_NEEDED}"
        return Finding(VerdictState.NOT_ENOUGH, n, span, facts)
    interval = wilson(n_found, n)
    facts["rate"] = interval.estimate
    if interval.low > threshold:
        return Finding(VerdictState.ALERT, n, span, facts)
    calm = interval.estimate <= HYSTERESIS * threshold
    return Finding(VerdictState.OK if calm else VerdictState.WARNING, n, span, facts)
