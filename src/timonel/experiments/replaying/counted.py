"""What an A/A counts of a log: once for all of its runs, since only the arms differ between them.

The drain's code counts each unit's answers and labels of each day as the control's. A run then only
adds the units up by the arm that each got, in memory, and looks as on real traffic.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from timonel.events.accumulators import TruthChange
from timonel.events.frames import PredictionFrame
from timonel.experiments.counting.cells import ExperimentCells
from timonel.experiments.counting.sums import AGES, EXPOSED, OPEN, CellKey, PairSums, day_of
from timonel.experiments.counting.units import Touched, UnitKey, UnitRow, change_unit
from timonel.experiments.judging.stored import Age, AgedGoal, Cells, Totals

Logged = tuple[list[PredictionFrame], list[TruthChange]]
Counted = Mapping[str, dict[CellKey, PairSums]]


def count_days(
    connection: Connection, project: str, days: Iterable[Mapping[str, Logged]]
) -> list[Counted]:
    """Count each day's answers and labels by unit, as the drain would have.

    Parameters
    ----------
    connection : Connection
        To the experiment's design and phases; nothing is written.
    project : str
    days : iterable of mapping of unit to (answers, labels)
        In their order: a unit that comes again goes on from what it had.

    Returns
    -------
    list of mapping of unit to mapping of CellKey to PairSums
        What each day changes in the cells.
    """
    counter = ExperimentCells(project)
    rows: dict[tuple[UnitKey, str], UnitRow] = {}
    bad: set[tuple[str, str, str]] = set()
    counted: list[Counted] = []
    for day in days:
        found: dict[str, dict[CellKey, PairSums]] = {}
        for unit, (frames, changes) in day.items():
            counter.add_predictions(frames)
            counter.add_truths(changes)
            cells, touched = counter.counted(connection)
            counter.clear()
            for key, one in touched.items():
                _settle(cells, key, one, rows, bad)
            found[unit] = cells
        counted.append(found)
    return counted


def _settle(
    cells: dict[CellKey, PairSums],
    key: UnitKey,
    one: Touched,
    rows: dict[tuple[UnitKey, str], UnitRow],
    bad: set[tuple[str, str, str]],
) -> None:
    """Add what a unit's new values change, and keep its rows."""
    new = UnitRow(one.arm, one.slot, 0, 0)
    exposed = rows.setdefault((key, EXPOSED), new)
    mine = {metric: rows.get((key, metric), new) for metric in one.values} | {EXPOSED: exposed}
    changes, after = change_unit(key, one, mine, known=False, bad=bad)
    for cell, sums in changes:
        cells[cell] = cells.get(cell, PairSums()) + sums
    rows |= {(key, metric): row for metric, row in after.items()}


@dataclass(slots=True)
class MemorySums:
    """One run's sums; see ``timonel.experiments.judging.stored.Sums``.

    Parameters
    ----------
    shares : tuple of float
        Of the only phase.
    """

    shares: tuple[float, ...]
    _kept: Totals = field(default_factory=Totals)
    _closed_until: int = 0
    _arriving: dict[CellKey, PairSums] = field(default_factory=dict)
    _open: dict[CellKey, PairSums] = field(default_factory=dict)
    _ages: dict[CellKey, PairSums] = field(default_factory=dict)

    def add(self, counted: Counted, arms: Mapping[str, str]) -> None:
        """Add a day: each unit's cells to the arm that it has."""
        of_arm: dict[str, dict[CellKey, PairSums]] = {}
        for unit, cells in counted.items():
            into = of_arm.setdefault(arms[unit], {})
            for key, sums in cells.items():
                before = into.get(key)
                into[key] = sums if before is None else before + sums
        for arm, cells in of_arm.items():
            for key, sums in cells.items():
                into = self._place(key.arrival_slot)
                mine = key._replace(arm=arm)
                before = into.get(mine)
                into[mine] = sums if before is None else before + sums

    def _place(self, arrival: int) -> dict[CellKey, PairSums]:
        if arrival < OPEN:
            return self._arriving
        return self._ages if arrival == AGES else self._open

    def weights(self) -> dict[int, tuple[float, ...]]:
        """Give the shares of the only phase."""
        return {1: self.shares}

    def totals(self) -> tuple[Totals, int]:
        """Give what closed cells came to."""
        return self._kept, self._closed_until

    def cells(self, closed_until: int) -> Cells:
        """Give the open cells, and forget those that are closed: a log has no late corrections."""
        self._arriving = {
            key: sums
            for key, sums in self._arriving.items()
            if key.arrival_slot >= day_of(closed_until)
            and (key.arrival_span != 1 or key.arrival_slot >= closed_until)
        }
        return self._arriving | self._open

    def ages(self, goal: str) -> list[Age]:
        """Give the counts of labels' ages."""
        return [
            (key.arrival_span, key.exposure_slot, key.phase, key.arm, key.metric, sums.n)
            for key, sums in self._ages.items()
            if key.metric != goal
        ]

    def aged_goals(self, goal: str, *, newest: int, oldest: int) -> list[AgedGoal]:
        """Give the goal by the age of its labels."""
        return [
            AgedGoal(key.phase, key.exposure_slot, key.arm, sums)
            for key, sums in self._ages.items()
            if key.metric == goal and key.exposure_slot <= newest and key.arrival_span <= oldest
        ]

    def keep(self, totals: Totals, until: int) -> None:
        """Keep what closed cells came to."""
        self._kept, self._closed_until = totals, until
