"""An A/A on one's own log: the rules where there is nothing to find.

Labelled answers of the log are given at random to two equal arms, again and again, and played with
their own times and label delays through the drain's counting and the looks' judging. Each decision
is a false one. Beside it stands what ``p < .05``, looked at once a day, would have decided.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from sqlalchemy import ColumnElement, Connection, func, insert, select

from timonel.errors import Phrase
from timonel.events.accumulators import LoggedPrediction, TruthChange
from timonel.events.frames import PredictionFrame
from timonel.events.plans import Plan, Plans, Problem
from timonel.experiments.assignment import assign
from timonel.experiments.counting.sums import DAY_US
from timonel.experiments.design import Arm, Design, State, variant_of
from timonel.experiments.judging.judge import judge
from timonel.experiments.judging.look import Look, Rule, Verdict
from timonel.experiments.judging.reading import evidence_of
from timonel.experiments.replaying.counted import Counted, Logged, MemorySums, count_days
from timonel.experiments.replaying.own import own_database
from timonel.stats.intervals import wilson
from timonel.store.tables import control, predictions, truths
from timonel.store.tables_experiments import experiment_phases, experiments
from timonel.wire.answer import Label

HISTORY_DAYS = 28
LEAST_ROWS, LEAST_DAYS = 100, 2
LEAST_EACH = 30  # labels an arm before anybody would look
NAMES = ("control", "treatment")
_PROJECT = "aa"
_DECISIONS = (Verdict.PROMOTE, Verdict.ROLL_BACK)
_BROKEN = (Rule.SHARES_DIFFER, Rule.UNIT_IN_TWO_ARMS, Rule.DELAYS_DIFFER)


class Share(NamedTuple):
    """How many of the runs, and the 95 % interval (Wilson) of the share."""

    n: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AaResult:
    """What came of the runs.

    Parameters
    ----------
    n_rows, n_units, n_days : int
        Labelled answers that were played, their units, and days, with one look each.
    of_rows : int
        Labelled answers in the log's window; where they are more, units were sampled.
    wrong, naive, invalid : Share or None
        Runs decided by a look; runs in which the usual test had p < .05 at some look; runs that a
        look called invalid for good.
    known_from : int or None
        The first day on which it was known how long labels take; before it nothing is promoted.
    reason : Phrase or None
        Why nothing can be said.
    """

    model: str
    runs: int
    seed: int
    by_unit: bool
    alpha: float
    n_rows: int = 0
    n_units: int = 0
    n_days: int = 0
    of_rows: int = 0
    wrong: Share | None = None
    naive: Share | None = None
    invalid: Share | None = None
    known_from: int | None = None
    reason: Phrase | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    id: bytes
    at: int
    arrived_at: int
    unit: str
    prediction: Label
    truth: Label
    score: float


@dataclass(frozen=True, slots=True)
class Log:
    """Labelled answers of the newest days; see ``read_log``."""

    answers: list[_Answer]
    plan: Plan
    start: int
    n_days: int
    n_all: int


class _Run(NamedTuple):
    decided: bool
    invalid: bool
    naive: bool
    known_from: int | None


class AaPart(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the runs, and the log that they were played on; parts of one log add up."""

    n_rows: int
    n_units: int
    n_days: int
    of_rows: int
    runs: int = 0
    decided: int = 0
    naive: int = 0
    invalid: int = 0
    known_from: int | None = None

    @property
    def enough(self) -> bool:
        """Whether the log holds what can be played."""
        return self.n_rows >= LEAST_ROWS and self.n_days >= LEAST_DAYS

    def __add__(self, other: "AaPart") -> "AaPart":
        known = [one.known_from for one in (self, other) if one.known_from is not None]
        return msgspec.structs.replace(
            self,
            runs=self.runs + other.runs,
            decided=self.decided + other.decided,
            naive=self.naive + other.naive,
            invalid=self.invalid + other.invalid,
            known_from=min(known, default=None),
        )


def play_part(
    log: "Log", design: Design, *, seed: int, runs: range, check: Callable[[], None] | None = None
) -> AaPart:
    """Play an experiment without a difference, once for each number of a range.

    Parameters
    ----------
    log : Log
    design : Design
        A split with two arms; its salt is replaced in each run.
    runs : range
        The same number and seed, the same run.
    check : callable or None
        Called before each run; what it raises ends the part.
    """
    part = AaPart(
        n_rows=len(log.answers),
        n_units=len({answer.unit for answer in log.answers}),
        n_days=log.n_days,
        of_rows=log.n_all,
    )
    if not part.enough:
        return part
    counted = _count(log, design)
    for run in runs:
        if check is not None:
            check()
        played = _play(counted, msgspec.structs.replace(design, salt=f"aa-{seed}-{run}"))
        part += msgspec.structs.replace(
            part,
            runs=1,
            decided=int(played.decided),
            naive=int(played.naive),
            invalid=int(played.invalid),
            known_from=played.known_from,
        )
    return part


def result_of(part: AaPart, design: Design, *, seed: int, runs: int) -> AaResult:
    """Say what came of all parts together."""
    result = AaResult(
        model=design.model,
        runs=runs,
        seed=seed,
        by_unit=design.unit == "unit",
        alpha=design.alpha,
        n_rows=part.n_rows,
        n_units=part.n_units,
        n_days=part.n_days,
        of_rows=part.of_rows,
    )
    if not part.enough:
        reason = Phrase(
            "{n} labelled answers over {days} days; at least {rows} over {least} are needed",
            "{n} respuestas con resultado en {days} días; hacen falta al menos {rows} en {least}",
            n=part.n_rows,
            days=part.n_days,
            rows=LEAST_ROWS,
            least=LEAST_DAYS,
        )
        return replace(result, reason=reason)
    return replace(
        result,
        wrong=_share(part.decided, part.runs),
        naive=_share(part.naive, part.runs),
        invalid=_share(part.invalid, part.runs),
        known_from=part.known_from,
    )


def _share(n: int, runs: int) -> Share:
    found = wilson(n, runs)
    return Share(n, found.estimate, found.low, found.high)


# -- the log ---------------------------------------------------------------------------------


def read_log(
    connection: Connection, project: str, design: Design, *, seed: int, rows: int, now: int
) -> Log:
    """Read the labelled answers of the 28 days before a moment, with the labels of then.

    Parameters
    ----------
    rows : int
        About so many labelled answers are kept; of more, a random part of the units.
    now : int
        Microseconds of the event clock.
    """
    p, t = predictions.c, truths.c
    unit = func.coalesce(p.unit_id, p.key)
    mine: list[ColumnElement[bool]] = [
        p.project == project,
        p.model == design.model,
        p.at >= now - HISTORY_DAYS * DAY_US,
        p.at < now,
        t.arrived_at <= now,
    ]
    if design.unit == "unit":
        mine.append(unit.is_not(None))
    joined = (t.project == p.project) & (t.prediction_id == p.prediction_id)
    query = select(p.prediction_id, p.at, t.arrived_at, unit, p.prediction, t.value)
    query = query.join(truths, joined).where(*mine).order_by(p.at, p.prediction_id)
    counted = select(func.count()).select_from(predictions).join(truths, joined).where(*mine)
    n_all = connection.scalar(counted) or 0
    kept = min(1.0, rows / max(n_all, 1))
    plans = Plans(project)
    plans.refresh(connection)
    plan = plans.of(design.model)
    answers = []
    for row in connection.execution_options(yield_per=1000).execute(query):
        identifier, at, arrived_at, named, prediction, value = row
        who = named if design.unit == "unit" else identifier.hex
        if kept < 1.0 and assign(f"aa-{seed}-sample", who, (1.0 - kept, kept)) == 0:
            continue
        truth = plan.read(msgspec.json.decode(value))
        answer = msgspec.json.decode(prediction)
        scores = {} if isinstance(truth, Problem) else plan.score(answer, truth)
        if isinstance(truth, Problem) or design.metric not in scores:
            continue
        score = scores[design.metric]
        answers.append(_Answer(identifier.bytes, at, arrived_at, who, answer, truth, score))
    start = min((answer.at for answer in answers), default=now) // DAY_US * DAY_US
    last = max((answer.arrived_at for answer in answers), default=start)
    return Log(answers, plan, start, -(-(min(last, now) - start) // DAY_US), n_all)


# -- one run ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Played:
    """A log, and what is the same of it in every run.

    Parameters
    ----------
    day : ndarray of int, shape (n_answers,)
        On which each label came.
    score : ndarray of float, shape (n_answers,)
    days : list of Counted
    """

    log: Log
    day: NDArray[np.int64]
    score: NDArray[np.float64]
    days: list[Counted]


def _count(log: Log, design: Design) -> _Played:
    with own_database() as own:
        _enter(own, design, log.start)
        days = count_days(own, _PROJECT, _by_day(log, design))
    day = [(max(a.arrived_at, a.at) - log.start) // DAY_US for a in log.answers]
    return _Played(log, np.array(day), np.array([a.score for a in log.answers]), days)


def _play(played: _Played, design: Design) -> _Run:
    """Play the log once; a look at the end of each day, until one decides or breaks it off."""
    log = played.log
    units = {one.unit for one in log.answers}
    arms = {unit: assign(design.salt, unit, design.weights) for unit in units}
    naive = _naive(played, np.array([arms[one.unit] for one in log.answers]), design.alpha)
    named = {unit: design.names[arm] for unit, arm in arms.items()}
    sums = MemorySums(design.weights)
    known_from: int | None = None
    before: Look | None = None
    for day, counted in enumerate(played.days):
        sums.add(counted, named)
        at = log.start + (day + 1) * DAY_US
        evidence = evidence_of(sums, design, at=at, until_us=at, started_at=log.start)
        before = judge(design, evidence, before)
        if known_from is None and before.mature_after_h is not None:
            known_from = day + 1
        if before.verdict in _DECISIONS:
            return _Run(decided=True, invalid=False, naive=naive, known_from=known_from)
        if before.rule in _BROKEN:
            return _Run(decided=False, invalid=True, naive=naive, known_from=known_from)
    return _Run(decided=False, invalid=False, naive=naive, known_from=known_from)


def _enter(own: Connection, design: Design, start: int) -> None:
    own.execute(
        insert(control).values(
            project=_PROJECT,
            generation=1,
            clock_real_us=0,
            clock_event_us=0,
            clock_rate=1.0,
            timezone="Etc/UTC",
        )
    )
    weights = msgspec.json.encode(design.weights).decode()
    own.execute(
        insert(experiments).values(
            project=_PROJECT,
            name=design.name,
            model=design.model,
            state=str(State.ACTIVE),
            design=design.encode(),
            weights=weights,
            phase=1,
            revised=0,
            created_by="aa",
            created_at=start,
            revision=0,
        )
    )
    own.execute(
        insert(experiment_phases).values(
            project=_PROJECT,
            experiment=design.name,
            phase=1,
            generation=1,
            weights=weights,
            at=start,
        )
    )


def _by_day(log: Log, design: Design) -> list[dict[str, Logged]]:
    """Give the answers and labels of each day by unit, as if all had the control's."""
    days: list[dict[str, Logged]] = [{} for _ in range(log.n_days)]
    by_unit = design.unit == "unit"
    variant = variant_of(design.name, design.names[0])
    for one in log.answers:
        unit = one.unit if by_unit else None
        frame = PredictionFrame(
            id=one.id,
            at=one.at,
            model=design.model,
            version="",
            variant=variant,
            source="model",
            reason="assigned",
            key=None,
            unit=unit,
            generation=1,
            prediction=one.prediction,
            score=None,
            probabilities=None,
            explanation=None,
            latency_us=0,
            features=b"{}",
        )
        logged = LoggedPrediction(
            one.id, one.at, design.model, "", variant, "model", one.prediction, unit, 1
        )
        answered = (one.at - log.start) // DAY_US
        if answered < log.n_days:
            days[answered].setdefault(one.unit, ([], []))[0].append(frame)
        arrived = max(one.arrived_at, one.at)
        change = TruthChange(logged, one.truth, arrived, 1, log.plan)
        days[(arrived - log.start) // DAY_US].setdefault(one.unit, ([], []))[1].append(change)
    return days


def _naive(played: _Played, of_arm: NDArray[np.int64], alpha: float) -> bool:
    """Say whether the usual z-test on all labels so far was ever below alpha, looked at daily."""
    day, score, n_days = played.day, played.score, played.log.n_days
    n, mean, variance = [], [], []
    for arm in range(len(NAMES)):
        mine = of_arm == arm
        counts, sums, squares = (
            np.cumsum(np.bincount(day[mine], weight, n_days)[:n_days])
            for weight in (np.ones(mine.sum()), score[mine], score[mine] ** 2)
        )
        some = np.maximum(counts, 1.0)
        n.append(counts)
        mean.append(sums / some)
        variance.append(np.maximum(squares / some - (sums / some) ** 2, 0.0) / some)
    se = np.sqrt(variance[0] + variance[1])
    enough = (n[0] >= LEAST_EACH) & (n[1] >= LEAST_EACH) & (se > 0.0)
    z = np.abs(mean[1] - mean[0]) / np.where(se > 0.0, se, 1.0)
    return bool(np.any(enough & (2.0 * ndtr(-z) < alpha)))


def aa_design(
    model: str, metric: str, *, higher_is_better: bool, by_unit: bool, alpha: float
) -> Design:
    """Give the design that is played: two equal arms of what answered."""
    return Design(
        name="aa",
        model=model,
        salt="aa",
        arms=tuple(Arm(name, version="0") for name in NAMES),
        weights=(0.5, 0.5),
        unit="unit" if by_unit else "request",
        metric=metric,
        higher_is_better=higher_is_better,
        alpha=alpha,
    )
