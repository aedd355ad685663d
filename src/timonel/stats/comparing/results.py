"""What comparing two arms gives: a test, an interval, or the reason why it cannot be said."""

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite


class Unsayable(StrEnum):
    """Why a comparison has no p-value."""

    EMPTY = "an arm has no units"
    SINGLE = "an arm has fewer than two units"
    CONSTANT = "every unit of an arm has the same value: its variance is unknown"
    NOT_POSITIVE = "the control mean is not positive: there is nothing to relate to"
    NO_DENOMINATOR = "the denominators of an arm do not sum to a positive number"
    NO_SPREAD = "the standard error is 0: nothing was measured"
    BEYOND = "the numbers are too large or too small to compute with: take another unit"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A difference between two arms, tested.

    Parameters
    ----------
    effect : float or None
        Treatment minus control; None where an arm has no value.
    se : float or None
        Standard error of the effect; None where it is unknown, or (exact tests) not used.
    statistic : float or None
        z, t, or for ``fisher_exact`` the odds ratio.
    p_value : float or None
        Two-sided; None: it cannot be said, and ``reason`` says why.
    lower, upper : float or None
        Two-sided interval of the effect at ``1 - alpha``.
    n : int
        Units of both arms.
    reason : Unsayable or None
    """

    effect: float | None
    se: float | None
    statistic: float | None
    p_value: float | None
    lower: float | None
    upper: float | None
    n: int
    reason: Unsayable | None = None

    @property
    def is_finite(self) -> bool:
        """Whether each number is one, or is not there at all."""
        each = (self.effect, self.se, self.statistic, self.p_value, self.lower, self.upper)
        return all(one is None or isfinite(one) for one in each)


def unsayable(n: int, reason: Unsayable, effect: float | None = None) -> Comparison:
    """Give a comparison of n units that has no p-value."""
    return Comparison(effect, None, None, None, None, None, n, reason)


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval of a difference."""

    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Bayes:
    """What a normal posterior says of a difference; shown, and not a stopping rule.

    Parameters
    ----------
    chance_to_win : float or None
        Posterior probability that the treatment is better.
    risk_control, risk_treatment : float or None
        What is lost on average by choosing that arm, in the unit of the effect.
    reason : Unsayable or None
        Why there are no figures.
    """

    chance_to_win: float | None
    risk_control: float | None
    risk_treatment: float | None
    reason: Unsayable | None = None
