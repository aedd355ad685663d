"""What is recorded of units that our own answers expose: metrics that are guarded.

A unit that comes again may be in several phases of a ramp. It has one value a metric all the same,
which counts in the newest phase that the unit was answered in when the value came; a bad event
stays where it came first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from timonel.experiments.counting.sums import CORRECTED, EXPOSED
from timonel.experiments.counting.units import Touched, UnitKey
from timonel.experiments.design import Design
from timonel.experiments.outside.errors import NotAnswered
from timonel.stats.moments import PER_UNIT, quantise
from timonel.store.tables_experiments import experiment_phases, experiment_units

_IN = 500
_u, _p = experiment_units.c, experiment_phases.c


@dataclass(slots=True)
class _Unit:
    """Arm and hour of first exposure by phase, and where the value of each metric counts."""

    phases: dict[int, tuple[str, int]] = field(default_factory=dict)
    values: dict[str, tuple[int, int]] = field(default_factory=dict)  # phase, steps


def wait_for_turn(connection: Connection, project: str, name: str) -> None:
    """Let no one else record values of an experiment until the end of the transaction.

    Its first phase is the lock: neither drains nor looks ever ask for that row, so none of them
    can wait for this one while it waits for them.
    """
    first = select(_p.phase).where(_p.project == project, _p.experiment == name, _p.phase == 1)
    connection.execute(first.with_for_update())


def answered_arms(
    connection: Connection, project: str, name: str, units: Sequence[str]
) -> dict[str, str]:
    """Give the arm that each unit was last answered by, of those that were."""
    found = _read(connection, project, name, units, ())
    return {unit: one.phases[max(one.phases)][0] for unit, one in found.items()}


def guarded_changes(
    connection: Connection,
    project: str,
    design: Design,
    outcomes: Mapping[str, Mapping[str, float]],
) -> dict[UnitKey, Touched]:
    """Say by how much values differ from those that count now, and where.

    Raises
    ------
    NotAnswered
        If a unit was never answered by an arm.
    """
    events = {guardrail.event for guardrail in design.guardrails if guardrail.recorded}
    known = _read(connection, project, design.name, list(outcomes), design.guarded)
    touched: dict[UnitKey, Touched] = {}
    for unit, values in outcomes.items():
        one = known.get(unit)
        if one is None:
            raise NotAnswered(experiment=design.name, unit=unit[:64])
        for metric, value in values.items():
            new = quantise(float(value))
            phase, before = one.values.get(metric, (0, 0))
            happened = metric in events and phase and before == new == PER_UNIT
            newest = phase if happened else max(one.phases)
            if (phase, before) == (newest, new):
                continue
            if phase:
                _touch(touched, design.name, unit, one, phase).add(metric, -1, -before)
            mine = _touch(touched, design.name, unit, one, newest)
            mine.add(metric, 1, new)
            if phase and before != new:
                mine.add(CORRECTED, 1, 0)
    return touched


def _touch(
    touched: dict[UnitKey, Touched], name: str, unit: str, one: _Unit, phase: int
) -> Touched:
    return touched.setdefault(UnitKey(name, unit, phase), Touched(*one.phases[phase]))


def _read(
    connection: Connection,
    project: str,
    name: str,
    units: Sequence[str],
    metrics: Iterable[str],
) -> dict[str, _Unit]:
    found: dict[str, _Unit] = {}
    for start in range(0, len(units), _IN):
        query = select(_u.unit_id, _u.phase, _u.metric, _u.arm, _u.first_slot, _u.q).where(
            _u.project == project,
            _u.experiment == name,
            _u.unit_id.in_(units[start : start + _IN]),
            _u.metric.in_((EXPOSED, *metrics)),
            _u.x != "0",
        )
        for unit, phase, metric, arm, slot, q in connection.execute(query):
            one = found.setdefault(unit, _Unit())
            if metric == EXPOSED:
                one.phases[phase] = (arm, slot)
            else:
                one.values[metric] = (phase, int(q))
    return {unit: one for unit, one in found.items() if one.phases}
