"""Counting row by row: the drain's way into a profile's cells."""

from collections.abc import Sequence
from typing import Any

from timonel.stats.profiles.cells import Cells, Column, Tally
from timonel.stats.profiles.profile import CountsJson, Profile, counts_json

_BATCH = 2_048
_UNREADABLE = (TypeError, ValueError, OverflowError)


class RowCounter:
    """Collects rows and counts them by the batch, which is what makes a row cheap.

    Not safe to share between threads. The counts depend on the rows alone, never on their order
    or on where batches end.

    Parameters
    ----------
    profile : Profile
        Its cells are counted on; its own counts do not matter.
    """

    __slots__ = ("_cells", "_n", "_rows", "_tallies")

    def __init__(self, profile: Profile) -> None:
        self._cells = {name: column.cells for name, column in profile.columns.items()}
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
        if len(values) != len(self._cells):
            message = f"a row of {len(values)} values for {len(self._cells)} columns"
            raise ValueError(message)
        self._rows.append(values)
        if len(self._rows) >= _BATCH:
            self._count()

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
        self._n += len(self._rows)
        columns = zip(*self._rows, strict=True)
        for (name, cells), values in zip(self._cells.items(), columns, strict=True):
            tally, before = _tally(cells, values), self._tallies.get(name)
            if before is not None:
                ends = before.ends + tally.ends if before.ends and tally.ends else tally.ends
                tally = Tally(before.counts + tally.counts, ends)
            self._tallies[name] = tally
        self._rows = []


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
