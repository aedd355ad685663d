"""Every recipe answers as its estimator does, on any row, or is native and says why.

The rows are hypothesis's: missing values, unseen words, other spellings, and numbers exactly on,
just below and just above the split points of the compiled graphs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module
from itertools import combinations
from typing import Any

import numpy as np
import onnx
import pytest
import skops.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from timonel.project import recipes
from timonel.project.model import Model
from timonel.project.recipes import Recipe
from timonel.registry.manifest import ServingManifest
from timonel.runtime.compile import compile_estimator, estimator_outputs
from timonel.runtime.explain.explain import Explainer
from timonel.runtime.featuriser import Featuriser
from timonel.runtime.linear import ClusterForm, sigmoid
from timonel.runtime.native import SKOPS_ARTIFACT, NativePredictor, dump
from timonel.runtime.parity import Rows
from timonel.runtime.predictors import Predictor, load_predictor
from timonel.schema.errors import InvalidDeclaration
from timonel.schema.features import Category, Feature, Flag, Number, Text
from timonel.schema.schema import Schema
from timonel.training.assemble import Fitted, assemble
from timonel.training.errors import RecipeFailed
from timonel.training.estimators import FOUR, build
from timonel.training.evaluate import baseline_of
from timonel.training.features import fit_plan, matrix_of
from timonel.wire.answer import Answer

TABULAR: tuple[Feature, ...] = (
    Number("tenure", ge=-3, le=3),
    Number("spend", required=False),
    Category("plan", ["x", "y", "z"], required=False, unseen="accept"),
    Flag("senior", required=False),
)
WORDS = ["roto", "gotera", "agua", "calle", "poste", "luz", "basura", "perro", "ruido", "árbol"]
SMALL = {"n_estimators": 6}
MEMBERS = dict.fromkeys(FOUR, SMALL)
KINDS = ("binary", "multiclass", "regression")

RECIPES: dict[str, tuple[Recipe, tuple[str, ...], str]] = {
    "logistic": (recipes.logistic(), KINDS[:2], "linear"),
    "ridge": (recipes.ridge(), KINDS[2:], "linear"),
    "k-means": (recipes.kmeans(n_clusters=5), KINDS, "clusters"),
    "random forest": (recipes.random_forest(**SMALL), KINDS, "trees"),
    "boosting": (recipes.gradient_boosting(**SMALL), KINDS, "trees"),
    "histogram": (recipes.hist_gradient_boosting(max_iter=6), KINDS, "trees"),
    "histogram, categorical": (
        recipes.hist_gradient_boosting(categorical=True, max_iter=6),
        KINDS,
        "native",
    ),
    "xgboost": (recipes.xgboost(**SMALL), KINDS, "trees"),
    "lightgbm": (recipes.lightgbm(**SMALL, min_child_samples=5), KINDS, "trees"),
    "lightgbm, imputed": (
        Recipe(name="lightgbm", parameters=SMALL | {"min_child_samples": 5}),
        KINDS,
        "trees",
    ),
    "voting": (recipes.voting(members=MEMBERS), KINDS, "trees"),
    "stacking": (recipes.stacking(members=MEMBERS, folds=2), KINDS, "trees"),
    "sigmoid": (recipes.calibrated(recipes.xgboost(**SMALL)), KINDS[:2], "trees"),
    "sigmoid of margins": (
        recipes.calibrated(recipes.gradient_boosting(**SMALL)),
        KINDS[:2],
        "trees",
    ),
    "sigmoid of linear": (recipes.calibrated(recipes.logistic()), KINDS[:2], "trees"),
    "isotonic": (
        recipes.calibrated(recipes.random_forest(**SMALL), method="isotonic"),
        KINDS[:2],
        "native",
    ),
    "text": (recipes.logistic(), KINDS[:2], "linear"),
    "text, k-means": (recipes.kmeans(n_clusters=4), KINDS[:2], "clusters"),
}
CASES = [(name, kind) for name, (_, kinds, _) in RECIPES.items() for kind in kinds]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    for library in ("sklearn.ensemble", "xgboost", "lightgbm"):
        import_module(library)  # what is loaded later is not limited
    with threadpool_limits(1):
        yield


def table(*, text: bool, n: int = 240) -> tuple[list[list[Any]], dict[str, list[Any]]]:
    rng = np.random.default_rng(11)
    rows: list[list[Any]] = [
        [
            float(np.round(rng.uniform(-3, 3), 1)),
            None if rng.random() < 0.15 else float(rng.normal()),
            None if rng.random() < 0.1 else str(rng.choice(["x", "y", "z"])),
            None if rng.random() < 0.1 else bool(rng.random() < 0.5),
        ]
        for _ in range(n)
    ]
    signal = np.array([r[0] + (r[1] or 0.0) + 2 * (r[2] == "x") for r in rows])
    if text:
        rows = [[r[0], " ".join(rng.choice(WORDS, 6))] for r in rows]
        signal = np.array([r[0] + 3 * ("agua" in r[1]) for r in rows])
    noisy = signal + rng.normal(0, 0.5, n)
    return rows, {
        "binary": ["yes" if v > 0.5 else "no" for v in noisy],
        "multiclass": [["low", "mid", "top"][i] for i in np.digitize(noisy, [-0.5, 1.5])],
        "regression": [float(1e5 * v) for v in noisy],
    }


@dataclass(frozen=True)
class Served:
    manifest: ServingManifest
    predictor: Predictor
    estimator: Any
    featuriser: Featuriser
    cuts: list[float]
    explainer: Explainer

    def truth(self, rows: list[list[Any]]) -> Any:
        matrix = matrix_of(self.featuriser, rows)
        return estimator_outputs(
            self.estimator, matrix, classifier=self.manifest.classes is not None
        )

    def said(self, rows: list[list[Any]]) -> Any:
        answers = self.predictor.predict_rows(rows)
        if self.manifest.classes is None:
            return np.array([[answer.prediction] for answer in answers])
        return np.array([list((answer.probabilities or {}).values()) for answer in answers])


@cache
def served(name: str, kind: str) -> Served:
    """What training makes of a recipe, loaded as a server loads it."""
    recipe = RECIPES[name][0]
    features = (Number("tenure"), Text("story")) if "text" in name else TABULAR
    rows, targets = table(text="text" in name)
    model = Model(
        name="m", task=kind, target="t", schema=Schema(*features), source=list, recipe=recipe
    )
    plan = fit_plan(model.schema, rows, recipe, "UTC")
    featuriser = Featuriser.from_plan(plan)
    classes = None if kind == "regression" else sorted(set(targets[kind]))
    y = np.array(targets[kind] if classes is None else [classes.index(t) for t in targets[kind]])
    matrix = matrix_of(featuriser, rows)
    estimator = build(recipe, model, seed=3).fit(matrix, y)
    compiled = compile_estimator(
        estimator,
        plan,
        Rows.sample(model.schema, rows, np.random.default_rng(0), 120),
        classifier=classes is not None,
    )
    fitted = Fitted(
        estimator,
        plan,
        featuriser,
        classes,
        None,
        baseline_of(targets[kind], classes, None),
        [],
        0.0,
    )
    manifest, artifacts, _ = assemble(
        model, compiled, fitted, project="p", timezone="UTC", rules=None
    )
    blobs = {sha256(data).hexdigest(): data for data in artifacts.values()}
    load = NativePredictor.load if manifest.predictor == "native" else load_predictor
    graphs = [data for artifact, data in artifacts.items() if artifact.endswith(".onnx")]
    predictor = load(manifest, blobs.__getitem__)
    return Served(
        manifest,
        predictor,
        estimator,
        featuriser,
        [value for data in graphs for value in _cuts(data)],
        Explainer(manifest, blobs.__getitem__, predictor),
    )


def _cuts(data: bytes) -> list[float]:
    """Thresholds on the two number columns, as a graph holds them."""
    node = onnx.load_from_string(data).graph.node[0]
    given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if "nodes_values" not in given:
        return []
    rows = zip(given["nodes_featureids"], given["nodes_values"], given["nodes_modes"], strict=True)
    return [value for column, value, mode in rows if column < 2 and mode != b"LEAF"]


def beside(cuts: list[float]) -> st.SearchStrategy[float]:
    points = [
        float(np.nextafter(np.float32(cut), np.float32(side))) if side else float(cut)
        for cut in sorted(set(cuts))[:200]
        for side in (-np.inf, 0.0, np.inf)
    ]
    return st.sampled_from([p for p in points if np.isfinite(p)] or [0.0])


def rows_of(case: Served, *, text: bool) -> st.SearchStrategy[list[list[Any]]]:
    number = st.floats(-3, 3) | beside(case.cuts)
    if text:
        words = st.lists(st.sampled_from([*WORDS, "nuevo", "AGUA", ""]), max_size=12)
        story = words.map(" ".join) | st.none()
        return st.lists(st.tuples(number, story).map(list), min_size=1, max_size=12)
    row = st.tuples(
        number,
        number | st.floats(-1e6, 1e6) | st.none(),
        st.sampled_from(["x", "y", "z", "X", "~", ""]) | st.none(),
        st.booleans() | st.none(),
    )
    return st.lists(row.map(list), min_size=1, max_size=12)


def explained(case: Served, row: list[Any], answer: Answer) -> None:
    """Explain an answer: what does not add up to it raises."""
    if case.explainer.method == "sampled" and row[0] > -1:
        return  # each asks the model for hundreds of rows
    found = case.explainer.explain(row, answer)
    names = [feature["name"] for feature in case.manifest.schema]
    assert sorted(one.feature for one in found.contributions) == sorted(names)
    assert all(one.value == row[names.index(one.feature)] for one in found.contributions)
    assert found.base is not None
    amounts = [one.amount for one in found.contributions]
    assert found.total == pytest.approx(found.base + sum(amounts), rel=1e-9, abs=1e-9)
    assert amounts == sorted(amounts, key=abs, reverse=True)
    if found.scale == "log_odds":
        assert sigmoid(found.total or 0.0)[1] == pytest.approx(answer.score, abs=1e-4)
        assert found.of == (case.manifest.classes or [])[-1]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_recipe_answers_as_its_estimator(name: str, kind: str) -> None:
    case = served(name, kind)
    verdict = case.manifest.parity
    assert verdict is not None
    assert verdict["way"] == RECIPES[name][2], verdict
    native = verdict["way"] == "native"
    assert verdict["passed"] is not native
    assert all(refused["why"] for refused in verdict["refused"])

    @settings(
        max_examples=8,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(rows_of(case, text="text" in name))
    def any_rows(rows: list[list[Any]]) -> None:
        truth, said = case.truth(rows), case.said(rows)
        spread = 1e5 if kind == "regression" else 1.0
        assert np.max(np.abs(truth - said) / spread) <= 1e-5
        if kind != "regression":
            right, chosen = truth.argmax(axis=1), said.argmax(axis=1)
            at = np.arange(len(rows))
            assert np.all(np.abs(truth[at, right] - truth[at, chosen]) <= 2e-5)
        alone = case.predictor.predict_row(rows[0])
        assert alone == case.predictor.predict_rows(rows[:1])[0]
        explained(case, rows[0], alone)

    any_rows()


@pytest.mark.parametrize("kind", KINDS)
def test_clusters_have_their_borders_where_scikit_learn_has_them(kind: str) -> None:
    case = served("k-means", kind)
    centers = case.estimator.clusters.cluster_centers_
    form = ClusterForm(centers, case.estimator.values)
    beside = np.array(
        [
            (one + other) / 2 + step * (other - one)
            for one, other in combinations(centers, 2)
            for step in (-1e-7, 1e-7)
        ]
    )
    found = form.outputs(beside)
    truth = estimator_outputs(case.estimator, beside, classifier=kind != "regression")
    assert np.array_equal(found, truth)
    assert len(np.unique(found, axis=0)) > 1
    beyond = ClusterForm(1e10 * centers, case.estimator.values)
    assert np.isnan(beyond.row(case.featuriser, [1.0, 1e300, None, None])).all()


def test_a_row_exactly_between_two_clusters_is_the_firsts_as_in_scikit_learn() -> None:
    model = Model(name="m", task="binary", target="t", schema=Schema(*TABULAR), source=list)
    estimator = build(recipes.kmeans(n_clusters=2), model, 0)
    estimator.fit(np.array([[-1.0], [1.0]] * 5), np.array([0, 1] * 5))
    form = ClusterForm(estimator.clusters.cluster_centers_, estimator.values)
    rows = np.array([[0.0], [-1e-300], [1e-12], [-1e-12]])
    assert np.array_equal(form.outputs(rows), estimator.predict_proba(rows))
    assert (form.outputs(rows) > 0).all()  # no class is impossible
    data = dump(estimator, model="m", allow_pickle=False)[SKOPS_ARTIFACT]
    again = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    assert np.array_equal(again.predict_proba(rows), estimator.predict_proba(rows))


def test_what_a_recipe_cannot_be_made_of_is_refused() -> None:
    with pytest.raises(InvalidDeclaration, match=r"recipes\.xgboost"):
        recipes.calibrated(recipes.automatic())
    with pytest.raises(InvalidDeclaration, match="kmeans"):
        recipes.calibrated(recipes.kmeans())
    model = Model(name="m", task="regression", target="t", schema=Schema(*TABULAR), source=list)
    with pytest.raises(RecipeFailed, match="no probabilities"):
        build(recipes.calibrated(recipes.xgboost()), model, 0)
    with pytest.raises(RecipeFailed, match="catboost"):
        build(recipes.voting(members={"catboost": {}}), model, 0)
