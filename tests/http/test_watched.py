"""What checks said, over HTTP and by command."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from tests.http import world
from tests.http.conftest import client_of
from typer.testing import CliRunner

from timonel.cli.main import app as command
from timonel.jobs.runner import JobRunner
from timonel.project.model import Model
from timonel.schema.features import Text
from timonel.schema.schema import Schema
from timonel.store.migrate import upgrade
from timonel.testing.events import PROJECT
from timonel.testing.monitored import SCHEMA, City, usual


class Harbour(world.LocalApp):
    """An app on the project whose traffic ``City`` makes."""

    @property
    def name(self) -> str:
        return PROJECT

    def model(self, name: str) -> Model:
        return Model(name=name, task="binary", target="leaves", schema=SCHEMA, source=learned)


def learned() -> pl.DataFrame:
    columns = usual(np.random.default_rng(5), 1_000)
    return pl.DataFrame({**columns, "leaves": ["no", "yes"] * 500})


def older(rng: np.random.Generator, n: int) -> dict[str, Any]:
    columns = usual(rng, n)
    columns["age"] = columns["age"] + 5.0
    return columns


@pytest.fixture(scope="module")
def drifted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[world.LocalApp]:
    """A model whose customers grew older two hours ago."""
    folder = tmp_path_factory.mktemp("drifted")
    app = Harbour(f"sqlite:///{folder / 'timonel.db'}")
    upgrade(app.engine)
    city = City(app.engine, folder, seed=1)
    for draw in (usual, older, older):
        asked = city.ask(1000, draw)
        city.tell(asked, 0.9)
        city.end_hour()
    yield app
    app.engine.dispose()


NOTED = Schema(*SCHEMA, Text("note"))
SAID = ["se cortó la luz", "no llega agua", "poste caído", "fuga en la calle", "sin luz hoy"]


def noted(rng: np.random.Generator, n: int) -> dict[str, Any]:
    return {**usual(rng, n), "note": rng.choice(SAID, n)}


def in_other_words(rng: np.random.Generator, n: int) -> dict[str, Any]:
    columns = noted(rng, n)
    columns["note"] = np.where(rng.random(n) < 0.3, "kein strom in agua", columns["note"])
    columns["plan"] = np.where(rng.random(n) < 0.4, "gold", columns["plan"])
    return columns


BY_VALUE = {
    "metric": "accuracy",
    "columns": {  # basic, free, gold, any other, missing
        "plan": {
            "n": [600, 250, 400, 0, 0],
            "mean": [0.95, 0.95, 0.6, 0, 0],
            "variance": [0.0475, 0.0475, 0.24, 0, 0],
        }
    },
}


@pytest.fixture(scope="module")
def reworded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[world.LocalApp]:
    """A model whose texts were of other words in the last hour, and more people on gold."""
    folder = tmp_path_factory.mktemp("reworded")
    app = Harbour(f"sqlite:///{folder / 'timonel.db'}")
    upgrade(app.engine)
    city = City(
        app.engine, folder, seed=1, schema=NOTED, draw=noted, metrics={"by_value": BY_VALUE}
    )
    city.tell(city.ask(1000, in_other_words), 0.8)
    city.end_hour()
    yield app
    app.engine.dispose()


async def ask(app: world.LocalApp, path: str) -> httpx.Response:
    async with client_of(app) as client:
        return await client.get(path)


async def test_drift_names_the_columns_that_moved(drifted: world.LocalApp) -> None:
    answer = await ask(drifted, "/v1/models/churn/drift?limit=2")
    assert answer.status_code == 200
    document = answer.json()
    assert document["state"] == "alert"
    assert len(document["windows"]) == 2
    moved = [c["subject"] for c in document["windows"][0]["columns"] if c["state"] == "alert"]
    assert "age" in moved
    newest, before = document["windows"]
    assert newest["window_start"] == before["window_end"]
    assert newest["n"] == 1000


async def test_a_column_is_followed_over_windows_and_versions(drifted: world.LocalApp) -> None:
    answer = await ask(drifted, "/v1/models/churn/drift/column?name=age&limit=2")
    document = answer.json()
    first, last = document["windows"]
    assert [first["state"], last["state"]] == ["warning", "alert"]
    assert first["window_end"] == last["window_start"]
    assert last["effect"] > last["facts"]["floor"]
    (deployed,) = document["deployments"]
    assert deployed["version"] == "1.0.0"
    assert deployed["at"] <= first["window_start"]
    none = await ask(drifted, "/v1/models/churn/drift/column?name=edad")
    assert (none.status_code, none.json()["code"]) == (404, "column_not_judged")
    assert "age, plan, visits, @score, @prediction" in none.json()["detail"]


async def test_windows_of_every_monitor(drifted: world.LocalApp) -> None:
    document = (await ask(drifted, "/v1/models/churn/windows")).json()
    monitors = {row["monitor"] for row in document["windows"]}
    assert monitors == {
        "feature_drift", "performance", "concept_drift", "fallback", "no_data", "anomaly",
        "data_quality", "schema",
    }  # fmt: skip
    only = (await ask(drifted, "/v1/models/churn/windows?monitor=performance&limit=2")).json()
    assert [row["monitor"] for row in only["windows"]] == ["performance"] * 2


async def test_nothing_judged_is_a_state_and_nobody_knows_is_an_error(
    app: world.LocalApp,
) -> None:
    world.declare(app, "churn")
    document = (await ask(app, "/v1/models/churn/drift")).json()
    assert document == {
        "model": "churn",
        "state": "unknown",
        "reason": "no_judged_window",
        "windows": [],
    }
    assert (await ask(app, "/v1/models/chrun/drift")).status_code == 404
    assert (await ask(app, "/v1/models/churn/windows?monitor=weather")).status_code == 422


@pytest.mark.parametrize(
    ("language", "words"), [("en", "alert, 1000 rows"), ("es", "alerta, 1000 filas")]
)
def test_the_command_prints_what_moved(
    drifted: world.LocalApp, monkeypatch: pytest.MonkeyPatch, language: str, words: str
) -> None:
    monkeypatch.setenv("TIMONEL_LANGUAGE", language)
    monkeypatch.setattr("timonel.app.open_app", lambda _folder: drifted)
    shown = CliRunner().invoke(command, ["drift", "churn", "--last", "1"])
    assert shown.exit_code == 0, shown.output
    assert words in shown.output
    assert "age" in shown.output
    assert "plan" not in shown.output
    # the version's training is made up: it measured no importance
    assert {"en": "age (importance unknown)", "es": "age (importancia desconocida)"}[
        language
    ] in shown.output
    assert {"en": "% sound (", "es": "% sanos ("}[language] in shown.output
    whole = CliRunner().invoke(command, ["drift", "churn", "--json"])
    assert len(json.loads(whole.output)[0]["windows"]) == 3
    column = CliRunner().invoke(command, ["drift", "column", "churn", "age"])
    assert column.exit_code == 0, column.output
    into = {"en": "1.0.0 into production", "es": "1.0.0 a producción"}[language]
    assert into in column.output
    assert column.output.count("1000") == 3


@pytest.mark.parametrize(
    ("language", "told", "by", "none"),
    [
        (
            "en",
            "can be told from those it learned from. AUC 0.",
            "without them): age 0.",
            "cannot say: no window",
        ),
        (
            "es",
            "se distinguen de aquellas de las que aprendió. AUC 0,",
            "sin ellas): age 0,",
            "decir: aún no se",
        ),
    ],
)
def test_all_columns_together_are_looked_at_on_request(
    drifted: world.LocalApp,
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    told: str,
    by: str,
    none: str,
) -> None:
    monkeypatch.setenv("TIMONEL_LANGUAGE", language)
    monkeypatch.setattr("timonel.app.open_app", lambda _folder: drifted)
    asked = ["drift", "churn", "--last", "2", "--multivariate"]
    shown = CliRunner().invoke(command, asked)
    assert shown.exit_code == 0, shown.output
    assert told in shown.output
    assert by in shown.output
    whole = json.loads(CliRunner().invoke(command, [*asked, "--json"]).output)[0]["multivariate"]
    assert (whole["state"], whole["n"], whole["reference_as_trained"]) == (
        "told_apart",
        2000,
        False,
    )
    monkeypatch.setattr("timonel.monitoring.history.drift_windows", lambda *_: [])
    unknown = CliRunner().invoke(command, asked)
    assert none in unknown.output.splitlines()[-1]


async def test_all_columns_together_are_compared_by_a_job(drifted: world.LocalApp) -> None:
    here = "/v1/models/churn/drift/multivariate"
    async with client_of(drifted) as client:
        made = await client.post(here, json={"last": 2, "seed": 1, "who": "ana"})
        assert (made.status_code, made.json()["result"]) == (202, None)
        assert made.headers["location"] == f"/v1/jobs/{made.json()['job_id']}"
        again = await client.post(here)
        assert (again.status_code, again.json()["code"]) == (409, "job_active")
        runner = JobRunner(drifted.jobs, drifted.job_kinds(), "w", lambda told, facts: None)
        assert await asyncio.to_thread(runner.run_one)
        (look,) = (await client.get(here)).json()["looks"]
        assert (look["state"], look["requested_by"], look["seed"]) == ("succeeded", "ana", 1)
        assert (look["result"]["state"], look["result"]["n"]) == ("told_apart", 2000)
        assert look["result"]["columns"][0]["column"] == "age"
        (*_, first) = (await client.get("/v1/models/churn/drift?limit=2")).json()["windows"]
        assert look["window_start"] == first["window_start"]
        job = (await client.get(made.headers["location"])).json()
        assert (job["kind"], job["result"]["state"]) == ("drift_multivariate", "told_apart")
        for body, status, code in (
            ({"last": 0}, 422, "invalid_parameters"),
            ({"seed": -1}, 422, "invalid_parameters"),
        ):
            refused = await client.post(here, json=body)
            assert (refused.status_code, refused.json()["code"]) == (status, code)
        nobody = await client.post("/v1/models/none/drift/multivariate")
        assert (nobody.status_code, nobody.json()["code"]) == (404, "unknown_model")


async def test_without_a_judged_window_there_is_nothing_to_compare(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    app.registry.declare(world.manifest("quiet"))
    refused = await client.post("/v1/models/quiet/drift/multivariate")
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_to_compare")
    assert "no version is in production" in refused.json()["detail"]
    assert (await client.get("/v1/models/quiet/drift/multivariate")).json() == {"looks": []}


@pytest.mark.parametrize(
    ("language", "more", "fewer", "new"),
    [
        ("en", "note: in more texts: agua (2", "note: in fewer texts: luz (4", "are new"),
        ("es", "note: en más textos: agua (2", "note: en menos textos: luz (4", "son nuevas"),
    ],
)
async def test_words_that_came_and_went_are_named(
    reworded: world.LocalApp,
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    more: str,
    fewer: str,
    new: str,
) -> None:
    monkeypatch.setenv("TIMONEL_LANGUAGE", language)
    monkeypatch.setattr("timonel.app.open_app", lambda _folder: reworded)
    shown = CliRunner().invoke(command, ["drift", "churn"])
    assert shown.exit_code == 0, shown.output
    for words in (more, fewer, new):
        assert words in shown.output
    [window] = (await ask(reworded, "/v1/models/churn/drift")).json()["windows"]
    facts = next(c["facts"] for c in window["columns"] if c["subject"] == "note")
    agua = next(one for one in facts["text"]["words"] if one["word"] == "agua")
    assert agua["share"] == pytest.approx(0.44, abs=0.05)
    assert agua["share_reference"] == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize(
    ("language", "alone", "unknown", "measured"),
    [
        ("en", "accuracy (points) would change by: ", "note (cannot say)", "that time: -1"),
        ("es", "la exactitud (puntos) cambiaría en: ", "note (no se puede", "ese tiempo: -1"),
    ],
)
async def test_what_a_new_mix_does_to_the_performance_stands_beside_what_was_measured(
    reworded: world.LocalApp,
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    alone: str,
    unknown: str,
    measured: str,
) -> None:
    monkeypatch.setenv("TIMONEL_LANGUAGE", language)
    monkeypatch.setattr("timonel.app.open_app", lambda _folder: reworded)
    shown = CliRunner().invoke(command, ["drift", "churn"]).output
    for words in (alone, unknown, measured):
        assert words in shown
    [window] = (await ask(reworded, "/v1/models/churn/drift")).json()["windows"]
    parts = {one["column"]: one["performance"] for one in window["facts"]["explained"]}
    plan = parts["plan"]
    # gold rises from 400 of 1,250 to .3 + .4 x .7 = .58 of the rows, at .35 less accuracy
    assert plan["change"] == pytest.approx(-(0.58 - 0.32) * 0.35, abs=0.02)
    assert plan["lower"] < plan["change"] < plan["upper"] < 0
    assert parts["note"] == {"reason": "not_measured"}
    assert window["performance"]["effect"] == pytest.approx(-0.1, abs=0.05)
