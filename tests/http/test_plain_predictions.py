"""One plain row over a worker's own connections: answered at once, and as the route answers.

Real sockets. What cannot be answered at once has to come out as if it had never been tried.
"""

import asyncio
import gzip
import hashlib
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from timonel.events import spool
from timonel.events.frames import Frame, PredictionFrame, RefusalFrame, decode
from timonel.events.segments import list_segments, read_frames
from timonel.logging import JsonLines
from timonel.serving.application import ServingApplication, build
from timonel.serving.config import WorkerConfig
from timonel.serving.connection import KnownHeads, WorkerHttp
from timonel.serving.metrics import Family, read_slots
from timonel.serving.routes.plain import Head, PlainHead, Then
from timonel.testing.builders import open_registry
from timonel.testing.serving import (
    ROW,
    ServingWorld,
    declared_manifest,
    linear_manifest,
    make_rules,
)

PREDICT = "/v1/models/churn/predict"
RULES = """
from timonel import Answer
from timonel.logging import get_logger

def stay(row):
    get_logger("app").warning("asked")
    return Answer(0, 0.2)
"""
BODY = json.dumps({"inputs": ROW}).encode()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingWorld]:
    folder = tmp_path_factory.mktemp("world")
    url = f"sqlite:///{folder / 'timonel.db'}"
    with open_registry(url) as (_, registry):
        world = ServingWorld(folder, url, registry)
        registry.declare(declared_manifest("churn"))
        registry.declare(declared_manifest("broken"))
        registry.declare(declared_manifest("ruled", rules=make_rules(RULES)))
        world.promote()
        world.promote(linear_manifest("broken", visits=1e308, calls=-1e308))
        yield world


@pytest.fixture
def config(base: ServingWorld, tmp_path: Path) -> WorkerConfig:
    return base.config(spool=tmp_path / "spool", slot=tmp_path / "metrics")


class Client:
    """One connection, how many requests over it were answered at once, and the heads parsed."""

    def __init__(self, app: ServingApplication) -> None:
        self.n_plain = 0
        self.n_heads = 0
        self.state = ServerState()
        self._app = app
        self.synced = app.plain is not None and app.plain.synced

    async def open(self, port: int) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)

    def head(self, sent: Head) -> PlainHead | None:
        self.n_heads += 1
        return None if self._app.plain is None else self._app.plain.head(sent)

    def answer(self, head: PlainHead, body: bytes) -> bytes | None:
        assert self._app.plain is not None
        said = self._app.plain.answer(head, body)
        self.n_plain += said is not None
        return said

    def answer_then(self, head: PlainHead, body: bytes, then: Then) -> bool:
        assert self._app.plain is not None
        taken = self._app.plain.answer_then(head, body, then)
        self.n_plain += taken
        return taken

    def left(self) -> None:
        assert self._app.plain is not None
        self._app.plain.left()

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(0.02)  # they arrive as pieces

    async def read(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        body = await self._reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, body

    async def at_end(self) -> bool:
        return await asyncio.wait_for(self._reader.read(), 5) == b""

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def connected(config: WorkerConfig, keep_alive_s: int = 60) -> AsyncIterator[Client]:
    app = build(config)
    await app.start()
    client = Client(app)
    served = Config(
        app, ws="none", lifespan="off", log_config=None, timeout_keep_alive=keep_alive_s
    )
    served.load()
    state = client.state
    state.default_headers = [(b"date", b"Thu, 26 Nov 2026 12:00:00 GMT")]

    known = KnownHeads()

    def connection() -> WorkerHttp:
        return WorkerHttp(
            plain=client, known=known, config=served, server_state=state, app_state={}
        )

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    try:
        await client.open(server.sockets[0].getsockname()[1])
        yield client
    finally:
        client.close()
        server.close()
        await app.stop()


def request(body: bytes = BODY, path: str = PREDICT, version: str = "1.1", **headers: str) -> bytes:
    lines = {"host": "127.0.0.1", "content-type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return (
        f"POST {path} HTTP/{version}\r\n{head}content-length: {len(body)}\r\n\r\n".encode() + body
    )


def logged(config: WorkerConfig) -> list[Frame]:
    return [
        decode(payload)
        for segment in list_segments(config.spool)
        for _, payload in read_frames(segment, 0, max_frames=100).frames
    ]


async def test_answers_are_those_of_the_route(config: WorkerConfig) -> None:
    asked = request(x_request_id="abc-1")
    async with connected(config) as client:
        await client.send(asked)
        plain = await client.read()
        await client.send(asked[:-10], asked[-10:])  # a body in parts is the route's
        route = await client.read()
        assert client.n_plain == 1
    assert plain[0] == route[0] == 200
    own = {"content-length"}  # latencies differ in digits
    assert {k: v for k, v in plain[1].items() if k not in own} == {
        k: v for k, v in route[1].items() if k not in own
    }
    said, expected = json.loads(plain[2]), json.loads(route[2])
    assert list(said) == list(expected)
    for name in ("prediction_id", "latency_ms"):
        del said[name], expected[name]
    assert said == expected
    first, second = logged(config)
    assert isinstance(first, PredictionFrame)
    assert isinstance(second, PredictionFrame)
    assert first.features == second.features


async def test_what_rules_log_carries_the_request(
    config: WorkerConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(JsonLines("worker-0"))
    path = "/v1/models/ruled/predict"
    async with connected(config) as client:
        await client.send(request(path=path, x_request_id="abc-1"))
        assert (await client.read())[0] == 200
        assert client.n_plain == 1
        await client.send(request(path=path)[:-10], request()[-10:])
        status, headers, _ = await client.read()
    assert (status, client.n_plain) == (200, 1)
    lines = [json.loads(line) for line in caplog.text.splitlines()]
    said = [line["request_id"] for line in lines if line["logger"] == "timonel.project.app"]
    assert said == ["abc-1", headers["x-request-id"]]


async def test_each_is_counted_and_logged_once(config: WorkerConfig) -> None:
    bad = json.dumps({"inputs": ROW | {"visits": "many"}}).encode()
    async with connected(config) as client:
        for body in (BODY, bad, BODY):
            await client.send(request(body))
        statuses = [(await client.read())[0] for _ in range(3)]
        assert client.n_plain == 2
        (slot,) = read_slots(config.slot)
        counted = {
            series.labels: series.n for series in slot.series if series.family == Family.REQUESTS
        }
    assert statuses == [200, 422, 200]
    assert counted == {("predict", "200"): 2, ("predict", "422"): 1}
    kinds = [type(frame) for frame in logged(config)]
    assert kinds == [PredictionFrame, RefusalFrame, PredictionFrame]


async def test_requests_in_one_piece_are_answered_in_order(config: WorkerConfig) -> None:
    many = json.dumps({"inputs": [ROW, ROW]}).encode()
    ids = [f"id-{n}" for n in range(6)]
    bodies = [BODY, many, BODY, BODY, many, BODY]
    pieces = [request(body, x_request_id=name) for body, name in zip(bodies, ids, strict=True)]
    async with connected(config) as client:
        await client.send(b"".join(pieces))
        answers = [await client.read() for _ in ids]
    assert [answer[1]["x-request-id"] for answer in answers] == ids
    assert ["predictions" in json.loads(answer[2]) for answer in answers] == [
        body is many for body in bodies
    ]


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        (request(b"{}"), 422, "invalid_request"),
        (request(b"{"), 400, "malformed_body"),
        (request(content_type="text/plain"), 415, "unsupported_media_type"),
        (request(path="/v1/models/nobody/predict"), 404, "unknown_model"),
        (request(path="/v1/models/churn/predict/"), 404, "route_not_here"),
        (request(x_forwarded_for="10.0.0.1"), 403, "no_key_set"),
        (request(host="elsewhere.example"), 403, "no_key_set"),
        (request(origin="https://elsewhere.example"), 403, "foreign_origin"),
        (request(gzip.compress(BODY), content_encoding="gzip"), 200, None),
        (request(path=PREDICT + "?x=1"), 200, None),
        (request(path="/v1/models/ch%75rn/predict"), 200, None),
    ],
)
async def test_what_is_not_plain_is_the_routes(
    config: WorkerConfig, asked: bytes, status: int, code: str | None
) -> None:
    async with connected(config) as client:
        await client.send(asked)
        answer = await client.read()
        assert client.n_plain == 0
        await client.send(request())  # and the connection goes on
        assert (await client.read())[0] == 200
        assert client.n_plain == 1
    assert answer[0] == status, answer[2]
    assert json.loads(answer[2]).get("code") == code


@pytest.mark.parametrize(
    "asked", [request(connection="close"), request(version="1.0")], ids=["close", "1.0"]
)
async def test_a_connection_that_ends_is_ended(config: WorkerConfig, asked: bytes) -> None:
    async with connected(config) as client:
        await client.send(asked)
        assert (await client.read())[0] == 200
        assert await client.at_end()


async def test_a_body_is_asked_for(config: WorkerConfig) -> None:
    asked = request(expect="100-continue")
    async with connected(config) as client:
        await client.send(asked[: -len(BODY)])
        assert await client._reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(BODY)
        assert (await client.read())[0] == 200


async def test_a_head_that_is_known_is_not_parsed_again(config: WorkerConfig) -> None:
    many = json.dumps({"inputs": [ROW, ROW]}).encode()
    longer = BODY.ljust(len(many))
    async with connected(config) as client:
        for body, known in ((BODY, False), (BODY, True), (longer, False), (BODY, True)):
            before = client.n_heads
            await client.send(request(body))
            assert (await client.read())[0] == 200
            assert client.n_heads == before + (not known)
        # the same heads before what is not plain, in parts, and before two at once
        await client.send(request(many))
        assert len(json.loads((await client.read())[2])["predictions"]) == 2
        asked = request()
        await client.send(asked[:-5], asked[-5:])
        assert (await client.read())[0] == 200
        await client.send(asked + asked)
        assert [(await client.read())[0] for _ in range(2)] == [200, 200]
        before = client.n_heads
        await client.send(asked)
        assert (await client.read())[0] == 200
        assert client.n_heads == before
    assert len([frame for frame in logged(config) if isinstance(frame, PredictionFrame)]) == 10


async def test_a_key_is_looked_at_each_time(base: ServingWorld, tmp_path: Path) -> None:
    admin = hashlib.sha256(b"the-key").hexdigest()
    own = base.config(spool=tmp_path / "spool", slot=tmp_path / "metrics", admin_key_sha256=admin)
    async with connected(own) as client:
        for key in ("the-key", "the-kez", "the-key"):
            await client.send(request(authorization=f"Bearer {key}"))
            assert (await client.read())[0] == (200 if key == "the-key" else 401)
        assert client.n_plain == 2


async def test_a_connection_that_is_used_stays_open(config: WorkerConfig) -> None:
    async with connected(config, keep_alive_s=1) as client:
        for _ in range(8):
            await client.send(request())
            assert (await client.read())[0] == 200
            await asyncio.sleep(0.2)  # longer than a connection stays idle, in all
        assert client.n_plain == 8
        assert client.n_heads == 1
        assert await client.at_end()  # and then it was idle


async def test_rules_stand_in_for_a_broken_model(config: WorkerConfig) -> None:
    async with connected(config) as client:
        await client.send(request(path="/v1/models/broken/predict"))
        status, _, body = await client.read()
        assert client.n_plain == 1
    said = json.loads(body)
    assert (status, said["source"], said["reason"]) == (200, "rules", "invalid_output")


async def test_nothing_is_answered_once_the_end_has_begun(config: WorkerConfig) -> None:
    app = build(config)
    await app.start()
    assert app.plain is not None
    head = app.plain.head(Head(PREDICT.encode(), [(b"host", b"127.0.0.1")], "127.0.0.1"))
    assert head is not None
    assert app.plain.answer(head, BODY) is not None
    await app.stop()
    assert app.plain.answer(head, BODY) is None


async def test_synced_answers_keep_their_order(base: ServingWorld, tmp_path: Path) -> None:
    own = base.config(spool=tmp_path / "spool", slot=tmp_path / "metrics", durability="synced")
    many = json.dumps({"inputs": [ROW, ROW]}).encode()
    bodies = {"a": BODY, "b": BODY, "c": BODY, "d": many, "e": BODY, "f": BODY}
    pieces = [request(body, x_request_id=name) for name, body in bodies.items()]
    async with connected(own) as client:
        for piece in pieces:  # from here on their heads are known
            await client.send(piece)
            assert (await client.read())[0] == 200
        assert client.n_plain == 0
        for piece in pieces:
            client._writer.write(piece)
            await asyncio.sleep(0.0005)  # some come while others wait
        answers = [await client.read() for _ in pieces]
        assert client.n_plain > 0
        for piece in pieces * 3:
            client._writer.write(piece)
        answers += [await client.read() for _ in pieces * 3]
    assert [answer[1]["x-request-id"] for answer in answers] == list(bodies) * 4
    ids = [frame.id for frame in logged(own) if isinstance(frame, PredictionFrame)]
    assert len(ids) == len(set(ids)) == 5 * 7


async def test_a_disk_that_fails_is_said_by_the_route(
    base: ServingWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = base.config(spool=tmp_path / "spool", slot=tmp_path / "metrics", durability="synced")

    def fails(fd: int) -> None:
        raise OSError(5, "Input/output error")

    async with connected(own) as client:
        await client.send(request())
        assert (await client.read())[0] == 200
        with monkeypatch.context() as patched:
            patched.setattr(spool, "_datasync", fails)
            await client.send(request())
            status, _, said = await client.read()
        assert (status, json.loads(said)["code"]) == (503, "spool_full")
        await client.send(request())
        assert (await client.read())[0] == 200
        assert client.n_plain == 2


async def test_what_waits_for_the_disk_is_answered_before_the_end(
    base: ServingWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = base.config(spool=tmp_path / "spool", slot=tmp_path / "metrics", durability="synced")
    async with connected(own) as client:
        await client.send(request())
        assert (await client.read())[0] == 200
        (connection,) = client.state.connections

        def ends(fd: int) -> None:
            connection.shutdown()  # as uvicorn does when it is told to end

        monkeypatch.setattr(spool, "_datasync", ends)
        await client.send(request())
        assert (await client.read())[0] == 200
        assert client.n_plain == 1
        assert await client.at_end()


def mixed(draw: random.Random, n: int) -> Iterator[tuple[bytes, tuple[int, str]]]:
    """Give requests of all kinds, few heads among them, each with what has to come of it."""
    many = json.dumps({"inputs": [ROW, ROW]}).encode()
    bad = json.dumps({"inputs": ROW | {"visits": "many"}}).encode()
    for _ in range(n):
        name = f"id-{draw.randrange(3)}"
        kind = draw.choice([BODY, BODY, BODY, BODY.ljust(len(many)), many, bad, None, b""])
        if kind is None:
            asked = f"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\nx-request-id: {name}\r\n\r\n"
            yield asked.encode(), (200, name)
        elif not kind:
            head = request(b"", x_request_id=name).replace(
                b"content-length: 0", b"transfer-encoding: chunked"
            )
            yield head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY), (200, name)
        else:
            yield request(kind, x_request_id=name), (422 if kind is bad else 200, name)


@pytest.mark.parametrize("durability", ["written", "synced"])
@pytest.mark.parametrize("seed", range(6))
async def test_requests_cut_anywhere_are_answered_in_order(
    base: ServingWorld, tmp_path: Path, durability: str, seed: int
) -> None:
    own = base.config(spool=tmp_path / "spool", slot=tmp_path / "metrics", durability=durability)
    draw = random.Random(seed)
    asked, expected = zip(*mixed(draw, 40), strict=True)
    sent = b"".join(asked)
    cuts = {0, len(sent), *draw.sample(range(len(sent)), draw.choice([0, 5, 50]))}
    pieces = [sent[a:b] for a, b in pairwise(sorted(cuts))] if seed % 2 else list(asked)
    async with connected(own) as client:

        async def send() -> None:
            for piece in pieces:
                client._writer.write(piece)
                await asyncio.sleep(draw.choice([0, 0.0005, 0.01]))

        sending = asyncio.create_task(send())
        answers = [await asyncio.wait_for(client.read(), 20) for _ in asked]
        await sending
        assert client.n_plain > 0 or seed % 2 or durability == "synced"
        assert seed % 2 or durability == "synced" or client.n_plain > 0
    assert [(status, headers["x-request-id"]) for status, headers, _ in answers] == list(expected)


@pytest.mark.parametrize("setting", ["cors_origins", "root_path"])
async def test_settings_that_need_the_route(
    base: ServingWorld, tmp_path: Path, setting: str
) -> None:
    values = {"cors_origins": ("https://a.example",), "root_path": "/ml"}
    own = base.config(
        spool=tmp_path / "spool", slot=tmp_path / "metrics", **{setting: values[setting]}
    )
    async with connected(own) as client:
        await client.send(request())
        assert (await client.read())[0] == 200
        assert client.n_plain == 0
