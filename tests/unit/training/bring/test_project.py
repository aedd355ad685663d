"""A brought model in a project: registered, promoted by hand, loaded by a worker, told in words."""

import json
import pickle
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

pytest.importorskip("pandas")

from tests.unit.training.bring.fitted import churn_table, fitted

from timonel.app import open_app
from timonel.cli.main import app as commands
from timonel.registry.manifest import decode_manifest
from timonel.serving.versions.snapshot import load_version
from timonel.store.lean import LeanStore

MODEL = """
from timonel import Category, Csv, Flag, Model, Number, Schema
churn = Model(
    name="churn", task="binary", target="churn", source=Csv("sample.csv"),
    schema=Schema(
        Number("tenure", ge=0, le=100, required=False),
        Number("monthly", ge=0, le=500, required=False),
        Category("contract", ["month", "year", "two"], required=False),
        Category("pay", ["card", "transfer", "cash"], required=False, unseen="accept"),
        Flag("senior", required=False),
    ),
)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    table = churn_table(400)
    table.to_csv(tmp_path / "sample.csv", index=False)
    pipeline = fitted(LogisticRegression(max_iter=5000), table)
    (tmp_path / "churn.pkl").write_bytes(pickle.dumps(pipeline))
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "timonel.toml").write_text(
        '[project]\nname = "telco"\ntimezone = "America/Santiago"\nmodels = ["model"]\n'
    )
    return tmp_path


def run(*words: str, language: str = "en") -> tuple[int, str]:
    done = CliRunner().invoke(commands, list(words), env={"TIMONEL_LANGUAGE": language})
    return done.exit_code, done.output


def test_a_pickle_becomes_a_version_in_service(project: Path) -> None:
    where = ["churn", "--artifact", str(project / "churn.pkl"), "-C", str(project)]
    code, said = run("register", *where)
    assert code == 1
    assert "--allow-pickle" in said
    sample = ["--allow-pickle", "--sample", str(project / "sample.csv")]
    code, said = run("register", *where, *sample, language="es")
    assert code == 0, said
    assert "Calidad desconocida" in said
    assert "puede haberse ajustado con ellas" in said
    assert "está en validación" in said
    app = open_app(project)
    version = app.registry.get("churn", "1.0.0")
    assert app.registry.champion("churn") is None
    assert app.registry.manifest("churn", "1.0.0").profile is not None
    assert version.lineage["kind"] == "registered"

    code, said = run("register", *where, *sample, "--promote", "--json")
    document = json.loads(said)
    assert (code, document["stage"], document["already_registered"]) == (0, "production", True)
    rows = LeanStore(app.database_url).serving_rows("telco")
    champion = next(row for row in rows if row.alias == "champion")
    loaded = load_version(champion, app.artifacts.get, native=False)
    assert loaded.faults == ()
    assert loaded.predictor is not None
    stored = decode_manifest(champion.manifest).self_test
    assert loaded.predictor.predict_row(stored.rows[0]).prediction == stored.predictions[0]
    code, said = run("versions", "-C", str(project))
    assert code == 0
    assert "champion" in said
