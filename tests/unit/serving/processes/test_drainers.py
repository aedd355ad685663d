import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timonel.serving.processes.drainers import DrainerThreads
from timonel.serving.processes.notices import Notice


@dataclass
class Report:
    lag_bytes: int


@dataclass
class FolderDrainer:
    """Takes one byte a round from each file; the first rounds of a database that is away fail."""

    folders: Sequence[Path]
    fails: list[str] = field(default_factory=list)
    stuck: bool = False
    failure: str | None = None

    def drain_once(self) -> Report:
        if self.fails:
            raise ConnectionError(self.fails.pop())
        left = 0
        for folder in self.folders:
            for file in folder.iterdir():
                data = file.read_bytes()
                file.write_bytes(data if self.stuck else data[1:])
                left += file.stat().st_size
        return Report(left)

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(0.005):
            self.drain_once()


def slots(tmp_path: Path, sizes: Sequence[int]) -> list[Path]:
    folders = []
    for index, size in enumerate(sizes):
        folder = tmp_path / f"slot-{index}"
        folder.mkdir()
        (folder / "segment").write_bytes(b"x" * size)
        folders.append(folder)
    return folders


def test_every_slot_has_one_drainer_and_nothing_is_left(tmp_path: Path) -> None:
    folders = slots(tmp_path, [3, 500, 20, 7, 1])
    made: dict[str, list[Path]] = {}

    def factory(part: Sequence[Path], drainer_id: str) -> FolderDrainer:
        made[drainer_id] = list(part)
        return FolderDrainer(part)

    drainers = DrainerThreads(
        factory, folders, n_workers=3, owner="host-1", notify=lambda kind, facts: None
    )
    drainers.start()
    assert drainers.finish(20.0, threading.Event()) == 0
    assert sorted(made) == ["host-1-0", "host-1-1"]
    assert sorted(path for part in made.values() for path in part) == folders
    assert all(not (folder / "segment").read_bytes() for folder in folders)


def test_a_database_that_is_away_is_told_of_and_waited_for(tmp_path: Path) -> None:
    folders = slots(tmp_path, [30])
    fails = ["gone", "still gone"]
    told: list[tuple[str, Mapping[str, Any]]] = []
    drainers = DrainerThreads(
        lambda part, drainer_id: FolderDrainer(part, fails),
        folders,
        n_workers=1,
        owner="host",
        notify=lambda kind, facts: told.append((kind, facts)),
    )
    drainers.start()
    while not told:
        threading.Event().wait(0.01)
    assert drainers.finish(20.0, threading.Event()) == 0
    assert told[0][0] == Notice.DRAIN_FAILED
    assert "gone" in told[0][1]["reason"]


def test_what_cannot_be_drained_in_time_is_counted(tmp_path: Path) -> None:
    drainers = DrainerThreads(
        lambda part, drainer_id: FolderDrainer(part, stuck=True),
        slots(tmp_path, [11, 31]),
        n_workers=2,
        owner="host",
        notify=lambda kind, facts: None,
    )
    drainers.start()
    assert drainers.finish(0.3, threading.Event()) == 42


def test_a_drainer_that_waits_is_told_of_once(tmp_path: Path) -> None:
    told: list[tuple[str, Mapping[str, Any]]] = []
    made = threading.Event()

    def factory(part: Sequence[Path], drainer_id: str) -> FolderDrainer:
        made.set()
        return FolderDrainer(part, failure="the database is locked")

    drainers = DrainerThreads(
        factory,
        slots(tmp_path, [1]),
        n_workers=1,
        owner="host",
        notify=lambda kind, facts: told.append((kind, facts)),
    )
    drainers.start()
    made.wait(10)
    while not told:
        drainers.check()
    drainers.check()
    assert [kind for kind, _ in told] == [Notice.DRAIN_FAILED]
    drainers.finish(5.0, threading.Event())


def test_haste_ends_the_drain_early(tmp_path: Path) -> None:
    hasten = threading.Event()
    hasten.set()
    drainers = DrainerThreads(
        lambda part, drainer_id: FolderDrainer(part, stuck=True),
        slots(tmp_path, [5]),
        n_workers=1,
        owner="host",
        notify=lambda kind, facts: None,
    )
    assert drainers.finish(600.0, hasten) == 5
