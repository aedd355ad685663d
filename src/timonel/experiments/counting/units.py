"""The rows of units that may come again: what each added up to, and what that changes in cells.

Several drainers share them: they are locked in the order of their keys, and changed by difference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from timonel.experiments.counting.sums import (
    BAD,
    DIFFERENCE,
    EXPOSED,
    FIRST,
    LEAK,
    OPEN,
    PAIR,
    CellKey,
    PairSums,
    day_of,
    sign_of,
)
from timonel.stats.moments import PER_UNIT
from timonel.store.keyed import read_keyed
from timonel.store.tables_experiments import experiment_units

_N_KEY = 5
_u = experiment_units.c
_PAGE = 200
Cells = dict[CellKey, PairSums]


class UnitKey(NamedTuple):
    """One unit within a phase of an experiment."""

    experiment: str
    unit: str
    phase: int


@dataclass(slots=True)
class Touched:
    """What one transaction adds to a unit: exposures, and values a metric (count, sum of steps)."""

    arm: str
    slot: int
    exposures: int = 0
    values: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, metric: str, x: int, q: int) -> None:
        """Add values of one metric."""
        before = self.values.get(metric, (0, 0))
        self.values[metric] = before[0] + x, before[1] + q


class _Row(NamedTuple):
    arm: str
    first_slot: int
    x: int
    q: int


class UnitRows:
    """Reads, locks and writes unit rows within the drain's transaction."""

    def __init__(self, project: str, connection: Connection, *, by_hour: bool = False) -> None:
        self._project = project
        self._connection = connection
        self._by_hour = by_hour  # a unit's place in time is its first hour, else its first day

    def settle(self, touched: Mapping[UnitKey, Touched]) -> dict[CellKey, PairSums]:
        """Add to the rows of units; give what that changes in the cells.

        Parameters
        ----------
        touched : mapping of UnitKey to Touched

        Returns
        -------
        dict of CellKey to PairSums
            New pair less old pair, for each unit and metric that changed; a unit's place in time
            is that of its first exposure.
        """
        if not touched:
            return {}
        wanted = {
            (self._project, key.experiment, key.unit, key.phase, metric): one
            for key, one in touched.items()
            for metric in (EXPOSED, *one.values)
        }
        keys = sorted(wanted)
        self._insert_missing(keys, wanted)
        rows = self._locked(keys)
        known = self._seen_before(
            {key for key in touched if rows[self._project, *key, EXPOSED].x == 0}
        )
        cells: dict[CellKey, PairSums] = {}
        changed: list[dict[str, Any]] = []
        for key, one in touched.items():
            place = (self._project, key.experiment, key.unit, key.phase)
            exposed = rows[*place, EXPOSED]
            if exposed.arm != one.arm:
                _add(cells, self._cell(key, exposed, LEAK), PairSums.of(PER_UNIT))
            if one.exposures and exposed.x == 0 and key not in known:
                _add(cells, self._cell(key, exposed, FIRST), PairSums.of(PER_UNIT))
            for metric, (x, q) in ((EXPOSED, (one.exposures, 0)), *one.values.items()):
                before = rows[*place, metric]
                after = before._replace(x=before.x + x, q=before.q + q)
                if after == before:
                    continue
                changed.append(_bound((*place, metric), after))
                for name, old, new in _pairs(metric, before, after):
                    change = new + old.negative
                    _add(cells, self._cell(key, exposed, name), change)
        if changed:
            self._connection.execute(_UPDATE, changed)
        return cells

    def _cell(self, key: UnitKey, exposed: _Row, metric: str) -> CellKey:
        return _cell(key, exposed, metric, by_hour=self._by_hour)

    def _insert_missing(
        self, keys: Sequence[tuple[Any, ...]], wanted: Mapping[tuple[Any, ...], Touched]
    ) -> None:
        dialect = sqlite if self._connection.dialect.name == "sqlite" else postgresql
        statement = dialect.insert(experiment_units).on_conflict_do_nothing()
        names = [column.name for column in experiment_units.c]
        rows = [(*key, wanted[key].arm, wanted[key].slot, "0", "0") for key in keys]
        self._connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])

    def _seen_before(self, keys: set[UnitKey]) -> set[UnitKey]:
        """Give those units that were exposed in an earlier phase: their shares were another's."""
        later = sorted(key for key in keys if key.phase > 1)
        known: set[UnitKey] = set()
        for start in range(0, len(later), _PAGE):
            page = later[start : start + _PAGE]
            query = select(_u.experiment, _u.unit_id, func.min(_u.phase)).where(
                _u.project == self._project,
                tuple_(_u.experiment, _u.unit_id).in_([key[:2] for key in page]),
                _u.metric == EXPOSED,
                _u.x != "0",
            )
            rows = self._connection.execute(query.group_by(_u.experiment, _u.unit_id))
            earliest = {(experiment, unit): phase for experiment, unit, phase in rows}
            known |= {key for key in page if earliest.get(key[:2], key.phase) < key.phase}
        return known

    def _locked(self, keys: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], _Row]:
        if self._connection.dialect.name == "sqlite":
            found = read_keyed(self._connection, experiment_units, _N_KEY, keys)
        else:
            columns = list(experiment_units.c)
            found = []
            for start in range(0, len(keys), _PAGE):
                query = (
                    select(*columns)
                    .where(tuple_(*columns[:_N_KEY]).in_(keys[start : start + _PAGE]))
                    .order_by(*columns[:_N_KEY])
                    .with_for_update()
                )
                found += [tuple(row) for row in self._connection.execute(query)]
        return {
            tuple(row[:_N_KEY]): _Row(row[5], row[6], int(row[7]), int(row[8])) for row in found
        }


def cells_of_unit(
    key: UnitKey, rows: Mapping[str, tuple[str, int, int, int]], *, by_hour: bool = False
) -> Cells:
    """Give what one unit's rows say of the cells, where it was exposed in one phase alone.

    Parameters
    ----------
    rows : mapping of metric to (arm, first slot, number of values, their sum)
    by_hour : bool
        Whether the unit's place in time is its first hour, else its first day.
    """
    cells: Cells = {}
    exposed = _Row(*rows[EXPOSED])
    if exposed.x > 0:
        _add(cells, _cell(key, exposed, FIRST, by_hour=by_hour), PairSums.of(PER_UNIT))
    for metric, values in rows.items():
        row = _Row(*values)
        for name, _, now in _pairs(metric, row._replace(x=0, q=0), row):
            _add(cells, _cell(key, exposed, name, by_hour=by_hour), now)
    return cells


_UPDATE = (
    update(experiment_units)
    .where(
        _u.project == bindparam("k_project"),
        _u.experiment == bindparam("k_experiment"),
        _u.unit_id == bindparam("k_unit"),
        _u.phase == bindparam("k_phase"),
        _u.metric == bindparam("k_metric"),
    )
    .values(x=bindparam("v_x"), q=bindparam("v_q"))
)


def _bound(key: tuple[Any, ...], row: _Row) -> dict[str, Any]:
    names = ("k_project", "k_experiment", "k_unit", "k_phase", "k_metric")
    return dict(zip(names, key, strict=True)) | {"v_x": str(row.x), "v_q": str(row.q)}


def _pairs(metric: str, before: _Row, after: _Row) -> list[tuple[str, PairSums, PairSums]]:
    """Say under which metric a unit counts as what, before and after."""
    if metric == EXPOSED or metric.startswith(BAD):
        # once a unit, however often: exposures and bad events are told apart from units
        return [(metric, _flag(before.x > 0), _flag(after.x > 0))]
    pairs = [(metric, _value(before), _value(after))]
    if metric == DIFFERENCE:
        for row, place in ((before, 1), (after, 2)):
            if row.x > 0:
                flags = [PairSums(), PairSums()]
                flags[place - 1] = _flag(there=True)
                pairs.append((PAIR + sign_of(row.q), flags[0], flags[1]))
    return pairs


def _flag(there: bool) -> PairSums:
    return PairSums.of(PER_UNIT) if there else PairSums()


def _value(row: _Row) -> PairSums:
    return PairSums.pair(row.q, row.x) if row.x > 0 else PairSums()


def _cell(key: UnitKey, exposed: _Row, metric: str, *, by_hour: bool) -> CellKey:
    slot = exposed.first_slot if by_hour else day_of(exposed.first_slot)
    return CellKey(key.experiment, OPEN, 0, slot, key.phase, exposed.arm, metric)


def _add(cells: dict[CellKey, PairSums], key: CellKey, sums: PairSums) -> None:
    before = cells.get(key)
    cells[key] = sums if before is None else before + sums
