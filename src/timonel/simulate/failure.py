"""A real model failure: the champion's files are overwritten, and the predict workers killed.

What a bad disk and an out-of-memory kill do together. The processes that come back find bytes
whose hash is wrong and refuse them; the rules answer until the files are whole again.
"""

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from timonel.app import App
from timonel.store.control import live_processes


class Damage(NamedTuple):
    """What was done: to which version, its files as they were, and the processes killed."""

    version: str
    files: dict[Path, bytes]
    pids: tuple[int, ...]


def break_champion(app: App, model: str) -> Damage:
    """Overwrite the champion's artifacts in place and kill the predict workers of this host.

    A version without files of its own (a linear one is all in its manifest) is left whole, and
    ``files`` is empty.
    """
    champion = app.registry.champion(model)
    if champion is None:
        return Damage("", {}, ())
    manifest = app.registry.manifest(model, champion.version)
    paths = [app.artifacts.path(ref.sha256) for ref in manifest.artifacts.values()]
    files = {path: path.read_bytes() for path in paths if path.is_file()}
    for path, data in files.items():
        path.write_bytes(bytes(len(data)))
    pids = kill_workers(app)
    return Damage(champion.version, files, pids)


def mend(damage: Damage) -> None:
    """Put the files back as they were; a reader sees the old bytes or the new ones, all of them."""
    for path, data in damage.files.items():
        aside = path.with_name(f".mending-{path.name}")
        aside.write_bytes(data)
        aside.replace(path)


def kill_workers(app: App) -> tuple[int, ...]:
    """Send SIGKILL to the predict workers of this project on this host; give their ids."""
    here = socket.gethostname()
    pids = []
    for process in live_processes(app.engine, app.name):
        if process.role == "predict" and process.host == here:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
                pids.append(process.pid)
    return tuple(pids)
