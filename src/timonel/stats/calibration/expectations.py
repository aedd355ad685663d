"""Metrics of a classifier when the truth of a row is a probability.

With probabilities of 0 and 1 they are the metrics themselves; so a realised figure and an expected
one come from the same lines.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timonel.stats.metrics import Undefined

Floats = NDArray[np.float64]
Ratio = tuple[Floats, Floats]
"""Numerator and denominator of a metric; it is defined where the latter is positive."""

N_DRAWS = 100
_VALUES_A_PAGE = 1 << 18


@dataclass(frozen=True, slots=True)
class Cells:
    """Rows of equal score, counted together.

    Parameters
    ----------
    n : ndarray, shape (n_cells,)
        Rows, by rising score.
    p : ndarray, shape (..., n_cells)
        Sum over the rows of the probability of being positive; of many calibrations at once.
    pq : ndarray, shape (..., n_cells)
        Sum over the rows of ``p (1 - p)``.
    chosen : ndarray of bool, shape (n_cells,)
        Whether the rows are predicted positive.
    """

    n: Floats
    p: Floats
    pq: Floats
    chosen: NDArray[np.bool_]

    @property
    def q(self) -> Floats:
        """Sum over the rows of the probability of being negative."""
        return self.n - self.p


def expected(metric: str, cells: Cells) -> float:
    """Give the expectation of a metric.

    Parameters
    ----------
    metric : str
        One of ``METRICS``.
    cells : Cells

    Returns
    -------
    float
        In [0, 1]; of F1, recall and the area under the ROC curve the ratio of expectations.

    Raises
    ------
    Undefined
        If the rows do not define it.
    """
    part, whole = _METRICS[metric](cells)
    if whole <= 0.0:
        message = "no row defines it"
        raise Undefined(message)
    return float(part / whole)


def expected_each(metric: str, cells: Cells) -> Floats:
    """Give the expectation of a metric for each of many calibrations of the same rows.

    Parameters
    ----------
    cells : Cells
        With ``p`` and ``pq`` of shape (n_calibrations, n_cells).

    Returns
    -------
    ndarray, shape (n_calibrations,)
        As ``expected`` gives each, to the bit; NaN where the rows do not define it.
    """
    part, whole = np.broadcast_arrays(*_METRICS[metric](cells))
    each = np.full(part.shape, np.nan)
    np.divide(part, whole, out=each, where=whole > 0.0)
    return each


def sampling_variance(metric: str, cells: Cells, rng: np.random.Generator) -> float:
    """Give the variance of a metric that comes from the labels alone, the probabilities being true.

    Notes
    -----
    First order, ``sum pq / m^2`` for accuracy; of the area under the ROC curve over ``N_DRAWS``
    draws of all labels.
    """
    if metric == "roc_auc":
        return _drawn_variance(cells, rng)
    chosen, other = float(np.sum(cells.pq[cells.chosen])), float(np.sum(cells.pq[~cells.chosen]))
    value, n = expected(metric, cells), float(np.sum(cells.n))
    n_chosen, positive = float(np.sum(cells.n[cells.chosen])), float(np.sum(cells.p))
    if metric == "accuracy":
        return (chosen + other) / n**2
    if metric == "precision":
        return chosen / n_chosen**2
    # how the ratio moves with one label among the chosen, and among the others
    if metric == "recall":
        return ((1.0 - value) ** 2 * chosen + value**2 * other) / positive**2
    return ((2.0 - value) ** 2 * chosen + value**2 * other) / (n_chosen + positive) ** 2


def _among(values: Floats, rows: NDArray[np.bool_]) -> Floats:
    """Add up some of the cells."""
    return np.asarray(np.sum(np.compress(rows, values, axis=-1), axis=-1))


def _accuracy(cells: Cells) -> Ratio:
    right = _among(cells.p, cells.chosen) + _among(cells.q, ~cells.chosen)
    return right, np.sum(cells.n, axis=-1)


def _precision(cells: Cells) -> Ratio:
    return _among(cells.p, cells.chosen), _among(cells.n, cells.chosen)


def _recall(cells: Cells) -> Ratio:
    return _among(cells.p, cells.chosen), np.sum(cells.p, axis=-1)


def _f1(cells: Cells) -> Ratio:
    found = _among(cells.p, cells.chosen)
    return 2.0 * found, _among(cells.n, cells.chosen) + np.sum(cells.p, axis=-1)


def _roc_auc(cells: Cells) -> Ratio:
    p, q = cells.p, cells.q
    # a row is no pair with itself: its own p q is taken out of ties and of all pairs
    ordered = np.sum(p * (np.cumsum(q, axis=-1) - q), axis=-1)
    ordered = ordered + np.sum(p * q - cells.pq, axis=-1) / 2.0
    pairs = np.sum(p, axis=-1) * np.sum(q, axis=-1) - np.sum(cells.pq, axis=-1)
    return ordered, pairs


def _drawn_variance(cells: Cells, rng: np.random.Generator) -> float:
    n = cells.n.astype(np.int64)
    chance = np.clip(cells.p / np.maximum(cells.n, 1.0), 0.0, 1.0)
    drawn = np.empty(N_DRAWS)
    size = max(1, _VALUES_A_PAGE // len(n))
    for start in range(0, N_DRAWS, size):
        part = drawn[start : start + size]
        labels = rng.binomial(n, chance, size=(len(part), len(n))).astype(np.float64)
        part[:] = expected_each(
            "roc_auc", Cells(cells.n, labels, np.zeros_like(labels), cells.chosen)
        )
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) < 2:
        message = "draws of labels hold one class only"
        raise Undefined(message)
    return float(np.var(drawn, ddof=1))


_METRICS: dict[str, Callable[[Cells], Ratio]] = {
    "accuracy": _accuracy,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "roc_auc": _roc_auc,
}
METRICS = tuple(_METRICS)
