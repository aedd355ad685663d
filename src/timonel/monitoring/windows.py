"""Which windows of a series are to be judged: pure, from hourly counts and what was judged before.

Windows lie on a grid of whole hours, days or weeks (of UTC or of a zone) and never overlap. A
window may be judged when the watermark has passed its end; it is judged again when rows came late.
No clock is read here: how far event time is complete comes in.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from timonel.stats.profiles.packing import IntArray

HOUR_US = 3_600_000_000
SPANS_H = (1, 24, 168)
ROWS_WANTED = 1_000
DAY_H, WEEK_H = 24, 168

Grid = Callable[[int, int], tuple[int, int]]
"""From an epoch hour and a span in hours to the window that the hour falls into."""


class Window(NamedTuple):
    """A stretch of event time, ``[start, end)`` in epoch hours; ``n`` as counted now."""

    start_h: int
    end_h: int
    n: int
    revised: bool = False

    @property
    def start_us(self) -> int:
        """The start in microseconds since the epoch."""
        return self.start_h * HOUR_US

    @property
    def end_us(self) -> int:
        """The end in microseconds since the epoch."""
        return self.end_h * HOUR_US


class Judged(NamedTuple):
    """A window that has a verdict, and of how many rows."""

    start_h: int
    end_h: int
    n: int


class JudgedHours(NamedTuple):
    """Windows that have verdicts, none of which overlaps another, as columns: a month has many.

    Parameters
    ----------
    start_h, end_h, n : ndarray of int
        In any order.
    """

    start_h: IntArray
    end_h: IntArray
    n: IntArray

    @classmethod
    def of(cls, judged: Iterable[Judged]) -> "JudgedHours":
        """Take windows one by one."""
        return cls(*np.array([*judged], np.int64).reshape(-1, 3).T)

    def in_order(self) -> "JudgedHours":
        """Give them by time."""
        order = self.start_h.argsort(kind="stable")
        return JudgedHours(self.start_h[order], self.end_h[order], self.n[order])


class HourlyCounts:
    """A series of counts by epoch hour, summed over any stretch in no time."""

    __slots__ = ("_sums", "hours")

    def __init__(self, hours: IntArray, n: IntArray) -> None:
        """Take hours, each once and ascending, and what was counted in each."""
        self.hours = hours[n > 0]
        self._sums = np.concatenate([[0], n[n > 0].cumsum()])

    @classmethod
    def of(cls, counts: Mapping[int, int]) -> "HourlyCounts":
        """Take counts by hour."""
        return cls(*np.array(sorted(counts.items()), np.int64).reshape(-1, 2).T)

    def within(self, start_h: int, end_h: int) -> int:
        """Add the counts of ``[start, end)``."""
        return int(self.within_each(np.array([start_h]), np.array([end_h]))[0])

    def within_each(self, start_h: IntArray, end_h: IntArray) -> IntArray:
        """Add the counts of many stretches."""
        first, last = self.hours.searchsorted(start_h), self.hours.searchsorted(end_h)
        found: IntArray = self._sums[np.maximum(first, last)] - self._sums[first]
        return found


def utc_grid(hour: int, span_h: int) -> tuple[int, int]:
    """Give windows of equal length, counted from the epoch."""
    start = hour - hour % span_h
    return start, start + span_h


def local_grid(zone: ZoneInfo) -> Grid:
    """Give the grid of a zone's own days, and of its weeks from Monday on.

    A day on which clocks change has 23 or 25 hours, its week 167 or 169. Where a zone's midnight
    is no whole hour of UTC, the day begins at the next one.
    """

    def starts(day: date) -> int:
        midnight = datetime.combine(day, time(), tzinfo=zone).timestamp()
        return -int(-midnight // 3600)

    @lru_cache(maxsize=4096)
    def grid(hour: int, span_h: int) -> tuple[int, int]:
        if span_h % DAY_H:
            return utc_grid(hour, span_h)
        day = local_time(hour, zone).date()
        if span_h % WEEK_H == 0:
            day -= timedelta(days=day.weekday())
        return starts(day), starts(day + timedelta(days=span_h // DAY_H))

    return grid


def local_time(hour: int, zone: ZoneInfo) -> datetime:
    """Give an epoch hour as a zone's date and time."""
    return datetime.fromtimestamp(hour * 3600, UTC).astimezone(zone)


def nominal_span(window: Window) -> int | None:
    """Give the span that a window is of; None where it was cut at a neighbour."""
    hours = window.end_h - window.start_h
    # where clocks change, days and weeks are an hour longer or shorter
    return next((span for span in SPANS_H if abs(hours - span) <= (span > 1)), None)


def span_of(counts: HourlyCounts, at_h: int, closed_h: int, *, wanted: int = ROWS_WANTED) -> int:
    """Choose the smallest span that is expected to hold enough rows.

    Parameters
    ----------
    at_h : int
        Where the window begins: what is expected follows from the week before it; where less than
        a day of it is known, from all that came until ``closed_h`` or the last row.

    Returns
    -------
    int
        1, 24 or 168 hours; the last also where not even a week is expected to hold enough.
    """
    if not len(counts.hours):
        return SPANS_H[-1]
    since = max(int(counts.hours[0]), at_h - WEEK_H)
    until = at_h
    if until - since < 24:
        until = max(min(closed_h, int(counts.hours[-1]) + 1), since + 1)
    rate = counts.within(since, until) / (until - since)
    return next((span for span in SPANS_H if rate * span >= wanted), SPANS_H[-1])


def due(
    counts: HourlyCounts,
    judged: JudgedHours,
    closed_h: int,
    *,
    window_h: int | None = None,
    wanted: int = ROWS_WANTED,
    grid: Grid = utc_grid,
) -> list[Window]:
    """List the closed windows that have rows and no verdict, or other rows than their verdict.

    Parameters
    ----------
    counts : HourlyCounts
    judged : JudgedHours
    closed_h : int
        Epoch hour that the watermark is in: all before it is complete, but for late rows.
    window_h : int or None
        Length of the windows, by policy; None: as many rows ask for (``span_of``).
    grid : callable
        Where windows begin and end.

    Returns
    -------
    list of Window
        By time. Where the length changed in between, a window is cut at its neighbours.
    """
    past = judged.in_order()
    counted = counts.within_each(past.start_h, past.end_h)
    changed = np.flatnonzero(counted != past.n).tolist()
    found = [
        Window(int(past.start_h[at]), int(past.end_h[at]), int(counted[at]), revised=True)
        for at in changed
    ]
    starts, ends = past.start_h.tolist(), past.end_h.tolist()
    covered = -1
    for hour in _without_verdict(counts.hours, past, closed_h):
        if hour < covered:
            continue
        at = bisect_left(ends, hour + 1)
        span = window_h or span_of(counts, hour, closed_h, wanted=wanted)
        first, end = grid(hour, span)
        start = max(first, ends[at - 1] if at else first, covered)
        if at < len(starts):
            end = min(end, starts[at])
        if end > closed_h:
            break
        covered = end
        found.append(Window(start, end, counts.within(start, end)))
    return sorted(found)


def _without_verdict(hours: IntArray, past: JudgedHours, closed_h: int) -> list[int]:
    """Give the closed hours that lie in no judged window."""
    closed = hours[: hours.searchsorted(closed_h)]
    after = past.end_h.searchsorted(closed, side="right")
    starts = np.append(past.start_h, np.iinfo(np.int64).max)
    without: list[int] = closed[starts[after] > closed].tolist()
    return without
