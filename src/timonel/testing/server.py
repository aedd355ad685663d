"""A real server in processes of its own, to be asked, stopped and killed.

``python -m timonel.testing.server PLAN`` runs a supervisor with its drainers on a prepared
database, and prints its notices as lines of JSON.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from timonel.serving.config import decode, encode
from timonel.serving.processes.liveness import Heartbeat
from timonel.serving.processes.ports import next_free
from timonel.serving.processes.slots import StateFolder

START_LIMIT_S = 240.0


class ServerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the server is to run with; ``settings`` are fields of ``Settings``."""

    state: Path
    database_url: str
    project: str
    settings: dict[str, Any]


class Server:
    """A server that a test starts, kills and starts again from the same state folder.

    Parameters
    ----------
    plan : ServerPlan
        With port 0 a free one is taken at the first start, and kept.
    """

    def __init__(self, plan: ServerPlan) -> None:
        self._plan = plan
        self._places = StateFolder(plan.state)
        self._process: subprocess.Popen[bytes] | None = None
        self._heard = threading.Condition()
        self._silent = False  # it has ended: nothing more will be heard
        self.notices: list[tuple[str, Mapping[str, Any]]] = []
        self.url = ""

    def start(self) -> None:
        """Start it and wait until all workers are ready."""
        if not self._plan.settings["port"]:
            # Below the ports that the system gives to clients: one that asks for a server that is
            # away could be given the server's own port, and then talks to itself and holds it.
            settings = self._plan.settings | {"port": free_port()}
            self._plan = msgspec.structs.replace(self._plan, settings=settings)
        n_heard = len(self.notices)
        self._silent = False
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            [sys.executable, "-m", "timonel.testing.server", encode(self._plan).decode()],
            stdout=subprocess.PIPE,
        )
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        try:
            self.url = self.wait_for("ready", START_LIMIT_S, after=n_heard)["url"]
        except TimeoutError:
            self._process.kill()
            self._process.wait()
            raise

    def wait_for(self, kind: str, limit_s: float, after: int = 0) -> Mapping[str, Any]:
        """Wait for a notice, or for the server's end; ``after`` skips those heard before.

        Raises
        ------
        TimeoutError
            With what was heard instead.
        """
        with self._heard:
            self._heard.wait_for(lambda: self.of(kind, after) or self._silent, limit_s)
            found = self.of(kind, after)
        if not found:
            message = f"no notice {kind!r} within {limit_s} s, but {self.notices[after:]}"
            raise TimeoutError(message)
        return found[0]

    def of(self, kind: str, after: int = 0) -> list[Mapping[str, Any]]:
        """Give the facts of all notices of a kind."""
        return [facts for told, facts in self.notices[after:] if told == kind]

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self._process is not None
        return self._process.pid

    def worker_pids(self) -> list[int]:
        """Give the process ids in the workers' heartbeats; 0 for one that has not ticked yet."""
        n_workers = self._plan.settings["workers"]
        return [Heartbeat(self._places.heartbeat(index)).read().pid for index in range(n_workers)]

    def kill(self, pids: Sequence[int]) -> None:
        """Send SIGKILL to processes of this server, all at once; those that ended are skipped."""
        for pid in pids:
            if pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        if self.pid in pids:
            self.wait()

    def terminate(self) -> int:
        """Ask it to stop and wait until it did; give its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Wait for the supervisor's end; give its exit code (negative: by a signal)."""
        assert self._process is not None
        return self._process.wait(90)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.terminate()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                kind, facts = msgspec.json.decode(line)
                with self._heard:
                    self.notices.append((kind, facts))
                    self._heard.notify_all()
        with self._heard:
            self._silent = process is self._process
            self._heard.notify_all()


def await_end(pids: Sequence[int], limit_s: float) -> None:
    """Wait until none of these processes runs any more."""
    until = time.monotonic() + limit_s
    while any(_runs(pid) for pid in pids if pid):
        if time.monotonic() > until:
            message = f"of the processes {list(pids)} some still run after {limit_s} s"
            raise TimeoutError(message)
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return not Path("/proc/self").exists()


class Up:
    """``timonel up`` in processes of its own, which can all be killed at once."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._argv = [
            *(sys.executable, "-m", "timonel.cli.main", "up", "-C", str(folder)),
            *("--port", str(port), "--workers", "2"),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "up.log").open("ab") as log:
            self._process = subprocess.Popen(self._argv, stdout=log, stderr=log)  # noqa: S603 - our own
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self.log()
            try:
                if httpx.get(f"{self.url}/v1", timeout=2.0, trust_env=False).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(self.log())

    def kill_all(self) -> int:
        """SIGKILL the server and all that it started, the worker too; give how many."""
        assert self._process is not None
        pids = [self._process.pid, *descendants(self._process.pid)]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait(30)
        return len(pids)

    def stop(self) -> None:
        """Let it end as Ctrl-C does; nothing where it runs no more."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            assert self._process.wait(90) == 0, self.log()

    def log(self) -> str:
        """Give the end of what it printed."""
        return (self._folder / "up.log").read_text("utf-8")[-4000:]


def descendants(pid: int) -> list[int]:
    """List the processes that a process started, and those that these started."""
    children = defaultdict(list)
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children[parent].append(int(status.parent.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        mine = children[waiting.pop()]
        found += mine
        waiting += mine
    return found


def free_port() -> int:
    """Choose a port below those that the system gives to clients.

    While the killed server is away its city asks again and again, each time from a port that the
    system chose: were that the server's own, the client would be connected to itself, and hold the
    port against the server's return.
    """
    return next_free("127.0.0.1", random.randrange(15_000, 30_000))


def main(argument: str) -> None:
    """Run a server until it is told to stop; exit 3 if bytes were left in the spools."""
    from timonel.events.accumulators import default_accumulators
    from timonel.events.drain import Drainer
    from timonel.serving.supervisor import ServeConfig, Supervisor
    from timonel.settings import Settings
    from timonel.store.control import read_clock
    from timonel.store.engine import make_engine

    plan = decode(argument, ServerPlan)
    engine = make_engine(plan.database_url)
    told = threading.Lock()

    def drainer(folders: Sequence[Path], drainer_id: str) -> Drainer:
        return Drainer(
            engine,
            project=plan.project,
            folders=folders,
            drainer_id=drainer_id,
            accumulators=default_accumulators(engine, plan.project),
            clock=read_clock(engine, plan.project),
        )

    def tell(kind: str, facts: Mapping[str, Any]) -> None:
        with told:
            sys.stdout.buffer.write(msgspec.json.encode((kind, facts)) + b"\n")
            sys.stdout.buffer.flush()

    config = ServeConfig(
        folder=plan.state,
        project=plan.project,
        database_url=plan.database_url,
        state=plan.state,
        settings=Settings(**plan.settings),
    )
    left = Supervisor(config, drainer, tell).run()
    raise SystemExit(3 if left else 0)


if __name__ == "__main__":
    main(sys.argv[1])
