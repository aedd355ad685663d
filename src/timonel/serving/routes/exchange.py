"""One HTTP request and its answer over plain ASGI: headers, bounded body, problems."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import lru_cache
from typing import Any

from timonel.access.callers import Caller
from timonel.access.routes import below_root
from timonel.errors import Phrase, TimonelError, TooMany, Unauthorized, Unavailable
from timonel.wire.errors import (
    BodyTooLarge,
    MalformedBody,
    MethodNotAllowed,
    UnsupportedMediaType,
)
from timonel.wire.ids import request_id_of
from timonel.wire.problem import MEDIA_TYPE, problem
from timonel.wire.replies import PredictionReply, PredictionsReply, RowProblem, encode_reply

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CALLER = "timonel.caller"  # where a scope keeps who asks
ErrorForm = Callable[[TimonelError, str], tuple[int, dict[str, Any]]]

CLIENT_LEFT = 499  # as what an answer that nobody was there to take is counted; never sent
_TURNS = 4  # of the loop, until it has seen that a connection was closed while it was held up
BODY_S = 30.0  # most seconds between two parts of a body
_JSON = b"application/json"
_NOT_LOGGED = ((b"x-timonel-logged", b"false"),)
REQUEST_ID = b"x-request-id"
_ALWAYS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_RETRY_AFTER = (b"retry-after", b"1")


def said_of_log(replies: Sequence[PredictionReply | RowProblem]) -> tuple[tuple[bytes, bytes], ...]:
    """Give the header that says that a request's answers were not logged; none where they were."""
    unlogged = any(getattr(reply, "logged", None) is False for reply in replies)
    return _NOT_LOGGED if unlogged else ()


def head_of(body: bytes, request_id: bytes, *, logged: bool) -> bytes:
    """Write the headers of an answer as HTTP/1.1 has them, with the empty line after them."""
    said = _SAID_LOGGED if logged else _SAID_NOT_LOGGED
    return b"content-length: %d\r\nx-request-id: %s\r\n%s\r\n" % (len(body), request_id, said)


def _written(*headers: tuple[bytes, bytes]) -> bytes:
    return b"".join(b"%s: %s\r\n" % header for header in headers)


_SAID_LOGGED = _written((b"content-type", _JSON), *_ALWAYS)
_SAID_NOT_LOGGED = _SAID_LOGGED + _written(*_NOT_LOGGED)


class Disconnected(Exception):
    """The client went away before it was answered; there is nobody to answer."""


class Exchange:
    """A request being answered.

    Parameters
    ----------
    scope, receive, send
        Of ASGI.
    language : str or None
        Of texts; None: the client's ``Accept-Language``.
    root_path : str
        Where a proxy shows this server, unless ASGI's scope says it.
    """

    __slots__ = (
        "_language",
        "_send",
        "caller",
        "extra",
        "headers",
        "method",
        "path",
        "receive",
        "request_id",
        "route",
        "scope",
        "status",
        "waits",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        language: str | None,
        root_path: str = "",
    ) -> None:
        self.scope = scope
        self.receive = receive
        self._send = send
        self._language = language
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.method: str = scope["method"]
        self.status = 0
        self.extra: tuple[tuple[bytes, bytes], ...] = ()  # headers of every answer
        self.route = ""  # as it is counted; "" is not
        self.waits = False  # answers wait for the disk: who asked may be gone by then
        path: str = scope["path"]
        self.path = below_root(path, scope.get("root_path") or root_path)
        self.caller: Caller | None = None  # None: nobody was asked for, or not yet
        self.request_id = request_id_of(self.headers.get(REQUEST_ID))

    @property
    def language(self) -> str:
        """Language of the texts of this answer: "en" or "es"."""
        return self._language or _preferred(self.headers.get(b"accept-language", b""))

    @property
    def peer(self) -> str | None:
        """Address of the client; None where the server does not know it."""
        client = self.scope.get("client")
        return client[0] if client else None

    def require(self, *methods: str) -> None:
        """Refuse another method.

        Raises
        ------
        MethodNotAllowed
        """
        if self.method not in methods:
            raise MethodNotAllowed(
                method=self.method[:16], path=self.path[:200], allowed=", ".join(methods)
            )

    async def body(self, limit: int) -> bytes:
        """Read the JSON body, decompressed, of at most ``limit`` bytes.

        Raises
        ------
        UnsupportedMediaType, BodyTooLarge, MalformedBody
        Disconnected
            If the client went away, or sent nothing for 30 s.
        """
        kind = self.headers.get(b"content-type", _JSON)
        if kind != _JSON:
            require_json(kind)
        return await self.content(limit)

    async def content(self, limit: int) -> bytes:
        """Read a body of any media type, decompressed; raises as ``body`` does."""
        headers = self.headers
        length = headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length) > limit:
            raise BodyTooLarge(limit=limit)
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        data: bytes = message.get("body", b"")
        if message.get("more_body"):
            data = await self._rest(data, limit)
        if len(data) > limit:
            raise BodyTooLarge(limit=limit)
        encoding = headers.get(b"content-encoding")
        return data if encoding is None else _decompressed(data, encoding, limit)

    async def _rest(self, first: bytes, limit: int) -> bytes:
        parts, size = [first], len(first)
        try:
            while True:
                if size > limit:
                    raise BodyTooLarge(limit=limit)
                async with asyncio.timeout(BODY_S):
                    message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                part: bytes = message.get("body", b"")
                parts.append(part)
                size += len(part)
                if not message.get("more_body"):
                    return b"".join(parts)
        except TimeoutError:
            raise Disconnected from None

    async def forward(self, answer: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        """Let another application answer; the request's id goes with it and comes back."""
        self.scope[CALLER] = self.caller
        if self.headers.get(REQUEST_ID) != self.request_id:
            others = [pair for pair in self.scope["headers"] if pair[0] != REQUEST_ID]
            self.scope["headers"] = [*others, (REQUEST_ID, self.request_id)]

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                headers = list(message.get("headers", ()))
                if not any(name.lower() == REQUEST_ID for name, _ in headers):
                    headers.append((REQUEST_ID, self.request_id))
                headers += self.extra
                message = {**message, "headers": headers}
            await self._send(message)

        await answer(self.scope, self.receive, send)

    async def reply(
        self,
        body: bytes,
        *,
        status: int = 200,
        media_type: bytes = _JSON,
        extra: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        """Send an answer with its whole body.

        Raises
        ------
        Disconnected
            If the answer had to wait for the disk, and the client left meanwhile. What was logged
            stays logged.
        """
        if self.waits and status < 300 and self.method == "POST" and await self._is_left():
            self.status = CLIENT_LEFT
            raise Disconnected
        self.status = status
        headers = [
            (b"content-type", media_type),
            (b"content-length", b"%d" % len(body)),
            (REQUEST_ID, self.request_id),
            *_ALWAYS,
            *self.extra,
            *extra,
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        if self.method == "HEAD":
            body = b""
        await self._send({"type": "http.response.body", "body": body})

    async def _is_left(self) -> bool:
        """Say whether the client has closed its connection; waits some turns of the loop."""
        receiving = asyncio.ensure_future(self.receive())
        try:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
                if receiving.done():
                    return bool(receiving.result()["type"] == "http.disconnect")
            return False
        finally:
            receiving.cancel()

    async def reply_json(
        self, document: Any, *, status: int = 200, extra: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        """Send a JSON answer."""
        await self.reply(encode_reply(document), status=status, extra=extra)

    async def begin(self, media_type: bytes) -> None:
        """Begin an answer that is sent piece by piece, by ``piece``."""
        self.status = 200
        headers = [
            (b"content-type", media_type),
            (REQUEST_ID, self.request_id),
            *_ALWAYS,
            *self.extra,
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def piece(self, data: bytes, *, last: bool = False) -> None:
        """Send a piece of an answer; waits for a client that reads slowly, but not for ever.

        Raises
        ------
        Disconnected
            If the client has taken nothing for 30 s.
        """
        message = {"type": "http.response.body", "body": data, "more_body": not last}
        try:
            async with asyncio.timeout(BODY_S):
                await self._send(message)
        except TimeoutError:
            raise Disconnected from None

    async def reply_prediction(self, reply: PredictionReply | PredictionsReply) -> None:
        """Send an answer; a header too says that it was not logged."""
        if isinstance(reply, PredictionReply):
            extra: tuple[tuple[bytes, bytes], ...] = _NOT_LOGGED if reply.logged is False else ()
        else:
            extra = said_of_log(reply.predictions)
        await self.reply(encode_reply(reply), extra=extra)

    async def refuse(self, error: TimonelError, form: ErrorForm | None = None) -> None:
        """Send the problem document of an error, in the client's language; or another form of it.

        Parameters
        ----------
        error : TimonelError
        form : callable or None
            Gives status and JSON document by error and language.
        """
        language = self.language
        media_type = MEDIA_TYPE.encode() if form is None else _JSON
        if form is None:
            document = problem(
                error,
                lang=language,
                instance=self.path[:200],
                request_id=self.request_id.decode(),
            )
            status: int = document["status"]
        else:
            status, document = form(error, language)
        extra = [(b"content-language", language.encode())]
        if isinstance(error, Unavailable):
            extra.append(_RETRY_AFTER)
        elif isinstance(error, TooMany):
            extra.append((b"retry-after", b"%d" % error.context["retry_after_s"]))
        elif isinstance(error, Unauthorized):
            extra.append((b"www-authenticate", b"Bearer"))
        elif isinstance(error, BodyTooLarge):
            extra.append((b"connection", b"close"))  # the rest of the body may have no end
        elif isinstance(error, MethodNotAllowed):
            extra.append((b"allow", str(error.context["allowed"]).encode()))
        await self.reply(
            encode_reply(document),
            status=status,
            media_type=media_type,
            extra=tuple(extra),
        )


@lru_cache(64)
def _preferred(header: bytes) -> str:
    best, weight = "en", 0.0
    for part in header.decode("latin-1").lower().split(","):
        tag, _, parameters = part.partition(";")
        language = tag.strip().partition("-")[0]
        if language not in ("en", "es"):
            continue
        quality = parameters.strip().removeprefix("q=")
        try:
            q = float(quality) if quality else 1.0
        except ValueError:
            q = 0.0
        if q > weight:
            best, weight = language, q
    return best


def require_json(kind: bytes) -> None:
    """Refuse a ``Content-Type`` that is not JSON in UTF-8; raises ``UnsupportedMediaType``."""
    found = kind.decode("latin-1").lower()
    media, _, parameters = found.partition(";")
    media = media.strip()
    is_json = media == "application/json" or (
        media.startswith("application/") and media.endswith("+json")
    )
    charset = parameters.partition("charset=")[2].strip(' "').partition(";")[0]
    if not is_json or charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType(
            found=f"Content-Type {found[:100]}",
            expected=Phrase("application/json in UTF-8", "application/json en UTF-8"),
        )


def _decompressed(data: bytes, encoding: bytes, limit: int) -> bytes:
    name = encoding.strip().lower()
    if name in (b"identity", b""):
        return data
    if name not in (b"gzip", b"x-gzip"):
        raise UnsupportedMediaType(
            found=f"Content-Encoding {encoding.decode('latin-1')[:50]}",
            expected=Phrase("gzip or none", "gzip o ninguno"),
        )
    # never more than the limit is inflated, whatever the archive claims
    inflating = zlib.decompressobj(wbits=31)
    try:
        body = inflating.decompress(data, limit + 1)
    except zlib.error as error:
        found = Phrase("no gzip data ({said})", "algo que no es gzip ({said})", said=str(error))
        raise MalformedBody(found=found, expected="gzip", position=0) from None
    if len(body) > limit:
        raise BodyTooLarge(limit=limit)
    if not inflating.eof or inflating.unused_data:
        found = Phrase("bytes after its end", "bytes después de su fin")
        if not inflating.eof:
            found = Phrase("gzip data that break off", "datos gzip cortados")
        expected = Phrase("one whole gzip member", "un solo miembro gzip entero")
        raise MalformedBody(found=found, expected=expected, position=len(body))
    return body
