"""Takes a process's own metrics in memory, and writes them to a spool of its own as sums.

A call only puts the value into a queue: no lock, no file, no clock but the system's. A thread adds
up what is queued five times a second, and writes a frame a series and minute; what could not be
written is kept and tried again. At the end of the process the rest is written.
"""

import atexit
import itertools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from timonel.errors import Phrase, TimonelError
from timonel.events.frames import MetricFrame
from timonel.events.recorded import place as places
from timonel.events.recorded.naming import (
    DROPPED,
    LONGEST_VALUE,
    MOST_NAMES,
    MOST_SERIES,
    OTHERS,
    InvalidMetric,
    Series,
    invalid,
    series_of,
)
from timonel.events.recorded.place import Place
from timonel.events.spool import SpoolWriter
from timonel.stats.moments import quantise
from timonel.stats.series.sketch import MOST, upper_edge
from timonel.wire.ids import IdSource

FLUSH_S = 0.2
MOST_QUEUED = 200_000
MOST_WAITING = 20_000
"""Cells that wait while the spool takes nothing; beyond them the process forgets, and says so."""
MINUTE_US = 60_000_000
_SPOOL_BYTES, _SEGMENT_BYTES = 64 << 20, 1 << 20
_SLICE = 256  # values added up before other threads get their turn

_REHEARSED = Series("", ())
_now_ns = time.time_ns

_log = logging.getLogger("timonel.metrics")
_A_NUMBER = Phrase(f"a finite number of at most {MOST:g}", f"un número finito de a lo más {MOST:g}")
_KNOWN_NAMES = Phrase(
    f"one of the first {MOST_NAMES} names of this process",
    f"uno de los primeros {MOST_NAMES} nombres de este proceso",
)
_NO_PROJECT = (
    "no timonel.toml above the code that records, nor above the working directory: nothing is "
    "recorded. Name the project first: timonel.metrics.use(folder)"
)


class _Tally:
    """A number that any thread may raise, without a lock, and one takes."""

    __slots__ = ("_count", "_taken")

    def __init__(self) -> None:
        self._count = itertools.count()
        self._taken = 0

    def add(self) -> None:
        next(self._count)

    def take(self) -> int:
        n = next(self._count) - self._taken
        self._taken += n + 1  # reading it raises it too
        return n


class _Cell:
    """Sums of one series in one minute, growing."""

    __slots__ = ("at", "counts", "high", "low", "n", "q", "q2")

    def __init__(self, at: int, q: int) -> None:
        self.at = at
        self.n = self.q = self.q2 = 0
        self.low = self.high = q
        self.counts: dict[int, int] = {}

    def add(self, q: int, n: int = 1) -> None:
        self.n += n
        self.q += q * n
        self.q2 += q * q * n
        self.low, self.high = min(self.low, q), max(self.high, q)
        edge = upper_edge(q)
        self.counts[edge] = self.counts.get(edge, 0) + n


class Recorder:
    """What ``timonel.metrics`` is in one process; any thread may record and flush."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        """Be as new; also in a forked child, whose parent writes what it had queued."""
        self._known: dict[tuple[object, ...], Series] = {}
        self._sets: dict[str, set[Series]] = {}
        self._queue: deque[tuple[Series, float, int]] = deque()
        self._cells: dict[tuple[Series, int], _Cell] = {}
        self._drops: dict[Series, _Tally] = {}
        self._said: set[tuple[str, str]] = set()
        self._ids = IdSource()
        self._place: Place | None = None
        self._near: list[Path] = []
        self.looked = False  # whether `near` was told of some caller
        self._nowhere = False
        self._writer: SpoolWriter | None = None
        self._failing = False
        self._lock = threading.Lock()  # of what is behind the queue
        self._thread: threading.Thread | None = None

    def record(self, name: str, value: float, labels: Mapping[str, object]) -> None:
        """Take a value; what cannot be taken is counted, and said in the log once.

        Raises
        ------
        InvalidMetric
            Only where calls are rehearsed.
        """
        try:
            number = float(value)
            series = self._known.get((name, *labels.items()))
            if series is None:
                series = self._admitted(name, labels)
            if not -MOST <= number <= MOST:  # a NaN is neither
                raise invalid(name, "value", repr(value)[:100], _A_NUMBER)
            if series is _REHEARSED:
                return
        except InvalidMetric as error:
            self._refuse(name, error)
            return
        except (TypeError, ValueError, OverflowError):
            self._refuse(name, self._unusable(name, value, labels))
            return
        queue = self._queue
        if len(queue) >= MOST_QUEUED:
            self._drop(name, "queue_full")
            return
        queue.append((series, number, _now_ns()))
        if self._thread is None:
            self._start()

    def near(self, file: object) -> None:
        """Take note of a file whose project is the one to record for, if none is bound."""
        self.looked = True
        self._near.append(Path(file).parent if isinstance(file, str) else Path.cwd())

    def use(self, project: Path) -> bool:
        """Record for the project of a folder from now on; say whether there is one."""
        self.flush()
        found = places.find(project)
        with self._lock:
            self._close_writer()
            self._place, self._nowhere = found, found is None
        return found is not None

    def flush(self) -> bool:
        """Write what was recorded until now; say whether nothing waits."""
        with self._lock:
            if self._queue or self._drops:
                self._add_up()
            return self._write()

    def close(self) -> None:
        """Write the rest and let the spool go; recording may go on."""
        self.flush()
        with self._lock:
            self._close_writer()

    # -- taking ------------------------------------------------------------------------------

    def _admitted(self, name: str, labels: Mapping[str, object]) -> Series:
        series = series_of(name, labels)
        if places.rehearsing():
            return _REHEARSED
        sets = self._sets.get(name)
        if sets is None:
            if len(self._sets) >= MOST_NAMES:
                raise invalid(name, "names", "a further name", _KNOWN_NAMES)
            sets = self._sets.setdefault(name, set())
        if series not in sets:
            if len(sets) >= MOST_SERIES:
                return Series(name, OTHERS)
            sets.add(series)
        self._known[name, *labels.items()] = series
        return series

    def _unusable(self, name: object, value: object, labels: Mapping[str, object]) -> InvalidMetric:
        """Say what is wrong where a conversion or a look-up failed."""
        try:
            series_of(name, labels)
        except InvalidMetric as error:
            return error
        return invalid(name, "value", repr(value)[:100], _A_NUMBER)

    def _refuse(self, name: object, error: InvalidMetric) -> None:
        if places.rehearsing():
            raise error
        self._drop(name, error.reason)
        told = (str(name)[:LONGEST_VALUE], error.reason)
        if told not in self._said and len(self._said) < MOST_NAMES:
            self._said.add(told)
            _log.warning("%s", error)

    def _drop(self, name: object, reason: str) -> None:
        metric = name if isinstance(name, str) and name in self._sets else "(other)"
        series = Series(DROPPED, (("metric", metric), ("reason", reason)))
        self._drops.setdefault(series, _Tally()).add()
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="timonel-metrics", daemon=True)
        thread.start()
        # after it: a rule that is interrupted here starts another, and each only flushes
        self._thread = thread

    def _run(self) -> None:
        while True:
            time.sleep(FLUSH_S)
            with suppress(Exception):  # said where it happened
                self.flush()

    # -- behind the queue --------------------------------------------------------------------

    def _add_up(self) -> None:
        if self._here() is None:
            self._queue.clear()
            return
        for turn in range(len(self._queue)):
            series, value, real_ns = self._queue.popleft()
            q = quantise(value)
            self._cell(series, q, real_ns).add(q)
            if turn % _SLICE == _SLICE - 1:
                time.sleep(0)
        one = quantise(1.0)
        for series, tally in list(self._drops.items()):
            n = tally.take()
            if n:
                self._cell(series, one, _now_ns()).add(one, n)

    def _cell(self, series: Series, q: int, real_ns: int) -> _Cell:
        assert self._place is not None  # noqa: S101 - looked for before
        at = self._place.at(real_ns // 1000)
        key = (series, at // MINUTE_US)
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = _Cell(at, q)
        return cell

    def _here(self) -> Place | None:
        """Give where to write, found once; a server's own binding goes before."""
        bound = places.bound()
        if bound is not None and bound != self._place:
            self._close_writer()
            self._place, self._nowhere = bound, False
        if self._place is None and not self._nowhere:
            self._place = places.find(*self._near, Path.cwd())
            if self._place is None:
                self._nowhere = True
                _log.warning("%s", _NO_PROJECT)
        return self._place

    def _write(self) -> bool:
        if not self._cells:
            return True
        try:
            writer = self._open()
            for key in list(self._cells):
                writer.append(self._frame(key[0], self._cells[key]))
                del self._cells[key]
        except (TimonelError, OSError) as error:
            if not self._failing:
                _log.warning("metrics wait in memory: %s", error)
            self._failing = True
            if len(self._cells) > MOST_WAITING:
                _log.error("metrics of %d series and minutes are lost", len(self._cells))
                self._cells.clear()
            return False
        self._failing = False
        return True

    def _open(self) -> SpoolWriter:
        if self._writer is None:
            assert self._place is not None  # noqa: S101 - there are cells
            self._writer = SpoolWriter.open(
                self._place.folder,
                max_bytes=_SPOOL_BYTES,
                segment_bytes=_SEGMENT_BYTES,
                sync_s=FLUSH_S,
            )
        return self._writer

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(TimonelError, OSError):
                writer.close()

    def _frame(self, series: Series, cell: _Cell) -> MetricFrame:
        return MetricFrame(
            id=self._ids.next(),
            at=cell.at,
            name=series.name,
            labels=dict(series.labels),
            n=cell.n,
            sum_q=str(cell.q),
            sum_q2=str(cell.q2),
            low=cell.low,
            high=cell.high,
            counts=cell.counts,
        )


RECORDER = Recorder()
"""The one of this process."""

atexit.register(RECORDER.close)
os.register_at_fork(after_in_child=RECORDER._begin)
