"""NDJSON through the predict route: over ASGI, and over real sockets where time matters."""

import asyncio
import gzip
import json
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from tests.http import protocols

from timonel.serving.config import WorkerConfig
from timonel.testing.builders import open_registry
from timonel.testing.serving import ROW, ServingWorld

PREDICT = "/v1/models/churn/predict"
LINES = {"Content-Type": "application/x-ndjson"}
ID = "01980000-0000-7000-8000-000000000001"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingWorld]:
    folder = tmp_path_factory.mktemp("world")
    url = f"sqlite:///{folder / 'timonel.db'}"
    with open_registry(url) as (_, registry):
        yield protocols.open_world(folder, url, registry)


@pytest.fixture
def config(base: ServingWorld, tmp_path: Path) -> WorkerConfig:
    return base.config(spool=tmp_path / "spool", slot=tmp_path / "metrics", max_body_bytes=4096)


@pytest.fixture
async def client(config: WorkerConfig) -> AsyncIterator[httpx.AsyncClient]:
    async with protocols.serving(config) as (_, client):
        yield client


@asynccontextmanager
async def listening(config: WorkerConfig) -> AsyncIterator[int]:
    """Serve on a real socket; gives the port."""
    async with protocols.serving(config) as (app, _):
        server = uvicorn.Server(
            uvicorn.Config(app, port=0, log_level="critical", lifespan="off", ws="none")
        )
        running = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield server.servers[0].sockets[0].getsockname()[1]
        finally:
            server.should_exit = True
            await running


def lines(*rows: Any) -> bytes:
    return b"".join(
        (row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows
    )


def answers(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.headers["x-request-id"]
    return [json.loads(line) for line in response.content.splitlines()]


async def test_each_line_is_answered_in_order_and_logged(
    client: httpx.AsyncClient, config: WorkerConfig
) -> None:
    body = lines(
        ROW,
        {"inputs": ROW | {"visits": 0.5}, "unit_id": "u1", "prediction_id": ID},
        {"inputs": [ROW, ROW | {"visits": 9}]},
        b"",
        {"calls": 1, "port": "ARICA", "rut": "1-9", "visits": 0},
    )
    found = answers(await client.post(PREDICT, content=body, headers=LINES))
    assert [one.get("prediction") for one in found] == [0, 1, None, 1]
    assert found[1]["prediction_id"] == ID
    assert len(found[2]["predictions"]) == 2
    logged = protocols.predictions(config)
    assert [frame.unit for frame in logged] == [None, "u1", None, None, None]
    assert logged[-1].key == "1-9"


@pytest.mark.parametrize("kind", ["application/x-ndjson; charset=utf-8", "application/jsonl"])
async def test_its_media_types(client: httpx.AsyncClient, kind: str) -> None:
    response = await client.post(PREDICT, content=lines(ROW), headers={"Content-Type": kind})
    assert len(answers(response)) == 1


async def test_errors_stand_in_their_lines(client: httpx.AsyncClient, config: WorkerConfig) -> None:
    body = lines(
        ROW,
        ROW | {"port": "Valdivia"},
        b"{",
        b"[1]",
        b'{"visits": 3.5, "calls": 2, "port": "Arica"}, "partial": true',
        b'{"visits": 1, "visits": 3.5, "calls": 2, "port": "Arica"}',
        b"\xff",
        ROW | {"port": "x" * 5000},
        {"inputs": ROW, "unit": 3},
        {"inputs": []},
        ROW,
    )
    found = answers(await client.post(PREDICT, content=body, headers=LINES))
    codes = [one.get("error", {}).get("code") for one in found]
    assert codes == [
        None,
        "invalid_row",
        "malformed_body",
        "invalid_row",
        "malformed_body",
        "invalid_row",
        "malformed_body",
        "body_too_large",
        "invalid_request",
        "invalid_request",
        None,
    ]
    assert [one["error"]["line"] for one in found if "error" in one] == list(range(2, 11))
    assert len(protocols.predictions(config)) == 2
    assert len(protocols.refusals(config)) == 8  # of the line that is too long nothing was kept


async def test_an_unknown_model_is_refused_as_a_whole(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/models/nobody/predict", content=lines(ROW), headers=LINES)
    assert (response.status_code, response.json()["code"]) == (404, "unknown_model")
    response = await client.post(
        PREDICT, content=lines(ROW), headers=LINES | {"Content-Encoding": "br"}
    )
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")
    assert answers(await client.post(PREDICT, content=b"", headers=LINES)) == []


async def test_a_compressed_stream_is_read_a_little_at_a_time(client: httpx.AsyncClient) -> None:
    zipped = LINES | {"Content-Encoding": "gzip"}
    body = gzip.compress(lines(*[ROW] * 3000))
    assert len(answers(await client.post(PREDICT, content=body, headers=zipped))) == 3000
    bomb = gzip.compress(b"x" * 20_000_000 + b"\n" + lines(ROW))
    found = answers(await client.post(PREDICT, content=bomb, headers=zipped))
    assert found[0]["error"]["code"] == "body_too_large"
    assert found[1]["prediction"] == 0
    for broken in (body[:-20], b"no gzip", body + b"more"):
        found = answers(await client.post(PREDICT, content=broken, headers=zipped))
        assert found[-1]["error"]["code"] == "malformed_body"
        assert "gzip" in found[-1]["error"]["detail"]


async def test_answers_come_while_the_request_is_still_being_sent(config: WorkerConfig) -> None:
    async with listening(config) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"POST {PREDICT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-ndjson\r\n"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        for visits in (1, 0, 3):
            line = lines(ROW | {"visits": visits})
            writer.write(b"%x\r\n%b\r\n" % (len(line), line))
            size = int(await reader.readuntil(b"\r\n"), 16)
            chunk = await reader.readexactly(size + 2)
            assert json.loads(chunk)["prediction"] == int(visits < 2)
        writer.write(b"0\r\n\r\n")
        assert await reader.readuntil(b"0\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    assert len(protocols.predictions(config)) == 3


async def test_a_client_that_goes_away_or_does_not_read_stops_the_work(
    config: WorkerConfig,
) -> None:
    body = lines(*[ROW] * 1000)
    async with listening(config) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"POST {PREDICT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-ndjson\r\n"
            "Content-Length: 100000000000\r\n\r\n".encode()
        )
        sent, stalled = 0, False
        while not stalled:  # nobody reads the answers: the server stops reading
            writer.write(body)
            sent += 1000
            try:
                await asyncio.wait_for(writer.drain(), 1.0)
            except TimeoutError:
                stalled = True
        writer.transport.abort()
        await asyncio.sleep(0)
    answered = len(protocols.predictions(config))
    assert 0 < answered < sent


@pytest.mark.slow
async def test_memory_does_not_grow_with_the_stream(config: WorkerConfig) -> None:
    piece = lines(*[ROW] * 500)
    pieces = iter([piece] * 30)
    answered = 0

    async def receive() -> dict[str, Any]:
        following = next(pieces, None)
        return {"type": "http.request", "body": following or b"", "more_body": bool(following)}

    async def send(message: dict[str, Any]) -> None:
        nonlocal answered
        answered += message.get("body", b"").count(b"\n")

    scope = {
        "type": "http",
        "method": "POST",
        "path": PREDICT,
        "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/x-ndjson")],
    }
    async with protocols.serving(config) as (app, _):
        tracemalloc.start()
        try:
            await app(scope, receive, send)  # type: ignore[arg-type]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert answered == 30 * 500
    assert peak < 2 << 20


async def test_lines_that_wait_for_the_disk_wait_together_and_keep_their_order(
    base: ServingWorld, config: WorkerConfig
) -> None:
    synced = base.config(spool=config.spool, slot=config.slot, durability="synced")
    rows = [ROW | {"visits": n % 100} for n in range(503)]
    body = lines(*rows, b"{")
    async with protocols.serving(synced) as (_, client):
        response = await client.post(PREDICT, content=body, headers=LINES)
        alone = [
            (await client.post(PREDICT, json={"inputs": row})).json()["score"] for row in rows[:100]
        ]
    found = answers(response)
    assert [one["score"] for one in found[:503]] == [alone[n % 100] for n in range(503)]
    assert found[503]["error"]["line"] == 504
    assert len(protocols.predictions(synced)) == 603


@pytest.mark.parametrize("policy", ["refuse", "answer"])
async def test_a_full_spool_is_told_in_every_form(
    base: ServingWorld, config: WorkerConfig, policy: str
) -> None:
    small = base.config(
        spool=config.spool, slot=config.slot, spool_max_bytes=2000, spool_full=policy
    )
    tensors = [
        {"name": "visits", "datatype": "FP64", "shape": [1], "data": [3.5]},
        {"name": "calls", "datatype": "INT64", "shape": [1], "data": [2]},
        {"name": "port", "datatype": "BYTES", "shape": [1], "data": ["Arica"]},
    ]
    async with protocols.serving(small) as (_, client):
        response = await client.post(PREDICT, content=lines(*[ROW] * 30), headers=LINES)
        last = answers(response)[-1]
        by_tensors = await client.post("/v2/models/churn/infer", json={"inputs": tensors})
        by_table = await client.post("/invocations/churn", json={"instances": [ROW]})
    if policy == "answer":
        assert last["logged"] is False
        for other in (by_tensors, by_table):
            assert (other.status_code, other.headers["x-timonel-logged"]) == (200, "false")
    else:
        assert last["error"]["code"] == "spool_full"
        assert (by_tensors.status_code, list(by_tensors.json())) == (503, ["error"])
        assert by_table.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
        assert by_table.headers["retry-after"]
