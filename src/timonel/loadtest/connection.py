"""A bare HTTP/1.1 client connection: it costs the same for whatever is measured, and little."""

import asyncio
from typing import Any, NamedTuple

import httptools


class Reply(NamedTuple):
    """One answer."""

    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request at a time; belongs to one event loop."""

    def __init__(self) -> None:
        self._parser: Any = None
        self._parts: list[bytes] = []
        self._waiting: asyncio.Future[Reply] | None = None
        self._transport: Any = None
        self.closed = False

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        """Connect; raises ``OSError``."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, host, port)
        return connection

    async def ask(self, request: bytes) -> Reply:
        """Send the bytes of a request and give its answer.

        Raises
        ------
        ConnectionError
            If the connection ends before the answer does, or what comes is no HTTP.
        """
        if self.closed:
            raise ConnectionResetError
        self._parser = httptools.HttpResponseParser(self)
        self._parts.clear()
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        """End the connection."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionAbortedError(str(error)))
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Fail what waits."""
        self.closed = True
        self._fail(ConnectionResetError("the server closed the connection"))

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Hand the answer over."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(Reply(self._parser.get_status_code(), b"".join(self._parts)))

    def _fail(self, error: ConnectionError) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)


def post(path: str, body: bytes, *, host: str, headers: dict[str, str] | None = None) -> bytes:
    """Give the bytes of a POST of JSON."""
    extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"{extra}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("latin-1") + body
