"""The day and the week of a simulated city: when people call, how thick the traffic is."""

import math

MONDAY, FRIDAY, SATURDAY, SUNDAY = 0, 4, 5, 6


def _bump(hour: float, centre: float, width: float) -> float:
    """Give a bell over the 24 h circle, 1 at ``centre``."""
    gap = (hour - centre + 12.0) % 24.0 - 12.0
    return math.exp(-0.5 * (gap / width) ** 2)


def call_factor(hour: float, weekday: int) -> float:
    """Say how many calls come at a local time, as a multiple of the city's base rate.

    Parameters
    ----------
    hour : float
        Local hour in [0, 24).
    weekday : int
        0 is Monday.

    Returns
    -------
    float
        Between about 0.4 (a Tuesday at four) and ``PEAK_CALL_FACTOR``.
    """
    day = 0.40 + 0.75 * _bump(hour, 12.0, 3.0) + 0.85 * _bump(hour, 19.5, 2.8)
    if weekday in (FRIDAY, SATURDAY):
        day += 0.45 * _bump(hour, 23.5, 2.0)
    if weekday in (SATURDAY, SUNDAY):
        day += 0.35 * _bump(hour, 1.5, 2.0)
    return day * (0.92 if weekday == SUNDAY else 1.0)


PEAK_CALL_FACTOR = 2.0  # an upper bound of `call_factor`: arrivals are drawn by thinning


def traffic_factor(hour: float, weekday: int) -> float:
    """Say how much longer than at night a trip takes at a local time (1.0 = free roads).

    Parameters
    ----------
    hour : float
        Local hour in [0, 24).
    weekday : int
        0 is Monday.
    """
    if weekday in (SATURDAY, SUNDAY):
        return 1.0 + 0.30 * _bump(hour, 13.5, 3.5) + 0.15 * _bump(hour, 20.0, 2.0)
    return (
        1.0
        + 0.85 * _bump(hour, 8.0, 1.5)
        + 0.30 * _bump(hour, 13.5, 2.2)
        + 0.95 * _bump(hour, 18.6, 1.7)
    )


def is_day_shift(hour: float) -> bool:
    """Say whether the day shift (08:00 to 20:00) is on duty."""
    return 8.0 <= hour < 20.0
