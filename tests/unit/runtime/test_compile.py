"""Every recipe's estimator compiles, says what the estimator says, and loads back from bytes."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from timonel.registry.manifest import ArtifactRef, SelfTest, ServingManifest
from timonel.runtime.boosters import ARTIFACT, BoosterScores, booster_of
from timonel.runtime.compile import Compiled, compile_estimator
from timonel.runtime.errors import (
    ArtifactMismatch,
    InvalidOutput,
    NotInThisProcess,
    SelfTestFailed,
    UnreadablePlan,
)
from timonel.runtime.featuriser import Featuriser, Value
from timonel.runtime.outputs import AnswerMaker
from timonel.runtime.parity import Rows
from timonel.runtime.predictors import load_predictor, self_test
from timonel.schema.features import Category, Flag, Number
from timonel.schema.schema import Schema

SCHEMA = Schema(
    Number("a", ge=-3, le=3),
    Number("b", required=False),
    Category("c", ["x", "y", "z"]),
    Flag("d", required=False),
)


def table(n: int = 400) -> list[list[Value]]:
    rng = np.random.default_rng(4)
    return [
        [
            float(np.round(rng.uniform(-3, 3), 2)),
            None if rng.random() < 0.1 else float(rng.normal()),
            str(rng.choice(["x", "y", "z"])),
            None if rng.random() < 0.1 else bool(rng.random() < 0.5),
        ]
        for _ in range(n)
    ]


TABLE = table()


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def plan(*, missing: bool) -> dict[str, Any]:
    fill = None if missing else 0.25
    return {
        "format": 1,
        "timezone": "UTC",
        "n_inputs": 4,
        "precision": "float32",
        "steps": [
            {"kind": "number", "input": 0, "fill": fill},
            {"kind": "number", "input": 1, "fill": fill},
            {"kind": "onehot", "input": 2, "values": ["x", "y", "z"], "fold": True,
             "missing": False, "unseen": True},
            {"kind": "flag", "input": 3, "fill": None if missing else 1.0},
        ],
    }  # fmt: skip


def targets() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(9)
    signal = np.array(
        [float(row[0] or 0) + float(row[1] or 0) * 0.5 + (row[2] == "x") for row in TABLE]
    )
    noisy = signal + rng.normal(0, 0.5, len(signal))
    return {
        "binary": (noisy > 0.3).astype(int),
        "multiclass": np.digitize(noisy, [-1.0, 0.0, 1.0]),
        "regression": 1e6 * noisy,  # pesos: relative, not absolute, differences count
    }


TARGETS = targets()


def xgboost(kind: str) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    return (XGBRegressor if kind == "regression" else XGBClassifier)(n_estimators=30, n_jobs=1)


def lightgbm(kind: str) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    make = LGBMRegressor if kind == "regression" else LGBMClassifier
    return make(n_estimators=30, n_jobs=1, verbose=-1, min_child_samples=5)


def sklearn_ensemble(name: str, **parameters: Any) -> Callable[[str], Any]:
    def make(kind: str) -> Any:
        from sklearn import ensemble

        suffix = "Regressor" if kind == "regression" else "Classifier"
        return getattr(ensemble, name + suffix)(random_state=0, **parameters)

    return make


def linear(kind: str) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    return Ridge() if kind == "regression" else LogisticRegression(max_iter=500)


def voting(kind: str) -> Any:
    from sklearn.ensemble import VotingClassifier, VotingRegressor

    members = [
        ("x", xgboost(kind)),
        ("l", lightgbm(kind)),
        ("r", sklearn_ensemble("RandomForest", n_estimators=10)(kind)),
        ("g", sklearn_ensemble("GradientBoosting", n_estimators=10)(kind)),
    ]
    if kind == "regression":
        return VotingRegressor(members, weights=[3, 3, 1, 2])
    return VotingClassifier(members, voting="soft", weights=[3, 3, 1, 2])


ESTIMATORS: dict[str, tuple[Callable[[str], Any], bool, str]] = {
    "xgboost": (xgboost, True, "trees"),
    "lightgbm": (lightgbm, True, "trees"),
    "random_forest": (sklearn_ensemble("RandomForest", n_estimators=20), False, "trees"),
    "extra_trees": (sklearn_ensemble("ExtraTrees", n_estimators=20), False, "trees"),
    "gradient_boosting": (sklearn_ensemble("GradientBoosting", n_estimators=20), False, "trees"),
    "hist": (sklearn_ensemble("HistGradientBoosting", max_iter=20), True, "trees"),
    "linear": (linear, False, "linear"),
    "voting": (voting, False, "trees"),
}


def compiled(estimator: Any, *, kind: str, missing: bool = False) -> Compiled:
    of = plan(missing=missing)
    rows = Rows.sample(SCHEMA, TABLE, np.random.default_rng(2), 150)
    return compile_estimator(estimator, of, rows, classifier=kind != "regression")


def fitted(name: str, kind: str) -> Any:
    make, missing, _ = ESTIMATORS[name]
    return make(kind).fit(Featuriser.from_plan(plan(missing=missing)).rows(TABLE), TARGETS[kind])


def manifest_of(form: Compiled, kind: str, **changes: Any) -> tuple[ServingManifest, Any]:
    blobs = {sha256(data).hexdigest(): data for data in form.artifacts.values()}
    manifest = ServingManifest(
        project="p",
        model="m",
        version="1.0.0",
        task=kind,
        target="t",
        schema=SCHEMA.to_json(),
        timezone="UTC",
        classes=None if kind == "regression" else sorted({f"c{i}" for i in TARGETS[kind]}),
        predictor=form.kind,
        plan=form.plan,
        artifacts={
            name: ArtifactRef(sha256(data).hexdigest(), len(data))
            for name, data in form.artifacts.items()
        },
        **changes,
    )
    return manifest, blobs.__getitem__


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_recipe_compiles_and_a_row_alone_is_a_row_among_many(name: str, kind: str) -> None:
    estimator = fitted(name, kind)
    form = compiled(estimator, kind=kind, missing=ESTIMATORS[name][1])
    assert form.verdict["way"] == ESTIMATORS[name][2], form.verdict
    assert form.verdict["passed"]
    assert form.verdict["max_difference"] <= 1e-5
    manifest, artifact = manifest_of(form, kind)
    predictor = load_predictor(manifest, artifact)
    rows = TABLE[:60]
    among = predictor.predict_rows(rows)
    assert [predictor.predict_row(row) for row in rows] == among
    featuriser = Featuriser.from_plan(plan(missing=ESTIMATORS[name][1]))
    truth = estimator.predict(featuriser.rows(rows))
    if kind == "regression":
        assert [a.prediction for a in among] == pytest.approx(truth.tolist(), rel=1e-5)
    else:
        assert [a.prediction for a in among] == [f"c{label}" for label in truth]
        for answer in among:
            assert answer.probabilities is not None
            assert sum(answer.probabilities.values()) == pytest.approx(1.0, abs=1e-5)
            shown = "c1" if kind == "binary" else answer.prediction
            assert answer.score == answer.probabilities[str(shown)]


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
@pytest.mark.parametrize("objective", ["poisson", "gamma", "tweedie"])
def test_counts_and_amounts_compile_through_their_exponential(library: str, objective: str) -> None:
    counts = np.maximum(1.0, np.round(3 + TARGETS["regression"] / 1e6))
    if library == "xgboost":
        name = f"{'count' if objective == 'poisson' else 'reg'}:{objective}"
        estimator = xgboost("regression").set_params(objective=name)
    else:
        estimator = lightgbm("regression").set_params(objective=objective)
    estimator.fit(Featuriser.from_plan(plan(missing=True)).rows(TABLE), counts)
    form = compiled(estimator, kind="regression", missing=True)
    assert form.verdict["way"] == "trees", form.verdict


def test_options_without_a_compiled_form_are_native() -> None:
    from xgboost import XGBClassifier

    estimator = XGBClassifier(n_estimators=5, booster="dart", n_jobs=1)
    estimator.fit(Featuriser.from_plan(plan(missing=True)).rows(TABLE), TARGETS["binary"])
    form = compiled(estimator, kind="binary", missing=True)
    assert form.kind == "native"
    assert "dart" in form.verdict["refused"][1]["why"]


def test_lightgbm_reads_numbers_beside_zero_as_zero() -> None:
    from lightgbm import LGBMClassifier

    from timonel.runtime.ensembles import read_ensemble
    from timonel.runtime.graphs import session
    from timonel.runtime.trees import graph

    x = np.repeat([-1.0, 0.0, 1.0], 40)[:, None]
    target = (x[:, 0] < 0).astype(int)  # split between -1 and 0: LightGBM puts it at -1e-35
    model = LGBMClassifier(n_estimators=5, min_child_samples=5, n_jobs=1, verbose=-1)
    ensemble = read_ensemble(model.fit(x, target))
    run = session(graph(ensemble, 1)).run
    near = np.float32(1e-35)
    up, down = np.float32(np.inf), np.float32(-np.inf)
    points = [-near, np.nextafter(-near, down), np.nextafter(-near, up), near, 0.0, -0.0, 1e-40]
    points += [np.nextafter(near, up), np.nextafter(near, down), -1e-40, -1.0, 1.0]
    matrix = np.array(points, dtype=np.float32)[:, None]
    margins = run(["y"], {"x": matrix})[0][:, 0]
    expected = np.asarray(model.predict(matrix.astype(np.float64), raw_score=True))
    assert margins.tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_what_no_way_can_compile_is_native_and_says_why() -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(5, random_state=0)
    estimator = CalibratedClassifierCV(forest, method="isotonic", cv=2)
    estimator.fit(Featuriser.from_plan(plan(missing=False)).rows(TABLE), TARGETS["binary"])
    form = compiled(estimator, kind="binary")
    assert form.kind in {"native", "onnx"}
    assert [entry["way"] for entry in form.verdict["refused"]][:2] == ["linear", "trees"]
    assert all(entry["why"] for entry in form.verdict["refused"])


def test_parity_refuses_a_graph_of_another_estimator() -> None:
    from timonel.runtime.parity import judge

    right, wrong = fitted("xgboost", "binary"), xgboost("binary").set_params(max_depth=2)
    featuriser = Featuriser.from_plan(plan(missing=True))
    wrong.fit(featuriser.rows(TABLE), TARGETS["binary"])
    form = compiled(wrong, kind="binary", missing=True)
    rows = Rows.sample(SCHEMA, TABLE, np.random.default_rng(2), 50)
    verdict = judge(
        featuriser,
        form.scores,
        rows,
        lambda found: right.predict_proba(featuriser.rows(found)),
        right.predict_proba,
        classifier=True,
    )
    assert not verdict.passed
    assert "largest difference" in str(verdict.why)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_a_booster_answers_as_the_compiled_form_does(kind: str) -> None:
    estimator = fitted("xgboost", kind)
    data = booster_of(estimator, fewest_trees=1)
    assert data is not None
    form = compiled(estimator, kind=kind, missing=True)
    featuriser = Featuriser.from_plan(form.plan)
    booster = BoosterScores(data, form.plan["members"][0]["link"])
    scores: Any = form.scores
    rows = Rows.sample(SCHEMA, TABLE, np.random.default_rng(3), 200)
    table = rows.clean + rows.dirty
    said, expected = booster.rows(featuriser, table), scores.rows(featuriser, table)
    np.testing.assert_allclose(said, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
    assert (form.batch, ARTIFACT in form.artifacts) == (None, False)  # too few trees


def test_a_booster_is_carried_where_there_is_something_to_gain() -> None:
    estimator = xgboost("binary").set_params(n_estimators=400, max_depth=2)
    estimator.fit(Featuriser.from_plan(plan(missing=True)).rows(TABLE), TARGETS["binary"])
    form = compiled(estimator, kind="binary", missing=True)
    assert form.batch is not None
    assert form.batch.difference <= 1e-5
    assert form.artifacts[form.batch.artifact] == booster_of(estimator)
    form = compiled(fitted("lightgbm", "binary"), kind="binary", missing=True)
    assert (form.batch, ARTIFACT in form.artifacts) == (None, False)


def test_dirty_rows_are_dirty() -> None:
    rows = Rows.sample(SCHEMA, TABLE, np.random.default_rng(0), 400)
    cells = [value for row in rows.dirty for value in row]
    missing = sum(value is None for value in cells) / len(cells)
    unseen = sum(row[2] == "~unseen~" for row in rows.dirty) / len(rows.dirty)
    assert 0.15 <= missing <= 0.25
    assert 0.05 <= unseen <= 0.11
    assert any(row[0] in {-3.0, 3.0} for row in rows.dirty)


@pytest.fixture(scope="module")
def served() -> tuple[ServingManifest, Any]:
    return manifest_of(compiled(fitted("xgboost", "binary"), kind="binary", missing=True), "binary")


def test_an_altered_artifact_is_refused(served: tuple[ServingManifest, Any]) -> None:
    manifest, artifact = served
    with pytest.raises(ArtifactMismatch, match=r"member-0\.onnx"):
        load_predictor(manifest, lambda digest: artifact(digest) + b" ")


def test_unreadable_manifests_are_refused(served: tuple[ServingManifest, Any]) -> None:
    import msgspec

    manifest, artifact = served
    replace = msgspec.structs.replace
    with pytest.raises(NotInThisProcess):
        load_predictor(replace(manifest, predictor="native"), artifact)
    with pytest.raises(UnreadablePlan, match="linear, clusters, onnx or native"):
        load_predictor(replace(manifest, predictor="magic"), artifact)
    with pytest.raises(UnreadablePlan, match="format 99"):
        load_predictor(replace(manifest, plan={**(manifest.plan or {}), "format": 99}), artifact)
    with pytest.raises(UnreadablePlan, match="none"):
        load_predictor(replace(manifest, plan=None), artifact)


def test_self_test_passes_and_fails(served: tuple[ServingManifest, Any]) -> None:
    import msgspec

    manifest, artifact = served
    predictor = load_predictor(manifest, artifact)
    answers = predictor.predict_rows(TABLE[:8])
    stored = SelfTest(TABLE[:8], [a.prediction for a in answers], [a.score for a in answers])
    self_test(msgspec.structs.replace(manifest, self_test=stored), predictor)
    off = msgspec.structs.replace(stored, scores=[*stored.scores[:7], 0.123])
    with pytest.raises(SelfTestFailed, match="row 7"):
        self_test(msgspec.structs.replace(manifest, self_test=off), predictor)


@pytest.mark.parametrize(
    ("task", "outputs"),
    [
        ("binary", [float("nan"), 0.5]),
        ("binary", [0.4, 0.4]),
        ("binary", [-0.2, 1.2]),
        ("binary", [1.0]),
        ("regression", [float("inf")]),
        ("regression", [float("nan")]),
    ],
)
def test_outputs_that_are_no_answer_are_refused(task: str, outputs: list[float]) -> None:
    maker = AnswerMaker("m", None if task == "regression" else ["no", "yes"])
    with pytest.raises(InvalidOutput, match="outputs"):
        maker(outputs)


_PROBABILITY = st.floats(0, 1) | st.sampled_from([0.5, 0.49999997, 0.50000003, -5e-5, 1.00005])


@given(
    first=st.lists(_PROBABILITY, min_size=1, max_size=20),
    positive=st.sampled_from([None, "no", "yes"]),
    spoilt=st.sampled_from([None, [0.4, 0.4], [float("nan"), 1.0], [1.0]]),
)
def test_answers_together_are_those_of_each_alone(
    first: list[float], positive: str | None, spoilt: list[float] | None
) -> None:
    maker = AnswerMaker("m", ["no", "yes"], positive)
    table = [[probability, 1.0 - probability] for probability in first]
    assert repr(maker.many(table)) == repr(list(map(maker, table)))  # to the sign of a zero
    if spoilt is not None:
        with pytest.raises(InvalidOutput, match="outputs"):
            maker.many([*table, spoilt])


def test_a_tie_falls_to_the_first_class_in_both_arithmetics() -> None:
    from timonel.runtime.outputs import winner

    assert winner([0.5, 0.5]) == 0
    assert winner([0.49999997, 0.50000003]) == 0  # the same tie, summed in float32
    assert winner([0.3, 0.4, 0.3]) == 1
