import builtins
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import mssql
from sqlalchemy.schema import CreateIndex, CreateTable

from timonel.store.engine import database_now, make_engine, reading
from timonel.store.errors import (
    DriverMissing,
    StoreCorrupt,
    StoreUnavailable,
    UnsupportedDatabase,
)
from timonel.store.tables import metadata
from timonel.store.tables_loop import profiles
from timonel.store.url import read_url, without_password


def test_sqlite_promises(empty_sqlite: str) -> None:
    engine = make_engine(empty_sqlite)
    with reading(engine) as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }
    engine.dispose()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 2000}


def test_a_writing_transaction_takes_the_lock_at_once_and_readers_do_not_wait(
    empty_sqlite: str,
) -> None:
    engine = make_engine(empty_sqlite)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n INTEGER)")
    with engine.begin() as writer, reading(engine) as reader:
        assert reader.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0
        other = sqlite3.connect(str(read_url(empty_sqlite).path), timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()
        writer.exec_driver_sql("INSERT INTO t VALUES (1)")
    engine.dispose()


def test_a_locked_sqlite_is_unavailable_not_a_driver_error(empty_sqlite: str) -> None:
    engine = make_engine(empty_sqlite)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n INTEGER)")
    holder = sqlite3.connect(str(read_url(empty_sqlite).path), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"), engine.begin():
        pass
    holder.close()
    engine.dispose()


def test_data_definition_is_rolled_back_with_its_transaction(empty_database: str) -> None:
    engine = make_engine(empty_database)
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n INTEGER)")
        connection.rollback()
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n INTEGER)")
    engine.dispose()


def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/none/timonel.db")
    with pytest.raises(StoreUnavailable, match="unable to open"), engine.connect():
        pass


def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "timonel.db"
    path.write_bytes(b"not a database" * 100)
    engine = make_engine(f"sqlite:///{path}")
    with pytest.raises(StoreCorrupt, match="not a database"), engine.connect():
        pass
    assert path.read_bytes().startswith(b"not a database")


def test_an_unreachable_server_is_told_without_its_password() -> None:
    engine = make_engine("postgres://ana:s3cret@127.0.0.1:1/timonel")
    with pytest.raises(StoreUnavailable, match="refused") as caught, engine.connect():
        pass
    assert "s3cret" not in str(caught.value)
    assert "ana:***@127.0.0.1:1/timonel" in str(caught.value)
    engine.dispose()


def test_a_connection_lost_in_a_transaction_is_unavailable_and_then_made_anew(
    empty_postgres: str,
) -> None:
    engine = make_engine(empty_postgres)
    with engine.connect() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        with engine.begin() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        with pytest.raises(StoreUnavailable, match="terminat"):
            connection.scalar(text("SELECT 1"))
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


def test_commits_are_synchronous_whatever_the_server_says(empty_postgres: str) -> None:
    engine = make_engine(empty_postgres)
    with engine.begin() as connection:
        name = connection.scalar(text("SELECT current_database()"))
        connection.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit = off'))
    engine.dispose()
    with reading(engine) as connection:
        assert connection.scalar(text("SHOW synchronous_commit")) == "on"
    engine.dispose()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgres_schemes_are_one(scheme: str, empty_postgres: str) -> None:
    url = scheme + empty_postgres.removeprefix("postgresql")
    engine = make_engine(url)
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("mysql://ana:s3cret@host/x", "mysql"),
        ("mssql+pyodbc://ana:s3cret@host/x", "mssql"),
        ("timonel.db", "no URL"),
        ("sqlite://", "no file"),
        ("sqlite:///:memory:", "no file"),
        ("postgresql://ana:s3cret@host:port/x", "unreadable"),
    ],
)
def test_other_urls_are_refused_without_their_password(url: str, found: str) -> None:
    with pytest.raises(UnsupportedDatabase, match=found) as caught:
        make_engine(url)
    assert "s3cret" not in str(caught.value)


def test_without_psycopg_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "psycopg":
            raise ModuleNotFoundError(name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DriverMissing, match=r"timonel\[postgres\]"):
        make_engine("postgresql://host/x")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://a:b@h/x", "postgresql://a:***@h/x"),
        ("postgresql://a:b%40c@h/x?password=q&y=1", "postgresql://a:***@h/x?password=***&y=1"),
        ("postgresql://h/x", "postgresql://h/x"),
        ("sqlite:////folder/x.db", "sqlite:////folder/x.db"),
        ("postgresql://[bad/x", "postgresql://***"),
    ],
)
def test_passwords_are_hidden(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_the_tables_compile_for_sql_server() -> None:
    dialect = mssql.dialect()  # type: ignore[no-untyped-call]
    for table in metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert " INDEX " in str(CreateIndex(index).compile(dialect=dialect))
    assert "SYSUTCDATETIME" in str(database_now().compile(dialect=dialect))


def test_every_table_and_unique_key_has_the_project() -> None:
    assert profiles.metadata is metadata  # both modules' tables are looked at
    for table in metadata.sorted_tables:
        assert "project" in table.primary_key.columns
        assert all(index.columns[0].name == "project" for index in table.indexes)


def test_the_database_clock_is_the_present(empty_database: str) -> None:
    import time

    engine = make_engine(empty_database)
    before = time.time_ns() // 1000
    with reading(engine) as connection:
        now = connection.scalar(database_now().select())
    after = time.time_ns() // 1000
    engine.dispose()
    assert now is not None
    assert before - 2_000 <= now <= after + 2_000  # SQLite's clock has milliseconds


def test_the_lean_modules_import_no_sqlalchemy() -> None:
    code = (
        "import sys, timonel.store.lean, timonel.store.errors, timonel.store.url\n"
        "import timonel.registry.artifacts, timonel.registry.manifest, timonel.registry.errors\n"
        "import timonel.registry.versions\n"
        "heavy = {'sqlalchemy', 'alembic', 'pydantic', 'polars', 'numpy', 'psycopg'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
