"""The drain's side of a project's own metrics: frames become minutes, and totals to scrape.

A row belongs to one drainer; readers add. No row stands for a frame: it is counted once because the
position of its spool commits with the sums.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, select

from timonel.events.frames import MetricFrame
from timonel.events.recorded.naming import (
    DROPPED,
    LONGEST_TEXT,
    MOST_NAMES,
    MOST_SERIES,
    OTHERS,
    Series,
    fault_of,
)
from timonel.stats.moments import ExactSums
from timonel.stats.series.sketch import Sketch
from timonel.store.keyed import read_keyed, write_keyed
from timonel.store.tables_loop import metric_cells, metric_totals

MINUTE_US = 60_000_000
EDGES = tuple(digit * 10**power for power in range(3, 13) for digit in (1, 2, 5))
"""Upper edges of what is scraped, in steps of 1e-6: 0.001, 0.002, 0.005 ... 5,000,000."""

_INT64 = 1 << 63
_counts = msgspec.json.Decoder(dict[int, int])
_bins = msgspec.json.Decoder(list[int])
_encode = msgspec.json.Encoder().encode


class MetricCells:
    """Adds what was recorded to its minutes and totals, of one drainer."""

    def __init__(self, project: str) -> None:
        self._project = project
        # also of a transaction that is undone: its frames come again
        self._known: set[Series] = set()

    def write(self, connection: Connection, drainer_id: str, frames: Sequence[MetricFrame]) -> None:
        """Add frames, in the caller's transaction.

        Of a name with ``MOST_SERIES`` sets of labels, further ones become ``OTHERS``; of
        ``MOST_NAMES`` names, further ones are counted as dropped.
        """
        if not frames:
            return
        self._learn(connection, frames)
        minutes: dict[tuple[Series, int], Sketch] = {}
        totals: dict[Series, Sketch] = {}
        for frame in frames:
            series, sketch = self._taken(frame)
            key = (series, frame.at // MINUTE_US)
            minutes[key] = minutes.get(key, Sketch()) + sketch
            totals[series] = totals.get(series, Sketch()) + sketch
        self._write_minutes(connection, drainer_id, minutes)
        self._write_totals(connection, drainer_id, totals)

    def _learn(self, connection: Connection, frames: Sequence[MetricFrame]) -> None:
        if self._known.issuperset(Series(f.name, tuple(sorted(f.labels.items()))) for f in frames):
            return
        t = metric_totals.c
        rows = connection.execute(
            select(t.name, t.labels).where(t.project == self._project).distinct()
        )
        self._known = {Series.read(name, labels) for name, labels in rows}

    def _taken(self, frame: MetricFrame) -> tuple[Series, Sketch]:
        sketch = sketch_of(frame)
        series = Series(frame.name, tuple(sorted(frame.labels.items())))
        if series not in self._known:
            names = {one.name for one in self._known} - {DROPPED}
            if frame.name not in names | {DROPPED} and len(names) >= MOST_NAMES:
                series = Series(DROPPED, (("metric", "(other)"), ("reason", "names")))
                sketch = Sketch.of([1.0] * frame.n)
            elif sum(one.name == frame.name for one in self._known) >= MOST_SERIES:
                series = Series(frame.name, OTHERS)
            self._known.add(series)
        return series, sketch

    def _write_minutes(
        self,
        connection: Connection,
        drainer_id: str,
        minutes: dict[tuple[Series, int], Sketch],
    ) -> None:
        found = {
            (self._project, series.name, series.text, minute, drainer_id): sketch
            for (series, minute), sketch in minutes.items()
        }
        for *key, n, q, q2, low, high, counts in read_keyed(connection, metric_cells, 5, found):
            found[tuple(key)] += stored_sketch(n, q, q2, low, high, counts)
        rows = [
            (
                *key,
                sketch.n,
                str(sketch.sums.q),
                str(sketch.sums.q2),
                sketch.low,
                sketch.high,
                _encode(dict(sorted(sketch.counts.items()))).decode(),
            )
            for key, sketch in found.items()
        ]
        write_keyed(connection, metric_cells, 5, rows)

    def _write_totals(
        self, connection: Connection, drainer_id: str, totals: dict[Series, Sketch]
    ) -> None:
        found = {
            (self._project, series.name, series.text, drainer_id): Total.of(sketch)
            for series, sketch in totals.items()
        }
        for *key, n, q, bins in read_keyed(connection, metric_totals, 4, found):
            found[tuple(key)] += Total(n, int(q), tuple(_bins.decode(bins)))
        rows = [(*key, one.n, str(one.q), _encode(one.bins).decode()) for key, one in found.items()]
        write_keyed(connection, metric_totals, 4, rows)


@dataclass(frozen=True, slots=True)
class Total:
    """All that was ever recorded of a series: count, sum in steps, counts between ``EDGES``."""

    n: int
    q: int
    bins: tuple[int, ...]

    @classmethod
    def of(cls, sketch: Sketch) -> "Total":
        """Take a sketch's."""
        return cls(sketch.n, sketch.sums.q, tuple(sketch.below(EDGES)))

    def __add__(self, other: "Total") -> "Total":
        bins = tuple(a + b for a, b in zip(self.bins, other.bins, strict=True))
        return Total(self.n + other.n, self.q + other.q, bins)


def read_totals(connection: Connection, project: str, owner: str) -> dict[Series, Total]:
    """Add up what the drainers of one owner have stored of each series, ever.

    Parameters
    ----------
    owner : str
        What the drainers' ids begin with; "" for all.
    """
    t = metric_totals.c
    rows = connection.execute(
        select(t.name, t.labels, t.drainer_id, t.n, t.sum_q, t.bins)
        .where(t.project == project)
        .order_by(t.name, t.labels)
    )
    found: dict[Series, Total] = {}
    for name, labels, drainer_id, n, q, bins in rows:
        if drainer_id.startswith(owner):
            series = Series.read(name, labels)
            one = Total(n, int(q), tuple(_bins.decode(bins)))
            found[series] = found[series] + one if series in found else one
    return found


def sketch_of(frame: MetricFrame) -> Sketch:
    """Give what a frame holds."""
    sums = ExactSums(frame.n, int(frame.sum_q), int(frame.sum_q2))
    return Sketch(sums, frame.low, frame.high, frame.counts)


def stored_sketch(n: int, q: str, q2: str, low: int, high: int, counts: str) -> Sketch:
    """Give what a row of ``metric_cells`` holds."""
    return Sketch(ExactSums(n, int(q), int(q2)), low, high, _counts.decode(counts))


def refused_metric(frame: MetricFrame) -> str | None:
    """Say why a frame cannot be counted; None: it can."""
    fault = fault_of(frame.name, frame.labels)
    if fault is not None:
        return fault
    if len(Series(frame.name, tuple(frame.labels.items())).text) > LONGEST_TEXT:
        return f"labels of more than {LONGEST_TEXT} characters"
    if not _whole(frame.sum_q, frame.sum_q2) or not _sane(frame):
        return "sums that do not belong to its counts"
    return None


def _whole(*texts: str) -> bool:
    return all(text.lstrip("-").isdecimal() and len(text) <= 80 for text in texts)


def _sane(frame: MetricFrame) -> bool:
    numbers: Iterable[int] = (frame.low, frame.high, frame.n)
    return (
        0 < frame.n == sum(frame.counts.values())
        and min(frame.counts.values()) > 0
        and all(-_INT64 <= number < _INT64 for number in numbers)
        and frame.low * frame.n <= int(frame.sum_q) <= frame.high * frame.n
    )
