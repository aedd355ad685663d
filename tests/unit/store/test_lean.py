import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from timonel.store.control import raise_generation
from timonel.store.errors import StoreUnavailable
from timonel.store.lean import LeanStore
from timonel.store.url import read_url
from timonel.testing.builders import PROJECT, open_registry


def test_a_missing_file_is_unavailable_and_stays_missing(tmp_path: Path) -> None:
    lean = LeanStore(f"sqlite:///{tmp_path}/timonel.db")
    with pytest.raises(StoreUnavailable, match="No such file"):
        lean.generation(PROJECT)
    assert list(tmp_path.iterdir()) == []
    with open_registry(f"sqlite:///{tmp_path}/timonel.db"):
        assert lean.generation(PROJECT) == 1
    lean.close()


def test_a_file_with_odd_characters_in_its_path(tmp_path: Path) -> None:
    folder = tmp_path / "año 2026 #1 100% ok"
    folder.mkdir()
    url = f"sqlite:///{folder}/timonel.db"
    with open_registry(url):
        lean = LeanStore(url)
        assert lean.generation(PROJECT) == 1
        lean.close()


def test_a_worker_cannot_write(sqlite_database: str) -> None:
    with open_registry(sqlite_database):
        lean = LeanStore(sqlite_database)
        with pytest.raises(StoreUnavailable, match="readonly"):
            lean._reader.rows("DELETE FROM control WHERE project = ?", (PROJECT,))
        assert lean.generation(PROJECT) == 1
        lean.close()


def test_a_replaced_file_is_read_anew(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/timonel.db"
    with open_registry(url) as (engine, _):
        with engine.begin() as connection:
            raise_generation(connection, PROJECT)
        lean = LeanStore(url)
        assert lean.generation(PROJECT) == 2
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(StoreUnavailable):
        lean.generation(PROJECT)
    with open_registry(url):
        assert lean.generation(PROJECT) == 1
    lean.close()


def test_a_locked_database_is_unavailable_and_then_read(sqlite_database: str) -> None:
    with open_registry(sqlite_database):
        pass
    path = str(read_url(sqlite_database).path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA journal_mode = DELETE")  # in WAL mode nobody can lock readers out
    holder.execute("BEGIN EXCLUSIVE")
    lean = LeanStore(sqlite_database)
    with pytest.raises(StoreUnavailable, match="locked"):
        lean.generation(PROJECT)
    holder.close()
    assert lean.generation(PROJECT) == 1
    lean.close()


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "timonel.db").write_bytes(b"x" * 5000)
    lean = LeanStore(f"sqlite:///{tmp_path}/timonel.db")
    with pytest.raises(StoreUnavailable, match="not a database"):
        lean.generation(PROJECT)
    lean.close()


def test_a_dropped_connection_is_opened_again(postgres_database: str) -> None:
    with open_registry(postgres_database):
        lean = LeanStore(postgres_database)
        assert lean.generation(PROJECT) == 1
        with psycopg.connect(postgres_database) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE application_name = 'timonel-worker' AND datname = current_database()"
            )
        with pytest.raises(StoreUnavailable, match="terminat"):
            lean.generation(PROJECT)
        assert lean.generation(PROJECT) == 1
        lean.close()


def test_an_unreachable_server_is_told_without_its_password() -> None:
    lean = LeanStore("postgresql+psycopg://ana:s3cret@127.0.0.1:1/timonel")
    with pytest.raises(StoreUnavailable, match="refused") as caught:
        lean.generation(PROJECT)
    assert "s3cret" not in str(caught.value)
    lean.close()


def test_many_threads_read_and_closing_reaches_their_connections(database: str) -> None:
    with open_registry(database):
        lean = LeanStore(database)
        barrier = threading.Barrier(4)

        def read() -> int:
            barrier.wait(10)
            return sum(lean.generation(PROJECT) for _ in range(50))

        with ThreadPoolExecutor(4) as pool:
            assert [one.result() for one in [pool.submit(read) for _ in range(4)]] == [50] * 4
        lean.close()
        assert lean.generation(PROJECT) == 1
        lean.close()
