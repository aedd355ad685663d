import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from timonel.clock import AffineClock
from timonel.events.accumulators import default_accumulators
from timonel.events.drain import Drainer
from timonel.events.frames import PredictionFrame
from timonel.events.spool import SpoolWriter
from timonel.serving.processes.drainers import DrainerThreads
from timonel.serving.processes.notices import Notice
from timonel.store.engine import make_engine
from timonel.store.tables import predictions
from timonel.testing.builders import PROJECT, make_manifest, open_registry
from timonel.wire.ids import IdSource

Factory = Callable[[Sequence[Path], str], Drainer]
Told = list[tuple[str, Mapping[str, Any]]]


def never() -> bool:
    return False


def spooled(tmp_path: Path, sizes: Sequence[int]) -> list[Path]:
    """Write so many predictions into each slot."""
    ids = IdSource()
    folders = []
    for index, size in enumerate(sizes):
        folder = tmp_path / f"slot-{index}"
        folder.mkdir()
        writer = SpoolWriter.open(folder)
        for _ in range(size):
            writer.append(
                PredictionFrame(
                    id=ids.next(),
                    at=1_700_000_000_000_000,
                    model="churn",
                    version="",
                    variant="",
                    source="baseline",
                    reason="no_version",
                    key=None,
                    unit=None,
                    generation=1,
                    prediction=0,
                    score=0.2,
                    probabilities=None,
                    explanation=None,
                    latency_us=9,
                    features=b"{}",
                )
            )
        writer.close()
        folders.append(folder)
    return folders


def drainers_of(engine: Engine) -> Factory:
    return lambda folders, drainer_id: Drainer(
        engine,
        project=PROJECT,
        folders=folders,
        drainer_id=drainer_id,
        accumulators=default_accumulators(engine, PROJECT),
        clock=AffineClock(),
    )


def n_rows(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(predictions)) or 0


@pytest.fixture
def engine(sqlite_database: str) -> Iterator[Engine]:
    with open_registry(sqlite_database) as (engine, registry):
        registry.declare(make_manifest())
        yield engine


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Engine]:
    """A database whose file is not there."""
    engine = make_engine(f"sqlite:///{tmp_path / 'none' / 'timonel.db'}")
    yield engine
    engine.dispose()


def test_every_slot_has_one_drainer_and_nothing_is_left(tmp_path: Path, engine: Engine) -> None:
    folders = spooled(tmp_path, [3, 500, 20, 7, 1])
    made: dict[str, Sequence[Path]] = {}

    def factory(part: Sequence[Path], drainer_id: str) -> Drainer:
        made[drainer_id] = part
        return drainers_of(engine)(part, drainer_id)

    drainers = DrainerThreads(
        factory, folders, n_workers=3, owner="host-1", notify=lambda kind, facts: None
    )
    drainers.start()
    assert drainers.finish(20.0, never) == 0
    assert sorted(made) == ["host-1-0", "host-1-1"]
    assert sorted(path for part in made.values() for path in part) == folders
    assert n_rows(engine) == 531


def test_what_was_never_begun_is_drained_at_the_end(tmp_path: Path, engine: Engine) -> None:
    drainers = DrainerThreads(
        drainers_of(engine),
        spooled(tmp_path, [4]),
        n_workers=1,
        owner="host",
        notify=lambda kind, facts: None,
    )
    assert drainers.finish(20.0, never) == 0
    assert n_rows(engine) == 4


def test_a_database_that_comes_back_gets_all(tmp_path: Path, engine: Engine, away: Engine) -> None:
    told: Told = []
    engines = [away, away, engine]
    drainers = DrainerThreads(
        lambda part, drainer_id: drainers_of(engines.pop(0))(part, drainer_id),
        spooled(tmp_path, [30]),
        n_workers=1,
        owner="host",
        notify=lambda kind, facts: told.append((kind, facts)),
    )
    drainers.start()
    until = time.monotonic() + 60
    while not told:
        assert time.monotonic() < until
        drainers.check()
    assert drainers.finish(20.0, never) == 0
    assert n_rows(engine) == 30
    assert {kind for kind, _ in told} == {Notice.DRAIN_FAILED}
    assert "unable to open" in told[0][1]["reason"]


@pytest.mark.parametrize(("limit_s", "hasty"), [(0.3, False), (600.0, True)])
def test_what_cannot_be_drained_in_time_is_counted(
    tmp_path: Path, away: Engine, limit_s: float, hasty: bool
) -> None:
    folders = spooled(tmp_path, [11, 31])
    size = sum(file.stat().st_size for folder in folders for file in folder.glob("*.spool"))
    drainers = DrainerThreads(
        drainers_of(away), folders, n_workers=2, owner="host", notify=lambda kind, facts: None
    )
    drainers.start()
    left = drainers.finish(limit_s, lambda: hasty)
    assert 0 < left <= size


def test_a_drainer_that_waits_is_told_of_once(tmp_path: Path, away: Engine) -> None:
    told: Told = []
    drainers = DrainerThreads(
        drainers_of(away),
        spooled(tmp_path, [1]),
        n_workers=1,
        owner="host",
        notify=lambda kind, facts: told.append((kind, facts)),
    )
    drainers.start()
    until = time.monotonic() + 60
    while not told:
        assert time.monotonic() < until
        drainers.check()
    threading.Event().wait(0.3)  # it tries again meanwhile
    drainers.check()
    assert len(told) == 1
    drainers.finish(0.0, never)
