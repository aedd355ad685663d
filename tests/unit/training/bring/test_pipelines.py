"""Whole pipelines, as people have them: what is served says what the pipeline itself says."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pd: Any = pytest.importorskip("pandas")

from lightgbm import LGBMClassifier, LGBMRegressor  # noqa: E402
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.compose import ColumnTransformer, make_column_selector  # noqa: E402
from sklearn.decomposition import PCA  # noqa: E402
from sklearn.ensemble import (  # noqa: E402
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest  # noqa: E402
from sklearn.impute import KNNImputer, SimpleImputer  # noqa: E402
from sklearn.linear_model import LogisticRegression, Ridge  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.neighbors import KNeighborsClassifier  # noqa: E402
from sklearn.pipeline import FeatureUnion, make_pipeline  # noqa: E402
from sklearn.preprocessing import (  # noqa: E402
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeClassifier  # noqa: E402
from tests.unit.training.bring.fitted import (  # noqa: E402
    churn_model,
    churn_table,
    converted,
    dirty_rows,
    fitted,
    frame_of_rows,
    preprocessing,
    probabilities,
)
from xgboost import XGBClassifier, XGBRegressor  # noqa: E402

TABLE = churn_table()
LABELS = TABLE["churn"]
CODES = (LABELS == "yes").astype(int)
SMALL: dict[str, Any] = {"n_estimators": 12, "random_state": 0}

ESTIMATORS: dict[str, tuple[Callable[[], Any], Any, str]] = {
    "logistic": (lambda: LogisticRegression(max_iter=5000), LABELS, "linear"),
    "tree": (lambda: DecisionTreeClassifier(max_depth=6), LABELS, "onnx"),
    "forest": (lambda: RandomForestClassifier(**SMALL), LABELS, "onnx"),
    "extra trees": (lambda: ExtraTreesClassifier(**SMALL), LABELS, "onnx"),
    "boosting": (lambda: GradientBoostingClassifier(**SMALL), LABELS, "onnx"),
    "histogram": (lambda: HistGradientBoostingClassifier(max_iter=12), LABELS, "onnx"),
    "xgboost": (lambda: XGBClassifier(**SMALL), CODES, "onnx"),
    "lightgbm": (lambda: LGBMClassifier(**SMALL, verbose=-1), LABELS, "onnx"),
    "voting": (
        lambda: VotingClassifier(
            [("a", RandomForestClassifier(**SMALL)), ("b", GradientBoostingClassifier(**SMALL))],
            voting="soft",
            weights=[3, 1],
        ),
        LABELS,
        "onnx",
    ),
    "neighbours": (lambda: KNeighborsClassifier(5), LABELS, "onnx"),
    "isotonic": (
        lambda: CalibratedClassifierCV(RandomForestClassifier(**SMALL), method="isotonic", cv=3),
        LABELS,
        "native",
    ),
    "stacking": (
        lambda: StackingClassifier(
            [("a", RandomForestClassifier(**SMALL)), ("b", LogisticRegression())]
        ),
        LABELS,
        "any",
    ),
}

PREPARATIONS: dict[str, tuple[dict[str, Any], bool]] = {
    "robust": ({"scale": RobustScaler()}, True),
    "min max": ({"scale": MinMaxScaler(clip=True)}, True),
    "max abs": ({"scale": MaxAbsScaler()}, True),
    "log": ({"scale": FunctionTransformer(np.log1p)}, True),
    "indicator": ({"impute": SimpleImputer(add_indicator=True)}, True),
    "constant": ({"words": SimpleImputer(strategy="constant", fill_value="none")}, True),
    "no imputer of words": ({"words": "passthrough"}, True),
    "rare words": (
        {"encode": OneHotEncoder(min_frequency=0.35, handle_unknown="infrequent_if_exist")},
        True,
    ),
    "first dropped": ({"encode": OneHotEncoder(drop="first", handle_unknown="ignore")}, True),
    "ordinal": (
        {"encode": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)},
        True,
    ),
    "target": ({"encode": TargetEncoder()}, True),
    "strict words": ({"encode": OneHotEncoder()}, True),
    "encoded flag": ({"flag": OneHotEncoder(handle_unknown="ignore")}, True),
    "polynomial": ({"scale": PolynomialFeatures(2, include_bias=False)}, False),
    "neighbour imputer": ({"impute": KNNImputer()}, False),
    "numpy function": ({"scale": FunctionTransformer(np.abs)}, False),
}


def _answers(pipeline: Any, rows: list[list[Any]]) -> bool:
    try:
        answers = pipeline.predict_proba(frame_of_rows(churn_model().schema.names, rows))
    except ValueError:
        return False
    return bool(np.isfinite(answers).all())


def compare(pipeline: Any, folder: Path) -> Any:
    """Serve a pipeline, and hold every row that it answers against it."""
    model = churn_model()
    found = converted(model, pipeline, folder, dirty_rows(model, 150))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of unknown categories
        rows = dirty_rows(model)
        if not _answers(pipeline, rows):  # some rows, or some words, are refused
            rows = [row for row in rows if _answers(pipeline, [row])]
        truth = pipeline.predict_proba(frame_of_rows(model.schema.names, rows))
    assert len(rows) > 80
    np.testing.assert_allclose(probabilities(found.predictor, rows), truth, atol=1e-5)
    return found


@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_an_estimator_behind_the_usual_preparation(name: str, tmp_path: Path) -> None:
    make, target, kind = ESTIMATORS[name]
    found = compare(fitted(make(), TABLE, target), tmp_path)
    assert kind in ("any", found.kind), found.why


@pytest.mark.slow
@pytest.mark.parametrize("name", list(PREPARATIONS))
def test_a_preparation_before_a_logistic(name: str, tmp_path: Path) -> None:
    parts, compiles = PREPARATIONS[name]
    pipeline = fitted(LogisticRegression(max_iter=5000), TABLE, **parts)
    found = compare(pipeline, tmp_path)
    assert found.kind == ("linear" if compiles else "native"), found.why


def test_closed_forms_are_the_pipelines_to_the_last_digits(tmp_path: Path) -> None:
    found = compare(fitted(LogisticRegression(max_iter=5000), TABLE), tmp_path)
    assert found.manifest.parity["max_difference"] < 1e-14


def test_a_remainder_a_selector_a_search_and_nested_unions(tmp_path: Path) -> None:
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(drop="if_binary"))
    both = FeatureUnion([("a", SimpleImputer()), ("b", SimpleImputer(strategy="median"))])
    prepare = ColumnTransformer(
        [
            (
                "w",
                words.set_params(onehotencoder__handle_unknown="ignore"),
                make_column_selector(dtype_include=["object", "string"]),
            )
        ],
        remainder=both,
    )
    pipeline = make_pipeline(prepare, SelectKBest(k=6), LogisticRegression(max_iter=5000))
    search = GridSearchCV(pipeline, {"selectkbest__k": [5, 8]}, cv=2)
    found = compare(search.fit(TABLE.drop(columns="churn"), LABELS), tmp_path)
    assert found.kind == "linear", found.why


def test_a_regression_and_a_model_of_numbers_alone(tmp_path: Path) -> None:
    from timonel.schema.features import Number
    from timonel.schema.schema import Schema

    y = TABLE["monthly"].fillna(60) * 2 + 5
    model = churn_model(task="regression", target="spent")
    rows = dirty_rows(model)
    for at, estimator in enumerate(
        [Ridge(), RandomForestRegressor(**SMALL), XGBRegressor(**SMALL), LGBMRegressor(verbose=-1)]
    ):
        pipeline = fitted(estimator, TABLE, y)
        inside = tmp_path / str(at)
        inside.mkdir()
        found = converted(model, pipeline, inside, rows)
        assert found.kind == ("linear" if at == 0 else "onnx"), found.why
        said: Any = [answer.prediction for answer in found.predictor.predict_rows(rows)]
        truth = pipeline.predict(frame_of_rows(model.schema.names, rows))
        np.testing.assert_allclose(said, truth, rtol=1e-5)
    # fitted on an array: the order of the schema is taken for the order of its columns
    numbers = churn_model(schema=Schema(Number("a"), Number("b", required=False)))
    table = np.random.default_rng(3).normal(size=(300, 2))
    forest = RandomForestClassifier(**SMALL).fit(table, np.where(table[:, 0] > 0, "yes", "no"))
    array = converted(numbers, forest, tmp_path, table.tolist())
    assert array.manifest.classes == ["no", "yes"]
    np.testing.assert_allclose(
        probabilities(array.predictor, table.tolist()), forest.predict_proba(table), atol=1e-6
    )


def test_a_whole_pipeline_that_is_not_understood_runs_as_it_is(tmp_path: Path) -> None:
    pca = fitted(LogisticRegression(max_iter=5000), TABLE, scale=PCA(2))
    found = compare(pca, tmp_path)
    assert found.kind == "native"
    assert "PCA" in found.why
    plan = found.manifest.plan
    assert plan["native"]["artifact"].endswith(".skops")
    assert preprocessing() is not None
