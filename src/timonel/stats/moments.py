"""Exact sums of quantised values, and the mean and variance they stand for.

Values are rounded once to a step and summed as unbounded integers, so that sums are associative,
can be subtracted (corrections), and a recount gives the same bits in any order or partition.
"""

from dataclasses import dataclass
from fractions import Fraction

PER_UNIT = 1_000_000  # the default step is 1e-6


def quantise(value: float, per_unit: int = PER_UNIT) -> int:
    """Round a finite value to whole steps, ties to even, without float error.

    Raises
    ------
    ValueError, OverflowError
        If the value is NaN or infinite.

    Examples
    --------
    >>> quantise(0.25)
    250000
    """
    numerator, denominator = value.as_integer_ratio()
    whole, rest = divmod(numerator * per_unit, denominator)
    if rest * 2 > denominator or (rest * 2 == denominator and whole % 2):
        whole += 1
    return whole


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean and centred sum of squares, each the float nearest to the exact number."""

    n: int
    mean: float
    m2: float

    @property
    def variance(self) -> float | None:
        """The sample variance (n - 1); None for fewer than two values."""
        return self.m2 / (self.n - 1) if self.n > 1 else None


@dataclass(frozen=True, slots=True)
class ExactSums:
    """Number, sum and sum of squares of quantised values; a retraction makes them smaller.

    Parameters
    ----------
    n : int
    q : int
        Sum, in steps.
    q2 : int
        Sum of squares, in squared steps.
    """

    n: int = 0
    q: int = 0
    q2: int = 0

    def __add__(self, other: "ExactSums") -> "ExactSums":
        return ExactSums(self.n + other.n, self.q + other.q, self.q2 + other.q2)

    def __sub__(self, other: "ExactSums") -> "ExactSums":
        return ExactSums(self.n - other.n, self.q - other.q, self.q2 - other.q2)

    def __bool__(self) -> bool:
        return bool(self.n or self.q or self.q2)

    @classmethod
    def of(cls, q: int, sign: int = 1) -> "ExactSums":
        """Give the sums of one quantised value, or of its retraction (``sign=-1``)."""
        return cls(sign, sign * q, sign * q * q)

    def moments(self, per_unit: int = PER_UNIT) -> Moments | None:
        """Derive mean and centred squares by rational arithmetic; None where nothing is left."""
        if self.n <= 0:
            return None
        mean = Fraction(self.q, self.n * per_unit)
        m2 = Fraction(self.n * self.q2 - self.q * self.q, self.n * per_unit * per_unit)
        return Moments(self.n, float(mean), float(m2))
