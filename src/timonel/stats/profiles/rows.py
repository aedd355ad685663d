"""Counting by the batch: the drain's way into a profile's cells."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from timonel.stats.profiles.cells import Cells, Column, Tally
from timonel.stats.profiles.packing import FloatArray
from timonel.stats.profiles.profile import CountsJson, Profile, counts_json
from timonel.stats.profiles.stacked import Stack, stackable

_BATCH = 2_048
_UNREADABLE = (TypeError, ValueError, OverflowError)


class RowCounter:
    """Collects rows and counts them by the batch and column, which is what makes a row cheap.

    Not safe to share between threads. The counts depend on the rows alone, never on their order
    or on where batches end.

    Parameters
    ----------
    profile : Profile
        Its cells are counted on; its own counts do not matter.
    """

    __slots__ = ("_n", "_names", "_numbers", "_others", "_rows", "_stack", "_tallies")

    def __init__(self, profile: Profile) -> None:
        self._names = profile.names
        cells = [column.cells for column in profile.columns.values()]
        numbers = {at: each for at, each in enumerate(cells) if stackable(each)}
        self._numbers = tuple(numbers)
        self._stack = Stack(tuple(numbers.values()))
        self._others = [(at, each) for at, each in enumerate(cells) if at not in numbers]
        self._rows: list[Sequence[Any]] = []
        self._tallies: dict[str, Tally] = {}
        self._n = 0

    def __len__(self) -> int:
        return self._n + len(self._rows)

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
        self._count()
        taken = counts_json(self._n, self._tallies)
        self.clear()
        return taken

    def clear(self) -> None:
        """Forget what was added."""
        self._rows, self._tallies, self._n = [], {}, 0

    def _count(self) -> None:
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        self._count_columns(list(zip(*rows, strict=True)), len(rows))

    def _count_columns(self, columns: Sequence[Sequence[Any]], n_rows: int) -> None:
        self._n += n_rows
        if self._numbers:
            table = np.empty((len(self._numbers), n_rows))
            for numbers, at in zip(table, self._numbers, strict=True):
                numbers[:] = numbers_of(columns[at])
            for at, tally in zip(self._numbers, self._stack.tally(table), strict=True):
                self._keep(at, tally)
        for at, cells in self._others:
            self._keep(at, _tally(cells, columns[at]))

    def _keep(self, at: int, tally: Tally) -> None:
        name = self._names[at]
        before = self._tallies.get(name)
        if before is not None:
            ends = before.ends + tally.ends if before.ends and tally.ends else tally.ends
            tally = Tally(before.counts + tally.counts, ends)
        self._tallies[name] = tally


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
