"""Traffic that keeps its own record, and the comparison of that record with the database.

What the server counts of itself proves nothing about losses; the client notes each answer it got,
and asks the tables for it afterwards.
"""

import asyncio
import itertools
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import Engine, func, select

from timonel.store.tables import minute_windows, predictions
from timonel.wire.ids import IdSource

_ANSWER_S = 60.0


class Answered(NamedTuple):
    """One acknowledged prediction; times are monotonic seconds."""

    prediction_id: uuid.UUID
    version: str
    asked_at: float
    answered_at: float
    source: str
    reason: str


@dataclass
class Record:
    """What a client knows: every request by its mark, and what was answered."""

    answered: dict[str, Answered] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    wrong: list[tuple[int, bytes]] = field(default_factory=list)
    n_broken: int = 0


class Traffic:
    """Asks for predictions over some connections until told to stop.

    Every other request brings its own ``prediction_id`` and is repeated until it is answered; the
    rest is asked once.

    Parameters
    ----------
    url : str
    model : str
        With one numeric input ``visits``.
    n_connections : int
    pause_s : float
        Between an answer and the next request of a connection.
    """

    def __init__(
        self, url: str, model: str, *, n_connections: int = 8, pause_s: float = 0.0
    ) -> None:
        place = urlsplit(url)
        self._place = (place.hostname or "127.0.0.1", place.port or 80)
        self._head = f"POST /v1/models/{model}/predict HTTP/1.1\r\nHost: {place.netloc}\r\n"
        self._numbers = itertools.count()
        self._ids = IdSource()
        self._pause_s = pause_s
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self.record = Record()
        self.widen(n_connections)

    def widen(self, n: int) -> None:
        """Ask over so many more connections."""
        self._tasks += [asyncio.create_task(self._ask_on()) for _ in range(n)]

    async def answers(self, n: int, limit_s: float = 240.0) -> None:
        """Wait for so many more answers."""
        wanted = len(self.record.answered) + n
        until = time.monotonic() + limit_s
        while len(self.record.answered) < wanted:
            if time.monotonic() > until:
                message = f"{wanted - len(self.record.answered)} answers missing after {limit_s} s"
                raise TimeoutError(message)
            await asyncio.sleep(0.001)

    async def stop(self) -> Record:
        """Send nothing more, wait for what was asked, and give the record."""
        self._stopping = True
        await asyncio.gather(*self._tasks)
        return self.record

    async def _ask_on(self) -> None:
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        pending: dict[str, Any] | None = None
        failures = 0
        while not self._stopping or (pending is not None and failures < 3):
            request = pending or self._next_request()
            try:
                connection = connection or await asyncio.open_connection(*self._place)
                pending = await self._ask(*connection, request)
                failures = 0
                await asyncio.sleep(self._pause_s)
            except (OSError, EOFError, TimeoutError):
                self.record.n_broken += 1
                pending = request if "prediction_id" in request else None
                failures = failures + 1 if self._stopping else 0
                if connection is not None:
                    connection[1].transport.abort()
                connection = None
                await asyncio.sleep(0.01)
        if connection is not None:
            connection[1].close()
            await connection[1].wait_closed()

    def _next_request(self) -> dict[str, Any]:
        number = next(self._numbers)
        request: dict[str, Any] = {"inputs": {"visits": number % 90}, "unit_id": f"mark-{number}"}
        if number % 2:
            request["prediction_id"] = str(uuid.UUID(bytes=self._ids.next()))
        return request

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Ask once; give the request back if it is to be repeated."""
        mark, asked_at = request["unit_id"], time.monotonic()
        self.record.sent.add(mark)
        body = msgspec.json.encode(request)
        writer.write(f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        async with asyncio.timeout(_ANSWER_S):
            status, said = await _response(reader)
        if status == 503:  # it stops, or has not read yet what to serve
            raise ConnectionAbortedError
        if status != 200:
            self.record.wrong.append((status, said))
            return None
        answer = msgspec.json.decode(said)
        self.record.answered[mark] = Answered(
            uuid.UUID(answer["prediction_id"]),
            answer["version"],
            asked_at,
            time.monotonic(),
            answer["source"],
            answer["reason"],
        )
        return None


class Tally(NamedTuple):
    """The record against the database; all but the first two are to be 0."""

    n_answered: int
    n_rows: int
    n_lost: int  # answered, but not in the table
    n_doubled: int  # rows more than requests
    n_miscounted: int  # rows that windows hold too many or too few
    n_foreign: int  # rows that nobody asked for


def tally(engine: Engine, project: str, record: Record) -> Tally:
    """Compare a client's record with the predictions and windows of the database."""
    mine = predictions.c.project == project
    with engine.connect() as connection:
        rows = connection.execute(
            select(predictions.c.prediction_id, predictions.c.unit_id).where(mine)
        ).all()
        n_windowed = connection.scalar(
            select(func.sum(minute_windows.c.n)).where(minute_windows.c.project == project)
        )
    stored = {(row.unit_id, row.prediction_id) for row in rows}
    answered = {(mark, one.prediction_id) for mark, one in record.answered.items()}
    marks = Counter(row.unit_id for row in rows)
    return Tally(
        n_answered=len(answered),
        n_rows=len(rows),
        n_lost=len(answered - stored),
        n_doubled=sum(n - 1 for n in marks.values()),
        n_miscounted=abs(len(rows) - int(n_windowed or 0)),
        n_foreign=len(marks.keys() - record.sent),
    )


async def _response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    start = head.index(b"content-length:") + len(b"content-length:")
    length = int(head[start : head.index(b"\r\n", start)])
    return int(head.split(b" ", 2)[1]), await reader.readexactly(length)
