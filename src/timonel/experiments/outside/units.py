"""Units that others act on: which arm each gets, and what came of it (also of those we answer).

A unit keeps the arm that it was given first, and has one value a metric; a later value corrects it.
Both are acknowledged by their commit, and a request that is repeated changes nothing: no frame, no
id and no drain is needed for each to count exactly once. The experiment's row is the lock.

The units of a list are all exposed by the start: none has a row before it has an outcome.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, String, column, select, values

from timonel.clock import Clock
from timonel.experiments.choosing import RunningExperiment
from timonel.experiments.counting.cells import write_cells
from timonel.experiments.counting.derived import capped_of, derived_cells, derived_of, merge_cells
from timonel.experiments.counting.sums import CORRECTED, DAY_US, EXPOSED, HOUR_US, CellKey, PairSums
from timonel.experiments.counting.units import Touched, UnitKey, UnitRows
from timonel.experiments.design import LISTED_PHASE, Design, Mode, State, UnitList
from timonel.experiments.errors import NoList, NotAssigning, NotOutside
from timonel.experiments.outside.answered import answered_arms, guarded_changes, wait_for_turn
from timonel.experiments.outside.errors import (
    HorizonNotOver,
    NotYesOrNo,
    UndeclaredMetric,
    UnitNotAssigned,
)
from timonel.experiments.outside.members import Member, all_members, find_members
from timonel.experiments.rows import Experiment, Rows, decode_weights
from timonel.stats.moments import quantise
from timonel.store.engine import reading
from timonel.store.keyed import read_keyed
from timonel.store.tables_experiments import experiment_phases, experiment_units

YES_OR_NO = (0.0, 1.0)
WRITER = "outside"  # owner of the cells: writers of one experiment wait for each other
_N_KEY = 5
Values = Mapping[str, float]


class Placed(NamedTuple):
    """The arm of a unit, and whether this was its first exposure."""

    arm: str
    first: bool


class Recorded(NamedTuple):
    """How many values came for the first time, and how many correct an earlier one."""

    new: int = 0
    corrected: int = 0

    @property
    def changed(self) -> int:
        """Values that changed anything."""
        return self.new + self.corrected


class _Seen(NamedTuple):
    arm: str
    phase: int
    slot: int
    covariate: int = 0  # in steps


class OutsideUnits:
    """Units of the experiments of one project; safe to use from several threads and processes."""

    def __init__(self, engine: Engine, project: str, clock: Clock) -> None:
        self._engine = engine
        self._project = project
        self._clock = clock

    def model_of(self, name: str) -> str:
        """Name the model that an experiment belongs to; raises ``UnknownExperiment``."""
        with reading(self._engine) as connection:
            return Rows(connection, self._project).one(name).design.model

    def assign(self, name: str, unit: str, attributes: Mapping[str, Any]) -> Placed:
        """Give a unit its arm, and log its exposure where it is the first.

        Parameters
        ----------
        attributes : mapping of str to value
            What the design's conditions ask about.

        Raises
        ------
        UnknownExperiment, NotOutside, NotAssigning
        UnitNotAssigned
            If the unit is in no arm: it is never taken for one of the control.
        """
        with reading(self._engine) as connection:
            experiment = _assigning(Rows(connection, self._project).one(name))
            seen = self._seen(connection, experiment, [unit]).get(unit)
        if seen is not None:
            return Placed(seen.arm, first=False)
        _refuse_unlisted(experiment, unit)
        with self._engine.begin() as connection:
            experiment = _assigning(Rows(connection, self._project).one(name, locked=True))
            seen = self._seen(connection, experiment, [unit]).get(unit)
            if seen is not None:
                return Placed(seen.arm, first=False)
            arm = arm_of(experiment, unit, attributes, self._clock.now_us())
            self.expose(connection, experiment, {unit: arm})
        return Placed(arm, first=True)

    def propensity(self, name: str, unit: str) -> float:
        """Give the chance with which a unit came to its arm: the arm's share at its exposure.

        Raises
        ------
        UnknownExperiment, NotOutside, UnitNotAssigned
        """
        p = experiment_phases.c
        with reading(self._engine) as connection:
            experiment = Rows(connection, self._project).one(name)
            design = _require_outside(experiment)
            seen = self._seen(connection, experiment, [unit]).get(unit)
            if seen is None:
                raise UnitNotAssigned(experiment=name, unit=unit[:64])
            query = select(p.weights).where(
                p.project == self._project, p.experiment == name, p.phase == seen.phase
            )
            weights = decode_weights(connection.scalar(query))
        return dict(zip(design.names, weights, strict=True))[seen.arm]

    def peek(self, name: str, unit: str, attributes: Mapping[str, Any]) -> str:
        """Say which arm a unit has or would get, without an exposure; raises as ``assign``."""
        with reading(self._engine) as connection:
            experiment = _assigning(Rows(connection, self._project).one(name))
            seen = self._seen(connection, experiment, [unit]).get(unit)
        if seen is not None:
            return seen.arm
        _refuse_unlisted(experiment, unit)
        return arm_of(experiment, unit, attributes, self._clock.now_us())

    def expose(
        self, connection: Connection, experiment: Experiment, arms: Mapping[str, str]
    ) -> None:
        """Count units that were not seen before; the experiment is locked by the caller."""
        slot = self._clock.now_us() // HOUR_US
        self._settle(
            connection,
            {
                UnitKey(experiment.name, unit, experiment.phase): Touched(arm, slot, exposures=1)
                for unit, arm in arms.items()
            },
        )

    def record(self, name: str, outcomes: Mapping[str, Values]) -> Recorded:
        """Note what came of units: all of them or, where one is refused, none.

        Parameters
        ----------
        outcomes : mapping of unit to mapping of metric to finite number
            One value a unit and metric; a later one takes the place of an earlier one.

        Returns
        -------
        Recorded
            A value that was known already counts as neither.

        Raises
        ------
        UnknownExperiment, NotOutside, NotAssigning, UndeclaredMetric, NotYesOrNo
        UnitNotAssigned, NotAnswered
            If a unit is in no arm: of those that others act on, of those that we answer.
        HorizonNotOver
            If nothing can be known yet.
        """
        with self._engine.begin() as connection:
            design = self._recording(Rows(connection, self._project).one(name))
            _refuse_undeclared(design, outcomes)
            if design.mode is Mode.OUTSIDE:
                touched, derived = self._changes(connection, design, outcomes)
            else:
                wait_for_turn(connection, self._project, name)
                derived = {}
                touched = guarded_changes(connection, self._project, design, outcomes)
            self._settle(connection, touched, derived)
        corrected = sum(one.values.get(CORRECTED, (0, 0))[0] for one in touched.values())
        new = sum(
            x
            for one in touched.values()
            for metric, (x, _) in one.values.items()
            if metric != CORRECTED
        )
        return Recorded(new, corrected)

    def recording(self, name: str) -> Design:
        """Give the design of an experiment that takes outcomes.

        Raises
        ------
        UnknownExperiment, NotOutside, NotAssigning
        """
        with reading(self._engine) as connection:
            return self._recording(Rows(connection, self._project).one(name))

    def placed(self, name: str, units: Sequence[str]) -> dict[str, str]:
        """Give the arms of those of the units that are in one.

        Raises
        ------
        UnknownExperiment, NotOutside
        """
        with reading(self._engine) as connection:
            experiment = Rows(connection, self._project).one(name)
            if _require_recorded(experiment).mode is not Mode.OUTSIDE:
                return answered_arms(connection, self._project, name, units)
            seen = self._seen(connection, experiment, units)
        return {unit: one.arm for unit, one in seen.items()}

    def listed(self, name: str) -> tuple[UnitList, list[Member]]:
        """Give the whole list of an experiment, by unit.

        Raises
        ------
        UnknownExperiment, NoList
        """
        with reading(self._engine) as connection:
            design = Rows(connection, self._project).one(name).design
            if design.listed is None:
                raise NoList(experiment=name)
            return design.listed, list(all_members(connection, self._project, name))

    # -- inside -----------------------------------------------------------------------------

    def _recording(self, experiment: Experiment) -> Design:
        design = _require_recorded(experiment)
        if experiment.state is State.DRAFT:
            raise NotAssigning(experiment=experiment.name, state=str(experiment.state))
        until = (experiment.started_at or 0) + design.horizon_days * DAY_US
        if design.horizon_days and self._clock.now_us() < until:
            day = f"{datetime.fromtimestamp(until // 1_000_000, UTC):%Y-%m-%d %H:%M} UTC"
            raise HorizonNotOver(experiment=experiment.name, days=design.horizon_days, until=day)
        return design

    def _changes(
        self,
        connection: Connection,
        design: Design,
        outcomes: Mapping[str, Values],
    ) -> tuple[dict[UnitKey, Touched], dict[CellKey, PairSums]]:
        """Say by how much values differ from those that count now, and what that makes of pairs."""
        # the design of the locked row: its cap may have been chosen meanwhile
        experiment = Rows(connection, self._project).one(design.name, locked=True)
        design = experiment.design
        seen = self._seen(connection, experiment, list(outcomes))
        for unit in outcomes:
            if unit not in seen:
                raise UnitNotAssigned(experiment=design.name, unit=unit[:64])
        pairs, capped, name = derived_of(design), capped_of(design), design.name
        reached = _reached(connection, design, list(outcomes)) if capped else frozenset()
        beside = {metric for pair in (*pairs, *capped) for metric in pair.needs}
        keys = [
            (self._project, name, unit, seen[unit].phase, metric)
            for unit, values in outcomes.items()
            for metric in values
        ]
        wanted = {
            *keys,
            *(
                (self._project, name, unit, seen[unit].phase, metric)
                for unit in outcomes
                for metric in beside
            ),
        }
        stored = {
            tuple(row[:_N_KEY]): (int(row[7]), int(row[8]))
            for row in read_keyed(connection, experiment_units, _N_KEY, sorted(wanted))
        }
        touched: dict[UnitKey, Touched] = {}
        for key in keys:
            _, _, unit, phase, metric = key
            x, q = stored.get(key, (0, 0))
            change = (1 - x, quantise(float(outcomes[unit][metric])) - q)
            if change == (0, 0):
                continue
            mine = UnitKey(name, unit, phase)
            one = touched.setdefault(mine, Touched(seen[unit].arm, seen[unit].slot))
            one.add(metric, *change)
            if x:
                one.add(CORRECTED, 1, 0)
        derived: dict[CellKey, PairSums] = {}
        for mine in touched if pairs or capped else ():
            asked = [*pairs, *capped] if mine.unit in reached else pairs
            place = seen[mine.unit]
            before = {}
            for metric in beside:
                x, q = stored.get((self._project, *mine, metric), (0, 0))
                if x:
                    before[metric] = q
            told = {m: quantise(float(value)) for m, value in outcomes[mine.unit].items()}
            cells = derived_cells(
                asked, mine, place.arm, place.slot, before, before | told, place.covariate
            )
            merge_cells(derived, cells)
        return touched, derived

    def _settle(
        self,
        connection: Connection,
        touched: Mapping[UnitKey, Touched],
        derived: Mapping[CellKey, PairSums] | None = None,
    ) -> None:
        cells = UnitRows(self._project, connection).settle(touched)
        merge_cells(cells, derived or {})
        write_cells(connection, self._project, WRITER, cells)

    def _seen(
        self, connection: Connection, experiment: Experiment, units: Sequence[str]
    ) -> dict[str, _Seen]:
        """Give the units that are in an arm: those of the list, or those seen before."""
        name = experiment.name
        if experiment.design.listed is not None:
            slot = (experiment.started_at or 0) // HOUR_US
            members = find_members(connection, self._project, name, units)
            return {
                one.unit: _Seen(one.arm, LISTED_PHASE, slot, quantise(one.covariate or 0.0))
                for one in members
            }
        u = experiment_units.c
        found: dict[str, _Seen] = {}
        for start in range(0, len(units), 500):
            query = select(u.unit_id, u.arm, u.phase, u.first_slot).where(
                u.project == self._project,
                u.experiment == name,
                u.unit_id.in_(units[start : start + 500]),
                u.metric == EXPOSED,
            )
            for unit, *place in connection.execute(query):
                found[unit] = _Seen(*place)
        return found


def _reached(connection: Connection, design: Design, units: Sequence[str]) -> frozenset[str]:
    """Give those of the units that are counted under a cap that not all are yet."""
    last = "" if design.cap is None else design.cap.reached
    if connection.dialect.name == "sqlite":
        return frozenset(unit for unit in units if unit <= last)  # it orders texts as Python does
    asked = values(column("unit", String), name="asked").data([(unit,) for unit in units])
    return frozenset(connection.scalars(select(asked.c.unit).where(asked.c.unit <= last)))


def arm_of(experiment: Experiment, unit: str, attributes: Mapping[str, Any], at: int) -> str:
    """Give the arm of a unit that was not seen before.

    Raises
    ------
    UnitNotAssigned
    """
    design = experiment.design
    asked = list(dict.fromkeys(condition.feature for condition in design.targeting))
    values = [attributes.get(feature) for feature in asked]
    places = {feature: place for place, feature in enumerate(asked)}
    running = RunningExperiment(design, experiment.weights, places)
    found = running.assign(unit, b"", values, at)
    if found is None:
        raise UnitNotAssigned(experiment=experiment.name, unit=unit[:64])
    return found.arm


def _refuse_unlisted(experiment: Experiment, unit: str) -> None:
    if experiment.design.listed is not None:
        raise UnitNotAssigned(experiment=experiment.name, unit=unit[:64])


def _refuse_undeclared(design: Design, outcomes: Mapping[str, Values]) -> None:
    """Refuse values that the design does not ask for, or not in this form."""
    declared = design.recorded
    events = {guardrail.event for guardrail in design.guardrails if guardrail.recorded}
    for unit, told in outcomes.items():
        for metric, value in told.items():
            if metric not in declared:
                raise UndeclaredMetric(
                    experiment=design.name, metric=metric[:64], declared=", ".join(declared)
                )
            if metric in events and value not in YES_OR_NO:
                raise NotYesOrNo(metric=metric, unit=unit[:64], found=f"{value:g}")


def _require_recorded(experiment: Experiment) -> Design:
    """Give the design of an experiment that outcomes of units are recorded for."""
    if experiment.design.guarded:
        return experiment.design
    return _require_outside(experiment)


def _require_outside(experiment: Experiment) -> Design:
    if experiment.design.mode is not Mode.OUTSIDE:
        raise NotOutside(experiment=experiment.name, mode=str(experiment.design.mode))
    return experiment.design


def _assigning(experiment: Experiment) -> Experiment:
    _require_outside(experiment)
    return require_active(experiment)


def require_active(experiment: Experiment) -> Experiment:
    """Give an experiment that runs; raises ``NotAssigning`` of another."""
    if experiment.state is not State.ACTIVE:
        raise NotAssigning(experiment=experiment.name, state=str(experiment.state))
    return experiment
