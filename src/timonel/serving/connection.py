"""HTTP/1.1 as a worker speaks it: heads are bounded, and plain predictions answered at once.

The parser keeps a header until it is whole, however long that becomes, so the bytes are counted as
they come: what memory a client can take before it is known is bounded.

A request that came whole and asks for one prediction is answered where its last byte is read.
ASGI's task, scope and messages cost more than the answer itself; whatever is not plain goes their
way, from its beginning. Clients send the same head again and again: one that was parsed and
answered is known by its bytes, and not parsed again. Where answers wait for the disk, only those
that are known are given here: they came alone, so nothing can overtake them.
"""

import select
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import msgspec
from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from timonel.serving.routes.plain import Head, PlainHead, Then
from timonel.wire.errors import HeadTooLarge
from timonel.wire.problem import MEDIA_TYPE, problem

MAX_HEAD = 64 << 10
_PIECE = 256 << 10  # the most that comes at once: it may begin with another request's body
_OK = b"HTTP/1.1 200 OK\r\n"
_END = b"\r\n\r\n"
_KNOWN_BYTES = 2048  # longer heads are parsed each time
_MOST_KNOWN = 1024
_HUNG_UP = getattr(select, "POLLRDHUP", 0)  # elsewhere POLLHUP says it, which is always asked


class Answering(Protocol):
    """Answers plain predictions; see ``routes.plain.PlainPredictions``."""

    synced: bool
    """``answer_then`` is to be asked, and not ``answer``."""

    def head(self, sent: Head) -> PlainHead | None:
        """Read a head; None for what ASGI has to answer, whatever the body."""
        ...

    def answer(self, head: PlainHead, body: bytes) -> bytes | None:
        """Give headers and body of a 200; None, with nothing done, for what ASGI has to answer."""
        ...

    def answer_then(self, head: PlainHead, body: bytes, then: Then) -> bool:
        """Answer later; False, with nothing done, for what ASGI has to answer."""
        ...

    def left(self) -> None:
        """Count an answer that nobody was there to take."""
        ...


class KnownHeads:
    """Heads of one worker that were parsed and answered, with the length of the body after them.

    By peer and bytes. All are forgotten when there are too many: those in use come back at once.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str | None, bytes], tuple[PlainHead, int]] = {}
        self.get = self._known.get

    def add(self, peer: str | None, sent: bytes, head: PlainHead, n_body: int) -> None:
        """Keep a head whose bytes, up to the empty line, mean the same whenever they come."""
        if len(sent) <= _KNOWN_BYTES:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[peer, sent] = head, n_body


class WorkerHttp(HttpToolsProtocol):
    """Uvicorn's protocol; a head that is too long is answered 431, and the connection closed.

    Parameters
    ----------
    plain : Answering or None
        Asked first for each POST that came in one piece.
    known : KnownHeads or None
        Shared with the worker's other connections.
    options
        Of uvicorn's protocol.
    """

    def __init__(
        self, *, plain: Answering | None = None, known: KnownHeads | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self._plain = plain
        self._synced = plain is not None and plain.synced
        self._known = KnownHeads() if known is None else known
        self._peer: str | None = None
        self._in_head = False
        self._between = True  # no part of a request has come yet
        self._piece = b""
        self._n_before = 0  # bytes of the pieces before this one that the head lies in
        self._head: PlainHead | None = None  # of a request that ASGI has not seen yet
        self._held: list[bytes] = []  # its body
        self._used = False  # answered at once since the time to be idle began
        self._waits = False  # an answer waits for the disk
        self._later = b""  # what came meanwhile
        self._ending = False
        self._gone: Any = None  # asked whether the client has left
        self._own: Any = None  # headers of the server, and how an answer begins that has them
        self._begun = b""

    def connection_made(self, transport: Any) -> None:
        """Note who is there."""
        super().connection_made(transport)
        self._peer = self.client[0] if self.client else None
        if self._synced:
            self._gone = select.poll()
            self._gone.register(transport.get_extra_info("socket").fileno(), _HUNG_UP)

    def data_received(self, data: bytes) -> None:
        """Answer a request that is known; else parse the piece, and count an unfinished head."""
        if self._waits:
            self._later += data
            self.flow.pause_reading()
            return
        if self._between and self._at_once(data):
            return
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        self._piece = data
        super().data_received(data)
        self._piece = b""  # an idle connection keeps none
        if self._head is not None:
            self._hand_over()  # the rest of its body is still to come
        if self._in_head:
            self._n_before += len(data)
            if self._n_before > MAX_HEAD + _PIECE and not self.transport.is_closing():
                self._refuse()

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._between = False
        self._in_head = True
        self._n_before = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End the count; raises where the whole is too long."""
        self._in_head = False
        if self._n_before + len(self._piece) > MAX_HEAD:  # else it cannot be
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > MAX_HEAD:
                self._refuse()
                raise HttpParserError
        if self._plain is not None and self._may_be_plain():
            self._head = self._plain.head(Head(self.url, self.headers, self._peer))
        if self._head is None:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep a part of a body."""
        if self._head is None:
            super().on_body(body)
        else:
            self._held.append(body)

    def on_message_complete(self) -> None:
        """Answer what is plain; the rest is handed over."""
        self._between = True
        head = self._head
        if head is not None:
            body = b"".join(self._held)
            if self._synced:  # not here: what follows in this piece would overtake the answer
                self._remember(head, len(body))
            elif self._answered(head, body):
                self._remember(head, len(body))
                self._head, self._held = None, []
                self.on_response_complete()
                return
            self._hand_over()
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close, unless there was an answer since the time began."""
        if self._used or self._waits:
            self._await_next()
        else:
            super().timeout_keep_alive_handler()

    def shutdown(self) -> None:
        """Close, once what was begun is answered."""
        self._ending = True
        if not self._waits:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless it was refused already."""
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def _at_once(self, data: bytes) -> bool:
        """Answer a request whose head is known, if it is all that came."""
        sent, _, body = data.partition(_END)
        known = self._known.get((self._peer, sent))
        if known is None or len(body) != known[1] or not self._is_free():
            return False
        head = known[0]
        if not (self._begins(head, data, body) if self._synced else self._answered(head, body)):
            return False
        self._used = True
        if self.timeout_keep_alive_task is None:
            self._await_next()
        return True

    def _is_free(self) -> bool:
        """Say whether nothing is being answered here."""
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.pipeline
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )

    def _may_be_plain(self) -> bool:
        """Say whether the head asks for nothing special, and can be answered now."""
        parser = self.parser
        return (
            parser.get_method() == b"POST"
            and parser.should_keep_alive()
            and parser.get_http_version() == "1.1"
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and self._is_free()
        )

    def _begins(self, head: PlainHead, data: bytes, body: bytes) -> bool:
        """Begin to answer what is answered when the disk has it."""
        assert self._plain is not None  # noqa: S101 - without it there is no head
        self._waits = self._plain.answer_then(head, body, partial(self._ends, data))
        return self._waits

    def _ends(self, data: bytes, said: Callable[[], bytes] | None) -> None:
        """Answer, unless nobody is there; what came meanwhile is read now."""
        assert self._plain is not None  # noqa: S101 - it is what began
        self._waits = False
        if self.transport.is_closing() or self._gone.poll(0):
            self._plain.left()
            self.transport.close()
            return
        if said is None:
            self._parse(data)  # the route says what is wrong
        else:
            self._write(said())
        later, self._later = self._later, b""
        if self._ending:
            self.shutdown()
        elif later:
            self.flow.resume_reading()
            self.data_received(later)

    def _answered(self, head: PlainHead, body: bytes) -> bool:
        assert self._plain is not None  # noqa: S101 - without it there is no head
        said = self._plain.answer(head, body)
        if said is None:
            return False
        self._write(said)
        return True

    def _write(self, said: bytes) -> None:
        own = self.server_state.default_headers
        if own is not self._own:  # a new one each second
            self._own, self._begun = own, b"".join([_OK, *map(b"%s: %s\r\n".__mod__, own)])
        self.transport.write(self._begun + said)

    def _remember(self, head: PlainHead, n_body: int) -> None:
        """Know the head again, where this piece is that one request, and its head says its size."""
        sent, _, rest = self._piece.partition(_END)
        sizes = [value for name, value in self.headers if name == b"content-length"]
        if not self._n_before and sizes == [b"%d" % n_body] and len(rest) == n_body:
            self._known.add(self._peer, sent, head, n_body)

    def _await_next(self) -> None:
        self._used = False
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _hand_over(self) -> None:
        """Let ASGI have the request, with what came of its body."""
        held, self._held, self._head = self._held, [], None
        super().on_headers_complete()
        for part in held:
            super().on_body(part)

    def _refuse(self) -> None:
        body = msgspec.json.encode(problem(HeadTooLarge(limit=MAX_HEAD)))
        head = (
            "HTTP/1.1 431 Request Header Fields Too Large\r\n"
            f"content-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
