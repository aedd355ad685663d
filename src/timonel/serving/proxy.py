"""Forwarding what a predict worker does not answer itself to the control process.

A small HTTP/1.1 client over a Unix socket, one connection a request: control routes are not the
hot path, and httpx would cost every worker a quarter of a second and megabytes. Bodies stream
both ways; when the client goes away the request to the control process is cut.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any

import msgspec

from timonel.serving.processes.errors import ControlUnavailable
from timonel.serving.routes.exchange import CALLER
from timonel.wire.problem import MEDIA_TYPE, problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

PEER_HEADER = b"x-timonel-peer"
ROOT_HEADER = b"x-timonel-root"  # where another application has mounted us
CALLER_HEADER = b"x-timonel-caller"
_MAX_HEAD = 64 * 1024
_PIECE = 64 * 1024
_CONNECT_S = 1.0
_HEAD_S = 300.0  # until the first byte of an answer; exports may take a while to begin
_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_NOT_SENT = _HOP_BY_HOP | {b"expect", b"content-length", PEER_HEADER, ROOT_HEADER, CALLER_HEADER}
_NOT_RETURNED = _HOP_BY_HOP | {b"date", b"server"}  # the worker's own server adds them


_ABSENT = {"en": "is starting or absent", "es": "está iniciando o no está"}
_BROKE = {"en": "ended before it answered", "es": "terminó antes de responder"}
_LATE = {"en": "did not answer in time", "es": "no respondió a tiempo"}


class _Malformed(Exception):
    """The control process sent what is no HTTP/1.1 answer."""


class ControlProxy:
    """Forwards requests to the control process.

    Parameters
    ----------
    path : Path
        The Unix socket where the control process listens.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    async def forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an ASGI HTTP request by the control process, or by a 503 that says why not."""
        # A plain socket, not a transport: one whose write fails would lose what is still to be
        # read, and an early answer to a body that is too large is just that.
        with socket.socket(socket.AF_UNIX) as upstream:
            upstream.setblocking(False)
            try:
                connecting = asyncio.get_running_loop().sock_connect(upstream, self._path)
                await asyncio.wait_for(connecting, _CONNECT_S)
            except (OSError, TimeoutError):
                await _refuse(scope, send, _ABSENT)
                return
            started = _Started(send)
            try:
                await _exchange(scope, receive, started, upstream)
            except TimeoutError:
                await _refuse(scope, send, _LATE)
            except (_Malformed, OSError):
                if started.yes:
                    raise  # the server closes the connection: a cut answer must not look whole
                await _refuse(scope, send, _BROKE)


class _Started:
    """An ASGI ``send`` that knows whether the answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.yes = False

    async def __call__(self, message: Message) -> None:
        self.yes = True
        await self._send(message)


class _Source:
    """Reads what the control process sends: by mark, by count, or as it comes."""

    def __init__(self, upstream: socket.socket) -> None:
        self._upstream = upstream
        self._buffer = bytearray()

    async def until(self, mark: bytes) -> bytes:
        """Read up to and with a mark; a head or a line longer than ``_MAX_HEAD`` is malformed."""
        while (end := self._buffer.find(mark)) < 0:
            if len(self._buffer) > _MAX_HEAD or not await self._more():
                raise _Malformed
        return self._take(end + len(mark))

    async def pieces(self, size: int) -> AsyncIterator[bytes]:
        """Read exactly so many bytes, as they come."""
        while size:
            if not self._buffer and not await self._more():
                raise _Malformed
            piece = self._take(size)
            size -= len(piece)
            yield piece

    async def rest(self) -> AsyncIterator[bytes]:
        """Read to the end."""
        while self._buffer or await self._more():
            yield self._take(_PIECE)

    async def _more(self) -> bool:
        data = await asyncio.get_running_loop().sock_recv(self._upstream, _PIECE)
        self._buffer += data
        return bool(data)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


async def _exchange(scope: Scope, receive: Receive, send: Send, upstream: socket.socket) -> None:
    """Send the request and relay the answer at the same time; stop when the client is gone."""
    upload = asyncio.create_task(_upload(scope, receive, upstream))
    relay = asyncio.create_task(_relay(scope, send, _Source(upstream)))
    try:
        await asyncio.wait((upload, relay), return_when=asyncio.FIRST_COMPLETED)
        client_is_gone = upload.done() and upload.exception() is None
        if relay.done() or not client_is_gone:
            # an upload that fails was refused early: the answer says why
            await relay
    finally:
        upload.cancel()
        relay.cancel()
        await asyncio.gather(upload, relay, return_exceptions=True)


async def _upload(scope: Scope, receive: Receive, upstream: socket.socket) -> None:
    """Send head and body, then wait; returns when the client has gone away."""
    loop = asyncio.get_running_loop()
    head, chunked = _request_head(scope)
    await loop.sock_sendall(upstream, head)
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body = message.get("body", b"")
        more = message.get("more_body", False)
        if chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (
                b"" if more else b"0\r\n\r\n"
            )
        await loop.sock_sendall(upstream, body)
    while (await receive())["type"] != "http.disconnect":
        pass


def _request_head(scope: Scope) -> tuple[bytes, bool]:
    """Give the request's head, and whether its body goes in chunks."""
    headers: Headers = scope["headers"]
    target: bytes = scope.get("raw_path") or scope["path"].encode()
    root = scope.get("root_path", "").encode()
    if root:
        target = target.removeprefix(root) or b"/"
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    dropped = _NOT_SENT | _named_in_connection(headers)
    lines = [b"%b %b HTTP/1.1" % (scope["method"].encode("ascii"), target)]
    lines += [b"%b: %b" % pair for pair in headers if pair[0] not in dropped]
    length = _header(headers, b"content-length")
    chunked = length is None and _header(headers, b"transfer-encoding") is not None
    if chunked:
        lines.append(b"transfer-encoding: chunked")
    elif length is not None:
        lines.append(b"content-length: " + length)
    client = scope.get("client")
    if client is not None:
        # the true peer, for access rules; what a client itself says under this name is dropped
        lines.append(b"%b: %b" % (PEER_HEADER, str(client[0]).encode("ascii", "replace")))
    if root:
        lines.append(b"%b: %b" % (ROOT_HEADER, root))
    caller = scope.get(CALLER)
    if caller is not None:
        lines.append(b"%b: %b" % (CALLER_HEADER, msgspec.json.encode(caller)))
    lines.append(b"connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n", chunked


async def _relay(scope: Scope, send: Send, source: _Source) -> None:
    status, headers = await asyncio.wait_for(_response_head(source), _HEAD_S)
    bodiless = scope["method"] == "HEAD" or status in (204, 304)
    length = _header(headers, b"content-length")
    chunked = b"chunked" in (_header(headers, b"transfer-encoding") or b"").lower()
    dropped = _NOT_RETURNED | _named_in_connection(headers)
    if bodiless and scope["method"] != "HEAD":
        dropped |= {b"content-length"}
    kept = [pair for pair in headers if pair[0] not in dropped]
    await send({"type": "http.response.start", "status": status, "headers": kept})
    if not bodiless:
        async for piece in _body(source, length, chunked=chunked):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _response_head(source: _Source) -> tuple[int, Headers]:
    status = 100
    while 100 <= status < 200:  # informational answers precede the real one
        head = await source.until(b"\r\n\r\n")
        first, *lines = head[:-4].split(b"\r\n")
        try:
            version, code, *_ = first.split(b" ", 2)
            status = int(code)
            pairs = [line.split(b":", 1) for line in lines]
            headers = [(name.strip().lower(), value.strip()) for name, value in pairs]
        except ValueError:
            raise _Malformed from None
        if not version.startswith(b"HTTP/1."):
            raise _Malformed
    return status, headers


def _body(source: _Source, length: bytes | None, *, chunked: bool) -> AsyncIterator[bytes]:
    if chunked:
        return _chunks(source)
    return source.rest() if length is None else source.pieces(_number(length, 10))


async def _chunks(source: _Source) -> AsyncIterator[bytes]:
    while size := _number((await source.until(b"\r\n")).split(b";")[0], 16):
        async for piece in source.pieces(size):
            yield piece
        if await source.until(b"\r\n") != b"\r\n":
            raise _Malformed
    while await source.until(b"\r\n") != b"\r\n":  # trailers are dropped
        pass


def _number(digits: bytes, base: int) -> int:
    try:
        number = int(digits.strip(), base)
    except ValueError:
        raise _Malformed from None
    if number < 0:
        raise _Malformed
    return number


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    return next((value for key, value in headers if key == name), None)


def _named_in_connection(headers: Headers) -> frozenset[bytes]:
    """Give the headers that ``Connection`` declares to be for this hop only."""
    named = [value for key, value in headers if key == b"connection"]
    return frozenset(name.strip().lower() for value in named for name in value.split(b","))


async def _refuse(scope: Scope, send: Send, state: dict[str, str]) -> None:
    wished = (_header(scope["headers"], b"accept-language") or b"").lower()
    lang = "es" if wished.startswith(b"es") else "en"
    error = ControlUnavailable(path=scope["path"], state=state[lang])
    body = msgspec.json.encode(problem(error, lang=lang, instance=scope["path"]))
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", b"1"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
