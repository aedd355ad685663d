"""Sketches add up exactly, in any order and partition, and tell quantiles within their promise."""

from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonel.events.recorded.counting import EDGES
from timonel.stats.moments import PER_UNIT, quantise
from timonel.stats.series.sketch import MOST, WIDEST, Sketch, lower_edge, upper_edge

numbers = st.floats(-MOST, MOST, allow_nan=False) | st.floats(-50, 50)
steps = st.integers(-(10**18), 10**18)


@given(steps)
def test_a_value_lies_in_its_bucket_and_the_bucket_is_narrow(q: int) -> None:
    edge = upper_edge(q)
    low = lower_edge(edge)
    if q == 0:
        assert edge == low == 0
        return
    assert low < q <= edge
    assert edge - low <= max(1, WIDEST * abs(q))
    assert upper_edge(low + 1) == edge
    assert upper_edge(edge + 1) != edge


@given(st.lists(numbers, max_size=60), st.integers(), st.integers(1, 6))
def test_parts_add_up_to_the_whole_in_any_order(
    values: list[float], seed: int, n_parts: int
) -> None:
    mixed = list(values)
    Random(seed).shuffle(mixed)
    total = Sketch()
    for part in range(n_parts):
        total += Sketch.of(mixed[part::n_parts])
    assert total == Sketch.of(values)


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=200), st.floats(0.01, 0.99))
def test_a_quantile_is_near_a_number_of_its_rank(values: list[float], p: float) -> None:
    found = Sketch.of(values).quantile(p)
    assert found is not None
    ordered = sorted(values)
    rank = p * len(values)
    near = ordered[max(0, int(rank) - 1) : int(rank) + 2]
    assert any(abs(found - one) <= WIDEST * one + 2 / PER_UNIT for one in near) or any(
        a <= found <= b for a, b in pairwise(near)
    )


def test_figures_are_those_of_the_numbers() -> None:
    values = np.random.default_rng(3).lognormal(3, 1, 20_000)
    sketch = Sketch.of(values.tolist())
    assert sketch.n == 20_000
    assert sketch.mean == pytest.approx(values.mean(), rel=1e-7)
    assert sketch.std == pytest.approx(values.std(ddof=1), rel=1e-6)
    assert sketch.least == pytest.approx(values.min(), abs=1e-6)
    assert sketch.greatest == pytest.approx(values.max(), abs=1e-6)
    for p in (0.5, 0.95, 0.99):
        assert sketch.quantile(p) == pytest.approx(np.quantile(values, p), rel=WIDEST)
    assert len(sketch.counts) < 800
    nothing = Sketch()
    assert (nothing.mean, nothing.std, nothing.least, nothing.quantile(0.5)) == (None,) * 4
    assert Sketch.of([4.0]).std is None


@given(st.lists(st.floats(-10, 1e7), max_size=60))
def test_what_is_scraped_is_counted_exactly(values: list[float]) -> None:
    bins = Sketch.of(values).below(EDGES)
    assert sum(bins) == len(values)
    for at, edge in enumerate(EDGES):
        assert sum(bins[: at + 1]) == sum(quantise(value) <= edge for value in values)
