"""How far two samples lie apart: tests and distances on raw values.

The same on counts, which is what profiles hold: ``timonel.stats.profiles.count_tests``.
"""

from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np

from timonel.stats.profiles.cells import (
    Column,
    NumberCells,
    count_words,
    fit_cells,
    floats,
    guess_kind,
)
from timonel.stats.profiles.count_tests import TwoSample, binned, chi2_counts, no_values, value_bins
from timonel.stats.profiles.distances import jensen_shannon_shares, psi_shares
from timonel.stats.profiles.packing import FloatArray, IntArray

_EMPTY = "an empty sample has no distance"


def ks(a: Column, b: Column) -> TwoSample:
    """Compare two samples of numbers by Kolmogorov and Smirnov, two-sided.

    Parameters
    ----------
    a, b : sequence or ndarray
        Missing values (None, NaN) are left out.

    Returns
    -------
    TwoSample
        ``statistic`` and ``effect`` are D. The p-value is exact up to 10,000 values, else
        asymptotic.

    Notes
    -----
    scipy.stats.ks_2samp, method "auto". With ties the p-value is conservative.

    Examples
    --------
    >>> ks([1, 2, 3, 4], [5, 6, 7, 8]).statistic
    1.0
    """
    x, y = _present(a), _present(b)
    if not (len(x) and len(y)):
        return no_values(len(x), len(y))
    # half a second to import, and comparing profiles does not need it
    from scipy.stats import ks_2samp

    found = ks_2samp(x, y)
    statistic = float(found.statistic)
    return TwoSample(statistic, float(found.pvalue), statistic, len(x), len(y))


def chi2(a: Column, b: Column) -> TwoSample:
    """Compare two samples by the chi-square of homogeneity.

    Words, flags and numbers of at most 20 values are compared value by value, without merging
    rare ones; other numbers in about ten value-aware bins.

    Parameters
    ----------
    a, b : sequence or ndarray
        Missing values (None, NaN) are left out.

    Returns
    -------
    TwoSample
        ``effect`` is the total variation.

    Notes
    -----
    Pearson's statistic, no continuity correction. With expected counts under 5 the p-value is
    rough; ``compare`` of profiles merges such cells.

    Examples
    --------
    >>> round(chi2(["x"] * 30 + ["y"] * 20, ["x"] * 20 + ["y"] * 30).p_value, 4)
    0.0455
    """
    return chi2_counts(*_table(a, b))


def psi(reference: Column, current: Column) -> float:
    """Measure how far two samples lie apart by the population stability index.

    Parameters
    ----------
    reference, current : sequence or ndarray
        Two samples, of words or of numbers (in about ten value-aware bins); or two
        vectors of shares on the same bins, non-negative and each summing to 1.

    Returns
    -------
    float
        In nats, >= 0; about 0.1 is small, 0.25 large (a convention, not a test). An empty bin
        counts as a share of 1e-4.

    Raises
    ------
    ValueError
        If a sample is empty.

    Examples
    --------
    >>> psi(np.array([0.5, 0.5]), np.array([0.5, 0.5]))
    0.0
    """
    return psi_shares(*_shares(reference, current))


def jensen_shannon(reference: Column, current: Column) -> float:
    """Give the Jensen-Shannon distance, the root of the divergence in nats.

    Parameters
    ----------
    reference, current
        As of ``psi``.

    Returns
    -------
    float
        From 0 (equal) to ``sqrt(log(2))``, 0.83 (nothing in common).

    Raises
    ------
    ValueError
        If a sample is empty.
    """
    return jensen_shannon_shares(*_shares(reference, current))


def wasserstein(a: Column, b: Column) -> float:
    """Give the first Wasserstein distance of two samples of numbers, in their unit.

    Raises
    ------
    ValueError
        If a sample is empty.

    Notes
    -----
    The area between the two distribution functions.

    Examples
    --------
    >>> wasserstein([0, 1, 3], [5, 6, 8])
    5.0
    """
    x, y = np.sort(_present(a)), np.sort(_present(b))
    if not (len(x) and len(y)):
        raise ValueError(_EMPTY)
    points = np.sort(np.concatenate([x, y]))
    f = np.searchsorted(x, points[:-1], side="right") / len(x)
    g = np.searchsorted(y, points[:-1], side="right") / len(y)
    return float(np.sum(np.abs(f - g) * np.diff(points)))


def _present(values: Column) -> FloatArray:
    found = floats(values)
    return found[~np.isnan(found)]


def _table(a: Column, b: Column) -> tuple[IntArray, IntArray]:
    """Count two samples in the same cells."""
    if guess_kind(a) == "category":
        in_a, _ = count_words(a)
        in_b, _ = count_words(b)
        each: Sequence[Any] = sorted({*in_a, *in_b})
        return np.array([in_a[k] for k in each]), np.array([in_b[k] for k in each])
    cells = fit_cells(a, None)
    if isinstance(cells, NumberCells):
        r, c = cells.tally(a).counts[:-1], cells.tally(b).counts[:-1]
        r_bins, c_bins = binned(value_bins(cells, r + c), r, c)
        return r_bins, c_bins
    x, y = np.sort(_present(a)), np.sort(_present(b))
    values = np.unique(np.concatenate([x, y]))
    by_side = [np.diff(np.searchsorted(s, np.append(values, inf))) for s in (x, y)]
    return by_side[0], by_side[1]


def _shares(a: Column, b: Column) -> tuple[FloatArray, FloatArray]:
    if len(a) == 0 or len(b) == 0:
        raise ValueError(_EMPTY)
    if _are_shares(a) and _are_shares(b) and len(a) == len(b):
        return floats(a), floats(b)
    r, c = _table(a, b)
    if not (r.sum() and c.sum()):
        raise ValueError(_EMPTY)
    return r / r.sum(), c / c.sum()


def _are_shares(values: Column) -> bool:
    if guess_kind(values) != "number":
        return False
    found = floats(values)
    return bool(np.all(found >= 0) and abs(found.sum() - 1.0) < 1e-9)
