"""Is a minute unlike its kind? The median of the same hours of past days, and how far they spread.

Means and standard deviations would follow the very incidents that are looked for; medians do not.
A minute is held against the minutes of its slot: the hour of the week where at least two weeks are
known, else the hour of the day where three days are, else all that is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import fsum, sqrt
from statistics import median

Z = 4.0
OUT_OF, OF_LAST = 3, 5
PLAIN_Z = 3.0
FEWEST_MINUTES = 60
FEWEST_DAYS = 3
FEWEST_WEEKS = 2

_HOUR_MIN = 60
_DAY_MIN = 24 * _HOUR_MIN
_WEEK_MIN = 7 * _DAY_MIN
_MAD_TO_SD = 1.4826  # of a normal distribution


class Season(StrEnum):
    """With what a minute is compared."""

    WEEK = "hour_of_week"
    DAY = "hour_of_day"
    NONE = "all"


class Side(StrEnum):
    """Which deviations are anomalies."""

    HIGH = "high"
    LOW = "low"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Usual:
    """What a series usually is in a slot."""

    centre: float
    spread: float
    n: int
    season: Season

    def z(self, value: float, floor: float) -> float:
        """Give a value's distance from the centre, in spreads; the spread is at least ``floor``."""
        return (value - self.centre) / max(self.spread, floor, 1e-12)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a series usually is, slot by slot: made from past minutes, asked of new ones.

    Parameters
    ----------
    usual : mapping of int to Usual
        By hour of the week, of the day, or 0.
    season : Season
    """

    usual: Mapping[int, Usual]
    season: Season

    @classmethod
    def of(cls, values: Mapping[int, float], season: Season | None = None) -> "Baseline":
        """Learn from past minutes.

        Parameters
        ----------
        values : mapping of int to float
            By epoch minute; minutes without a value are absent.
        season : Season or None
            None: by how long the minutes are known. Given where ``values`` are of some slots only,
            which are then learned as from all (``slot_minutes``).

        Examples
        --------
        >>> week = {m: 10.0 + (m % 1440 < 480) for m in range(7 * 1440)}
        >>> Baseline.of(week).at(0).centre, Baseline.of(week).at(900).centre
        (11.0, 10.0)
        """
        season = season or season_of(min(values, default=0), max(values, default=-1))
        slots: dict[int, list[float]] = {}
        for minute, value in values.items():
            slots.setdefault(_slot(minute, season), []).append(value)
        usual = {slot: _usual(found, season) for slot, found in slots.items()}
        return cls(usual, season)

    @classmethod
    def plain(cls, values: Mapping[int, float]) -> "Baseline":
        """Learn the mean and the standard deviation of all, as a plain z-score has it.

        Notes
        -----
        The past incidents that are in it widen it, so that the next one is not seen; every daily
        rise is out of it. It is here because it is asked for by name.

        Examples
        --------
        >>> usual = Baseline.plain({m: float(m % 2) for m in range(100)}).at(0)
        >>> usual.centre, usual.spread
        (0.5, 0.5)
        """
        n = len(values)
        if not n:
            return cls({}, Season.NONE)
        mean = fsum(values.values()) / n
        spread = sqrt(fsum((value - mean) ** 2 for value in values.values()) / n)
        return cls({0: Usual(mean, spread, n, Season.NONE)}, Season.NONE)

    def at(self, minute: int) -> Usual | None:
        """Give what is usual at a minute; None where too little is known of its slot."""
        found = self.usual.get(_slot(minute, self.season))
        return found if found is not None and found.n >= FEWEST_MINUTES else None


@dataclass(frozen=True, slots=True)
class Anomaly:
    """What the newest minutes are against what is usual.

    Parameters
    ----------
    n_out, n_judged : int
        Minutes beyond ``Z``, of those that could be judged.
    value, z : float or None
        Of the minute that is furthest out, else of the newest; None: none could be judged.
    usual : Usual or None
    needed : int
        Minutes that have to be out.
    """

    n_out: int
    n_judged: int
    value: float | None = None
    z: float | None = None
    usual: Usual | None = None
    needed: int = OUT_OF

    @property
    def found(self) -> bool:
        """Whether it persists: 3 of the last 5 minutes, unless less is asked for."""
        return self.n_out >= self.needed


def judge(
    baseline: Baseline,
    newest: Sequence[tuple[int, float, float]],
    side: Side,
    *,
    z: float = Z,
    needed: int = OUT_OF,
) -> Anomaly:
    """Judge the newest minutes of a series.

    Parameters
    ----------
    baseline : Baseline
        Of minutes before them.
    newest : sequence of (minute, value, floor)
        At most the last five; ``floor`` is the least spread that is to be believed.
    side : Side
    z : float
        Spreads from what is usual beyond which a minute is out.
    needed : int
        Minutes that have to be out.

    Notes
    -----
    Source of the scale: P. J. Rousseeuw, C. Croux, 1993, Journal of the American Statistical
    Association 88, 1273-1283.
    """
    found = []
    for minute, value, floor in newest[-OF_LAST:]:
        usual = baseline.at(minute)
        if usual is not None:
            distance = usual.z(value, floor)
            out = {
                Side.HIGH: distance > z,
                Side.LOW: distance < -z,
                Side.BOTH: abs(distance) > z,
            }[side]
            found.append((out, abs(distance), distance, value, usual))
    if not found:
        return Anomaly(0, 0)
    _, _, distance, value, usual = max(found, key=lambda one: (one[0], one[1] if one[0] else 0.0))
    return Anomaly(sum(one[0] for one in found), len(found), value, distance, usual, needed)


def share_floor(share: float, n: float) -> float:
    """Give the least spread of a share of ``n`` answers: that of chance."""
    return sqrt(max(share, 1.0 / max(n, 1.0)) * (1.0 - min(share, 1.0)) / max(n, 1.0)) or (
        1.0 / max(n, 1.0)
    )


def count_floor(usual: float) -> float:
    """Give the least spread of a count: that of chance, and at least one."""
    return max(1.0, sqrt(max(usual, 0.0)))


def season_of(first: int, last: int) -> Season:
    """Give the season of a series by the first and the last minute that are known of it."""
    length = last - first + 1
    if length >= FEWEST_WEEKS * _WEEK_MIN:
        return Season.WEEK
    return Season.DAY if length >= FEWEST_DAYS * _DAY_MIN else Season.NONE


def slot_minutes(season: Season, minute: int, since: int, until: int) -> list[tuple[int, int]]:
    """Give the past minutes that the slots of an hour and of the hour before it are made of.

    Parameters
    ----------
    season : Season
    minute : int
        Any of the later hour, an epoch minute.
    since, until : int
        What is past, ``[since, until)``.

    Returns
    -------
    list of (int, int)
        Stretches ``[start, end)``, by time.

    Examples
    --------
    >>> slot_minutes(Season.DAY, 3000, 0, 2990)
    [(60, 180), (1500, 1620), (2940, 2990)]
    """
    if season is Season.NONE:
        return [(since, until)] if since < until else []
    period = _WEEK_MIN if season is Season.WEEK else _DAY_MIN
    start = minute - minute % _HOUR_MIN - _HOUR_MIN
    n_back = (start + 2 * _HOUR_MIN - since) // period
    stretches = [
        (max(since, start - k * period), min(until, start + 2 * _HOUR_MIN - k * period))
        for k in range(n_back, -1, -1)
    ]
    return [(first, end) for first, end in stretches if first < end]


def _slot(minute: int, season: Season) -> int:
    if season is Season.NONE:
        return 0
    return minute % (_WEEK_MIN if season is Season.WEEK else _DAY_MIN) // _HOUR_MIN


def _usual(found: Sequence[float], season: Season) -> Usual:
    centre = median(found)
    spread = _MAD_TO_SD * median(abs(value - centre) for value in found)
    return Usual(centre, spread, len(found), season)
