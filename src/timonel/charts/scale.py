"""From data to pixels: linear scales, round ticks, and ticks of time in a zone."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from math import ceil, floor, log10
from typing import NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_US = 60_000_000
_DAY_MINUTES = 24 * 60
_STEPS_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720)
_STEPS_DAYS = (1, 2, 7, 14, 28, 91, 182, 364, 728)


@dataclass(frozen=True, slots=True)
class Linear:
    """Maps ``[low, high]`` to ``[start, end]``; a domain of one point maps to the middle."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Give the position of a value."""
        span = self.high - self.low
        share = 0.5 if span == 0 else (value - self.low) / span
        return self.start + share * (self.end - self.start)


def round_ticks(low: float, high: float, *, at_least: int = 5) -> tuple[float, ...]:
    """Choose evenly spaced round numbers that cover a range.

    Parameters
    ----------
    low, high : float
        The range to cover, finite, ``low <= high``; equal ends are widened.
    at_least : int
        The fewest ticks, ends included.

    Returns
    -------
    tuple of float
        Multiples of 1, 2, 2.5 or 5 times a power of ten; the first is <= low, the last >= high.

    Examples
    --------
    >>> round_ticks(0.81, 0.93)
    (0.8, 0.825, 0.85, 0.875, 0.9, 0.925, 0.95)
    >>> round_ticks(0, 17)
    (0.0, 5.0, 10.0, 15.0, 20.0)
    """
    if low == high:
        room = abs(low) * 0.1 or 1.0
        low, high = low - room, high + room
    exponent = floor(log10(high - low)) + 1
    while True:
        for factor in (5.0, 2.5, 2.0, 1.0):
            step = factor * 10.0**exponent
            first, last = _down(low / step), _up(high / step)
            if last - first + 1 >= at_least:
                # a product of floats carries dust in its last digits
                digits = max(0, 2 - exponent)
                return tuple(round(index * step, digits) + 0.0 for index in range(first, last + 1))
        exponent -= 1


def _down(ratio: float) -> int:
    return floor(ratio + 1e-9)


def _up(ratio: float) -> int:
    return ceil(ratio - 1e-9)


class TimeTick(NamedTuple):
    """A moment on a time axis, and whether its label is a day (else an hour of the day)."""

    at_us: int
    local: datetime
    is_day: bool


def time_ticks(
    start_us: int, end_us: int, zone: tzinfo, *, at_most: int = 6
) -> tuple[TimeTick, ...]:
    """Choose round local moments inside a time range.

    Parameters
    ----------
    start_us, end_us : int
        Microseconds since the epoch, UTC, ``start_us <= end_us``.
    zone : tzinfo
        Where midnight and full hours are taken.
    at_most : int
        The most ticks.

    Returns
    -------
    tuple of TimeTick
        In order. Steps run from 1 minute to years; days and longer begin at local midnight, also
        across a change of clocks.
    """
    minutes = (end_us - start_us) / _MINUTE_US
    for step in _STEPS_MINUTES:
        if minutes / step <= at_most - 1:
            return _within_days(start_us, end_us, zone, step)
    days = minutes / _DAY_MINUTES
    step = next((step for step in _STEPS_DAYS if days / step <= at_most - 1), ceil(days))
    return _whole_days(start_us, end_us, zone, step)


def _within_days(start_us: int, end_us: int, zone: tzinfo, step: int) -> tuple[TimeTick, ...]:
    ticks: list[TimeTick] = []
    day = _local(start_us, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    last = _local(end_us, zone)
    while day.date() <= last.date():
        for minute in range(0, _DAY_MINUTES, step):
            local = day.replace(hour=minute // 60, minute=minute % 60)
            at_us = _micros(local)
            # a skipped hour would come back as another one
            if start_us <= at_us <= end_us and _local(at_us, zone).hour == local.hour:
                ticks.append(TimeTick(at_us, local, minute == 0))
        day += timedelta(days=1)
    return tuple(ticks)


def _whole_days(start_us: int, end_us: int, zone: tzinfo, step: int) -> tuple[TimeTick, ...]:
    ticks: list[TimeTick] = []
    first = _local(start_us, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    # counted from a fixed day, so that ticks stay where they are while the range moves
    day = first - timedelta(days=first.toordinal() % step)
    while (at_us := _micros(day)) <= end_us:
        if at_us >= start_us:
            ticks.append(TimeTick(at_us, day, True))
        day += timedelta(days=step)
    return tuple(ticks)


def _local(at_us: int, zone: tzinfo) -> datetime:
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone)


def _micros(local: datetime) -> int:
    return (local.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
