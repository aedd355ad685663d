"""Two samples told apart, or not, by all columns together."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from timonel.stats.drift import Profile, compare
from timonel.stats.multivariate.domain import auc_of, permutation_p, tell_apart
from timonel.stats.profiles.cells import Kind

KINDS: dict[str, Kind] = {
    "height": "number",
    "weight": "number",
    "plan": "category",
    "note": "text",
    "since": "timestamp",
}


def rows(rng: np.random.Generator, n: int, correlation: float = 0.8) -> dict[str, list[Any]]:
    height = rng.normal(size=n)
    weight = correlation * height + np.sqrt(1 - correlation**2) * rng.normal(size=n)
    return {
        "height": [None if k % 50 == 0 else x for k, x in enumerate(height.tolist())],
        "weight": weight.tolist(),
        "plan": rng.choice(["a", "b", "c"], n).tolist(),
        "note": [f"luz {'agua' * (k % 2)}" for k in rng.integers(4, size=n)],
        "since": rng.integers(10**15, size=n).tolist(),
    }


def test_auc_is_that_of_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(1)
    scores, side = rng.integers(0, 6, 300).astype(float), rng.random(300) < 0.3
    assert auc_of(scores, side) == pytest.approx(roc_auc_score(side, scores))


def test_the_permutation_test_agrees_with_mann_whitney_under_heavy_ties() -> None:
    rng = np.random.default_rng(2)
    side = np.arange(400) >= 250
    scores = rng.integers(0, 4, 400) + (side & (rng.random(400) < 0.17)).astype(float)
    expected = mannwhitneyu(scores[side], scores[~side], alternative="greater").pvalue
    assert 0.001 < expected < 0.2
    found = permutation_p(scores, side, np.random.default_rng(3), 19_999)
    assert found == pytest.approx(expected, rel=0.15)
    assert permutation_p(np.zeros(400), side, np.random.default_rng(3)) == 1.0
    assert permutation_p(side.astype(float), side, np.random.default_rng(3), 99) == 0.01


def test_columns_that_move_together_are_named_where_no_single_one_did() -> None:
    rng = np.random.default_rng(4)
    before, after = rows(rng, 2_000), rows(rng, 1_000, correlation=-0.2)
    alone = compare(Profile.fit(before), {k: v for k, v in after.items() if k != "since"})
    assert not {"height", "weight", "plan"} & set(alone.drifted_columns)
    found = tell_apart(before, after, KINDS, seed=0)
    assert found.found
    assert found.p_value < 0.01
    assert found.lower < found.auc < found.upper
    assert {one.column for one in found.columns[:2]} == {"height", "weight"}
    assert found.left_out == ("since",)
    assert tell_apart(before, after, KINDS, seed=0) == found
    document = found.document()
    assert document["columns"][0].keys() == {"column", "auc_drop"}


def test_texts_of_other_words_are_told_apart_by_them() -> None:
    rng = np.random.default_rng(5)
    before, after = rows(rng, 800), rows(rng, 800)
    after["note"] = [
        f"{text} calle" if k % 3 == 0 else text for k, text in enumerate(after["note"])
    ]
    found = tell_apart(before, after, KINDS, seed=1)
    assert found.found
    assert found.columns[0].column == "note"


def test_alike_rows_are_not_told_apart_and_few_rows_are_refused() -> None:
    rng = np.random.default_rng(6)
    found = tell_apart(rows(rng, 600), rows(rng, 400), KINDS, seed=2)
    assert not found.found
    assert found.p_value > 0.05
    with pytest.raises(ValueError, match="199 rows, at least 200"):
        tell_apart(rows(rng, 600), rows(rng, 199), KINDS, seed=2)
    with pytest.raises(ValueError, match="0 and 0 rows"):
        tell_apart(rows(rng, 600), rows(rng, 400), {"since": "timestamp"}, seed=2)


@pytest.mark.slow
def test_p_values_are_at_most_as_often_small_as_they_say() -> None:
    rng = np.random.default_rng(7)
    small = sum(
        tell_apart(rows(rng, 300), rows(rng, 250), KINDS, seed=k).p_value < 0.1 for k in range(100)
    )
    assert small <= 17  # 10 expected; 18 or more in 1 % of runs
