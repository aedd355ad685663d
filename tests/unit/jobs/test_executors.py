"""What every executor does alike, and what only a process can: be killed."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from timonel.errors import TimonelError
from timonel.jobs.errors import JobEnded, NotJson, TaskEnded, TaskFailed, UnknownFunction
from timonel.jobs.executors import (
    Executor,
    Finished,
    LocalExecutor,
    ProcessExecutor,
    Resources,
    function_path,
)
from timonel.testing import tasks
from timonel.testing.jobs import is_alive

TASKS = "timonel.testing.tasks"


@pytest.fixture(params=[LocalExecutor, ProcessExecutor])
def executor(request: pytest.FixtureRequest) -> Executor:
    made: Executor = request.param()
    return made


def finish(executor: Executor, name: str, payload: object = None) -> Finished:
    handle = executor.submit(f"{TASKS}:{name}", payload)
    while (finished := executor.poll(handle, 10)) is None:
        pass
    return finished


def error_of(executor: Executor, name: str, payload: object = None) -> TimonelError:
    error = finish(executor, name, payload).error
    assert error is not None
    return error


def test_the_same_seed_gives_the_same_everywhere() -> None:
    here, there = (finish(made, "draw", {"seed": 7}) for made in (LocalExecutor(),
                                                                  ProcessExecutor()))  # fmt: skip
    assert here.value() == there.value() == tasks.draw({"seed": 7})


def test_values_are_copied_as_json(executor: Executor) -> None:
    payload = {"a": [1, 2.5, None, True], "ñ": (1, 2)}
    found = finish(executor, "give_back", payload).value()
    assert found == {"a": [1, 2.5, None, True], "ñ": [1, 2]}


def test_errors_arrive_as_what_they_were(executor: Executor) -> None:
    known = error_of(executor, "raise_known", "7")
    assert isinstance(known, JobEnded)
    assert known.context == {"job_id": "7", "state": "failed"}
    unknown = error_of(executor, "raise_unknown", "this")
    assert isinstance(unknown, TaskFailed)
    assert "ValueError: cannot use this" in unknown.message()
    assert "raise_unknown" in unknown.context["trace"]
    assert isinstance(error_of(executor, "give_nan"), NotJson)
    assert isinstance(error_of(executor, "nowhere"), UnknownFunction)
    with pytest.raises(NotJson):
        executor.submit(f"{TASKS}:give_back", object())


def test_a_map_keeps_the_order(executor: Executor) -> None:
    assert executor.map(f"{TASKS}:give_back", [3, 1, 2]) == [3, 1, 2]
    assert executor.map(f"{TASKS}:give_back", []) == []
    with pytest.raises(TaskFailed):
        executor.map(f"{TASKS}:raise_unknown", [1, 2])


def test_what_is_printed_is_no_answer() -> None:
    assert len(finish(ProcessExecutor(), "print_much", 300_000).value()) == 300_000


def test_a_process_that_dies_says_how() -> None:
    error = error_of(ProcessExecutor(), "kill_itself")
    assert isinstance(error, TaskEnded)
    assert "SIGKILL" in error.message()


def test_threads_are_bounded() -> None:
    executor = ProcessExecutor()
    handle = executor.submit("os:getenv", "OMP_NUM_THREADS", Resources(n_cpus=1))
    finished = executor.poll(handle, 30)
    assert finished is not None
    assert finished.value() == "1"


def test_cancelling_kills_the_process_and_what_it_started(tmp_path: Path) -> None:
    executor = ProcessExecutor()
    handle = executor.submit(f"{TASKS}:hang", {"file": str(tmp_path / "ids")})
    ids = await_ids(tmp_path / "ids")
    assert executor.poll(handle) is None
    executor.cancel(handle)
    executor.cancel(handle)
    assert_gone(ids)


def test_a_task_dies_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import sys; from timonel.jobs.executors import ProcessExecutor; made = ProcessExecutor();"
        f"made.poll(made.submit('{TASKS}:hang', {{'file': sys.argv[1]}}), 600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "ids")])
    try:
        ids = await_ids(tmp_path / "ids")
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert_gone(ids)


def test_only_what_another_process_finds_has_a_path() -> None:
    assert function_path(tasks.draw) == f"{TASKS}:draw"
    methods: list[Callable[..., Any]] = [lambda _: None, LocalExecutor().cancel, [].append]
    for function in methods:
        with pytest.raises(UnknownFunction):
            function_path(function)


def await_ids(file: Path) -> list[int]:
    deadline = time.monotonic() + 120
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return [int(text) for text in file.read_text().split()]


def assert_gone(ids: list[int]) -> None:
    deadline = time.monotonic() + 60
    while any(is_alive(process_id) for process_id in ids):
        assert time.monotonic() < deadline, ids
        time.sleep(0.02)
