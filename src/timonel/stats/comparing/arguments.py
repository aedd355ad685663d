"""What may be compared: everything else is refused, saying what was found and what is expected."""

from functools import wraps
from math import inf, isfinite, sqrt
from typing import Protocol, TypeVar

from timonel.stats.comparing.results import Comparison, Unsayable, unsayable
from timonel.stats.moments import BivariateMoments, Moments

M = TypeVar("M", Moments, BivariateMoments, contravariant=True)
MOST = 10**12
"""Beyond it sums of logarithms of factorials say nothing of the counts."""
_ROUNDING = 1e-6


class Test(Protocol[M]):
    """A test of two arms by their moments."""

    def __call__(self, a: M, b: M, *, alpha: float = 0.05) -> Comparison:
        """Compare them."""


def require_level(alpha: float, *, below: float = 1.0) -> None:
    """Refuse an error level that is none."""
    if not 0.0 < alpha < below:
        message = f"alpha is {alpha}, expected more than 0 and less than {below:g}, such as 0.05"
        raise ValueError(message)


def require_counts(what: str, *counts: float) -> None:
    """Refuse what is no whole number from 0 to ``MOST``."""
    if not all(0 <= count <= MOST and count == int(count) for count in counts):
        found = " and ".join(map(str, counts))
        message = f"{found} {what}, expected whole numbers from 0 to 1e12"
        raise ValueError(message)


def require_hits(x_a: int, n_a: int, x_b: int, n_b: int) -> None:
    """Refuse hits and units that contradict each other, or are no counts."""
    if not (x_a <= n_a and x_b <= n_b):
        message = f"{x_a} hits of {n_a} against {x_b} of {n_b}, expected no more hits than units"
        raise ValueError(message)
    require_counts("hits of units", x_a, n_a, x_b, n_b)


def of_moments(compare: Test[M]) -> Test[M]:
    """Refuse what no numbers have as moments, and say so where a result is beyond any float."""

    @wraps(compare)
    def checked(a: M, b: M, *, alpha: float = 0.05) -> Comparison:
        require_level(alpha)
        _require_moments(a)
        _require_moments(b)
        try:
            found = compare(a, b, alpha=alpha)
        except (OverflowError, ZeroDivisionError):
            return unsayable(a.n + b.n, Unsayable.BEYOND)
        return found if found.is_finite else unsayable(a.n + b.n, Unsayable.BEYOND)

    return checked


def _require_moments(arm: Moments | BivariateMoments) -> None:
    require_counts("units", arm.n)
    parts = (arm,) if isinstance(arm, Moments) else (arm.y, arm.x)
    if not all(isfinite(one.mean) and 0.0 <= one.m2 < inf for one in parts):
        message = f"{arm}, expected finite means, and sums of squares (m2) finite and not negative"
        raise ValueError(message)
    if isinstance(arm, Moments):
        return
    # roots: the product of two sums of squares may be more than a float holds
    most = sqrt(arm.m2_y) * sqrt(arm.m2_x)
    if not abs(arm.c_yx) <= most * (1.0 + _ROUNDING) + _ROUNDING:
        message = f"{arm}, expected products (c_yx) of at most {most:g}, as their squares allow"
        raise ValueError(message)
