"""What is measured: one model in a file, and our server with it in a registry."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from timonel.project.model import Model
from timonel.project.outcome import Outcome
from timonel.registry.artifacts import ArtifactStore
from timonel.schema.features import Category, Flag, Number
from timonel.schema.schema import Schema
from timonel.testing.builders import PROJECT, open_registry
from timonel.training.bring.bring import Bring, bring
from timonel.training.publish import declaration_manifest, publish
from timonel.wire.rules import RulesSource

PATH = "/v1/models/bench/predict"
ROW: dict[str, Any] = {f"x{at}": at * 0.37 - 1 for at in range(12)}
ROW |= {"gender": "Male", "zone": "c", "smokes": True, "n": 3}
SCHEMA = Schema(
    *(Number(f"x{at}") for at in range(12)),
    Category("gender", ["Female", "Male"]),
    Category("zone", ["a", "b", "c", "d"]),
    Flag("smokes"),
    Number("n", integer=True, ge=0, le=100),
)
RULES = RulesSource(
    "rules",
    "rule",
    "def rule(row):\n    return 'yes' if row['x0'] > 0 else 'no'\n",
)


def frame(n: int = 3000) -> pl.DataFrame:
    """Make rows of 16 mixed inputs and the target ``y``; always the same."""
    rng = np.random.default_rng(1)
    columns: dict[str, Any] = {f"x{at}": rng.normal(size=n).round(3) for at in range(12)}
    columns["gender"] = rng.choice(["Female", "Male"], n)
    columns["zone"] = rng.choice(["a", "b", "c", "d"], n)
    columns["smokes"] = rng.choice([True, False], n)
    columns["n"] = rng.integers(0, 9, n)
    margin = columns["x0"] + columns["x1"] * columns["x2"] + rng.normal(size=n) * 0.3
    columns["y"] = np.where(margin > 0, "yes", "no")
    return pl.DataFrame(columns)


def fit(folder: Path, trees: int) -> Path:
    """Fit the pipeline that every server answers with, and give its file."""
    rows, file = folder / "rows.csv", folder / f"trees{trees}.joblib"
    frame().write_csv(rows)
    script = Path(__file__).parent / "peers" / "fit.py"
    subprocess.run([sys.executable, script, rows, str(trees), file], check=True)
    return file


def project(folder: Path, file: Path) -> None:
    """Make a project folder whose model is the fitted pipeline, in production."""
    state = folder / ".timonel"
    state.mkdir(parents=True)
    (folder / "timonel.toml").write_text(f'[project]\nname = "{PROJECT}"\n')
    model = Model(
        name="bench",
        task="binary",
        target="y",
        positive="yes",
        schema=SCHEMA,
        source=frame,
        fallback="rules:rule",
        outcome=Outcome(key="rut"),
    )
    facts: dict[str, Any] = {"project": PROJECT, "timezone": "UTC", "rules": RULES}
    given = Bring(artifact=file, classes=["no", "yes"], allow_pickle=True)
    with open_registry(f"sqlite:///{state / 'timonel.db'}") as (_, registry):
        registry.declare(declaration_manifest(model, **facts))
        brought = bring(model, given, folder=folder, **facts)
        version = publish(brought, registry, ArtifactStore(state / "artifacts"), who="bench")
        registry.promote("bench", version.version, who="bench", reason="benchmark")


def serve(folder: Path, port: int, **settings: str) -> "subprocess.Popen[bytes]":
    """Start our whole server (supervisor, one worker, drain) on a project folder."""
    command = [sys.executable, "-m", "timonel.cli.main", "serve", "--role", "predict"]
    return subprocess.Popen(
        [*command, "-C", str(folder), "--port", str(port)],
        stdout=subprocess.DEVNULL,
        env=os.environ | {f"TIMONEL_{name.upper()}": value for name, value in settings.items()},
    )


def forget(folder: Path) -> None:
    """Remove what a round left in the spool."""
    shutil.rmtree(folder / ".timonel" / "spool", ignore_errors=True)
