"""Distances of two columns from their counts; ``two_sample`` has those of raw values."""

from math import isfinite, sqrt

import numpy as np

from timonel.stats.profiles.cells import Cells, Ends, NumberCells, ValueCells
from timonel.stats.profiles.packing import FloatArray, IntArray

_LEAST_SHARE = 1e-4


def psi_shares(reference: FloatArray, current: FloatArray) -> float:
    """Give the population stability index of two vectors of shares, in nats.

    An empty bin counts as a share of 1e-4.
    """
    p, q = np.maximum(reference, _LEAST_SHARE), np.maximum(current, _LEAST_SHARE)
    return float(np.sum((q - p) * np.log(q / p)))


def jensen_shannon_shares(reference: FloatArray, current: FloatArray) -> float:
    """Give the Jensen-Shannon distance of two vectors of shares: the root of the divergence."""
    middle = (reference + current) / 2
    divergence = 0.0
    for side in (reference, current):
        there = side > 0
        divergence += float(np.sum(side[there] * np.log(side[there] / middle[there]))) / 2
    return sqrt(max(0.0, divergence))


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
    if not isinstance(cells, NumberCells | ValueCells) or not (reference.sum() and current.sum()):
        return None
    apart = np.cumsum(reference / reference.sum() - current / current.sum())[:-1]
    with np.errstate(over="ignore", invalid="ignore"):
        if isinstance(cells, ValueCells):
            area = float(np.sum(np.abs(apart) * np.diff(cells.values)))
        elif len(cells.edges):
            area = float(np.sum(_under(apart[:-1], apart[1:]) * np.diff(cells.edges)))
            there, now = (reference, ends or Ends()), (current, ends_now or Ends())
            for first in (True, False):
                area += abs(_beyond(cells, *there, first=first) - _beyond(cells, *now, first=first))
        else:
            return None
    return area if isfinite(area) else None


def _under(left: FloatArray, right: FloatArray) -> FloatArray:
    """Integrate |the straight line from left to right| over a unit of width."""
    crosses = left * right < 0
    span = np.where(crosses, np.abs(left) + np.abs(right), 1.0)
    return np.where(crosses, (left**2 + right**2) / (2 * span), np.abs(left + right) / 2)


def _beyond(cells: NumberCells, counts: IntArray, ends: Ends, *, first: bool) -> float:
    """Sum the distances beyond an outer cut point, over all values: its part of the area."""
    place, steps = (0, ends.below) if first else (-1, ends.above)
    to_cut = float(counts[place]) * (float(cells.edges[place]) - cells.offset)
    return abs(steps * cells.step - to_cut) / float(counts.sum())
