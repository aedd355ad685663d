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

N_DRAWS = 100


@dataclass(frozen=True, slots=True)
class Cells:
    """Rows of equal score, counted together.

    Parameters
    ----------
    n : ndarray, shape (n_cells,)
        Rows, by rising score.
    p : ndarray, shape (n_cells,)
        Sum over the rows of the probability of being positive.
    pq : ndarray, shape (n_cells,)
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
    return _METRICS[metric](cells)


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


def _accuracy(cells: Cells) -> float:
    right = np.sum(cells.p[cells.chosen]) + np.sum(cells.q[~cells.chosen])
    return _share(float(right), float(np.sum(cells.n)))


def _precision(cells: Cells) -> float:
    return _share(float(np.sum(cells.p[cells.chosen])), float(np.sum(cells.n[cells.chosen])))


def _recall(cells: Cells) -> float:
    return _share(float(np.sum(cells.p[cells.chosen])), float(np.sum(cells.p)))


def _f1(cells: Cells) -> float:
    n_chosen = float(np.sum(cells.n[cells.chosen]))
    found = float(np.sum(cells.p[cells.chosen]))
    return _share(2.0 * found, n_chosen + float(np.sum(cells.p)))


def _roc_auc(cells: Cells) -> float:
    p, q = cells.p, cells.q
    # a row is no pair with itself: its own p q is taken out of ties and of all pairs
    ordered = np.sum(p * (np.cumsum(q) - q)) + np.sum(p * q - cells.pq) / 2.0
    pairs = np.sum(p) * np.sum(q) - np.sum(cells.pq)
    return _share(float(ordered), float(pairs))


def _drawn_variance(cells: Cells, rng: np.random.Generator) -> float:
    none = np.zeros_like(cells.pq)
    n = cells.n.astype(np.int64)
    chance = np.clip(cells.p / np.maximum(cells.n, 1.0), 0.0, 1.0)
    drawn = []
    for _ in range(N_DRAWS):
        labels = rng.binomial(n, chance).astype(np.float64)
        try:
            drawn.append(_roc_auc(Cells(cells.n, labels, none, cells.chosen)))
        except Undefined:
            continue
    if len(drawn) < 2:
        message = "draws of labels hold one class only"
        raise Undefined(message)
    return float(np.var(drawn, ddof=1))


def _share(part: float, whole: float) -> float:
    if whole <= 0.0:
        message = "no row defines it"
        raise Undefined(message)
    return part / whole


_METRICS: dict[str, Callable[[Cells], float]] = {
    "accuracy": _accuracy,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "roc_auc": _roc_auc,
}
METRICS = tuple(_METRICS)
