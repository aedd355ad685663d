"""From a score to the frequency with which it comes true: Platt's sigmoid and isotonic steps.

Both are fitted on counts at distinct scores, so that a resample of the rows is another set of
counts and nothing is sorted twice.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

Floats = NDArray[np.float64]

FEWEST_LABELS = 200
FEWEST_FOR_STEPS = 1000
FEWEST_OF_A_CLASS = 100

_NEAREST = 1e-6
_MOST_STEPS = 100
_FLAT = 1e-9


class Method(StrEnum):
    """How scores are calibrated."""

    PLATT = "platt"
    ISOTONIC = "isotonic"


class Curve(Protocol):
    """A calibration: scores in, probabilities out, elementwise."""

    def __call__(self, score: Floats) -> Floats:
        """Give the probability at each score, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """``1 / (1 + exp(-(slope * logit(score) + intercept)))``."""

    slope: float
    intercept: float

    def __call__(self, score: Floats) -> Floats:
        """Give the probability at each score."""
        found: Floats = expit(self.slope * _logit(score) + self.intercept)
        return found


@dataclass(frozen=True, slots=True)
class Steps:
    """A rising curve through its knots: straight between them, level beyond the ends."""

    score: Floats
    probability: Floats

    def __call__(self, score: Floats) -> Floats:
        """Give the probability at each score."""
        return np.interp(score, self.score, self.probability)


def method_for(n: int, n_positive: float) -> Method | None:
    """Choose the method by the number of labels; None where they are too few for any.

    Examples
    --------
    >>> method_for(999, 400), method_for(5000, 99), method_for(5000, 100)
    (<Method.PLATT: 'platt'>, <Method.PLATT: 'platt'>, <Method.ISOTONIC: 'isotonic'>)
    """
    if n < FEWEST_LABELS:
        return None
    if n < FEWEST_FOR_STEPS or min(n_positive, n - n_positive) < FEWEST_OF_A_CLASS:
        return Method.PLATT
    return Method.ISOTONIC


def fit_curve(score: Floats, n: Floats, n_positive: Floats, method: Method) -> Curve:
    """Calibrate on labelled counts.

    Parameters
    ----------
    score : ndarray, shape (n_scores,)
        Distinct and rising, in [0, 1].
    n, n_positive : ndarray, shape (n_scores,)
        Labels at each score, and how many of them came true; scores without labels do not count.
    method : Method

    Returns
    -------
    Curve
    """
    seen = n > 0.0
    if method is Method.PLATT:
        return _sigmoid(_logit(score[seen]), n[seen], n_positive[seen])
    return _steps(score[seen], n[seen], n_positive[seen])


def _steps(score: Floats, n: Floats, n_positive: Floats) -> Steps:
    # a third of a second to import, and reading what is estimated does not need it
    from scipy.optimize import isotonic_regression

    level = isotonic_regression(n_positive / n, weights=n).x
    # the ends of each level say all
    changes = level[1:] != level[:-1]
    knots = np.r_[True, changes] | np.r_[changes, True]
    return Steps(score[knots], np.clip(level[knots], 0.0, 1.0))


def _sigmoid(x: Floats, n: Floats, n_positive: Floats) -> Sigmoid:
    """Fit by Newton's method, halving steps that do not help.

    Targets are Platt's: ``(N+ + 1) / (N+ + 2)`` and ``1 / (N- + 2)`` instead of 1 and 0. Source:
    J. Platt, 1999, Advances in Large Margin Classifiers, 61-74; H.-T. Lin, C.-J. Lin, R. C. Weng,
    2007, Machine Learning 68, 267-276.
    """
    positives, total = float(np.sum(n_positive)), float(np.sum(n))
    negatives = total - positives
    target = n_positive * (positives + 1.0) / (positives + 2.0) + (n - n_positive) / (
        negatives + 2.0
    )

    def loss(at: Floats) -> float:
        z = at[0] * x + at[1]
        return float(np.sum(n * np.logaddexp(0.0, z) - target * z))

    at = np.array([0.0, np.log((positives + 1.0) / (negatives + 1.0))])
    best = loss(at)
    for _ in range(_MOST_STEPS):
        p = expit(at[0] * x + at[1])
        rest, weight = n * p - target, n * p * (1.0 - p)
        slope = np.array([np.sum(rest * x), np.sum(rest)])
        if np.max(np.abs(slope)) < _FLAT * total:
            break
        cross = np.sum(weight * x)
        curvature = np.array([[np.sum(weight * x * x), cross], [cross, np.sum(weight)]])
        # a ridge that only matters where all scores are one
        step = np.linalg.solve(curvature + 1e-12 * total * np.eye(2), slope)
        size = 1.0
        while (now := loss(at - size * step)) > best and size > _FLAT:
            size /= 2.0
        if now > best:
            break
        at, best = at - size * step, now
    return Sigmoid(float(at[0]), float(at[1]))


def _logit(score: Floats) -> Floats:
    found: Floats = logit(np.clip(score, _NEAREST, 1.0 - _NEAREST))
    return found
