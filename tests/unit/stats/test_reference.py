"""The reference profile: whose cells it keeps, and what it counts in them."""

import numpy as np
import pytest

from timonel.schema.features import Category, Flag, Number, Text, Timestamp
from timonel.schema.schema import Schema
from timonel.stats.profiles.reference import profile_of
from timonel.wire.answer import Answer

SCHEMA = Schema(Number("age"), Category("plan", ["a", "b"]))


def rows(seed: int, n: int = 2000, shift: float = 0.0) -> list[tuple[float, str]]:
    rng = np.random.default_rng(seed)
    ages = rng.normal(40 + shift, 10, n)
    return list(zip(ages.tolist(), rng.choice(["a", "b"], n).tolist(), strict=True))


def answers(seed: int, n: int = 500) -> list[Answer]:
    rng = np.random.default_rng(seed)
    return [Answer(bool(p > 0.5), float(p)) for p in rng.random(n)]


def test_features_are_of_the_training_part_and_answers_of_the_holdout() -> None:
    profile = profile_of(SCHEMA, rows(1), answers(1), classifier=True)
    assert profile.names == ("age", "plan", "@score", "@prediction")
    assert [column.n for column in profile.columns.values()] == [2000, 2000, 500, 500]
    assert profile.columns["@prediction"].kind == "category"


def test_a_new_training_keeps_the_champions_cells_and_counts_its_own_rows() -> None:
    champion = profile_of(SCHEMA, rows(1), answers(1), classifier=True)
    again = profile_of(SCHEMA, rows(2, 3000), answers(2), classifier=True, champion=champion)
    for name in champion.names:
        assert again.columns[name].same_cells(champion.columns[name]), name
    assert again.columns["age"].n == 3000
    assert again.digest() != champion.digest()


def test_a_column_that_crowds_the_champions_cells_gets_its_own() -> None:
    champion = profile_of(SCHEMA, rows(1), answers(1), classifier=True)
    moved = profile_of(SCHEMA, rows(2, shift=60), answers(2), classifier=True, champion=champion)
    assert not moved.columns["age"].same_cells(champion.columns["age"])
    assert moved.columns["plan"].same_cells(champion.columns["plan"])


def test_every_kind_of_feature_and_a_regression() -> None:
    schema = Schema(Flag("f"), Text("t"), Timestamp("at"), Number("n", required=False))
    table = [(True, "hello", 1_700_000_000_000_000, None)] * 300
    profile = profile_of(schema, table, [Answer(1.5)] * 100, classifier=False)
    assert profile.names == ("f", "t", "at", "n", "@prediction")
    assert profile.columns["n"].n_missing == 300


@pytest.mark.parametrize("n", [1, 3])
def test_tiny_references_are_made_all_the_same(n: int) -> None:
    profile = profile_of(SCHEMA, rows(1, n), answers(1, n), classifier=True)
    assert profile.n == n
