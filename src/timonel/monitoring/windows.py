"""Which windows of a series are to be judged: pure, from hourly counts and what was judged before.

Windows lie on a grid of whole hours, days or weeks (of UTC or of a zone) and never overlap. A
window may be judged when the watermark has passed its end; it is judged again when rows came late.
No clock is read here: how far event time is complete comes in.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple
from zoneinfo import ZoneInfo

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


class HourlyCounts:
    """A series of counts by epoch hour, summed over any stretch in no time."""

    __slots__ = ("_sums", "hours")

    def __init__(self, counts: Mapping[int, int]) -> None:
        self.hours = sorted(hour for hour, n in counts.items() if n > 0)
        self._sums = [0, *accumulate(counts[hour] for hour in self.hours)]

    def within(self, start_h: int, end_h: int) -> int:
        """Add the counts of ``[start, end)``."""
        first, last = bisect_left(self.hours, start_h), bisect_left(self.hours, end_h)
        return self._sums[max(first, last)] - self._sums[first]


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
    if not counts.hours:
        return SPANS_H[-1]
    since = max(counts.hours[0], at_h - WEEK_H)
    until = at_h
    if until - since < 24:
        until = max(min(closed_h, counts.hours[-1] + 1), since + 1)
    rate = counts.within(since, until) / (until - since)
    return next((span for span in SPANS_H if rate * span >= wanted), SPANS_H[-1])


def due(
    counts: HourlyCounts,
    judged: Sequence[Judged],
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
    judged : sequence of Judged
        In any order; none overlaps another.
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
    past = sorted(judged)
    found = [
        Window(old.start_h, old.end_h, n, revised=True)
        for old in past
        if (n := counts.within(old.start_h, old.end_h)) != old.n
    ]
    starts, ends = [old.start_h for old in past], [old.end_h for old in past]
    covered = -1
    for hour in counts.hours:
        if hour >= closed_h:
            break
        at = bisect_left(ends, hour + 1)
        if hour < covered or (at < len(past) and starts[at] <= hour):
            continue
        span = window_h or span_of(counts, hour, closed_h, wanted=wanted)
        first, end = grid(hour, span)
        start = max(first, ends[at - 1] if at else first, covered)
        if at < len(past):
            end = min(end, starts[at])
        if end > closed_h:
            break
        covered = end
        found.append(Window(start, end, counts.within(start, end)))
    return sorted(found)
