"""Where a supervisor keeps things: slots of workers, sockets, and the lock on them all."""

import fcntl
import os
import stat
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

from timonel.events.recorded.place import FOLDER
from timonel.serving.processes.errors import StateInUse, UnsafeFolder

_LONGEST_SOCKET = 100  # bytes; the system's limit is 104 (macOS) or 108 (Linux)


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The places under ``<state>``; nothing here touches the disk but ``prepare`` and ``own``.

    Parameters
    ----------
    root : Path
        The state folder, absolute.
    """

    root: Path

    @property
    def artifacts(self) -> Path:
        """The content-addressed store."""
        return self.root / "artifacts"

    @property
    def spool(self) -> Path:
        """The folder of all spool slots."""
        return self.root / "spool"

    @property
    def run(self) -> Path:
        """What belongs to one life of the server."""
        return self.root / "run"

    @property
    def metrics(self) -> Path:
        """The mapped file of the workers' counters; it survives restarts."""
        return self.root / "run" / "metrics"

    @property
    def key_usage(self) -> Path:
        """The mapped file of what each key has used of its rate; it survives restarts."""
        return self.root / "run" / "keys"

    @property
    def recorded(self) -> Path:
        """The spools of what processes record of the project's own metrics."""
        return self.spool / FOLDER

    @property
    def exposition(self) -> Path:
        """What the host knows beside its workers' counters, as text to scrape."""
        return self.root / "run" / "host.prom"

    def slot(self, index: int) -> Path:
        """Give the spool folder of one slot."""
        return self.spool / f"slot-{index}"

    def heartbeat(self, index: int) -> Path:
        """Give the heartbeat file of one slot."""
        return self.run / f"worker-{index}.beat"

    def prepare(self, n_slots: int) -> list[Path]:
        """Make the folders, private to this user.

        Returns
        -------
        list of Path
            Every folder of spools to drain: those of the workers by number, with those that an
            earlier run with more workers left behind, and that of the project's own metrics.
        """
        self.artifacts.mkdir(parents=True, exist_ok=True)
        slots = [self.slot(index) for index in range(n_slots)]
        for folder in (self.spool, self.run, self.recorded, *slots):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        slots = [path for path in self.spool.glob("slot-*") if path.name[5:].isdecimal()]
        return [*sorted(slots, key=lambda path: int(path.name[5:])), self.recorded]

    def socket(self, name: str) -> Path:
        """Give the path of a Unix socket: in ``run``, or in a short folder where that is too long.

        Raises
        ------
        UnsafeFolder
            If the short folder exists and is not this user's alone.
        """
        path = self.run / f"{name}.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET:
            return path
        token = sha256(os.fsencode(self.root)).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"timonel-{os.getuid()}-{token}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
        if not private or found.st_uid != os.getuid():
            raise UnsafeFolder(folder=str(folder))
        return folder / f"{name}.sock"


class Ownership:
    """The lock on a state folder, held as long as this process lives or until ``release``.

    ``flock`` belongs to the open file: it ends with the process however that ends, and children
    do not inherit it.
    """

    def __init__(self, folder: StateFolder) -> None:
        folder.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder.spool / "owner.lock"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "?"
            os.close(self._fd)
            raise StateInUse(folder=str(folder.root), pid=pid) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process own the folder."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def owner_pid(root: Path) -> int | None:
    """Give the process that last owned a state folder, by its note; it may have ended since."""
    try:
        return int((StateFolder(root).spool / "owner.lock").read_text("ascii"))
    except (OSError, ValueError):
        return None
