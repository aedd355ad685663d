"""How good a model's answers were, from the exact sums that the drain keeps of joined outcomes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Engine

from timonel.events.plans import read_classes
from timonel.monitoring.series.labelled import (
    ERRORS,
    PAIR,
    confusion,
    measures,
)
from timonel.monitoring.series.measured import NO_HOLDOUT, Figures, Holdout, Measure
from timonel.stats.calibration.scored import ScoreSums
from timonel.stats.intervals import Interval, mean_interval, wilson
from timonel.store.engine import reading
from timonel.store.reads_windows import (
    HOUR_US,
    Answered,
    Cell,
    Paired,
    read_answered,
    read_cells,
    read_holdouts,
    read_pairs,
    read_scores,
)
from timonel.wire.answer import Label, Source

_STEP = 1_000_000  # quantities are kept in steps of 1e-6


class Unknown(StrEnum):
    """Why a quality cannot be stated."""

    NO_PREDICTIONS = "no_predictions"
    NO_LABELS = "no_labels"
    ONE_LABEL = "one_label"  # a mean error of one value has no interval


@dataclass(frozen=True, slots=True)
class Quality:
    """An estimate with its interval, or the reason why there is none.

    Parameters
    ----------
    metric : {"accuracy", "mean_absolute_error"}
    interval : Interval or None
        None together with ``unknown``.
    n_labels, n_needed : int
        Labelled answers behind it, and how many the policy asks for before it is to be trusted.
    holdout : Holdout
        What the version reached at its training.
    """

    metric: str
    interval: Interval | None
    unknown: Unknown | None
    n_labels: int
    n_needed: int
    holdout: Holdout = NO_HOLDOUT

    @property
    def enough(self) -> bool:
        """Whether the policy's number of labels is reached."""
        return self.interval is not None and self.n_labels >= self.n_needed

    @property
    def measure(self) -> Measure:
        """Give it in the form of the further figures."""
        return Measure(self.metric, None, self.interval, self.unknown, self.n_labels, self.holdout)


@dataclass(frozen=True, slots=True)
class Group:
    """What one version, or the rules, answered (as one variant) and how good that was."""

    version: str
    source: str
    n_answered: int
    quality: Quality
    measures: tuple[Measure, ...] = ()
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The quality of the answers given in one span of time."""

    start_us: int
    quality: Quality


@dataclass(frozen=True, slots=True)
class Performance:
    """A model's answers of a span of time, and the truth that came for them.

    Parameters
    ----------
    by_arrival : bool
        Whether the truths are those that arrived in the span; else those of the predictions in
        it. The answers that are counted are always those given in the span.
    variants : tuple of Group
        Of the answers given in an experiment, by variant; those of no variant are not among them.
    confusion : dict or None
        ``classes``, and as ``counts`` how often each (row) was answered as each (column); None
        for regressions, without labels, and with more classes than are counted.
    """

    model: str
    since_us: int
    until_us: int
    overall: Quality
    groups: tuple[Group, ...]
    cells: tuple[Cell, ...]
    answered: tuple[Answered, ...]
    by_arrival: bool = False
    measures: tuple[Measure, ...] = ()
    confusion: dict[str, Any] | None = None
    variants: tuple[Group, ...] = ()

    @property
    def n_answered(self) -> int:
        """All answers, whoever gave them."""
        return sum(group.n for group in self.answered)

    def of(self, version: str, source: str = "model") -> Quality | None:
        """Give the quality of one version's own answers; None if it answered nothing."""
        for group in self.groups:
            if (group.version, group.source) == (version, source):
                return group.quality
        return None


def metric_of(task: str) -> tuple[str, str]:
    """Give (name of the metric shown, name of the cell it is made from) for a task."""
    if task == "regression":
        return "mean_absolute_error", "absolute_error"
    return "accuracy", "correct"


def quality(cells: Iterable[Cell], task: str, *, n_answered: int, n_needed: int) -> Quality:
    """Add up cells to an estimate with a 95 % interval.

    Accuracy: Wilson's interval. Mean absolute error, in the target's unit: normal interval.
    """
    shown, kept = metric_of(task)
    chosen = [cell for cell in cells if cell.metric == kept]
    n = sum(cell.n for cell in chosen)
    total = sum(cell.sum_q for cell in chosen)
    squares = sum(cell.sum_q2 for cell in chosen)
    interval: Interval | None = None
    unknown: Unknown | None = None
    if n <= 0:
        unknown = Unknown.NO_LABELS if n_answered else Unknown.NO_PREDICTIONS
    elif shown == "accuracy":
        interval = wilson(min(n, max(0, round(total / _STEP))), n)
    elif n >= 2:
        interval = mean_interval(n, total / _STEP, squares / _STEP**2)
    else:
        unknown = Unknown.ONE_LABEL
    return Quality(shown, interval, unknown, max(n, 0), n_needed)


def measure(
    engine: Engine,
    project: str,
    model: str,
    task: str,
    *,
    since_us: int,
    until_us: int,
    n_needed: int,
    by_arrival: bool = False,
) -> Performance:
    """Read a model's performance over ``[since, until)``: answers given, or truths arrived.

    Truths are counted by whole hours, so the span begins with the hour that ``since_us`` is in.
    """
    since_us -= since_us % HOUR_US
    kept = [metric_of(task)[1], *ERRORS]
    span = (project, model, since_us, until_us)
    with reading(engine) as connection:
        answered = read_answered(connection, *span)
        cells = read_cells(connection, *span, metrics=kept, by_arrival=by_arrival)
        paired = read_pairs(connection, *span, prefix=PAIR, by_arrival=by_arrival)
        stated = read_scores(connection, *span, by_arrival=by_arrival)
        versions = {row.version for row in paired} | {cell.version for cell in cells}
        classes = read_classes(connection, project, model, versions)
        holdouts = read_holdouts(connection, project, model, versions)
    scored = [_Scored(*row[:3], ScoreSums.decode(row.sums)) for row in stated]
    seen = _Seen(task, classes, n_needed, answered, cells, paired, scored)
    figures = {version: Figures(text) for version, text in holdouts.items()}
    whole = seen.group("", "", None)
    return Performance(
        model=model,
        since_us=since_us,
        until_us=until_us,
        overall=whole.quality,
        groups=seen.groups(figures),
        cells=tuple(cells),
        answered=tuple(answered),
        by_arrival=by_arrival,
        measures=whole.measures,
        confusion=_confusion(classes, seen.pairs()),
        variants=seen.groups(figures, by_variant=True),
    )


class _Scored(NamedTuple):
    version: str
    source: str
    variant: str
    sums: ScoreSums


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was read of a span, or that part of it which has one version, source and variant."""

    task: str
    classes: Sequence[Label]
    n_needed: int
    answered: Sequence[Answered]
    cells: Sequence[Cell]
    paired: Sequence[Paired]
    scored: Sequence[_Scored]

    def groups(
        self, figures: Mapping[str, Figures], *, by_variant: bool = False
    ) -> tuple[Group, ...]:
        """Give every group that answered or has truths; by variant only those that have one."""
        found = {(row.version, row.source, row.variant) for row in self.answered}
        found |= {(cell.version, cell.source, cell.variant) for cell in self.cells}
        keys = {(v, s, variant if by_variant else None) for v, s, variant in found}
        return tuple(
            self._part(*key).group(key[0], key[1], figures.get(key[0]), key[2] or "")
            for key in sorted(keys, key=lambda key: (key[2] or "", *key[:2]))
            if key[2] or not by_variant
        )

    def _part(self, version: str, source: str, variant: str | None) -> "_Seen":
        def kept(row: Answered | Cell | Paired | _Scored) -> bool:
            own = (row.version, row.source) == (version, source)
            return own and variant in (None, row.variant)

        return replace(
            self,
            answered=[row for row in self.answered if kept(row)],
            cells=[row for row in self.cells if kept(row)],
            paired=[row for row in self.paired if kept(row)],
            scored=[row for row in self.scored if kept(row)],
        )

    def pairs(self) -> dict[str, int]:
        """Count how often each pair of truth and answer came."""
        found: dict[str, int] = {}
        for row in self.paired:
            found[row.metric] = found.get(row.metric, 0) + row.n
        return found

    def group(self, version: str, source: str, figures: Figures | None, variant: str = "") -> Group:
        """Say how good all of it was; beside what the version reached, where it answered itself."""
        n = sum(row.n for row in self.answered)
        scores = ScoreSums.of(row.sums for row in self.scored)
        how_good = quality(self.cells, self.task, n_answered=n, n_needed=self.n_needed)
        held = figures if source == Source.MODEL else None
        scale = None if held is None else held.of("naive_error").value
        further = measures(self.task, self.classes, self.cells, self.pairs(), scores, scale)
        if held is not None:
            how_good = replace(how_good, holdout=held.of(how_good.metric))
            further = held.beside(further)
        return Group(version, source, n, how_good, further, variant)


def _confusion(classes: Sequence[Label], pairs: Mapping[str, int]) -> dict[str, Any] | None:
    counts = confusion(classes, pairs)
    return {"classes": list(classes), "counts": counts.tolist()} if counts.any() else None


def over_time(
    cells: Sequence[Cell], task: str, *, n_needed: int, at_most: int = 40
) -> list[Bucket]:
    """Split cells into equal spans of whole hours, at most so many, without the empty ones."""
    if not cells:
        return []
    first = min(cell.exposure_hour for cell in cells)
    last = max(cell.exposure_hour for cell in cells)
    hours = next(
        (h for h in (1, 2, 3, 6, 12, 24, 48, 168) if (last - first) // h < at_most), 24 * 28
    )
    spans: dict[int, list[Cell]] = {}
    for cell in cells:
        spans.setdefault(cell.exposure_hour // hours, []).append(cell)
    buckets = [
        Bucket(
            span * hours * HOUR_US,
            quality(own, task, n_answered=1, n_needed=max(1, n_needed)),
        )
        for span, own in sorted(spans.items())
    ]
    return [bucket for bucket in buckets if bucket.quality.interval is not None]


def fallback(answered: Iterable[Answered]) -> tuple[int, int, dict[str, int]]:
    """Count fallback answers: (answers, fallback answers, fallback answers by reason)."""
    n, reasons = 0, dict[str, int]()
    for row in answered:
        n += row.n
        if row.reason != "assigned":
            reasons[row.reason] = reasons.get(row.reason, 0) + row.n
    ordered = dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
    return n, sum(reasons.values()), ordered
