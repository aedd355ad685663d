"""Counters of all workers of a host, in one mapped file with a fixed slot a worker.

A worker writes its own slot and nobody else does; readers (any process) add the slots. A slot
holds *series*: a name of up to 240 bytes and 24 unsigned 64-bit numbers. It survives restarts, so
counters never go back. The file is of this host's byte order and does not leave it.
"""

import mmap
import os
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import NamedTuple

LATENCY_EDGES_US = (
    50, 100, 200, 300, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000,
    500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000,
)  # fmt: skip
SLOT_BYTES = 256 << 10
_MAGIC = 0x314D_4E54_5349_4C54  # changes with the layout: an older slot is begun anew
_HEADER_WORDS = 8  # magic, series in use, then gauges
_GAUGES = 2
_NAME_BYTES = 240
_VALUE_WORDS = 2 + len(LATENCY_EDGES_US) + 1 + 3  # count, sum, buckets with infinity, spare
_SERIES_BYTES = _NAME_BYTES + 8 * _VALUE_WORDS
_MAX_SERIES = (SLOT_BYTES - 8 * _HEADER_WORDS) // _SERIES_BYTES
_SEPARATOR = "\x1f"


class Gauge(StrEnum):
    """Present values of a worker, in the order of the slot's header."""

    GENERATION = "generation"
    READY = "ready"
    IN_FLIGHT = "in_flight"
    STORE_SEEN = "store_seen_unix_seconds"


class Family(StrEnum):
    """What a series counts; the words after it in its name are its labels."""

    PREDICTIONS = "predictions"  # model, version, variant, source, reason; with latencies
    REFUSALS = "refusals"  # model, code
    OUTCOMES = "outcomes"  # model
    REQUESTS = "requests"  # route, status
    UNLOGGED = "unlogged"  # model
    SHADOWS = "shadow_answers"  # model, variant, fate
    FAULTS = "version_faults"  # model, version: 1 while a version cannot be loaded


class Series(NamedTuple):
    """One series of one slot: its family, its labels, and its numbers."""

    family: str
    labels: tuple[str, ...]
    n: int
    sum_us: int
    buckets: tuple[int, ...]


class MetricsSlot:
    """The writer's side of one slot. Safe to call from any thread of its process.

    Parameters
    ----------
    path : Path
        The host's file; made or lengthened where needed.
    index : int
        Which slot is this worker's.
    """

    def __init__(self, path: Path, index: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(fd).st_size < (index + 1) * SLOT_BYTES:
                os.ftruncate(fd, (index + 1) * SLOT_BYTES)
            self._map = mmap.mmap(fd, SLOT_BYTES, offset=index * SLOT_BYTES)
        finally:
            os.close(fd)
        self._words = memoryview(self._map).cast("Q")
        self._lock = Lock()
        if self._words[0] != _MAGIC:
            self._map[:] = bytes(SLOT_BYTES)
            self._words[0] = _MAGIC
        self._places = {name: _place(i) for i, name in enumerate(_names(self._map, self._words[1]))}

        for name, at in self._places.items():
            if name[0] == Family.FAULTS:
                self._words[at] = 0  # a present value: what was wrong in an earlier life

    def gauge(self, gauge: Gauge, value: int) -> None:
        """Set a present value."""
        self._words[_GAUGES + _GAUGE_AT[gauge]] = value

    def count(self, family: Family, *labels: str, n: int = 1) -> None:
        """Add to a counter."""
        name = family, *labels
        self._words[self._places.get(name) or self._place(name)] += n

    def set(self, family: Family, *labels: str, value: int) -> None:
        """Set a counter's number (of a family that is a present value)."""
        self._words[self._place((family, *labels))] = value

    def observe(self, labels: tuple[str, ...], latency_us: int, n: int = 1) -> None:
        """Count ``n`` answers of one latency; ``labels`` begins with the family."""
        at = self._places.get(labels) or self._place(labels)
        words = self._words
        words[at] += n
        words[at + 1] += n * latency_us
        words[at + 2 + bisect_left(LATENCY_EDGES_US, latency_us)] += n

    def close(self) -> None:
        """Give the mapping back; the numbers stay in the file."""
        self.gauge(Gauge.READY, 0)
        self.gauge(Gauge.IN_FLIGHT, 0)
        self._words.release()
        self._map.close()

    def _place(self, name: tuple[str, ...]) -> int:
        at = self._places.get(name)
        if at is not None:
            return at
        with self._lock:
            at = self._places.get(name)
            if at is not None:
                return at
            used = self._words[1]
            if used == _MAX_SERIES - 1:
                # The last place counts all that have none: nothing is lost, only its name.
                name = (name[0], "(other)")
            elif used == _MAX_SERIES:
                return _place(_MAX_SERIES - 1)
            encoded = _SEPARATOR.join(name).encode()[:_NAME_BYTES]
            start = 8 * _HEADER_WORDS + used * _SERIES_BYTES
            self._map[start : start + len(encoded)] = encoded
            self._words[1] = used + 1  # last: a reader sees the name with its place
            self._places[name] = at = _place(used)
            return at


class Reading(NamedTuple):
    """What one slot holds at a moment."""

    slot: int
    gauges: dict[Gauge, int]
    series: list[Series]


def read_slots(path: Path) -> list[Reading]:
    """Read every slot of a host's file that some worker has ever written.

    Returns
    -------
    list of Reading
        Empty where there is no file. Numbers are read while they are written: each is whole, the
        sum of a histogram may be one answer ahead of its count.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    readings = []
    for index in range(len(data) // SLOT_BYTES):
        slot = data[index * SLOT_BYTES : (index + 1) * SLOT_BYTES]
        words = memoryview(slot).cast("Q")
        if words[0] == _MAGIC:
            gauges = {gauge: words[_GAUGES + at] for gauge, at in _GAUGE_AT.items()}
            readings.append(Reading(index, gauges, list(_series(slot, words))))
    return readings


@dataclass(frozen=True, slots=True)
class Totals:
    """The sum of all slots, by family and labels."""

    series: dict[tuple[str, tuple[str, ...]], Series]

    @classmethod
    def of(cls, readings: list[Reading]) -> "Totals":
        """Add the slots."""
        totals: dict[tuple[str, tuple[str, ...]], Series] = {}
        for reading in readings:
            for one in reading.series:
                before = totals.get((one.family, one.labels))
                totals[one.family, one.labels] = one if before is None else _added(before, one)
        return cls(totals)

    def family(self, family: Family) -> list[Series]:
        """Give the series of one family, by label."""
        return sorted(one for (name, _), one in self.series.items() if name == family)


_GAUGE_AT = {gauge: at for at, gauge in enumerate(Gauge)}


def _place(index: int) -> int:
    return _HEADER_WORDS + (index * _SERIES_BYTES + _NAME_BYTES) // 8


def _names(data: bytes | mmap.mmap, used: int) -> Iterator[tuple[str, ...]]:
    for index in range(min(used, _MAX_SERIES)):
        start = 8 * _HEADER_WORDS + index * _SERIES_BYTES
        name = data[start : start + _NAME_BYTES].rstrip(b"\0").decode("utf-8", "ignore")
        yield tuple(name.split(_SEPARATOR))


def _series(slot: bytes, words: "memoryview[int]") -> Iterator[Series]:
    for index, (family, *labels) in enumerate(_names(slot, words[1])):
        at = _place(index)
        buckets = tuple(words[at + 2 : at + 3 + len(LATENCY_EDGES_US)])
        yield Series(family, tuple(labels), words[at], words[at + 1], buckets)


def _added(a: Series, b: Series) -> Series:
    buckets = tuple(x + y for x, y in zip(a.buckets, b.buckets, strict=True))
    return Series(a.family, a.labels, a.n + b.n, a.sum_us + b.sum_us, buckets)
