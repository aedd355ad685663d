"""What cannot be brought says why, and what to do; nothing hostile gets near this process."""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

pytest.importorskip("pandas")

from tests.unit.training.bring.fitted import (
    FEATURES,
    churn_model,
    churn_table,
    converted,
    converted_file,
    dirty_rows,
    fitted,
    served,
)

from timonel.errors import TimonelError
from timonel.runtime.errors import RowRefused
from timonel.schema.features import Category, Number
from timonel.schema.schema import Schema
from timonel.training.bring.bring import Bring, declaration_for
from timonel.training.bring.formats import look_at

TABLE = churn_table(300)
FRAME = TABLE.drop(columns="churn")
QUICK: dict[str, Any] = {"n_estimators": 5, "random_state": 0}


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return (open, (self.path, "w"))


class Sleeper:
    def __reduce__(self) -> Any:
        return (__import__("time").sleep, (60,))


def refused(act: Callable[[], Any], code: str, *words: str) -> TimonelError:
    with pytest.raises(TimonelError) as caught:
        act()
    error = caught.value
    assert error.code == code, error
    for lang in ("en", "es"):
        said = error.message(lang) + error.remedy(lang)
        assert "{found" not in said
    for word in words:
        assert word in str(error), (word, str(error))
    return error


def logistic() -> Any:
    return fitted(LogisticRegression(max_iter=5000), TABLE)


# --- files


def test_a_pickle_runs_nothing_without_the_flag_and_nothing_here_with_it(tmp_path: Path) -> None:
    bomb, trace = tmp_path / "model.pkl", tmp_path / "ran"
    bomb.write_bytes(pickle.dumps(Hostile(trace)))
    refused(lambda: served(churn_model(), bomb, tmp_path), "pickle_not_allowed", "--allow-pickle")
    renamed = tmp_path / "model.skops"
    renamed.write_bytes(bomb.read_bytes())
    refused(lambda: served(churn_model(), renamed, tmp_path), "pickle_not_allowed")
    assert not trace.exists()
    refused(lambda: served(churn_model(), bomb, tmp_path, allow_pickle=True), "not_a_model")
    assert trace.exists()  # the child's doing, as was said


def test_a_reading_that_does_not_end_is_ended(tmp_path: Path) -> None:
    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps(Sleeper()))
    refused(
        lambda: served(churn_model(), file, tmp_path, allow_pickle=True, time_limit_s=3),
        "model_reading_failed",
        "3 s",
        "--time-limit",
    )


def test_a_file_of_ten_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    with file.open("wb") as stream:
        stream.truncate(10 << 30)  # sparse
    refused(lambda: look_at(file, allow_pickle=True), "model_file_too_large", "10.0 GiB", "2 GiB")


@pytest.mark.parametrize("form", ["skops", "pkl", "onnx", "json", "ubj", "txt"])
def test_a_damaged_file_is_named(form: str, tmp_path: Path) -> None:
    whole: Any = {
        "skops": lambda: skops.io.dumps(logistic()),
        "pkl": lambda: pickle.dumps(logistic()),
        "onnx": lambda: b"\x08\x07ai.onnx" + b"\x99" * 500,
        "json": lambda: b'{"learner": {"attributes": {}, "feature_names": [',
        "ubj": lambda: b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{" + b"\x01" * 50,
        "txt": lambda: b"tree\nversion=v4\nnum_class=1\n",
    }[form]
    file = tmp_path / f"model.{form}"
    data = whole()
    file.write_bytes(data if form in ("onnx", "json", "ubj", "txt") else data[: len(data) // 2])
    rows = dirty_rows(churn_model(), 10)
    refused(
        lambda: converted_file(churn_model(), file, tmp_path, rows),
        "unreadable_model_file",
        file.name,
    )


def test_files_that_are_no_models(tmp_path: Path) -> None:
    for name, data in (("a.csv", b"a;b\n1;2\n"), ("b.pkl", b""), ("c.h5", b"\x89HDF\r\n")):
        (tmp_path / name).write_bytes(data)
        refused(lambda: look_at(tmp_path / name, allow_pickle=True), "unreadable_model_file", name)  # noqa: B023
    refused(lambda: look_at(tmp_path / "b.pk", allow_pickle=True), "unreadable_model_file", "b.pkl")
    refused(lambda: look_at(tmp_path, allow_pickle=True), "unreadable_model_file", "MLmodel")


def test_a_model_of_another_scikit_learn_is_refused(tmp_path: Path) -> None:
    import sklearn

    data = pickle.dumps(logistic())
    here = sklearn.__version__.encode()
    other = here.replace(b"1.", b"0.", 1)
    assert here in data
    file = tmp_path / "model.pkl"
    file.write_bytes(data.replace(here, other))
    rows = dirty_rows(churn_model(), 10)
    refused(
        lambda: converted_file(churn_model(), file, tmp_path, rows),
        "made_with_other_version",
        other.decode(),
        "pip install",
    )


def test_a_missing_module_is_named_with_its_package(tmp_path: Path) -> None:
    data = pickle.dumps(logistic()).replace(b"sklearn.pipeline", b"imblearn_pipelin")
    file = tmp_path / "model.pkl"
    file.write_bytes(data)
    rows = dirty_rows(churn_model(), 10)
    refused(
        lambda: converted_file(churn_model(), file, tmp_path, rows),
        "model_needs_module",
        "pip install imblearn_pipelin",
    )


# --- models


@pytest.mark.parametrize(
    ("made", "code", "word"),
    [
        (lambda: {"weights": [1, 2]}, "not_a_model", "dict"),
        (lambda: RandomForestClassifier, "not_a_model", "class RandomForestClassifier"),
        (lambda: RandomForestClassifier(), "not_a_model", "fit()"),
        (lambda: fitted(RidgeClassifier(), TABLE), "not_a_model", "CalibratedClassifierCV"),
        (
            lambda: fitted(LogisticRegression(max_iter=5000), TABLE, TABLE["contract"]),
            "classes_differ",
            "3 classes",
        ),
    ],
)
def test_what_is_no_model_of_the_task(
    made: Callable[[], Any], code: str, word: str, tmp_path: Path
) -> None:
    model, rows = churn_model(), dirty_rows(churn_model(), 10)
    refused(lambda: converted(model, made(), tmp_path, rows), code, word)


def test_classes_and_positive_are_held_against_the_declaration(tmp_path: Path) -> None:
    rows, pipeline = dirty_rows(churn_model(), 10), logistic()
    regression = churn_model(task="regression")
    refused(lambda: converted(regression, pipeline, tmp_path, rows), "not_a_model", "classifier")
    strange = churn_model(positive="left")
    error = refused(lambda: converted(strange, pipeline, tmp_path, rows), "classes_differ", "left")
    assert "--classes" in error.remedy("es")
    codes = fitted(LogisticRegression(max_iter=5000), TABLE, (TABLE["churn"] == "yes").astype(int))
    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps(codes))
    named = converted_file(churn_model(), file, tmp_path, rows, classes=["no", "yes"])
    assert named.manifest.classes == ["no", "yes"]
    assert named.predictor.predict_row(rows[0]).prediction in ("no", "yes")


def test_missing_and_extra_features_are_named_closest_first(tmp_path: Path) -> None:
    renamed = [Number("tenure_months", required=False), *FEATURES[1:], Number("extra")]
    model = churn_model(schema=Schema(*renamed))
    rows = [[1.0, 60.0, "month", "card", True, 2.0]]
    error = refused(
        lambda: converted(model, logistic(), tmp_path, rows), "features_differ", "'tenure'"
    )
    assert "tenure_months, extra" in error.message()
    wide = churn_model(schema=Schema(*FEATURES, Number("extra")))
    found = converted(
        wide, logistic(), tmp_path, [[*row, 1.0] for row in dirty_rows(churn_model())]
    )
    said: Any = found.came
    assert any("extra" in finding.es for finding in said.findings)


def test_a_count_of_columns_that_differs(tmp_path: Path) -> None:
    forest = RandomForestClassifier(**QUICK).fit(np.eye(8), [0, 1] * 4)
    model = churn_model(schema=Schema(Number("a"), Number("b")))
    refused(
        lambda: converted(model, forest, tmp_path, [[1.0, 2.0]]),
        "features_differ",
        "8 columns",
        "2, one for each",
    )


def test_words_declared_as_numbers_and_numbers_as_words(tmp_path: Path) -> None:
    as_numbers = churn_model(schema=Schema(*FEATURES[:2], Number("contract"), *FEATURES[3:]))
    rows = [[1.0, 60.0, 2.0, "card", True]]
    refused(
        lambda: converted(as_numbers, logistic(), tmp_path, rows), "not_a_model", "Category('contr"
    )
    codes = FRAME.assign(contract=FRAME["contract"].map({"month": 1, "year": 2, "two": 3}))
    words = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    words.fit(codes[["contract"]], TABLE["churn"])
    as_words = churn_model(schema=Schema(Category("contract", ["1", "2", "3"])))
    refused(
        lambda: converted(as_words, words, tmp_path, [["1"], ["2"]]), "not_a_model", "Number('con"
    )


def test_what_the_model_refuses_is_refused_in_service_and_said(tmp_path: Path) -> None:
    pipeline = make_pipeline(FunctionTransformer(), GradientBoostingClassifier(**QUICK)).fit(
        FRAME[["tenure", "monthly"]].fillna(0), TABLE["churn"]
    )
    model = churn_model(schema=Schema(Number("tenure"), Number("monthly", required=False)))
    rows = [[float(i), 40.0 + i] for i in range(60)]
    found = converted(model, pipeline, tmp_path, rows)
    assert found.kind == "onnx"
    said: Any = found.came
    assert any("monthly" in finding.en and "rules" in finding.en for finding in said.findings)
    with pytest.raises(RowRefused, match="monthly"):
        found.predictor.predict_row([1.0, None])
    assert found.predictor.predict_row([1.0, 60.0]).prediction in ("no", "yes")


def test_a_model_that_raises_for_every_row(tmp_path: Path) -> None:
    def broken(table: Any) -> Any:
        return table["a column that is not there"]

    pipeline = make_pipeline(
        FunctionTransformer(lambda table: table), SimpleImputer(), LogisticRegression()
    ).fit(FRAME[["tenure"]], TABLE["churn"])
    pipeline.steps[0] = ("broken", FunctionTransformer(broken))
    pipeline.steps[0][1].feature_names_in_ = np.array(["tenure"], dtype=object)
    pipeline.steps[0][1].n_features_in_ = 1
    model = churn_model(schema=Schema(FEATURES[0]), allow_pickle=True)
    refused(
        lambda: converted(model, pipeline, tmp_path, [[1.0]]), "model_cannot_answer", "not there"
    )


def test_functions_of_the_user_run_only_where_the_declaration_allows(tmp_path: Path) -> None:
    module = tmp_path / "own_steps.py"
    module.write_text("def halved(table):\n    return table / 2\n")
    sys.path.insert(0, str(tmp_path))
    try:
        from own_steps import halved  # type: ignore[import-not-found]

        pipeline = make_pipeline(
            SimpleImputer(), FunctionTransformer(halved), LogisticRegression(max_iter=5000)
        ).fit(FRAME[["tenure", "monthly"]], TABLE["churn"])
        schema = Schema(*FEATURES[:2])
        rows = [[float(i), 40.0 + i] for i in range(60)]
        refused(
            lambda: converted(churn_model(schema=schema), pipeline, tmp_path, rows),
            "model_cannot_be_served",
            "allow_pickle=True",
            "halved",
        )
        trusted = churn_model(schema=schema, allow_pickle=True)
        found = converted(trusted, pipeline, tmp_path, rows)
        assert found.kind == "native"
        assert found.predictor.predict_row(rows[0]).score is not None
    finally:
        sys.path.remove(str(tmp_path))


def test_an_undeclared_model_comes_with_its_declaration(tmp_path: Path) -> None:
    file = tmp_path / "churn.pkl"
    file.write_bytes(pickle.dumps(logistic()))
    given = Bring(artifact=file, allow_pickle=True)
    error = declaration_for("churn", given, known="demand", folder=tmp_path)
    text = error.remedy()
    assert "Category('contract', ['month', 'two', 'year'], required=False)" in text
    assert "timonel init" in text
    code = text[text.index("from timonel") :].replace('"TARGET"', '"churn"')
    space: dict[str, Any] = {}
    exec(code, space)
    assert space["churn"].task == "binary"
    assert list(space["churn"].schema.names) == list(FRAME.columns)


def test_a_tuned_threshold_is_told(tmp_path: Path) -> None:
    from sklearn.model_selection import FixedThresholdClassifier

    pipeline = FixedThresholdClassifier(logistic(), threshold=0.9, pos_label="yes")
    pipeline.fit(FRAME, TABLE["churn"])
    found = converted(churn_model(), pipeline, tmp_path, dirty_rows(churn_model(), 60))
    said: Any = found.came
    assert any("most probable" in finding.en for finding in said.findings)
    assert found.kind == "linear"
    calibrated = CalibratedClassifierCV(logistic(), cv=2).fit(FRAME, TABLE["churn"])
    whole = converted(churn_model(), calibrated, tmp_path, dirty_rows(churn_model(), 60))
    assert (whole.kind, "encodes words itself" in whole.why) == ("native", True)
