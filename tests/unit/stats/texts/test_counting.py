"""Texts in numpy arrays are counted as a Counter of their strings counts them."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from timonel.stats.profiles.cells import WordCells
from timonel.stats.texts.counting import count_array, countable

TEXTS = st.lists(st.sampled_from(["", "a", "b", "año", "\U0001f6a2"]) | st.text(max_size=5))


@given(TEXTS, st.integers(1, 3), st.sampled_from("<>"))
@settings(max_examples=150, deadline=None)
def test_arrays_are_counted_as_their_strings(texts: list[str], step: int, order: str) -> None:
    values = np.array(texts, dtype=f"{order}U9")[::step]
    assert countable(values)
    assert count_array(values) == Counter(values.tolist())
    cells = WordCells(("a", "b"), 8)
    assert cells.tally(values).counts.tolist() == cells.tally(values.tolist()).counts.tolist()


def test_many_rows_and_many_kinds_are_counted_over_all_blocks() -> None:
    rng = np.random.default_rng(1)
    values = np.array([f"w{k}" for k in rng.integers(3_000, size=150_000)])
    assert count_array(values) == Counter(values.tolist())


def test_where_nearly_all_differ_the_few_that_follow_are_counted_with_them() -> None:
    each = [f"user {k}" for k in range(100_000)]
    values = np.array(each + ["user 7"] * 1_000 + each[:10])
    assert count_array(values) == Counter(values.tolist())


def test_other_arrays_are_not_for_it() -> None:
    assert not countable(["a"])
    assert not countable(np.array(["a", None], dtype=object))
    assert not countable(np.array([b"a"]))
    assert not countable(np.array(["x" * 65]))
    assert not countable(np.array([["a"]]))
