"""Intervals for shares and means, from counts and sums alone."""

from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


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
        If the counts contradict each other, or the confidence is none.

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
    level = (1 + confidence) / 2
    if not 0.5 < level < 1.0:
        message = f"confidence is {confidence}, expected between 0 and 1, such as 0.95"
        raise ValueError(message)
    z = NormalDist().inv_cdf(level)
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


def f1_interval(
    n_right: int, n_true: int, n_predicted: int, *, confidence: float = 0.95
) -> Interval:
    """Give the interval of one class's F1.

    Parameters
    ----------
    n_right, n_true, n_predicted : int
        Rows of the class predicted so, rows of the class, rows predicted so; one of the last two
        above 0.

    Raises
    ------
    ValueError
        If the counts contradict each other, or the class neither occurs nor is predicted.

    Notes
    -----
    ``F1 = 2 J / (1 + J)`` rises with ``J``, the share of right rows among those that are or were
    predicted so: a share, whose Wilson limits are carried over. Inside [0, 1].

    Examples
    --------
    >>> [round(bound, 3) for bound in f1_interval(40, 50, 60)[:3]]
    [0.727, 0.623, 0.812]
    """
    share = wilson(n_right, n_true + n_predicted - n_right, confidence=confidence)
    estimate, low, high = (2 * bound / (1 + bound) for bound in share[:3])
    return Interval(estimate, low, high, confidence)


def macro_f1_interval(counts: NDArray[np.int64], *, confidence: float = 0.95) -> Interval:
    """Give the interval of the mean F1 of the classes that occur or are predicted.

    Parameters
    ----------
    counts : ndarray, shape (n_classes, n_classes)
        Rows by (true class, predicted class).

    Raises
    ------
    ValueError
        If there are no rows.

    Notes
    -----
    Delta method on multinomial counts. Source: K. Takahashi, K. Yamamoto, A. Kuchiba and
    T. Koyama, 2022, Applied Intelligence 52, 4961-4972. Where no row (or every row) is wrong that
    variance is 0 and says nothing: then the mean of the classes' own limits, which is wider.
    """
    n = int(counts.sum())
    present = (counts.sum(axis=0) + counts.sum(axis=1)) > 0
    if not n:
        message = "no rows"
        raise ValueError(message)
    shares = counts[np.ix_(present, present)] / n
    right, both = np.diag(shares), shares.sum(axis=0) + shares.sum(axis=1)
    n_classes = len(right)
    estimate = float(np.mean(2 * right / both))
    pull = right / both**2
    gradient = -(pull[:, None] + pull[None, :]) * 2 / n_classes
    gradient += np.diag(2 / both / n_classes)
    variance = float(np.sum(shares * gradient**2) - np.sum(shares * gradient) ** 2) / n
    if variance <= 1e-18:  # rounding of 0
        rows, columns = counts.sum(axis=1)[present], counts.sum(axis=0)[present]
        own = [
            f1_interval(int(r), int(t), int(p), confidence=confidence)
            for r, t, p in zip(np.diag(counts)[present], rows, columns, strict=True)
        ]
        low, high = (float(np.mean([one[place] for one in own])) for place in (1, 2))
        return Interval(estimate, low, high, confidence)
    half = NormalDist().inv_cdf((1 + confidence) / 2) * sqrt(variance)
    return Interval(estimate, max(0.0, estimate - half), min(1.0, estimate + half), confidence)
