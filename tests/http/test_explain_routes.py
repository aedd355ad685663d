"""Explanations over HTTP: the same rows as predict takes, contributions that add up, and rules."""

from collections.abc import AsyncIterator
from functools import cache
from math import exp
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import numpy as np
import pytest
from sqlalchemy import insert
from tests.http import world
from tests.http.conftest import client_of

from timonel.project import recipes
from timonel.project.model import Model
from timonel.registry.artifacts import ArtifactStore
from timonel.schema.features import Category, Number
from timonel.schema.schema import Schema
from timonel.store.tables import predictions
from timonel.training.publish import declaration_manifest, publish
from timonel.training.train import TrainedVersion, train
from timonel.wire.rules import RulesSource

RULES = RulesSource(
    "rules",
    "by_wait",
    "def by_wait(row):\n    if row['wait'] > 30:\n        return 'late'\n    return 'fine'\n",
)
SCHEMA = Schema(
    Number("wait", ge=0, le=60),
    Number("load", required=False),
    Category("zone", ["north", "south"], unseen="accept"),
)
ROW = {"wait": 45.0, "load": None, "zone": "south"}


def rows(n: int = 300) -> list[dict[str, Any]]:
    rng = np.random.default_rng(2)
    made: list[dict[str, Any]] = []
    for _ in range(n):
        wait = float(rng.uniform(0, 60))
        load = None if rng.random() < 0.1 else float(rng.normal())
        zone = str(rng.choice(["north", "south"]))
        late = wait + 5 * (load or 0.0) + 10 * (zone == "south") + rng.normal(0, 4) > 35
        made.append({"wait": wait, "load": load, "zone": zone, "was": "late" if late else "fine"})
    return made


def declared(recipe: recipes.Recipe) -> Model:
    return Model(
        name="wait",
        task="binary",
        target="was",
        positive="late",
        schema=SCHEMA,
        source=rows,
        recipe=recipe,
    )


RECIPES = {
    "linear": recipes.logistic(),
    "trees": recipes.xgboost(n_estimators=10),
    "sampled": recipes.calibrated(recipes.random_forest(n_estimators=5), method="isotonic"),
    "another": recipes.random_forest(n_estimators=5),
}


@cache
def trained(recipe: str) -> TrainedVersion:
    """Train once for all tests."""
    return train(declared(RECIPES[recipe]), project=world.PROJECT, timezone="UTC", rules=RULES)


def put_into_production(app: world.LocalApp, recipe: str) -> str:
    version = publish(trained(recipe), app.registry, app.artifacts, who="ana")
    app.registry.promote("wait", version.version, who="ana", reason="it serves")
    return version.version


@pytest.fixture
async def asked(app: world.LocalApp, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app.artifacts = ArtifactStore(tmp_path / "artifacts")
    manifest = declaration_manifest(
        declared(recipes.logistic()), project=app.name, timezone="UTC", rules=RULES
    )
    app.registry.declare(manifest)
    async with client_of(app) as client:
        yield client


async def explain(client: httpx.AsyncClient, inputs: Any) -> Any:
    reply = await client.post("/v1/models/wait/explain", json={"inputs": inputs})
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.parametrize("method", ["linear", "trees", "sampled"])
async def test_an_answer_is_explained_feature_by_feature(
    app: world.LocalApp, asked: httpx.AsyncClient, method: str
) -> None:
    version = put_into_production(app, method)
    found = await explain(asked, ROW)
    assert (found["version"], found["source"], found["prediction"]) == (version, "model", "late")
    why = found["explanation"]
    assert (why["method"], why["of"], why["exact"]) == (method, "late", method != "sampled")
    by_feature = {one["feature"]: one for one in why["contributions"]}
    assert {name: one["value"] for name, one in by_feature.items()} == ROW
    assert why["contributions"][0]["feature"] == "wait"
    assert by_feature["wait"]["contribution"] > 0
    assert ("standard_error" in by_feature["wait"]) is (method == "sampled")
    total = why["base"] + sum(one["contribution"] for one in why["contributions"])
    assert total == pytest.approx(why["total"])
    score = total if why["scale"] == "probability" else 1 / (1 + exp(-total))
    assert score == pytest.approx(found["score"], abs=1e-4)
    many = await explain(asked, [ROW, {**ROW, "wait": 1.0}])
    assert [one["prediction"] for one in many["explanations"]] == ["late", "fine"]
    assert many["explanations"][0]["explanation"] == why


async def test_a_version_says_how_much_each_feature_matters(
    app: world.LocalApp, asked: httpx.AsyncClient
) -> None:
    version = put_into_production(app, "linear")
    reply = await asked.get(f"/v1/models/wait/versions/{version}")
    found = reply.json()["metrics"]["importance"]
    assert (found["loss"], found["reason"]) == ("squared_distance", None)
    assert 20 <= found["n"] <= 200
    first, *others = found["features"]
    assert first["feature"] == "wait"
    assert 0 < first["lower"] < first["value"] < first["upper"]
    assert {one["feature"] for one in others} == {"load", "zone"}
    assert all(one["lower"] <= one["value"] < first["lower"] for one in others)


async def test_rows_that_predict_refuses_are_refused_alike(
    app: world.LocalApp, asked: httpx.AsyncClient
) -> None:
    put_into_production(app, "linear")
    reply = await asked.post("/v1/models/wait/explain", json={"inputs": {"wait": 99, "zon": "x"}})
    assert reply.status_code == 422
    assert reply.json()["code"] == "invalid_row"
    assert {error["field"] for error in reply.json()["errors"]} == {"wait", "zone", "zon"}
    reply = await asked.post("/v1/models/wait/explain", json={"inputs": [ROW] * 101})
    assert (reply.status_code, reply.json()["code"]) == (413, "too_many_rows")
    reply = await asked.post("/v1/models/none/explain", json={"inputs": ROW})
    assert (reply.status_code, reply.json()["code"]) == (404, "unknown_model")
    reply = await asked.post("/v1/models/wait/explain", json=ROW)
    assert reply.json()["code"] == "invalid_request"


async def test_rules_show_the_lines_that_ran(asked: httpx.AsyncClient) -> None:
    found = await explain(asked, ROW)
    assert (found["version"], found["source"], found["reason"]) == ("", "rules", "no_version")
    why = found["explanation"]
    assert (why["method"], why["contributions"], why["base"]) == ("rules", [], None)
    assert why["path"] == ["2: if row['wait'] > 30:", "3: return 'late'"]


def log(app: world.LocalApp, number: int, **changes: Any) -> UUID:
    identifier = UUID(int=number)
    values: dict[str, Any] = {
        "project": app.name,
        "prediction_id": identifier,
        "at": 1,
        "ingested_at": 1,
        "model": "wait",
        "version": "",
        "variant": "",
        "source": "rules",
        "reason": "no_version",
        "generation": 1,
        "prediction": '"late"',
        "latency_us": 1,
        "features": msgspec.json.encode(ROW).decode(),
        "drainer_id": "d",
    }
    with app.engine.begin() as connection:
        connection.execute(insert(predictions), [values | changes])
    return identifier


async def test_a_logged_prediction_is_explained_by_the_version_that_gave_it(
    app: world.LocalApp, asked: httpx.AsyncClient
) -> None:
    first = put_into_production(app, "linear")
    said = await explain(asked, ROW)
    put_into_production(app, "another")
    of_model = {"version": first, "source": "model", "reason": "assigned"}
    given = log(app, 1, score=said["score"], **of_model)
    ruled = log(app, 2)
    changed = log(app, 3, score=0.001, **of_model)
    outside = log(app, 4, source="external", version="v9")
    reply = await asked.get(f"/v1/predictions/{given}/explanation")
    assert reply.status_code == 200, reply.text
    assert reply.json()["version"] == first
    assert reply.json()["explanation"] == said["explanation"]
    found = (await asked.get(f"/v1/predictions/{ruled}/explanation")).json()
    assert found["explanation"]["path"][-1] == "3: return 'late'"
    codes = {}
    for identifier in (changed, outside, UUID(int=9)):
        reply = await asked.get(f"/v1/predictions/{identifier}/explanation")
        codes[reply.json()["code"]] = reply.status_code
    assert codes == {
        "not_the_logged_answer": 409,
        "answered_elsewhere": 409,
        "unknown_prediction": 404,
    }
