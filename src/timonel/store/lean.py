"""What a predict worker reads of the database, without SQLAlchemy.

Two small implementations of one port, so that a worker imports only the driver it needs. Every
failure is :class:`StoreUnavailable`: a worker keeps the snapshot it has and asks again.
"""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from timonel.clock import AffineClock
from timonel.store.errors import StoreUnavailable
from timonel.store.url import SQLITE, DatabaseUrl, read_url

_GENERATION = "SELECT generation FROM control WHERE project = ?"
_CLOCK = "SELECT clock_real_us, clock_event_us, clock_rate FROM control WHERE project = ?"
# one statement, so one moment: a declaration and the aliases beside it belong together
_SERVING = """
SELECT model, 'declaration' AS alias, '' AS version, digest, manifest
  FROM declarations WHERE project = ?
UNION ALL
SELECT a.model, a.alias, a.version, v.digest, v.manifest
  FROM aliases a JOIN model_versions v
    ON v.project = a.project AND v.model = a.model AND v.version = a.version
 WHERE a.project = ?
UNION ALL
SELECT DISTINCT x.model, 'arm:' || x.version, x.version, v.digest, v.manifest
  FROM experiment_arms x JOIN model_versions v
    ON v.project = x.project AND v.model = x.model AND v.version = x.version
 WHERE x.project = ?
 ORDER BY 1, 2
"""
_EXPERIMENTS = """
SELECT model, name, design, weights FROM experiments
 WHERE project = ? AND state = 'active' ORDER BY name
"""
_MEMBERS = """
SELECT m.experiment, m.unit_id, m.arm
  FROM experiment_members m JOIN experiments e
    ON e.project = m.project AND e.name = m.experiment
 WHERE m.project = ? AND e.state = 'active' AND m.turn IS NULL AND m.origin <> 'list'
"""
_KEYS = """
SELECT name, digest, role, scopes, models, rate, expires_at
  FROM access_keys WHERE project = ? AND revoked_at IS NULL
"""
_POSTGRES_OPTIONS: dict[str, Any] = {
    "connect_timeout": 3,
    "application_name": "timonel-worker",
    # a host that is cut off must not hold the poll for the minutes that TCP would
    "tcp_user_timeout": 3000,
}


class ServingRow(msgspec.Struct, frozen=True):
    """One manifest to serve: a model's declaration, or a version under an alias."""

    model: str
    alias: str  # declaration, champion, challenger, previous, arm:1.2.0
    version: str  # "" for a declaration
    digest: str  # of the manifest: unchanged, nothing is to be loaded again
    manifest: str


class ExperimentRow(msgspec.Struct, frozen=True):
    """One experiment that assigns traffic now."""

    model: str
    name: str
    design: str
    weights: str
    members: dict[str, str] = {}


class KeyRow(msgspec.Struct, frozen=True):
    """A key in force, as ``access_keys`` has it; it may have expired."""

    name: str
    digest: str
    role: str
    scopes: str  # JSON list
    models: str  # JSON list; empty: all
    rate: str | None
    expires_at: int | None


class _Reader(Protocol):
    def rows(self, query: str, parameters: Sequence[str]) -> list[tuple[Any, ...]]:
        """Run a query with ``?`` placeholders; any driver error becomes StoreUnavailable."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class LeanStore:
    """The reads of a predict worker; safe to use from several threads.

    Parameters
    ----------
    url : str
        As for ``make_engine``. Nothing is connected before the first read.
    """

    def __init__(self, url: str) -> None:
        place = read_url(url)
        self._place = place.shown
        self._reader: _Reader = (
            _SqliteReader(place) if place.kind == SQLITE else _PostgresReader(place)
        )

    def generation(self, project: str) -> int:
        """Read the generation in force (some microseconds on SQLite).

        Raises
        ------
        StoreUnavailable
            If the database is missing, locked, unreachable, or does not hold the project.
        """
        return int(self._control(_GENERATION, project)[0])

    def clock(self, project: str) -> AffineClock:
        """Read the project's event clock; raises as :meth:`generation` does."""
        real_us, event_us, rate = self._control(_CLOCK, project)
        return AffineClock(real_us, event_us, rate)

    def serving_rows(self, project: str) -> list[ServingRow]:
        """Read all manifests to serve, of one moment; raises as :meth:`generation` does."""
        rows = self._reader.rows(_SERVING, (project, project, project))
        return [ServingRow(*row) for row in rows]

    def experiment_rows(self, project: str) -> list[ExperimentRow]:
        """Read the experiments that assign traffic now; raises as :meth:`generation` does."""
        members: dict[str, dict[str, str]] = {}
        rows = self._reader.rows(_EXPERIMENTS, (project,))
        if rows:
            for experiment, unit, arm in self._reader.rows(_MEMBERS, (project,)):
                members.setdefault(experiment, {})[unit] = arm
        return [
            ExperimentRow(model, name, design, weights, members.get(name, {}))
            for model, name, design, weights in rows
        ]

    def key_rows(self, project: str) -> list[KeyRow]:
        """Read all keys that are not revoked; raises as :meth:`generation` does."""
        return [KeyRow(*row) for row in self._reader.rows(_KEYS, (project,))]

    def close(self) -> None:
        """Close all connections; the next read opens new ones."""
        self._reader.close()

    def _control(self, query: str, project: str) -> tuple[Any, ...]:
        rows = self._reader.rows(query, (project,))
        if not rows:
            raise StoreUnavailable(
                database=self._place, detail=f"it does not hold project {project} yet"
            )
        return rows[0]


class _SqliteReader:
    """A read-only connection per thread, opened anew when the file was replaced."""

    def __init__(self, place: DatabaseUrl) -> None:
        assert place.path is not None  # noqa: S101 - by its kind
        self._path: Path = place.path
        self._shown = place.shown
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: list[sqlite3.Connection] = []

    def rows(self, query: str, parameters: Sequence[str]) -> list[tuple[Any, ...]]:
        try:
            return self._connection().execute(query, parameters).fetchall()
        except (sqlite3.Error, OSError) as error:
            self._discard()
            raise StoreUnavailable(database=self._shown, detail=str(error)) from error

    def close(self) -> None:
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()
        self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        status = self._path.stat()
        identity = (status.st_dev, status.st_ino)
        kept = self._kept()
        if kept is not None and kept[0] == identity:
            return kept[1]
        self._discard()
        connection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode=ro",
            uri=True,
            timeout=1.0,
            isolation_level=None,
            check_same_thread=False,  # `close` may come from another thread
        )
        self._local.kept = (identity, connection)
        with self._lock:
            self._open.append(connection)
        return connection

    def _kept(self) -> tuple[tuple[int, int], sqlite3.Connection] | None:
        return getattr(self._local, "kept", None)

    def _discard(self) -> None:
        kept = self._kept()
        if kept is None:
            return
        self._local.kept = None
        kept[1].close()
        with self._lock:
            if kept[1] in self._open:
                self._open.remove(kept[1])


class _PostgresReader:
    """One connection behind a lock, dropped at any error and opened again by the next read."""

    def __init__(self, place: DatabaseUrl) -> None:
        self._dsn = place.dsn
        self._shown = place.shown
        self._lock = threading.Lock()
        self._connection: Any = None

    def rows(self, query: str, parameters: Sequence[str]) -> list[tuple[Any, ...]]:
        import psycopg

        with self._lock:
            try:
                if self._connection is None:
                    self._connection = psycopg.connect(
                        self._dsn, autocommit=True, **_POSTGRES_OPTIONS
                    )
                    # not as a start-up option: connection poolers refuse those
                    self._connection.execute("SET statement_timeout = 3000")
                cursor = self._connection.execute(query.replace("?", "%s"), parameters)
                rows: list[tuple[Any, ...]] = cursor.fetchall()
            except psycopg.Error as error:
                self._drop()
                detail = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise StoreUnavailable(database=self._shown, detail=detail) from error
            return rows

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
