"""The serving-only distribution in an empty environment: small, whole, and honest about its limits.

``timonel-serve`` is built as a wheel, installed where nothing else is, and serves a database and
artifacts that the full product prepared here; it is killed, and has lost nothing.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sqlalchemy import func, select

from timonel.project import recipes
from timonel.project.model import Model
from timonel.registry.artifacts import ArtifactStore
from timonel.schema.features import Category, Number
from timonel.schema.schema import Schema
from timonel.store.tables import predictions
from timonel.testing.builders import PROJECT, make_manifest, open_registry, register_version
from timonel.training.publish import declaration_manifest, publish
from timonel.training.train import train
from timonel.wire.rules import RulesSource

pytestmark = pytest.mark.interop

REPOSITORY = Path(__file__).parents[2]
LIMIT_MB = 250
ROW = {"x": 0.4, "zone": "b"}
HEAVY = {"polars", "pandas", "sklearn", "scipy", "xgboost", "lightgbm", "onnx", "fastapi", "httpx"}


def frame() -> pl.DataFrame:
    rng = np.random.default_rng(3)
    x, zone = rng.normal(size=400), rng.choice(["a", "b"], 400)
    return pl.DataFrame({"x": x, "zone": zone, "y": np.where(x + (zone == "b") > 0.5, "si", "no")})


def run(*words: str | Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=600, **options
    )


def outside() -> dict[str, str]:
    """An environment in which nothing of this repository's own can be imported."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel of ``timonel-serve``, as pip installs it."""
    folder = tmp_path_factory.mktemp("serve")
    built = run(
        *(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder / "wheels"),
        REPOSITORY / "packaging" / "serve",
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = (folder / "wheels").glob("timonel_serve-*.whl")
    run(sys.executable, "-m", "venv", folder / "venv", env=outside(), check=True)
    python = folder / "venv" / "bin" / "python"
    added = run(python, "-m", "pip", "install", "-q", "--no-compile", wheel, env=outside())
    assert added.returncode == 0, added.stderr
    return folder / "venv"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A serving host's folder: ``timonel.toml``, and what was prepared elsewhere; no code."""
    folder = tmp_path / "host"
    state = folder / ".timonel"
    state.mkdir(parents=True)
    (folder / "timonel.toml").write_text(f'[project]\nname = "{PROJECT}"\n')
    schema = Schema(Number("x"), Category("zone", ["a", "b"]))
    recipe = recipes.xgboost(n_estimators=20)
    rules = RulesSource("rules", "rule", "def rule(row):\n    return 'no'\n")
    model = Model(
        name="trees",
        task="binary",
        target="y",
        schema=schema,
        source=frame,
        recipe=recipe,
        fallback="rules:rule",
    )
    facts: dict[str, Any] = {"project": PROJECT, "timezone": "UTC", "rules": rules}
    with open_registry(f"sqlite:///{state / 'timonel.db'}") as (_, registry):
        registry.declare(declaration_manifest(model, **facts))
        store = ArtifactStore(state / "artifacts")
        version = publish(train(model, **facts), registry, store, who="t").version
        registry.promote("trees", version, who="t", reason="best")
        registry.declare(make_manifest("slow"))
        native = make_manifest("slow", predictor="native")
        version = register_version(registry, model="slow", manifest=native).version
        registry.promote("slow", version, who="t", reason="best")
    return folder


@contextmanager
def serving(venv: Path, folder: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    process = subprocess.Popen(
        [venv / "bin" / "timonel", "serve", "-C", folder, "--role", "predict", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=outside(),
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        found = re.search(r"http://\S+", said)
        assert found, said
        yield process, found[0]
    finally:
        process.terminate()
        process.communicate(timeout=60)


def ask(url: str, body: Any) -> Any:
    request = urllib.request.Request(
        url,
        None if body is None else json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


def megabytes(packages: Path) -> float:
    """What the distribution put there: on disk, without the environment's own pip."""
    own = {"pip", "setuptools", "pkg_resources"}
    files = (
        path
        for path in packages.rglob("*")
        if path.is_file() and path.relative_to(packages).parts[0].split("-")[0] not in own
    )
    return sum(path.stat().st_blocks * 512 for path in files) / 1e6


def n_logged(folder: Path) -> int:
    url = f"sqlite:///{folder}/.timonel/timonel.db"
    with open_registry(url) as (engine, _), engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(predictions)).scalar_one()


def test_it_serves_is_killed_and_drains(installed: Path, host: Path) -> None:
    with serving(installed, host) as (process, url):
        one = [ask(f"{url}/v1/models/trees/predict", {"inputs": ROW}) for _ in range(20)]
        assert {answer["source"] for answer in one} == {"model"}
        os.killpg(process.pid, signal.SIGKILL)
    with serving(installed, host) as (process, url):
        many = ask(f"{url}/v1/models/trees/predict", {"inputs": [ROW] * 5000})["predictions"]
        assert {answer["source"] for answer in many} == {"model"}
        assert {answer["score"] for answer in many} == {one[0]["score"]}
        slow = ask(f"{url}/v1/models/slow/predict", {"inputs": {"visits": 3}})
        assert slow["source"] == "baseline"
        (fault,) = {(f["code"], f["reason"]) for f in ask(f"{url}/readyz", None)["faults"]}
        assert fault[0] == "native_not_in_process"
        assert "pip install timonel" in fault[1]
    assert process.returncode == 0
    assert n_logged(host) == len(one) + len(many) + 1


@pytest.mark.parametrize(
    "words",
    [
        "serve",
        "serve --role control",
        "up",
        "worker",
        "train trees",
        "init --from x.csv --target y",
        "demo --once",
        "predict trees x.csv",
        "outcome import x.csv",
        "versions",
        "rollback trees",
        "alerts",
        "retrain trees",
        "register trees --artifact x.onnx",
    ],
)
def test_what_needs_more_says_which_installation(installed: Path, host: Path, words: str) -> None:
    (host / "x.csv").write_text("x,y\n1,2\n")
    done = run(
        installed / "bin" / "timonel", *words.split(), cwd=host, env=outside() | {"LANG": "C"}
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "pip install timonel" in done.stderr


def test_the_doctor_knows_what_is_not_to_be_there(installed: Path, host: Path) -> None:
    done = run(installed / "bin" / "timonel", "doctor", "--json", cwd=host, env=outside())
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert findings["install"]["state"] == "ok"
    assert findings["install"]["detail"].startswith("timonel-serve ")
    assert findings["database"]["state"] == "ok"
    assert "project" not in findings


def test_it_is_small_also_with_the_byte_code_of_what_ran(installed: Path) -> None:
    packages = next((installed / "lib").glob("python*")) / "site-packages"
    there = {path.name for path in packages.iterdir()}
    assert not there & HEAVY
    used = megabytes(packages)
    for folder in list(packages.rglob("__pycache__")):
        shutil.rmtree(folder)
    print(f"timonel-serve: {megabytes(packages):.0f} MB, {used:.0f} MB once it has run")
    assert used <= LIMIT_MB
