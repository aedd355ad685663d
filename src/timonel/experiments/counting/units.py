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


class UnitRow(NamedTuple):
    """What one unit's values of one metric added up to."""

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
        bad = self._bad_before(touched)
        cells: Cells = {}
        changed: list[dict[str, Any]] = []
        for key, one in touched.items():
            place = (self._project, *key)
            mine = {metric: rows[*place, metric] for metric in (EXPOSED, *one.values)}
            found, after = change_unit(
                key, one, mine, known=key in known, bad=bad, by_hour=self._by_hour
            )
            for cell, sums in found:
                _add(cells, cell, sums)
            changed += [_bound((*place, metric), row) for metric, row in after.items()]
        if changed:
            self._connection.execute(_UPDATE, changed)
        return cells

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

    def _bad_before(self, touched: Mapping[UnitKey, Touched]) -> set[tuple[str, str, str]]:
        """Give the units and bad events that are counted already, in whatever phase.

        A unit that is bad for good would be bad in each, mostly in the arm it has had since: one
        event would be taken for several that speak independently of each other.
        """
        wanted: dict[str, set[str]] = {}
        for key, one in touched.items():
            if any(metric.startswith(BAD) for metric in one.values):
                wanted.setdefault(key.experiment, set()).add(key.unit)
        found: set[tuple[str, str, str]] = set()
        for experiment, units in sorted(wanted.items()):
            each = sorted(units)
            for start in range(0, len(each), _PAGE):
                query = select(_u.unit_id, _u.metric).where(
                    _u.project == self._project,
                    _u.experiment == experiment,
                    _u.unit_id.in_(each[start : start + _PAGE]),
                    _u.metric.startswith(BAD, autoescape=True),
                    _u.x != "0",
                )
                rows = self._connection.execute(query)
                found |= {(experiment, unit, metric) for unit, metric in rows}
        return found

    def _locked(self, keys: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], UnitRow]:
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
            tuple(row[:_N_KEY]): UnitRow(row[5], row[6], int(row[7]), int(row[8])) for row in found
        }


def change_unit(
    key: UnitKey,
    one: Touched,
    rows: Mapping[str, UnitRow],
    *,
    known: bool,
    bad: set[tuple[str, str, str]],
    by_hour: bool = False,
) -> tuple[list[tuple[CellKey, PairSums]], dict[str, UnitRow]]:
    """Give what a unit's new values change: in the cells, and in its rows.

    Parameters
    ----------
    key : UnitKey
    one : Touched
    rows : mapping of metric to UnitRow
        As they were, of every metric touched.
    known : bool
        Whether it was exposed in an earlier phase.
    bad : set of (experiment, unit, metric)
        Bad events that are counted already; those that are counted now are added.
    by_hour : bool
        Whether the unit's place in time is its first hour, else its first day.
    """
    exposed = rows[EXPOSED]
    cells: list[tuple[CellKey, PairSums]] = []
    changed: dict[str, UnitRow] = {}

    def count(metric: str, sums: PairSums) -> None:
        cells.append((_cell(key, exposed, metric, by_hour=by_hour), sums))

    if exposed.arm != one.arm:
        count(LEAK, PairSums.of(PER_UNIT))
    if one.exposures and exposed.x == 0 and not known:
        count(FIRST, PairSums.of(PER_UNIT))
    for metric, (x, q) in ((EXPOSED, (one.exposures, 0)), *one.values.items()):
        before = rows[metric]
        after = before._replace(x=before.x + x, q=before.q + q)
        if after == before:
            continue
        changed[metric] = after
        if metric.startswith(BAD) and before.x == 0:
            if (*key[:2], metric) in bad:
                continue
            bad.add((*key[:2], metric))
        for name, old, new in _pairs(metric, before, after):
            count(name, new + old.negative)
    return cells, changed


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
    exposed = UnitRow(*rows[EXPOSED])
    if exposed.x > 0:
        _add(cells, _cell(key, exposed, FIRST, by_hour=by_hour), PairSums.of(PER_UNIT))
    for metric, values in rows.items():
        row = UnitRow(*values)
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


def _bound(key: tuple[Any, ...], row: UnitRow) -> dict[str, Any]:
    names = ("k_project", "k_experiment", "k_unit", "k_phase", "k_metric")
    return dict(zip(names, key, strict=True)) | {"v_x": str(row.x), "v_q": str(row.q)}


def _pairs(metric: str, before: UnitRow, after: UnitRow) -> list[tuple[str, PairSums, PairSums]]:
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


def _value(row: UnitRow) -> PairSums:
    return PairSums.pair(row.q, row.x) if row.x > 0 else PairSums()


def _cell(key: UnitKey, exposed: UnitRow, metric: str, *, by_hour: bool) -> CellKey:
    slot = exposed.first_slot if by_hour else day_of(exposed.first_slot)
    return CellKey(key.experiment, OPEN, 0, slot, key.phase, exposed.arm, metric)


def _add(cells: dict[CellKey, PairSums], key: CellKey, sums: PairSums) -> None:
    before = cells.get(key)
    cells[key] = sums if before is None else before + sums
