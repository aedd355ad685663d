"""Tests of two vectors of counts in the same cells, which is what profiles hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf, sqrt

import numpy as np
from scipy.special import (
    bdtrc,
    chdtrc,
    chdtri,
    fdtrc,
    gammaln,
    kolmogorov,
    log_ndtr,
    ndtr,
    ndtri,
    stdtr,
)

from timonel.stats.profiles.cells import NumberCells
from timonel.stats.profiles.packing import FloatArray, IntArray
from timonel.stats.profiles.stacked import Joined

N_BINS = 10
OWN_BIN = 0.05
LEAST_EXPECTED = 5.0
_LEAST_REST = 0.02
_FEW_SINGLES = 20
_TAIL_SD = 12
_FARTHEST_SD = 120  # no float holds what lies beyond
_N_RANKS = 64
_SCALED = ("chi2", "vocabulary", "ks", "vocabulary_ks", "words")


@dataclass(frozen=True, slots=True)
class TwoSample:
    """What a test says of two samples.

    Parameters
    ----------
    statistic : float or None
        None: it cannot be said, and ``reason`` says why.
    p_value : float or None
    effect : float or None
        The distance in shares: KS D, total variation, or a difference of rates.
    n, m : int
        Values in the reference and in the current sample.
    reason : str or None
    dof : int or None
        Degrees of freedom of a chi-square.
    """

    statistic: float | None
    p_value: float | None
    effect: float | None
    n: int
    m: int
    reason: str | None = None
    dof: int | None = None


def value_bins(cells: NumberCells, counts: IntArray) -> IntArray:
    """Give the bin of each cell: about ten bins.

    A value that holds 5 % is a bin of its own; the rest is cut into bins of equal mass.

    Parameters
    ----------
    cells : NumberCells
    counts : ndarray
        By cell, without the missing: of both samples together where they are to be tested.

    Returns
    -------
    ndarray of int
        Bins are numbered from 0; not all of them need be there.

    Notes
    -----
    Bins chosen on the reference alone favour the values that chance made frequent in it, which
    trebles the false alarms of a reference of 300 rows. Given the pooled counts, how they are
    split between the samples is still open, so choosing on them is free.
    """
    total = max(1, int(counts.sum()))
    own = np.searchsorted(cells.edges, cells.atoms).astype(np.int64)
    own = own[counts[own] >= OWN_BIN * total]
    rest = counts.copy()
    rest[own] = 0
    mass = int(rest.sum())
    n_rest = max(1, min(N_BINS - len(own), int(mass / total / _LEAST_REST)))
    middle = np.cumsum(rest) - rest / 2
    bins = np.minimum((middle * n_rest / max(1, mass)).astype(np.int64), n_rest - 1)
    bins[own] = n_rest + np.arange(len(own))
    return bins


def binned(bins: IntArray, *counts: IntArray) -> list[IntArray]:
    """Sum counts by cell into counts by bin."""
    return [np.bincount(bins, weights=each).astype(np.int64) for each in counts]


Counts = tuple[IntArray, IntArray]
"""Of the reference and of the current sample, in the same cells."""


def ks_counts(reference: IntArray, current: IntArray) -> TwoSample:
    """Compare counts in the same ordered cells by the KS distance at their limits.

    Notes
    -----
    The greatest difference over the limits is at most D, so the asymptotic p-value errs to the
    safe side, more so with few cells.
    """
    return ks_each([(reference, current)])[0]


def ks_each(columns: Sequence[Counts]) -> list[TwoSample]:
    """Compare the counts of several columns as ``ks_counts`` does each, to the bit."""
    if not columns:
        return []
    there, now = (Joined(side) for side in zip(*columns, strict=True))
    n, m = there.sums(there.flat), now.sums(now.flat)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = there.upto(there.flat) / there.each(n), now.upto(now.flat) / there.each(m)
        distances = there.most(np.abs(shares[0] - shares[1]))
        p_values = kolmogorov(np.sqrt(n * m / (n + m)) * distances)
    figures = (each.tolist() for each in (n, m, distances, p_values))
    return [
        TwoSample(d, p, d, n, m) if n and m else no_values(n, m)
        for n, m, d, p in zip(*figures, strict=True)
    ]


def chi2_counts(reference: IntArray, current: IntArray) -> TwoSample:
    """Compare counts in the same cells by Pearson's chi-square; cells empty on both sides go."""
    return chi2_each([(reference, current)])[0]


def chi2_each(columns: Sequence[Counts]) -> list[TwoSample]:
    """Compare the counts of several columns as ``chi2_counts`` does each, to the bit."""
    if not columns:
        return []
    there, now = (Joined(side) for side in zip(*columns, strict=True))
    r, c, n, m = there.flat, now.flat, there.sums(there.flat), now.sums(now.flat)
    filled = r + c > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        # sum (r - e)^2 / e over both rows, with e from the margins
        ratio = there.each(np.sqrt(m / n))
        terms = (r * ratio - c / ratio) ** 2 / np.maximum(r + c, 1)
        statistics = there.sums(terms)
        effects = there.sums(np.abs(r / there.each(n) - c / there.each(m))) / 2
    n_cells = there.sums(filled.astype(np.int64))
    p_values = chdtrc(np.maximum(n_cells - 1, 1), statistics)
    figures = (each.tolist() for each in (n, m, n_cells, statistics, p_values, effects))
    return [_chi2(*of_column) for of_column in zip(*figures, strict=True)]


def _chi2(n: int, m: int, n_cells: int, statistic: float, p: float, effect: float) -> TwoSample:
    if not (n and m):
        return no_values(n, m)
    if n_cells < 2:
        return TwoSample(0.0, 1.0, 0.0, n, m, "nothing but one cell to compare")
    return TwoSample(statistic, p, effect, n, m, dof=n_cells - 1)


def scaled_p(kind: str, found: TwoSample, phi: float, freedom: float = inf) -> float:
    """Give the p-value of a test whose chi-square is ``phi`` times what chance alone makes it.

    Parameters
    ----------
    kind : str
        A chi-square ("chi2", "vocabulary"), a KS distance ("ks", "vocabulary_ks") or the exact
        tests of "words", whose p-values are read as those of a normal; others stay as they are.
    found : TwoSample
    phi : float
        At least 1.
    freedom : float
        Degrees of freedom that ``phi`` was estimated with; inf: it is known.

    Notes
    -----
    A chi-square over an estimated phi follows F, not chi-square: D. R. Thomas and J. N. K. Rao,
    1987, Journal of the American Statistical Association 82, 630-636. The others' p-values are
    averaged over the phi that the estimate leaves open, which for a chi-square gives F as well.
    """
    if phi <= 1.0 or kind not in _SCALED:
        return found.p_value or 0.0
    statistic = found.statistic or 0.0
    if kind in ("chi2", "vocabulary"):
        if not found.dof:
            return found.p_value or 0.0
        if freedom == inf:
            return float(chdtrc(found.dof, statistic / phi))
        return float(fdtrc(found.dof, freedom, statistic / phi / found.dof))
    phis = phi / _left_open(freedom)
    if kind == "words":
        return float(np.mean(2.0 * ndtr(ndtri((found.p_value or 0.0) / 2.0) / np.sqrt(phis))))
    roots = np.sqrt(found.n * found.m / (found.n + found.m) / phis)
    return float(np.mean(kolmogorov(roots * statistic)))


@lru_cache(maxsize=4096)
def _left_open(freedom: float) -> FloatArray:
    """Give evenly likely ratios of an estimated variance to the true one."""
    if freedom == inf:
        return np.ones(1)
    ranks = (np.arange(_N_RANKS) + 0.5) / _N_RANKS
    return np.asarray(chdtri(freedom, ranks) / freedom)


def usual_rate_p(kind: str, found: TwoSample, typical: float, n_windows: int) -> float:
    """Give the p-value of a rate that is held against its own differences in quiet windows, too.

    Parameters
    ----------
    kind : {"missing", "unseen"}
        The second is one-sided.
    found : TwoSample
        Its p-value is exact for independent rows.
    typical : float
        Root mean square of the effects of quiet windows; 0: they never differed.
    n_windows : int

    Returns
    -------
    float
        The greater of the exact one and Student's: rows that come in clusters go missing together,
        and of that only the windows tell.
    """
    exact = found.p_value or 0.0
    if not typical > 0.0:
        return exact
    ratio = (found.effect or 0.0) / typical
    if kind == "unseen":  # effects under 0 were taken for 0: they are half of all
        return max(exact, float(stdtr(n_windows, -ratio / sqrt(2.0))))
    return max(exact, 2.0 * float(stdtr(n_windows, -ratio)))


def merge_thin(
    reference: IntArray, current: IntArray, *, other: int | None = None
) -> tuple[IntArray, IntArray]:
    """Merge cells that are too thin for a chi-square.

    Parameters
    ----------
    reference, current : ndarray of int
        Counts in the same cells.
    other : int or None
        Cells from here on ("other", "unseen") are merged however full they are.

    Returns
    -------
    pair of ndarray
        A cell stays if its pooled count, times the share of the smaller sample, reaches 5. All
        others form one, which joins the smallest that stayed if it is thin itself.

    Notes
    -----
    The pooled count, not the reference's: choosing on one side biases the test towards alarms.
    """
    n, m = int(reference.sum()), int(current.sum())
    part = min(n, m) / max(1, n + m)
    stays = (reference + current) * part >= LEAST_EXPECTED
    if other is not None:
        stays[other:] = False
    r, c = reference[stays], current[stays]
    rest = n - int(r.sum()), m - int(c.sum())
    if not any(rest):
        return r, c
    if sum(rest) * part < LEAST_EXPECTED and len(r):
        smallest = int(np.argmin(r + c))
        r[smallest] += rest[0]
        c[smallest] += rest[1]
        return r, c
    return np.append(r, rest[0]), np.append(c, rest[1])


def fold(reference: IntArray, current: IntArray, buckets: slice) -> tuple[IntArray, IntArray]:
    """Halve the number of buckets until the mean one is thick enough for a chi-square.

    Parameters
    ----------
    reference, current : ndarray of int
        Counts in the same cells.
    buckets : slice
        Which of them are buckets, a power of two in number; the others are left as they are.
    """
    n, m = int(reference.sum()), int(current.sum())
    part = min(n, m) / max(1, n + m)
    r, c = reference[buckets], current[buckets]
    enough = 2 * LEAST_EXPECTED
    while len(r) > 1 and (r.sum() + c.sum()) * part / len(r) < enough:
        r, c = r.reshape(2, -1).sum(axis=0), c.reshape(2, -1).sum(axis=0)
    before, after = slice(buckets.start), slice(buckets.stop, None)
    return (
        np.concatenate([reference[before], r, reference[after]]),
        np.concatenate([current[before], c, current[after]]),
    )


def missing_counts(missing: int, n: int, missing_now: int, m: int) -> TwoSample:
    """Compare two rates by Fisher's exact test, the smaller tail doubled.

    Parameters
    ----------
    missing, n : int
        Missing values and rows of the reference.
    missing_now, m : int
        Those of the current sample.

    Notes
    -----
    Hypergeometric, given all margins. For rare values a z-test is wrong by orders of magnitude.

    Examples
    --------
    >>> round(missing_counts(1, 10, 8, 10).p_value, 6)  # one tail is 0.002739
    0.005477
    """
    if not (n and m):
        return no_values(n, m)
    difference = missing_now / m - missing / n
    p = min(1.0, 2.0 * min(_hypergeometric_tails(missing, n, missing_now, m)))
    return TwoSample(difference, p, abs(difference), n, m)


def unseen_counts(unseen: int, m: int, singles: int, doubles: int, n: int) -> TwoSample:
    """Ask whether more values than chance explains were never seen in the reference.

    Parameters
    ----------
    unseen, m : int
        Values that the reference does not hold, of all values of the current sample.
    singles, doubles : int
        Words that the reference holds exactly once, and exactly twice.
    n : int
        Values of the reference.

    Returns
    -------
    TwoSample
        One-sided; ``effect`` is the rate above that to be expected.

    Notes
    -----
    The rate to be expected is singles / n: I. J. Good, 1953, Biometrika 40, 237-264. Under 20
    singles the count is compared exactly: of ``unseen + singles + 1``, each falls into the
    current sample with probability m / (n + m).
    """
    if not (n and m):
        return no_values(n, m)
    expected = singles / n
    excess = unseen / m - expected
    if singles < _FEW_SINGLES:
        p = 1.0 if unseen == 0 else float(bdtrc(unseen - 1, unseen + singles + 1, m / (n + m)))
        return TwoSample(excess, p, max(0.0, excess), n, m)
    variance = max(expected, unseen / m) / m + (singles + 2 * doubles) / n**2
    z = excess / sqrt(variance)
    return TwoSample(z, float(np.exp(log_ndtr(-z))), max(0.0, excess), n, m)


def no_values(n: int, m: int) -> TwoSample:
    """Say that a side is empty."""
    return TwoSample(None, None, None, n, m, "no values to compare")


def _hypergeometric_tails(k: int, n: int, k_now: int, m: int) -> tuple[float, float]:
    """Give P(X <= k_now) and P(X >= k_now), X of the k + k_now falling among m of n + m."""
    total, rows = k + k_now, n + m
    low, high = max(0, total - n), min(total, m)
    mean = total * m / rows
    sd = sqrt(mean * (1 - total / rows) * n / max(1, rows - 1))
    if abs(k_now - mean) > _FARTHEST_SD * (sd + 2):
        return (0.0, 1.0) if k_now < mean else (1.0, 0.0)
    # what lies farther beyond both adds less to either tail than its float holds
    reach = int(_TAIL_SD * (sd + 7))
    first, last = min(k_now, int(mean)) - reach, max(k_now, int(mean)) + reach
    x = np.arange(max(low, first), min(high, last) + 1)
    logs = -(
        gammaln(x + 1.0)
        + gammaln(total - x + 1.0)
        + gammaln(m - x + 1.0)
        + gammaln(n - total + x + 1.0)
    )
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    return float(weights[x <= k_now].sum()), float(weights[x >= k_now].sum())
