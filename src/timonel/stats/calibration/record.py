"""What estimates of a version were worth so far: held against the truths that came later.

An estimate cannot see that scores come to mean something else. Its record can: where truths
contradict the bands by more than chance explains, later bands are as wide as the misses were.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc, stdtrit

MOST_WINDOWS = 12
LEVEL = 0.01


class Miss(NamedTuple):
    """By how much truths of a window missed its estimate, and the standard error of that."""

    gap: float
    se: float


@dataclass(frozen=True, slots=True)
class Record:
    """How the last estimates fared.

    Parameters
    ----------
    n : int
        Windows that have truths, at most 12.
    n_outside : int
        Of them, how many missed by more than twice the standard error.
    spread : float
        What they missed by beyond their standard errors, as a standard deviation.
    contradicted : bool
        Whether that is more than chance explains (chi-square, p < .01).
    """

    n: int
    n_outside: int
    spread: float
    contradicted: bool

    @classmethod
    def of(cls, misses: Sequence[Miss]) -> "Record":
        """Sum up the misses of windows, the newest first.

        Examples
        --------
        >>> Record.of([Miss(0.01, 0.02), Miss(-0.02, 0.02)]).contradicted
        False
        >>> Record.of([Miss(-0.3, 0.02), Miss(-0.02, 0.02)])
        Record(n=2, n_outside=1, spread=0.2116, contradicted=True)
        """
        known = [miss for miss in misses if miss.se > 0.0][:MOST_WINDOWS]
        if not known:
            return cls(0, 0, 0.0, False)
        gap, se = np.array(known).T
        beyond = max(0.0, float(np.mean(gap**2 - se**2)))
        p_value = float(chdtrc(len(known), float(np.sum((gap / se) ** 2))))
        outside = int(np.count_nonzero(np.abs(gap) > 2.0 * se))
        return cls(len(known), outside, round(sqrt(beyond), 4), p_value < LEVEL)

    def half(self, se: float, confidence: float = 0.95) -> float:
        """Give half of the band of an estimate with this standard error, the misses counted in."""
        quantile = float(stdtrit(self.n, (1.0 + confidence) / 2.0))
        return quantile * sqrt(se**2 + self.spread**2)
