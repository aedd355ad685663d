"""How unusual a value is in its column, on one scale for numbers, words, flags and what is missing.

The scale is that of a normal variable: a number is where its rank in the reference would lie, in
standard deviations; a word, a flag or a missing value is as far out as the share of the reference
that is as rare. A column's scale is read from its counts, so nothing but the profile is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from timonel.stats.profiles.cells import NumberCells, ValueCells, WordCells, is_missing
from timonel.stats.profiles.packing import FloatArray, IntArray
from timonel.stats.profiles.profile import ColumnProfile

STEPS = 64
"""Of a standard deviation: whole numbers, so that sums of them are the same in any order."""
MOST = 8 * STEPS
_FINE, _COARSE = 0.25, 0.5
_TAIL = 0.25
"""Shape of the generalised Pareto distribution that stands for the tails: between exponential (0)
and so heavy that there is no variance (0.5)."""
_NORMAL = NormalDist()


@dataclass(frozen=True, eq=False)
class NumberScale:
    """A step function of numbers.

    Parameters
    ----------
    cuts : ndarray of float
        Ascending.
    steps : ndarray of int
        One more: of a value at or under the first cut, the second, ..., above the last.
    missing : int
        Of NaN.
    """

    cuts: FloatArray
    steps: IntArray
    missing: int

    def of(self, values: FloatArray) -> IntArray:
        """Give the steps of numbers, NaN for the missing."""
        found = self.steps[self.cuts.searchsorted(values)]
        return np.where(np.isnan(values), self.missing, found)


@dataclass(frozen=True, eq=False)
class WordScale:
    """The steps of words; ``by_cell`` for those that the profile counts together."""

    cells: WordCells
    by_cell: list[int]
    by_word: dict[Any, int]

    def of(self, values: Sequence[Any]) -> IntArray:
        """Give the steps of words, None for the missing."""
        known = self.by_word.get
        found = [step if (step := known(v)) is not None else self._other(v) for v in values]
        return np.array(found, np.int64)

    def _other(self, value: Any) -> int:
        if is_missing(value):
            return self.by_word[None]
        return self.by_cell[self.cells.place(str(value))]


Scale = NumberScale | WordScale


def scale_of(column: ColumnProfile) -> Scale | None:
    """Read a column's scale; None for texts, moments, and a column without a value."""
    cells, counts = column.cells, column.counts
    if column.kind in ("text", "timestamp") or not counts[:-1].any():
        return None
    n, n_missing = int(counts.sum()), int(counts[-1])
    missing = _step(_rare((n_missing + 0.5) / (n + 1)))
    if isinstance(cells, WordCells):
        steps = _by_rarity(counts[:-1])
        known = dict(zip(cells.words, steps, strict=False))
        return WordScale(cells, steps, {**known, None: missing})
    if isinstance(cells, ValueCells):
        *each, unseen = _by_rarity(counts[:-1])
        cuts = np.stack([np.nextafter(cells.values, -np.inf), cells.values], axis=1).ravel()
        steps = [unseen, *(step for one in each for step in (one, unseen))]
        return NumberScale(cuts, np.array(steps, np.int64), missing)
    if isinstance(cells, NumberCells) and len(cells.edges):
        return _by_rank(column, cells, missing)
    return None


def _step(z: float) -> int:
    return round(max(-MOST, min(MOST, z * STEPS)))


def _rare(share: float) -> float:
    """Give how far out what is as rare lies, on both sides together."""
    return _NORMAL.inv_cdf(1.0 - max(share, 1e-15) / 2)


def _by_rarity(counts: IntArray) -> list[int]:
    """Give each cell's steps: by the share of all that is in cells no fuller, half its equals."""
    each, inverse = np.unique(counts, return_inverse=True)
    together = np.bincount(inverse, counts, minlength=len(each))
    upto = np.cumsum(together) - together / 2
    shares = (upto[inverse] + 0.5) / (counts.sum() + 1)
    return [_step(_rare(share)) for share in shares.tolist()]


def _by_rank(column: ColumnProfile, cells: NumberCells, missing: int) -> NumberScale:
    counts, edges = column.counts[:-1], cells.edges
    total = int(counts.sum())
    upto = np.cumsum(counts)
    middle = [_z(share) for share in ((upto - counts / 2) / total).tolist()]
    kept, begun = [0], 1
    for at in range(1, len(edges)):
        if at == len(edges) - 1 or middle[at + 1] - middle[begun] >= _FINE:
            kept.append(at)
            begun = at + 1
    ends = upto[kept]
    inner = [_z(share) for share in ((ends[1:] + ends[:-1]) / 2 / total).tolist()]
    low, high = _excesses(column, cells)
    below, above = (max(n, 0.5) / (total + 1) for n in (counts[0], counts[-1]))
    reach, tail_low = _tail(below, low)
    climb, tail_high = _tail(above, high)
    cuts = np.concatenate([edges[0] - reach[::-1], edges[kept], edges[-1] + climb])
    steps = np.array([*(-z for z in tail_low[::-1]), *inner, *tail_high])
    # beyond what a float holds there are no values to cut
    first = np.count_nonzero(cuts == -np.inf)
    last = len(cuts) - np.count_nonzero(cuts == np.inf)
    whole = np.array([_step(z) for z in steps.tolist()], np.int64)
    return NumberScale(cuts[first:last], whole[first : last + 1], missing)


def _z(share: float) -> float:
    return _NORMAL.inv_cdf(min(max(share, 1e-15), 1 - 1e-15))


def _excesses(column: ColumnProfile, cells: NumberCells) -> tuple[float, float]:
    """Give how far values beyond the outer cut points lie from them, on average."""
    edges, ends, counts = cells.edges, column.ends, column.counts
    usual = float((edges[-1] - edges[0]) / len(edges)) or cells.step or 1.0
    found = [0.0, 0.0]
    if ends is not None and np.isfinite(usual):
        for side, (n, steps) in enumerate(((counts[0], ends.below), (counts[-2], ends.above))):
            if n:
                mean = cells.offset + steps * cells.step / float(n)
                found[side] = abs(mean - float(edges[-side]))
    return (found[0] or usual), (found[1] or usual)


def _tail(share: float, excess: float) -> tuple[FloatArray, list[float]]:
    """Cut a tail: how far beyond the cut point the values of each step begin, and the steps.

    Parameters
    ----------
    share : float
        Of the reference that lies beyond.
    excess : float
        How far, on average.

    Notes
    -----
    ``P(beyond x) = share (1 + s x / ((1 - s) excess)) ** (-1 / s)``, s the shape: J. Pickands,
    1975, Annals of Statistics 3, 119-131.
    """
    begins = _NORMAL.inv_cdf(1.0 - share)
    bounds = np.arange(begins + _COARSE, MOST / STEPS, _COARSE)
    rarer = np.array([share / (1.0 - _NORMAL.cdf(z)) for z in bounds.tolist()])
    with np.errstate(over="ignore"):
        reach = excess * (1 - _TAIL) / _TAIL * (rarer**_TAIL - 1.0)
    middles = np.array([begins, *bounds]) + _COARSE / 2
    return reach, middles.tolist()
