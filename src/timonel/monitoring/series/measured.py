"""A metric of some labelled answers, and what its version reached on its holdout."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from timonel.stats.intervals import Interval, mean_interval
from timonel.stats.moments import PER_UNIT
from timonel.wire.answer import Label

Sums = tuple[int, int, int]
"""Rows, sum and sum of squares, in steps of 1e-6."""

NO_LABELS = "no_labels"
ONE_LABEL = "one_label"
TOO_MANY_CLASSES = "too_many_classes"
NOT_A_VERSION = "not_a_version"
NOT_MEASURED = "not_measured"
UNDEFINED = "undefined_on_holdout"
ON_SAMPLE = "measured_on"
"""A brought version's figures are of a sample that it may have been fitted on."""

# as training calls them
_NAMES = {"macro_f1": "f1_macro", "mean_absolute_error": "mae"}


@dataclass(frozen=True, slots=True)
class Holdout:
    """What a version reached on the rows held out at its training, or why that is not known.

    Parameters
    ----------
    value : float or None
        None together with ``unknown``.
    low, high : float or None
        Its 95 % interval, where training gave one.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    unknown: str | None = NOT_A_VERSION

    def document(self) -> dict[str, Any]:
        """Give it for JSON."""
        return {"value": self.value, "low": self.low, "high": self.high, "reason": self.unknown}


NO_HOLDOUT = Holdout()
"""Of answers of several versions, or of none."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric of some labelled answers, or the reason why it cannot be stated.

    Parameters
    ----------
    metric : str
        Of classes "accuracy", "precision", "recall", "specificity", "f1", "macro_f1", "roc_auc",
        "log_loss", "brier" and "ece"; of numbers "mean_absolute_error", "rmse", "r2", "mean_error",
        "wape", "mase" and "coverage".
    label : Label or None
        The class it is of; None for a metric of the whole.
    interval : Interval or None
        None together with ``unknown``.
    n : int
        The labelled answers behind it: of a precision those answered so, of a recall those that
        are so, of a specificity those that are not so, of an F1 both.
    holdout : Holdout
        The version's baseline.
    resolution : float or None
        Of a ROC AUC: how far that of the scores themselves can be from it, for they are counted in
        cells. The interval holds it.
    """

    metric: str
    label: Label | None
    interval: Interval | None
    unknown: str | None
    n: int
    holdout: Holdout = NO_HOLDOUT
    resolution: float | None = None

    def document(self) -> dict[str, Any]:
        """Give it for JSON."""
        interval = self.interval
        found = {
            "metric": self.metric,
            "class": self.label,
            "value": interval.estimate if interval else None,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "n": self.n,
            "reason": self.unknown,
            "baseline": self.holdout.document(),
        }
        return found if self.resolution is None else found | {"resolution": self.resolution}


def mean_of_sums(sums: Sequence[int]) -> Interval:
    """Give the mean of exact sums with its normal interval; of at least two rows."""
    n, q, q2 = sums
    return mean_interval(n, q / PER_UNIT, q2 / PER_UNIT**2)


class Figures:
    """What a version's training measured on its holdout.

    Parameters
    ----------
    text : str
        The metrics of the version, as the registry keeps them.
    """

    def __init__(self, text: str) -> None:
        self._metrics = _parts(text)
        by_class = self._metrics.get("by_class")
        kept = [] if by_class is None else _by_class(by_class)
        self._by_class = {(one.metric, type(one.label), one.label): one for one in kept}

    def of(self, metric: str, label: Label | None = None) -> Holdout:
        """Give a metric, of a class or of the whole."""
        if ON_SAMPLE in self._metrics:
            return Holdout(unknown=ON_SAMPLE)
        if label is not None:
            one = self._by_class.get((metric, type(label), label))
            return Holdout(unknown=NOT_MEASURED) if one is None else _holdout(one)
        kept = self._metrics.get(_NAMES.get(metric, metric))
        return Holdout(unknown=NOT_MEASURED) if kept is None else _holdout(_figure(kept))

    def beside(self, measures: Iterable[Measure]) -> tuple[Measure, ...]:
        """Give measures with their baselines."""
        return tuple(replace(one, holdout=self.of(one.metric, one.label)) for one in measures)


class _Figure(msgspec.Struct):
    value: float | None = None
    lower: float | None = None
    upper: float | None = None


class _OfClass(_Figure, kw_only=True):
    metric: str
    label: Label = msgspec.field(name="class")


def _holdout(figure: _Figure) -> Holdout:
    if figure.value is None:
        return Holdout(unknown=UNDEFINED)
    return Holdout(figure.value, figure.lower, figure.upper, None)


_parts = msgspec.json.Decoder(Mapping[str, msgspec.Raw]).decode
_by_class = msgspec.json.Decoder(list[_OfClass]).decode
_figure = msgspec.json.Decoder(_Figure).decode
