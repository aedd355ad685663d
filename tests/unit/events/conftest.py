from collections.abc import Iterator
from pathlib import Path

import pytest

from timonel.store.engine import make_engine
from timonel.testing.events import Bench


@pytest.fixture
def bench(database: str, tmp_path: Path) -> Iterator[Bench]:
    engine = make_engine(database)
    yield Bench(engine, tmp_path / "spool")
    engine.dispose()


@pytest.fixture
def sqlite_bench(sqlite_database: str, tmp_path: Path) -> Iterator[Bench]:
    engine = make_engine(sqlite_database)
    yield Bench(engine, tmp_path / "spool")
    engine.dispose()
