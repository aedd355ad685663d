"""Whose turn it is: the one write of a predict worker, for units that are placed one after another.

Without SQLAlchemy, as ``timonel.store.lean``. A unit is placed by one guarded insert, whose
number is the next of its experiment: two that insert at once cannot take the same one, and a unit
that is there already keeps its arm.
"""

import sqlite3
import threading
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import quote

from timonel.store.errors import StoreUnavailable
from timonel.store.url import SQLITE, DatabaseUrl, read_url

MILLION = 1_000_000
ORIGIN = "round_robin"
_WAIT_S = 1.0  # for a lock; the request has gone on without an answer long before
_TRIES = 50  # each loses to another worker's insert, so that one of them goes on
_READ = """
SELECT arm FROM experiment_members WHERE project = ? AND experiment = ? AND unit_id = ?
"""
# the treatment's where the share of all so far passes a whole number: exact after any count
_INSERT = f"""
INSERT INTO experiment_members (project, experiment, unit_id, arm, origin, at, turn)
SELECT ?, ?, ?,
       CASE WHEN (n + 1) * ? / {MILLION} > n * ? / {MILLION} THEN ? ELSE ? END, '{ORIGIN}', ?, n
  FROM (SELECT COALESCE(MAX(turn), -1) + 1 AS n
          FROM experiment_members WHERE project = ? AND experiment = ?) AS next_turn
 WHERE TRUE
ON CONFLICT DO NOTHING
"""  # noqa: S608 - of constants alone


class _Runner(Protocol):
    def run(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run one statement, committed; any driver error becomes StoreUnavailable."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class TurnStore:
    """Places units; safe to use from several threads, which wait for each other.

    Parameters
    ----------
    url : str
        As for ``make_engine``. Nothing is connected before the first unit.
    project : str
    """

    def __init__(self, url: str, project: str) -> None:
        place = read_url(url)
        self._place = place.shown
        self._project = project
        self._runner: _Runner = _Sqlite(place) if place.kind == SQLITE else _Postgres(place)
        self._lock = threading.Lock()

    def place(self, experiment: str, unit: str, arms: tuple[str, str], share: int, at: int) -> str:
        """Give the arm of a unit: the one it has, else the one whose turn it is.

        Parameters
        ----------
        arms : tuple of str
            The control and the treatment.
        share : int
            Millionths of the units that the treatment gets.
        at : int
            Microseconds of the event clock.

        Raises
        ------
        StoreUnavailable
        """
        control, treatment = arms
        where = (self._project, experiment)
        insert = (*where, unit, share, share, treatment, control, at, *where)
        with self._lock:
            for _ in range(_TRIES):
                found = self._runner.run(_READ, (*where, unit))
                if found:
                    return str(found[0][0])
                self._runner.run(_INSERT, insert)
        raise StoreUnavailable(database=self._place, detail="other workers were always first")

    def close(self) -> None:
        """Close the connection; the next unit opens a new one."""
        with self._lock:
            self._runner.close()


class _Sqlite:
    def __init__(self, place: DatabaseUrl) -> None:
        self._path = place.path
        self._shown = place.shown
        self._connection: sqlite3.Connection | None = None

    def run(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(
                    f"file:{quote(str(self._path))}?mode=rw",
                    uri=True,
                    timeout=_WAIT_S,
                    isolation_level=None,
                    check_same_thread=False,  # the store's lock orders the threads
                )
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            self.close()
            raise StoreUnavailable(database=self._shown, detail=str(error)) from error

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class _Postgres:
    def __init__(self, place: DatabaseUrl) -> None:
        self._dsn = place.dsn
        self._shown = place.shown
        self._connection: Any = None

    def run(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        import psycopg

        try:
            if self._connection is None:
                self._connection = psycopg.connect(
                    self._dsn, autocommit=True, connect_timeout=3, application_name="timonel-turns"
                )
                self._connection.execute(f"SET statement_timeout = {round(_WAIT_S * 1000)}")
            cursor = self._connection.execute(query.replace("?", "%s"), values)
            rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            self.close()
            detail = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise StoreUnavailable(database=self._shown, detail=detail) from error
        return rows

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
