"""Reading one entity's row from a database of the user's, read only, with bound parameters.

Standard library and psycopg alone: this runs in predict workers. Every thread has a connection of
its own, opened at its first read and dropped at any error.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from timonel.serving.errors import LookupUnusable
from timonel.store.errors import UnsupportedDatabase
from timonel.store.url import SQLITE, read_url
from timonel.wire.lookup import ENTITY, LookupPlan, pieces_of, with_placeholders

_INSTRUCTIONS = 1000  # of SQLite's machine, between two looks at the clock
_MOST = 2  # one row is an answer; a second one says that the query is not about one entity
_POSTGRES_OPTIONS: dict[str, Any] = {
    "connect_timeout": 2,
    "application_name": "timonel-lookup",
    "tcp_user_timeout": 3000,
}
Rows = list[dict[str, Any]]


class RowReader(Protocol):
    """Reads rows of one query; safe to use from several threads."""

    def read(self, entity: str, limit_s: float) -> Rows:
        """Give at most two rows by column name; raises ``LookupUnusable``, or a driver's error."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


def open_reader(plan: LookupPlan, environment: Mapping[str, str]) -> RowReader:
    """Make the reader of a look-up; nothing is connected yet.

    Raises
    ------
    LookupUnusable
        If the address is in no variable, or names no database that is read here.
    """
    url = plan.url
    if url.startswith("env:"):
        name = url.removeprefix("env:")
        url = environment.get(name, "")
        if not url:
            raise LookupUnusable(found=f"no variable {name}", expected="the database's address")
    try:
        place = read_url(url)
    except UnsupportedDatabase as error:
        raise LookupUnusable(
            found=error.context["found"], expected="SQLite or PostgreSQL"
        ) from None
    texts, _ = pieces_of(plan.query)
    if place.kind != SQLITE:
        query = with_placeholders(texts, f"%({ENTITY})s", percent="%%")
        return _Postgres(place.dsn, query, plan.deadline_ms)
    assert place.path is not None  # noqa: S101 - by its kind
    if not place.path.is_absolute():
        raise LookupUnusable(found=str(place.path), expected="the whole path of the SQLite file")
    return _Sqlite(place.path, with_placeholders(texts, f":{ENTITY}"))


class _Connections:
    """One connection a thread. One that is in use is closed by its own thread, never under it."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._idle: dict[int, Any] = {}  # by thread
        self._closed = False

    @contextmanager
    def used(self) -> Iterator[Any]:
        """Give this thread's connection; at any error it is closed, and the next one is new."""
        thread = threading.get_ident()
        with self._lock:
            connection = self._idle.pop(thread, None)
        if connection is None:
            connection = self._connect()
        keep = False
        try:
            yield connection
            keep = True
        finally:
            with self._lock:
                keep = keep and not self._closed
                if keep:
                    self._idle[thread] = connection
            if not keep:
                connection.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, {}
        for connection in idle.values():
            connection.close()


class _Sqlite:
    def __init__(self, path: Path, query: str) -> None:
        self._path = path
        self._query = query
        self._connections = _Connections(self._connect)

    def read(self, entity: str, limit_s: float) -> Rows:
        until = time.monotonic() + limit_s
        with self._connections.used() as connection:
            connection.set_progress_handler(lambda: time.monotonic() > until, _INSTRUCTIONS)
            cursor = connection.execute(self._query, {ENTITY: entity})
            names = [column[0] for column in cursor.description or ()]
            found = cursor.fetchmany(_MOST)
            cursor.close()
        return [dict(zip(names, row, strict=True)) for row in found]

    def close(self) -> None:
        self._connections.close()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            f"file:{quote(str(self._path))}?mode=ro",
            uri=True,
            timeout=0.5,
            isolation_level=None,
            check_same_thread=False,  # an idle one is closed by the loop's thread
        )


class _Postgres:
    def __init__(self, dsn: str, query: str, deadline_ms: float) -> None:
        self._dsn = dsn
        self._query = query
        self._timeout_ms = max(1, round(deadline_ms))
        self._connections = _Connections(self._connect)

    def read(self, entity: str, limit_s: float) -> Rows:
        import psycopg

        try:
            with self._connections.used() as connection:
                cursor = connection.execute(self._query, {ENTITY: entity})
                names = [column.name for column in cursor.description or ()]
                found = cursor.fetchmany(_MOST)
        except psycopg.DataError:
            return []  # "abc" is the id of nobody where ids are numbers
        return [dict(zip(names, row, strict=True)) for row in found]

    def close(self) -> None:
        self._connections.close()

    def _connect(self) -> Any:
        import psycopg

        connection = psycopg.connect(self._dsn, autocommit=True, **_POSTGRES_OPTIONS)
        # not as start-up options: connection poolers refuse those
        connection.execute(f"SET statement_timeout = {self._timeout_ms}")
        connection.execute("SET default_transaction_read_only = on")
        return connection
