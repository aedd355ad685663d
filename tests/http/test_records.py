"""Predictions made elsewhere: recorded as they were said, refused by field, counted once."""

import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from tests.http import protocols

from timonel.clock import AffineClock
from timonel.events.accumulators import default_accumulators
from timonel.events.drain import Drainer
from timonel.experiments.service import Experiments
from timonel.experiments.wishes import Wish, design_of
from timonel.registry.registry import Registry
from timonel.serving.config import WorkerConfig
from timonel.store import tables
from timonel.store.engine import make_engine
from timonel.testing.builders import PROJECT, open_registry
from timonel.testing.serving import ROW, ServingWorld
from timonel.wire.ids import IdSource, id_text

RECORDS = "/v1/models/churn/predictions"
_ids = IdSource()


def new_id() -> str:
    return id_text(_ids.next())


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServingWorld, Registry]]:
    folder = tmp_path_factory.mktemp("world")
    url = f"sqlite:///{folder / 'timonel.db'}"
    with open_registry(url) as (_, registry):
        yield protocols.open_world(folder, url, registry), registry


@pytest.fixture
def config(base: tuple[ServingWorld, Registry], tmp_path: Path) -> WorkerConfig:
    return base[0].config(spool=tmp_path / "spool", slot=tmp_path / "metrics")


@pytest.fixture
async def client(config: WorkerConfig) -> AsyncIterator[httpx.AsyncClient]:
    async with protocols.serving(config) as (_, client):
        yield client


async def test_what_was_said_elsewhere_is_logged_as_it_was_said(
    client: httpx.AsyncClient, config: WorkerConfig
) -> None:
    identifier, at = new_id(), ago(hours=3)
    sent = {
        "prediction": 1,
        "inputs": ROW | {"rut": "7-1"},
        "version": "2026-03",
        "score": 0.75,
        "probabilities": {"0": 0.25, "1": 0.75},
        "explanation": "few visits",
        "latency_ms": 3.5,
        "at": at,
        "unit_id": "u1",
        "prediction_id": identifier,
    }
    response = await client.post(RECORDS, json=sent)
    assert (response.status_code, response.json()) == (202, {"prediction_ids": [identifier]})
    (frame,) = protocols.predictions(config)
    assert id_text(frame.id) == identifier
    assert frame.at == round(datetime.fromisoformat(at).timestamp() * 1e6)
    assert (frame.version, frame.source, frame.reason) == ("ext:2026-03", "external", "assigned")
    assert (frame.prediction, frame.score, frame.key, frame.unit) == (1, 0.75, "7-1", "u1")
    assert (frame.latency_us, frame.explanation) == (3500, "few visits")
    assert b'"visits":3.5' in frame.features
    metrics = (await client.get("/metrics")).text
    assert 'source="external"' in metrics


async def test_little_needs_to_be_said(client: httpx.AsyncClient, config: WorkerConfig) -> None:
    ahead = ago(seconds=-20)  # a clock elsewhere that runs fast
    listed = [{"prediction": 0}, {"prediction": True, "key": "7-2", "at": ahead}]
    listed.append({"prediction": 1, "source": "rules", "inputs": ROW})
    response = await client.post(RECORDS, json={"predictions": listed})
    assert response.status_code == 202
    bare, keyed, ruled = protocols.predictions(config)
    assert (bare.version, bare.features, bare.latency_us) == ("ext:unknown", b"{}", 0)
    assert (keyed.prediction, keyed.key) == (1, "7-2")
    assert keyed.at == bare.at  # never in the future
    assert (ruled.version, ruled.source, ruled.reason) == ("", "rules", "server_away")


BAD: list[tuple[Any, list[tuple[int, str, str]]]] = [
    ({}, [(0, "prediction", "missing")]),
    ([], [(0, "predictions", "wrong_type")]),
    ({"predictions": []}, [(0, "predictions", "wrong_type")]),
    ({"predictions": [1, {"prediction": 0}]}, [(0, "predictions", "wrong_type")]),
    ({"prediction": "yes"}, [(0, "prediction", "invalid_answer")]),
    ({"prediction": [1]}, [(0, "prediction", "invalid_answer")]),
    ({"prediction": 1, "score": 1.5}, [(0, "score", "invalid_answer")]),
    ({"prediction": 1, "probabilities": {"2": 1.0}}, [(0, "probabilities", "invalid_answer")]),
    ({"prediction": 1, "probabilities": [1]}, [(0, "probabilities", "invalid_answer")]),
    ({"prediction": 1, "at": ago(days=31)}, [(0, "at", "too_old")]),
    ({"prediction": 1, "at": ago(hours=-1)}, [(0, "at", "in_the_future")]),
    ({"prediction": 1, "at": "noon"}, [(0, "at", "not_a_time")]),
    ({"prediction": 1, "at": 12}, [(0, "at", "wrong_type")]),
    ({"prediction": 1, "prediction_id": str(uuid.uuid4())}, [(0, "prediction_id", "not_an_id")]),
    ({"prediction": 1, "version": "x" * 29}, [(0, "version", "invalid_text")]),
    ({"prediction": 1, "version": ""}, [(0, "version", "invalid_text")]),
    ({"prediction": 1, "source": "model"}, [(0, "source", "wrong_name")]),
    ({"prediction": 1, "source": ["rules"]}, [(0, "source", "wrong_name")]),
    ({"prediction": 1, "source": "rules", "version": "1"}, [(0, "version", "unexpected")]),
    ({"prediction": 1, "latency_ms": 0}, [(0, "latency_ms", "out_of_range")]),
    ({"prediction": 1, "latency_ms": True}, [(0, "latency_ms", "out_of_range")]),
    ({"prediction": 1, "explanation": 7}, [(0, "explanation", "invalid_text")]),
    ({"prediction": 1, "model": "churn"}, [(0, "model", "unknown_field")]),
    (
        {"prediction": 1, "key": "a", "inputs": ROW | {"rut": "b"}},
        [(0, "key", "duplicate_field")],
    ),
    (
        {"predictions": [{"prediction": 0}, {"prediction": 2, "inputs": {"visits": -1}}]},
        [
            (1, "prediction", "invalid_answer"),
            (1, "visits", "out_of_range"),
            (1, "calls", "missing"),
            (1, "port", "missing"),
        ],
    ),
]


@pytest.mark.parametrize(("sent", "expected"), BAD)
async def test_all_that_is_wrong_is_named_and_nothing_is_taken(
    client: httpx.AsyncClient, config: WorkerConfig, sent: Any, expected: list[tuple[int, str, str]]
) -> None:
    response = await client.post(RECORDS, json=sent)
    found = response.json()
    assert (response.status_code, found["code"]) == (422, "invalid_record"), found
    assert [(e["row"], e["field"], e["code"]) for e in found["errors"]] == expected
    assert all(e["found"] and e["expected"] for e in found["errors"])
    assert protocols.predictions(config) == []


async def test_numbers_that_are_none_and_fields_twice(client: httpx.AsyncClient) -> None:
    for body in (b'{"prediction": NaN}', b'{"prediction": 1, "score": 1e999}'):
        found = (await client.post(RECORDS, content=body)).json()
        assert [e["code"] for e in found["errors"]] == ["not_finite"]
    body = b'{"prediction": 1, "probabilities": {"1": NaN}}'
    assert (await client.post(RECORDS, content=body)).status_code == 422
    found = (await client.post(RECORDS, content=b'{"prediction": 1, "prediction": 0}')).json()
    assert [e["code"] for e in found["errors"]] == ["duplicate_field"]


async def test_an_answer_names_its_arm_where_someone_else_acts(
    base: tuple[ServingWorld, Registry], config: WorkerConfig
) -> None:
    world, registry = base
    engine = make_engine(world.database_url)
    experiments = Experiments(engine, PROJECT, AffineClock(), registry, lambda signal: None)
    wish = Wish(
        name="texts", control="external", treatment="external", mode="outside", metric="correct"
    )
    experiments.create(
        design_of(wish, model="churn", task="binary", depends_on_action=False), who="ana"
    )
    experiments.start("texts", who="ana")
    named = {"prediction": 1, "variant": "texts:treatment"}
    async with protocols.serving(config) as (_, client):
        for one in (named | {"unit_id": "u1", "key": "7-3"}, named | {"key": "7-4"}):
            assert (await client.post(RECORDS, json=one)).status_code == 202
        for wrong, field, code in (
            (named, "unit_id", "missing"),
            (named | {"unit_id": "u1", "variant": "texts:holdout"}, "variant", "unknown_variant"),
            (named | {"unit_id": "u1", "variant": ["texts"]}, "variant", "unknown_variant"),
        ):
            refused = (await client.post(RECORDS, json=wrong)).json()
            assert [(e["field"], e["code"]) for e in refused["errors"]] == [(field, code)]
        assert "texts:control, texts:treatment" in refused["errors"][0]["expected"]
    frames = protocols.predictions(config)
    assert [(f.variant, f.unit) for f in frames] == [
        ("texts:treatment", "u1"),
        ("texts:treatment", "7-4"),
    ]
    experiments.stop("texts", who="ana")
    engine.dispose()
    async with protocols.serving(config) as (_, client):
        refused = (await client.post(RECORDS, json=named | {"unit_id": "u1"})).json()
        assert [e["code"] for e in refused["errors"]] == ["unknown_variant"]


async def test_reading_the_log_is_still_the_control_process_s(client: httpx.AsyncClient) -> None:
    assert (await client.get(RECORDS)).json()["code"] == "route_not_here"


async def test_ids_of_the_client_count_once_alone_in_lists_and_late(
    base: tuple[ServingWorld, Registry], config: WorkerConfig
) -> None:
    world, _ = base
    single, several, told = new_id(), [new_id(), new_id()], new_id()
    async with protocols.serving(config) as (_, client):
        predict = "/v1/models/churn/predict"
        for _ in range(2):
            answered = await client.post(predict, json={"inputs": ROW, "prediction_id": single})
            assert answered.status_code == 200
            many = {"inputs": [ROW, ROW], "prediction_ids": several}
            answered = await client.post(predict, json=many)
            assert [a["prediction_id"] for a in answered.json()["predictions"]] == several
            late = {"prediction": 0, "inputs": ROW, "source": "rules", "prediction_id": single}
            new = {"prediction": 1, "inputs": ROW, "version": "b7", "prediction_id": told}
            assert (await client.post(RECORDS, json={"predictions": [late, new]})).is_success
            outcome = {"outcome_id": told, "prediction_id": told, "value": 1}
            response = await client.post("/v1/models/churn/outcomes", json=outcome)
            assert response.json() == {"outcome_ids": [told]}
        for ids in (several[:1], [several[0]] * 2, ["x", "y"], "x", [1, 2]):
            many = {"inputs": [ROW, ROW], "prediction_ids": ids}
            refused = (await client.post(predict, json=many)).json()
            assert (refused["code"], refused["field"]) == ("invalid_request", "prediction_ids")
    engine = make_engine(world.database_url)
    drainer = Drainer(
        engine,
        project=PROJECT,
        folders=[config.spool],
        drainer_id="d1",
        accumulators=default_accumulators(engine, PROJECT),
        clock=AffineClock(),
    )
    report = drainer.drain_once()
    assert (report.n_inserted, report.n_outcomes, report.n_joined) == (4, 1, 1)
    c = tables.performance_cells.c
    with engine.connect() as connection:
        rows = connection.execute(
            select(c.version, c.source, c.n, c.sum_q).where(c.metric == "correct")
        ).all()
        p = tables.predictions.c
        kept = connection.scalar(select(p.source).where(p.prediction_id == uuid.UUID(single)))
    engine.dispose()
    assert [tuple(row) for row in rows] == [("ext:b7", "external", 1, "1000000")]
    assert kept == "model"  # what came first stands
