"""How good are predictions whose truth has not come? Estimates from calibrated scores.

Blind spot: concept drift. An estimate asks what the scores promise, by what such scores were worth
in the reference; when the same inputs come to mean something else, it sees nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from timonel.stats.calibration.curves import Curve, Floats, Method, fit_curve, method_for
from timonel.stats.calibration.expectations import (
    METRICS,
    Cells,
    expected,
    expected_each,
    sampling_variance,
)
from timonel.stats.calibration.stretches import Wander, half_width
from timonel.stats.metrics import Undefined

N_RESAMPLES = 100
N_FOLDS = 5
MOST_OUTSIDE = 0.05

_ENOUGH = 0.9
_VALUES_A_PAGE = 1 << 18


class Unestimable(StrEnum):
    """Why there is no estimate."""

    TOO_FEW_LABELS = "fewer than 200 labels in the reference: too few to calibrate on"
    ONE_CLASS = "the labels of the reference are all of one class"
    EMPTY = "no scores in the window"
    CONTRADICTED = "the outcomes that came contradict the estimates of this version"
    OUTSIDE_SUPPORT = "outside support: over 5 % of the scores leave the range of the reference"
    PREDICTIONS_OUTSIDE = (
        "outside support: over 5 % of the predictions leave the range of the reference"
    )
    UNDEFINED = "the rows do not define this metric"
    MULTICLASS = "with several classes only accuracy is estimated"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric estimated without labels.

    Parameters
    ----------
    metric : str
    value : float or None
        None: it cannot be said, and ``reason`` says why.
    se : float or None
        Standard error: of the calibration, and of the labels that will come.
    lower, upper : float or None
        Two-sided interval for the figure that the labels will give.
    n : int
        Rows of the window.
    reason : Unestimable or None
    se_reference : float or None
        The part of ``se`` that comes from the reference: more rows of the window leave it as it is.
    """

    metric: str
    value: float | None
    se: float | None
    lower: float | None
    upper: float | None
    n: int
    reason: Unestimable | None = None
    se_reference: float | None = None

    def lost(self, baseline: float, margin: float = 0.05) -> bool:
        """Say whether even the upper limit lies more than a margin below the baseline."""
        return self.upper is not None and self.upper < baseline - margin


@dataclass(frozen=True, slots=True)
class _Calibration:
    """The curves of one resample, one a class, and by what its estimates were off on itself."""

    curves: tuple[Curve, ...]
    shift: dict[str, float]


@dataclass(frozen=True, slots=True)
class Cbpe:
    """Confidence-based performance estimation, from a labelled reference.

    Fit it on rows that the model was not trained on.

    Parameters
    ----------
    n : int
        Labels of the reference.
    methods : tuple of Method
        One a class; one for two classes.
    threshold : float
        Scores from here on are predicted positive.
    low, high : ndarray, shape (n_columns,)
        The range of the reference's scores.
    calibrations : tuple
        The plain one first, then those of the resamples; empty where nothing can be estimated.
    seed : int
    reason : Unestimable or None
        Why nothing can be estimated.
    wander : mapping of str to Wander
        By metric, what stretches of the reference miss their estimates by beyond chance.

    Notes
    -----
    Estimate = realised metric of the reference + (estimate of the window - estimate of the
    reference by out-of-fold calibration), which cancels the constant part of miscalibration. The
    variance is that of all of this over resamples of the reference, plus that of the labels. Source
    of the expectations: NannyML, "How CBPE works".

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> score = rng.uniform(size=2000)
    >>> cbpe = Cbpe.fit(score, rng.uniform(size=2000) < score)
    >>> window = rng.beta(5, 5, size=1000)
    >>> truth = float(np.mean(np.maximum(window, 1 - window)))
    >>> found = cbpe.estimate(window, "accuracy")
    >>> found.lower < truth < found.upper
    True
    """

    n: int
    methods: tuple[Method, ...]
    threshold: float
    low: Floats
    high: Floats
    calibrations: tuple[_Calibration, ...]
    seed: int
    reason: Unestimable | None = None
    wander: Mapping[str, Wander] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        score: ArrayLike,
        label: ArrayLike,
        *,
        threshold: float = 0.5,
        n_resamples: int = N_RESAMPLES,
        seed: int = 0,
    ) -> "Cbpe":
        """Calibrate on labelled rows.

        Parameters
        ----------
        score : array, shape (n_rows,) or (n_rows, n_classes)
            Probability of the positive class, or of every class; in [0, 1].
        label : array, shape (n_rows,)
            Whether the row is positive (0 or 1), or its class as a column of ``score``.
        threshold : float
            Scores from here on are predicted positive; not used with several classes, where the
            prediction is the class with the largest score.
        n_resamples : int
        seed : int
            The same seed and rows give the same estimates.

        Returns
        -------
        Cbpe
            With a reason where the labels are too few or all alike.

        Raises
        ------
        ValueError
            If scores or labels are out of range, or their numbers differ.
        """
        columns, truth = _columns(score), np.asarray(label)
        n, n_columns = columns.shape
        if truth.shape != (n,):
            message = f"{n} scores and {truth.size} labels"
            raise ValueError(message)
        kinds = np.arange(max(2, n_columns))
        if not np.all(np.isin(truth, kinds)):
            message = f"labels are {kinds[0]} to {kinds[-1]}, not {np.unique(truth)[:5]}"
            raise ValueError(message)
        rows = _Rows.of(columns, truth.astype(np.int64), threshold)
        low, high = (f(columns, axis=0, initial=e) for f, e in ((np.min, 1.0), (np.max, 0.0)))
        methods = tuple(m for m in (method_for(n, float(np.sum(y))) for y in rows.truth) if m)
        reason = None if methods else Unestimable.TOO_FEW_LABELS
        if methods and len(np.unique(truth)) < 2:
            reason = Unestimable.ONE_CLASS
        found = () if reason else tuple(rows.calibrations(methods, n_resamples, seed))
        return cls(n, methods, threshold, low, high, found, seed, reason)

    def estimate(
        self,
        score: ArrayLike,
        metric: str,
        *,
        count: ArrayLike | None = None,
        confidence: float = 0.95,
    ) -> Estimate:
        """Estimate a metric of rows without labels.

        Parameters
        ----------
        score : array, shape (n_rows,) or (n_rows, n_classes)
            As of ``fit``; or one row for each cell of a histogram, with its ``count``.
        metric : {"accuracy", "precision", "recall", "f1", "roc_auc"}
            Of the positive class; with several classes ``accuracy`` alone.
        count : array of int, shape (n_rows,), optional
            Rows that each score stands for; without it, one.
        confidence : float
            In (0, 1).

        Returns
        -------
        Estimate

        Raises
        ------
        ValueError
            If the metric is not known, or scores are out of range.
        """
        return self.estimates(score, (metric,), count=count, confidence=confidence)[metric]

    def estimates(
        self,
        score: ArrayLike,
        metrics: Sequence[str],
        *,
        count: ArrayLike | None = None,
        confidence: float = 0.95,
    ) -> dict[str, Estimate]:
        """Estimate several metrics of the same rows, as ``estimate`` does each.

        What the scores are worth by each resample is the same for all of them, and computed once.
        """
        columns, weight = self._read(score, metrics, count)
        n = int(np.sum(weight))
        reasons = {metric: self._refusal(columns, weight, metric) for metric in metrics}
        found = {m: _unestimable(m, n, reason) for m, reason in reasons.items() if reason}
        rest = [metric for metric in metrics if metric not in found]
        if rest:
            window = _Window.of(columns, weight, self.threshold)
            best, each = self._expected(window, rest)
            found |= {m: self._estimate(best, each[m], m, n, confidence) for m in rest}
        return {metric: found[metric] for metric in metrics}

    def _expected(
        self, window: "_Window", metrics: Sequence[str]
    ) -> tuple[Cells, dict[str, Floats]]:
        """Give the cells by the best calibration, and by metric what each resample expects."""
        pages = window.pages([calibration.curves for calibration in self.calibrations])
        parts: dict[str, list[Floats]] = {metric: [] for metric in metrics}
        first: Cells | None = None
        for cells in pages:
            first = first or Cells(cells.n, cells.p[0], cells.pq[0], cells.chosen)
            for metric in metrics:
                parts[metric].append(expected_each(metric, cells))
        assert first is not None  # noqa: S101 - without a calibration there is a reason
        return first, {metric: np.concatenate(part)[1:] for metric, part in parts.items()}

    def _read(
        self, score: ArrayLike, metrics: Sequence[str], count: ArrayLike | None
    ) -> tuple[Floats, Floats]:
        for metric in metrics:
            if metric not in METRICS:
                message = f"metric {metric!r}, expected one of {', '.join(METRICS)}"
                raise ValueError(message)
        columns = _columns(score)
        if columns.shape[1] != len(self.low):
            message = f"scores of {columns.shape[1]} classes, the reference has {len(self.low)}"
            raise ValueError(message)
        weight = np.ones(len(columns)) if count is None else np.asarray(count, np.float64)
        if weight.shape != (len(columns),) or not np.all(weight >= 0.0):
            message = f"{weight.size} counts for {len(columns)} scores, or a negative one"
            raise ValueError(message)
        return columns, weight

    def _refusal(self, columns: Floats, weight: Floats, metric: str) -> Unestimable | None:
        if self.reason is not None:
            return self.reason
        if len(self.low) > 1 and metric != "accuracy":
            return Unestimable.MULTICLASS
        n = float(np.sum(weight))
        if n == 0.0:
            return Unestimable.EMPTY
        outside = weight @ ((columns < self.low) | (columns > self.high))
        return Unestimable.OUTSIDE_SUPPORT if np.max(outside) > MOST_OUTSIDE * n else None

    def _estimate(
        self, best: Cells, each: Floats, metric: str, n: int, confidence: float
    ) -> Estimate:
        try:
            value = expected(metric, best) + self.calibrations[0].shift[metric]
            sampling = sampling_variance(metric, best, np.random.default_rng(self.seed))
        except (Undefined, KeyError):
            return _unestimable(metric, n, Unestimable.UNDEFINED)
        shifts = [other.shift.get(metric, np.nan) for other in self.calibrations[1:]]
        shifted = each + np.array(shifts)
        found = shifted[~np.isnan(shifted)]
        if len(found) < max(2.0, _ENOUGH * (len(self.calibrations) - 1)):
            return _unestimable(metric, n, Unestimable.UNDEFINED)
        of_curves, wander = float(np.var(found, ddof=1)), self.wander.get(metric)
        half = half_width(of_curves + sampling, wander, confidence)
        of_reference = of_curves + (wander.variance if wander else 0.0)
        se = sqrt(of_reference + sampling)
        value, lower, upper = (min(1.0, max(0.0, v)) for v in (value, value - half, value + half))
        return Estimate(metric, value, se, lower, upper, n, None, sqrt(of_reference))


@dataclass(frozen=True, slots=True)
class _Window:
    """Scores without labels: one column of distinct scores, or rows of several classes."""

    columns: Floats
    weight: Floats
    threshold: float

    @classmethod
    def of(cls, columns: Floats, weight: Floats, threshold: float) -> "_Window":
        if columns.shape[1] > 1:
            return cls(columns, weight, threshold)
        score, at = np.unique(columns[:, 0], return_inverse=True)
        return cls(score[:, None], _sums(at, weight, len(score)), threshold)

    def pages(self, calibrations: Sequence[tuple[Curve, ...]]) -> Iterator[Cells]:
        """Give what the scores are worth by each calibration, some at a time.

        Which rows are chosen, no calibration changes.
        """
        size = max(1, _VALUES_A_PAGE // len(self.columns))
        for start in range(0, len(calibrations), size):
            page = calibrations[start : start + size]
            each = [_of_prediction(self.columns, curves, self.threshold) for curves in page]
            p = np.stack([of_positive for of_positive, _ in each])
            yield Cells(self.weight, self.weight * p, self.weight * p * (1.0 - p), each[0][1])


@dataclass(frozen=True, slots=True)
class _Rows:
    """The labelled rows of the reference, with what every resample of them shares."""

    columns: Floats
    scores: tuple[Floats, ...]
    at: tuple[NDArray[np.intp], ...]
    truth: tuple[Floats, ...]
    right: Floats
    threshold: float

    @classmethod
    def of(cls, columns: Floats, truth: NDArray[np.int64], threshold: float) -> "_Rows":
        several = columns.shape[1] > 1
        distinct = [np.unique(column, return_inverse=True) for column in columns.T]
        each = range(columns.shape[1]) if several else [1]
        labels = tuple((truth == label).astype(np.float64) for label in each)
        right = (np.argmax(columns, axis=1) == truth).astype(np.float64) if several else labels[0]
        return cls(
            columns,
            tuple(score for score, _ in distinct),
            tuple(at for _, at in distinct),
            labels,
            right,
            threshold,
        )

    def calibrations(
        self, methods: tuple[Method, ...], n_resamples: int, seed: int
    ) -> list[_Calibration]:
        rng = np.random.default_rng(seed)
        n = len(self.columns)
        fold = rng.permutation(n) % N_FOLDS
        found = [self._calibration(np.ones(n), fold, methods)]
        for _ in range(n_resamples):
            drawn = np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64)
            found.append(self._calibration(drawn, fold, methods))
        return found

    def _calibration(
        self, weight: Floats, fold: NDArray[np.intp], methods: tuple[Method, ...]
    ) -> _Calibration:
        p = np.empty(len(weight))
        chosen = np.ones(len(weight), bool)
        for held in range(N_FOLDS):
            inside = fold == held
            curves = self._curves(weight * ~inside, methods)
            p[inside], chosen[inside] = _of_prediction(self.columns[inside], curves, self.threshold)
        realised = self._cells(weight, self.right, np.zeros(len(weight)), chosen)
        estimated = self._cells(weight, p, p * (1.0 - p), chosen)
        shift = {}
        for metric in METRICS if len(self.scores) == 1 else ("accuracy",):
            try:
                shift[metric] = expected(metric, realised) - expected(metric, estimated)
            except Undefined:
                continue
        return _Calibration(self._curves(weight, methods), shift)

    def _curves(self, weight: Floats, methods: tuple[Method, ...]) -> tuple[Curve, ...]:
        curves = []
        for score, at, truth, method in zip(self.scores, self.at, self.truth, methods, strict=True):
            n = _sums(at, weight, len(score))
            curves.append(fit_curve(score, n, _sums(at, weight * truth, len(score)), method))
        return tuple(curves)

    def _cells(self, weight: Floats, p: Floats, pq: Floats, chosen: NDArray[np.bool_]) -> Cells:
        if len(self.scores) > 1:
            return Cells(weight, weight * p, weight * pq, chosen)
        score, at = self.scores[0], self.at[0]
        n, of_p, of_pq = (_sums(at, each, len(score)) for each in (weight, weight * p, weight * pq))
        return Cells(n, of_p, of_pq, score >= self.threshold)


def _of_prediction(
    columns: Floats, curves: tuple[Curve, ...], threshold: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Give each row's probability: of the positive class, or that the top class is right."""
    if len(curves) == 1:
        return curves[0](columns[:, 0]), columns[:, 0] >= threshold
    each = np.column_stack([curve(column) for curve, column in zip(curves, columns.T, strict=True)])
    total = each.sum(axis=1)
    top = each[np.arange(len(each)), np.argmax(columns, axis=1)]
    # where no class has any probability left, all are alike
    p = np.divide(top, total, out=np.full(len(each), 1.0 / len(curves)), where=total > 0.0)
    return p, np.ones(len(each), bool)


def _sums(at: NDArray[np.intp], weight: Floats, n: int) -> Floats:
    return np.asarray(np.bincount(at, weights=weight, minlength=n), np.float64)


def _columns(score: ArrayLike) -> Floats:
    found = np.asarray(score, np.float64)
    if found.ndim == 1:
        found = found[:, None]
    if found.ndim != 2 or not np.all((found >= 0.0) & (found <= 1.0)):
        message = "scores are numbers in [0, 1], one a row or one a class"
        raise ValueError(message)
    return found


def _unestimable(metric: str, n: int, reason: Unestimable) -> Estimate:
    return Estimate(metric, None, None, None, None, n, reason)
