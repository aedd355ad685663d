import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from timonel.serving.proxy import ControlProxy

pytestmark = pytest.mark.asyncio(loop_scope="module")
Asgi = Callable[..., Awaitable[None]]


def control_app(seen: dict[str, Any]) -> FastAPI:
    app = FastAPI()

    @app.api_route("/echo", methods=["GET", "POST", "PUT", "DELETE", "PATCH"])
    async def echo(request: Request) -> dict[str, Any]:
        body = await request.body()
        return {
            "method": request.method,
            "url": str(request.url),
            "query": request.url.query,
            "headers": sorted(request.headers.items()),
            "body": body.hex() if len(body) < 4096 else None,
            "size": len(body),
        }

    @app.get("/status/{code}")
    async def status(code: int) -> Response:
        content = None if code in (204, 304) else b"text"
        return Response(content, code, {"etag": '"7"', "server": "hidden", "x-own": "kept"})

    @app.head("/length")
    async def length() -> Response:
        return Response(headers={"content-length": "12345"})

    @app.get("/large/{n_bytes}")
    async def large(n_bytes: int) -> Response:
        return Response(bytes(range(256)) * (n_bytes // 256))

    add_slow_routes(app, seen)
    return app


def add_slow_routes(app: FastAPI, seen: dict[str, Any]) -> None:
    @app.get("/events")
    async def events() -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            try:
                for number in range(1_000_000):
                    yield f"data: {number}\n\n"
                    await asyncio.sleep(0.01)
            finally:
                seen["events_ended"].set()

        return StreamingResponse(lines(), media_type="text/event-stream")

    @app.get("/hang")
    async def hang(request: Request) -> None:
        seen["hanging"].set()
        while not await request.is_disconnected():
            await asyncio.sleep(0.01)
        seen["hang_cut"].set()

    @app.post("/refuse")
    async def refuse() -> Response:
        return Response(b"too large", 413)


@asynccontextmanager
async def serving(app: Asgi, **place: Any) -> AsyncIterator[uvicorn.Server]:
    server = uvicorn.Server(
        uvicorn.Config(app, lifespan="off", log_config=None, proxy_headers=False, **place)
    )
    task = asyncio.create_task(server._serve())
    try:
        while not server.started:
            assert not task.done()
            await asyncio.sleep(0.005)
        yield server
    finally:
        server.should_exit = server.force_exit = True
        await task


def front(proxy: ControlProxy) -> Asgi:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await proxy.forward(scope, receive, send)

    return app


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    return {name: asyncio.Event() for name in ("events_ended", "hanging", "hang_cut")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(
    tmp_path_factory: pytest.TempPathFactory, seen: dict[str, Any]
) -> AsyncIterator[httpx.AsyncClient]:
    socket = tmp_path_factory.mktemp("proxy") / "c.sock"
    proxy = front(ControlProxy(socket))
    async with (
        serving(control_app(seen), uds=str(socket)),
        serving(proxy, port=0) as server,
        httpx.AsyncClient(base_url=address(server), timeout=20) as client,
    ):
        yield client


def address(server: uvicorn.Server) -> str:
    return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


async def test_method_target_headers_and_body_arrive_as_sent(client: httpx.AsyncClient) -> None:
    answer = await client.put(
        "/echo?a=1&b=%20%C3%B1", content=b"\x00\xff", headers={b"X-Own": "ñ".encode(), b"TE": b"x"}
    )
    said = answer.json()
    headers = dict(said["headers"])
    assert (said["method"], said["query"], said["body"]) == ("PUT", "a=1&b=%20%C3%B1", "00ff")
    assert said["url"].startswith(str(client.base_url))  # Host is kept, so links work
    assert headers["x-own"].encode("latin-1").decode() == "ñ"
    assert headers["content-length"] == "2"
    assert "te" not in headers


async def test_the_peer_is_told_truly_whatever_the_client_says(client: httpx.AsyncClient) -> None:
    said = await client.get("/echo", headers={"X-Timonel-Peer": "10.1.2.3"})
    peers = [value for name, value in said.json()["headers"] if name == "x-timonel-peer"]
    assert peers == ["127.0.0.1"]


async def test_headers_for_one_hop_only_are_dropped(client: httpx.AsyncClient) -> None:
    said = await client.get(
        "/echo", headers={"Connection": "keep-alive, X-Hop", "X-Hop": "1", "Upgrade": "h2c"}
    )
    names = {name for name, _ in said.json()["headers"]}
    assert not names & {"x-hop", "upgrade", "keep-alive"}


async def test_a_body_of_unknown_length_goes_in_chunks(client: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 7001

    said = (await client.post("/echo", content=pieces())).json()
    assert said["size"] == 50 * 7001


@pytest.mark.parametrize("n_bytes", [0, 256, 1 << 20, 16 << 20])
async def test_large_answers_come_whole(client: httpx.AsyncClient, n_bytes: int) -> None:
    answer = await client.get(f"/large/{n_bytes}")
    assert len(answer.content) == n_bytes
    assert answer.content == bytes(range(256)) * (n_bytes // 256)


async def test_a_large_body_is_sent_whole(client: httpx.AsyncClient) -> None:
    said = (await client.post("/echo", content=b"y" * (8 << 20))).json()
    assert said["size"] == 8 << 20


@pytest.mark.parametrize("code", [200, 204, 304, 404, 500])
async def test_status_and_headers_come_back(client: httpx.AsyncClient, code: int) -> None:
    answer = await client.get(f"/status/{code}")
    assert answer.status_code == code
    assert answer.headers["etag"] == '"7"'
    assert answer.headers["x-own"] == "kept"
    assert answer.headers.get_list("server") == ["uvicorn"]
    assert len(answer.headers.get_list("date")) == 1
    # the connection is still in step
    assert (await client.get("/status/200")).content == b"text"


async def test_head_keeps_the_length_and_has_no_body(client: httpx.AsyncClient) -> None:
    answer = await client.head("/length")
    assert answer.headers["content-length"] == "12345"
    assert answer.content == b""
    assert (await client.get("/status/200")).content == b"text"


async def test_a_stream_flows_and_is_cut_when_the_client_leaves(
    client: httpx.AsyncClient, seen: dict[str, Any]
) -> None:
    async with client.stream("GET", "/events") as answer:
        lines = answer.aiter_lines()
        assert [await anext(lines) for _ in range(3)] == ["data: 0", "", "data: 1"]
    await asyncio.wait_for(seen["events_ended"].wait(), 10)


async def test_a_request_is_cut_when_its_client_leaves_before_the_answer(
    client: httpx.AsyncClient, seen: dict[str, Any]
) -> None:
    asking = asyncio.create_task(client.get("/hang"))
    await seen["hanging"].wait()
    asking.cancel()
    await asyncio.wait_for(seen["hang_cut"].wait(), 10)


async def test_an_answer_before_the_end_of_the_body_is_given(client: httpx.AsyncClient) -> None:
    answer = await client.post("/refuse", content=b"z" * (4 << 20))
    assert (answer.status_code, answer.content) == (413, b"too large")


async def ask(socket: Path, **request: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app=front(ControlProxy(socket)))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        return await client.request(**{"method": "GET", "url": "/v1/models", **request})


@pytest.mark.parametrize(("language", "word"), [("es-CL,es", "proceso"), ("en", "process")])
async def test_without_a_control_process_the_answer_says_so(
    tmp_path: Path, language: str, word: str
) -> None:
    answer = await ask(tmp_path / "none.sock", headers={"Accept-Language": language})
    said = json.loads(answer.content)
    assert answer.status_code == said["status"] == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"
    assert said["code"] == "control_unavailable"
    assert word in said["detail"]
    assert said["remedy"]


@asynccontextmanager
async def raw(tmp_path: Path, answer: bytes) -> AsyncIterator[Path]:
    """A control process that has lost its mind: it sends these bytes and hangs up."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    path = tmp_path / "raw.sock"
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(connected, str(path))
    async with server:
        yield path


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"hello\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"SSH/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n",
    ],
)
async def test_an_answer_that_is_none_becomes_a_503(tmp_path: Path, answer: bytes) -> None:
    async with raw(tmp_path, answer) as path:
        assert (await ask(path)).status_code == 503


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: -4\r\n\r\nhalf",
    ],
)
async def test_a_cut_answer_never_looks_whole(tmp_path: Path, answer: bytes) -> None:
    async with (
        raw(tmp_path, answer) as path,
        serving(front(ControlProxy(path)), port=0) as server,
        httpx.AsyncClient(base_url=address(server)) as client,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/")


async def test_informational_answers_are_passed_over(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end"
    async with raw(tmp_path, answer) as path:
        assert (await ask(path)).content == b"until the end"


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(pieces=st.lists(st.binary(min_size=1, max_size=300), max_size=8), trailer=st.booleans())
async def test_any_chunks_become_the_same_body(
    tmp_path: Path, pieces: list[bytes], trailer: bool
) -> None:
    body = b"".join(b"%X;note=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    tail = b"0\r\nx-sum: 1\r\n\r\n" if trailer else b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with raw(tmp_path, head + body + tail) as path:
        assert (await ask(path)).content == b"".join(pieces)
