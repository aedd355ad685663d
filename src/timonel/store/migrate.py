"""Bring a database to this version's tables, and refuse one that is not there (ADR 0015).

Every start asks whether there is anything to do, and nearly always there is not: Alembic, a tenth
of a start's imports, is imported only where there is.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from timonel.store.engine import reading
from timonel.store.errors import SchemaNewer, SchemaOlder
from timonel.store.url import SQLITE, without_password

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

VERSION_TABLE = "timonel_version"  # not alembic's own: a shared PostgreSQL may have that

_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK_KEY = 7_163_100_931_487_052_341  # any constant; the same in every release
_LOCK_WAIT_S = 120
_REVISION = re.compile(r'^(down_)?revision = "(\w+)"$', re.MULTILINE)


def upgrade(engine: Engine, to: str | None = None) -> bool:
    """Create or upgrade the tables, under a lock; safe to call from several processes at once.

    Parameters
    ----------
    engine : Engine
    to : str or None
        Stop at a revision, to have a database as an older release left it; None: the newest.

    Returns
    -------
    bool
        Whether anything was done.

    Raises
    ------
    SchemaNewer
        If a newer Timonel made the schema.
    """
    if engine.dialect.name == SQLITE and engine.url.database:
        Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
    target = to or head()
    with _locked(engine) as connection:
        found = _revision(connection)
        if found == target:
            return False
        scripts = _scripts()
        _refuse_unknown(engine, scripts, found)
        _migrate(connection, scripts, target)
    return True


def _migrate(connection: Connection, scripts: "ScriptDirectory", target: str) -> None:
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    logging.getLogger("alembic").setLevel(logging.WARNING)  # its progress is not ours to print
    context = MigrationContext.configure(
        connection,
        opts={
            "version_table": VERSION_TABLE,
            "transactional_ddl": True,
            "fn": lambda revision, _context: scripts._upgrade_revs(target, revision),
        },
    )
    with Operations.context(context):
        context.run_migrations()


def require_current(engine: Engine) -> None:
    """Refuse a database whose tables are not this version's.

    Raises
    ------
    SchemaOlder, SchemaNewer
        With the command to run.
    """
    if _missing_file(engine):  # connecting would create it
        found = None
    else:
        with reading(engine) as connection:
            found = _revision(connection)
    if found == head():
        return
    _refuse_unknown(engine, _scripts(), found)
    raise SchemaOlder(database=_shown(engine), found=found or "empty", expected=head())


@cache
def head() -> str:
    """Give the newest revision: the one that is no other's parent (ADR 0015: a line)."""
    texts = [path.read_text("utf-8") for path in (_SCRIPTS / "versions").glob("*.py")]
    found = [match for written in texts for match in _REVISION.findall(written)]
    parents = {revision for down, revision in found if down}
    (newest,) = {revision for down, revision in found if not down} - parents
    return str(newest)


def _scripts() -> "ScriptDirectory":
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(_SCRIPTS))


def _missing_file(engine: Engine) -> bool:
    return (
        engine.dialect.name == SQLITE
        and engine.url.database is not None
        and not Path(engine.url.database).exists()
    )


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
    return None if found is None else str(found)


def _refuse_unknown(engine: Engine, scripts: "ScriptDirectory", found: str | None) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    if found is not None and found not in known:
        raise SchemaNewer(database=_shown(engine), found=found, expected=head())


def _shown(engine: Engine) -> str:
    """Name a database for a reader: a file by its path, as it is written on disk."""
    if engine.dialect.name == SQLITE:
        return str(engine.url.database)
    return without_password(engine.url.render_as_string(hide_password=True))


@contextmanager
def _locked(engine: Engine) -> Iterator[Connection]:
    if engine.dialect.name != SQLITE:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
            yield connection
        return
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None  # noqa: S101 - just connected
        # another process's migration may take longer than a transaction should
        driver.execute(f"PRAGMA busy_timeout = {_LOCK_WAIT_S * 1000}")
        try:
            exclusive = connection.execution_options(timonel_begin="EXCLUSIVE")
            with exclusive.begin():
                yield exclusive
        finally:
            connection.invalidate()  # the pool must not keep this one's patience
