"""A bandit's arithmetic: what each arm is worth by its batches, and the shares that follow. Pure.

Within a batch shares are constant and units are assigned at random, so an arm's mean in it is
unbiased, whatever made the shares. Batches are then weighted by all of their units, never by the
arm's own: an arm that was given more units in good times is not taken for better.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, ndtr, ndtri

from timonel.stats.moments import PER_UNIT

Floats = NDArray[np.float64]
LEAST_VALUES = 2  # of each arm in a batch: fewer say nothing of its spread
_POINTS = 512
_PLACES = 4
_NARROWEST = 1e-9


@dataclass(frozen=True, slots=True)
class ArmBatch:
    """One arm in one batch: units, and the values that are known of them, as exact sums.

    Parameters
    ----------
    units : int
        Exposed in this batch.
    n : int
        Units with a value.
    q, q2 : int
        Sum of the values and of their squares, in steps of 1e-6.
    """

    units: int = 0
    n: int = 0
    q: int = 0
    q2: int = 0

    @property
    def mean(self) -> float:
        """Mean of the values."""
        return self.q / self.n / PER_UNIT

    @property
    def variance(self) -> float:
        """Variance of the values, with n - 1; exact until the last division."""
        return (self.n * self.q2 - self.q * self.q) / (self.n * (self.n - 1)) / PER_UNIT**2

    @property
    def binary(self) -> bool:
        """Whether every value is 0 or 1."""
        return self.q2 == self.q * PER_UNIT


@dataclass(frozen=True, slots=True)
class Worth:
    """What is known of an arm: a Beta distribution of a share, or a normal one of a mean.

    Parameters
    ----------
    mean : float
        Weighted over batches.
    se : float
    n : float
        Values that one batch would need to know as much.
    binary : bool
    """

    mean: float
    se: float
    n: float
    binary: bool

    def quantile(self, at: Floats | float) -> Floats:
        """Give the value below which the worth lies with some chance."""
        if self.binary:
            return np.asarray(betaincinv(*self._beta, at), np.float64)
        return np.asarray(self.mean + self._spread * ndtri(at), np.float64)

    def below(self, value: Floats) -> Floats:
        """Give the chance that the worth lies below a value."""
        if self.binary:
            return np.asarray(betainc(*self._beta, value), np.float64)
        return np.asarray(ndtr((value - self.mean) / self._spread), np.float64)

    @property
    def _beta(self) -> tuple[float, float]:
        return 1.0 + self.mean * self.n, 1.0 + (1.0 - self.mean) * self.n

    @property
    def _spread(self) -> float:
        return max(self.se, _NARROWEST * max(1.0, abs(self.mean)))


def worth_of(batches: Sequence[Sequence[ArmBatch]]) -> list[Worth]:
    """Estimate each arm by its batches.

    Parameters
    ----------
    batches : sequence of sequences, shape (n_batches, n_arms)
        At least one; of each arm in each batch at least ``LEAST_VALUES`` values.

    Returns
    -------
    list of Worth
        ``mean_a = sum_k W_k mean_ak`` with ``W_k`` the share of batch k in all units. That is
        inverse-propensity weighting within batches, with the realised shares for the asked ones
        (J. Hajek, 1971). ``se^2 = sum_k W_k^2 s_ak^2 / n_ak``; ``n = 1 / sum_k W_k^2 / n_ak``.
    """
    sizes = [sum(arm.units for arm in batch) for batch in batches]
    weights = [size / sum(sizes) for size in sizes]
    binary = all(arm.binary for batch in batches for arm in batch)
    found = []
    for place in range(len(batches[0])):
        own = [batch[place] for batch in batches]
        both = list(zip(weights, own, strict=True))
        found.append(
            Worth(
                mean=sum(w * arm.mean for w, arm in both),
                se=sqrt(sum(w * w * arm.variance / arm.n for w, arm in both)),
                n=1.0 / sum(w * w / arm.n for w, arm in both),
                binary=binary,
            )
        )
    return found


def chances_of_best(worths: Sequence[Worth], *, higher_is_better: bool = True) -> list[float]:
    """Give each arm's chance of being the best: Thompson's probabilities.

    Returns
    -------
    list of float
        Summing to 1. Computed and not drawn, so the same counts give the same shares.

    Notes
    -----
    ``P(a is best) = integral of prod_b F_b(x) dF_a(x)`` over the others b, by the midpoint rule in
    the quantiles of a. W. R. Thompson, 1933, Biometrika 25, 285-294.

    Examples
    --------
    >>> chances = chances_of_best([Worth(0.10, 0.0, 500, True), Worth(0.14, 0.0, 500, True)])
    >>> [round(chance, 3) for chance in chances]
    [0.026, 0.974]
    """
    at = (np.arange(_POINTS) + 0.5) / _POINTS
    chances = []
    for place, own in enumerate(worths):
        values = own.quantile(at)
        others = [other for i, other in enumerate(worths) if i != place]
        below = [other.below(values) for other in others]
        each = [one if higher_is_better else 1.0 - one for one in below]
        chances.append(float(np.mean(np.prod(each, axis=0))))
    total = sum(chances)
    return [chance / total for chance in chances]


def shares_of(chances: Sequence[float], floor: float) -> tuple[float, ...]:
    """Give shares that follow chances and leave each arm a floor.

    Returns
    -------
    tuple of float
        ``floor + (1 - n floor) chance`` to four places, the largest taking what rounding leaves:
        they sum to 1.

    Examples
    --------
    >>> shares_of([0.9, 0.1, 0.0], 0.05)
    (0.815, 0.135, 0.05)
    """
    free = 1.0 - floor * len(chances)
    parts = [round((floor + free * chance) * 10**_PLACES) for chance in chances]
    largest = parts.index(max(parts))
    parts[largest] += 10**_PLACES - sum(parts)
    return tuple(part / 10**_PLACES for part in parts)
