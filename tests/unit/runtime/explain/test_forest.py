"""Contributions of trees are those of the libraries, and of the game played out by hand."""

from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor, VotingRegressor
from sklearn.tree import DecisionTreeRegressor
from xgboost import DMatrix, XGBClassifier, XGBRegressor

from timonel.runtime.ensembles import read_ensemble
from timonel.runtime.explain.forest import Forest, pack
from timonel.runtime.explain.sampled import sample
from timonel.runtime.trees import Ensemble, Tree

RNG = np.random.default_rng(8)
X = RNG.normal(size=(300, 5)).astype(np.float32).astype(np.float64)
HOLED = np.where(RNG.random(X.shape) < 0.15, np.nan, X)
SIGNAL = X[:, 0] + X[:, 1] * X[:, 2] + RNG.normal(0, 0.3, 300)
SMALL: dict[str, Any] = {"n_estimators": 15, "n_jobs": 1}


def forest_of(*members: Any, weights: tuple[float, ...] = (1.0,)) -> Forest:
    packed = pack([(w, read_ensemble(one)) for w, one in zip(weights, members, strict=True)])
    assert packed is not None
    return Forest(packed)


def contributions(forest: Forest, rows: Any, output: int = 0) -> Any:
    """As the libraries write them: contributions, then the base, a row."""
    found = [forest.explain(row, output) for row in rows]
    return np.array([[*amounts, base] for base, amounts in found])


@pytest.mark.parametrize("regression", [False, True])
def test_xgboost_says_the_same(regression: bool) -> None:
    y = SIGNAL if regression else (SIGNAL > 0).astype(int)
    model = (XGBRegressor if regression else XGBClassifier)(max_depth=4, **SMALL).fit(HOLED, y)
    expected = model.get_booster().predict(DMatrix(HOLED[:40]), pred_contribs=True)
    np.testing.assert_allclose(contributions(forest_of(model), HOLED[:40]), expected, atol=2e-5)


def test_lightgbm_says_the_same_of_every_class() -> None:
    model = LGBMClassifier(verbose=-1, **SMALL).fit(HOLED, np.digitize(SIGNAL, [-0.5, 0.5]))
    expected = np.asarray(model.predict(HOLED[:40], pred_contrib=True)).reshape(40, 3, 6)
    forest = forest_of(model)
    for output in range(3):
        found = contributions(forest, HOLED[:40], output)
        np.testing.assert_allclose(found, expected[:, output], atol=1e-10)


def shapley_by_hand(tree: Tree, row: Any, n: int) -> list[float]:
    """Play the game of every coalition; Shapley's formula over all of them."""

    def pays(at: int, known: frozenset[int]) -> float:
        column = tree.feature[at]
        if column < 0:
            return sum(weight for _, weight in tree.leaves[at])
        left, right = tree.left[at], tree.right[at]
        if column in known:
            return pays(left if row[column] <= tree.threshold[at] else right, known)
        share = tree.cover[left] / tree.cover[at]
        return share * pays(left, known) + (1.0 - share) * pays(right, known)

    found = []
    for feature in range(n):
        others = [i for i in range(n) if i != feature]
        total = 0.0
        for size in range(n):
            weight = factorial(size) * factorial(n - size - 1) / factorial(n)
            for chosen in combinations(others, size):
                known = frozenset(chosen)
                total += weight * (pays(0, known | {feature}) - pays(0, known))
        found.append(total)
    return found


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5))
def test_a_tree_is_explained_as_the_game_says(seed: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 6, (60, 4)).astype(np.float64)  # few values: features come again on a path
    fitted = DecisionTreeRegressor(max_depth=depth, random_state=0).fit(x, rng.normal(size=60))
    ensemble = read_ensemble(fitted)
    forest = forest_of(fitted)
    base, amounts = forest.explain(x[0], 0)
    assert amounts.tolist() == pytest.approx(shapley_by_hand(ensemble.trees[0], x[0], 4), abs=1e-10)
    assert base + amounts.sum() == pytest.approx(fitted.predict(x[:1])[0], abs=1e-10)


def test_forests_and_votes_of_numbers_add_up_exactly() -> None:
    classes = RandomForestClassifier(random_state=0, **SMALL).fit(X, SIGNAL > 0)
    found = contributions(forest_of(classes), X[:20], 1)
    np.testing.assert_allclose(found.sum(axis=1), classes.predict_proba(X[:20])[:, 1], atol=1e-12)
    members = [RandomForestRegressor(random_state=0, **SMALL), LGBMRegressor(verbose=-1, **SMALL)]
    vote = VotingRegressor([("a", members[0]), ("b", members[1])], weights=[1, 3]).fit(X, SIGNAL)
    found = contributions(forest_of(*vote.estimators_, weights=(0.25, 0.75)), X[:20])
    np.testing.assert_allclose(found.sum(axis=1), vote.predict(X[:20]), atol=1e-9)


def test_what_does_not_add_up_is_not_packed() -> None:
    model = XGBClassifier(**SMALL).fit(X, SIGNAL > 0)
    both = [(0.5, read_ensemble(model)), (0.5, read_ensemble(model))]
    assert pack(both) is None  # a mean of probabilities is no sum of log-odds
    bare = Tree([-1], [0.0], [0], [0], [False], {0: [(0, 1.0)]})
    assert pack([(1.0, Ensemble([bare], [0.0], "identity"))]) is None  # no covers


def test_a_tree_that_is_a_leaf_says_its_value() -> None:
    stump = Tree([-1], [0.0], [0], [0], [False], {0: [(0, 2.5)]}, [10.0])
    packed = pack([(1.0, Ensemble([stump], [1.0], "identity"))])
    assert packed is not None
    base, amounts = Forest(packed).explain(np.zeros(3), 0)
    assert (base, amounts.tolist()) == (3.5, [0.0, 0.0, 0.0])
    assert Forest(packed).margins(np.zeros(3)).tolist() == [3.5]


def test_a_single_tree_says_its_way() -> None:
    fitted = DecisionTreeRegressor(max_depth=2, random_state=0).fit(X[:, :1], X[:, 0] > 0.5)
    ((column, threshold, left, strict),) = forest_of(fitted).path(np.array([-1.0]))
    assert (column, left, strict) == (0, True, False)
    assert 0.3 < threshold < 0.7


def test_sampling_finds_what_an_additive_function_adds_without_error() -> None:
    background: list[list[float]] = [[0.0, 1.0, 5.0], [2.0, 3.0, 7.0]]

    def scores(rows: Any) -> Any:
        return np.array([10 * a + b - 2 * c for a, b, c in rows])

    found = sample([4.0, 4.0, 4.0], background, scores)
    assert found.base == pytest.approx(np.mean(scores(background)))
    assert found.amounts.tolist() == pytest.approx([30.0, 2.0, 4.0])


def test_sampling_is_within_its_error_of_the_whole_game() -> None:
    rng = np.random.default_rng(0)
    background: list[list[float]] = rng.normal(size=(64, 3)).tolist()
    row = [1.0, 2.0, -1.0]

    def scores(rows: Any) -> Any:
        return np.array([a * b + abs(c) for a, b, c in rows])

    def value(known: set[int]) -> float:
        mixed = [[row[i] if i in known else usual[i] for i in range(3)] for usual in background]
        return float(np.mean(scores(mixed)))

    exact = []
    for feature in range(3):
        others = sorted({0, 1, 2} - {feature})
        subsets = [set(c) for size in range(3) for c in combinations(others, size)]
        exact.append(
            sum(
                factorial(len(s)) * factorial(2 - len(s)) / 6 * (value(s | {feature}) - value(s))
                for s in subsets
            )
        )
    found = sample(row, background, scores, seed=1)
    assert found.base + found.amounts.sum() == pytest.approx(scores([row])[0])
    assert np.all(np.abs(found.amounts - exact) <= 4 * found.errors + 1e-9)
