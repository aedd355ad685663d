import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from timonel.serving.processes.children import Child, Command, RestartPolicy
from timonel.serving.processes.notices import Notice, text_of

TICKING = """
import sys, time
from pathlib import Path
from timonel.serving.processes.liveness import Heartbeat, end_with_parent, receive_orders
orders = receive_orders()
end_with_parent()
beat = Heartbeat(Path(sys.argv[1]))
while True:
    beat.tick(time.monotonic_ns(), int(orders), ready=True)
    time.sleep(0.02)
"""
PATIENCE_S = 90.0


class Told:
    """Keeps what was told, and waits for more of it."""

    def __init__(self) -> None:
        self.notices: list[tuple[str, Mapping[str, Any]]] = []
        self._lock = threading.Lock()

    def __call__(self, kind: str, facts: Mapping[str, Any]) -> None:
        with self._lock:
            self.notices.append((kind, facts))

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        with self._lock:
            return [facts for told, facts in self.notices if told == kind]


def until(child: Child, condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        child.check(time.monotonic_ns())
        time.sleep(0.01)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def child(tmp_path: Path, told: Told) -> Iterator[Child]:
    beat = tmp_path / "beat"
    command = Command(
        "worker-0", "predict", (sys.executable, "-c", TICKING, str(beat)), b"7", heartbeat=beat
    )
    kept = Child(command, told, policy=RestartPolicy(silent_s=0.5))
    yield kept
    kept.signal(signal.SIGKILL)
    while not kept.reap():
        time.sleep(0.01)


def test_a_child_gets_its_orders_and_shows_its_generation(child: Child) -> None:
    assert child.state().pid == 0
    until(child, lambda: child.state().ready)
    assert child.state().generation == 7


def test_a_killed_child_is_started_again(child: Child, told: Told) -> None:
    until(child, lambda: child.state().ready)
    first = child.state().pid
    os.kill(first, signal.SIGKILL)
    until(child, lambda: child.state().ready and child.state().pid not in (0, first))
    (facts,) = told.of(Notice.WORKER_DIED)
    assert facts["pid"] == first
    assert facts["cause"] == "SIGKILL"
    assert "SIGKILL" in text_of(Notice.WORKER_DIED, facts, "es")


def test_a_child_that_hangs_is_killed_and_started_again(child: Child, told: Told) -> None:
    until(child, lambda: child.state().ready)
    first = child.state().pid
    os.kill(first, signal.SIGSTOP)
    until(child, lambda: child.state().ready and child.state().pid not in (0, first))
    (facts,) = told.of(Notice.WORKER_SILENT)
    assert facts["pid"] == first
    assert facts["seconds"] >= 0.5


def test_silence_is_forgiven_while_the_watcher_itself_stood_still(child: Child, told: Told) -> None:
    until(child, lambda: child.state().ready)
    later = time.monotonic_ns() + 3_000_000_000
    child.pardon(later)
    child.check(later)
    assert not told.of(Notice.WORKER_SILENT)


def test_a_crash_loop_is_told_with_its_reason(tmp_path: Path, told: Told) -> None:
    command = Command("control", "control", (sys.executable, "-c", "raise SystemExit('no key')"))
    policy = RestartPolicy(first_delay_s=0.01, loop_after=3)
    looping = Child(command, told, policy=policy)
    until(looping, lambda: bool(told.of(Notice.CRASH_LOOP)))
    facts = told.of(Notice.CRASH_LOOP)[0]
    assert facts["failures"] == 3
    assert facts["cause"] == "exit code 1, no key"
    until(looping, lambda: not looping.running)


def test_pauses_double_up_to_a_limit() -> None:
    policy = RestartPolicy()
    delays = [policy.delay_s(failures) for failures in range(1, 12)]
    assert delays[:4] == [0.0, 0.1, 0.2, 0.4]
    assert delays == sorted(delays)
    assert delays[-1] == 5.0


def test_a_child_nobody_needs_is_not_started(tmp_path: Path, told: Told) -> None:
    needed: list[bool] = []
    command = Command("native", "native", (sys.executable, "-c", "input()"))
    lazy = Child(command, told, wanted=lambda: bool(needed))
    lazy.check(time.monotonic_ns())
    assert not lazy.running
    needed.append(True)
    until(lazy, lambda: lazy.running)
    lazy.signal(signal.SIGKILL)
    while not lazy.reap():
        time.sleep(0.01)


def test_children_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    beat = tmp_path / "beat"
    keeper = f"""
import sys, time
from pathlib import Path
from timonel.serving.processes.children import Child, Command
command = Command("w", "predict", (sys.executable, "-c", {TICKING!r}, {str(beat)!r}), b"1",
                  heartbeat=Path({str(beat)!r}))
child = Child(command, lambda kind, facts: None)
while not child.state().ready:
    child.check(time.monotonic_ns())
    time.sleep(0.01)
print(child.state().pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", keeper], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        supervisor.kill()
        limit = time.monotonic() + PATIENCE_S
        while _alive(pid):
            assert time.monotonic() < limit, "the child outlived its supervisor"
            time.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")
