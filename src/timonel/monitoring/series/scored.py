"""What truths say of stated probabilities, and of the size of errors; each with a 95 % interval.

ROC AUC, log loss, Brier score and calibration error come from the drain's sums of labelled scores;
WAPE and MASE from its exact sums of errors. "Cannot say" is a measure without an interval, with the
reason.
"""

from collections.abc import Iterable, Mapping, Sequence

from timonel.events.plans import BINARY, MAX_PAIR_CLASSES
from timonel.monitoring.series.measured import (
    NO_LABELS,
    ONE_LABEL,
    TOO_MANY_CLASSES,
    Measure,
    Sums,
    mean_of_sums,
)
from timonel.stats.calibration.realised import (
    FEWEST,
    counted_auc,
    counted_calibration_error,
    mean_of,
)
from timonel.stats.calibration.scored import OTHER, TRUE, Counts, ScoreSums
from timonel.stats.intervals import Interval, ratio_interval
from timonel.stats.metrics import Undefined
from timonel.stats.moments import PER_UNIT
from timonel.wire.answer import Label

ONE_CLASS = "one_class"
TOO_FEW = "too_few_labels"
ZERO_TRUTHS = "zero_truths"
NO_SCALE = "no_scale"
NO_INTERVALS = "no_prediction_intervals"


def score_measures(
    task: str, classes: Sequence[Label], scores: ScoreSums, absent: str
) -> list[Measure]:
    """Give ROC AUC, log loss, Brier score and calibration error of a classification.

    Parameters
    ----------
    absent : str
        The reason where nothing was counted.
    """
    return [
        *_aucs(task, classes, scores, absent),
        _mean("log_loss", scores.log_loss, absent),
        _mean("brier", scores.brier, absent),
        _calibration(scores, absent),
    ]


def _aucs(task: str, classes: Sequence[Label], scores: ScoreSums, absent: str) -> list[Measure]:
    """Give the AUC of two classes; of several, their mean, then each against the others."""
    if task != BINARY and len(classes) > MAX_PAIR_CLASSES:
        return [Measure("roc_auc", None, None, TOO_MANY_CLASSES, 0)]
    counted = {name: cells for name, cells in scores.cells.items() if _rows(cells) > 0}
    if not counted:
        return [Measure("roc_auc", None, None, absent, 0)]
    if task == BINARY:  # a version whose positive class was renamed has both: the later is fuller
        return [_auc(None, max(counted.values(), key=_rows))]
    each = [_auc(label, counted[str(label)]) for label in classes if str(label) in counted]
    found = [one.interval for one in each if one.interval is not None]
    n = max((one.n for one in each), default=0)
    mean = mean_of(found) if found else None
    return [Measure("roc_auc", None, mean, None if found else ONE_CLASS, n), *each]


def _auc(label: Label | None, cells: Counts) -> Measure:
    n = _rows(cells)
    try:
        interval, apart = counted_auc(cells)
    except Undefined:
        return Measure("roc_auc", label, None, ONE_CLASS, n)
    return Measure("roc_auc", label, interval, None, n, resolution=apart)


def _rows(cells: Counts) -> int:
    return int(cells[:, TRUE].sum() + cells[:, OTHER].sum())


def _calibration(scores: ScoreSums, absent: str) -> Measure:
    n = scores.n
    if n < FEWEST:
        return Measure("ece", None, None, TOO_FEW if n > 0 else absent, max(n, 0))
    return Measure("ece", None, counted_calibration_error(scores.bins), None, n)


def _mean(metric: str, sums: Sequence[int], absent: str) -> Measure:
    n = sums[0]
    if n < 2:
        return Measure(metric, None, None, ONE_LABEL if n == 1 else absent, max(n, 0))
    return Measure(metric, None, _from_zero(mean_of_sums(sums)), None, n)


def size_measures(sums: Mapping[str, Sums], scale: float | None) -> Iterable[Measure]:
    """Give WAPE, MASE and the coverage of prediction intervals of a regression.

    Parameters
    ----------
    sums : mapping of str to Sums
        By metric of the performance cells.
    scale : float or None
        The mean absolute error of the naive forecast in the version's training part.
    """
    n, absolute, squares = sums["absolute_error"]
    n_truths, truths, truths_squared = sums["absolute_truth"]
    if n < 2 or n_truths != n:  # others: from before the sizes of truths were kept
        why = ONE_LABEL if n == 1 else NO_LABELS
        yield Measure("wape", None, None, why, max(n_truths, 0))
    elif truths <= 0:
        yield Measure("wape", None, None, ZERO_TRUTHS, n)
    else:
        together = sums["error_by_truth"][1] / PER_UNIT
        products = squares / PER_UNIT**2, together, truths_squared / PER_UNIT**2
        found = ratio_interval(n, (absolute / PER_UNIT, truths / PER_UNIT), products)
        yield Measure("wape", None, _from_zero(found), None, n)
    if n < 2 or not scale:
        why = NO_SCALE if n >= 2 else ONE_LABEL if n == 1 else NO_LABELS
        yield Measure("mase", None, None, why, max(n, 0))
    else:
        mean = _from_zero(mean_of_sums(sums["absolute_error"]))
        value, low, high = (bound / scale for bound in mean[:3])
        yield Measure("mase", None, Interval(value, low, high, mean.confidence), None, n)
    yield Measure("coverage", None, None, NO_INTERVALS, max(n, 0))


def _from_zero(interval: Interval) -> Interval:
    return interval._replace(low=max(0.0, interval.low))
