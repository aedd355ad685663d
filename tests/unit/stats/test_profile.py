"""Profiles: their cells, their size, their documents."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from timonel.schema.features import Category, Flag, Number, Text
from timonel.schema.schema import Schema
from timonel.stats.drift import Profile, RowCounter
from timonel.stats.profiles.cells import NumberCells, ValueCells, WordCells


def cells_of(values: Any) -> Any:
    return Profile.fit({"x": values}).columns["x"].cells


def test_kinds_are_declared_or_taken_from_the_values() -> None:
    schema = Schema(Number("n"), Flag("f"), Category("c", ["1", "2"]))
    profile = Profile.fit(
        {"c": [1, 2], "f": [True, None], "n": [1, 2], "@more": ["a", None]}, schema=schema
    )
    kinds = {name: column.kind for name, column in profile.columns.items()}
    assert kinds == {"n": "number", "f": "flag", "c": "category", "@more": "category"}
    cells = profile.columns["c"].cells
    assert isinstance(cells, WordCells)
    assert cells.words == ("1", "2")


def test_few_values_have_a_cell_each() -> None:
    cells = cells_of([3, 1, 2, 2, None])
    assert isinstance(cells, ValueCells)
    assert cells.labels == ("1.0", "2.0", "3.0")
    assert cells.tally([2, 9, None, 2]).counts.tolist() == [0, 2, 0, 1, 1]


def test_numbers_are_cut_at_quantiles() -> None:
    cells = cells_of(np.arange(1, 25_601))
    assert isinstance(cells, NumberCells)
    assert len(cells.edges) == 255
    counts = cells.tally(np.arange(1, 25_601)).counts
    assert counts[:-1].sum() == 25_600
    assert abs(counts[:-1] - 100).max() <= 1


def test_a_frequent_value_has_a_cell_of_its_own_exactly() -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random(5_000) < 0.3, 0.1, rng.random(5_000))
    cells = cells_of(values)
    place = int(np.searchsorted(cells.edges, 0.1))
    near = [np.nextafter(0.1, 0), 0.1, np.nextafter(0.1, 1)]
    assert [int(np.flatnonzero(cells.tally([v]).counts)[0]) - place for v in near] == [-1, 0, 1]


def test_ends_tell_what_lies_beyond_the_outer_cuts() -> None:
    values = np.arange(2_560.0)
    column = Profile.fit({"x": values}).columns["x"]
    assert column.ends is not None
    assert (column.ends.low, column.ends.high) == (0.0, 2559.0)
    assert isinstance(column.cells, NumberCells)
    first = column.counts[0]
    mean = column.ends.below * column.cells.step / first + column.cells.offset
    assert mean == pytest.approx(values[:first].mean(), abs=1e-3)


def test_many_words_fall_into_buckets_and_frequent_ones_keep_their_names() -> None:
    rng = np.random.default_rng(0)
    words = [f"palabra {k}" for k in rng.integers(5_000, size=20_000)] + ["sí"] * 5_000
    cells = cells_of(words)
    assert isinstance(cells, WordCells)
    assert cells.words == ("sí",)
    assert not cells.complete
    assert cells.tally(["sí", "never seen", None]).counts.sum() == 3


SHAPES: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "normal": lambda r, n: r.normal(size=n),
    "cauchy": lambda r, n: r.standard_cauchy(n) * 1e6,
    "moments": lambda r, n: 1.7e15 + r.random(n) * 1e12,
    "huge": lambda r, n: r.normal(size=n) * 1e300,
    "rounded": lambda r, n: r.choice(r.normal(size=90), size=n),
    "zeros": lambda r, n: np.where(r.random(n) < 0.5, 0, r.lognormal(0, 3, size=n)),
    "words": lambda r, n: [f'Región número {k} \n"' for k in r.integers(4_000, size=n)],
    "long_words": lambda r, n: [f"{k}" * 300 for k in r.integers(10, size=n)],
    "flags": lambda r, n: r.random(n) < 0.5,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [1, 300, 30_000])
def test_a_column_takes_at_most_2_kb(shape: str, n: int) -> None:
    profile = Profile.fit({"x": SHAPES[shape](np.random.default_rng(1), n)})
    for _ in range(6):  # doubled to 64 times the rows
        profile += profile
    document = json.dumps(profile.to_json(), separators=(",", ":"), allow_nan=False)
    assert len(document) <= 2_048
    assert Profile.from_json(document) == profile


def test_profiles_of_other_cells_are_added_closely() -> None:
    rng = np.random.default_rng(2)
    a = Profile.fit({"x": rng.normal(size=2_000), "c": ["a", "b"] * 1_000})
    b = Profile.fit({"x": rng.normal(size=1_000), "c": ["b", "c"] * 500, "more": [1] * 1_000})
    assert a + b == b + a
    merged = a + b
    assert merged.n == 3_000
    assert {name: column.n for name, column in merged.columns.items()} == {
        "x": 3_000,
        "c": 3_000,
        "more": 1_000,
    }


def test_long_columns_are_counted_as_their_parts_are() -> None:
    rng = np.random.default_rng(4)
    table = {f"x{at}": rng.normal(size=24_000).round(at) for at in range(6)}
    table["w"] = rng.choice(["a", "b", "ñ"], 24_000)
    empty = Profile.fit({name: values[:1_000] for name, values in table.items()}).empty_like()
    halves = [{name: v[at::2] for name, v in table.items()} for at in (0, 1)]
    assert empty.update(table).to_json() == empty.update(halves[0]).update(halves[1]).to_json()
    table["x3"] = np.array(["seven"] * 24_000)
    with pytest.raises(ValueError, match="column 'x3'"):
        empty.update(table)


def test_columns_must_be_equally_long() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        Profile.fit({"a": [1], "b": [1, 2]})


def test_a_document_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format 9"):
        Profile.from_json({"format": 9})


def test_counts_of_other_cells_are_refused() -> None:
    profile = Profile.fit({"x": ["a", "b"]})
    with pytest.raises(ValueError, match="'x' has 4 cells"):
        profile.with_counts({"n": 1, "cells": {"x": [7, 1]}, "ends": {}})


def test_the_digest_names_the_document() -> None:
    a, b = Profile.fit({"x": [1, 2, 2]}), Profile.fit({"x": [2, 1, 2]})
    assert a.digest() == b.digest()
    assert hash(a) == hash(b)
    assert a.digest() != a.update({"x": [1]}).digest()
    assert a != "a"


def test_a_counter_crosses_its_batches() -> None:
    profile = Profile.fit({"x": np.random.default_rng(0).normal(size=1_000)})
    values = np.random.default_rng(1).normal(size=5_000)
    counter = RowCounter(profile)
    for value in values.tolist():
        counter.add((value,))
    assert profile.with_counts(counter.take()) == profile.empty_like().update({"x": values})


def test_a_counter_refuses_columns_that_do_not_fit() -> None:
    counter = RowCounter(Profile.fit({"x": [1, 2], "y": ["a", "b"]}))
    with pytest.raises(ValueError, match="1 columns, the profile has 2"):
        counter.extend_columns([[1.0]])
    with pytest.raises(ValueError, match="different lengths"):
        counter.extend_columns([[1.0], ["a", "b"]])


def test_a_column_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValueError, match="column 'n': could not convert"):
        Profile.fit({"n": ["many"]}, schema=Schema(Number("n")))


def test_a_counter_takes_what_it_cannot_read_for_missing() -> None:
    """A batch is not lost for one value."""
    texts = ["x" * k for k in range(100)]
    columns: dict[str, Any] = {"n": range(100), "t": texts, "w": ["a", "b"] * 50}
    schema = Schema(Number("n"), Text("t"), Category("w", ["a", "b"]))
    profile = Profile.fit(columns, schema=schema)
    counter = RowCounter(profile)
    for row in ((1.0, "x", "a"), ("many", "x", 7), (10**400, 5.0, True)):
        counter.add(row)
    counted = profile.with_counts(counter.take()).columns
    assert [column.n_missing for column in counted.values()] == [2, 1, 0]
    assert counted["w"].counts.tolist() == [1, 0, 2, 0]
