"""Is one thing better than another on the same units? Paired tests and intervals."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, betaln, ndtri, stdtr, stdtrit, xlogy

_FEWEST = 20
_NARROW = 1e-12


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much the loss of one is under that of the other, on the same rows.

    Parameters
    ----------
    mean : float or None
        Mean of (other's loss - own loss); positive is better. None: cannot say.
    lower : float or None
        One-sided lower bound at ``1 - alpha``.
    p_value : float or None
        Of "not better".
    n : int
    reason : str or None
    """

    mean: float | None
    lower: float | None
    p_value: float | None
    n: int
    reason: str | None = None

    @property
    def shown(self) -> bool:
        """Whether it was shown to be better."""
        return self.lower is not None and self.lower > 0.0

    def document(self) -> dict[str, Any]:
        """Give a JSON-safe form."""
        return {
            "mean": self.mean,
            "lower": self.lower,
            "p_value": self.p_value,
            "n": self.n,
            "reason": self.reason,
        }


def gain(own: NDArray[np.float64], other: NDArray[np.float64], *, alpha: float = 0.05) -> Gain:
    """Test whether own losses are smaller than the other's, row by row.

    Parameters
    ----------
    own, other : ndarray, shape (n_rows,)
        Losses of the same rows; smaller is better.
    alpha : float
        One-sided.

    Returns
    -------
    Gain
        Without numbers under 20 rows.

    Notes
    -----
    Student's t on the differences; rows are taken as independent.
    """
    n = len(own)
    if n < _FEWEST:
        return Gain(None, None, None, n, f"only {n} rows, at least {_FEWEST} are needed")
    difference = other - own
    mean = float(np.mean(difference))
    error = float(np.std(difference, ddof=1)) / sqrt(n)
    if error == 0.0:
        return Gain(mean, mean, 0.0 if mean > 0 else 1.0, n)
    p_value = float(stdtr(n - 1, -mean / error))
    return Gain(mean, mean - float(stdtrit(n - 1, 1.0 - alpha)) * error, p_value, n)


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A difference measured on the same units, with its interval.

    Parameters
    ----------
    estimate : float or None
        None: it cannot be said, and ``reason`` says why.
    lower, upper : float or None
        Each is a one-sided bound at ``1 - alpha``.
    n : int
        Units.
    reason : str or None
    """

    estimate: float | None
    lower: float | None
    upper: float | None
    n: int
    reason: str | None = None


def tango(b: int, c: int, n: int, *, alpha: float = 0.05) -> PairedDifference:
    """Give Tango's score interval for a difference of paired proportions.

    Parameters
    ----------
    b, c : int
        Pairs in which only the first, and only the second, is a hit.
    n : int
        All pairs.
    alpha : float
        Of each side: the two bounds together hold with ``1 - 2 alpha``.

    Returns
    -------
    PairedDifference
        Of ``(b - c) / n``, inside [-1, 1].

    Raises
    ------
    ValueError
        If the counts contradict each other.

    Notes
    -----
    Source: T. Tango, 1998, Statistics in Medicine 17, 891-908. Solved by bisection: the statistic
    falls as the difference asked about rises.

    Examples
    --------
    >>> found = tango(6, 16, 161, alpha=0.025)
    >>> round(found.lower, 4), round(found.upper, 4)
    (-0.124, -0.0054)
    """
    if min(b, c, n - b - c) < 0:
        message = f"{b} and {c} discordant of {n} pairs"
        raise ValueError(message)
    if n == 0:
        return PairedDifference(None, None, None, 0, "no units")
    z, estimate = float(ndtri(1.0 - alpha)), (b - c) / n
    lower = _where_falls(lambda d: _tango_statistic(b, c, n, d) - z, -1.0, estimate)
    upper = _where_falls(lambda d: _tango_statistic(b, c, n, d) + z, estimate, 1.0)
    return PairedDifference(estimate, lower, upper, n)


def _tango_statistic(b: int, c: int, n: int, difference: float) -> float:
    linear = (2 * n - b + c) * difference - b - c
    constant = -c * difference * (1.0 - difference)
    root = sqrt(max(0.0, linear * linear - 8.0 * n * constant))
    # the maximum likelihood estimate of P(only the second), given the difference; of the two
    # forms of a root the one without cancellation
    q = (root - linear) / (4.0 * n) if linear <= 0 else -2.0 * constant / (root + linear)
    variance = n * (2.0 * q + difference * (1.0 - difference))
    apart = b - c - n * difference
    if variance <= 0.0:
        return inf if apart > 0 else -inf if apart < 0 else 0.0
    return apart / sqrt(variance)


def _where_falls(function: Callable[[float], float], low: float, high: float) -> float:
    """Find where a falling function passes 0, as closely as floats can say."""
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
        if high - low < _NARROW:
            break
    return (low + high) / 2


def mcnemar_exact(b: int, c: int) -> float:
    """Test whether two proportions of the same units differ: the exact test, two-sided.

    Parameters
    ----------
    b, c : int
        Pairs in which only the first, and only the second, is a hit.

    Returns
    -------
    float
        The p-value; 1.0 without a discordant pair.

    Notes
    -----
    Binomial with probability 1/2 on the discordant pairs, the smaller tail doubled. Source:
    Q. McNemar, 1947, Psychometrika 12, 153-157.

    Examples
    --------
    >>> mcnemar_exact(10, 2)
    0.03857421875
    """
    return min(1.0, 2.0 * float(bdtr(min(b, c), b + c, 0.5))) if b + c else 1.0


def won_share(n10: int, n01: int, *, alpha: float = 0.05, k: float = 10) -> PairedDifference:
    """Give which share of the discordant pairs the one wins, with bounds that hold at every look.

    Parameters
    ----------
    n10, n01 : int
        Pairs that only the one, and only the other, won.
    alpha : float
        Of both bounds together, at all looks together.
    k : float
        The prior Beta(k, k), as of ``timonel.stats.sequential.paired_e_value``.

    Returns
    -------
    PairedDifference
        The shares p against which the e-value is below ``1 / alpha``: so 1/2 is inside if and only
        if ``paired_e_value(n10, n01, k=k) < 1 / alpha``.

    Raises
    ------
    ValueError
        If a count is negative or ``alpha`` is no error rate.

    Notes
    -----
    ``e(p) = B(k + n10, k + n01) / B(k, k) * p^-n10 (1-p)^-n01`` is a martingale under p, whatever
    the number of pairs (J. Ville, 1939; the method of mixtures: H. Robbins, 1970, Annals of
    Mathematical Statistics 41, 1397-1409). Solved by bisection on either side of the estimate.

    Examples
    --------
    >>> found = won_share(30, 10)
    >>> found.estimate, round(found.lower, 3), round(found.upper, 3)
    (0.75, 0.498, 0.921)
    """
    if min(n10, n01) < 0 or not 0.0 < alpha < 1.0:
        message = f"{n10} and {n01} discordant pairs, alpha {alpha}"
        raise ValueError(message)
    n = n10 + n01
    if n == 0:
        return PairedDifference(None, None, None, 0, "no discordant pair")
    mixture = float(betaln(k + n10, k + n01) - betaln(k, k)) + log(alpha)

    def outside(share: float) -> float:
        return mixture - float(xlogy(n10, share) + xlogy(n01, 1.0 - share))

    estimate = n10 / n
    lower = _where_falls(outside, 0.0, estimate)
    upper = 1.0 - _where_falls(lambda rest: outside(1.0 - rest), 0.0, 1.0 - estimate)
    return PairedDifference(estimate, lower, upper, n)


def relative_gain(
    own: NDArray[np.float64], other: NDArray[np.float64], *, alpha: float = 0.05, root: bool = False
) -> PairedDifference:
    """Measure by what part of the other's mean loss the own mean loss is smaller.

    Parameters
    ----------
    own, other : ndarray, shape (n_units,)
        Losses of the same units, >= 0; a unit of several rows has their sum.
    alpha : float
        Of each side.
    root : bool
        Compare the roots of the means (squared errors in, RMSE out).

    Returns
    -------
    PairedDifference
        Of ``1 - mean(own) / mean(other)``: positive is better. ``lower > -d`` if and only if the
        one-sided t-test on ``own - (1 + d) other`` (with ``root``: ``(1 + d)**2``) rejects.

    Raises
    ------
    ValueError
        If the two differ in length.

    Notes
    -----
    The interval inverts that t-test over d: E. C. Fieller, 1954, Journal of the Royal Statistical
    Society B 16, 175-185.
    """
    if own.shape != other.shape:
        message = f"losses of {len(own)} and of {len(other)} units"
        raise ValueError(message)
    n = len(own)
    if n < _FEWEST:
        few = f"only {n} units, at least {_FEWEST} are needed"
        return PairedDifference(None, None, None, n, few)
    mean, mean_other = float(np.mean(own)), float(np.mean(other))
    spread = np.cov(own, other) * (float(stdtrit(n - 1, 1.0 - alpha)) ** 2 / n)
    # (mean - r mean_other)^2 = t^2 (s11 - 2 r s12 + r^2 s22) / n, solved for r
    square = mean_other**2 - float(spread[1, 1])
    if square <= 0.0:
        few = "the other's losses vary too much for a ratio"
        return PairedDifference(None, None, None, n, few)
    middle = mean * mean_other - float(spread[0, 1])
    under_root = sqrt(max(0.0, middle**2 - square * (mean**2 - float(spread[0, 0]))))
    ratios = mean / mean_other, (middle + under_root) / square, (middle - under_root) / square
    estimate, lower, upper = (1.0 - (sqrt(max(0.0, r)) if root else r) for r in ratios)
    return PairedDifference(estimate, lower, upper, n)
