"""Declarations, rules on trial, and a training that enters a real registry."""

from pathlib import Path

import pytest

from timonel.clock import AffineClock
from timonel.project import recipes
from timonel.project.model import Model, Policy
from timonel.project.outcome import Outcome
from timonel.registry.artifacts import ArtifactStore
from timonel.registry.registry import Registry
from timonel.registry.versions import Stage
from timonel.runtime.predictors import load_predictor, self_test
from timonel.schema.features import Category, Number, Text, Timestamp
from timonel.schema.schema import Schema
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.store.migrate import upgrade
from timonel.training import rules as trials
from timonel.training.errors import UnusableRules
from timonel.training.publish import declaration_manifest, first_baseline, publish, verify_rules
from timonel.training.train import train
from timonel.wire.rules import RulesSource

SCHEMA = Schema(
    Number("age", ge=18, le=90, integer=True),
    Number("income", required=False),
    Category("city", ["Arica", "Lota"]),
    Timestamp("at", required=False),
    Text("note", required=False),
)
GOOD = """
from dataclasses import dataclass
from timonel import Answer

@dataclass
class Limit:
    age: "int"

def by_age(row):
    print("a rule may print")
    if row["income"] is None:
        return None
    night = row["at"] is not None and row["at"].hour < 6
    return Answer(int(row["age"] > Limit(40).age and not night), 0.7, explanation="older than 40")
"""


def rules(source: str, function: str = "f") -> RulesSource:
    return RulesSource("rules", function, source)


def model(**changes: object) -> Model:
    given = {
        "name": "buys",
        "task": "binary",
        "target": "bought",
        "schema": SCHEMA,
        "source": list,
        "fallback": "rules:by_age",
        "outcome": Outcome(key="rut", horizon="2d", absent=0),
    }
    return Model(**{**given, **changes})  # type: ignore[arg-type]


def test_a_declaration_needs_no_data() -> None:
    manifest = declaration_manifest(
        model(), project="shop", timezone="America/Santiago", rules=rules(GOOD, "by_age")
    )
    assert (manifest.version, manifest.predictor, manifest.baseline) == ("", "none", None)
    assert manifest.rules is not None
    assert manifest.outcome.horizon_s == 2 * 86_400
    assert (manifest.outcome.key, manifest.outcome.absent) == ("rut", 0)
    without = declaration_manifest(model(), project="shop", timezone="UTC", rules=None)
    assert without.rules is None


def test_the_first_baseline_needs_labels_and_no_training() -> None:
    labels = [{"age": 20 + i, "kind": "c" if i < 2 else "ab"[i % 2], "spent": 1.0 * i}
              for i in range(11)]  # fmt: skip
    small = {"source": lambda: labels, "schema": Schema(Number("age")), "fallback": None}
    many = first_baseline(model(**small, task="multiclass", target="kind"), timezone="UTC")
    assert many is not None
    assert many.prediction == "a"
    assert many.score == pytest.approx(5 / 11)
    two = [row for row in labels if row["kind"] != "c"]
    both = model(**{**small, "source": lambda: two}, target="kind", positive="b")
    found = first_baseline(both, timezone="UTC")
    assert found is not None
    assert found.score == pytest.approx(4 / 9)
    middle = first_baseline(model(**small, task="regression", target="spent"), timezone="UTC")
    assert middle is not None
    assert (middle.prediction, middle.score) == (5.0, None)
    assert first_baseline(model(**small, target="nothing"), timezone="UTC") is None


def test_good_rules_pass_and_are_timed() -> None:
    check = verify_rules(rules(GOOD, "by_age"), SCHEMA, task="binary")
    assert check.n_rows > 5
    assert 0 < check.n_answered < check.n_rows
    assert check.median_us is not None
    assert check.median_us < 1000


RECORDS = "from timonel import metrics\n"


def test_rules_that_record_are_tried_without_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "timonel.toml").write_text('[project]\nname = "shop"\n')
    monkeypatch.chdir(tmp_path)
    source = f"{RECORDS}def f(row): return metrics.record('wait_s', 1, city=row['city'])"
    assert verify_rules(rules(source), SCHEMA, task="binary").n_answered == 0
    assert [path.name for path in tmp_path.iterdir()] == ["timonel.toml"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import pandas\ndef f(row): return 1", "pandas is not there in service"),
        ("def f(row):\n    import sklearn\n    return 1", "sklearn is not there in service"),
        ("import neighbour\ndef f(row): return 1", "No module named 'neighbour'"),
        ("def f(row) return 1", "SyntaxError"),
        ("def g(row): return 1", "no function of this name.*beside g"),
        ("def f(row): return row['weight']", "KeyError: 'weight'.*age=54"),
        ("def f(row): return 1 if row['income'] > 3 else 0", "TypeError.*income=None"),
        ("def f(row): return {'yes': 1}", "the prediction"),
        ("def f(row): return float('nan')", "nan"),
        ("from timonel import Answer\ndef f(row): return Answer(1, 7.0)", "the score 7"),
        (f"{RECORDS}def f(row): return metrics.record('wait s', 1)", "Cannot record wait s: found"),
        (f"{RECORDS}def f(row): return metrics.record('x', row['income'])", "income=None"),
        ("import os\nos._exit(3)", "a process that ended"),
        ("raise SystemExit('bye')", "bye"),
    ],
)
def test_rules_that_could_not_answer_are_refused(source: str, words: str) -> None:
    with pytest.raises(UnusableRules, match=words) as caught:
        verify_rules(rules(source), SCHEMA, task="binary")
    assert "rules.py" in caught.value.remedy("es")


STUBBORN = """
def f(row):
    while True:
        try: sorted(range(99))
        except BaseException: sorted(range(9))
"""


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def f(row):\n    while True: pass", "no end (within 0.25 s for the row|after 3 s)"),
        ("import time\ndef f(row): return time.sleep(0.03)", r"3\d ms for the row"),
        (STUBBORN, "no end after 3 s"),
    ],
)
def test_rules_that_would_hold_the_server_up_are_refused(
    monkeypatch: pytest.MonkeyPatch, source: str, words: str
) -> None:
    monkeypatch.setattr(trials, "TIMEOUT_S", 3.0)
    with pytest.raises(UnusableRules, match=words):
        verify_rules(rules(source), SCHEMA)


def test_neighbours_of_the_rules_file_do_not_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "limits.py").write_text("AGE = 40\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnusableRules, match="No module named 'limits'"):
        verify_rules(rules("import limits\ndef f(row): return 1"), SCHEMA)


def test_a_training_enters_the_registry_and_loads_from_it(
    sqlite_database: str, tmp_path: Path
) -> None:
    data = [
        {"age": 18 + i % 70, "income": 1.0 * (i % 7), "city": "Lota" if i % 3 else "Arica",
         "at": None, "note": "", "bought": int(i % 70 > 30)}
        for i in range(300)
    ]  # fmt: skip
    declared = model(
        source=lambda: data,
        schema=Schema(*list(SCHEMA)[:3]),
        recipe=recipes.xgboost(n_estimators=5),
        policy=Policy(min_samples=50),
    )
    engine = make_engine(sqlite_database)
    upgrade(engine)
    ensure_project(engine, "shop", "America/Santiago", None)
    registry, store = Registry(engine, "shop", AffineClock()), ArtifactStore(tmp_path / "artifacts")
    try:
        trained = train(declared, project="shop", timezone="America/Santiago", rules=None)
        version = publish(trained, registry, store, who="ana")
        assert (version.version, version.stage) == ("1.0.0", Stage.VALIDATION)
        assert version.metrics["main"]["name"] == "accuracy"
        assert version.lineage["n_train"] == trained.report.n_train
        manifest = registry.manifest("buys", "1.0.0")
        assert manifest.version == "1.0.0"
        self_test(manifest, load_predictor(manifest, store.get))
        again = publish(trained, registry, store, who="ana")
        assert again.already_registered
        assert again.version == "1.0.0"
    finally:
        engine.dispose()
