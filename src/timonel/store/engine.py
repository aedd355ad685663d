"""One engine for SQLite and PostgreSQL, with the same promises from both.

A committed transaction survives the loss of power (``synchronous=FULL``, ``synchronous_commit``);
a writing transaction takes its lock when it begins, so two that read before they write cannot
deadlock; a database that cannot be used raises :class:`StoreUnavailable`, not a driver's error.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    Executable,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from timonel.errors import TimonelError
from timonel.store.errors import (
    DriverMissing,
    StoreCorrupt,
    StoreUnavailable,
    UnsupportedDatabase,
)
from timonel.store.url import POSTGRESQL, SQLITE, DatabaseUrl, read_url

BUSY_TIMEOUT_S = 2.0
CONNECT_TIMEOUT_S = 5

_SQLITE_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
}
_SQLITE_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# insufficient resources, operator intervention, lock not available
_POSTGRES_UNAVAILABLE = ("53", "57", "55P03")


def make_engine(url: str) -> Engine:
    """Make the engine of a database; nothing is connected yet.

    Parameters
    ----------
    url : str
        ``sqlite:///relative``, ``sqlite:////absolute``, ``postgres://`` or ``postgresql://``.

    Raises
    ------
    UnsupportedDatabase
        For another database, or an unreadable URL.
    DriverMissing
        For PostgreSQL without psycopg.
    """
    place = read_url(url)
    engine = _sqlite_engine(place) if place.kind == SQLITE else _postgres_engine(place)

    @event.listens_for(engine, "handle_error")
    def translate(context: ExceptionContext) -> TimonelError | None:
        return _translated(context, place)

    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection whose transaction only reads.

    On SQLite it takes no write lock, so it waits for nobody and nobody waits for it; a transaction
    of ``engine.begin()`` takes the lock at once. Keep it short, and read what can grow in pages.
    """
    with engine.connect() as connection:
        yield connection.execution_options(timonel_begin="DEFERRED")


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Give a reading connection all of whose queries see the database at one moment."""
    with reading(engine) as connection:
        if connection.dialect.name == POSTGRESQL:
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def plain_rows(
    connection: Connection, statement: Executable, given: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Give the rows of a query as the driver reads them; values as it gives them, too.

    For hundreds of rows whose columns are taken apart at once: SQLAlchemy takes longer to make an
    object of each than the database to find it.
    """
    result = connection.execute(statement, given)
    rows = [] if result.cursor is None else [*result.cursor.fetchall()]
    result.close()
    return rows


class database_now(FunctionElement[int]):  # noqa: N801 - named as the SQL function it is
    """The database's own clock as SQL: microseconds since the epoch, UTC.

    For leases and liveness only, which several hosts must agree on; event time is the clock's.
    """

    type = BigInteger()
    inherit_cache = True
    name = "database_now"


@compiles(database_now)
def _now(element: database_now, compiler: SQLCompiler, **_: Any) -> str:
    return {
        POSTGRESQL: "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
        "mssql": "DATEDIFF_BIG(MICROSECOND, '1970-01-01', SYSUTCDATETIME())",
    }.get(
        compiler.dialect.name,
        "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)",
    )


def _sqlite_engine(place: DatabaseUrl) -> Engine:
    engine = create_engine(
        f"sqlite:///{place.path}", connect_args={"timeout": BUSY_TIMEOUT_S}, pool_size=8
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the transactions below are ours, DDL included
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("timonel_begin", "IMMEDIATE")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    # the switch to WAL does not wait for another process's switch as other locks do
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _postgres_engine(place: DatabaseUrl) -> Engine:
    try:
        url = make_url(place.dsn).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        raise UnsupportedDatabase(url=place.shown, found="an unreadable URL") from None
    connect_args: dict[str, Any] = {"application_name": "timonel"}
    if "connect_timeout" not in url.query:
        connect_args["connect_timeout"] = CONNECT_TIMEOUT_S
    try:
        engine = create_engine(url, connect_args=connect_args, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise DriverMissing from error

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # a server or role may have it off; segments are deleted on the word of a commit
        connection.execute("SET synchronous_commit = on")
        connection.commit()

    return engine


def _translated(context: ExceptionContext, place: DatabaseUrl) -> TimonelError | None:
    original = context.original_exception
    if isinstance(original, sqlite3.Error):
        code = _primary_code(original)
        if code in _SQLITE_CORRUPT:
            return StoreCorrupt(database=place.shown, detail=_first_line(original))
        unavailable = code in _SQLITE_UNAVAILABLE
    else:
        state = getattr(original, "sqlstate", None) or ""
        # without a connection the failure was to connect
        unavailable = (
            context.connection is None
            or context.is_disconnect
            or state.startswith(_POSTGRES_UNAVAILABLE)
        )
    if unavailable and not isinstance(original, TimonelError):
        return StoreUnavailable(database=place.shown, detail=_first_line(original))
    return None


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
