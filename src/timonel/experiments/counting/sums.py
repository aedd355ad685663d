"""Exact sums of pairs (q, x), and the places in time that they are kept under."""

from typing import NamedTuple

import msgspec

from timonel.stats.moments import PER_UNIT, BivariateMoments, ExactSums

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
DAY = 24
FINE_H = 48  # labels this young are told apart by the hour, older ones by the day
OPEN = 1 << 40  # an arrival slot that never closes: counted anew at every look
AGES = OPEN + 1  # ages of labels, for maturity

ANSWERS, LATENCY, CONFIDENCE = "answers", "latency_ms", "confidence"
EXPOSED, FIRST, LEAK = "exposed", "first", "leak"
BAD, AGE, HIT = "bad:", "age:", "hit:"
APART = "\x1f"  # between the truth and what came of it, in names of metrics
PAIR, DIFFERENCE = "pair:", "difference"
PERIOD, EACH = "period", "each"  # the same differences by stretch of time, and one by one
HEARD = "heard"  # of pairs: the loss of the answer that was heard
PERIODS = -1  # in the place of a phase: a stretch of time goes on over all of them
SHADOW, ASKED, DROPPED = "shadow:", "asked", "dropped"  # and what came of asking
_COMPARED_BLOCKS = 8
CORRECTED = "corrected"  # values of a unit that took the place of an earlier one


class CellKey(NamedTuple):
    """Where a value is counted."""

    experiment: str
    arrival_slot: int
    arrival_span: int
    exposure_slot: int
    phase: int
    arm: str
    metric: str


class PairSums(msgspec.Struct, frozen=True):
    """Number, sums, squares and products of quantised pairs; a retraction makes them smaller.

    Parameters
    ----------
    n : int
    q, q2 : int
        Of the values, in steps and squared steps.
    x, x2, qx : int
        Of the second numbers (whole ones), and of the products; 0 where values stand alone.
    """

    n: int = 0
    q: int = 0
    q2: int = 0
    x: int = 0
    x2: int = 0
    qx: int = 0

    def __add__(self, other: "PairSums") -> "PairSums":
        return PairSums(
            self.n + other.n,
            self.q + other.q,
            self.q2 + other.q2,
            self.x + other.x,
            self.x2 + other.x2,
            self.qx + other.qx,
        )

    def __bool__(self) -> bool:
        return any((self.n, self.q, self.q2, self.x, self.x2, self.qx))

    @classmethod
    def of(cls, q: int, sign: int = 1) -> "PairSums":
        """Give the sums of one value, or of its retraction."""
        return cls(sign, sign * q, sign * q * q)

    @classmethod
    def pair(cls, q: int, x: int, sign: int = 1) -> "PairSums":
        """Give the sums of one pair, or of its retraction."""
        return cls(sign, sign * q, sign * q * q, sign * x, sign * x * x, sign * q * x)

    @property
    def negative(self) -> "PairSums":
        """What takes these sums back."""
        return PairSums(-self.n, -self.q, -self.q2, -self.x, -self.x2, -self.qx)

    @property
    def alone(self) -> ExactSums:
        """The sums of the values alone."""
        return ExactSums(self.n, self.q, self.q2)

    def moments(self, per_unit: int = PER_UNIT, x_per_unit: int = 1) -> BivariateMoments | None:
        """Derive means and centred sums, each rounded once; None where nothing is left."""
        n = self.n
        if n <= 0:
            return None
        return BivariateMoments(
            n,
            self.q / (n * per_unit),
            self.x / (n * x_per_unit),
            (n * self.q2 - self.q * self.q) / (n * per_unit * per_unit),
            (n * self.x2 - self.x * self.x) / (n * x_per_unit * x_per_unit),
            (n * self.qx - self.q * self.x) / (n * per_unit * x_per_unit),
        )


def beside(name: str, goal: str, metric: str) -> str:
    """Name the cells of pairs for a metric: the goal's have no more than their name."""
    return name if metric == goal else f"{name}:{metric}"


def slots(exposed_at: int, arrived_at: int) -> tuple[int, int, int]:
    """Give exposure slot, arrival slot and arrival span of a label.

    Parameters
    ----------
    exposed_at, arrived_at : int
        Microseconds of the event clock.

    Returns
    -------
    tuple of int
        Hours since the epoch, where the label came within two days; whole days otherwise.

    Examples
    --------
    >>> slots(0, 5 * HOUR_US), slots(30 * HOUR_US, 100 * HOUR_US)
    ((0, 5, 1), (24, 96, 24))
    """
    exposed, arrived = exposed_at // HOUR_US, arrived_at // HOUR_US
    if arrived - exposed < FINE_H:
        return exposed, max(arrived, exposed), 1
    return day_of(exposed), day_of(arrived), DAY


def day_of(slot: int) -> int:
    """Give the first hour of a slot's day (UTC)."""
    return slot - slot % DAY


def stretch_of(slot: int, block_s: int) -> int:
    """Give the first hour of the days that blocks of time are compared within: eight or more.

    A day of hours holds enough of both arms; of blocks that last a day it would hold one.

    Examples
    --------
    >>> stretch_of(50, 3600), stretch_of(50, 86_400)
    (48, 0)
    """
    days = max(1, -(-_COMPARED_BLOCKS * block_s * 1_000_000 // DAY_US))
    return slot - slot % (days * DAY)


def age_of(exposed_at: int, arrived_at: int) -> int:
    """Give a label's age in hours: exact within two days, else the whole days' hours."""
    hours = max(0, arrived_at // HOUR_US - exposed_at // HOUR_US)
    return hours if hours < FINE_H else day_of(hours)


def sign_of(difference: int) -> str:
    """Name the side of a pair: the treatment's, the control's, or neither."""
    return "treatment" if difference > 0 else "control" if difference < 0 else "tied"
