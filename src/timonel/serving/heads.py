"""HTTP/1.1 with a bound on a request's head.

The parser keeps a header until it is whole, however long that becomes, so the bytes are counted as
they come: what memory a client can take before it is known is bounded.
"""

from typing import Any

import msgspec
from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from timonel.wire.errors import HeadTooLarge
from timonel.wire.problem import MEDIA_TYPE, problem

MAX_HEAD = 64 << 10
_PIECE = 256 << 10  # the most that comes at once: it may begin with another request's body


class BoundedHttp(HttpToolsProtocol):
    """Uvicorn's protocol; a longer head is answered 431, and the connection closed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._in_head = False
        self._n_piece = 0
        self._n_before = 0  # bytes of the pieces before this one that the head lies in

    def data_received(self, data: bytes) -> None:
        """Parse a piece, and count it where it left the head unfinished."""
        self._n_piece = len(data)
        super().data_received(data)
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
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless it was refused already."""
        if not self.transport.is_closing():
            super().send_400_response(msg)

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
