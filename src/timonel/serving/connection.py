"""HTTP/1.1 as a worker speaks it: heads are bounded, and plain predictions answered at once.

The parser keeps a header until it is whole, however long that becomes, so the bytes are counted as
they come: what memory a client can take before it is known is bounded.

A request that came whole and asks for one prediction is answered where its last byte is read.
ASGI's task, scope and messages cost more than the answer itself; whatever is not plain goes their
way, from its beginning.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from timonel.serving.routes.plain import Whole
from timonel.wire.errors import HeadTooLarge
from timonel.wire.problem import MEDIA_TYPE, problem

MAX_HEAD = 64 << 10
_PIECE = 256 << 10  # the most that comes at once: it may begin with another request's body
_OK = b"HTTP/1.1 200 OK\r\n"


Answer = Callable[[Whole], bytes | None]
"""Gives headers and body of a 200; None, with nothing done, for what ASGI has to answer."""


class WorkerHttp(HttpToolsProtocol):
    """Uvicorn's protocol; a head that is too long is answered 431, and the connection closed.

    Parameters
    ----------
    answer : callable or None
        Asked first for each POST that came in one piece.
    options
        Of uvicorn's protocol.
    """

    def __init__(self, *, answer: Answer | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._answer = answer
        self._in_head = False
        self._n_piece = 0
        self._n_before = 0  # bytes of the pieces before this one that the head lies in
        self._held: list[bytes] | None = None  # the body of a request that ASGI has not seen yet

    def data_received(self, data: bytes) -> None:
        """Parse a piece, and count it where it left the head unfinished."""
        self._n_piece = len(data)
        super().data_received(data)
        if self._held is not None:
            self._hand_over()  # the rest of its body is still to come
        if self._in_head:
            self._n_before += len(data)
            if self._n_before > MAX_HEAD + _PIECE and not self.transport.is_closing():
                self._refuse()

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._in_head = True
        self._n_before = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End the count; raises where the whole is too long."""
        self._in_head = False
        if self._n_before + self._n_piece > MAX_HEAD:  # else it cannot be
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > MAX_HEAD:
                self._refuse()
                raise HttpParserError
        if self._answer is not None and self._may_be_plain():
            self._held = []
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep a part of a body."""
        if self._held is None:
            super().on_body(body)
        else:
            self._held.append(body)

    def on_message_complete(self) -> None:
        """Answer what is plain; the rest is handed over."""
        if self._held is not None:
            if self._answered(b"".join(self._held)):
                self._held = None
                self.on_response_complete()
                return
            self._hand_over()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless it was refused already."""
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def _may_be_plain(self) -> bool:
        """Say whether nothing is being answered here, and the head asks for nothing special."""
        parser = self.parser
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.pipeline
            and parser.get_method() == b"POST"
            and parser.should_keep_alive()
            and parser.get_http_version() == "1.1"
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )

    def _answered(self, body: bytes) -> bool:
        assert self._answer is not None  # noqa: S101 - nothing is held without it
        peer = self.client[0] if self.client else None
        said = self._answer(Whole(self.url, self.headers, peer, body))
        if said is None:
            return False
        own = self.server_state.default_headers
        self.transport.write(b"".join([_OK, *(b"%s: %s\r\n" % header for header in own), said]))
        return True

    def _hand_over(self) -> None:
        """Let ASGI have the request, with what came of its body."""
        held, self._held = self._held or [], None
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
