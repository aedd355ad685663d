"""How good a model's answers were, from the exact sums that the drain keeps of joined outcomes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine

from timonel.events.plans import read_classes
from timonel.monitoring.series.labelled import (
    ERRORS,
    PAIR,
    confusion,
    measures,
    pair_counts,
)
from timonel.monitoring.series.measured import NO_HOLDOUT, Figures, Holdout, Measure
from timonel.stats.calibration.scored import ScoreSums
from timonel.stats.intervals import Interval, mean_interval, wilson
from timonel.store.engine import reading
from timonel.store.reads_windows import (
    HOUR_US,
    Answered,
    Cell,
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
    """What one version, or the rules, answered and how good that was."""

    version: str
    source: str
    n_answered: int
    quality: Quality
    measures: tuple[Measure, ...] = ()


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
        rows = read_pairs(connection, *span, prefix=PAIR, by_arrival=by_arrival)
        stated = read_scores(connection, *span, by_arrival=by_arrival)
        versions = {version for version, *_ in rows} | {cell.version for cell in cells}
        classes = read_classes(connection, project, model, versions)
        holdouts = read_holdouts(connection, project, model, versions)
    figures = {version: Figures(text) for version, text in holdouts.items()}
    pairs, scores = pair_counts(rows), _scores(stated)
    every: dict[str, int] = {}
    for counted in pairs.values():
        every = {name: every.get(name, 0) + counted.get(name, 0) for name in {*every, *counted}}
    keys = sorted(
        {(row.version, row.source) for row in answered}
        | {(cell.version, cell.source) for cell in cells}
    )
    groups = []
    for version, source in keys:
        n = sum(r.n for r in answered if (r.version, r.source) == (version, source))
        own = [c for c in cells if (c.version, c.source) == (version, source)]
        how_good = quality(own, task, n_answered=n, n_needed=n_needed)
        of_version = figures.get(version) if source == Source.MODEL else None
        further = measures(
            task,
            classes,
            own,
            pairs.get((version, source), {}),
            scores.get((version, source), ScoreSums()),
            None if of_version is None else of_version.of("naive_error").value,
        )
        if of_version is not None:
            how_good = replace(how_good, holdout=of_version.of(how_good.metric))
            further = of_version.beside(further)
        groups.append(Group(version, source, n, how_good, further))
    n_all = sum(row.n for row in answered)
    return Performance(
        model=model,
        since_us=since_us,
        until_us=until_us,
        overall=quality(cells, task, n_answered=n_all, n_needed=n_needed),
        groups=tuple(groups),
        cells=tuple(cells),
        answered=tuple(answered),
        by_arrival=by_arrival,
        measures=measures(task, classes, cells, every, ScoreSums.of(scores.values())),
        confusion=_confusion(classes, every),
    )


def _scores(rows: Iterable[tuple[str, str, str, str]]) -> dict[tuple[str, str], ScoreSums]:
    """Add up labelled scores by version and source."""
    found: dict[tuple[str, str], ScoreSums] = {}
    for version, source, _, sums in rows:
        found.setdefault((version, source), ScoreSums()).merge(ScoreSums.decode(sums))
    return found


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
