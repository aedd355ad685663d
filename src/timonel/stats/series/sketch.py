"""Many numbers as a few integers: exact sums, extremes, and counts in buckets of known width.

Buckets are cut at round decimal numbers: a decade has 160, none wider than 2.5 % of the numbers in
it. All is integer arithmetic on quantised values, so sketches of parts add up to the sketch of the
whole, bit for bit, in any order; and the decades' 1, 2 and 5 are edges, so that cumulative counts
at those are exact.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt

from timonel.stats.moments import PER_UNIT, ExactSums, quantise

WIDEST = 0.025
"""A quantile lies within this share of the number of its rank (and within a step of 1e-6)."""
MOST = 1e12
"""The greatest magnitude of a number: beyond it, its steps would have no 64 bits."""

_POWERS = tuple(10**power for power in range(20))


def upper_edge(q: int) -> int:
    """Give the upper edge, inclusive, of the bucket that a quantised value falls in.

    Examples
    --------
    >>> upper_edge(1_013_000), upper_edge(1_020_000), upper_edge(-1_013_000), upper_edge(7)
    (1020000, 1020000, -1000000, 7)
    """
    if q > 0:
        step = _step_above(q)
        return -(-q // step) * step
    step = _step_below(-q) if q else 1
    return -(-q // step * step)


def lower_edge(edge: int) -> int:
    """Give the lower edge, exclusive, of the bucket with this upper edge.

    Examples
    --------
    >>> lower_edge(1_020_000), lower_edge(1_000_000), lower_edge(-1_000_000)
    (1000000, 990000, -1020000)
    """
    if edge > 0:
        return edge - _step_above(edge)
    return edge - _step_below(-edge) if edge else 0


def _step_above(q: int) -> int:
    """Give the width of the buckets above ``decade``: of (1, 2], (2, 5], (5, 10] times it."""
    decade = _POWERS[max(0, bisect_left(_POWERS, q) - 1)]
    return _width(decade, q <= 2 * decade, q <= 5 * decade)


def _step_below(magnitude: int) -> int:
    """Give the width of the buckets of negative values: of [1, 2), [2, 5), [5, 10)."""
    decade = _POWERS[bisect_right(_POWERS, magnitude) - 1]
    return _width(decade, magnitude < 2 * decade, magnitude < 5 * decade)


def _width(decade: int, first: bool, second: bool) -> int:
    return max(1, decade // (50 if first else 20 if second else 10))


_NOTHING = ExactSums()


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is kept of some numbers.

    Parameters
    ----------
    sums : ExactSums
        In steps of 1e-6.
    low, high : int
        The least and the greatest, in steps; both 0 where there are none.
    counts : mapping of int to int
        How many fall in each bucket, by its upper edge.

    Examples
    --------
    >>> (Sketch.of([3.0, 1.0]) + Sketch.of([2.0])).quantile(0.5)
    1.975
    """

    sums: ExactSums = _NOTHING
    low: int = 0
    high: int = 0
    counts: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Iterable[float]) -> "Sketch":
        """Take finite numbers of at most ``MOST``."""
        steps = [quantise(value) for value in values]
        if not steps:
            return cls()
        counts: dict[int, int] = {}
        for q in steps:
            edge = upper_edge(q)
            counts[edge] = counts.get(edge, 0) + 1
        sums = ExactSums(len(steps), sum(steps), sum(q * q for q in steps))
        return cls(sums, min(steps), max(steps), counts)

    def __add__(self, other: "Sketch") -> "Sketch":
        if not self.sums.n or not other.sums.n:
            return self if self.sums.n else other
        counts = dict(self.counts)
        for edge, n in other.counts.items():
            counts[edge] = counts.get(edge, 0) + n
        low, high = min(self.low, other.low), max(self.high, other.high)
        return Sketch(self.sums + other.sums, low, high, counts)

    @property
    def n(self) -> int:
        """How many numbers."""
        return self.sums.n

    @property
    def mean(self) -> float | None:
        """Their mean; None of none."""
        moments = self.sums.moments()
        return None if moments is None else moments.mean

    @property
    def std(self) -> float | None:
        """Their standard deviation (n - 1); None of fewer than two."""
        moments = self.sums.moments()
        variance = None if moments is None else moments.variance
        return None if variance is None else sqrt(variance)

    @property
    def least(self) -> float | None:
        """The least number; None of none."""
        return self.low / PER_UNIT if self.n else None

    @property
    def greatest(self) -> float | None:
        """The greatest number; None of none."""
        return self.high / PER_UNIT if self.n else None

    def quantile(self, p: float) -> float | None:
        """Give the number that a share ``p`` of them does not exceed; None of none.

        Notes
        -----
        The number of rank ``p n`` is in the bucket that is found; where in it is interpolated, so
        the error is at most the bucket's width (``WIDEST`` of the number).
        """
        if not self.n:
            return None
        wanted, below = p * self.n, 0
        edge = 0
        for edge in sorted(self.counts):
            n = self.counts[edge]
            if below + n >= wanted:
                lower = lower_edge(edge)
                found = lower + (edge - lower) * max(0.0, wanted - below) / n
                return float(min(max(found, self.low), self.high) / PER_UNIT)
            below += n
        return self.high / PER_UNIT

    def below(self, edges: Sequence[int]) -> list[int]:
        """Count the numbers in the bins that some edges cut, and beyond the last.

        Parameters
        ----------
        edges : sequence of int
            Ascending, in steps, each 1, 2 or 5 times a power of ten: then the counts are exact.
        """
        bins = [0] * (len(edges) + 1)
        for edge, n in self.counts.items():
            bins[bisect_left(edges, edge)] += n
        return bins
