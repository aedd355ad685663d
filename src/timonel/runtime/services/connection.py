"""A small HTTP/1.1 client of one address: keep-alive connections, bounded, with a deadline.

It speaks to the declared address alone: a redirect is a failure, whatever it points to. httpx
would cost every predict worker a quarter of a second and its memory.
"""

import asyncio
import ssl
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from timonel.runtime.errors import InvalidService, ServiceFailed

MOST_AT_ONCE = 32
LARGEST_ANSWER = 16 << 20


class Address(NamedTuple):
    """Where a service is."""

    host: str
    port: int
    target: bytes
    header: bytes  # of Host
    tls: bool


def address_of(url: str) -> Address:
    """Read the address of a service.

    Raises
    ------
    InvalidService
        If it is no http(s) URL, or carries a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        sent = target.encode("ascii")
    except (ValueError, UnicodeError):
        raise InvalidService(found=url[:200], expected="an http:// or https:// address") from None
    if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url:
        raise InvalidService(found=url[:200], expected="an http:// or https:// address")
    if "@" in parts.netloc:
        raise InvalidService(
            found="a user in the address", expected="none (a key goes by --key-env NAME)"
        )
    tls = parts.scheme == "https"
    name = f"[{host}]" if ":" in host else host
    header = name if port is None else f"{name}:{port}"
    return Address(host, port or (443 if tls else 80), sent, header.encode(), tls)


class Reply(NamedTuple):
    """One answer: its status and its body."""

    status: int
    body: bytes


class Connections:
    """Connections to one address; all of it belongs to one event loop.

    Parameters
    ----------
    url : str
    key : str or None
        Sent as a bearer token.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        self._address = address_of(url)
        self._shown = url
        self._key = b"" if key is None else b"authorization: Bearer %b\r\n" % key.encode("latin-1")
        self._tls = ssl.create_default_context() if self._address.tls else None
        self._idle: list[_Connection] = []
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)

    async def post(self, body: bytes, limit_s: float) -> Reply:
        """Send a JSON body and give the answer, whatever its status.

        Raises
        ------
        TimeoutError
            If it has not come in time, waiting for a free connection included.
        ServiceFailed
            If there is no service, or it speaks no HTTP.
        """
        head = b"POST %b HTTP/1.1\r\nhost: %b\r\ncontent-type: application/json\r\n" % (
            self._address.target,
            self._address.header,
        )
        head += b"accept: application/json\r\n%bcontent-length: %d\r\n\r\n" % (self._key, len(body))
        async with asyncio.timeout(limit_s), self._slots:
            connection = await self._connection()
            done = False
            try:
                reply = await connection.exchange(head + body)
                done = True
            finally:
                if done and connection.reusable:
                    self._idle.append(connection)
                else:
                    connection.close()
        return reply

    def close(self) -> None:
        """Close the connections that are not in use."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _connection(self) -> "_Connection":
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
            connection.close()
        address = self._address
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self._shown), address.host, address.port, ssl=self._tls
            )
        except OSError as error:
            said = error.strerror or type(error).__name__
            raise ServiceFailed(url=self._shown, found=f"no connection ({said})") from None
        return connection


class _Connection(asyncio.Protocol):
    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._waiting: asyncio.Future[Reply] | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self.reusable = False

    async def exchange(self, request: bytes) -> Reply:
        import httptools  # here: only those who ask a service need it

        assert self._transport is not None  # noqa: S101 - create_connection gave it
        self.reusable = False
        self._parser = httptools.HttpResponseParser(self)
        self._parts, self._size = [], 0
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    # --- of asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport
        self.reusable = True

    def data_received(self, data: bytes) -> None:
        import httptools

        if self._parser is None or self._waiting is None or self._waiting.done():
            self.close()  # nobody asked
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"no HTTP ({type(error).__name__})")

    def eof_received(self) -> None:
        self.reusable = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        self._fail("a connection that ended before the answer")

    # --- of the parser

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > LARGEST_ANSWER:
            self._fail(f"an answer of more than {LARGEST_ANSWER} bytes")
            return
        self._parts.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200 or self._waiting is None or self._waiting.done():
            return
        self.reusable = bool(self._parser.should_keep_alive())
        self._waiting.set_result(Reply(status, b"".join(self._parts)))

    def _fail(self, found: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ServiceFailed(url=self._shown, found=found))
        self.close()
