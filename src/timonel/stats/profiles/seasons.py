"""What is usual of a season: how much more than chance a column moves in windows without drift.

Requests follow the hour and the weekday, and come in clusters; a reference of whole weeks knows
neither. So a window is measured against quiet windows of its own slot. Pure: windows come in as
figures, moments as local date and time.

Limit: drift that was there already in windows taken for quiet is usual from then on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf, sqrt
from statistics import fmean
from typing import NamedTuple

import numpy as np

from timonel.stats.profiles.packing import FloatArray

LEAST_A_SLOT = 4
MARGIN = 1.25
"""How far beyond the largest effect of a quiet window drift begins."""
_OVER_MEDIAN = 1.5
_DAY_H, _WEEK_H = 24, 168


@dataclass(frozen=True, slots=True)
class Scale:
    """What chance, season and clusters do to one column in one slot.

    Parameters
    ----------
    phi : float
        How much more than under chance alone a chi-square is; at least 1. A chi-square is divided
        by it, a KS distance by its root.
    effects : mapping of str to float
        The largest effect of the slot's quiet windows, by test.
    n_windows : int
        Quiet windows of the slot; 0: nothing was learned from any.
    typical : mapping of str to float
        The root mean square of those windows' effects, by test.
    """

    phi: float = 1.0
    effects: Mapping[str, float] = field(default_factory=dict)
    n_windows: int = 0
    typical: Mapping[str, float] = field(default_factory=dict)

    def freedom(self, dof: int) -> float:
        """Give the degrees of freedom behind phi, from those of each window's chi-square."""
        return float(dof * self.n_windows) if self.n_windows else inf

    def floor(self, test: str, least: float) -> float:
        """Give the effect that drift must exceed."""
        return max(least, MARGIN * self.effects.get(test, 0.0))


@dataclass(frozen=True, slots=True)
class Quiet:
    """What one column showed in one quiet window.

    Parameters
    ----------
    dispersion : float or None
        Its chi-square by degree of freedom, uncalibrated; None where nothing was tested.
    effects : mapping of str to float
        By test, uncalibrated.
    """

    dispersion: float | None
    effects: Mapping[str, float]


def slot_of(start: datetime, span_h: int) -> int:
    """Give the slot of a window: the hour of the week under a day, the weekday for days.

    Parameters
    ----------
    start : datetime
        In local time. Where clocks are set back, two windows share a slot; where they are set
        forward, one slot is passed over that week.
    span_h : int
        Nominal length. Weeks and longer have one slot, 0.

    Examples
    --------
    >>> slot_of(datetime(2026, 4, 5, 23), 1)  # a Sunday, its last hour
    167
    """
    if span_h >= _WEEK_H:
        return 0
    return start.weekday() if span_h >= _DAY_H else start.weekday() * _DAY_H + start.hour


class Spread(NamedTuple):
    """Mean and median of a column's dispersions in windows of all slots."""

    mean: float
    median: float


def spreads_of(dispersions: FloatArray) -> list[Spread | None]:
    """Describe the dispersions of many columns at once.

    Parameters
    ----------
    dispersions : ndarray, shape (n_windows, n_columns)
        NaN where a window does not count, or nothing was tested.

    Returns
    -------
    list
        By column; None where there is no dispersion.

    Examples
    --------
    >>> spreads_of(np.array([[1.0, np.nan], [2.0, np.nan], [6.0, np.nan]]))
    [Spread(mean=3.0, median=2.0), None]
    """
    # in order of size, sums are the same whatever the order of the windows; NaN stands last
    ordered = np.sort(np.ascontiguousarray(dispersions.T), axis=1)
    counts = (ordered.shape[1] - np.isnan(ordered).sum(axis=1)).tolist()
    found: list[Spread | None] = []
    for column, n in zip(ordered, counts, strict=True):
        middle = column[(n - 1) // 2 : n // 2 + 1]
        mean_median = (float(part.sum()) / max(1, len(part)) for part in (column[:n], middle))
        found.append(Spread(*mean_median) if n else None)
    return found


def scale_of(slot: Sequence[Quiet], every: Spread | None) -> Scale | None:
    """Learn from quiet windows of the same length.

    Parameters
    ----------
    slot : sequence of Quiet
        Those of the slot.
    every : Spread or None
        Of all quiet windows, whatever their slot.

    Returns
    -------
    Scale or None
        None under four windows of the slot.

    Notes
    -----
    ``phi = max(1, mean of the slot, min(mean of all, 1.5 x median of all))``. A chi-square over
    its degrees of freedom estimates the variance that clusters add (J. N. K. Rao and A. J. Scott,
    1984, Annals of Statistics 12, 46-60: the first-order correction). That of all windows keeps a
    slot of few windows from being called calm by luck; its median keeps one wild week out of it.
    """
    if len(slot) < LEAST_A_SLOT:
        return None
    mine = [window.dispersion for window in slot if window.dispersion is not None]
    phi = max(1.0, fmean(mine)) if mine else 1.0
    if every is not None:
        phi = max(phi, min(every.mean, _OVER_MEDIAN * every.median))
    effects: dict[str, float] = {}
    squares: dict[str, float] = {}
    for window in slot:
        for test, effect in window.effects.items():
            effects[test] = max(effects.get(test, 0.0), effect)
            squares[test] = squares.get(test, 0.0) + effect**2
    # where a test was not made there was nothing to differ
    typical = {test: sqrt(total / len(slot)) for test, total in squares.items()}
    return Scale(phi, effects, len(slot), typical)
