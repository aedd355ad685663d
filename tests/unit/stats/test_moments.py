import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonel.stats.moments import PER_UNIT, ExactSums, quantise, quantise_all

finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.lists(st.floats(-1e9, 1e9), max_size=30)


def sums(numbers: list[float]) -> ExactSums:
    total = ExactSums()
    for number in numbers:
        total += ExactSums.of(quantise(number))
    return total


@given(finite)
def test_quantise_is_the_nearest_step_ties_to_even(value: float) -> None:
    assert quantise(value) == round(Fraction(value) * PER_UNIT)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_quantise_refuses_what_is_no_number(value: float) -> None:
    with pytest.raises((ValueError, OverflowError)):
        quantise(value)


@given(values, values, values)
def test_sums_are_associative_commutative_and_can_be_subtracted(
    a: list[float], b: list[float], c: list[float]
) -> None:
    x, y, z = sums(a), sums(b), sums(c)
    assert x + y == y + x
    assert (x + y) + z == x + (y + z) == sums(c + a + b)
    assert (x + y) - y == x
    assert not x - x


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30), st.randoms())
def test_moments_do_not_depend_on_the_order(numbers: list[float], random: object) -> None:
    shuffled = sorted(numbers)
    first, second = sums(numbers).moments(), sums(shuffled).moments()
    assert first is not None
    assert first == second
    exact = [Fraction(quantise(n), PER_UNIT) for n in numbers]
    mean = sum(exact, Fraction()) / len(exact)
    assert first.mean == float(mean)
    assert first.m2 == float(sum(((n - mean) ** 2 for n in exact), Fraction()))


def test_nothing_has_no_moments_and_one_value_no_variance() -> None:
    assert ExactSums().moments() is None
    one = sums([3.5]).moments()
    assert one is not None
    assert (one.n, one.mean, one.variance) == (1, 3.5, None)
    two = sums([3.0, 5.0]).moments()
    assert two is not None
    assert two.variance == 2.0


@given(st.lists(st.floats(-1e9, 1e9) | st.integers(0, 10**7).map(lambda k: k / 2e6), max_size=30))
def test_many_are_quantised_as_each(values: list[float]) -> None:
    assert quantise_all(values) == [quantise(value) for value in values]
