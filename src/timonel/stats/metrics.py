"""How good predictions are: figures of classes, of probabilities and of numbers.

Classes are whole numbers ``0 .. n_classes - 1``; a true class of -1 is one that the model does not
know (it counts as an error, and is left out where a probability of it would be needed).
Everything here is one number from arrays; intervals are added by ``timonel.stats.resampling``.
A figure that does not exist raises ``Undefined`` with the reason.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]

SMALLEST = 1e-15
N_BINS = 10


class Undefined(ValueError):
    """A figure that these rows do not define; the message is the reason."""


# --- classes


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Precision, recall and F1 of one class; None where no row defines it."""

    n_true: int
    n_predicted: int
    n_right: int

    @property
    def precision(self) -> float | None:
        """Share of the rows predicted so that are so."""
        return self.n_right / self.n_predicted if self.n_predicted else None

    @property
    def recall(self) -> float | None:
        """Share of the rows that are so that were predicted so."""
        return self.n_right / self.n_true if self.n_true else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of both; None where the class neither occurs nor is predicted."""
        n = self.n_true + self.n_predicted
        return 2 * self.n_right / n if n else None


def confusion(truth: Labels, predicted: Labels, n_classes: int) -> NDArray[np.int64]:
    """Count rows by (true class, predicted class); rows of unknown classes are left out.

    Returns
    -------
    ndarray, shape (n_classes, n_classes)
    """
    known = truth >= 0
    cells = truth[known] * n_classes + predicted[known]
    return np.bincount(cells, minlength=n_classes * n_classes).reshape(n_classes, n_classes)


def class_figures(truth: Labels, predicted: Labels, n_classes: int) -> list[ClassFigures]:
    """Give the counts of every class, in class order."""
    right = np.bincount(predicted[truth == predicted], minlength=n_classes)
    true = np.bincount(truth[truth >= 0], minlength=n_classes)
    chosen = np.bincount(predicted, minlength=n_classes)
    return [
        ClassFigures(int(t), int(p), int(r)) for t, p, r in zip(true, chosen, right, strict=True)
    ]


def accuracy(truth: Labels, predicted: Labels) -> float:
    """Give the share of rows predicted right."""
    if not len(truth):
        raise Undefined("no rows")
    return float(np.mean(truth == predicted))


def macro_f1(truth: Labels, predicted: Labels, n_classes: int) -> float:
    """Give the mean F1 of the classes that occur or are predicted."""
    found = [f.f1 for f in class_figures(truth, predicted, n_classes) if f.f1 is not None]
    if not found:
        raise Undefined("no rows of a known class")
    return float(np.mean(found))


def weighted_f1(truth: Labels, predicted: Labels, n_classes: int) -> float:
    """Give the mean F1 of the classes, weighted by how often each occurs."""
    figures = class_figures(truth, predicted, n_classes)
    n = sum(f.n_true for f in figures)
    if not n:
        raise Undefined("no rows of a known class")
    return sum(f.n_true * (f.f1 or 0.0) for f in figures) / n


# --- probabilities


def roc_auc(positive: NDArray[np.bool_], score: Floats) -> float:
    """Give the chance that a positive row scores above a negative one (ties count half).

    Notes
    -----
    Mann-Whitney U over midranks. Source: Hanley and McNeil, 1982, Radiology 143, 29-36.
    """
    n_positive = int(np.sum(positive))
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        raise Undefined("only one class among the rows")
    _, where, counts = np.unique(score, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    midranks = last - (counts - 1) / 2.0
    rank_sum = float(np.sum(midranks[where][positive]))
    return (rank_sum - n_positive * (n_positive + 1) / 2.0) / (n_positive * n_negative)


def macro_auc(truth: Labels, probabilities: Floats) -> float:
    """Give the mean over classes of the AUC of each class against the others."""
    n_classes = probabilities.shape[1]
    found = []
    for label in range(n_classes):
        positive = truth == label
        if positive.any() and not positive.all():
            found.append(roc_auc(positive, probabilities[:, label]))
    if not found:
        raise Undefined("only one class among the rows")
    return float(np.mean(found))


def log_loss(truth: Labels, probabilities: Floats) -> float:
    """Give the mean of ``-ln`` of the probability of the true class, in nats."""
    known = truth >= 0
    if not known.any():
        raise Undefined("no rows of a known class")
    of_truth = probabilities[known, truth[known]]
    return float(-np.mean(np.log(np.clip(of_truth, SMALLEST, 1.0))))


def squared_distances(truth: Labels, probabilities: Floats) -> Floats:
    """Give each row's squared distance between its probabilities and the truth, in [0, 2]."""
    target = np.zeros_like(probabilities)
    known = np.flatnonzero(truth >= 0)
    target[known, truth[known]] = 1.0
    distances: Floats = np.sum((probabilities - target) ** 2, axis=1)
    return distances


def brier(truth: Labels, probabilities: Floats) -> float:
    """Give the Brier score: of the positive class for two classes, else summed over classes.

    Notes
    -----
    Source: G. W. Brier, 1950, Monthly Weather Review 78, 1-3 (the sum); for two classes the usual
    half of it.
    """
    if not len(truth):
        raise Undefined("no rows")
    total = float(np.mean(squared_distances(truth, probabilities)))
    return total / 2.0 if probabilities.shape[1] == 2 else total


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Rows whose stated probability lies in [low, high): what was said, and what came."""

    low: float
    high: float
    n: int
    mean_stated: float | None
    share_observed: float | None


def calibration_bins(
    observed: NDArray[np.bool_], stated: Floats, n_bins: int = N_BINS
) -> list[CalibrationBin]:
    """Sort rows into equal-width bins of the stated probability."""
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    at = np.minimum((stated * n_bins).astype(np.int64), n_bins - 1)
    counts = np.bincount(at, minlength=n_bins)
    said = np.bincount(at, weights=stated, minlength=n_bins)
    came = np.bincount(at, weights=observed.astype(np.float64), minlength=n_bins)
    return [
        CalibrationBin(
            float(edges[i]),
            float(edges[i + 1]),
            int(n),
            float(said[i] / n) if n else None,
            float(came[i] / n) if n else None,
        )
        for i, n in enumerate(counts)
    ]


def expected_calibration_error(
    observed: NDArray[np.bool_], stated: Floats, n_bins: int = N_BINS
) -> float:
    """Give the mean distance between stated and observed, weighted by the rows of each bin.

    Notes
    -----
    Source: Naeini, Cooper and Hauskrecht, 2015, AAAI 29. It is biased upwards on few rows.
    """
    if not len(observed):
        raise Undefined("no rows")
    at = np.minimum((stated * n_bins).astype(np.int64), n_bins - 1)
    gaps = np.bincount(at, weights=observed.astype(np.float64) - stated, minlength=n_bins)
    return float(np.sum(np.abs(gaps)) / len(observed))


# --- numbers


def mae(truth: Floats, predicted: Floats) -> float:
    """Give the mean absolute error, in the target's unit."""
    _require_rows(truth)
    return float(np.mean(np.abs(truth - predicted)))


def mean_error(truth: Floats, predicted: Floats) -> float:
    """Give the mean of prediction minus truth (the bias), in the target's unit."""
    _require_rows(truth)
    return float(np.mean(predicted - truth))


def rmse(truth: Floats, predicted: Floats) -> float:
    """Give the root of the mean squared error, in the target's unit."""
    _require_rows(truth)
    return float(np.sqrt(np.mean((truth - predicted) ** 2)))


def r2(truth: Floats, predicted: Floats) -> float:
    """Give the share of the target's variance that is explained; at most 1, may be negative."""
    _require_rows(truth)
    spread = float(np.sum((truth - truth.mean()) ** 2))
    if spread == 0.0:
        raise Undefined("the target is constant on these rows")
    return 1.0 - float(np.sum((truth - predicted) ** 2)) / spread


def mape(truth: Floats, predicted: Floats) -> float:
    """Give the mean absolute error relative to each true value."""
    _require_rows(truth)
    if np.any(truth == 0.0):
        raise Undefined("a true value is 0")
    return float(np.mean(np.abs((truth - predicted) / truth)))


def wape(truth: Floats, predicted: Floats) -> float:
    """Give the sum of absolute errors over the sum of absolute true values."""
    _require_rows(truth)
    total = float(np.sum(np.abs(truth)))
    if total == 0.0:
        raise Undefined("all true values are 0")
    return float(np.sum(np.abs(truth - predicted))) / total


def _require_rows(truth: Floats) -> None:
    if not len(truth):
        raise Undefined("no rows")
