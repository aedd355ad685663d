"""Distances of two columns from their counts; ``two_sample`` has those of raw values."""

from collections.abc import Sequence
from math import isfinite

import numpy as np
from scipy.special import rel_entr

from timonel.stats.profiles.cells import Cells, Ends, NumberCells, ValueCells
from timonel.stats.profiles.packing import FloatArray, IntArray
from timonel.stats.profiles.stacked import Joined

_LEAST_SHARE = 1e-4


Shares = tuple[FloatArray, FloatArray]
"""Of the reference and of the current sample, in the same cells."""


def psi_shares(reference: FloatArray, current: FloatArray) -> float:
    """Give the population stability index of two vectors of shares, in nats.

    An empty bin counts as a share of 1e-4.
    """
    return psi_each([(reference, current)])[0]


def psi_each(columns: Sequence[Shares]) -> list[float]:
    """Give the index of several columns as ``psi_shares`` does of each, to the bit."""
    if not columns:
        return []
    there, now = (Joined(side) for side in zip(*columns, strict=True))
    p, q = np.maximum(there.flat, _LEAST_SHARE), np.maximum(now.flat, _LEAST_SHARE)
    found: list[float] = there.sums((q - p) * np.log(q / p)).tolist()
    return found


def jensen_shannon_shares(reference: FloatArray, current: FloatArray) -> float:
    """Give the Jensen-Shannon distance of two vectors of shares: the root of the divergence."""
    return jensen_shannon_each([(reference, current)])[0]


def jensen_shannon_each(columns: Sequence[Shares]) -> list[float]:
    """Give the distance of several columns as ``jensen_shannon_shares`` does each, to the bit."""
    if not columns:
        return []
    there, now = (Joined(side) for side in zip(*columns, strict=True))
    middle = (there.flat + now.flat) / 2
    # x log(x / y), and 0 where x is
    divergence = there.sums(rel_entr(there.flat, middle) + rel_entr(now.flat, middle)) / 2
    found: list[float] = np.sqrt(np.maximum(divergence, 0.0)).tolist()
    return found


def wasserstein_counts(
    cells: Cells, reference: IntArray, current: IntArray, ends: Ends | None, ends_now: Ends | None
) -> float | None:
    """Give the first Wasserstein distance of two counts in the same cells.

    Parameters
    ----------
    cells : Cells
    reference, current : ndarray of int
        By cell, the missing left out.
    ends, ends_now : Ends or None
        What lies beyond the outer cut points.

    Returns
    -------
    float or None
        In the column's unit; None for words, which have no order, where a side is empty, and
        where no float holds it.

    Notes
    -----
    The area between the distribution functions, taken as straight within a cell; beyond the outer
    cut points it is the difference of the sums, exact unless the functions cross there.
    """
    if isinstance(cells, ValueCells):
        reference, current = reference[:-1], current[:-1]
    if not isinstance(cells, NumberCells | ValueCells):
        return None
    n, m = int(reference.sum()), int(current.sum())
    if not (n and m):
        return None
    apart = (reference / n - current / m).cumsum()[:-1]
    with np.errstate(over="ignore", invalid="ignore"):
        if isinstance(cells, ValueCells):
            area = float(np.sum(np.abs(apart) * np.diff(cells.values)))
        elif len(cells.edges):
            area = float((_under(apart) * (cells.edges[1:] - cells.edges[:-1])).sum())
            there, now = (reference, n, ends or Ends()), (current, m, ends_now or Ends())
            for first in (True, False):
                area += abs(_beyond(cells, *there, first=first) - _beyond(cells, *now, first=first))
        else:
            return None
    return area if isfinite(area) else None


def _under(heights: FloatArray) -> FloatArray:
    """Integrate |the straight line from each height to the next| over a unit of width."""
    size = np.abs(heights)
    span = size[:-1] + size[1:]
    under: FloatArray = span / 2
    crosses = np.flatnonzero(heights[:-1] * heights[1:] < 0)
    if len(crosses):
        left, right = heights[crosses], heights[crosses + 1]
        under[crosses] = (left**2 + right**2) / (2 * span[crosses])
    return under


def _beyond(cells: NumberCells, counts: IntArray, n: int, ends: Ends, *, first: bool) -> float:
    """Sum the distances beyond an outer cut point, over all ``n`` values: its part of the area."""
    place, steps = (0, ends.below) if first else (-1, ends.above)
    to_cut = float(counts[place]) * (float(cells.edges[place]) - cells.offset)
    return abs(steps * cells.step - to_cut) / n
