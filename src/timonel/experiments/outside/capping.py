"""The cap of a goal: a quantile of the control's values, fixed once, and noted with its numbers.

Until it is fixed the goal is not compared. It never moves: a cap that followed the data would be
another goal at each look.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import groupby
from math import ceil
from typing import Any, NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection, and_, func, select

from timonel.experiments.counting.cells import write_cells
from timonel.experiments.counting.derived import derived_cells, derived_of, merge_cells
from timonel.experiments.counting.sums import CellKey, PairSums
from timonel.experiments.counting.units import UnitKey
from timonel.experiments.design import CONTROL, Cap
from timonel.experiments.outside.units import WRITER
from timonel.experiments.rows import Experiment, Rows
from timonel.stats.moments import PER_UNIT, quantise
from timonel.store.tables_experiments import experiment_members, experiment_units

_FINEST = 10**6
_u, _m = experiment_units.c, experiment_members.c


class UnitValues(NamedTuple):
    """What is known of one unit in one phase."""

    key: UnitKey
    arm: str
    slot: int
    values: dict[str, int]
    covariate: int


def fix_cap(rows: Rows, project: str, experiment: Experiment, at: int) -> Experiment:
    """Fix an experiment's cap, if it has one, it is not fixed, and enough values have come.

    Parameters
    ----------
    rows : Rows
        Of the look's transaction, which holds the experiment's lock.
    at : int
        Microseconds of the event clock.

    Notes
    -----
    The value of rank ``ceil(q n)`` of the control's n values, once n is at least ``1 / (1 - q)``
    (fewer hold none above the quantile) and, of a list, nearly all of it: a file may be sorted. All
    units' values are counted under it then, once.
    """
    design = experiment.design
    cap = design.cap
    if cap is None or cap.steps is not None:
        return experiment
    query = select(_u.q).where(
        _u.project == project,
        _u.experiment == design.name,
        _u.metric == design.metric,
        _u.arm == design.names[CONTROL],
        _u.x != "0",
    )
    mine = sorted(int(q) for q in rows.connection.scalars(query))
    if len(mine) < design.cap_needs:
        return experiment
    quantile = Fraction(cap.quantile).limit_denominator(_FINEST)
    steps = mine[ceil(quantile * len(mine)) - 1]
    fixed = replace(design, cap=Cap(cap.quantile, steps=steps, n=len(mine)))
    rows.change(experiment, "set", design=fixed.encode())
    facts = {"metric": design.metric, "cap": steps / PER_UNIT, "n": len(mine)}
    said = f"{design.metric} <= {steps / PER_UNIT:g} ({cap.quantile:.4g}, n = {len(mine)})"
    rows.note(design.name, "cap", "timonel", said, at, facts)
    pairs = [pair for pair in derived_of(fixed) if pair.most is not None]
    cells: dict[CellKey, PairSums] = {}
    for unit in unit_values(rows.connection, project, design.name, [design.metric]):
        merge_cells(
            cells,
            derived_cells(pairs, unit.key, unit.arm, unit.slot, {}, unit.values, unit.covariate),
        )
    write_cells(rows.connection, project, WRITER, cells)
    return rows.one(design.name)


def unit_values(
    connection: Connection, project: str, name: str, metrics: Sequence[str]
) -> Iterator[UnitValues]:
    """Give what is known of each unit of an experiment in some metrics, by unit."""
    joined = experiment_units.outerjoin(
        experiment_members,
        and_(_m.project == _u.project, _m.experiment == _u.experiment, _m.unit_id == _u.unit_id),
    )
    query = (
        select(
            _u.unit_id,
            _u.phase,
            _u.metric,
            _u.arm,
            _u.first_slot,
            _u.x,
            _u.q,
            func.coalesce(_m.covariate, 0.0).label("covariate"),
        )
        .select_from(joined)
        .where(_u.project == project, _u.experiment == name, _u.metric.in_(metrics))
        .order_by(_u.unit_id, _u.phase)
    )
    stream: Any = connection.execute(query.execution_options(yield_per=1000))
    for (unit, phase), group in groupby(stream, key=lambda row: (row.unit_id, row.phase)):
        each = list(group)
        values = {row.metric: int(row.q) for row in each if row.x != "0"}
        first = each[0]
        covariate = quantise(first.covariate)
        yield UnitValues(UnitKey(name, unit, phase), first.arm, first.first_slot, values, covariate)
