"""What stands around every control route.

Who may ask, checks of body and address, headers, and the last net under what nobody expected.
"""

import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from uuid import uuid4

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from timonel.access.callers import LOCAL, Caller
from timonel.access.gate import Asked, Gate, authorize
from timonel.access.routes import below_root, find
from timonel.dashboard.language import choose_language
from timonel.errors import Phrase, TimonelError
from timonel.http.errors import MalformedUrl
from timonel.http.problems import REQUEST_ID, problem_response
from timonel.logging import REQUEST
from timonel.serving.proxy import CALLER_HEADER, ROOT_HEADER
from timonel.serving.routes.cors import Cors, Pairs
from timonel.serving.routes.exchange import CALLER
from timonel.wire.errors import BodyTooLarge, UnexpectedFailure, UnsupportedMediaType
from timonel.wire.ids import request_id_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

PAGE_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": PAGE_POLICY.encode(),
}
CSV = "text/csv"
_WITH_BODY = frozenset(("POST", "PUT", "PATCH"))
_log = logging.getLogger("timonel.http")


class Guard:
    """Lets through what may be answered, and sees to it that every answer is well formed.

    Parameters
    ----------
    app : ASGI application
    gate : Gate or None
        Tells who asks. None: a predict worker has done so, and says it in a header; it forwards
        over a Unix socket that none but this user may open.
    max_body_bytes : int
    max_file_bytes : int
        Of a CSV file, where a route takes one: it is not read whole here, but as it comes.
    language : str or None
        The setting; None: by the reader.
    root_path : str
        The path under which a proxy shows this server, where the server was not told.
    cors_origins : sequence of str
        Sites whose pages may read answers; behind a worker, that one sees to it.
    """

    def __init__(
        self,
        app: AsgiApp,
        *,
        gate: Gate | None,
        max_body_bytes: int,
        max_file_bytes: int,
        language: str | None,
        root_path: str = "",
        cors_origins: Sequence[str] = (),
    ) -> None:
        self._app = app
        self._gate = gate
        self._limit = max_body_bytes
        self._file_limit = max_file_bytes
        self._language = language
        self._root_path = root_path
        self._cors = Cors(cors_origins) if cors_origins and gate is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        mounted = headers.get(ROOT_HEADER, b"").decode("latin-1") if self._gate is None else ""
        scope["root_path"] = mounted or scope.get("root_path") or self._root_path
        request_id = request_id_of(headers.get(b"x-request-id"))
        scope[REQUEST_ID] = request_id.decode()
        REQUEST.set(request_id)
        granted = () if self._cors is None else self._cors.granted(headers)
        answer = _Answer(send, (*granted, (b"x-request-id", request_id)))
        preflight = self._cors and self._cors.preflight(scope["method"], headers)
        if preflight:
            await Response(status_code=204, headers=_named(preflight))(scope, receive, send)
            return
        try:
            scope[CALLER] = await self._caller(scope, headers)
            if self._takes_file(scope, headers):
                body = self._counted(receive, headers)
            else:
                self._check(scope, headers)
                body = await self._replayed(scope, receive)
            await self._app(scope, body, answer)
        except TimonelError as error:
            await self._refuse(error, scope, headers, answer)
        except Exception as error:  # noqa: BLE001 - the last net: no request ends in a bare 500
            error_id = uuid4().hex[:12]
            _log.exception(
                "unexpected failure %s: %s %s (request %s)",
                error_id,
                scope["method"],
                scope["path"],
                scope[REQUEST_ID],
                extra={"request_id": scope[REQUEST_ID]},
            )
            failure = UnexpectedFailure(error_id=error_id)
            failure.__cause__ = error
            await self._refuse(failure, scope, headers, answer)

    async def _caller(self, scope: Scope, headers: dict[bytes, bytes]) -> Caller | None:
        path = below_root(scope["path"], scope["root_path"])
        if self._gate is not None:
            client = scope.get("client")
            asked = Asked(scope["method"], path, client[0] if client else None, headers)
            return await run_in_threadpool(self._gate.admit, asked)  # it may read the database
        said = headers.get(CALLER_HEADER)
        caller = LOCAL if said is None else msgspec.json.decode(said, type=Caller)
        authorize(caller, scope["method"], path)  # again: this is where it is routed
        return caller

    def _takes_file(self, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        _check_url(scope)
        if _kind(headers) != CSV:
            return False
        need = find(scope["method"], below_root(scope["path"], scope["root_path"])).need
        return need is not None and need.files

    def _counted(self, receive: Receive, headers: dict[bytes, bytes]) -> Receive:
        """Let a file through piece by piece, within its limit."""
        _check_encoding(headers)
        refusal = BodyTooLarge(limit=self._file_limit, setting="max_file_mb")
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._file_limit:
            raise refusal
        n_read = 0

        async def counted() -> Message:
            nonlocal n_read
            message = await receive()
            n_read += len(message.get("body", b""))
            if n_read > self._file_limit:
                raise refusal
            return message

        return counted

    def _check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._limit:
            raise BodyTooLarge(limit=self._limit)
        has_body = declared != b"0" or b"transfer-encoding" in headers
        if scope["method"] in _WITH_BODY and has_body:
            _check_type(headers)

    async def _replayed(self, scope: Scope, receive: Receive) -> Receive:
        """Read a body whole, within the limit: half of one must not look malformed."""
        if scope["method"] not in _WITH_BODY:
            return receive
        pieces: list[bytes] = []
        n_read, more = 0, True
        while more:
            message = await receive()
            pieces.append(message.get("body", b""))
            n_read += len(pieces[-1])
            more = message.get("more_body", False)
            if n_read > self._limit:
                raise BodyTooLarge(limit=self._limit)
        body: list[Message] = [
            {"type": "http.request", "body": b"".join(pieces), "more_body": False}
        ]

        async def replayed() -> Message:
            return body.pop() if body else await receive()

        return replayed

    async def _refuse(
        self, error: TimonelError, scope: Scope, headers: dict[bytes, bytes], answer: "_Answer"
    ) -> None:
        if answer.started:
            return  # the server cuts the connection: half an answer must not look whole
        accepted = headers.get(b"accept-language", b"").decode("latin-1")
        lang = choose_language(None, None, accepted, self._language)
        response = problem_response(error, lang, scope)
        await response(scope, _nothing, answer)


class _Answer:
    """A ``send`` that adds the headers every answer has."""

    __slots__ = ("_extra", "_send", "started")

    def __init__(self, send: Send, extra: Pairs) -> None:
        self._send = send
        self._extra = extra
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            given = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *self._extra,
                *((name, value) for name, value in _HEADERS.items() if name not in given),
                *(() if b"cache-control" in given else ((b"cache-control", b"no-store"),)),
            ]
        await self._send(message)


def _named(pairs: Pairs) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in pairs}


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _check_url(scope: Scope) -> None:
    for part in (scope["path"], scope.get("query_string", b"").decode("latin-1")):
        if "\0" in part or "%00" in part:
            raise MalformedUrl(found=Phrase("a NUL character", "un carácter NUL"))


def _kind(headers: dict[bytes, bytes]) -> str:
    return headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()


def _check_encoding(headers: dict[bytes, bytes]) -> None:
    encoding = headers.get(b"content-encoding", b"identity").decode("latin-1")
    if encoding != "identity":
        raise UnsupportedMediaType(
            found=Phrase("encoding {name}", "compresión {name}", name=encoding[:50]),
            expected=Phrase("no encoding", "ninguna compresión"),
        )


def _check_type(headers: dict[bytes, bytes]) -> None:
    _check_encoding(headers)
    kind = _kind(headers)
    if kind != "application/json" and not (
        kind.startswith("application/") and kind.endswith("+json")
    ):
        found = headers.get(b"content-type", b"").decode("latin-1")
        raise UnsupportedMediaType(
            found=found[:100] or Phrase("none", "ninguno"), expected="application/json"
        )
