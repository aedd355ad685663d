"""Intervals against published and independent numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from timonel.stats.intervals import f1_interval, macro_f1_interval, mean_interval, wilson


def test_wilson_of_newcombe() -> None:
    # R. G. Newcombe, 1998, Statistics in Medicine 17, 857-872, table I, method 3
    assert wilson(81, 263)[:3] == pytest.approx((0.3080, 0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148)[:3] == pytest.approx((0.1014, 0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20)[:3] == pytest.approx((0.0, 0.0, 0.1611), abs=5e-5)
    assert wilson(1, 29)[:3] == pytest.approx((0.0345, 0.0061, 0.1718), abs=5e-5)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys_and_holds_its_estimate(counts: tuple[int, int]) -> None:
    hits, n = counts
    found = wilson(hits, n)
    expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert found.low == pytest.approx(expected.low, abs=1e-9)
    assert found.high == pytest.approx(expected.high, abs=1e-9)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


@pytest.mark.parametrize(("hits", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_refuses_contradictions(hits: int, n: int) -> None:
    with pytest.raises(ValueError, match="hits of"):
        wilson(hits, n)


def test_mean_interval() -> None:
    values = np.random.default_rng(3).gamma(2, 3, 400)
    found = mean_interval(400, float(values.sum()), float((values**2).sum()))
    half = 1.959963984540054 * values.std(ddof=1) / 20
    assert found.estimate == pytest.approx(values.mean())
    assert found.high - found.estimate == pytest.approx(half)


def test_mean_of_equal_values_and_of_one() -> None:
    assert mean_interval(3, 0.3, 0.03)[1:3] == pytest.approx((0.1, 0.1))
    with pytest.raises(ValueError, match="no spread"):
        mean_interval(1, 1, 1)


def test_f1_of_one_class_carries_wilsons_limits_over() -> None:
    found = f1_interval(40, 50, 60)
    assert found.estimate == pytest.approx(2 * 40 / 110)
    share = wilson(40, 70)
    assert found.low == pytest.approx(2 * share.low / (1 + share.low))
    assert f1_interval(0, 3, 0)[:2] == (0.0, 0.0)
    with pytest.raises(ValueError, match="hits of"):
        f1_interval(0, 0, 0)


def test_macro_f1_spreads_as_drawn_counts_do() -> None:
    shares = np.array([[0.3, 0.1, 0.02], [0.05, 0.2, 0.03], [0.04, 0.06, 0.2]])
    drawn = np.random.default_rng(1).multinomial(800, shares.ravel(), 4000).reshape(-1, 3, 3)
    right = np.einsum("nii->ni", drawn)
    figures = np.mean(2 * right / (drawn.sum(axis=1) + drawn.sum(axis=2)), axis=1)
    found = macro_f1_interval(np.round(shares * 800).astype(np.int64))
    half = (found.high - found.low) / 2
    assert half / 1.959963984540054 == pytest.approx(figures.std(), rel=0.05)
    assert found.estimate == pytest.approx(figures.mean(), abs=0.005)


def test_macro_f1_without_an_error_is_not_certain() -> None:
    found = macro_f1_interval(np.diag([30, 40, 0]).astype(np.int64))
    assert (found.estimate, found.high) == (1.0, 1.0)
    assert 0.8 < found.low < 0.95  # an absent class takes no part
    with pytest.raises(ValueError, match="no rows"):
        macro_f1_interval(np.zeros((2, 2), dtype=np.int64))
