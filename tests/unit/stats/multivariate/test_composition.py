"""What a change of mix accounts for, against rows that were weighed one by one."""

from typing import Any

import numpy as np
import pytest

from timonel.schema.features import Category, Flag, Number, Text, Timestamp
from timonel.schema.schema import Schema
from timonel.stats.multivariate.composition import bins_of, composed, figures_by_bin
from timonel.stats.profiles.profile import Profile
from timonel.training.evaluate import by_value
from timonel.wire.answer import Answer

SCHEMA = Schema(
    Number("age", required=False),
    Number("visits"),
    Flag("member"),
    Category("plan", ["a", "b", "c"], unseen="accept"),
    Text("note"),
    Timestamp("since"),
)
Rows = dict[str, Any]


def rows(rng: np.random.Generator, n: int, older: float = 0.0) -> Rows:
    age = rng.normal(40 + older, 10, n)
    return {
        "age": np.where(rng.random(n) < 0.1, np.nan, age),
        "visits": rng.integers(0, 5, n),
        "member": rng.random(n) < 0.3 + 0.04 * older,
        "plan": rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2]),
        "note": ["palabra " * k for k in rng.integers(1, 60, n)],
        "since": rng.integers(10**15, size=n),
    }


def accuracy(columns: Rows) -> Any:
    """Give how often answers are right: less for the old, the missing, and members."""
    of_age = np.where(np.isnan(columns["age"]), 0.5, np.where(columns["age"] > 50, 0.6, 0.95))
    return of_age - 0.3 * columns["member"]


@pytest.mark.parametrize("column", ["age", "visits", "member", "plan", "note"])
def test_every_value_falls_into_the_bin_that_its_count_is_in(column: str) -> None:
    rng = np.random.default_rng(1)
    profile = Profile.fit(rows(rng, 2_000), schema=SCHEMA).columns[column]
    values = list(rows(rng, 700, 5.0)[column])
    if column == "plan":
        values += ["never seen"]
    kept = figures_by_bin(profile, values, np.ones(len(values)))
    bins = bins_of(profile)
    assert kept is not None
    assert bins is not None
    now = Profile([profile.empty()], 0).update({column: values}).columns[column]
    counted = np.bincount(bins, weights=now.by_length().counts)
    assert kept["n"] == counted.tolist()


def test_the_part_of_a_column_is_that_of_rows_weighed_anew() -> None:
    """Age moves and alone decides: reweighing on it finds the whole change, on visits none."""
    rng = np.random.default_rng(2)
    before, after = rows(rng, 20_000), rows(rng, 20_000, 6.0)
    before["member"] = after["member"] = np.zeros(20_000, bool)
    profile = Profile.fit(before, schema=SCHEMA)
    window = profile.empty_like().update(after)
    right = (rng.random(20_000) < accuracy(before)).astype(float)
    parts = {
        name: composed(column, kept, window.columns[name])
        for name, column in profile.columns.items()
        if (kept := figures_by_bin(column, before[name], right))
    }
    change = accuracy(after).mean() - accuracy(before).mean()
    assert change < -0.05
    age, visits = parts["age"], parts["visits"]
    assert age is not None
    assert visits is not None
    assert age.change == pytest.approx(change, abs=0.012)  # one bin lies across the 50
    assert age.lower < age.change < age.upper
    assert abs(visits.change) < 0.003
    assert parts.keys() == set(SCHEMA.names) - {"since"}


def test_parts_of_columns_that_go_together_do_not_add_up() -> None:
    rng = np.random.default_rng(3)
    old = rng.random(4_000) < 0.5
    right = np.where(old, 0.0, 1.0)
    profile = Profile.fit({"a": old, "b": old})
    window = profile.empty_like().update({"a": np.ones(500, bool), "b": np.ones(500, bool)})
    parts = []
    for name, column in profile.columns.items():
        kept = figures_by_bin(column, old, right)
        assert kept is not None
        parts.append(composed(column, kept, window.columns[name]))
    assert all(part is not None for part in parts)
    assert [part.change for part in parts if part] == pytest.approx([-np.mean(~old)] * 2)


def test_the_interval_covers_what_is_true() -> None:
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(300):
        before, after = rng.random(1_000) < 0.3, rng.random(500) < 0.5
        profile = Profile.fit({"m": before})
        right = (rng.random(1_000) < 0.9 - 0.3 * before).astype(float)
        kept = figures_by_bin(profile.columns["m"], before, right)
        assert kept is not None
        window = profile.empty_like().update({"m": after}).columns["m"]
        found = composed(profile.columns["m"], kept, window)
        assert found is not None
        # of this reference's own mix: the holdout is what a window is held against
        true = -0.3 * (0.5 - before.mean())
        covered += found.lower <= true <= found.upper
    assert 0.91 <= covered / 300 <= 0.98


def test_what_the_reference_hardly_held_cannot_be_said() -> None:
    profile = Profile.fit({"c": ["a"] * 300 + ["b"] * 200})
    column = profile.columns["c"]
    kept = figures_by_bin(column, ["a"] * 300 + ["b"] * 200, np.ones(500))
    assert kept is not None
    for window, known in ((["a"] * 96 + ["new"] * 4, True), (["a"] * 94 + ["new"] * 6, False)):
        now = profile.empty_like().update({"c": window}).columns["c"]
        assert (composed(column, kept, now) is not None) is known
    assert composed(column, kept, column.empty()) is None
    assert composed(column, {"n": [1], "mean": [1], "variance": [0]}, column) is None


@pytest.mark.parametrize(
    ("classes", "metric", "mean"), [(["x", "y"], "accuracy", 0.75), (None, "mae", 0.5)]
)
def test_training_keeps_the_figures_of_every_feature(
    classes: list[Any] | None, metric: str, mean: float
) -> None:
    columns: Rows = {"member": [True, False] * 50, "since": [1] * 100}
    profile = Profile.fit(columns, schema=[Flag("member"), Timestamp("since")])
    held = list(zip(*columns.values(), strict=True))
    if classes:
        answers = [Answer("x", 0.5, {"x": 0.5, "y": 0.5})] * 100
        target: list[Any] = ["x", "x", "x", "y"] * 25
    else:
        answers, target = [Answer(1.0)] * 100, [1.0, 2.0] * 50
    found = by_value(profile, held, answers, target, classes)
    assert found["metric"] == metric
    assert found["columns"].keys() == {"member"}
    kept = found["columns"]["member"]
    assert sum(kept["n"]) == 100
    assert np.dot(kept["n"], kept["mean"]) / 100 == pytest.approx(mean)
