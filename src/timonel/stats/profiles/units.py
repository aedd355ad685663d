"""Does another unit explain how a column moved? Asked of a column that drifted, from counts alone.

If the window holds the reference's numbers in another unit, its distribution function at every cut
point ``e`` is the reference's at ``(e - shift) / factor``. Only the conversions of ``KNOWN`` are
tried, and one is named only if it fits *and* factors near it do not: on a wide distribution
"doubled" and "kilograms in pounds" look alike, and then nothing is said.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np

from timonel.stats.profiles.cells import Ends, NumberCells
from timonel.stats.profiles.packing import FloatArray, IntArray

FAR_BETTER = 4.0
"""How many times nearer the converted reference must lie than the reference as it is."""
NEAR, NEAR_POWER_OF_TEN = 1.08, 1.5
"""Neighbouring factors that must not fit: the wider for powers of ten, which no world moves by."""
_LEAST_FIT = 0.03
_CRITICAL = 1.628  # Kolmogorov's at 1 %
_SLACK = 0.002  # figures are rounded after they are converted
_OF_A_SD = 0.4  # a shift of one sd moves a normal distribution function by 0.4, at most
_TEN = 9.99


@dataclass(frozen=True, slots=True)
class UnitChange:
    """A conversion: ``now = factor * before + shift``.

    Parameters
    ----------
    now, before : str or None
        Symbols of the units; None where only the factor is known.
    """

    factor: float
    shift: float = 0.0
    now: str | None = None
    before: str | None = None


KNOWN = (
    UnitChange(2.54, now="cm", before="inch"),
    UnitChange(1 / 2.54, now="inch", before="cm"),
    UnitChange(0.45359237, now="kg", before="lb"),
    UnitChange(1 / 0.45359237, now="lb", before="kg"),
    UnitChange(1.8, 32.0, now="°F", before="°C"),
    UnitChange(1 / 1.8, -32 / 1.8, now="°C", before="°F"),
    *(UnitChange(factor) for factor in (10.0, 100.0, 1000.0, 0.1, 0.01, 0.001)),
)


def unit_change(
    cells: NumberCells, reference: IntArray, current: IntArray, ends: Ends, ends_now: Ends
) -> UnitChange | None:
    """Name the conversion that explains how a window differs from its reference.

    Parameters
    ----------
    cells : NumberCells
    reference, current : ndarray of int
        By cell, the missing left out; neither is empty.
    ends, ends_now : Ends
        What lies beyond the outer cut points.

    Returns
    -------
    UnitChange or None
        None where none fits; where a factor that is 8 % off (powers of ten: half as much again),
        or another conversion, fits as well; and where the reference does not vary.

    Notes
    -----
    The misfit of a conversion is the KS distance over the cut points and the window's extremes.
    Beyond the outer cut points only sums are known, so the share of rows there also counts by how
    far the window's mean is from the converted one, in converted standard deviations times 0.4.
    A window beyond them of another shape, but of the very mean, is taken for a conversion.
    """
    if len(cells.edges) < 2:
        return None
    there = Curve.of(cells, reference, ends)
    now = Curve.of(cells, current, ends_now)
    if not (there.sd > 0.0 and isfinite(there.sd) and isfinite(now.mean)):
        return None
    n, m = int(reference.sum()), int(current.sum())
    critical = _CRITICAL * sqrt((n + m) / (n * m))
    fit, best = min(((_misfit(there, now, each), each) for each in KNOWN), key=lambda pair: pair[0])
    fits = fit <= max(_LEAST_FIT, critical)
    if not fits or FAR_BETTER * fit > _misfit(there, now, UnitChange(1.0)):
        return None
    worse = max(critical, 2 * fit)
    others = _others(best, there, now)
    return best if all(_misfit(there, now, other) > worse for other in others) else None


def _others(change: UnitChange, there: "Curve", now: "Curve") -> Iterator[UnitChange]:
    """Give what must not fit as well: neighbours, other conversions, for °F and °C any factor."""
    power = change.factor > _TEN or change.factor < 1 / _TEN
    near = NEAR_POWER_OF_TEN if power else NEAR
    for factor in (change.factor * near, change.factor / near):
        yield UnitChange(factor, change.shift)
    yield from (known for known in KNOWN if known is not change)
    if change.shift and now.mean * there.mean > 0.0:
        yield UnitChange(now.mean / there.mean)


@dataclass(frozen=True, slots=True)
class Curve:
    """A distribution function at some points, straight between them, and its first two moments.

    Parameters
    ----------
    points, upto : ndarray
        Cut points with the extremes around them, and the share of values up to each.
    outside : float
        The share of values beyond the outer cut points.
    """

    points: FloatArray
    upto: FloatArray
    mean: float
    sd: float
    outside: float

    @classmethod
    def of(cls, cells: NumberCells, counts: IntArray, ends: Ends) -> "Curve":
        """Read counts by cell, the missing left out; at least one value."""
        edges, total = cells.edges, float(counts.sum())
        points, upto = distribution(cells, counts, ends)
        middles = np.concatenate([[edges[0]], (edges[1:] + edges[:-1]) / 2, [edges[-1]]])
        for place, steps in ((0, ends.below), (-1, ends.above)):
            if counts[place]:
                middles[place] = cells.offset + steps * cells.step / float(counts[place])
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(np.sum(counts * middles) / total)
            sd = float(np.sqrt(np.sum(counts * (middles - mean) ** 2) / total))
        outside = float(counts[0] + counts[-1]) / total
        return cls(points, upto, mean, sd, outside)

    def below(self, at: FloatArray) -> FloatArray:
        """Give the share of values up to some points."""
        return np.interp(at, self.points, self.upto)


def distribution(
    cells: NumberCells, counts: IntArray, ends: Ends | None
) -> tuple[FloatArray, FloatArray]:
    """Give the cut points with the extremes around them, and the share of values up to each.

    Parameters
    ----------
    cells : NumberCells
        With a cut point at least.
    counts : ndarray of int
        By cell, the missing left out; at least one value.
    ends : Ends or None
    """
    edges, ends = cells.edges, ends or Ends()
    low = edges[0] if ends.low is None else min(ends.low, edges[0])
    high = edges[-1] if ends.high is None else max(ends.high, edges[-1])
    low = np.nextafter(low, -np.inf)  # nothing lies at or under it
    upto = np.concatenate([[0.0], np.cumsum(counts) / float(counts.sum())])
    return np.concatenate([[low], edges, [high]]), upto


def _misfit(there: Curve, now: Curve, change: UnitChange) -> float:
    """Say how far the window lies from the converted reference; 0: it is the same."""
    asked = (now.points - change.shift) / change.factor
    slack = _SLACK * np.abs(asked)
    least, most = there.below(asked - slack), there.below(asked + slack)
    apart = float(np.max(np.maximum(least - now.upto, now.upto - most)))
    off = abs(now.mean - change.factor * there.mean - change.shift)
    return max(0.0, apart, now.outside * _OF_A_SD * off / (change.factor * there.sd))
