"""What truths say beyond accuracy and mean absolute error, each with a 95 % interval.

Precision, recall and specificity per class, F1 per class and its mean, from counted pairs of truth
and answer; RMSE, R2 and mean error from exact sums; what is said of probabilities and of the size
of errors is in ``timonel.monitoring.series.scored``. "Cannot say" is a measure without an interval,
with the reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from timonel.events.plans import MAX_PAIR_CLASSES, PAIR, REGRESSION, pair_metric
from timonel.monitoring.series.measured import (
    NO_LABELS,
    ONE_LABEL,
    TOO_MANY_CLASSES,
    Measure,
    Sums,
    mean_of_sums,
)
from timonel.monitoring.series.scored import score_measures, size_measures
from timonel.stats.calibration.scored import ScoreSums
from timonel.stats.intervals import Interval, class_intervals, macro_f1_interval
from timonel.stats.moments import PER_UNIT
from timonel.store.reads_windows import Cell
from timonel.wire.answer import Label

ERRORS = (
    "error",
    "squared_error",
    "truth",
    "absolute_error",
    "absolute_truth",
    "error_by_truth",
)

_ABSENT = {
    "predicted": "class_never_predicted",
    "true": "class_never_true",
    "other": "class_always_true",
}
CONSTANT_TRUTH = "constant_truth"
NO_CLASSES = "no_classes"
NO_SCORES = "no_scores"


def measures(
    task: str,
    classes: Sequence[Label],
    cells: Iterable[Cell],
    pairs: Mapping[str, int],
    scores: ScoreSums,
    scale: float | None = None,
) -> tuple[Measure, ...]:
    """Give every further metric of a task.

    Parameters
    ----------
    classes : sequence of Label
        Those the model's versions know; empty for regression.
    cells : iterable of Cell
        With ``correct``, or the metrics of ``ERRORS``; others are passed over.
    pairs : mapping of str to int
        How often each pair of truth and answer (``pair_metric``) was counted.
    scores : ScoreSums
        What truths said of the probabilities that were stated.
    scale : float or None
        What MASE is held against.
    """
    if task == REGRESSION:
        sums = _sums(cells)
        return (*_of_numbers(sums), *size_measures(sums, scale))
    n_labels = sum(cell.n for cell in cells if cell.metric == "correct")
    absent = NO_LABELS if n_labels <= 0 else NO_SCORES if classes else NO_CLASSES
    whole, by_class = _of_classes(classes, pairs)
    if absent == NO_CLASSES and not whole.n:
        whole = replace(whole, unknown=NO_CLASSES)
    return (whole, *score_measures(task, classes, scores, absent), *by_class)


def confusion(classes: Sequence[Label], pairs: Mapping[str, int]) -> NDArray[np.int64]:
    """Give how often each class (row) was answered as each (column), shape (n, n)."""
    table = [[max(0, pairs.get(pair_metric(t, a), 0)) for a in classes] for t in classes]
    return np.array(table, dtype=np.int64).reshape(len(classes), len(classes))


def _of_classes(
    classes: Sequence[Label], pairs: Mapping[str, int]
) -> tuple[Measure, list[Measure]]:
    """Give the mean F1, and the figures of each class."""
    if len(classes) > MAX_PAIR_CLASSES:
        return Measure("macro_f1", None, None, TOO_MANY_CLASSES, 0), []
    counts = confusion(classes, pairs)
    n = int(counts.sum())
    if not n:
        return Measure("macro_f1", None, None, NO_LABELS, 0), []
    found = [
        Measure(name, label, interval, None if interval else _ABSENT[none], n_rows)
        for place, label in enumerate(classes)
        for name, interval, n_rows, none in class_intervals(counts, place)
    ]
    return Measure("macro_f1", None, macro_f1_interval(counts), None, n), found


def _sums(cells: Iterable[Cell]) -> dict[str, Sums]:
    sums: dict[str, Sums] = dict.fromkeys(ERRORS, (0, 0, 0))
    for cell in cells:
        if cell.metric in sums:
            n, q, q2 = sums[cell.metric]
            sums[cell.metric] = (n + cell.n, q + cell.sum_q, q2 + cell.sum_q2)
    return sums


def _of_numbers(sums: Mapping[str, Sums]) -> tuple[Measure, ...]:
    n = sums["squared_error"][0]
    if n < 2:
        why = ONE_LABEL if n == 1 else NO_LABELS
        names = ("rmse", "r2", "mean_error")
        return tuple(Measure(name, None, None, why, max(n, 0)) for name in names)
    squared = mean_of_sums(sums["squared_error"])
    value, low, high = (sqrt(max(0.0, bound)) for bound in squared[:3])
    root = Interval(value, low, high, squared.confidence)
    return (
        Measure("rmse", None, root, None, n),
        _r2(squared, sums["truth"], n),
        Measure("mean_error", None, mean_of_sums(sums["error"]), None, n),
    )


def _r2(squared: Interval, truth: Sequence[int], n: int) -> Measure:
    """Hold the squared errors against the spread of the truths, which is taken as given."""
    n_truth, q, q2 = truth
    if n_truth != n:  # labels from before the truths' own sums were kept
        return Measure("r2", None, None, NO_LABELS, n_truth)
    spread = (n * q2 - q * q) / (n * n) / PER_UNIT**2
    if spread <= 0:
        return Measure("r2", None, None, CONSTANT_TRUTH, n)
    value, worst, best = (1 - bound / spread for bound in squared[:3])
    best, worst = min(1.0, max(best, worst)), min(best, worst)
    return Measure("r2", None, Interval(value, worst, best, squared.confidence), None, n)


__all__ = ["ERRORS", "PAIR", "Measure", "confusion", "measures"]
