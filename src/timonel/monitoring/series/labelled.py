"""What truths say beyond accuracy and mean error, each with a 95 % interval.

Precision, recall and specificity per class, F1 per class and its mean, from counted pairs of truth
and answer; RMSE, R2 and mean error from exact sums. "Cannot say" is a measure without an interval,
with the reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timonel.events.plans import MAX_PAIR_CLASSES, PAIR, REGRESSION, pair_metric
from timonel.stats.intervals import (
    Interval,
    f1_interval,
    macro_f1_interval,
    mean_interval,
    wilson,
)
from timonel.stats.moments import PER_UNIT
from timonel.store.reads_windows import Cell
from timonel.wire.answer import Label

ERRORS = ("error", "squared_error", "truth")

NO_LABELS = "no_labels"
ONE_LABEL = "one_label"
NEVER_PREDICTED = "class_never_predicted"
NEVER_TRUE = "class_never_true"
ALWAYS_TRUE = "class_always_true"
TOO_MANY_CLASSES = "too_many_classes"
CONSTANT_TRUTH = "constant_truth"


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric of some labelled answers, or the reason why it cannot be stated.

    Parameters
    ----------
    metric : str
        "accuracy", "precision", "recall", "specificity", "f1", "macro_f1", "mean_absolute_error",
        "rmse", "r2" or "mean_error".
    label : Label or None
        The class it is of; None for a metric of the whole.
    interval : Interval or None
        None together with ``unknown``.
    n : int
        The labelled answers behind it: of a precision those answered so, of a recall those that
        are so, of a specificity those that are not so, of an F1 both.
    """

    metric: str
    label: Label | None
    interval: Interval | None
    unknown: str | None
    n: int

    def document(self) -> dict[str, Any]:
        """Give it for JSON."""
        interval = self.interval
        return {
            "metric": self.metric,
            "class": self.label,
            "value": interval.estimate if interval else None,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "n": self.n,
            "reason": self.unknown,
        }


def measures(
    task: str, classes: Sequence[Label], cells: Iterable[Cell], pairs: Mapping[str, int]
) -> tuple[Measure, ...]:
    """Give every further metric of a task.

    Parameters
    ----------
    classes : sequence of Label
        Those the model's versions know; empty for regression.
    cells : iterable of Cell
        With the metrics of ``ERRORS``; other metrics are passed over.
    pairs : mapping of str to int
        How often each pair of truth and answer (``pair_metric``) was counted.
    """
    if task == REGRESSION:
        return _of_numbers(cells)
    if len(classes) > MAX_PAIR_CLASSES:
        return (Measure("macro_f1", None, None, TOO_MANY_CLASSES, 0),)
    return _of_classes(classes, pairs)


def confusion(classes: Sequence[Label], pairs: Mapping[str, int]) -> NDArray[np.int64]:
    """Give how often each class (row) was answered as each (column), shape (n, n)."""
    table = [[max(0, pairs.get(pair_metric(t, a), 0)) for a in classes] for t in classes]
    return np.array(table, dtype=np.int64).reshape(len(classes), len(classes))


def _of_classes(classes: Sequence[Label], pairs: Mapping[str, int]) -> tuple[Measure, ...]:
    counts = confusion(classes, pairs)
    n = int(counts.sum())
    if not n:
        return (Measure("macro_f1", None, None, NO_LABELS, 0),)
    found = [Measure("macro_f1", None, macro_f1_interval(counts), None, n)]
    for place, label in enumerate(classes):
        right = int(counts[place, place])
        true, answered = int(counts[place].sum()), int(counts[:, place].sum())
        found += [
            _share("precision", label, right, answered, NEVER_PREDICTED),
            _share("recall", label, right, true, NEVER_TRUE),
            _share("specificity", label, n - true - answered + right, n - true, ALWAYS_TRUE),
        ]
        either = true + answered - right
        f1 = f1_interval(right, true, answered) if either else None
        found.append(Measure("f1", label, f1, None if either else NEVER_TRUE, either))
    return tuple(found)


def _share(metric: str, label: Label, right: int, n: int, absent: str) -> Measure:
    return Measure(metric, label, wilson(right, n) if n else None, None if n else absent, n)


def _of_numbers(cells: Iterable[Cell]) -> tuple[Measure, ...]:
    sums = {name: [0, 0, 0] for name in ERRORS}
    for cell in cells:
        if cell.metric in sums:
            total = sums[cell.metric]
            total[:] = [total[0] + cell.n, total[1] + cell.sum_q, total[2] + cell.sum_q2]
    n = sums["squared_error"][0]
    if n < 2:
        why = ONE_LABEL if n == 1 else NO_LABELS
        names = ("rmse", "r2", "mean_error")
        return tuple(Measure(name, None, None, why, max(n, 0)) for name in names)
    squared = _mean(sums["squared_error"])
    value, low, high = (sqrt(max(0.0, bound)) for bound in squared[:3])
    root = Interval(value, low, high, squared.confidence)
    return (
        Measure("rmse", None, root, None, n),
        _r2(squared, sums["truth"], n),
        Measure("mean_error", None, _mean(sums["error"]), None, n),
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


def _mean(sums: Sequence[int]) -> Interval:
    n, q, q2 = sums
    return mean_interval(n, q / PER_UNIT, q2 / PER_UNIT**2)


def pair_counts(rows: Iterable[tuple[str, str, str, int]]) -> dict[tuple[str, str], dict[str, int]]:
    """Sort the rows of ``read_pairs`` by version and source."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for version, source, metric, n in rows:
        found.setdefault((version, source), {})[metric] = n
    return found


__all__ = ["ERRORS", "PAIR", "Measure", "confusion", "measures", "pair_counts"]
