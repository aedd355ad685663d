"""One HTTP request and its answer over plain ASGI: headers, bounded body, problems."""

import asyncio
import itertools
import os
import re
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any

from timonel.errors import Phrase, TimonelError, Unauthorized, Unavailable
from timonel.wire.errors import (
    BodyTooLarge,
    MalformedBody,
    MethodNotAllowed,
    UnsupportedMediaType,
)
from timonel.wire.problem import MEDIA_TYPE, problem
from timonel.wire.replies import PredictionReply, PredictionsReply, encode_reply

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_S = 30.0  # most seconds between two parts of a body
_JSON = b"application/json"
_request_id = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_prefix = os.urandom(6).hex()
_numbers = itertools.count(1)
_NOT_LOGGED = ((b"x-timonel-logged", b"false"),)
_REQUEST_ID = b"x-request-id"
_ALWAYS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_RETRY_AFTER = (b"retry-after", b"1")


class Disconnected(Exception):
    """The client went away before its request was whole; there is nobody to answer."""


class Exchange:
    """A request being answered.

    Parameters
    ----------
    scope, receive, send
        Of ASGI.
    language : str or None
        Of texts; None: the client's ``Accept-Language``.
    """

    __slots__ = (
        "_language",
        "_send",
        "headers",
        "method",
        "path",
        "receive",
        "request_id",
        "route",
        "scope",
        "status",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, language: str | None) -> None:
        self.scope = scope
        self.receive = receive
        self._send = send
        self._language = language
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.method: str = scope["method"]
        self.status = 0
        self.route = ""  # as it is counted; "" is not
        path: str = scope["path"]
        root: str = scope.get("root_path", "")
        self.path = path[len(root) :] if root and path.startswith(root) else path
        sent = self.headers.get(_REQUEST_ID)
        if sent is not None and _request_id.fullmatch(sent):
            self.request_id = sent
        else:
            self.request_id = b"%s-%d" % (_prefix.encode(), next(_numbers))

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
        headers = self.headers
        kind = headers.get(b"content-type", _JSON)
        if kind != _JSON:
            _require_json(kind)
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
        if self.headers.get(_REQUEST_ID) != self.request_id:
            others = [pair for pair in self.scope["headers"] if pair[0] != _REQUEST_ID]
            self.scope["headers"] = [*others, (_REQUEST_ID, self.request_id)]

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                headers = list(message.get("headers", ()))
                if not any(name.lower() == _REQUEST_ID for name, _ in headers):
                    headers.append((_REQUEST_ID, self.request_id))
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
        """Send an answer with its whole body."""
        self.status = status
        headers = [
            (b"content-type", media_type),
            (b"content-length", b"%d" % len(body)),
            (_REQUEST_ID, self.request_id),
            *_ALWAYS,
            *extra,
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        if self.method == "HEAD":
            body = b""
        await self._send({"type": "http.response.body", "body": body})

    async def reply_json(self, document: Any, *, status: int = 200) -> None:
        """Send a JSON answer."""
        await self.reply(encode_reply(document), status=status)

    async def reply_prediction(self, reply: PredictionReply | PredictionsReply) -> None:
        """Send an answer; a header too says that it was not logged."""
        first = reply.predictions[0] if isinstance(reply, PredictionsReply) else reply
        logged = getattr(first, "logged", None) is not False
        await self.reply(encode_reply(reply), extra=() if logged else _NOT_LOGGED)

    async def refuse(self, error: TimonelError) -> None:
        """Send the problem document of an error, in the client's language."""
        language = self.language
        document = problem(error, lang=language, instance=self.path[:200])
        extra = [(b"content-language", language.encode())]
        if isinstance(error, Unavailable):
            extra.append(_RETRY_AFTER)
        elif isinstance(error, Unauthorized):
            extra.append((b"www-authenticate", b"Bearer"))
        elif isinstance(error, BodyTooLarge):
            extra.append((b"connection", b"close"))  # the rest of the body may have no end
        elif isinstance(error, MethodNotAllowed):
            extra.append((b"allow", str(error.context["allowed"]).encode()))
        await self.reply(
            encode_reply(document),
            status=document["status"],
            media_type=MEDIA_TYPE.encode(),
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


def _require_json(kind: bytes) -> None:
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
