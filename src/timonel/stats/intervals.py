"""Intervals for shares and means, from counts and sums alone."""

from math import sqrt
from statistics import NormalDist
from typing import NamedTuple


class Interval(NamedTuple):
    """An estimate with its two-sided confidence interval."""

    estimate: float
    low: float
    high: float
    confidence: float


def wilson(n_hits: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Give the score interval of a share.

    Parameters
    ----------
    n_hits, n : int
        ``0 <= n_hits <= n``, ``n >= 1``.
    confidence : float
        In (0, 1).

    Returns
    -------
    Interval
        Inside [0, 1], also for 0 and n hits.

    Raises
    ------
    ValueError
        If the counts contradict each other.

    Notes
    -----
    Source: E. B. Wilson, 1927, Journal of the American Statistical Association 22, 209-212.

    Examples
    --------
    >>> [round(bound, 4) for bound in wilson(81, 263)[:3]]
    [0.308, 0.2553, 0.3662]
    """
    if not 0 <= n_hits <= n or n < 1:
        message = f"{n_hits} hits of {n}"
        raise ValueError(message)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = n_hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # at the ends the bound is exact, and rounding must not push it past the estimate
    low = 0.0 if n_hits == 0 else max(0.0, centre - half)
    high = 1.0 if n_hits == n else min(1.0, centre + half)
    return Interval(share, low, high, confidence)


def mean_interval(
    n: int, total: float, total_of_squares: float, *, confidence: float = 0.95
) -> Interval:
    """Give the large-sample normal interval of a mean.

    Parameters
    ----------
    n : int
        ``>= 2``.
    total, total_of_squares : float
        Sums of the values and of their squares, from exact integers where cancellation matters.

    Returns
    -------
    Interval
        Normal, not Student: use it from some tens of values on.

    Raises
    ------
    ValueError
        If n is under 2.
    """
    if n < 2:
        message = f"{n} values have no spread"
        raise ValueError(message)
    mean = total / n
    variance = max(0.0, (total_of_squares - total * total / n) / (n - 1))
    half = NormalDist().inv_cdf((1 + confidence) / 2) * sqrt(variance / n)
    return Interval(mean, mean - half, mean + half, confidence)
