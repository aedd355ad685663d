"""Intervals for shares and means, from counts and sums alone."""

from collections.abc import Callable
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


def class_intervals(
    counts: NDArray[np.int64], at: int, *, confidence: float = 0.95
) -> list[tuple[str, Interval | None, int, str]]:
    """Give precision, recall, specificity and F1 of one class against the others.

    Parameters
    ----------
    counts : ndarray, shape (n_classes, n_classes)
        Rows by (true class, predicted class).
    at : int
        The class.

    Returns
    -------
    list of (str, Interval or None, int, str)
        Name, figure, the rows it is a share of (of F1: those of the class or predicted so), and
        what there was none of where there is no figure: ``predicted``, ``true`` or ``other``.
    """
    n, right = int(counts.sum()), int(counts[at, at])
    true, predicted = int(counts[at].sum()), int(counts[:, at].sum())
    either = true + predicted - right
    shares = [
        ("precision", right, predicted, "predicted"),
        ("recall", right, true, "true"),
        ("specificity", n - either, n - true, "other"),
    ]
    found = [
        (name, wilson(hits, of, confidence=confidence) if of else None, of, none)
        for name, hits, of, none in shares
    ]
    f1 = f1_interval(right, true, predicted, confidence=confidence) if either else None
    return [*found, ("f1", f1, either, "true")]


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


def ratio_interval(
    n: int,
    totals: tuple[float, float],
    products: tuple[float, float, float],
    *,
    confidence: float = 0.95,
) -> Interval:
    """Give the interval of a ratio of two means over the same rows, such as WAPE.

    Parameters
    ----------
    n : int
        Rows, ``>= 2``.
    totals : (float, float)
        Sums of numerator and denominator; the second above 0.
    products : (float, float, float)
        Sums over the rows of numerator squared, numerator times denominator, denominator squared.

    Raises
    ------
    ValueError
        If n is under 2, or the denominator adds up to nothing.

    Notes
    -----
    Normal, by the linearised ratio. Source: W. G. Cochran, 1977, Sampling Techniques, section 6.3.

    Examples
    --------
    >>> [round(bound, 3) for bound in ratio_interval(3, (6.0, 12.0), (14.0, 24.0, 50.0))[:3]]
    [0.5, 0.184, 0.816]
    """
    above, below = totals
    if n < 2 or below <= 0.0:
        message = f"{n} rows whose denominators add up to {below}"
        raise ValueError(message)
    ratio = above / below
    squares = products[0] - 2.0 * ratio * products[1] + ratio * ratio * products[2]
    variance = max(0.0, squares) / (n - 1) * n / below**2
    half = NormalDist().inv_cdf((1 + confidence) / 2) * sqrt(variance)
    return Interval(ratio, ratio - half, ratio + half, confidence)


def auc_interval(auc: float, n_true: int, n_other: int, *, confidence: float = 0.95) -> Interval:
    """Give the score interval of a ROC AUC.

    Parameters
    ----------
    auc : float
        In [0, 1].
    n_true, n_other : int
        Rows of the class and of the others, ``>= 1`` each.

    Returns
    -------
    Interval
        Inside [0, 1], and wider than a point also where every pair is in order.

    Raises
    ------
    ValueError
        If the AUC is out of range or one side has no rows.

    Notes
    -----
    The limits are the AUCs whose own variance (Hanley and McNeil, 1982) just reaches the estimate.
    Source: R. G. Newcombe, 2006, Statistics in Medicine 25, 559-573, method 5.

    Examples
    --------
    >>> [round(bound, 3) for bound in auc_interval(1.0, 20, 30)[:3]]
    [1.0, 0.916, 1.0]
    """
    if not 0.0 <= auc <= 1.0 or n_true < 1 or n_other < 1:
        message = f"an AUC of {auc} of {n_true} and {n_other} rows"
        raise ValueError(message)
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    extra = (n_true + n_other) / 2 - 1

    def outside(t: float) -> bool:
        spread = 1 + extra * ((1 - t) / (2 - t) + t / (1 + t))
        return (auc - t) ** 2 > z2 * t * (1 - t) * spread / (n_true * n_other)

    low, high = (_reached(outside, auc, end) for end in (0.0, 1.0))
    return Interval(auc, low, high, confidence)


def _reached(outside: Callable[[float], bool], inside: float, end: float) -> float:
    """Find by halving how far towards an end a limit lies; the end itself where none is passed."""
    if inside == end:
        return end
    for _ in range(60):
        middle = (inside + end) / 2
        inside, end = (inside, middle) if outside(middle) else (middle, end)
    return end
