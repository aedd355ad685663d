"""PostgreSQL databases that tests use one after another, each as good as new."""

from uuid import uuid4

import psycopg
import pytest
from psycopg import Connection

# a long scenario whose statements another test of its file runs on PostgreSQL, too
postgres_with_the_slow = pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True
)
# what is refused before any statement
on_sqlite_alone = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

_HANG_UP = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
# what is made, changed or removed, other than rows, leaves another number or a later transaction
_SHAPE = (
    " UNION ALL ".join(
        f"SELECT '{catalog}', count(*), max(xmin::text::bigint) FROM {catalog}"
        for catalog in ("pg_attribute", "pg_attrdef", "pg_constraint", "pg_proc", "pg_trigger")
    )
    + " UNION ALL SELECT version_num, 1, 1 FROM timonel_version"
)
_EMPTY = """
DO $$
DECLARE one text; filled boolean;
BEGIN
  FOR one IN SELECT oid::regclass FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'timonel_version'
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', one) INTO filled;
    IF filled THEN EXECUTE format('TRUNCATE %s CASCADE', one); END IF;
  END LOOP;
END $$
"""


class Databases:
    """Lends databases with all tables, and nothing in them.

    To empty one takes a fraction of the work that making and dropping one does. It has another
    name each time, so that nothing that still runs of an earlier test can reach it, and is dropped
    where a test changed more than rows.
    """

    def __init__(self, server: str, template: str) -> None:
        self.server = server
        self.template = template
        self.free: list[str] = []
        with psycopg.connect(self.url(template)) as connection:
            self.shape = _shape(connection)

    def url(self, name: str) -> str:
        """Give the URL of a database of this server."""
        return self.server.replace("/postgres?", f"/{name}?")

    def lend(self) -> str:
        """Give the name of a database that nobody else has."""
        name = f"t_{uuid4().hex[:12]}"
        with psycopg.connect(self.server, autocommit=True) as connection:
            if self.free:
                connection.execute(f'ALTER DATABASE "{self.free.pop()}" RENAME TO "{name}"')
            else:
                copied = f'TEMPLATE "{self.template}" STRATEGY file_copy'
                connection.execute(f'CREATE DATABASE "{name}" {copied}')
        return name

    def take_back(self, name: str) -> None:
        """Empty a database for the next who asks, or drop it."""
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            connection.execute(_HANG_UP)
            as_it_was = _shape(connection) == self.shape
            if as_it_was:
                connection.execute(_EMPTY)
        if as_it_was:
            self.free.append(name)
            return
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _shape(connection: Connection) -> list[tuple[object, ...]]:
    return connection.execute(_SHAPE).fetchall()
