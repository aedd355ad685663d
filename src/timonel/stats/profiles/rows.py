"""Counting by the batch: the drain's way into a profile's cells."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from timonel.stats.profiles.cells import Cells, Column, Ends, Tally
from timonel.stats.profiles.packing import FloatArray
from timonel.stats.profiles.profile import CountsJson, Profile, counts_json
from timonel.stats.profiles.stacked import Stack, stackable

_BATCH = 2_048
_UNREADABLE = (TypeError, ValueError, OverflowError)


class Totals:
    """The counts of a window as they grow: adding to them writes and reads no document."""

    __slots__ = ("_tallies", "n")

    def __init__(self) -> None:
        self.n = 0
        self._tallies: dict[str, Tally] = {}

    @classmethod
    def of(cls, profile: Profile, counts: Mapping[str, Any]) -> "Totals":
        """Read what ``counts`` gave; raises as ``Profile.with_counts`` does."""
        filled = profile.with_counts(counts)
        totals = cls()
        totals.n = filled.n
        totals._tallies = {c.name: Tally(c.counts, c.ends) for c in filled.columns.values()}
        return totals

    def keep(self, name: str, tally: Tally) -> None:
        """Add what was counted of a column."""
        before = self._tallies.get(name)
        if before is not None:
            ends = tally.ends
            if before.ends is not None:
                ends = before.ends + (ends or Ends())
            tally = Tally(before.counts + tally.counts, ends)
        self._tallies[name] = tally

    def add(self, other: "Totals") -> None:
        """Add the counts of other rows in the same cells, which stay as they are."""
        self.n += other.n
        for name, tally in other._tallies.items():
            self.keep(name, tally)

    def counts(self) -> CountsJson:
        """Give them zero-suppressed."""
        return counts_json(self.n, self._tallies)


class RowCounter:
    """Collects rows and counts them by the batch and column, which is what makes a row cheap.

    Not safe to share between threads. The counts depend on the rows alone, never on their order
    or on where batches end.

    Parameters
    ----------
    profile : Profile
        Its cells are counted on; its own counts do not matter.
    """

    __slots__ = ("_names", "_numbers", "_others", "_rows", "_stack", "_totals")

    def __init__(self, profile: Profile) -> None:
        self._names = profile.names
        cells = [column.cells for column in profile.columns.values()]
        numbers = {at: each for at, each in enumerate(cells) if stackable(each)}
        self._numbers = tuple(numbers)
        self._stack = Stack(tuple(numbers.values()))
        self._others = [(at, each) for at, each in enumerate(cells) if at not in numbers]
        self._rows: list[Sequence[Any]] = []
        self._totals = Totals()

    def __len__(self) -> int:
        return self._totals.n + len(self._rows)

    def add(self, values: Sequence[float | str | bool | None]) -> None:
        """Take one row, in the order of ``Profile.names``; kept until the batch is counted.

        Raises
        ------
        ValueError
            If it has more or fewer values than the profile has columns.
        """
        self.extend((values,))

    def extend(self, rows: Iterable[Sequence[float | str | bool | None]]) -> None:
        """Take rows; raises as ``add`` does, and then has taken those before."""
        n_columns = len(self._names)
        for values in rows:
            if len(values) != n_columns:
                message = f"a row of {len(values)} values for {n_columns} columns"
                raise ValueError(message)
            self._rows.append(values)
            if len(self._rows) >= _BATCH:
                self._count()

    def extend_columns(self, columns: Sequence[Sequence[float | str | bool | None]]) -> None:
        """Take rows that stand in columns already, which saves turning them.

        Parameters
        ----------
        columns : sequence of sequences, equally long
            In the order of ``Profile.names``, at least one.

        Raises
        ------
        ValueError
            If there are more or fewer columns than the profile has, or their lengths differ.
        """
        if len(columns) != len(self._names):
            message = f"{len(columns)} columns, the profile has {len(self._names)}"
            raise ValueError(message)
        sizes = set(map(len, columns))
        if len(sizes) != 1:
            message = f"columns of different lengths: {sorted(sizes)}"
            raise ValueError(message)
        self._count_columns(columns, sizes.pop())

    def take(self) -> CountsJson:
        """Give the counts of all rows since the last ``take``, zero-suppressed, and forget them."""
        return self.take_totals().counts()

    def take_totals(self) -> Totals:
        """Give them as ``take`` does, to be added to others."""
        self._count()
        taken = self._totals
        self.clear()
        return taken

    def clear(self) -> None:
        """Forget what was added."""
        self._rows, self._totals = [], Totals()

    def _count(self) -> None:
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        self._count_columns(list(zip(*rows, strict=True)), len(rows))

    def _count_columns(self, columns: Sequence[Sequence[Any]], n_rows: int) -> None:
        self._totals.n += n_rows
        if self._numbers:
            table = np.empty((len(self._numbers), n_rows))
            for numbers, at in zip(table, self._numbers, strict=True):
                numbers[:] = numbers_of(columns[at])
            for at, tally in zip(self._numbers, self._stack.tally(table), strict=True):
                self._keep(at, tally)
        for at, cells in self._others:
            self._keep(at, _tally(cells, columns[at]))

    def _keep(self, at: int, tally: Tally) -> None:
        self._totals.keep(self._names[at], tally)


def numbers_of(values: Sequence[Any]) -> FloatArray:
    """Give a column as numbers, shape (n_rows,); what is none is missing."""
    try:
        # of a batch half the time of np.array, which looks at every value twice
        return np.fromiter(values, np.float64, len(values))
    except _UNREADABLE:
        return np.array([_number(value) for value in values], dtype=np.float64)


def _tally(cells: Cells, values: Column) -> Tally:
    try:
        return cells.tally(values)
    except _UNREADABLE:
        # one value that is no number must not lose the batch: it counts as missing, which is seen
        read = _length if cells.kind == "text" else _number
        return cells.tally([read(value) for value in values])


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except _UNREADABLE:
        return None


def _length(value: Any) -> str | None:
    return value if isinstance(value, str) else None
