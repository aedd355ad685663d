"""Memory as the system tells it, and the alert about it, from beginning to end."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from timonel.access.usage import KeyUsage
from timonel.alerts.alert import Alert, State
from timonel.alerts.book import AlertBook
from timonel.alerts.rows import Choice
from timonel.alerts.texts import describe
from timonel.clock import AffineClock
from timonel.monitoring.health import Check, check_health, judge_disk, judge_jobs, judge_memory
from timonel.monitoring.health import State as Health
from timonel.monitoring.health_check import HealthLog
from timonel.serving.processes.children import State as Child
from timonel.serving.processes.memory import (
    machine_memory,
    measure_host,
    resident_bytes,
    this_process,
)
from timonel.serving.processes.reports import ProcessReports
from timonel.settings import Settings
from timonel.signals import Kind
from timonel.store.control import DISK, MACHINE, HostReading, ensure_project
from timonel.store.engine import make_engine
from timonel.store.reads import JobRow
from timonel.testing.builders import PROJECT

MB = 1 << 20
pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="memory is read on Linux alone")
HUNGRY = """
import subprocess, sys
held = []
child = None
for order in sys.stdin:
    if order == "eat\\n":
        held.append(b"x" * (160 << 20))
    elif order == "fast\\n":
        held.clear()
    elif order == "beget\\n":
        child = subprocess.Popen([sys.executable, "-c", "held = b'x' * (90 << 20); input()"],
                                 stdin=subprocess.PIPE)
    print("done", flush=True)
"""


class Hungry:
    """A process that holds as much memory as it is told to."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HUNGRY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid

    def tell(self, order: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def hungry() -> Iterator[Hungry]:
    process = Hungry()
    yield process
    process.end()


def test_a_process_is_measured_with_those_it_has_started(hungry: Hungry) -> None:
    before = resident_bytes(hungry.pid)
    assert before is not None
    hungry.tell("eat")
    eaten = resident_bytes(hungry.pid)
    assert eaten is not None
    assert 150 * MB < eaten - before < 200 * MB
    hungry.tell("beget")
    grown = 0
    while grown < eaten + 90 * MB:  # its child takes a moment
        grown = resident_bytes(hungry.pid) or 0
    assert abs((resident_bytes(hungry.pid, alone=True) or 0) - eaten) < 10 * MB
    hungry.end()
    assert resident_bytes(hungry.pid) is None


def test_the_life_of_an_alert_about_a_process(
    database: str, tmp_path: Path, hungry: Hungry
) -> None:
    engine = make_engine(database)
    ensure_project(engine, PROJECT, "America/Santiago")
    clock = AffineClock()
    book = AlertBook(engine, PROJECT, clock)
    health = HealthLog(engine, PROJECT, book.hear)
    worker = Child("worker-0", "predict", hungry.pid, 1, ready=True)
    # of the machine that runs this all may be in use
    settings = Settings(memory_mb=128, memory_share=1.0)

    def measure() -> list[HostReading]:
        own = this_process("supervisor")
        return [
            one
            for one in measure_host(own, [worker], state=tmp_path, settings=settings)
            if one.name != "supervisor"  # the process of this very test
        ]

    def look() -> Check:
        usage = KeyUsage(tmp_path / "keys")
        ProcessReports(engine, PROJECT, "here", usage, measure)([worker])
        usage.close()
        health.run(clock)
        return next(c for c in check_health(engine, PROJECT, clock).checks if c.name == "memory")

    def alert() -> Alert | None:
        return next((one for one in book.list(Choice()) if one.kind is Kind.MEMORY_USAGE), None)

    assert look().state is Health.HEALTHY
    assert alert() is None
    hungry.tell("eat")
    found = look()
    assert (found.state, found.reason) == (Health.DEGRADED, "process_over_limit")
    assert (found.facts["process"], found.facts["allowed_mb"]) == ("worker-0", 128)
    first = alert()
    assert first is not None
    assert (first.state, first.kind, first.column) == (State.PENDING, "MEMORY_USAGE", "memory")
    look()
    firing = alert()
    assert firing is not None
    assert (firing.state, firing.alert_id) == (State.FIRING, first.alert_id)
    for lang, title in (("en", "The process worker-0 of"), ("es", "El proceso worker-0 de")):
        text = describe(firing, lang)
        assert text.title.startswith(title)
        assert str(hungry.pid) in text.seen
        assert f"kill {hungry.pid}" in text.steps[0]
        assert "128" in text.expected
    book.acknowledge(firing.alert_id, "ana")
    hungry.tell("fast")
    look()
    look()
    done = alert()
    assert done is not None
    assert (done.alert_id, done.state, done.resolved_by) == (first.alert_id, State.RESOLVED, None)
    engine.dispose()


def of(name: str, used: int, allowed: int | None, **more: Any) -> HostReading:
    return HostReading(name, used * MB, None if allowed is None else allowed * MB, **more)


@pytest.mark.parametrize(
    ("readings", "state", "reason"),
    [
        ([], Health.UNKNOWN, "not_measured"),
        ([of("worker", 900, None)], Health.UNKNOWN, "not_measured"),
        ([of("worker-0", 101, 100, silent_us=60_000_000)], Health.UNKNOWN, "not_measured"),
        ([of("worker-0", 79, 100), of(DISK, 9, 1, total=10 * MB)], Health.HEALTHY, "enough"),
        ([of("worker-0", 81, 100), of("worker-1", 10, 100)], Health.HEALTHY, "near_limit"),
        ([of("worker-0", 101, 100), of("control", 10, 100)], Health.DEGRADED, "process_over_limit"),
        (
            [of("worker-0", 101, 100), of(MACHINE, 99, 90, total=100 * MB)],
            Health.DEGRADED,
            "nearly_full",
        ),
    ],
)
def test_memory_is_as_that_which_is_fullest(
    readings: list[HostReading], state: Health, reason: str
) -> None:
    found = judge_memory(readings)
    assert (found.state, found.reason) == (state, reason)


def test_nobody_is_told_to_kill_the_process_that_starts_the_others() -> None:
    assert judge_memory([of("worker-0", 101, 100, pid=7)]).facts["restarted"] == "7"
    assert "restarted" not in judge_memory([of("supervisor", 101, 100, pid=7)]).facts


def test_a_disk_may_be_filled_to_its_reserve() -> None:
    assert judge_disk([of(DISK, 90, 90, total=100 * MB)]).reason == "enough"
    found = judge_disk([of(DISK, 91, 90, total=100 * MB)])
    assert (found.state, found.facts["free_mb"]) == (Health.DEGRADED, 9)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "none_waits"),
        ([("retrain", "churn", "queued", 20.0)], "none_waits"),
        ([("retrain", "churn", "queued", 400.0)], "nobody_works"),
        ([("retrain", "churn", "running", -20.0)], "none_waits"),
        ([("retrain", "churn", "running", 400.0)], "nobody_works"),
        ([("retrain", "churn", "failed", 0.0)], "some_failed"),
        (
            [("retrain", "churn", "succeeded", 0.0), ("retrain", "churn", "failed", 0.0)],
            "none_waits",
        ),
        (
            [("retrain", "churn", "succeeded", 0.0), ("retrain", "port", "failed", 0.0)],
            "some_failed",
        ),
    ],
)
def test_jobs_are_well_where_they_are_taken_and_the_newest_ended_well(
    rows: list[tuple[str, str, str, float]], reason: str
) -> None:
    assert judge_jobs([JobRow(*row) for row in rows]).reason == reason


MEMINFO = "MemTotal:       16000 kB\nMemFree:  1000 kB\nMemAvailable:    4000 kB\n"


def written(root: Path, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "proc", root / "cg"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, (12000, 16000)),
        (  # version 2, the limit is the parent's
            {
                "proc/self/cgroup": "0::/pod/box\n",
                "cg/pod/box/memory.max": "max\n",
                "cg/pod/box/memory.current": "3072000\n",
                "cg/pod/memory.max": "8192000\n",
                "cg/pod/memory.current": "4096000\n",
                "cg/pod/memory.stat": "anon 100\ninactive_file 1024000\n",
            },
            (3000, 8000),
        ),
        (  # version 1, seen from inside a container
            {
                "proc/self/cgroup": "9:cpu:/x\n4:memory:/docker/1a14\n0::/\n",
                "cg/memory/memory.limit_in_bytes": "4096000\n",
                "cg/memory/memory.usage_in_bytes": "2048000\n",
                "cg/memory/memory.stat": "total_inactive_file 1024000\n",
            },
            (1000, 4000),
        ),
        (  # no limit, as version 1 writes it
            {
                "proc/self/cgroup": "4:memory:/\n",
                "cg/memory/memory.limit_in_bytes": "9223372036854771712\n",
                "cg/memory/memory.usage_in_bytes": "2048000\n",
                "cg/memory/memory.stat": "",
            },
            (12000, 16000),
        ),
    ],
)
def test_the_machine_is_its_narrowest_cgroup(
    tmp_path: Path, files: dict[str, str], expected: tuple[int, int]
) -> None:
    places = written(tmp_path, {"proc/meminfo": MEMINFO, **files})
    found = machine_memory(*places)
    assert found is not None
    assert (found[0] // 1024, found[1] // 1024) == expected


def test_a_system_that_does_not_say_is_not_measured(tmp_path: Path) -> None:
    assert machine_memory(tmp_path, tmp_path) is None
