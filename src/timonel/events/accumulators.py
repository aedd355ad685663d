"""Sums that the drain keeps, so that monitoring and analysis never scan raw rows.

A row belongs to one drainer, whose id is in its key; readers add the partial sums. All numbers are
integers: any order and any partition of the same events gives the same sums, bit for bit.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection, Engine

from timonel.events.column_windows import ColumnWindows
from timonel.events.frames import NO_INPUTS, PredictionFrame, RefusalFrame, ShadowAnswer
from timonel.events.plans import Plan
from timonel.stats.calibration.scored import Said, ScoreSums
from timonel.stats.moments import ExactSums, quantise, quantise_all
from timonel.stats.multivariate.repeats import bits_of, decode_bits, encode_bits
from timonel.store.keyed import read_keyed, write_keyed
from timonel.store.tables import minute_windows, performance_cells
from timonel.store.tables_loop import refusal_windows, row_windows, score_windows
from timonel.wire.answer import Label

MINUTE_US = 60_000_000
HOUR_US = 3_600_000_000
LATENCY_EDGES_US = tuple(round(16 * 2 ** (step / 2)) for step in range(41))
"""Upper edges of the latency histogram, 16 us to 16.8 s in half powers of two; one bin beyond."""

BY_PREDICTION, BY_ARRIVAL = "prediction", "arrival"
"""What the hour of a row of ``score_windows`` is of."""

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class LoggedPrediction:
    """The envelope of a stored prediction: what its outcome needs of it."""

    id: bytes
    at: int
    model: str
    version: str
    variant: str
    source: str
    prediction: Label
    unit: str | None = None
    generation: int = 0
    shadow: ShadowAnswer | None = None  # within its frame, or joined to it
    shadow_asked: bool | None = None
    score: float | None = None
    probabilities: dict[str, float] | None = None


@dataclass(frozen=True, slots=True)
class TruthChange:
    """A truth that begins to count for a prediction (``sign`` 1), or ceases to (-1).

    ``at`` is when the outcome arrived that caused it.
    """

    prediction: LoggedPrediction
    value: Label
    at: int
    sign: int
    plan: Plan


@dataclass(frozen=True, slots=True)
class ShadowResult:
    """What came of asking an unheard version after the answer; its prediction is known now.

    Parameters
    ----------
    prediction : LoggedPrediction
        With its ``shadow`` where there is an answer.
    fate : str
        Of ``timonel.events.frames.Fate``.
    truth : label or None
        The truth that counts already, if there is one: the pair has to be counted now. One that
        comes later brings its own ``TruthChange``.
    plan : Plan
    """

    prediction: LoggedPrediction
    fate: str
    truth: Label | None
    plan: Plan


class Accumulator(Protocol):
    """Keeps sums of what a drainer really stored.

    Called from the drainer's thread. ``add_*`` sees each stored row and each change of a truth
    once per transaction, before ``write``, which runs in that transaction, after the rows. After
    the end of every transaction ``clear`` is called: what was written is committed, or what was
    added did not happen and will be added again.
    """

    def add_predictions(self, frames: Sequence[PredictionFrame]) -> None:
        """Take predictions that were inserted, and were not there before."""
        ...

    def add_truths(self, changes: Sequence[TruthChange]) -> None:
        """Take truths that began or ceased to count."""
        ...

    def add_shadows(self, results: Sequence[ShadowResult]) -> None:
        """Take what came of asking unheard versions, whose predictions are known now."""
        ...

    def write(self, connection: Connection, drainer_id: str) -> None:
        """Add what was taken to the rows of this drainer."""
        ...

    def clear(self) -> None:
        """Forget what was taken."""
        ...


def default_accumulators(engine: Engine, project: str) -> list[Accumulator]:
    """Give the accumulators of every project: minutes, columns, and what truths said."""
    return [
        MinuteWindows(project),
        PerformanceCells(project),
        ScoreWindows(project),
        ColumnWindows(project),
        RowWindows(project),
    ]


class _Window:
    """One minute of one source's answers, being summed."""

    __slots__ = ("confidences", "latencies_us")

    def __init__(self) -> None:
        self.latencies_us: list[int] = []
        self.confidences: list[float] = []

    def sums(self) -> tuple[int, list[int], ExactSums]:
        """Give the sum of the latencies, their histogram, and the sums of confidence."""
        histogram = [0] * (len(LATENCY_EDGES_US) + 1)
        for latency in self.latencies_us:
            histogram[bisect_left(LATENCY_EDGES_US, latency)] += 1
        quantised = quantise_all([value for value in self.confidences if 0.0 <= value <= 1.0])
        squares = sum(q * q for q in quantised)
        confidence = ExactSums(len(quantised), sum(quantised), squares)
        return sum(self.latencies_us), histogram, confidence


class MinuteWindows:
    """Volume, latency and confidence, a minute, by model, version, variant, source and reason."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._windows: dict[Key, _Window] = {}

    def add_predictions(self, frames: Sequence[PredictionFrame]) -> None:
        """Count answers; confidence is the highest probability, where the source gave any."""
        windows = self._windows
        for f in frames:
            key = (f.model, f.version, f.variant, f.source, f.reason, f.at // MINUTE_US)
            window = windows.get(key)
            if window is None:
                window = windows[key] = _Window()
            window.latencies_us.append(f.latency_us)
            if f.probabilities:
                window.confidences.append(max(f.probabilities.values()))

    def add_truths(self, changes: Sequence[TruthChange]) -> None:
        """Truths change nothing here."""

    def add_shadows(self, results: Sequence[ShadowResult]) -> None:
        """Nor does what nobody heard."""

    def write(self, connection: Connection, drainer_id: str) -> None:
        """Add the minutes to their rows."""
        t = minute_windows
        keys = {key: self._key(key, drainer_id) for key in self._windows}
        stored = {row[:8]: row for row in read_keyed(connection, t, 8, keys.values())}
        rows = []
        for short, window in self._windows.items():
            key = keys[short]
            before = stored.get(key)
            n, (latency_us, histogram, sums) = len(window.latencies_us), window.sums()
            if before is not None:
                n_before, latency_before, counts, c_n, c_q, c_q2 = before[8:]
                n, latency_us = n + n_before, latency_us + latency_before
                known = msgspec.json.decode(counts, type=list[int])
                histogram = [a + b for a, b in zip(histogram, known, strict=True)]
                sums += ExactSums(c_n, int(c_q), int(c_q2))
            rows.append(
                (
                    *key,
                    n,
                    latency_us,
                    msgspec.json.encode(histogram).decode(),
                    sums.n,
                    str(sums.q),
                    str(sums.q2),
                )
            )
        write_keyed(connection, t, 8, rows)

    def clear(self) -> None:
        """Forget what was taken."""
        self._windows.clear()

    def _key(self, key: Key, drainer_id: str) -> Key:
        return (self._project, *key, drainer_id)


class PerformanceCells:
    """Exact sums of what truths said, by hour of prediction and hour of the truth's arrival."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._cells: dict[Key, ExactSums] = {}

    def add_predictions(self, frames: Sequence[PredictionFrame]) -> None:
        """Predictions alone say nothing of performance."""

    def add_truths(self, changes: Sequence[TruthChange]) -> None:
        """Add or retract the metrics of predictions whose truth changed."""
        cells = self._cells
        for change in changes:
            p = change.prediction
            for metric, value in change.plan.sums(p.prediction, change.value).items():
                key = (
                    p.model,
                    p.version,
                    p.variant,
                    p.source,
                    metric,
                    p.at // HOUR_US,
                    change.at // HOUR_US,
                )
                sums = ExactSums.of(quantise(value), change.sign)
                cells[key] = cells.get(key, ExactSums()) + sums

    def add_shadows(self, results: Sequence[ShadowResult]) -> None:
        """Count nothing: performance is that of answers that were given."""

    def write(self, connection: Connection, drainer_id: str) -> None:
        """Add the cells to their rows."""
        changed = {
            (self._project, *key, drainer_id): sums for key, sums in self._cells.items() if sums
        }
        for *key, n, q, q2 in read_keyed(connection, performance_cells, 9, changed):
            changed[tuple(key)] += ExactSums(n, int(q), int(q2))
        rows = [(*key, sums.n, str(sums.q), str(sums.q2)) for key, sums in changed.items()]
        write_keyed(connection, performance_cells, 9, rows)

    def clear(self) -> None:
        """Forget what was taken."""
        self._cells.clear()


class ScoreWindows:
    """What truths said of stated probabilities, by hour of prediction, and by hour of arrival.

    Each axis has rows of its own: by pairs of hours there would be as many as labels.
    """

    def __init__(self, project: str) -> None:
        self._project = project
        self._said: dict[Key, tuple[list[Said], list[int]]] = {}

    def add_predictions(self, frames: Sequence[PredictionFrame]) -> None:
        """Take nothing: probabilities alone are counted with the columns."""

    def add_truths(self, changes: Sequence[TruthChange]) -> None:
        """Add or retract what predictions stated whose truth changed."""
        for change in changes:
            p = change.prediction
            said = change.plan.said(p.prediction, p.score, p.probabilities, change.value)
            if said is None:
                continue
            hours = p.at // HOUR_US, change.at // HOUR_US
            key = (p.model, p.version, p.variant, p.source, said.names, *hours)
            rows, signs = self._said.setdefault(key, ([], []))
            rows.append(said)
            signs.append(change.sign)

    def add_shadows(self, results: Sequence[ShadowResult]) -> None:
        """Count nothing: these are sums of answers that were given."""

    def write(self, connection: Connection, drainer_id: str) -> None:
        """Add the sums to the rows of both axes."""
        changed: dict[Key, ScoreSums] = {}
        for (*place, _, predicted, arrived), (rows, signs) in self._said.items():
            sums = ScoreSums()
            sums.add(rows, signs)
            for axis, hour in ((BY_PREDICTION, predicted), (BY_ARRIVAL, arrived)):
                key = (self._project, *place, axis, hour, drainer_id)
                changed.setdefault(key, ScoreSums()).merge(sums)
        for *known, text in read_keyed(connection, score_windows, 8, changed):
            changed[tuple(known)].merge(ScoreSums.decode(text))
        written = [(*key, sums.encode()) for key, sums in changed.items()]
        write_keyed(connection, score_windows, 8, written)

    def clear(self) -> None:
        """Forget what was taken."""
        self._said.clear()


class RowWindows:
    """Which rows came, an hour of event time, by model: so much that repeats can be counted."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._rows: dict[Key, list[bytes]] = {}

    def add_predictions(self, frames: Sequence[PredictionFrame]) -> None:
        """Take the inputs of answers; records that came without them are no rows."""
        model, start, end = "", 0, 0
        rows: list[bytes] = []
        for f in frames:
            if f.features == NO_INPUTS:
                continue
            # most of a batch are of one model and hour: they are found once
            if not start <= f.at < end or f.model != model:
                model, hour = f.model, f.at // HOUR_US
                start, end = hour * HOUR_US, (hour + 1) * HOUR_US
                rows = self._rows.setdefault((model, hour), [])
            rows.append(f.features)

    def add_truths(self, changes: Sequence[TruthChange]) -> None:
        """Truths change nothing here."""

    def add_shadows(self, results: Sequence[ShadowResult]) -> None:
        """Nor does what nobody heard."""

    def write(self, connection: Connection, drainer_id: str) -> None:
        """Mark the rows in those of this drainer."""
        marked = {
            (self._project, *key, drainer_id): (len(rows), bits_of(rows))
            for key, rows in self._rows.items()
        }
        for *key, n, bits in read_keyed(connection, row_windows, 4, marked):
            n_new, new = marked[tuple(key)]
            marked[tuple(key)] = (n + n_new, new | decode_bits(bits))
        rows = [(*key, n, encode_bits(bits)) for key, (n, bits) in marked.items()]
        write_keyed(connection, row_windows, 4, rows)

    def clear(self) -> None:
        """Forget what was taken."""
        self._rows.clear()


def count_refusals(
    connection: Connection, project: str, drainer_id: str, frames: Sequence[RefusalFrame]
) -> None:
    """Add the rows that were refused to their minutes, in the caller's transaction.

    No row of a table stands for a refusal: it is counted once because the position of its spool
    commits with the sums.
    """
    sums: dict[Key, tuple[int, dict[str, int]]] = {}
    for f in frames:
        key: Key = (project, f.model, f.code, f.at // MINUTE_US, drainer_id)
        # a frame of before rows were counted: one row, at fault in each of its fields
        by_field = dict(zip(f.fields, f.rows or [1] * len(f.fields), strict=False))
        sums[key] = _both(sums.get(key, (0, {})), (f.n, by_field))
    for *known, n, fields in read_keyed(connection, refusal_windows, 5, sums):
        before = (n, msgspec.json.decode(fields, type=dict[str, int]))
        sums[tuple(known)] = _both(before, sums[tuple(known)])
    rows = [
        (*key, n, msgspec.json.encode(fields, order="deterministic").decode())
        for key, (n, fields) in sums.items()
    ]
    write_keyed(connection, refusal_windows, 5, rows)


def _both(
    one: tuple[int, Mapping[str, int]], other: tuple[int, Mapping[str, int]]
) -> tuple[int, dict[str, int]]:
    return one[0] + other[0], dict(Counter(one[1]) + Counter(other[1]))
