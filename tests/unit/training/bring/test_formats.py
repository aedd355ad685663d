"""Every form that a fitted model may come in, served and held against what it was saved from."""

import json
import pickle
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import skops.io
import xgboost
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

pd: Any = pytest.importorskip("pandas")
joblib: Any = pytest.importorskip("joblib")

from tests.conftest import DATA  # noqa: E402
from tests.unit.training.bring.fitted import (  # noqa: E402
    FEATURES,
    Served,
    churn_model,
    churn_table,
    converted_file,
    dirty_rows,
    fitted,
    frame_of_rows,
    probabilities,
    served,
)

from timonel.errors import TimonelError  # noqa: E402
from timonel.project.model import Model  # noqa: E402
from timonel.schema.features import Category, Number, Text  # noqa: E402
from timonel.schema.schema import Schema  # noqa: E402
from timonel.training.bring.formats import flavours_of, look_at  # noqa: E402

TABLE = churn_table()
NUMBERS = churn_model(schema=Schema(*(Number(n, required=False) for n in ("a", "b", "c d"))))
RNG = np.random.default_rng(11)
X = pd.DataFrame(RNG.normal(size=(400, 3)), columns=["a", "b", "c d"])
X.loc[::9, "b"] = np.nan
Y2 = (X["a"] + X["c d"] > 0).astype(int)
Y3 = np.digitize(X["a"], [-0.5, 0.5])
ROWS = X.astype(object).where(X.notna(), None).to_numpy().tolist()
QUICK: dict[str, Any] = {"n_estimators": 8, "random_state": 0}


def same(found: Served, truth: Any, rows: Any = ROWS) -> None:
    np.testing.assert_allclose(probabilities(found.predictor, rows), truth, atol=1e-5)


@pytest.mark.parametrize("ending", ["json", "ubj"])
def test_xgboost_from_the_wrapper_and_from_the_booster(ending: str, tmp_path: Path) -> None:
    wrapper = xgboost.XGBClassifier(**QUICK).fit(X, Y3)
    file = tmp_path / f"model.{ending}"
    wrapper.save_model(file)
    model = churn_model(task="multiclass", schema=NUMBERS.schema)
    found = converted_file(model, file, tmp_path, ROWS)
    assert (found.kind, found.manifest.classes) == ("onnx", [0, 1, 2])
    same(found, wrapper.predict_proba(X))
    names = ["low", "middle", "high"]
    data = xgboost.DMatrix(X.to_numpy(), Y3)
    booster = xgboost.train({"objective": "multi:softmax", "num_class": 3, "seed": 0}, data, 8)
    booster.save_model(file)
    found = converted_file(model, file, tmp_path, ROWS, classes=names)
    booster.set_param({"objective": "multi:softprob"})
    same(found, booster.predict(data))
    assert found.predictor.predict_row(ROWS[0]).prediction in names


def test_lightgbm_text_knows_its_names_with_their_spaces(tmp_path: Path) -> None:
    wrapper = lightgbm.LGBMClassifier(**QUICK, verbose=-1).fit(X.rename(columns={"c d": "c_d"}), Y2)
    file = tmp_path / "model.txt"
    wrapper.booster_.save_model(file)
    found = converted_file(NUMBERS, file, tmp_path, ROWS)
    assert found.kind == "onnx"
    same(found, wrapper.predict_proba(X.rename(columns={"c d": "c_d"})))


@pytest.mark.parametrize("library", ["lightgbm", "histogram"])
def test_values_on_either_side_of_a_float64_split(library: str, tmp_path: Path) -> None:
    """Prices of one decimal: a split lies in their middle, where float32 would round across."""
    prices = np.round(np.random.default_rng(2).integers(1, 400, 600) / 10, 1)[:, None]
    y = (np.sin(prices[:, 0] * 3) > 0).astype(int)
    if library == "lightgbm":
        estimator: Any = lightgbm.LGBMClassifier(n_estimators=30, min_child_samples=2, verbose=-1)
    else:
        estimator = HistGradientBoostingClassifier(max_iter=30, min_samples_leaf=2)
    estimator.fit(prices, y)
    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps(estimator))
    between = (prices[:, 0] + 0.05).tolist()
    rows = [[value] for value in (*prices[:, 0].tolist(), *between, *np.nextafter(between, 99))]
    model = churn_model(schema=Schema(Number("price")))
    found = converted_file(model, file, tmp_path, rows)
    assert found.kind == "onnx", found.why
    same(found, estimator.predict_proba(np.array(rows)), rows)


def test_skops_pickle_and_joblib_hold_whole_pipelines(tmp_path: Path) -> None:
    pipeline = fitted(RandomForestClassifier(**QUICK), TABLE)
    rows = dirty_rows(churn_model())
    truth = pipeline.predict_proba(frame_of_rows([f.name for f in FEATURES], rows))
    skops.io.dump(pipeline, tmp_path / "model.skops")
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(pipeline))
    joblib.dump(pipeline, tmp_path / "model.joblib", compress=3)
    for name, trusted in (("model.skops", False), ("model.pkl", True), ("model.joblib", True)):
        found = converted_file(churn_model(), tmp_path / name, tmp_path, rows, allow_pickle=trusted)
        assert found.kind == "onnx"
        same(found, truth, rows)


def test_onnx_of_one_matrix_without_its_library(tmp_path: Path) -> None:
    from skl2onnx import to_onnx

    clean = X.fillna(0).to_numpy(dtype=np.float32)
    forest = RandomForestClassifier(**QUICK).fit(clean, np.where(Y2, "yes", "no"))
    file = tmp_path / "model.onnx"
    file.write_bytes(to_onnx(forest, clean[:1]).SerializeToString())  # with its ZipMap
    found = converted_file(NUMBERS, file, tmp_path, clean.tolist())
    assert (found.kind, found.manifest.classes) == ("onnx", ["no", "yes"])
    same(found, forest.predict_proba(clean), clean.tolist())
    ridge = Ridge().fit(clean, clean[:, 0] * 3)
    file.write_bytes(to_onnx(ridge, clean[:1].astype(np.float64)).SerializeToString())
    regression = churn_model(task="regression", schema=NUMBERS.schema)
    answered = converted_file(regression, file, tmp_path, clean.tolist()).predictor
    said: Any = [answer.prediction for answer in answered.predict_rows(clean.tolist())]
    np.testing.assert_allclose(said, ridge.predict(clean), rtol=1e-5, atol=1e-5)


def test_onnx_of_columns_with_words(tmp_path: Path) -> None:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    frame = TABLE[["tenure", "contract"]].fillna({"tenure": 3.0})
    from sklearn.compose import ColumnTransformer

    prepare = ColumnTransformer(
        [
            ("n", SimpleImputer(), ["tenure"]),
            ("w", OneHotEncoder(handle_unknown="ignore"), ["contract"]),
        ]
    )
    pipeline = make_pipeline(prepare, LogisticRegression()).fit(frame, TABLE["churn"])
    graph = convert_sklearn(
        pipeline,
        initial_types=[
            ("tenure", FloatTensorType([None, 1])),
            ("contract", StringTensorType([None, 1])),
        ],
    )
    file = tmp_path / "model.onnx"
    file.write_bytes(graph.SerializeToString())
    model = churn_model(schema=Schema(*FEATURES[:1], *FEATURES[2:3]))
    rows = [*frame.to_numpy().tolist(), [3.0, "~unseen~"]]
    found = converted_file(model, file, tmp_path, rows)
    same(found, pipeline.predict_proba(frame_of_rows(frame.columns, rows)), rows)


def test_an_mlflow_folder_is_read_without_mlflow(tmp_path: Path) -> None:
    pipeline = fitted(LogisticRegression(max_iter=5000), TABLE)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(pickle.dumps(pipeline))
    (folder / "MLmodel").write_text(
        "artifact_path: model\nflavors:\n  python_function:\n    env:\n      conda: conda.yaml\n"
        "    loader_module: mlflow.sklearn\n    model_path: model.pkl\n  sklearn:\n"
        "    code: null\n    pickled_model: 'model.pkl'\n    sklearn_version: 1.9.1\n"
        'signature:\n  inputs: \'[{"type": "double", "name": "tenure"}]\'\n'
    )
    rows = dirty_rows(churn_model())
    found = converted_file(churn_model(), folder, tmp_path, rows)
    same(found, pipeline.predict_proba(frame_of_rows([f.name for f in FEATURES], rows)), rows)
    with pytest.raises(TimonelError) as caught:
        look_at(folder, allow_pickle=False)
    assert caught.value.code == "pickle_not_allowed"
    wrapper = xgboost.XGBClassifier(**QUICK).fit(X, Y2)
    wrapper.save_model(folder / "model.ubj")
    (folder / "MLmodel").write_text(
        "flavors:\n  xgboost:\n    data: model.ubj\n    model_class: xgboost.XGBClassifier\n"
    )
    same(converted_file(NUMBERS, folder, tmp_path, ROWS), wrapper.predict_proba(X))
    (folder / "MLmodel").write_text("flavors:\n  sklearn:\n    pickled_model: ../../etc/passwd\n")
    with pytest.raises(TimonelError) as caught:
        look_at(folder, allow_pickle=True)
    assert caught.value.code == "unreadable_model_file"
    assert flavours_of("- a\nflavors:\n    tensorflow:\n        x: y\n") == {
        "tensorflow": {"x": "y"}
    }


def test_texts_of_a_tfidf_and_a_linear_model(tmp_path: Path) -> None:
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = ["entrega", "tarde", "rápida", "excelente", "mala", "cara", "perfecto", "ñandú", "x"]
    rng = np.random.default_rng(4)
    texts = [" ".join(rng.choice(words, int(rng.integers(1, 9)))) for _ in range(300)]
    frame = pd.DataFrame({"comment": texts, "stars": rng.normal(size=300)})
    y = np.where(["mala" in text for text in texts], "bad", "good")
    prepare = ColumnTransformer(
        [
            ("t", TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), "comment"),
            ("n", "passthrough", ["stars"]),
        ]
    )
    pipeline = make_pipeline(prepare, LogisticRegression(max_iter=1000)).fit(frame, y)
    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps(pipeline))
    model = churn_model(schema=Schema(Text("comment"), Number("stars")))
    rows = [[" ".join(rng.choice([*words, "NUEVA"], 6)).upper(), 0.3] for _ in range(80)]
    found = converted_file(model, file, tmp_path, rows)
    assert found.kind == "linear", found.why
    truth = pipeline.predict_proba(frame_of_rows(["comment", "stars"], rows))
    np.testing.assert_allclose(probabilities(found.predictor, rows), truth, atol=1e-12)


# --- the whole way, in its own process


def test_a_sample_gives_parity_a_reference_and_honest_figures(tmp_path: Path) -> None:
    pipeline = fitted(RandomForestClassifier(**QUICK), TABLE)
    joblib.dump(pipeline, tmp_path / "churn.pkl")
    TABLE.to_csv(tmp_path / "sample.csv", index=False)
    found = served(
        churn_model(),
        tmp_path / "churn.pkl",
        tmp_path,
        sample=tmp_path / "sample.csv",
        allow_pickle=True,
    )
    version: Any = found.came
    manifest = version.manifest
    assert manifest.profile == version.profile.digest()
    assert manifest.baseline.probabilities.keys() == {"no", "yes"}
    main, on_sample = version.metrics["main"], version.metrics["on_sample"]
    assert main["value"] is None
    assert "no holdout" in main["reason"]
    assert on_sample["main"]["value"] > 0.8
    assert "may have been fitted" in on_sample["measured_on"]
    assert version.lineage["kind"] == "registered"
    assert version.lineage["artifact"]["format"] == "pickle"
    assert len(version.lineage["artifact"]["sha256"]) == 64
    assert version.lineage["libraries"]["scikit-learn"]
    json.dumps([version.metrics, version.lineage])
    rows = dirty_rows(churn_model())
    same(found, pipeline.predict_proba(frame_of_rows([f.name for f in FEATURES], rows)), rows)


def test_without_a_sample_drift_and_quality_are_unknown(tmp_path: Path) -> None:
    skops.io.dump(fitted(LogisticRegression(max_iter=5000), TABLE), tmp_path / "churn.skops")
    found = served(churn_model(), tmp_path / "churn.skops", tmp_path)
    version: Any = found.came
    assert (found.kind, version.profile, version.manifest.profile) == ("linear", None, None)
    assert any("Drift unknown" in finding.en for finding in version.report.findings)
    assert any("Deriva desconocida" in finding.es for finding in version.report.findings)
    assert len(version.manifest.self_test.rows) == 32


def test_obesity_from_a_pipeline_of_people(tmp_path: Path) -> None:
    file = DATA / "obesity" / "obesity.csv"
    if not file.exists():
        pytest.skip(f"no {file}")
    frame = pd.read_csv(file)
    target = "NObeyesdad"
    numbers = list(frame.select_dtypes("number").columns)
    words = [name for name in frame.columns if name not in (*numbers, target)]
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OrdinalEncoder

    prepare = ColumnTransformer(
        [
            ("w", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), words),
            ("n", SimpleImputer(), numbers),
        ]
    )
    pipeline = make_pipeline(prepare, lightgbm.LGBMClassifier(**QUICK, verbose=-1))
    pipeline.fit(frame.drop(columns=target), frame[target])
    features = [
        Category(name, sorted(frame[name].unique()), required=False, unseen="accept")
        if name in words
        else Number(name, required=False)
        for name in frame.columns
        if name != target
    ]
    model = Model(
        name="obesity", task="multiclass", target=target, schema=Schema(*features), source=list
    )
    table = frame.drop(columns=target).to_numpy(dtype=object).tolist()[::7]
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(pipeline))
    found = converted_file(model, path, tmp_path, table)
    assert found.kind == "onnx", found.why
    from timonel.runtime.parity import Rows

    rows = Rows.sample(model.schema, table, np.random.default_rng(8), 200)
    asked = rows.clean + rows.dirty
    same(found, pipeline.predict_proba(frame_of_rows(model.schema.names, asked)), asked)
