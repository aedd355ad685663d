"""Joined moments are those of all values, whichever comes first."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from timonel.stats.compare import BivariateMoments, Moments
from timonel.stats.sequential import Information, stratum

numbers = st.floats(-1e6, 1e6)
values = st.lists(numbers, max_size=30)
pairs = st.lists(st.tuples(numbers, numbers), max_size=30)


def both(rows: list[tuple[float, float]]) -> BivariateMoments:
    return BivariateMoments.of([y for y, _ in rows], [x for _, x in rows])


@given(values, values)
def test_moments_join(a: list[float], b: list[float]) -> None:
    x, y = Moments.of(a), Moments.of(b)
    assert x + y == y + x
    assert x + Moments(0, 0.0, 0.0) == x
    whole, joined = Moments.of(a + b), x + y
    scale = max((abs(v) for v in a + b), default=0.0)
    assert joined.n == whole.n
    assert math.isclose(joined.mean, whole.mean, rel_tol=1e-9, abs_tol=1e-12 * scale)
    assert math.isclose(joined.m2, whole.m2, rel_tol=1e-9, abs_tol=1e-9 * scale**2)


@given(pairs, pairs)
def test_pairs_join(a: list[tuple[float, float]], b: list[tuple[float, float]]) -> None:
    x, y = both(a), both(b)
    assert x + y == y + x
    assert x + both([]) == x
    whole, joined = both(a + b), x + y
    assert joined.y == x.y + y.y
    assert joined.x == x.x + y.x
    scale = max((abs(v) for row in a + b for v in row), default=0.0)
    assert math.isclose(joined.c_yx, whole.c_yx, rel_tol=1e-9, abs_tol=1e-9 * scale**2)


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=30))
def test_pairs_are_numpys(rows: list[tuple[float, float]]) -> None:
    found = both(rows)
    expected = np.cov(np.array(rows).T, ddof=0) * len(rows)
    scale = max(abs(v) for row in rows for v in row) ** 2
    assert np.allclose(
        [found.m2_y, found.c_yx, found.m2_x],
        [expected[0, 0], expected[0, 1], expected[1, 1]],
        rtol=1e-9,
        atol=1e-9 * scale,
    )


@given(values, values, values, values)
def test_information_joins(a: list[float], b: list[float], c: list[float], d: list[float]) -> None:
    one = stratum(Moments.of(a), Moments.of(b))
    other = stratum(Moments.of(c), Moments.of(d))
    assert one + other == other + one
    assert one + Information() == one
