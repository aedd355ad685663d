"""The cap of a goal: a quantile of the control's values, fixed once, and noted with its numbers.

Until it is fixed the goal is not compared. It never moves: a cap that followed the data would be
another goal at each look.
"""

import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import groupby
from math import ceil
from typing import Any, NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection, Engine, and_, func, select

from timonel.experiments.counting.cells import write_cells
from timonel.experiments.counting.derived import capped_of, derived_cells, merge_cells
from timonel.experiments.counting.sums import OPEN, CellKey, PairSums
from timonel.experiments.counting.units import UnitKey
from timonel.experiments.design import CONTROL, Cap, Design
from timonel.experiments.outside.units import WRITER
from timonel.experiments.rows import Rows
from timonel.stats.moments import PER_UNIT, quantise
from timonel.store.engine import reading
from timonel.store.tables_experiments import experiment_cells, experiment_members, experiment_units

_FINEST = 10**6
_PAGE, _LEAST, _MOST = 250, 50, 1000  # values a transaction: at first, and as it may become
_PAGE_S = 0.025  # a transaction, during which others wait for SQLite
_LONGEST_S = 2.0
_u, _m, _c = experiment_units.c, experiment_members.c, experiment_cells.c


class UnitValues(NamedTuple):
    """What is known of one unit in one phase."""

    key: UnitKey
    arm: str
    slot: int
    values: dict[str, int]
    covariate: int


def fix_cap(engine: Engine, project: str, name: str, at: int) -> None:
    """Fix an experiment's cap, if it has one, it is not fixed, and enough values have come.

    Parameters
    ----------
    at : int
        Microseconds of the event clock.

    Notes
    -----
    The value of rank ``ceil(q n)`` of the control's n values, once n is at least ``1 / (1 - q)``
    (fewer hold none above the quantile) and, of a list, nearly all of it: a file may be sorted. All
    units' values are counted under it then, once: in pages, between which others write, and no
    longer than some seconds a look, since other experiments wait for theirs. Until the last page
    the goal is not compared; the next look goes on, also where one was killed.
    """
    if not choose_cap(engine, project, name):
        return
    until, most = time.monotonic() + _LONGEST_S, _PAGE
    began = time.monotonic()
    while count_page(engine, project, name, at, most=most) and began < until:
        took = time.monotonic() - began
        most = next_page(most, took)
        # whoever waits for SQLite asks again only now and then: most of the time it has to be free
        time.sleep(2.0 * took)
        began = time.monotonic()


def next_page(most: int, took_s: float) -> int:
    """Say how many values the next transaction counts: as many as are counted in some 25 ms.

    Examples
    --------
    >>> next_page(500, 0.05), next_page(500, 1.0), next_page(500, 0.0)
    (250, 50, 1000)
    """
    wanted = most * _PAGE_S / took_s if took_s > 0.0 else _MOST
    return round(min(_MOST, max(_LEAST, wanted)))


def choose_cap(engine: Engine, project: str, name: str) -> bool:
    """Choose the cap by the values that are there; say whether units are to be counted under it."""
    with reading(engine) as connection:
        design = Rows(connection, project).one(name).design
        cap = design.cap
        if cap is None or cap.steps is not None:
            return False
        if cap.chosen is not None:
            return True
        if _n_of_control(connection, project, design) < design.cap_needs:
            return False
        query = select(_u.q).where(
            _u.project == project,
            _u.experiment == design.name,
            _u.metric == design.metric,
            _u.arm == design.names[CONTROL],
            _u.x != "0",
        )
        mine = sorted(int(q) for q in connection.scalars(query))
    quantile = Fraction(cap.quantile).limit_denominator(_FINEST)
    chosen = Cap(cap.quantile, n=len(mine), chosen=mine[ceil(quantile * len(mine)) - 1])
    with engine.begin() as connection:
        rows = Rows(connection, project)
        now = rows.one(name, locked=True)
        if now.design.cap == cap:  # else another one that looks has chosen it
            rows.keep_design(replace(now.design, cap=chosen))
    return True


def _n_of_control(connection: Connection, project: str, design: Design) -> int:
    """Say how many values of the control there are: by the sums, since units may be many."""
    query = select(func.sum(_c.n)).where(
        _c.project == project,
        _c.experiment == design.name,
        _c.arrival_slot == OPEN,
        _c.arm == design.names[CONTROL],
        _c.metric == design.metric,
    )
    return int(connection.scalar(query) or 0)


def count_page(engine: Engine, project: str, name: str, at: int, *, most: int) -> bool:
    """Count some more values under the cap, at least two; say whether there are others."""
    with engine.begin() as connection:
        rows = Rows(connection, project)
        design = rows.one(name, locked=True).design
        cap = design.cap
        if cap is None or cap.chosen is None:
            return False
        found = list(unit_values(connection, project, name, [design.metric], cap.reached, most))
        last = found[-1].key.unit if len(found) == most else None
        # of a full page's last unit there may be more
        counted = [unit for unit in found if unit.key.unit != last]
        cells: dict[CellKey, PairSums] = {}
        pairs = capped_of(design)
        for unit in counted:
            values = derived_cells(
                pairs, unit.key, unit.arm, unit.slot, {}, unit.values, unit.covariate
            )
            merge_cells(cells, values)
        write_cells(connection, project, WRITER, cells)
        if last is not None:
            reached = replace(cap, reached=counted[-1].key.unit)
            rows.keep_design(replace(design, cap=reached))
            return True
        rows.keep_design(replace(design, cap=Cap(cap.quantile, steps=cap.chosen, n=cap.n)))
        value = cap.chosen / PER_UNIT
        said = f"{design.metric} <= {value:g} ({cap.quantile:.4g}, n = {cap.n})"
        facts = {"metric": design.metric, "cap": value, "n": cap.n}
        rows.note(design.name, "cap", "timonel", said, at, facts)
    return False


def unit_values(
    connection: Connection,
    project: str,
    name: str,
    metrics: Sequence[str],
    after: str | None = None,
    most_rows: int | None = None,
) -> Iterator[UnitValues]:
    """Give what is known of each unit of an experiment in some metrics, by unit.

    Parameters
    ----------
    after : str or None
        Only of units beyond this one, in the database's order.
    most_rows : int or None
        Only so many values.
    """
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
    if after:
        query = query.where(_u.unit_id > after)
    if most_rows is not None:
        query = query.limit(most_rows)
    stream: Any = connection.execute(query.execution_options(yield_per=1000))
    for (unit, phase), group in groupby(stream, key=lambda row: (row.unit_id, row.phase)):
        each = list(group)
        values = {row.metric: int(row.q) for row in each if row.x != "0"}
        first = each[0]
        covariate = quantise(first.covariate)
        yield UnitValues(UnitKey(name, unit, phase), first.arm, first.first_slot, values, covariate)
