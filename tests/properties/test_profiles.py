"""Whatever the rows, their order and their splits: the same counts, the same bytes."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timonel.schema.features import Text
from timonel.stats.drift import Profile, RowCounter, compare, counts_add

NUMBERS = st.none() | st.floats() | st.integers(-5, 5).map(float)
WORDS = st.none() | st.text(max_size=3) | st.sampled_from("abc")
ROWS = st.lists(st.tuples(NUMBERS, WORDS, st.none() | st.booleans()), max_size=60)
Row = tuple[float | None, str | None, bool | None]


def table(rows: list[Row]) -> dict[str, list[Any]]:
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    return dict(zip("nwf", map(list, columns), strict=True))


def base(seed: int) -> Profile:
    rng = np.random.default_rng(seed)
    numbers = [float(x) for x in np.where(rng.random(400) < 0.2, 1.0, rng.normal(size=400))]
    return Profile.fit(
        {"n": numbers, "w": rng.choice(list("abd"), 400), "f": rng.random(400) < 0.5}
    )


@given(ROWS, st.randoms(use_true_random=False), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_any_order_and_split_gives_the_same_bytes(rows: list[Row], random: Any, at: int) -> None:
    reference = base(0)
    empty = reference.empty_like()
    whole = empty.update(table(rows))
    shuffled = rows.copy()
    random.shuffle(shuffled)
    first, second = shuffled[:at], shuffled[at:]
    a, b = empty.update(table(first)), empty.update(table(second))
    assert json.dumps((a + b).to_json()) == json.dumps(whole.to_json())
    assert a + b == b + a == empty.update(table(first)).update(table(second))
    counters = []
    for part in (first, second):
        counter = RowCounter(reference)
        for row in part:
            counter.add(row)
        counters.append(counter.take())
    added = counts_add(*counters)
    assert reference.with_counts(json.loads(json.dumps(added, allow_nan=False))) == whole
    assert compare(reference, a + b) == compare(reference, whole)


@given(ROWS, ROWS)
@settings(max_examples=60, deadline=None)
def test_any_rows_can_be_fitted_read_back_compared_and_added(a: list[Row], b: list[Row]) -> None:
    first, second = Profile.fit(table(a)), Profile.fit(table(b))
    text = json.dumps(first.to_json(), allow_nan=False)
    assert Profile.from_json(text) == first
    json.dumps(compare(first, second).document(), allow_nan=False)
    words = [
        [column.kind == "category" for column in profile.columns.values()]
        for profile in (first, second)
    ]
    if words[0] == words[1]:
        assert first + second == second + first
        assert (first + second).n == len(a) + len(b)
    else:  # a column without a value is taken for numbers
        with pytest.raises(ValueError, match="one profile counts"):
            first + second


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=400))
@settings(max_examples=60, deadline=None)
def test_every_value_is_counted_once(values: list[float]) -> None:
    column = Profile.fit({"x": values}).columns["x"]
    assert column.n == len(values)
    assert column.n_missing == 0
    assert (column.counts >= 0).all()


FEW = st.none() | st.sampled_from([0.0, -0.0, 1.0, 2.5, np.inf, -np.inf, np.nan]) | st.floats()
FLAGS = st.none() | st.booleans() | st.sampled_from([0.0, 1.0, 2.0, np.nan])
MANY_COLUMNS = st.lists(st.tuples(NUMBERS, FEW, NUMBERS, WORDS, FLAGS, WORDS), max_size=40)


def reference_of_all_kinds() -> Profile:
    rng = np.random.default_rng(2)
    return Profile.fit(
        {
            "wide": (rng.normal(size=300) * 1e300).tolist(),
            "few": rng.choice([0.0, 1.0, 2.5], 300).tolist(),
            "empty": [None] * 300,
            "word": rng.choice(list("abd"), 300).tolist(),
            "flag": (rng.random(300) < 0.5).tolist(),
            "note": [None, "long text"] * 150,
        },
        schema=[Text("note")],
    )


@given(MANY_COLUMNS)
@settings(max_examples=100, deadline=None)
def test_columns_counted_together_give_what_each_gives_alone(rows: list[Any]) -> None:
    reference = reference_of_all_kinds()
    names = ["wide", "few", "empty", "word", "flag", "note"]
    alone = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}
    counter = RowCounter(reference)
    for row in rows:
        given = dict(zip(names, row, strict=True))
        counter.add([given[name] for name in reference.names])
    expected = reference.empty_like().update(alone).counts()
    assert counter.take() == expected
    # read as numbers, not as they are
    flags = {"flag": np.array(alone.get("flag", ()), np.float64)}
    as_numbers = reference.empty_like().update({**alone, **flags}).counts()
    assert as_numbers == expected
    if rows:
        counter.extend_columns([alone[name] for name in reference.names])
        assert counter.take() == expected
