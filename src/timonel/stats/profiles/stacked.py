"""Many columns of numbers counted together: what numpy asks for a call is paid once, not by column.

The counts are those of `NumberCells.tally` and `ValueCells.tally`, bit for bit; these stay what a
single column is counted by. Counts of any columns are tested together by `Joined`.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from timonel.stats.profiles.cells import (
    MOST_STEPS,
    STEPS,
    Cells,
    Ends,
    NumberCells,
    Tally,
    ValueCells,
)
from timonel.stats.profiles.packing import FloatArray, IntArray


class Joined:
    """Vectors of any lengths, one for each column, end to end.

    Parameters
    ----------
    vectors : sequence of ndarray
        At least one; an empty one stands as a single 0.
    """

    __slots__ = ("_sizes", "_starts", "flat")

    def __init__(self, vectors: Sequence[IntArray] | Sequence[FloatArray]) -> None:
        filled = [each if len(each) else _ZERO for each in vectors]
        self.flat: NDArray[Any] = np.concatenate(filled)
        self._sizes = np.fromiter(map(len, filled), np.int64, len(filled))
        self._starts = self._sizes.cumsum() - self._sizes

    def sums(self, flat: NDArray[Any]) -> NDArray[Any]:
        """Add up the values of each column, one after the other."""
        return np.asarray(np.add.reduceat(flat, self._starts))

    def most(self, flat: FloatArray) -> FloatArray:
        """Give the greatest value of each column."""
        return np.asarray(np.maximum.reduceat(flat, self._starts))

    def each(self, of_columns: IntArray | FloatArray) -> FloatArray:
        """Give every place its column's number."""
        return np.asarray(of_columns.repeat(self._sizes), np.float64)

    def upto(self, flat: IntArray) -> IntArray:
        """Add up the counts of each column to every place, that place included."""
        sums = flat.cumsum()
        before = np.append(0, sums)[self._starts]
        found: IntArray = sums - before.repeat(self._sizes)
        return found


def stackable(cells: Cells) -> TypeGuard[NumberCells | ValueCells]:
    """Say whether a column with these cells can stand in a stack.

    Texts are measured first, and flags are counted faster than they are read as numbers.
    """
    return isinstance(cells, NumberCells | ValueCells) and cells.kind not in ("text", "flag")


class Stack:
    """Cells of several columns of numbers, cut by one sort.

    Parameters
    ----------
    columns : sequence of cells
        Each `stackable`.
    """

    __slots__ = ("_cuts", "_exponents", "_offsets", "_ranges", "columns")

    def __init__(self, columns: Sequence[NumberCells | ValueCells]) -> None:
        self.columns = tuple(columns)
        self._cuts = [_cuts(cells) for cells in columns]
        self._ranges = [at for at, c in enumerate(columns) if isinstance(c, NumberCells)]
        ranges = [cells for cells in columns if isinstance(cells, NumberCells)]
        self._offsets = np.array([cells.offset for cells in ranges])
        self._exponents = np.array([cells.exponent for cells in ranges], np.int64)

    def tally(self, table: FloatArray) -> list[Tally]:
        """Count values, shape (n_columns, n_rows), NaN where one is missing; one each column."""
        ordered = np.sort(table, axis=1)
        present = ordered.shape[1] - np.isnan(ordered).sum(axis=1)
        upto = [
            row[:n].searchsorted(cuts, side="right")
            for row, n, cuts in zip(ordered, present.tolist(), self._cuts, strict=True)
        ]
        counts = list(self._counts(upto, present, ordered.shape[1]))
        ends = dict(zip(self._ranges, self._ends(ordered, upto, present), strict=True))
        return [Tally(each, ends.get(at)) for at, each in enumerate(counts)]

    def _counts(self, upto: list[IntArray], present: IntArray, n_rows: int) -> Iterator[IntArray]:
        bounds: list[IntArray] = []
        for own, n in zip(upto, present.tolist(), strict=True):
            bounds += [_ZERO, own, np.array((n, n_rows))]
        # where one column's bounds end and the next one's begin, the difference is of no column
        flat = np.concatenate(bounds)
        between = flat[1:] - flat[:-1]
        start = 0
        for cells, own, n in zip(self.columns, upto, present.tolist(), strict=True):
            counts = between[start : start + len(own) + 2]
            start += len(own) + 3
            if isinstance(cells, ValueCells):
                known = counts[1:-2:2]
                counts = np.concatenate([known, (n - known.sum(), n_rows - n)])
            yield counts

    def _ends(self, ordered: FloatArray, upto: list[IntArray], present: IntArray) -> list[Ends]:
        if not self._ranges:
            return []
        ordered, present = ordered[self._ranges], present[self._ranges]
        start = (ordered == -np.inf).sum(axis=1)
        stop = present - (ordered == np.inf).sum(axis=1)
        outer = [
            (own[0], own[-1]) if len(own) else (n, n)
            for own, n in zip((upto[at] for at in self._ranges), stop.tolist(), strict=True)
        ]
        first, last = np.array(outer).T
        below = self._sums(ordered, start, first)
        above = self._sums(ordered, np.maximum(last, start), stop)
        return [
            Ends(float(row[a]), float(row[b - 1]), low, high) if b > a else Ends()
            for row, a, b, low, high in zip(
                ordered, start.tolist(), stop.tolist(), below, above, strict=True
            )
        ]

    def _sums(self, ordered: FloatArray, start: IntArray, stop: IntArray) -> list[int]:
        """Sum, by column, the steps of the values from one place to another."""
        sizes = np.maximum(stop - start, 0)
        parts = zip(ordered, start.tolist(), sizes.tolist(), strict=True)
        values = np.concatenate([numbers[at : at + size] for numbers, at, size in parts])
        row = np.repeat(np.arange(len(ordered)), sizes)
        with np.errstate(over="ignore"):
            apart = np.ldexp(values - self._offsets[row], -self._exponents[row])
            steps = np.clip(np.rint(apart * STEPS), -MOST_STEPS, MOST_STEPS).astype(np.int64)
        upto = np.concatenate([_ZERO, np.cumsum(steps)])
        found = upto[np.concatenate([_ZERO, np.cumsum(sizes)])]
        sums: list[int] = (found[1:] - found[:-1]).tolist()
        return sums


_ZERO = np.zeros(1, np.int64)


def _cuts(cells: NumberCells | ValueCells) -> FloatArray:
    """Give cut points, ascending; around a single value, those of it and of all below it."""
    if isinstance(cells, NumberCells):
        return cells.edges
    return np.stack([np.nextafter(cells.values, -np.inf), cells.values], axis=1).ravel()
