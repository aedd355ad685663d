"""Counts made in one set of cells, read in another: close, and exact where the cells agree."""

from typing import NamedTuple

import numpy as np

from timonel.stats.profiles.cells import (
    Cells,
    Ends,
    MomentCells,
    NumberCells,
    ValueCells,
    WordCells,
)
from timonel.stats.profiles.packing import FloatArray, IntArray
from timonel.stats.texts.cells import TextCells


class Aligned(NamedTuple):
    """Two counts in the same cells."""

    cells: Cells
    counts: IntArray
    other: IntArray


def aligned(
    cells: Cells, counts: IntArray, other: Cells, other_counts: IntArray, other_ends: Ends | None
) -> Aligned:
    """Put both sides' counts into the same cells.

    Parameters
    ----------
    cells, counts
        Of the reference.
    other, other_counts, other_ends
        Of another profile, fitted on rows of its own.

    Returns
    -------
    Aligned
        In ``cells``; in buckets of words, or by the lengths of texts, where ``other`` has only
        these.

    Raises
    ------
    ValueError
        If one is a column of words and the other one of numbers.
    """
    if isinstance(cells, MomentCells) and isinstance(other, MomentCells):
        return Aligned(cells, counts, other_counts)
    if isinstance(cells, TextCells) or isinstance(other, TextCells):
        return _texts(cells, counts, other, other_counts, other_ends)
    if isinstance(cells, WordCells) and isinstance(other, WordCells):
        return _words(cells, counts, other, other_counts)
    if isinstance(cells, NumberCells | ValueCells) and isinstance(other, NumberCells | ValueCells):
        moved = _numbers(cells, other, other_counts, other_ends or Ends())
        return Aligned(cells, counts, moved)
    raise _unlike(cells, other)


def _unlike(cells: Cells, other: Cells) -> ValueError:
    return ValueError(f"one profile counts {cells.kind}, the other {other.kind}")


def _texts(
    cells: Cells, counts: IntArray, other: Cells, other_counts: IntArray, ends: Ends | None
) -> Aligned:
    """Read texts in the same cells; those of another vocabulary by their length alone."""
    if cells.kind != "text" or other.kind != "text":
        raise _unlike(cells, other)
    lengths = other
    if isinstance(other, TextCells):
        lengths, found = other.lengths, other.lengths_in(other_counts)
    else:
        found = other_counts
    if not isinstance(cells, TextCells):
        return aligned(cells, counts, lengths, found, ends)
    by_length = aligned(cells.lengths, cells.lengths_in(counts), lengths, found, ends).other
    vector = cells.with_lengths(by_length)
    if isinstance(other, TextCells) and other.vocabulary.to_json() == cells.vocabulary.to_json():
        vector[cells.lengths.size - 1 : -1] = other_counts[other.lengths.size - 1 : -1]
    return Aligned(cells, counts, vector)


def _numbers(
    cells: NumberCells | ValueCells, other: NumberCells | ValueCells, counts: IntArray, ends: Ends
) -> IntArray:
    if isinstance(cells, NumberCells):
        known = counts[:-1] if isinstance(other, NumberCells) else counts[:-2]
        spread = _interpolated if isinstance(other, NumberCells) else _stepwise
        upto = spread(cells.edges, other, counts, ends)
        vector = np.diff(np.concatenate([[0], upto, [known.sum()]]))
        # where in the range a number lay that was never listed, nobody knows: the last cell
        vector[-1] += counts[:-1].sum() - known.sum()
        return np.concatenate([vector, counts[-1:]]).astype(np.int64)
    values, n_each = _points(other, counts, ends)
    vector = np.zeros(cells.size, np.int64)
    for place, value in enumerate(cells.values):
        vector[place] = n_each[values == value].sum()
    vector[-2] = counts[:-1].sum() - vector.sum()
    vector[-1] = counts[-1]
    return vector


def _interpolated(
    edges: FloatArray, other: NumberCells | ValueCells, counts: IntArray, ends: Ends
) -> IntArray:
    """Count the values up to each edge, taking them as evenly spread within a cell."""
    known = other.edges if isinstance(other, NumberCells) else other.values
    if len(known) == 0:
        return np.zeros(len(edges), np.int64)
    low = np.nextafter(known[0], -np.inf) if ends.low is None else ends.low
    high = np.nextafter(known[-1], np.inf) if ends.high is None else ends.high
    first = min(low, float(np.nextafter(known[0], -np.inf)))
    last = max(high, float(np.nextafter(known[-1], np.inf)))
    upto = np.concatenate([[0], np.cumsum(counts[:-1])])
    found = np.interp(edges, np.concatenate([[first], known, [last]]), upto)
    rounded: IntArray = np.floor(found + 0.5).astype(np.int64)
    return rounded


def _stepwise(
    edges: FloatArray, other: NumberCells | ValueCells, counts: IntArray, ends: Ends
) -> IntArray:
    values, n_each = _points(other, counts, ends)
    upto = np.concatenate([[0], np.cumsum(n_each)])
    found: IntArray = upto[np.searchsorted(values, edges, side="right")]
    return found


def _points(
    other: NumberCells | ValueCells, counts: IntArray, ends: Ends
) -> tuple[FloatArray, IntArray]:
    """Take each cell for its upper limit, the last one for the greatest value."""
    if isinstance(other, ValueCells):
        return other.values, counts[: len(other.values)]
    last = np.inf if ends.high is None else ends.high
    return np.concatenate([other.edges, [last]]), counts[:-1]


def _words(cells: WordCells, counts: IntArray, other: WordCells, other_counts: IntArray) -> Aligned:
    if other.complete:
        return Aligned(cells, counts, _moved(other, other_counts, cells))
    # what one side does not tell apart, neither can
    common = WordCells((), other.n_buckets)
    moved = _moved(cells, counts, common)
    return Aligned(common, moved, _moved(other, other_counts, common))


def _moved(cells: WordCells, counts: IntArray, to: WordCells) -> IntArray:
    """Put counts into other cells: exact, if those are of all words or have as many buckets."""
    moved = np.zeros(to.size, np.int64)
    for word, count in zip(cells.words, counts.tolist(), strict=False):
        moved[to.place(word)] += count
    if cells.n_buckets and cells.n_buckets == to.n_buckets:
        moved[len(to.words) : -2] += counts[len(cells.words) : -2]
    moved[-2:] += counts[-2:]
    return moved
