"""One child process kept alive: started, watched, killed when silent, started again."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from timonel.logging import words_of
from timonel.serving.processes.liveness import Beat, Heartbeat
from timonel.serving.processes.notices import Notice, OnNotice

_SECOND = 1_000_000_000
_NEVER = Beat(0, 0, 0, ready=False)


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When a child counts as silent, and how soon one that ended is started again."""

    silent_s: float = 2.0
    start_limit_s: float = 60.0  # until the first beat: imports and loading models
    sound_s: float = 10.0  # a life as long as this forgets earlier failures
    first_delay_s: float = 0.1
    longest_delay_s: float = 5.0
    loop_after: int = 4

    def delay_s(self, failures: int) -> float:
        """Give the pause before the next start: none after one failure, then doubling."""
        if failures <= 1:
            return 0.0
        return min(self.first_delay_s * 2.0 ** (failures - 2), self.longest_delay_s)


@dataclass(frozen=True, slots=True)
class Command:
    """How a child is started: arguments, orders (secrets among them), and the files it inherits."""

    name: str
    role: str
    argv: tuple[str, ...]
    orders: bytes = b""
    environment: tuple[tuple[str, str], ...] = ()
    fds: tuple[int, ...] = ()
    heartbeat: Path | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a child at one moment; ``pid`` 0 where none runs."""

    name: str
    role: str
    pid: int
    generation: int
    ready: bool


class Child:
    """Keeps one process alive; all methods but ``state`` belong to the supervisor's thread.

    Parameters
    ----------
    command : Command
    notify : callable
        Told of deaths, silence and what the child prints.
    wanted : callable
        Asked before each start; False leaves the child down (a pool that nobody needs yet).
    """

    def __init__(
        self,
        command: Command,
        notify: OnNotice,
        *,
        policy: RestartPolicy | None = None,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self.command = command
        self._notify = notify
        self._policy = policy or RestartPolicy()
        self._wanted = wanted
        self._process: subprocess.Popen[bytes] | None = None
        self._heartbeat: Heartbeat | None = None
        self._reader: threading.Thread | None = None
        self._said: deque[str] = deque(maxlen=20)
        self._failures = 0
        self._started_ns = 0
        self._next_start_ns = 0
        self._pardoned_ns = 0
        self._killed = False

    @property
    def running(self) -> bool:
        """Whether a process is there that has not been reaped."""
        return self._process is not None

    def state(self) -> State:
        """Give what is known now; may be called from any thread."""
        process, beat = self._process, self._beat()
        pid = process.pid if process is not None else 0
        ready = beat.ready if self._heartbeat is not None else pid != 0
        ready = ready and pid != 0
        return State(self.command.name, self.command.role, pid, beat.generation, ready)

    def check(self, now_ns: int) -> None:
        """Do what is due: start, reap, or kill one that has fallen silent."""
        if self._process is None:
            if now_ns >= self._next_start_ns and self._wanted():
                self._start(now_ns)
        elif self._process.poll() is not None:
            self._ended(now_ns)
        else:
            self.kill_if_silent(now_ns)

    def pardon(self, now_ns: int) -> None:
        """Forgive silence up to now: the watcher itself was not running."""
        self._pardoned_ns = now_ns

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the child, if one runs."""
        if self._process is not None:
            self._killed = self._killed or number is signal.SIGKILL
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def reap(self) -> bool:
        """Collect a child that has ended on request; True when none runs any more."""
        if self._process is not None and self._process.poll() is not None:
            self._clean_up()
        return self._process is None

    def _start(self, now_ns: int) -> None:
        if self.command.heartbeat is not None:
            self._heartbeat = Heartbeat.create(self.command.heartbeat)
        self._said.clear()
        self._killed = False
        self._started_ns = now_ns
        # its own process group: Ctrl-C in a terminal reaches the supervisor alone
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            self.command.argv,
            pass_fds=self.command.fds,
            env=os.environ | dict(self.command.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(self.command.orders + b"\n")
                self._process.stdin.flush()
        self._reader = threading.Thread(
            target=self._relay, args=(self._process,), name=self.command.name, daemon=True
        )
        self._reader.start()

    def _relay(self, process: subprocess.Popen[bytes]) -> None:
        """Pass on what the child prints, so that its last words can be told as a reason."""
        if process.stdout is None:
            return
        # closed here, when all who hold it have ended: a grandchild may outlive the child
        with process.stdout as lines:
            for raw in lines:
                line = raw.decode("utf-8", "replace").rstrip()
                if line:
                    self._said.append(words_of(line))
                    self._notify(Notice.LOG, {"process": self.command.name, "line": line})

    def _beat(self) -> Beat:
        heartbeat = self._heartbeat
        return heartbeat.read() if heartbeat is not None else _NEVER

    def kill_if_silent(self, now_ns: int) -> None:
        """End a child whose loop hangs: SIGKILL, as nothing else reaches one that is stopped."""
        if self._heartbeat is None or self._process is None or self._killed:
            return
        beat = self._beat()
        limit_s = self._policy.silent_s if beat.at_ns else self._policy.start_limit_s
        last_ns = max(beat.at_ns or self._started_ns, self._pardoned_ns)
        silent_s = (now_ns - last_ns) / _SECOND
        if silent_s > limit_s:
            facts = {"process": self.command.name, "pid": self._process.pid, "seconds": silent_s}
            self.signal(signal.SIGKILL)
            self._notify(Notice.WORKER_SILENT, facts)

    def _ended(self, now_ns: int) -> None:
        process = self._process
        if process is None:
            return
        if self._reader is not None:
            self._reader.join(0.2)
        lived_s = (now_ns - self._started_ns) / _SECOND
        self._failures = 1 if lived_s >= self._policy.sound_s else self._failures + 1
        delay_s = self._policy.delay_s(self._failures)
        self._next_start_ns = now_ns + round(delay_s * _SECOND)
        looping = self._failures >= self._policy.loop_after
        facts = {
            "process": self.command.name,
            "pid": process.pid,
            "cause": _cause(process.returncode, self._said[-1] if self._said else ""),
            "failures": self._failures,
            "delay_s": delay_s,
        }
        self._clean_up()
        self._notify(Notice.CRASH_LOOP if looping else Notice.WORKER_DIED, facts)

    def _clean_up(self) -> None:
        process, self._process = self._process, None
        if process is None or self._reader is None:
            return
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        self._reader.join(0.2)


def end_all(children: Sequence[Child], timeout_s: float, hastened: Callable[[], bool]) -> None:
    """Ask children to end, wait for them, and kill those that do not in time or fall silent."""
    until = time.monotonic() + timeout_s
    for child in children:
        child.signal(signal.SIGTERM)
    left = [child for child in children if not child.reap()]
    while left:
        for child in left:
            if time.monotonic() > until or hastened():
                child.signal(signal.SIGKILL)
            child.kill_if_silent(time.monotonic_ns())
        time.sleep(0.01)
        left = [child for child in left if not child.reap()]


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """Give the arguments that run one of our modules in this interpreter.

    ``-P``: the working folder, a user's project, must not shadow modules by its file names.
    """
    return (sys.executable, "-P", "-m", module, *arguments)


def _cause(returncode: int, last_words: str) -> str:
    how = f"exit code {returncode}"
    if returncode < 0:
        with contextlib.suppress(ValueError):
            how = signal.Signals(-returncode).name
    return f"{how}, {last_words}" if last_words else how
