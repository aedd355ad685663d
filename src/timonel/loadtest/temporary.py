"""A server beside the real one: the same versions and artifacts, and a database and log of its own.

What a load test predicts must not be found among real predictions: they would be counted by checks
and learned from by retrainings. So the rows that serving reads are copied into a database that is
removed afterwards; the artifacts are the real ones, which are never written.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert, select

from timonel.host import Host
from timonel.loadtest.errors import TemporaryServerFailed
from timonel.loadtest.processes import tree
from timonel.serving.processes.liveness import Heartbeat
from timonel.serving.processes.ports import next_free, owner_of
from timonel.serving.processes.slots import StateFolder, owner_pid
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine, reading
from timonel.store.migrate import upgrade
from timonel.store.tables import aliases, declarations, model_versions

START_S = 60.0
STOP_S = 60.0
_FIRST_PORT = 18_000
_KEPT = ("durability", "native_processes", "max_body_kb", "max_rows")


@dataclass(frozen=True, slots=True)
class Local:
    """A server on this machine, of which the kernel tells what it costs.

    Parameters
    ----------
    port : int
    pid : int
        The supervisor's.
    state : Path
    """

    port: int
    pid: int
    state: Path

    def worker_pids(self) -> list[int]:
        """Give the living workers' process ids, from their heartbeats."""
        beats = StateFolder(self.state).run.glob("worker-*.beat")
        living = set(tree(self.pid))
        return [pid for beat in beats if (pid := Heartbeat(beat).read().pid) in living]


def local_server(host: Host, place: tuple[str, int]) -> Local | None:
    """Find the processes of a project's own server, where that is who listens there; else None."""
    pid, owner = owner_pid(host.state), owner_of(place[1]).pid
    if pid is None or not owner.isdecimal() or int(owner) not in tree(pid):
        return None
    return Local(place[1], pid, host.state)


@contextmanager
def temporary_server(host: Host, model: str) -> Iterator[Local]:
    """Serve a model with one worker until the block ends.

    Parameters
    ----------
    host : Host
        Whose database and artifacts are read.
    model : str

    Raises
    ------
    TemporaryServerFailed
        With what it said.
    """
    with tempfile.TemporaryDirectory(prefix="timonel-bench-") as scratch:
        folder = Path(scratch)
        state = folder / ".timonel"
        state.mkdir()
        (folder / "timonel.toml").write_text(_toml(host))
        (state / "artifacts").symlink_to(host.artifacts.root.resolve(), target_is_directory=True)
        _copy(host, model, f"sqlite:///{state / 'timonel.db'}")
        port = next_free("127.0.0.1", _FIRST_PORT)
        with (folder / "said").open("w+") as said:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
                [
                    *(sys.executable, "-P", "-m", "timonel.cli.main", "serve"),
                    *("--role", "predict", "-C", scratch, "--port", str(port)),
                ],
                stdout=said,
                stderr=subprocess.STDOUT,
                env={k: v for k, v in os.environ.items() if not k.startswith("TIMONEL_")},
            )
            try:
                local = Local(port, process.pid, state)
                _await_ready(local, process, folder / "said")
                yield local
            finally:
                process.terminate()
                try:
                    process.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _toml(host: Host) -> str:
    lines = ["[project]", f'name = "{host.name}"', f'timezone = "{host.config.timezone}"']
    lines.append("[settings]")
    for name in _KEPT:
        value = getattr(host.settings, name)
        lines.append(f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}")
    return "\n".join(lines) + "\n"


def _copy(host: Host, model: str, url: str) -> None:
    """Copy what serving reads of one model; nothing of its past."""
    engine = make_engine(url)
    try:
        upgrade(engine)
        ensure_project(engine, host.name, host.config.timezone, host.clock)
        for table in (declarations, model_versions, aliases):
            of_model = (table.c.project == host.name) & (table.c.model == model)
            with reading(host.engine) as connection:
                found = connection.execute(select(table).where(of_model)).mappings().all()
            if found:
                with engine.begin() as connection:
                    connection.execute(insert(table), [dict(row) for row in found])
    finally:
        engine.dispose()


def _await_ready(local: Local, process: "subprocess.Popen[bytes]", said: Path) -> None:
    until = time.monotonic() + START_S
    beat = StateFolder(local.state).heartbeat(0)
    while process.poll() is None and time.monotonic() < until:
        if beat.exists() and Heartbeat(beat).read().ready:
            return
        time.sleep(0.02)
    raise TemporaryServerFailed(found=said.read_text().strip()[-500:] or "nothing")
