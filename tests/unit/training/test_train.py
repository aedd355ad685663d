"""A training from data to what serving loads, on small tables made for each question."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import Ridge

from timonel.errors import ProjectFault
from timonel.project import recipes
from timonel.project.model import Model, Policy, Watch
from timonel.project.sources import Csv, Parquet
from timonel.runtime.native import NativePredictor
from timonel.runtime.predictors import load_predictor, self_test
from timonel.schema.features import Category, Flag, Number, Text, Timestamp
from timonel.schema.schema import Schema
from timonel.stats.multivariate.row_outliers import RowOutliers
from timonel.training.advice import advise
from timonel.training.errors import RecipeFailed, TooFewRows, UnusableData
from timonel.training.evaluate import baseline_of, evaluate_classes, gates_of
from timonel.training.train import TrainedVersion, train
from timonel.wire.answer import Answer
from timonel.wire.rules import RulesSource

START = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)  # as a source gives it
SCHEMA = Schema(
    Number("age", ge=0, le=120, integer=True),
    Number("income", required=False),
    Category("city", ["Arica", "Lota", "Ñuñoa"]),
    Flag("member", required=False),
)


def rows(n: int = 300, seed: int = 0) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        age, city = int(rng.integers(18, 80)), str(rng.choice(["Arica", "Lota", "Ñuñoa"]))
        income = None if rng.random() < 0.1 else float(np.round(rng.gamma(2, 400_000)))
        signal = (age - 50) / 15 + (city == "Lota") + ((income or 8e5) - 8e5) / 6e5
        made.append(
            {
                "case": f"c{i}",
                "age": age,
                "income": income,
                "city": city,
                "member": bool(rng.random() < 0.4),
                "bought": int(signal + rng.normal(0, 0.4) > 0),
                "spent": float(np.round(1000 * (signal + 5) + rng.normal(0, 200))),
                "at": (START + timedelta(hours=i // 3)).isoformat(),
                "shop": f"s{i % 12}",
            }
        )
    return made


def model(source: Callable[[], Any] = rows, **changes: Any) -> Model:
    given: dict[str, Any] = {
        "name": "buys",
        "task": "binary",
        "target": "bought",
        "schema": SCHEMA,
        "source": source,
        "recipe": recipes.xgboost(n_estimators=20),
        "policy": Policy(min_samples=100),
    }
    return Model(**{**given, **changes})


def run(
    declared: Model, rules: RulesSource | None = None, seed: int | None = None
) -> TrainedVersion:
    return train(declared, project="shop", timezone="America/Santiago", rules=rules, seed=seed)


def blobs(trained: TrainedVersion) -> Callable[[str], bytes]:
    return {sha256(data).hexdigest(): data for data in trained.artifacts.values()}.__getitem__


# --- what comes out


def test_who_asks_for_rows_that_stand_out_gets_what_tells_them() -> None:
    policy = Policy(min_samples=100, watch=Watch(outliers=0.03))
    trained = run(model(lambda: rows(1_100), recipe=recipes.logistic(), policy=policy))
    assert trained.manifest.outliers is not None
    assert trained.profile is not None
    told = RowOutliers.from_json(trained.manifest.outliers, trained.profile)
    assert told.columns == ("age", "income", "city", "member")
    assert told.limits.n == trained.report.n_test
    counts = told.look([(50, 8e5, "Lota", True, 0), (50, 9e9, "Lota", True, 0)])
    assert (counts["n"], counts["outliers"], counts["by"]) == (2, 1, {"income": 1})
    few = run(model(policy=policy, recipe=recipes.logistic()))  # 60 rows are held back
    assert few.manifest.outliers is None


@pytest.mark.parametrize(
    ("recipe", "kind"),
    [
        (recipes.automatic(), "onnx"),
        (recipes.logistic(), "linear"),
        (recipes.random_forest(n_estimators=10), "onnx"),
        (recipes.lightgbm(n_estimators=10), "onnx"),
        (recipes.gradient_boosting(n_estimators=10), "onnx"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_recipe_trains_into_a_version_that_loads(recipe: recipes.Recipe, kind: str) -> None:
    trained = run(model(recipe=recipe))
    manifest = trained.manifest
    assert manifest.version == ""
    assert (manifest.predictor, manifest.classes, manifest.positive) == (kind, [0, 1], 1)
    assert manifest.parity is not None
    assert manifest.parity["passed"]
    predictor = load_predictor(manifest, blobs(trained))
    assert len(manifest.self_test.rows) == 32
    self_test(manifest, predictor)
    assert trained.report.main.name == "accuracy"
    assert trained.report.main.value is not None
    assert trained.report.main.value > (trained.report.baseline or 0)
    assert trained.report.n_train + trained.report.n_test == 300
    assert trained.failed_gates == []
    assert trained.metrics["main"]["lower"] < trained.metrics["main"]["value"]


def test_a_regression_and_its_baseline() -> None:
    declared = model(task="regression", target="spent", recipe=recipes.ridge())
    trained = run(declared)
    assert trained.report.main.name == "mae"
    assert trained.report.main.value is not None
    assert trained.report.main.value < (trained.report.baseline or 0)
    assert trained.manifest.classes is None
    baseline = trained.manifest.baseline
    assert baseline is not None
    assert isinstance(baseline.prediction, float)
    answer = load_predictor(trained.manifest, blobs(trained)).predict_row([30, None, "Lota", None])
    assert answer.score is None
    assert answer.probabilities is None


def test_a_declared_range_of_the_target_leaves_rows_out_and_is_told_of() -> None:
    def overshooting(matrix: Any, y: Any, seed: int) -> Any:
        return Ridge().fit(matrix, y.mean() + 3 * (y - y.mean()))

    declared = model(task="regression", target="spent", recipe=overshooting)
    free = run(declared)
    bounded = run(replace(declared, target_range=(4000, 7000)))
    n_outside = sum(not 4000 <= row["spent"] <= 7000 for row in rows())
    assert n_outside > 30
    assert bounded.lineage["data"]["dropped"] == {"target_out_of_range": n_outside}
    assert bounded.manifest.target_range == (4000.0, 7000.0)
    assert "outside_target_range" in {found.code for found in bounded.report.findings}
    assert bounded.report.detail["n_outside_range"] > 0
    assert free.manifest.target_range is None
    assert "n_outside_range" not in free.report.detail
    assert free.version_hash != bounded.version_hash


def test_clusters_are_trained_measured_and_served_in_closed_form() -> None:
    trained = run(model(recipe=recipes.kmeans(n_clusters=12)))
    assert trained.manifest.predictor == "clusters"
    assert set(trained.manifest.artifacts) == {"explain.msgpack"}
    assert trained.report.main.value is not None
    assert trained.report.main.value > (trained.report.baseline or 0)
    predictor = load_predictor(trained.manifest, blobs(trained))
    self_test(trained.manifest, predictor)
    with pytest.raises(RecipeFailed, match="n_clusters"):
        run(model(recipe=recipes.kmeans(n_clusters=10_000)))


def test_the_same_data_and_seed_give_the_same_bytes() -> None:
    first, second, other = run(model()), run(model()), run(model(), seed=7)
    assert first.manifest.encode() == second.manifest.encode()
    assert first.artifacts == second.artifacts
    assert first.metrics == second.metrics
    assert first.version_hash == second.version_hash
    assert other.version_hash != first.version_hash
    assert (other.data_digest, other.recipe_digest) == (first.data_digest, first.recipe_digest)


def test_the_version_hash_follows_data_recipe_and_schema() -> None:
    base = run(model())
    data = run(model(lambda: rows(seed=1)))
    recipe = run(model(recipe=recipes.xgboost(n_estimators=21)))
    hashes = {base.version_hash, data.version_hash, recipe.version_hash}
    assert len(hashes) == 3
    assert data.data_digest != base.data_digest
    assert data.recipe_digest == base.recipe_digest
    assert recipe.recipe_digest != base.recipe_digest


def test_a_table_gives_one_version_whatever_file_it_is_in(tmp_path: Path) -> None:
    frame = pl.DataFrame([{k: v for k, v in row.items() if k != "at"} for row in rows()])
    plain, spanish = tmp_path / "plain.csv", tmp_path / "spanish.csv"
    frame.write_csv(plain)
    frame.write_parquet(tmp_path / "table.parquet")
    words = frame.with_columns(
        pl.col("member").replace_strict({True: "Sí", False: "No"}, return_dtype=pl.String),
        pl.col("income").map_elements(
            lambda x: f"{x:.1f}".replace(".", ","), return_dtype=pl.String
        ),
    )
    spanish.write_bytes(words.write_csv(separator=";").encode("cp1252"))
    sources: list[Any] = [
        rows,
        lambda: frame,
        lambda: frame.to_dicts(),
        Parquet(tmp_path / "table.parquet"),
        Csv(plain),
        Csv(spanish),
    ]
    assert len({run(model(source)).version_hash for source in sources}) == 1


# --- cleaning and splitting


def test_rows_that_serving_would_refuse_are_left_out_and_counted() -> None:
    made = rows()
    made[0]["age"] = 200
    made[1]["age"] = None
    made[2]["city"] = "Atlantis"
    made[3]["bought"] = None
    made[4]["city"] = "lota"  # another case of a declared word
    made[5]["member"] = None
    trained = run(model(lambda: made))
    assert trained.lineage["data"]["dropped"] == {
        "missing:age": 1,
        "out_of_range:age": 1,
        "target_missing": 1,
        "unknown_category:city": 1,
    }
    assert trained.lineage["data"]["rows_used"] == 296


def test_repeated_rows_lie_on_one_side() -> None:
    from timonel.training.split import split_rows
    from timonel.training.table import read_table

    made = rows(120) * 3
    table = read_table(model(lambda: made), "UTC")
    split = split_rows(table, classes=True, rng=np.random.default_rng(1))
    assert split.n_duplicates >= 240
    train_rows = {table.values[i] for i in split.train}
    assert not any(table.values[i] in train_rows for i in split.test)
    assert 0.15 <= len(split.test) / len(table) <= 0.25


def test_the_holdout_of_a_timed_model_is_the_newest_part() -> None:
    from timonel.training.split import split_rows
    from timonel.training.table import read_table

    made = rows()
    np.random.default_rng(3).shuffle(made)
    table = read_table(model(lambda: made, time="at"), "America/Santiago")
    split = split_rows(table, classes=True, rng=np.random.default_rng(1), validation=0.1)
    assert split.method == "time"
    assert table.time is not None
    newest_learned = max(table.time[i] for i in split.train)
    assert newest_learned < min(table.time[i] for i in split.validation)
    assert max(table.time[i] for i in split.validation) < min(table.time[i] for i in split.test)
    parts = [set(part.tolist()) for part in (split.train, split.validation, split.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 300


@pytest.mark.parametrize(
    ("time", "group", "found"),
    [
        ([3, 1, 2, 4], None, 4.0),  # 10, 14, 11, 16 in time: steps of 4, 3 and 5
        ([1, 1, 2, 2], ["a", "b", "a", "b"], 4.5),  # 11 to 14, and 10 to 16
        ([1, 2, 2, 3], None, "several rows of one moment"),
        (None, None, "the model declares no time"),
    ],
)
def test_the_naive_forecast_is_measured_on_the_rows_that_are_learned_from(
    time: list[int] | None, group: list[str] | None, found: float | str
) -> None:
    from timonel.training.split import Split
    from timonel.training.table import Table

    target = [11.0, 10.0, 14.0, 16.0, 99.0]
    last = None if time is None else [*time, 9]
    table = Table([()] * 5, target, last, None if group is None else [*group, "a"], 5)
    train, none = np.arange(4), np.arange(0)
    measured = Split(train, none, np.array([4]), "time", 0).naive_error(table)
    assert found in (measured.value, measured.reason)


def test_figures_by_class_and_of_the_size_of_errors_are_measured_on_the_holdout() -> None:
    from sklearn import metrics as oracle

    from timonel.stats.measure import Measure
    from timonel.training.evaluate import evaluate_numbers

    rng = np.random.default_rng(5)
    classes = ["a", "b", "c"]
    stated = rng.dirichlet([1, 1, 1], size=200)
    truth = [classes[rng.choice(3, p=row)] for row in stated]
    answers = [
        Answer(classes[int(np.argmax(row))], None, dict(zip(classes, row.tolist(), strict=True)))
        for row in stated
    ]
    baseline = baseline_of(truth, classes, None)
    kept = evaluate_classes(answers, truth, classes, None, baseline, None, rng).metrics_document()
    found = {(one["class"], one["metric"]): one for one in kept["by_class"]}
    said = [answer.prediction for answer in answers]
    for at, label in enumerate(classes):
        own = [one == label for one in truth], [one == label for one in said]
        other = [not one for one in own[0]], [not one for one in own[1]]
        expected = {
            "precision": oracle.precision_score(*own),
            "recall": oracle.recall_score(*own),
            "specificity": oracle.recall_score(*other),
            "f1": oracle.f1_score(*own),
            "roc_auc": oracle.roc_auc_score(own[0], stated[:, at]),
        }
        for name, value in expected.items():
            one = found[label, name]
            assert one["value"] == pytest.approx(value)
            assert one["lower"] < value < one["upper"]
    numbers = evaluate_numbers(
        [Answer(float(one)) for one in range(40)],
        [one + 2.0 for one in range(40)],
        baseline_of([1.0], None, None),
        None,
        rng,
        naive=Measure("naive_error", 4.0, 100),
    )
    assert (numbers.measures["mase"].value, numbers.measures["mean_error"].value) == (0.5, -2.0)


def test_a_group_is_never_cut_in_two() -> None:
    from timonel.training.split import split_rows
    from timonel.training.table import read_table

    table = read_table(model(group="shop"), "UTC")
    split = split_rows(table, classes=True, rng=np.random.default_rng(1))
    assert split.method == "group"
    assert table.group is not None
    learned = {table.group[i] for i in split.train}
    held = {table.group[i] for i in split.test}
    assert held
    assert learned.isdisjoint(held)


@pytest.mark.parametrize("sizes", [[270, 20, 10], [150, 150], [299, 1]])
def test_a_large_group_is_learned_from_rather_than_held_out(sizes: list[int]) -> None:
    from timonel.training.split import split_rows
    from timonel.training.table import read_table

    made = rows(sum(sizes))
    shops = [f"shop{i}" for i, n in enumerate(sizes) for _ in range(n)]
    for row, shop in zip(made, shops, strict=True):
        row["shop"] = shop
    table = read_table(model(lambda: made, group="shop"), "UTC")
    for seed in range(5):
        split = split_rows(table, classes=True, rng=np.random.default_rng(seed))
        assert 0 < len(split.test) <= len(split.train)


def test_a_class_that_is_new_in_the_holdout_counts_as_an_error() -> None:
    made = rows()
    for row in made:
        row["kind"] = "new" if row["at"] >= "2026-01-05" else ("old" if row["bought"] else "mid")
    declared = model(lambda: made, task="multiclass", target="kind", time="at")
    trained = run(declared)
    assert trained.manifest.classes == ["mid", "old"]
    unknown = trained.report.detail["unknown_classes"]
    assert unknown > 0
    assert trained.report.main.value is not None
    assert trained.report.main.value <= 1 - unknown / trained.report.n_test


# --- custom recipes, text, time


def test_a_custom_function_is_trained_compiled_and_hashed_by_its_source() -> None:
    def build(matrix: Any, target: Any, seed: int) -> Any:
        from sklearn.ensemble import ExtraTreesClassifier

        return ExtraTreesClassifier(10, random_state=seed).fit(matrix, target)

    def unfitted(matrix: Any, target: Any, seed: int) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=5000)

    trained = run(model(recipe=build))
    assert trained.manifest.predictor == "onnx"
    assert "ExtraTreesClassifier" in trained.lineage["recipe"]["source"]
    scaled = recipes.custom(unfitted, encoding="scaled")
    assert run(model(recipe=scaled)).manifest.predictor == "linear"


def test_what_cannot_be_compiled_is_served_natively_and_says_why() -> None:
    def build(matrix: Any, target: Any, seed: int) -> Any:
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.ensemble import HistGradientBoostingClassifier

        inner = HistGradientBoostingClassifier(max_iter=10, random_state=seed)
        return CalibratedClassifierCV(inner, method="isotonic", cv=2).fit(matrix, target)

    trained = run(model(recipe=recipes.custom(build, native_missing=True)))
    assert trained.manifest.predictor == "native"
    assert trained.manifest.parity is not None
    assert {"linear", "trees"} <= {entry["way"] for entry in trained.manifest.parity["refused"]}
    self_test(trained.manifest, NativePredictor.load(trained.manifest, blobs(trained)))


def test_text_is_learned_by_a_linear_model_and_its_vocabulary_is_an_artifact() -> None:
    rng = np.random.default_rng(2)
    good, bad = ["excelente", "rápido", "amable"], ["lento", "malo", "roto"]
    filler = [f"palabra{i}" for i in range(3000)]
    made = []
    for i in range(400):
        liked = bool(i % 2)
        words = [*rng.choice(good if liked else bad, 2), *rng.choice(filler, 20)]
        made.append(
            {"comment": " ".join(words), "stars": float(rng.integers(5)), "liked": int(liked)}
        )
    schema = Schema(Text("comment"), Number("stars"))
    trained = run(model(lambda: made, schema=schema, target="liked", recipe=recipes.automatic()))
    assert trained.manifest.predictor == "linear"
    assert trained.manifest.plan == {"artifact": "plan.json"}
    assert trained.manifest.classes == [0, 1]
    assert trained.report.main.value is not None
    assert trained.report.main.value > 0.9
    predictor = load_predictor(trained.manifest, blobs(trained))
    self_test(trained.manifest, predictor)
    assert predictor.predict_row(["EXCELENTE y rápido", None]).prediction == 1


def test_hours_are_read_in_the_projects_time_zone() -> None:
    made = []
    for i in range(400):
        moment = START + timedelta(hours=7 * i)
        made.append({"at": moment.isoformat(), "busy": int(8 <= moment.hour < 20), "n": i % 5})
    schema = Schema(Timestamp("at"), Number("n"))
    trained = run(model(lambda: made, schema=schema, target="busy"))
    predictor = load_predictor(trained.manifest, blobs(trained))
    noon_utc = 1_767_614_400_000_000  # 2026-01-05 12:00 UTC, 09:00 in Santiago
    assert predictor.predict_row([noon_utc, 1]).prediction == 1
    assert predictor.predict_row([noon_utc - 6 * 3_600_000_000, 1]).prediction == 0


def test_rules_are_measured_on_the_same_rows() -> None:
    source = (
        "from timonel import Answer\n"
        "def by_age(row):\n"
        "    if row['city'] == 'Arica':\n"
        "        return None\n"
        "    return Answer(int(row['age'] > 50), explanation='age')\n"
    )
    trained = run(model(), rules=RulesSource("rules", "by_age", source))
    assert trained.manifest.rules is not None
    assert trained.report.rules is not None
    assert 0.5 < trained.report.rules < 1.0
    assert 0.4 < trained.report.detail["rules_coverage"] < 0.9
    assert [gate.name for gate in trained.checks] == ["beats_baseline", "beats_rules"]


def test_an_input_that_gives_the_target_away_is_named() -> None:
    made = rows()
    for row in made:
        row["days_since"] = 200 if row["bought"] else 3
    schema = Schema(*SCHEMA, Number("days_since"))
    trained = run(model(lambda: made, schema=schema))
    codes = [finding.code for finding in trained.report.findings]
    assert codes.count("gives_the_target_away") == 1
    assert "days_since" in trained.report.advice[0]
    assert "too_good" in codes


def test_gates_say_why_a_version_should_not_answer() -> None:
    made = rows()
    rng = np.random.default_rng(5)
    for row in made:
        row["bought"] = int(rng.random() < 0.5)
    trained = run(model(lambda: made, policy=Policy(min_samples=100, min_accuracy=0.9)))
    assert len(trained.failed_gates) == 2
    assert "base rate" in trained.report.advice[0]
    assert "probabilities were not shown to be nearer" in trained.failed_gates[0]
    assert trained.report.findings[0].code == "no_better_than_baseline"


def test_a_model_that_is_right_but_too_sure_is_told_apart_from_one_that_knows_nothing() -> None:
    rng = np.random.default_rng(3)
    truth = rng.random(400) < 0.5
    right = rng.random(400) < 0.65
    answers = [
        Answer("yes" if said else "no", 0.99 if said else 0.01, {"no": 1.0 - p, "yes": p})
        for said in np.where(right, truth, ~truth)
        for p in [0.99 if said else 0.01]
    ]
    labels = ["yes" if one else "no" for one in truth]
    baseline = baseline_of(labels, ["no", "yes"], "yes")
    found = evaluate_classes(answers, labels, ["no", "yes"], "yes", baseline, None, rng)
    advice = advise(found, n_read=2000, dropped={}, warnings=[])
    assert advice[0].code == "probabilities_no_better"
    assert "0.685" in advice[0].en
    assert [gate.passed for gate in gates_of(found, Policy())] == [False]


# --- refusals


def with_target(value: Any) -> Callable[[], Any]:
    return lambda: [{**row, "bought": value, "spent": 5.0} for row in rows()]


@pytest.mark.parametrize(
    ("declared", "error", "words"),
    [
        (model(lambda: rows(50)), TooFewRows, "50 usable rows of 50"),
        (model(with_target(1)), UnusableData, "only the class 1"),
        (model(with_target(None)), TooFewRows, "300 target_missing"),
        (
            model(with_target(1), task="regression", target="spent"),
            UnusableData,
            "constant target spent = 5",
        ),
        (model(target="bougt"), ProjectFault, "Cannot find the column 'bougt'.*bought"),
        (model(time="bougt"), ProjectFault, "without the column.*'bougt'.*bought"),
        (
            model(schema=Schema(*SCHEMA, Number("height"))),
            ProjectFault,
            "Cannot find the column 'height'",
        ),
        (model(target="city", schema=Schema(Number("age"))), UnusableData, "3 classes"),
        (model(positive="1"), UnusableData, "positive='1'"),
        (model(task="regression", target="city", schema=Schema(Number("age"))), UnusableData,
         "numbers"),
        (model(task="multiclass", target="case"), UnusableData, "300 classes in 300 rows"),
        (model(recipe=recipes.Recipe(name="wizard")), RecipeFailed, "no such recipe"),
        (model(recipe=recipes.xgboost(n_estimators="many")), RecipeFailed, "TypeError"),
        (model(recipe=recipes.logistic(wings=2)), RecipeFailed, "wings"),
        (model(recipe=recipes.ridge()), RecipeFailed, "logistic"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused(
    declared: Model, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        run(declared)
    assert caught.value.remedy("es")  # type: ignore[attr-defined]


class Numb:
    def __init__(self, value: float, width: int = 2) -> None:
        self.value, self.width = value, width

    def predict_proba(self, matrix: np.ndarray) -> np.ndarray:
        return np.full((len(matrix), self.width), self.value)


def raises(matrix: Any, target: Any, seed: int) -> Any:
    raise ZeroDivisionError("of course")


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (raises, "ZeroDivisionError: of course"),
        (lambda _x, _y, _seed: "a model", "str without predict_proba"),
        (lambda _x, _y, _seed: None, "NoneType without predict_proba"),
        (lambda _x, _y, _seed: Numb(float("nan")), "NaN"),
        (lambda _x, _y, _seed: Numb(0.5, width=3), r"shape \(200, 3\)"),
        (lambda _x, _y, _seed: Numb(0.7), "probabilities that sum to 1"),
    ],
)
def test_a_recipe_that_gives_no_model_is_refused(build: Any, words: str) -> None:
    with pytest.raises(RecipeFailed, match=words):
        run(model(recipe=build, allow_pickle=True))
