"""How far a reference's own stretches of time wander from what their scores promise.

An estimate's band takes rows for independent. Where what scores are worth changes from week to week
(weather, campaigns, another region each day), the holdout shows it already: consecutive stretches
of it miss their own estimates by more than their labels explain. That much more, later windows will
miss theirs by, too.
"""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc, stdtrit

from timonel.stats.calibration.curves import Floats, fit_curve, method_for
from timonel.stats.calibration.expectations import METRICS, Cells, expected, sampling_variance
from timonel.stats.metrics import Undefined

MOST_STRETCHES = 20
FEWEST_STRETCHES = 5
FEWEST_ROWS = 100
"""Of a stretch."""
_LEVEL = 0.05


class Wander(NamedTuple):
    """The variance of stretches beyond what labels explain, and its degrees of freedom."""

    variance: float
    freedom: int


def wander_of(
    score: Floats, positive: Floats, threshold: float, order: Sequence[int]
) -> dict[str, Wander]:
    """Measure how a classifier's reference wanders, by metric.

    Parameters
    ----------
    score : ndarray, shape (n_rows,)
        In [0, 1].
    positive : ndarray, shape (n_rows,)
        0 or 1.
    threshold : float
    order : sequence of int
        The rows by time.

    Returns
    -------
    dict of str to Wander
        Of metrics that wander by more than chance explains (chi-square, p < .05).
    """
    method = method_for(len(score), float(positive.sum()))
    stretches = _cut(order)
    if method is None or not stretches:
        return {}
    values, at = np.unique(score, return_inverse=True)
    n = np.bincount(at).astype(np.float64)
    hits = np.asarray(np.bincount(at, weights=positive), np.float64)
    curve = fit_curve(values, n, hits, method)
    found = {}
    for metric in METRICS:
        rng = np.random.default_rng(0)
        try:
            pairs = [
                _missed(metric, curve(score[rows]), score[rows], positive[rows], threshold, rng)
                for rows in stretches
            ]
        except Undefined:
            continue
        one = beyond_chance([gap for gap, _ in pairs], [variance for _, variance in pairs])
        if one is not None:
            found[metric] = one
    return found


def wander_of_losses(losses: Floats, promised: Floats, order: Sequence[int]) -> Wander | None:
    """Measure how a regression's errors wander from those promised; None: not beyond chance."""
    stretches = _cut(order)
    apart = losses - promised
    gaps = [float(apart[rows].mean()) for rows in stretches]
    return beyond_chance(gaps, [float(apart[rows].var(ddof=1)) / len(rows) for rows in stretches])


def beyond_chance(gaps: Sequence[float], variances: Sequence[float]) -> Wander | None:
    """Give what gaps vary by beyond their own variances; None where chance explains them.

    Examples
    --------
    >>> beyond_chance([0.1, -0.1, 0.1, -0.1, 0.1, -0.1], [0.01] * 6) is None
    True
    >>> beyond_chance([0.3, -0.3, 0.3, -0.3, 0.3, -0.3], [0.01] * 6)
    Wander(variance=0.098, freedom=5)
    """
    freedom = len(gaps) - 1
    if freedom < FEWEST_STRETCHES - 1 or min(variances) <= 0.0:
        return None
    apart = np.asarray(gaps) - np.mean(gaps)
    if chdtrc(freedom, float(np.sum(apart**2 / np.asarray(variances)))) >= _LEVEL:
        return None
    variance = float(np.sum(apart**2)) / freedom - float(np.mean(variances))
    return Wander(round(variance, 12), freedom) if variance > 0.0 else None


def half_width(variance: float, wander: Wander | None, confidence: float) -> float:
    """Give half of a band: normal; Student's where what wanders was measured on few stretches."""
    share = (1.0 + confidence) / 2.0
    if wander is None:
        return float(stdtrit(np.inf, share)) * sqrt(variance)
    return float(stdtrit(wander.freedom, share)) * sqrt(variance + wander.variance)


def _cut(order: Sequence[int]) -> list[np.ndarray[tuple[int], np.dtype[np.intp]]]:
    n = min(MOST_STRETCHES, len(order) // FEWEST_ROWS)
    return np.array_split(np.asarray(order, np.intp), n) if n >= FEWEST_STRETCHES else []


def _missed(
    metric: str,
    p: Floats,
    score: Floats,
    positive: Floats,
    threshold: float,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Give by how much a stretch misses its estimate, and the variance of that by its labels."""
    values, at = np.unique(score, return_inverse=True)
    n, hits, of_p, of_pq = (
        np.asarray(np.bincount(at, weights=each, minlength=len(values)), np.float64)
        for each in (np.ones(len(score)), positive, p, p * (1.0 - p))
    )
    chosen = values >= threshold
    estimated = Cells(n, of_p, of_pq, chosen)
    realised = Cells(n, hits, np.zeros(len(n)), chosen)
    gap = expected(metric, realised) - expected(metric, estimated)
    return gap, sampling_variance(metric, estimated, rng)
