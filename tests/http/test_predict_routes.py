"""The raw routes of a predict worker, over ASGI, on real parts: database, spool, slots."""

import asyncio
import gzip
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from timonel.events.frames import (
    Frame,
    OutcomeFrame,
    PredictionFrame,
    RefusalFrame,
    decode,
)
from timonel.events.segments import list_segments, read_frames
from timonel.registry.manifest import ServingPolicy
from timonel.serving.application import ServingApplication, build
from timonel.serving.config import WorkerConfig
from timonel.serving.routes import predict
from timonel.testing.builders import open_registry
from timonel.testing.serving import (
    ROW,
    ServingWorld,
    declared_manifest,
    linear_manifest,
)

PREDICT = "/v1/models/churn/predict"
OUTCOMES = "/v1/models/churn/outcomes"
KEY = "s3cret"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingWorld]:
    """A project with a champion, a model of rules only, and one with nothing to answer by."""
    folder = tmp_path_factory.mktemp("world")
    url = f"sqlite:///{folder / 'timonel.db'}"
    with open_registry(url) as (_, registry):
        world = ServingWorld(folder, url, registry)
        for name in ("churn", "ruled", "bare", "broken"):
            rules = {} if name != "bare" else {"rules": None}
            registry.declare(declared_manifest(name, **rules))
        world.promote()
        world.promote(linear_manifest("broken", visits=1e308, calls=-1e308))
        yield world


@pytest.fixture
def config(base: ServingWorld, tmp_path: Path) -> WorkerConfig:
    """A worker on that project, with a spool and slots of its own."""
    return base.config(spool=tmp_path / "spool", slot=tmp_path / "metrics")


@asynccontextmanager
async def serving(
    config: WorkerConfig, *, peer: str = "127.0.0.1"
) -> AsyncIterator[tuple[ServingApplication, httpx.AsyncClient]]:
    app = build(config)
    await app.start()
    transport = httpx.ASGITransport(app, client=(peer, 1))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield app, client
    finally:
        await app.stop()


def frames(config: WorkerConfig) -> list[Frame]:
    return [
        decode(payload)
        for segment in list_segments(config.spool)
        for _, payload in read_frames(segment, 0, max_frames=100_000).frames
    ]


@pytest.fixture
async def client(config: WorkerConfig) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(config) as (_, client):
        yield client


def problem_of(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    document: dict[str, Any] = response.json()
    assert (response.status_code, document["code"]) == (status, code), document
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    assert document["status"] == status
    assert document["type"] == f"urn:timonel:error:{code}"
    assert document["title"]
    assert document["detail"]
    assert document["remedy"]
    assert document["instance"].startswith("/")
    return document


# --- answers


async def test_an_answer_has_all_fields_and_is_logged_before_it(
    client: httpx.AsyncClient, config: WorkerConfig
) -> None:
    response = await client.post(
        PREDICT, json={"inputs": ROW | {"rut": "12-3", "port": "ARICA"}, "unit_id": "u1"}
    )
    assert response.status_code == 200, response.text
    answer = response.json()
    assert list(answer) == [
        "prediction_id",
        "model",
        "version",
        "variant",
        "source",
        "reason",
        "prediction",
        "score",
        "probabilities",
        "latency_ms",
    ]
    assert (answer["model"], answer["version"], answer["variant"]) == ("churn", "1.0.0", "")
    assert (answer["source"], answer["reason"]) == ("model", "assigned")
    assert answer["prediction"] == 0
    assert answer["score"] == pytest.approx(0.18242552)
    assert answer["probabilities"]["1"] == answer["score"]
    assert 0 < answer["latency_ms"] < 1000
    (frame,) = frames(config)
    assert isinstance(frame, PredictionFrame)
    assert str(uuid.UUID(bytes=frame.id)) == answer["prediction_id"]
    assert (frame.key, frame.unit, frame.score) == ("12-3", "u1", answer["score"])
    assert json.loads(frame.features) == ROW | {"open": None, "since": None}
    assert frame.generation > 0


async def test_a_model_without_a_version_is_answered_by_its_rules(
    client: httpx.AsyncClient,
) -> None:
    answer = (await client.post("/v1/models/ruled/predict", json={"inputs": ROW})).json()
    assert (answer["source"], answer["reason"], answer["version"]) == ("rules", "no_version", "")
    assert answer["explanation"] == "by visits"


async def test_a_failing_model_is_answered_by_rules_then_baseline(
    client: httpx.AsyncClient,
) -> None:
    told = []
    for calls in (90, 100, 99):
        row = ROW | {"visits": 90, "calls": calls}
        answer = (await client.post("/v1/models/broken/predict", json={"inputs": row})).json()
        told.append((answer["source"], answer["reason"], answer["version"]))
    assert told == [
        ("rules", "invalid_output", ""),
        ("baseline", "invalid_output", ""),
        ("baseline", "invalid_output", ""),
    ]


async def test_nothing_to_answer_by_is_503_and_logged_as_a_refusal(
    client: httpx.AsyncClient, config: WorkerConfig
) -> None:
    response = await client.post("/v1/models/bare/predict", json={"inputs": ROW})
    document = problem_of(response, 503, "not_servable")
    assert "timonel train bare" in document["remedy"]
    assert response.headers["retry-after"] == "1"
    (frame,) = frames(config)
    assert isinstance(frame, RefusalFrame)
    assert (frame.model, frame.code) == ("bare", "not_servable")


async def test_a_client_may_send_its_own_id_if_it_is_a_uuid7(
    client: httpx.AsyncClient, config: WorkerConfig
) -> None:
    mine = "0198c0de-0000-7000-8000-00000000abcd"
    body = {"inputs": ROW, "prediction_id": mine.upper()}
    assert (await client.post(PREDICT, json=body)).json()["prediction_id"] == mine
    body["prediction_id"] = str(uuid.uuid4())
    document = problem_of(await client.post(PREDICT, json=body), 422, "invalid_request")
    assert document["field"] == "prediction_id"
    assert "UUIDv7" in document["detail"]


async def test_many_rows_are_answered_in_order(
    client: httpx.AsyncClient, config: WorkerConfig
) -> None:
    rows = [ROW | {"visits": at / 10} for at in range(300)]
    answers = (await client.post(PREDICT, json={"inputs": rows})).json()["predictions"]
    scores = [answer["score"] for answer in answers]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 300
    logged = frames(config)
    assert [str(uuid.UUID(bytes=frame.id)) for frame in logged] == [
        answer["prediction_id"] for answer in answers
    ]
    one = (await client.post(PREDICT, json={"inputs": [ROW]})).json()
    assert list(one) == ["predictions"]


async def test_a_bad_row_refuses_the_batch_or_by_wish_only_itself(
    client: httpx.AsyncClient, config: WorkerConfig
) -> None:
    rows = [ROW, ROW | {"visits": "1,5"}, ROW | {"port": "Aricaa", "extra": 1}]
    document = problem_of(await client.post(PREDICT, json={"inputs": rows}), 422, "invalid_row")
    assert [(e["row"], e["field"]) for e in document["errors"]] == [
        (1, "visits"),
        (2, "port"),
        (2, "extra"),
    ]
    response = await client.post(PREDICT, json={"inputs": rows, "partial": True})
    first, second, third = response.json()["predictions"]
    assert first["source"] == "model"
    assert second["error"]["errors"][0]["row"] == 1
    assert third["error"]["code"] == "invalid_row"
    logged = frames(config)
    assert [type(frame) for frame in logged].count(PredictionFrame) == 1
    refused = [frame for frame in logged if isinstance(frame, RefusalFrame)]
    # a name that no schema declares is the client's own, and is not kept
    assert [(f.n, dict(zip(f.fields, f.rows, strict=True))) for f in refused] == [
        (2, {"visits": 1, "port": 1, "@unknown": 1}),
        (1, {"visits": 1}),
        (1, {"port": 1, "@unknown": 1}),
    ]


async def test_rows_of_concurrent_requests_never_mix(client: httpx.AsyncClient) -> None:
    async def ask(visits: float) -> tuple[float, float]:
        sent = {"inputs": ROW | {"visits": visits, "calls": 0}}
        return visits, (await client.post(PREDICT, json=sent)).json()["score"]

    pairs = await asyncio.gather(*(ask(at / 7) for at in range(200)))
    expected = sorted(pairs, key=lambda pair: pair[0])
    assert [score for _, score in expected] == sorted((s for _, s in pairs), reverse=True)


# --- what is refused


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"", 400, "malformed_body"),
        (b'{"inputs": {', 400, "malformed_body"),
        (b'{"inputs": "\xff"}', 400, "malformed_body"),
        (b"[" * 50_000, 400, "malformed_body"),
        (b"[]", 422, "invalid_request"),
        (b"null", 422, "invalid_request"),
        (b"{}", 422, "invalid_request"),
        (b'{"visits": 1}', 422, "invalid_request"),
        (b'{"inputs": []}', 422, "invalid_request"),
        (b'{"inputs": {}, "imputs": 1}', 422, "invalid_request"),
        (b'{"inputs": {}, "inputs": {}}', 422, "invalid_request"),
        (b'{"inputs": {}, "partial": "yes"}', 422, "invalid_request"),
        (b'{"inputs": {}, "unit_id": [1]}', 422, "invalid_request"),
        (b'{"inputs": {}, "unit_id": ""}', 422, "invalid_request"),
        (b'{"inputs": [{}], "prediction_id": "x"}', 422, "invalid_request"),
        (b'{"inputs": null}', 422, "invalid_row"),
        (b'{"inputs": 3}', 422, "invalid_row"),
        (b'{"inputs": {}}', 422, "invalid_row"),
        (b'{"inputs": [[]]}', 422, "invalid_row"),
        (b'{"inputs": {"visits": NaN, "calls": 1, "port": "Arica"}}', 422, "invalid_row"),
    ],
)
async def test_bad_bodies(client: httpx.AsyncClient, sent: bytes, status: int, code: str) -> None:
    headers = {"content-type": "application/json"}
    problem_of(await client.post(PREDICT, content=sent, headers=headers), status, code)


async def test_a_malformed_body_is_told_where_it_breaks(client: httpx.AsyncClient) -> None:
    response = await client.post(PREDICT, content=b'{"inputs":\n {"visits" 3}}')
    document = problem_of(response, 400, "malformed_body")
    assert "line 2, column 12" in document["detail"]
    assert document["position"] == 22


async def test_an_unknown_model_names_the_closest(client: httpx.AsyncClient) -> None:
    for path in ("/v1/models/chrun/predict", "/v1/models/chrun/outcomes"):
        document = problem_of(await client.post(path, json={"inputs": ROW}), 404, "unknown_model")
        assert document["known"] == ["bare", "broken", "churn", "ruled"]
        assert "churn" in document["detail"]


@pytest.mark.parametrize("path", [PREDICT, OUTCOMES])
async def test_another_method_is_405_with_allow(client: httpx.AsyncClient, path: str) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        response = await client.request(method, path)
        problem_of(response, 405, "method_not_allowed")
        assert response.headers["allow"] == "POST"
    response = await client.post("/readyz")
    problem_of(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/json; charset=latin-1"}, 415),
        ({"content-type": "application/json", "content-encoding": "br"}, 415),
        ({"content-type": "application/json; charset=UTF-8"}, 200),
        ({"content-type": "application/vnd.acme+json"}, 200),
        ({"content-type": "application/json", "content-encoding": "identity"}, 200),
        ({}, 200),
    ],
)
async def test_content_types(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    body = json.dumps({"inputs": ROW}).encode()
    response = await client.post(PREDICT, content=body, headers=headers)
    if status == 200:
        assert response.status_code == 200
    else:
        problem_of(response, status, "unsupported_media_type")


@pytest.mark.parametrize("path", [PREDICT, OUTCOMES])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_body_is_413(
    client: httpx.AsyncClient, config: WorkerConfig, path: str, *, chunked: bool
) -> None:
    n_sent = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal n_sent
        while True:
            n_sent += 1
            yield b" " * 65_536

    content = parts() if chunked else b" " * (config.max_body_bytes + 1)
    response = await client.post(
        path, content=content, headers={"content-type": "application/json"}
    )
    document = problem_of(response, 413, "body_too_large")
    assert document["limit"] == config.max_body_bytes
    assert n_sent < 20


async def test_gzip_is_read_and_bombs_are_not_inflated(
    client: httpx.AsyncClient, config: WorkerConfig
) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    good = gzip.compress(json.dumps({"inputs": ROW}).encode())
    assert (await client.post(PREDICT, content=good, headers=headers)).status_code == 200
    bomb = gzip.compress(b" " * (64 << 20))
    assert len(bomb) < config.max_body_bytes
    problem_of(await client.post(PREDICT, content=bomb, headers=headers), 413, "body_too_large")
    for broken in (good[:-4], good + b"x", b"no gzip", b""):
        response = await client.post(PREDICT, content=broken, headers=headers)
        problem_of(response, 400, "malformed_body")


async def test_too_many_rows_are_413(config: WorkerConfig, base: ServingWorld) -> None:
    few = base.config(spool=config.spool, slot=config.slot, max_rows=3)
    async with serving(few) as (_, client):
        response = await client.post(PREDICT, json={"inputs": [ROW] * 4})
        assert problem_of(response, 413, "too_many_rows")["found"] == 4
        response = await client.post(OUTCOMES, json={"outcomes": [{}] * 4})
        problem_of(response, 413, "too_many_rows")


async def test_overload_is_503_with_retry_after(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "MAX_IN_FLIGHT", 0)
    response = await client.post(PREDICT, json={"inputs": ROW})
    problem_of(response, 503, "overloaded")
    assert response.headers["retry-after"] == "1"


async def test_overload_is_answered_by_the_rules_where_the_policy_says_so(
    base: ServingWorld, config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "MAX_IN_FLIGHT", 0)
    base.promote(linear_manifest("crowded", policy=ServingPolicy(overload="rules")))
    async with serving(config) as (_, client):
        row = (await client.post("/v1/models/crowded/predict", json={"inputs": ROW})).json()
        many = await client.post("/v1/models/crowded/predict", json={"inputs": [ROW]})
        wrong = await client.post("/v1/models/crowded/predict", json={"inputs": {}})
    assert (row["source"], row["reason"]) == ("rules", "overload")
    problem_of(many, 503, "overloaded")
    problem_of(wrong, 422, "invalid_row")
    (frame,) = (frame for frame in frames(config) if isinstance(frame, PredictionFrame))
    assert frame.reason == "overload"


async def test_errors_speak_the_language_of_the_client(client: httpx.AsyncClient) -> None:
    async def detail(accept: str) -> tuple[str, str]:
        response = await client.post(PREDICT, json={}, headers={"accept-language": accept})
        return response.headers["content-language"], response.json()["detail"][:9]

    assert await detail("es-CL,es;q=0.9,en;q=0.8") == ("es", "No se pue")
    assert await detail("en;q=0.1, es;q=0.5") == ("es", "No se pue")
    for other in ("fr", "", "en, es;q=0.5", "es;q=0", "es;q=x, *"):
        assert (await detail(other))[0] == "en"


async def test_the_language_may_be_fixed_by_setting(
    base: ServingWorld, config: WorkerConfig
) -> None:
    spanish = base.config(spool=config.spool, slot=config.slot, language="es")
    async with serving(spanish) as (_, client):
        response = await client.post(PREDICT, json={}, headers={"accept-language": "en"})
        assert response.headers["content-language"] == "es"


async def test_a_request_id_is_echoed_or_made(client: httpx.AsyncClient) -> None:
    async def echoed(sent: str | None) -> str:
        headers = {} if sent is None else {"x-request-id": sent}
        response = await client.post(PREDICT, json={"inputs": ROW}, headers=headers)
        return str(response.headers["x-request-id"])

    assert await echoed("abc-1.2:3_4") == "abc-1.2:3_4"
    made = {await echoed(bad) for bad in (None, "a b", "x" * 129, 'a"b', "<script>")}
    assert len(made) == 5
    assert all(len(one) < 40 and one.isprintable() for one in made)


# --- outcomes


async def test_outcomes_are_taken_with_an_id_each(
    client: httpx.AsyncClient, config: WorkerConfig
) -> None:
    named = str(uuid.uuid4())
    sent = [
        {"prediction_id": named, "value": True},
        {"key": "12-3", "value": 1.5, "at": "2026-03-01T09:00:00"},
        {"key": 12, "value": None},
        {"key": "x", "value": "sí"},
    ]
    response = await client.post(OUTCOMES, json={"outcomes": sent})
    assert response.status_code == 202, response.text
    logged = frames(config)
    assert [str(uuid.UUID(bytes=frame.id)) for frame in logged] == response.json()["outcome_ids"]
    read = [frame for frame in logged if isinstance(frame, OutcomeFrame)]
    assert [(frame.key, frame.value) for frame in read] == [
        (None, True),
        ("12-3", 1.5),
        ("12", None),
        ("x", "sí"),
    ]
    assert read[0].prediction == uuid.UUID(named).bytes
    assert [frame.observed_at for frame in read] == [None, 1_772_366_400_000_000, None, None]
    assert {frame.origin for frame in read} == {"api"}
    single = await client.post(OUTCOMES, json=sent[0])
    assert len(single.json()["outcome_ids"]) == 1


@pytest.mark.parametrize(
    ("sent", "field", "code"),
    [
        ({"value": 1}, "prediction_id", "wrong_name"),
        ({"key": "a", "prediction_id": str(uuid.uuid4()), "value": 1}, "prediction_id", None),
        ({"key": "a"}, "value", "missing"),
        ({"key": "", "value": 1}, "key", "invalid_key"),
        ({"prediction_id": "x", "value": 1}, "prediction_id", "not_an_id"),
        ({"prediction_id": 3, "value": 1}, "prediction_id", "not_an_id"),
        ({"key": "a", "value": [1]}, "value", "wrong_type"),
        ({"key": "a", "value": 2**70}, "value", "out_of_range"),
        ({"key": "a", "value": "x" * 300}, "value", "invalid_text"),
        ({"key": "a", "value": 1, "at": "ayer"}, "at", "not_a_time"),
        ({"key": "a", "value": 1, "at": 3}, "at", "wrong_type"),
        ({"key": "a", "value": 1, "when": 3}, "when", "unknown_field"),
        ({"outcomes": []}, "outcomes", "wrong_type"),
        ({"outcomes": {}}, "outcomes", "wrong_type"),
        ({"outcomes": [3]}, "outcomes", "wrong_type"),
        ({"outcomes": [{}], "key": 1}, "outcomes", "wrong_type"),
        ([], "outcomes", "wrong_type"),
    ],
)
async def test_bad_outcomes_name_the_field(
    client: httpx.AsyncClient, config: WorkerConfig, sent: Any, field: str, code: str | None
) -> None:
    document = problem_of(await client.post(OUTCOMES, json=sent), 422, "invalid_outcome")
    listed = [(one["field"], one["code"]) for one in document["errors"]]
    assert (field, code or "wrong_name") in listed
    assert [type(frame) for frame in frames(config)] == [RefusalFrame]


async def test_one_bad_outcome_stops_all_of_its_request(
    client: httpx.AsyncClient, config: WorkerConfig
) -> None:
    sent = [{"key": "a", "value": 1}, {"key": "b"}, {"value": 3}]
    document = problem_of(
        await client.post(OUTCOMES, json={"outcomes": sent}), 422, "invalid_outcome"
    )
    assert [one["row"] for one in document["errors"]] == [1, 2]
    assert not [frame for frame in frames(config) if isinstance(frame, OutcomeFrame)]


async def test_nan_is_no_outcome(client: httpx.AsyncClient) -> None:
    for literal in ("NaN", "1e999", "-Infinity"):
        body = f'{{"key": "a", "value": {literal}}}'.encode()
        problem_of(await client.post(OUTCOMES, content=body), 422, "invalid_outcome")


# --- the rest


async def test_liveness_readiness_and_metrics(client: httpx.AsyncClient) -> None:
    await client.post(PREDICT, json={"inputs": ROW})
    assert (await client.get("/livez")).json() == {"status": "alive"}
    ready = (await client.get("/readyz")).json()
    assert ready["models"]["churn"]["champion"] == "1.0.0"
    assert ready["models"]["ruled"] == {"champion": None, "answers_by": "fallback", "loaded": {}}
    assert ready["faults"] == []
    head = await client.head("/readyz")
    assert (head.status_code, head.content) == (200, b"")
    metrics = await client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    labels = 'model="churn",version="1.0.0",variant="",source="model",reason="assigned"'
    assert f"timonel_predictions_total{{{labels}}} 1\n" in metrics.text
    assert 'timonel_requests_total{route="predict",status="200"} 1\n' in metrics.text


@pytest.mark.parametrize("path", ["/", "/v1/models", "/v1/models/churn", "/v1/models/churn/x/y"])
async def test_role_predict_names_what_it_answers(client: httpx.AsyncClient, path: str) -> None:
    document = problem_of(await client.get(path), 404, "route_not_here")
    assert "/v1/models/{model}/predict" in document["detail"]


async def test_role_control_forwards_predictions_too(config: WorkerConfig) -> None:
    asked: list[str] = []

    async def control(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    paths = [PREDICT, "/v1/models/churn/outcomes", "/v2/models/churn/infer"]
    app = ServingApplication(msgspec.structs.replace(config, role="control"), control, None)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for path in paths:
            assert (await client.post(path, json={"inputs": ROW})).status_code == 503
    await app.stop()
    assert asked == paths


async def test_the_rest_is_forwarded_with_the_id_of_the_request(config: WorkerConfig) -> None:
    seen: list[dict[bytes, bytes]] = []

    async def control(scope: Any, receive: Any, send: Any) -> None:
        seen.append(dict(scope["headers"]))
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    app = ServingApplication(config, control, None)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        response = await client.get("/ui/", headers={"x-request-id": "mine"})
        assert (response.status_code, response.text) == (418, "/ui/")
        assert response.headers["x-request-id"] == "mine"
        response = await client.get("/v1/models/churn", headers={"x-request-id": "not mine"})
        assert seen[1][b"x-request-id"].decode() == response.headers["x-request-id"] != "not mine"
        # who may ask is settled before anything is forwarded
        response = await client.get("/ui/", headers={"x-forwarded-for": "10.0.0.1"})
        problem_of(response, 401, "key_required")
    await app.stop()
    assert len(seen) == 2


async def test_a_remote_peer_needs_the_key(base: ServingWorld, config: WorkerConfig) -> None:
    keyed = base.config(
        spool=config.spool,
        slot=config.slot,
        admin_key_sha256=sha256(KEY.encode()).hexdigest(),
    )
    async with serving(keyed, peer="10.0.0.8") as (_, client):
        for path in (PREDICT, OUTCOMES, "/metrics", "/v1/models"):
            response = await client.post(path, json={"inputs": ROW})
            problem_of(response, 401, "key_required")
            assert response.headers["www-authenticate"] == "Bearer"
        for path in ("/livez", "/readyz"):
            assert (await client.get(path)).status_code == 200
        shown = {"authorization": f"Bearer {KEY}"}
        response = await client.post(PREDICT, json={"inputs": ROW}, headers=shown)
        assert response.status_code == 200


async def test_a_page_of_another_site_cannot_predict(client: httpx.AsyncClient) -> None:
    response = await client.post(
        PREDICT, json={"inputs": ROW}, headers={"origin": "http://evil.example"}
    )
    problem_of(response, 403, "foreign_origin")


async def test_a_mount_point_is_no_part_of_the_path(config: WorkerConfig) -> None:
    app = build(config)
    await app.start()
    transport = httpx.ASGITransport(app, root_path="/ml", client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        response = await client.post("/ml" + PREDICT, json={"inputs": ROW})
    await app.stop()
    assert response.status_code == 200


async def test_durability_synced(base: ServingWorld, config: WorkerConfig) -> None:
    synced = base.config(spool=config.spool, slot=config.slot, durability="synced")
    async with serving(synced) as (_, client):
        sent = [client.post(PREDICT, json={"inputs": ROW}) for _ in range(40)]
        answers = await asyncio.gather(*sent)
        assert {answer.status_code for answer in answers} == {200}
        many = await client.post(PREDICT, json={"inputs": [ROW] * 100})
        assert len(many.json()["predictions"]) == 100
        assert (await client.post(OUTCOMES, json={"key": "a", "value": 1})).status_code == 202
    assert len(frames(synced)) == 141


@pytest.mark.parametrize("policy", ["refuse", "answer"])
async def test_a_full_spool(base: ServingWorld, config: WorkerConfig, policy: str) -> None:
    small = base.config(
        spool=config.spool, slot=config.slot, spool_max_bytes=2000, spool_full=policy
    )
    async with serving(small) as (_, client):
        responses = [await client.post(PREDICT, json={"inputs": ROW}) for _ in range(30)]
        last = responses[-1]
        many = await client.post(PREDICT, json={"inputs": [ROW, ROW]})
        outcome = await client.post(OUTCOMES, json={"key": "a" * 250, "value": 1})
        metrics = (await client.get("/metrics")).text
    problem_of(outcome, 503, "spool_full")  # a lost outcome cannot be answered otherwise
    if policy == "refuse":
        problem_of(last, 503, "spool_full")
        problem_of(many, 503, "spool_full")
        assert last.headers["retry-after"] == "1"
        return
    assert last.json()["logged"] is False
    assert last.headers["x-timonel-logged"] == "false"
    assert [one["logged"] for one in many.json()["predictions"]] == [False, False]
    assert "logged" not in responses[0].json()
    n_unlogged = sum("logged" in response.json() for response in responses) + 2
    assert f'timonel_unlogged_predictions_total{{model="churn"}} {n_unlogged}\n' in metrics
    n_logged = sum(isinstance(frame, PredictionFrame) for frame in frames(small))
    assert n_logged == 32 - n_unlogged


async def test_a_client_that_leaves_is_not_answered(config: WorkerConfig) -> None:
    app = build(config)
    await app.start()
    messages: list[Any] = []
    parts = iter(
        [
            {"type": "http.request", "body": b'{"inp', "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive() -> Any:
        return next(parts)

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": PREDICT,
        "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"127.0.0.1")],
    }
    await app(scope, receive, send)
    await app.stop()
    assert messages == []


async def test_a_defect_is_a_503_with_an_error_id_in_the_log(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defect(*_: Any, **__: Any) -> None:
        raise KeyError("a defect of ours")

    monkeypatch.setattr(predict, "reply_of", defect)
    response = await client.post(PREDICT, json={"inputs": ROW})
    document = problem_of(response, 503, "unexpected_failure")
    assert document["error_id"] in caplog.text
    assert "a defect of ours" in caplog.text


async def test_without_a_database_it_says_so_until_there_is_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'timonel.db'}"
    world = ServingWorld(tmp_path, url, None)  # type: ignore[arg-type]
    async with serving(world.config()) as (app, client):
        assert not app.ready
        problem_of(await client.get("/readyz"), 503, "not_ready")
        document = problem_of(await client.post(PREDICT, json={"inputs": ROW}), 503, "not_ready")
        assert "timonel.db" in document["detail"]
        assert (await client.get("/livez")).status_code == 200
        with open_registry(url) as (_, registry):
            registry.declare(declared_manifest())
        for _ in range(200):
            if app.ready and app.generation > 1:
                break
            await asyncio.sleep(0.02)
        assert (await client.post(PREDICT, json={"inputs": ROW})).json()["source"] == "rules"


async def test_a_slow_batch_does_not_hold_up_others(config: WorkerConfig) -> None:
    async with serving(config) as (_, client):
        large = {"inputs": [ROW | {"visits": at / 100} for at in range(4000)]}
        working = asyncio.create_task(client.post(PREDICT, json=large))
        await asyncio.sleep(0)
        single = await client.post(PREDICT, json={"inputs": ROW})
        assert single.status_code == 200
        assert len((await working).json()["predictions"]) == 4000


async def test_stop_ends_what_was_begun_and_refuses_the_rest(config: WorkerConfig) -> None:
    async with serving(config) as (app, client):
        large = {"inputs": [ROW] * 1000}
        working = asyncio.create_task(client.post(PREDICT, json=large))
        while not app.in_flight:
            await asyncio.sleep(0)
        stopping = asyncio.create_task(app.stop())
        await asyncio.sleep(0)
        response = await client.post(PREDICT, json={"inputs": ROW})
        problem_of(response, 503, "not_ready")
        assert len((await working).json()["predictions"]) == 1000
        await stopping
    assert len(frames(config)) == 1000


async def test_low_confidence_and_deadline_are_of_the_manifest(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'timonel.db'}"
    with open_registry(url) as (_, registry):
        world = ServingWorld(tmp_path, url, registry)
        policy = ServingPolicy(low_confidence=0.95)
        world.promote(linear_manifest(policy=policy))
        async with serving(world.config()) as (_, client):
            answer = (await client.post(PREDICT, json={"inputs": ROW})).json()
    assert (answer["source"], answer["reason"]) == ("rules", "low_confidence")
