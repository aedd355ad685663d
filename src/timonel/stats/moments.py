"""Exact sums of quantised values, and the mean and variance they stand for.

Values are rounded once to a step and summed as unbounded integers, so that sums are associative,
can be subtracted (corrections), and a recount gives the same bits in any order or partition.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np

PER_UNIT = 1_000_000  # the default step is 1e-6
_EXACTLY = 2.0**40  # steps; a float there has 2**-12 of one to spare
_NEAR = 1e-3


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


def quantise_all(values: Sequence[float], per_unit: int = PER_UNIT) -> list[int]:
    """Quantise many values as ``quantise`` does each, a tenth of the time.

    A float product is off by far less than a thousandth of a step here, so only what lies near
    the middle between two steps is looked at exactly.

    Examples
    --------
    >>> quantise_all([0.25, 0.0000005, 0.0000015])
    [250000, 0, 2]
    """
    scaled = np.asarray(values, np.float64) * per_unit
    if not np.all(np.abs(scaled) < _EXACTLY):
        return [quantise(float(value), per_unit) for value in values]
    whole: list[int] = np.rint(scaled).astype(np.int64).tolist()
    for at in np.flatnonzero(np.abs(scaled - np.floor(scaled) - 0.5) < _NEAR).tolist():
        whole[at] = quantise(float(values[at]), per_unit)
    return whole


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean and centred sum of squares.

    Notes
    -----
    ``a + b == b + a`` to the bit, but ``+`` rounds, so it is associative only nearly: what is
    stored and recounted are ``ExactSums``. Source of ``+``: T. F. Chan, G. H. Golub,
    R. J. LeVeque, 1979, Stanford STAN-CS-79-773.

    Examples
    --------
    >>> Moments.of([1.0, 2.0]) + Moments.of([6.0])
    Moments(n=3, mean=3.0, m2=14.0)
    """

    n: int
    mean: float
    m2: float

    def __add__(self, other: "Moments") -> "Moments":
        n = self.n + other.n
        if not n:
            return Moments(0, 0.0, 0.0)
        mean = (self.n * self.mean + other.n * other.mean) / n
        apart = self.mean - other.mean
        return Moments(n, mean, self.m2 + other.m2 + apart * apart * (self.n * other.n / n))

    @property
    def variance(self) -> float | None:
        """The sample variance (n - 1); None for fewer than two values."""
        return self.m2 / (self.n - 1) if self.n > 1 else None

    @classmethod
    def of(cls, values: Iterable[float]) -> "Moments":
        """Take the moments of numbers, in two passes; of none, ``Moments(0, 0.0, 0.0)``."""
        each = [float(value) for value in values]
        if not each:
            return cls(0, 0.0, 0.0)
        mean = fsum(each) / len(each)
        return cls(len(each), mean, fsum((value - mean) ** 2 for value in each))


@dataclass(frozen=True, slots=True)
class BivariateMoments:
    """Count, means, centred squares and centred products of pairs (y, x), one a unit.

    For ``ratio``, y is the numerator and x the denominator of each unit; for ``cuped``, y is the
    metric and x what was known of the unit before.

    Parameters
    ----------
    n : int
    mean_y, mean_x : float
    m2_y, m2_x : float
        Sums of squares about the means.
    c_yx : float
        Sum of products about the means.
    """

    n: int
    mean_y: float
    mean_x: float
    m2_y: float
    m2_x: float
    c_yx: float

    def __add__(self, other: "BivariateMoments") -> "BivariateMoments":
        y, x, n = self.y + other.y, self.x + other.x, self.n + other.n
        if not n:
            return BivariateMoments(0, 0.0, 0.0, 0.0, 0.0, 0.0)
        apart = (self.mean_y - other.mean_y) * (self.mean_x - other.mean_x)
        together = self.c_yx + other.c_yx + apart * (self.n * other.n / n)
        return BivariateMoments(n, y.mean, x.mean, y.m2, x.m2, together)

    @property
    def y(self) -> Moments:
        """The moments of the first numbers alone."""
        return Moments(self.n, self.mean_y, self.m2_y)

    @property
    def x(self) -> Moments:
        """The moments of the second numbers alone."""
        return Moments(self.n, self.mean_x, self.m2_x)

    @classmethod
    def of(cls, y: Iterable[float], x: Iterable[float]) -> "BivariateMoments":
        """Take the moments of pairs of numbers, in two passes.

        Raises
        ------
        ValueError
            If the two differ in length.
        """
        each_y, each_x = list(y), list(x)
        of_y, of_x = Moments.of(each_y), Moments.of(each_x)
        together = fsum(
            (b - of_y.mean) * (a - of_x.mean) for b, a in zip(each_y, each_x, strict=True)
        )
        return cls(of_y.n, of_y.mean, of_x.mean, of_y.m2, of_x.m2, together)


def theta_of(arms: Iterable[BivariateMoments]) -> float:
    """Give how much of a metric goes with a unit of its covariate, from within-arm moments."""
    each = list(arms)
    spread = sum(arm.m2_x for arm in each)
    return sum(arm.c_yx for arm in each) / spread if spread > 0.0 else 0.0


def adjusted(arm: BivariateMoments, theta: float) -> Moments:
    """Give the moments of ``y - theta x`` of one arm."""
    squares = arm.m2_y - 2.0 * theta * arm.c_yx + theta**2 * arm.m2_x
    # a metric that the covariate explains altogether leaves only rounding
    rounding = 1e-12 * (arm.m2_y + theta**2 * arm.m2_x)
    return Moments(arm.n, arm.mean_y - theta * arm.mean_x, 0.0 if squares < rounding else squares)


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
        """Derive mean and centred squares, each rounded once; None where nothing is left."""
        n = self.n
        if n <= 0:
            return None
        # a quotient of whole numbers of any length is the nearest float, as that of a Fraction is
        m2 = (n * self.q2 - self.q * self.q) / (n * per_unit * per_unit)
        return Moments(n, self.q / (n * per_unit), m2)
