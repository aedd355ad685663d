"""Repeated rows: what a bitmap says of known ones, and what a reference would have."""

import random
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonel.stats.multivariate.repeats import (
    N_BITS,
    bits_of,
    decode_bits,
    encode_bits,
    expected_share,
    frequencies,
    repeated_share,
)


def rows_like(n: int) -> list[bytes]:
    return [b'{"age":%d.5,"plan":"basic","visits":%d}' % (i % 90, i) for i in range(n)]


@pytest.mark.parametrize("n_different", [500, 5_000, 50_000])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.4])
def test_a_known_share_lies_within_its_interval(n_different: int, share: float) -> None:
    draw = random.Random(n_different)
    once = rows_like(n_different)
    n_more = round(n_different * share / (1 - share))
    more = once[:1] * (n_more // 2) + draw.choices(once, k=n_more - n_more // 2)
    found = repeated_share(bits_of([*once, *more]), n_different + n_more)
    assert found is not None
    assert found.low <= n_more / (n_different + n_more) <= found.high
    assert found.high - found.low < 0.05


def test_rows_with_places_of_their_own_are_told_exactly_and_a_full_bitmap_tells_nothing() -> None:
    found = repeated_share(bits_of(rows_like(20)), 20)
    assert found == (0.0, 0.0, 0.0, 0.95)
    assert repeated_share(np.ones(N_BITS, np.bool_), 10**6) is None


@given(st.lists(st.binary(max_size=6), min_size=1), st.randoms(use_true_random=False))
def test_bitmaps_depend_on_neither_order_nor_partition(
    rows: list[bytes], draw: random.Random
) -> None:
    shuffled = draw.sample(rows, len(rows))
    cut = draw.randrange(len(rows) + 1)
    parts = [decode_bits(encode_bits(bits_of(part))) for part in (shuffled[:cut], shuffled[cut:])]
    assert np.array_equal(parts[0] | parts[1], bits_of(rows))
    assert len(encode_bits(bits_of(rows))) < 2_800


def test_a_reference_of_as_many_rows_is_what_drawing_them_gives() -> None:
    words = "aaaabbbccd"
    known = frequencies(words)
    assert known == {1: 1, 2: 1, 3: 1, 4: 1}
    for n in range(1, 11):  # a word is absent from a draw of n rows so often
        absent = sum(comb(10 - times, n) for times in (1, 2, 3, 4)) / comb(10, n)
        assert expected_share(known, n) == pytest.approx(1 - (4 - absent) / n, abs=1e-9)
    assert expected_share(known, 11) is None
