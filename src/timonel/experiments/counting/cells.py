"""What the drain keeps of experiments: exact sums in cells, so that a look never scans rows.

A request-level value goes to the cell of its phase, arm, exposure slot and arrival slot. Where the
unit may come again, its values are first added up in the unit's row, and the cell gets the new
pair less the old one: each unit counts once, however often it came (ADR 0023).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, select, update

from timonel.events.accumulators import LoggedPrediction, ShadowResult, TruthChange
from timonel.events.frames import PredictionFrame
from timonel.experiments.choosing import block_of
from timonel.experiments.counting.designs import Designs, Known
from timonel.experiments.counting.losses import with_stock
from timonel.experiments.counting.sums import (
    AGE,
    AGES,
    ANSWERS,
    APART,
    ASKED,
    BAD,
    CONFIDENCE,
    DIFFERENCE,
    DROPPED,
    EACH,
    EXPOSED,
    FIRST,
    HEARD,
    HIT,
    HOUR_US,
    LATENCY,
    OPEN,
    PAIR,
    PERIOD,
    PERIODS,
    SHADOW,
    CellKey,
    PairSums,
    age_of,
    beside,
    day_of,
    sign_of,
    slots,
)
from timonel.experiments.counting.units import Touched, UnitKey, UnitRows
from timonel.experiments.design import (
    ERROR,
    FALLBACK,
    SLOW,
    UNPLACED,
    Design,
    Mode,
    split_variant,
)
from timonel.stats.moments import quantise
from timonel.store.keyed import read_keyed, write_keyed
from timonel.store.tables_experiments import experiment_cells, experiment_totals, experiments
from timonel.wire.answer import FAILED, Label, Reason

_ASSIGNED = Reason.ASSIGNED.value
_N_KEY = 9
_OUTCOME = {1.0: APART + "right", 0.0: APART + "wrong"}


_c = experiment_cells.c
CELL_COLUMNS = (
    _c.arrival_slot,
    _c.arrival_span,
    _c.exposure_slot,
    _c.phase,
    _c.arm,
    _c.metric,
    _c.n,
    _c.sum_q,
    _c.sum_q2,
    _c.sum_x,
    _c.sum_x2,
    _c.sum_qx,
)
"""Where a sum is kept, and the sum; not by which drainer."""


def read_cells(
    connection: Connection, project: str, name: str, *chosen: ColumnElement[bool]
) -> dict[CellKey, PairSums]:
    """Read an experiment's cells, those of several drainers merged; all, or those chosen."""
    c = experiment_cells.c
    query = select(*CELL_COLUMNS).where(c.project == project, c.experiment == name, *chosen)
    return merged_cells(name, connection.execute(query).all())


def merged_cells(name: str, rows: Iterable[Sequence[Any]]) -> dict[CellKey, PairSums]:
    """Give the cells of rows of ``CELL_COLUMNS``, those of several drainers merged."""
    merged: dict[CellKey, PairSums] = {}
    for *place, n, q, q2, x, x2, qx in rows:
        key, sums = CellKey(name, *place), PairSums(n, int(q), int(q2), int(x), int(x2), int(qx))
        before = merged.get(key)
        merged[key] = sums if before is None else before + sums
    return merged


class ExperimentCells:
    """An accumulator of the drain; see ``timonel.events.accumulators.Accumulator``."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._designs = Designs(project)
        self._frames: list[PredictionFrame] = []
        self._changes: list[TruthChange] = []
        self._shadows: list[ShadowResult] = []

    def add_predictions(self, frames: Sequence[PredictionFrame]) -> None:
        """Take those that an experiment assigned."""
        self._frames += [frame for frame in frames if frame.variant]

    def add_truths(self, changes: Sequence[TruthChange]) -> None:
        """Take those of predictions that an experiment assigned."""
        self._changes += [change for change in changes if change.prediction.variant]

    def add_shadows(self, results: Sequence[ShadowResult]) -> None:
        """Take what came of asking the versions that nobody hears."""
        self._shadows += results

    def write(self, connection: Connection, drainer_id: str) -> None:
        """Add what was taken to units and cells."""
        if not self._frames and not self._changes and not self._shadows:
            return
        cells, touched = self.counted(connection)
        units = UnitRows(self._project, connection)
        for key, sums in units.settle(touched).items():
            before = cells.get(key)
            cells[key] = sums if before is None else before + sums
        write_cells(connection, self._project, drainer_id, cells)

    def counted(
        self, connection: Connection
    ) -> tuple[dict[CellKey, PairSums], dict[UnitKey, Touched]]:
        """Count what was taken, without adding it to anything: cells, and what units got."""
        seen = [(frame.variant, frame.generation) for frame in self._frames]
        seen += [(c.prediction.variant, c.prediction.generation) for c in self._changes]
        seen += [(r.prediction.variant, r.prediction.generation) for r in self._shadows]
        named = {split_variant(variant)[0] for variant, _ in seen}
        newest = max(generation for _, generation in seen)
        self._designs.refresh(connection, named, newest)
        count = _Counting()
        for frame in self._frames:
            self._count_answer(count, frame)
        for change in self._changes:
            self._count_truth(count, change)
        for result in self._shadows:
            self._count_shadow(count, result)
        return count.cells, count.units

    def clear(self) -> None:
        """Forget what was taken."""
        self._frames.clear()
        self._changes.clear()
        self._shadows.clear()

    def _place(self, one: PredictionFrame | LoggedPrediction) -> "_Place | None":
        name, arm = split_variant(one.variant)
        known = self._designs.of(name)
        phase = None if known is None else known.phase_of(one.generation)
        if known is None or phase is None or arm == UNPLACED:
            return None
        unit = one.unit
        if known.design.unit == "block":
            unit = block_of(one.at, known.design.block_s)
        return _Place(known, name, arm, phase, one.at // HOUR_US, unit)

    def _count_answer(self, count: "_Counting", frame: PredictionFrame) -> None:
        place = self._place(frame)
        if place is None:
            return
        fell_back = frame.reason != _ASSIGNED
        count.open(place, ANSWERS, PairSums.of(quantise(float(fell_back))))
        count.open(place, LATENCY, PairSums.of(quantise(frame.latency_us / 1000.0)))
        sure = _confidence(place.known.design, frame)
        if sure is not None:
            count.open(place, CONFIDENCE, PairSums.of(quantise(sure)))
        if frame.shadow_asked is not None:
            asked = SHADOW + (ASKED if frame.shadow_asked else DROPPED)
            count.open(place, asked, PairSums.of(quantise(1.0)))
        bad = _bad_events(place.known.design, frame)
        if place.by_unit:
            touched = count.unit(place)
            touched.exposures += 1
            for event in bad:
                touched.add(BAD + event, 1, quantise(1.0))
        else:
            count.open(place, EXPOSED, PairSums.of(quantise(1.0)))
            count.open(place, FIRST, PairSums.of(quantise(1.0)))
            for event in bad:
                count.open(place, BAD + event, PairSums.of(quantise(1.0)))

    def _count_truth(self, count: "_Counting", change: TruthChange) -> None:
        prediction = change.prediction
        place = self._place(prediction)
        if place is None:
            return
        exposed, arrived, span = slots(prediction.at, change.at)
        scores = _scores(place, change, prediction.prediction)
        for metric, value in scores.items():
            q = quantise(value)
            if place.by_unit:
                count.unit(place).add(metric, change.sign, change.sign * q)
            else:
                key = CellKey(place.name, arrived, span, exposed, place.phase, place.arm, metric)
                count.add(key, PairSums.of(q, change.sign))
        if not scores:
            return
        label = "" if change.plan.task == "regression" else str(change.value)[:60]
        age = CellKey(
            place.name,
            AGES,
            age_of(prediction.at, change.at),
            day_of(place.slot),
            place.phase,
            place.arm,
            AGE + label + _OUTCOME.get(scores.get("correct", -1.0), ""),
        )
        count.add(age, PairSums.of(quantise(1.0), change.sign))
        goal = place.known.design.metric
        if goal in scores:
            count.add(age._replace(metric=goal), PairSums.of(quantise(scores[goal]), change.sign))
        if label:
            hit = f"{HIT}{label}{APART}{str(prediction.prediction)[:60]}"
            count.open(place, hit, PairSums.of(quantise(1.0), change.sign))
        self._count_pair(count, place, change)

    def _count_shadow(self, count: "_Counting", result: ShadowResult) -> None:
        """Count what came of asking, and the pair where the truth came before the answer did."""
        prediction = result.prediction
        place = self._place(prediction)
        if place is None:
            return
        count.open(place, SHADOW + result.fate, PairSums.of(quantise(1.0)))
        if result.truth is not None:
            change = TruthChange(prediction, result.truth, prediction.at, 1, result.plan)
            self._count_pair(count, place, change)

    def _count_pair(self, count: "_Counting", place: "_Place", change: TruthChange) -> None:
        """Count which of two answers was right, if there are two; one discordant pair a unit."""
        prediction = change.prediction
        shadow = prediction.shadow
        if shadow is None or place.known.design.mode is not Mode.SHADOW:
            return
        scores = _scores(place, change, prediction.prediction)
        other = _scores(place, change, shadow.prediction)
        metric = place.known.design.metric
        if metric not in scores or metric not in other:
            return
        if place.known.design.period_s:
            self._count_periods(count, place, change, (scores, other))
            return
        difference = quantise(other[metric]) - quantise(scores[metric])
        if place.by_unit:
            count.unit(place).add(DIFFERENCE, change.sign, change.sign * difference)
        else:
            count.open(place, DIFFERENCE, PairSums.of(difference, change.sign))
            count.open(place, PAIR + sign_of(difference), PairSums.of(quantise(1.0), change.sign))

    def _count_periods(
        self,
        count: "_Counting",
        place: "_Place",
        change: TruthChange,
        both: tuple[Mapping[str, float], Mapping[str, float]],
    ) -> None:
        """Count every loss of a pair by unit, by stretch of time and one by one."""
        design, sign = place.known.design, change.sign
        for metric in design.paired:
            heard = quantise(both[0][metric])
            difference = quantise(both[1][metric]) - heard
            of_unit, of_period, alone = (
                beside(name, design.metric, metric) for name in (DIFFERENCE, PERIOD, EACH)
            )
            count.unit(place).add(of_unit, sign, sign * difference)
            period = count.period(place, change.prediction.at)
            period.add(of_period, sign, sign * difference)
            count.open(place, alone, PairSums.of(difference, sign))
            if design.secondary:  # shown beside each other: means of the same pairs
                count.open(place, f"{HEARD}:{metric}", PairSums.of(heard, sign))


def _scores(place: "_Place", change: TruthChange, prediction: Label) -> Mapping[str, float]:
    scores = change.plan.score(prediction, change.value)
    return with_stock(place.known.design, scores, change.value)


class _Place(NamedTuple):
    """Whose value it is."""

    known: Known
    name: str
    arm: str
    phase: int
    slot: int
    unit: str | None

    @property
    def by_unit(self) -> bool:
        return self.known.design.unit != "request" and self.unit is not None


class _Counting:
    """The cells and units of one transaction."""

    def __init__(self) -> None:
        self.cells: dict[CellKey, PairSums] = {}
        self.units: dict[UnitKey, Touched] = {}

    def add(self, key: CellKey, sums: PairSums) -> None:
        before = self.cells.get(key)
        self.cells[key] = sums if before is None else before + sums

    def open(self, place: _Place, metric: str, sums: PairSums) -> None:
        """Add to a cell of the exposure's day, which is read at every look."""
        day = day_of(place.slot)
        self.add(CellKey(place.name, OPEN, 0, day, place.phase, place.arm, metric), sums)

    def unit(self, place: _Place) -> Touched:
        key = UnitKey(place.name, place.unit or "", place.phase)
        touched = self.units.get(key)
        if touched is None:
            touched = self.units[key] = Touched(place.arm, place.slot)
        touched.slot = min(touched.slot, place.slot)
        return touched

    def period(self, place: _Place, at: int) -> Touched:
        """Give the stretch of time that a moment lies in, as a unit whose id nobody can send."""
        period_s = place.known.design.period_s
        block = block_of(at, period_s)
        key = UnitKey(place.name, APART + block, PERIODS)
        begins = int(block) * (period_s * 1_000_000) // HOUR_US
        return self.units.setdefault(key, Touched(place.arm, begins))


def _confidence(design: Design, frame: PredictionFrame) -> float | None:
    """Give the probability of what was answered, where the source told it."""
    if frame.probabilities:
        return max(frame.probabilities.values())
    # of two classes, the score is that of the positive one, whichever was answered
    return frame.score if design.task == "multiclass" else None


def _bad_events(design: Design, frame: PredictionFrame) -> list[str]:
    bad = []
    for guardrail in design.guardrails:
        limit_ms = guardrail.threshold_ms
        happened = {
            FALLBACK: frame.reason != _ASSIGNED,
            ERROR: frame.reason in FAILED,
            SLOW: limit_ms is not None and frame.latency_us > limit_ms * 1000.0,
        }
        if happened.get(guardrail.event, False):
            bad.append(guardrail.event)
    return bad


def write_cells(
    connection: Connection, project: str, drainer_id: str, cells: Mapping[CellKey, PairSums]
) -> None:
    """Add sums to the rows of a drainer; where a closed cell changes, looks sum everything anew."""
    changed = {(project, *key, drainer_id): sums for key, sums in cells.items() if sums}
    if not changed:
        return
    _tell_of_closed(connection, project, cells)
    for row in read_keyed(connection, experiment_cells, _N_KEY, changed):
        key, stored = tuple(row[:_N_KEY]), row[_N_KEY:]
        changed[key] += PairSums(*(int(number) for number in stored))
    rows = [
        (*key, s.n, str(s.q), str(s.q2), str(s.x), str(s.x2), str(s.qx))
        for key, s in changed.items()
    ]
    write_keyed(connection, experiment_cells, _N_KEY, rows)


def _tell_of_closed(
    connection: Connection, project: str, cells: Mapping[CellKey, PairSums]
) -> None:
    ends: dict[str, int] = {}
    for key, sums in cells.items():
        if sums:
            end = key.arrival_slot + key.arrival_span
            ends[key.experiment] = min(end, ends.get(key.experiment, end))
    # locked against a look that closes cells at the same moment, in the order of names
    t, e = experiment_totals.c, experiments.c
    query = (
        select(t.experiment, t.closed_until)
        .where(t.project == project, t.experiment.in_(sorted(ends)))
        .order_by(t.experiment)
        .with_for_update(read=True)
    )
    for name, closed_until in connection.execute(query).all():
        if ends[name] <= closed_until:
            mine = update(experiments).where(e.project == project, e.name == name)
            connection.execute(mine.values(revised=e.revised + 1))
