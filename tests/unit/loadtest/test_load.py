"""A load is bounded, counts what it got, and survives a server that drops connections."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from timonel.loadtest.connection import Reply, post
from timonel.loadtest.load import Bounds, load

REQUEST = post("/", b"{}", host="x")
Answer = Callable[[int], bytes]


def reply(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


class Talk(asyncio.Protocol):
    """Answers the n-th request of a server with what it is told, and hangs up on nothing."""

    def __init__(
        self, answer: Answer, numbers: Iterator[int], open_: set[asyncio.Transport]
    ) -> None:
        self._answer, self._numbers, self._open = answer, numbers, open_

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(transport)

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"{}")):
            said = self._answer(next(self._numbers))
            self._transport.write(said) if said else self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._open.discard(self._transport)


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[tuple[str, int]]:
    numbers, left = itertools.count(), set[asyncio.Transport]()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Talk(answer, numbers, left), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[:2]
        while left:  # clients have closed: their ends are on the way
            await asyncio.sleep(0.001)


async def test_as_many_are_asked_as_were_wanted_and_sorted_by_what_came() -> None:
    def answer(at: int) -> bytes:
        return reply(503 if at % 10 == 9 else 200, b"rules" if at % 10 == 0 else b"model")

    async with serving(answer) as place:
        found = await load(
            place, [REQUEST], Bounds(200, 30), concurrency=4, sorting=lambda r: r.body.decode()
        )
    assert found.kinds == {"model": 160, "rules": 20, "status 503": 20}
    assert (found.n, found.n_failed, found.concurrency) == (180, 20, 4)
    assert found.per_s == pytest.approx(180 / found.elapsed_s)
    assert list(found.latencies_s) == sorted(found.latencies_s)


async def test_time_bounds_it_too() -> None:
    async with serving(lambda at: reply(200, b"")) as place:
        began = time.monotonic()
        found = await load(place, [REQUEST], Bounds(10**9, 0.2), concurrency=2)
    assert 0 < found.n < 10**9
    assert time.monotonic() - began < 120


async def test_a_dropped_connection_is_counted_and_opened_again() -> None:
    async with serving(lambda at: b"" if at == 5 else reply(200, b"")) as place:
        found = await load(place, [REQUEST], Bounds(20, 30))
    assert found.kinds == {"answered": 19, "broken": 1}


async def test_what_is_no_http_is_broken() -> None:
    async with serving(lambda at: b"220 mail.example ESMTP\r\n") as place:
        found = await load(place, [REQUEST], Bounds(3, 30))
    assert found.kinds == {"broken": 3}
    assert found.quantile_ms(0.5) is None


async def test_a_chunked_answer_is_read_whole() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    got: list[Reply] = []

    def sorting(reply: Reply) -> str:
        got.append(reply)
        return "whole"

    async with serving(lambda at: chunked) as place:
        await load(place, [REQUEST], Bounds(2, 30), sorting=sorting)
    assert got == [(200, b"abc")] * 2
