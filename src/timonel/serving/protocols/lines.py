"""NDJSON in and out: any number of rows through the predict route, one answer a line.

Memory is bounded by one line and a few pieces of the answer: a client that does not read what it
is answered is not read from either. Each line is a request of its own: checked, answered by the
version that serves when its turn comes, and logged before its answer is sent.
"""

import asyncio
import re
import time
import zlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from timonel.errors import Phrase, TimonelError
from timonel.serving.protocols.models import Served
from timonel.serving.routes.exchange import BODY_S, Disconnected, Exchange
from timonel.serving.routes.predict import MAX_IN_FLIGHT, Predictions
from timonel.serving.routes.requests import PredictRequest
from timonel.serving.versions.snapshot import ServedModel, ServedVersion
from timonel.wire.errors import BodyTooLarge, MalformedBody, UnsupportedMediaType
from timonel.wire.problem import problem
from timonel.wire.replies import encode_reply

MEDIA_TYPES = (b"application/x-ndjson", b"application/ndjson", b"application/jsonl")
_PIECE = 32 << 10  # bytes of answers that are sent together while lines keep coming
_INFLATED = 64 << 10  # bytes that are inflated at a time
_TURN_S = 0.005
_FULL_S = 0.002
_TOGETHER = 16  # lines in flight, where each has to wait for something
_FRAME = re.compile(rb'"inputs"\s*:')  # a row is flat: only the frame has a field of this name


def is_lines(kind: bytes | None) -> bool:
    """Tell whether a ``Content-Type`` is NDJSON."""
    return kind is not None and kind.partition(b";")[0].strip().lower() in MEDIA_TYPES


class Lines:
    """Answers bodies of NDJSON.

    Parameters
    ----------
    served : Served
    predictions : Predictions
    max_line_bytes : int
        A longer line is answered by an error, and passed over.
    waits : bool
        An answer waits for the disk: several lines wait together.
    """

    def __init__(
        self, served: Served, predictions: Predictions, max_line_bytes: int, *, waits: bool
    ) -> None:
        self._served = served
        self._predictions = predictions
        self._limit = max_line_bytes
        self._waits = waits

    async def answer(self, exchange: Exchange, name: str) -> None:
        """Answer a stream of rows line by line; raises ``TimonelError`` before the first."""
        exchange.route = "predict-lines"
        _, model = self._served.model(name)
        at_once = _TOGETHER if self._waits or (model.shown and model.shown.elsewhere) else 1
        chunks = _inflated(exchange)
        await exchange.begin(MEDIA_TYPES[0])
        out = bytearray()
        waiting: list[Line] = []
        until = time.monotonic() + _TURN_S
        try:
            async for line in _Splitter(chunks, self._limit):
                if line is not None:
                    waiting.append(line)
                    if len(waiting) < at_once:
                        continue
                out += await self._together(name, waiting, exchange.language)
                waiting.clear()
                # what is done goes out before more is waited for
                if len(out) > _PIECE or (out and line is None):
                    await exchange.piece(bytes(out))
                    out.clear()
                if time.monotonic() > until:
                    await asyncio.sleep(0)
                    until = time.monotonic() + _TURN_S
            out += await self._together(name, waiting, exchange.language)
        except TimonelError as error:  # the body itself breaks off: the last line says how
            out += await self._together(name, waiting, exchange.language)
            out += _told(error, exchange.language, None)
        await exchange.piece(bytes(out), last=True)

    async def _together(self, name: str, lines: list["Line"], language: str) -> bytes:
        """Answer lines in their order; a worker that is full is waited for, not failed."""
        if not lines:
            return b""
        while self._predictions.in_flight > MAX_IN_FLIGHT - len(lines):
            await asyncio.sleep(_FULL_S)
        if len(lines) == 1:
            return await self._one(name, lines[0], language)
        return b"".join(await asyncio.gather(*(self._one(name, line, language) for line in lines)))

    async def _one(self, name: str, line: "Line", language: str) -> bytes:
        started_ns = time.monotonic_ns()
        try:
            if line.text is None:
                raise BodyTooLarge(limit=self._limit)
            snapshot, model = self._served.model(name)
            reply = await self._predictions.answer(
                snapshot, model, _body(model, line.text), started_ns=started_ns, language=language
            )
        except TimonelError as error:
            return _told(error, language, line.number)
        return encode_reply(reply) + b"\n"


class Line(NamedTuple):
    """A line of the body, counted from 1; no text where it is too long."""

    number: int
    text: bytes | None


class _Splitter:
    """Cuts pieces of a body into lines; gives None where it has to wait for more.

    Blank lines are passed over. Of a line that is too long nothing is kept.
    """

    def __init__(self, chunks: AsyncIterator[bytes | None], limit: int) -> None:
        self._chunks = chunks
        self._limit = limit
        self._rest = bytearray()
        self._skipping = False
        self._number = 0

    async def __aiter__(self) -> AsyncIterator[Line | None]:
        async for chunk in self._chunks:
            if chunk is None:
                yield None
                continue
            self._rest += chunk
            start = 0
            while (end := self._rest.find(b"\n", start)) >= 0:
                line = self._line(bytes(self._rest[start:end]))
                start = end + 1
                if line is not None:
                    yield line
            del self._rest[:start]
            if len(self._rest) > self._limit:
                self._rest.clear()
                self._skipping = True
        if self._rest or self._skipping:
            line = self._line(bytes(self._rest))
            if line is not None:
                yield line

    def _line(self, text: bytes) -> Line | None:
        self._number += 1
        if self._skipping or len(text) > self._limit:
            self._skipping = False
            return Line(self._number, None)
        return Line(self._number, text) if text.strip() else None


async def _received(exchange: Exchange) -> AsyncIterator[bytes | None]:
    """Give the body as it comes, None before each wait for more of it.

    Raises
    ------
    Disconnected
        If the client went away, or sent nothing for 30 s.
    """
    more = True
    while more:
        yield None
        try:
            async with asyncio.timeout(BODY_S):
                message = await exchange.receive()
        except TimeoutError:
            raise Disconnected from None
        if message["type"] == "http.disconnect":
            raise Disconnected
        yield message.get("body", b"")
        more = message.get("more_body", False)


def _inflated(exchange: Exchange) -> AsyncIterator[bytes | None]:
    """Give the body decompressed; raises ``UnsupportedMediaType`` at once."""
    encoding = exchange.headers.get(b"content-encoding", b"").strip().lower()
    if encoding in (b"", b"identity"):
        return _received(exchange)
    if encoding not in (b"gzip", b"x-gzip"):
        raise UnsupportedMediaType(
            found=f"Content-Encoding {encoding.decode('latin-1')[:50]}",
            expected=Phrase("gzip or none", "gzip o ninguno"),
        )
    return _unzipped(exchange)


async def _unzipped(exchange: Exchange) -> AsyncIterator[bytes | None]:
    """Inflate a body a little at a time, whatever the archive claims."""
    inflating = zlib.decompressobj(wbits=31)
    position = 0
    async for chunk in _received(exchange):
        if chunk is None:
            yield None
            continue
        position += len(chunk)
        full = True  # what is left of the input, or held back of the output
        while (chunk or full) and not inflating.eof:
            try:
                piece = inflating.decompress(chunk, _INFLATED)
            except zlib.error as error:
                found = Phrase(
                    "no gzip data ({said})", "algo que no es gzip ({said})", said=str(error)
                )
                raise MalformedBody(found=found, expected="gzip", position=position) from None
            yield piece
            chunk = inflating.unconsumed_tail
            full = len(piece) == _INFLATED
    if not inflating.eof or inflating.unused_data:
        found = Phrase("gzip data that break off", "datos gzip cortados")
        expected = Phrase("one whole gzip member", "un solo miembro gzip entero")
        raise MalformedBody(found=found, expected=expected, position=position)


class _BareRow:
    """A line that is a row by itself."""

    __slots__ = ("_line", "size")

    def __init__(self, line: bytes) -> None:
        self._line = line
        self.size = len(line)

    def read(self, version: ServedVersion, max_rows: int) -> PredictRequest:
        """Read it; raises ``MalformedBody`` or ``InvalidRow``."""
        return PredictRequest([version.decoder.decode(self._line)], True)


def _body(model: ServedModel, line: bytes) -> bytes | _BareRow:
    """Give a line as what it is: a body of the predict route, or a row by itself."""
    shown = model.shown
    framed = _FRAME.search(line) and not (shown and "inputs" in shown.decoder.names)
    return line if framed else _BareRow(line)


def _told(error: TimonelError, language: str, line: int | None) -> bytes:
    document = problem(error, lang=language)
    if line is not None:
        document["line"] = line
    return encode_reply({"error": document}) + b"\n"
