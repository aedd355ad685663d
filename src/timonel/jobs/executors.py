"""Where a function runs: in this process, or in one of its own that can be killed.

A function is named by its path, takes a JSON-safe payload and gives a JSON-safe result, so that
any executor, also one on other hosts, does the same with it. The table of jobs is the truth; an
executor only computes.
"""

import contextlib
import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

from timonel.errors import TimonelError
from timonel.jobs.errors import TaskEnded, TaskFailed, UnknownFunction
from timonel.jobs.job import Json, read_json, write_json

_MAP_POLL_S = 0.02
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass(frozen=True, slots=True)
class Resources:
    """What a function asks for; None: no limit. An executor that cannot give it says so."""

    n_cpus: int | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a task: a result, or an error."""

    result: Json = None
    error: TimonelError | None = None

    def value(self) -> Json:
        """Give the result, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.result


class Executor(Protocol):
    """Runs functions by their paths; safe to use from one thread at a time.

    A task is named by the handle that ``submit`` gives; after it was polled as finished, or
    cancelled, its handle is forgotten. Payloads and results are copied, as JSON.
    """

    def submit(self, function: str, payload: Json, resources: Resources | None = None) -> str:
        """Begin a function, named ``"module:function"``; give the task's handle.

        Raises
        ------
        UnknownFunction
            Only where it is seen at once; else it is the task's error.
        """
        ...

    def poll(self, handle: str, wait_s: float = 0.0) -> Finished | None:
        """Give what became of a task, waiting at most so long; None while it runs."""
        ...

    def cancel(self, handle: str) -> None:
        """Stop a task and forget it; nothing happens if it is not known (any more)."""
        ...

    def map(self, function: str, payloads: Sequence[Json]) -> list[Json]:
        """Run a function on many payloads; results in their order.

        Raises
        ------
        TimonelError
            The first error; the tasks that still run are cancelled.
        """
        ...


class LocalExecutor:
    """Runs a task within ``submit``, in this process: nothing can stop it, no limit holds."""

    def __init__(self) -> None:
        self._finished: dict[str, Finished] = {}
        self._numbers = itertools.count()

    def submit(self, function: str, payload: Json, resources: Resources | None = None) -> str:
        """Run a function to its end; give its handle."""
        handle = f"local-{next(self._numbers)}"
        copied = read_json(write_json(payload, f"the payload of {function}"))
        self._finished[handle] = read_answer(function, run_function(function, copied))
        return handle

    def poll(self, handle: str, wait_s: float = 0.0) -> Finished | None:
        """Give what became of a task."""
        return self._finished.pop(handle)

    def cancel(self, handle: str) -> None:
        """Forget a task; it has run already."""
        self._finished.pop(handle, None)

    def map(self, function: str, payloads: Sequence[Json]) -> list[Json]:
        """Run a function on one payload after another."""
        handles = (self.submit(function, payload) for payload in payloads)
        return [self._finished.pop(handle).value() for handle in handles]


@dataclass(frozen=True, slots=True)
class _Task:
    function: str
    process: "subprocess.Popen[bytes]"
    desk: IO[bytes]  # an unlinked file that both hold: orders in, answer out; none is left over


class ProcessExecutor:
    """Runs each task in a new process, which dies when it is cancelled, or with this process.

    Parameters
    ----------
    n_parallel : int or None
        How many ``map`` runs at a time; None: one a processor.
    """

    def __init__(self, n_parallel: int | None = None) -> None:
        self._n_parallel = n_parallel or os.cpu_count() or 1
        self._tasks: dict[str, _Task] = {}
        self._numbers = itertools.count()

    def submit(self, function: str, payload: Json, resources: Resources | None = None) -> str:
        """Start a process for a function; give its handle.

        ``resources.n_cpus`` bounds the threads of numerical libraries.
        """
        orders = {"function": function, "payload": payload, "path": sys.path}
        written = write_json(orders, f"the payload of {function}").encode()
        desk = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the task is forgotten
        desk.write(written)
        desk.flush()
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "timonel.jobs.child", str(desk.fileno())],
            stdin=subprocess.PIPE,  # its lifeline: closed by our end, however that comes
            stdout=subprocess.DEVNULL,
            pass_fds=[desk.fileno()],
            start_new_session=True,  # what it starts itself is killed with it
            env=_environment(resources or Resources()),
        )
        handle = f"process-{next(self._numbers)}"
        self._tasks[handle] = _Task(function, process, desk)
        return handle

    def poll(self, handle: str, wait_s: float = 0.0) -> Finished | None:
        """Give what became of a task, waiting at most so long; None while it runs."""
        task = self._tasks[handle]
        try:
            status = task.process.wait(wait_s) if wait_s > 0 else task.process.poll()
        except subprocess.TimeoutExpired:
            return None
        if status is None:
            return None
        task.desk.seek(0)
        answer = task.desk.read()
        self.cancel(handle)
        if status != 0:
            return Finished(error=TaskEnded(function=task.function, ending=_ending(status)))
        return read_answer(task.function, json.loads(answer))

    def cancel(self, handle: str) -> None:
        """Kill a task's process, and all it has started."""
        task = self._tasks.pop(handle, None)
        if task is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(task.process.pid, signal.SIGKILL)
        task.process.wait()
        if task.process.stdin is not None:
            task.process.stdin.close()
        task.desk.close()

    def map(self, function: str, payloads: Sequence[Json]) -> list[Json]:
        """Run a function on many payloads, some at a time."""
        results: dict[int, Json] = {}
        running: dict[int, str] = {}
        waiting = list(enumerate(payloads))[::-1]
        try:
            while waiting or running:
                while waiting and len(running) < self._n_parallel:
                    n, payload = waiting.pop()
                    running[n] = self.submit(function, payload)
                for n, handle in list(running.items()):
                    finished = self.poll(handle, _MAP_POLL_S)
                    if finished is not None:
                        del running[n]
                        results[n] = finished.value()
        finally:
            for handle in running.values():
                self.cancel(handle)
        return [results[n] for n in range(len(payloads))]


def function_path(function: Callable[..., Any]) -> str:
    """Name a function so that another process finds it.

    Raises
    ------
    UnknownFunction
        If it is not at the top level of a module.
    """
    name = getattr(function, "__qualname__", repr(function))
    path = f"{getattr(function, '__module__', None)}:{name}"
    if not name.isidentifier() or path.startswith(("None:", "__main__:")):
        raise UnknownFunction(function=path, detail="another process could not import it")
    return path


def find_function(path: str) -> Callable[..., Any]:
    """Import the function that a path names.

    Raises
    ------
    UnknownFunction
    """
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnknownFunction(function=path, detail=str(error).rstrip(".")) from error
    if not callable(found):
        raise UnknownFunction(function=path, detail="it is no function")
    return found  # type: ignore[no-any-return]


def run_function(path: str, payload: Json) -> dict[str, Any]:
    """Run a function and give what an executor carries back: its result, or its error's facts."""
    try:
        result = find_function(path)(payload)
        return {"result": read_json(write_json(result, f"the result of {path}"))}
    except TimonelError as error:
        kind = type(error)
        context = json.loads(json.dumps(error.context, default=str))
        return {"error": f"{kind.__module__}:{kind.__qualname__}", "context": context}
    except Exception as error:  # noqa: BLE001 - any function; the caller gets it as an error
        return {"failed": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}


def read_answer(path: str, answer: dict[str, Any]) -> Finished:
    """Read what ``run_function`` gave, in the same or in another process."""
    if "result" in answer:
        return Finished(result=answer["result"])
    if "error" in answer:
        try:
            error = find_function(answer["error"])(**answer["context"])
        except Exception:  # noqa: BLE001 - an error class with demands of its own
            detail = f"{answer['error']} {answer['context']}"
            return Finished(error=TaskFailed(function=path, detail=detail, trace=""))
        return Finished(error=error)
    detail, trace = answer["failed"].rstrip("."), answer["trace"]
    return Finished(error=TaskFailed(function=path, detail=detail, trace=trace))


def _environment(resources: Resources) -> dict[str, str]:
    if resources.n_cpus is None:
        return dict(os.environ)
    return os.environ | dict.fromkeys(_THREADS, str(resources.n_cpus))


def _ending(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
