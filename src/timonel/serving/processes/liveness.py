"""How a supervisor and its children know of one another.

Downwards the child's standard input, a pipe whose other end only the supervisor holds. Its first
line are the *orders* (a configuration; the command line would show passwords to every user of the
machine), and its end of file, even after ``kill -9``, says that the supervisor is gone. Upwards a
*heartbeat*: a tiny file, mapped by both, that a child writes from its event loop; a loop that
hangs falls silent.
"""

import contextlib
import mmap
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

_AT, _GENERATION, _PID_READY, _CONNECTIONS = range(4)
_SIZE = 4 * 8
HASTE_S = 10.0
_STDIN = 0


@dataclass(frozen=True, slots=True)
class Beat:
    """The last sign of life; ``at_ns`` is of the host's monotonic clock, 0 before the first."""

    at_ns: int
    generation: int
    pid: int
    ready: bool
    connections: int = 0


class Heartbeat:
    """One child's file; the child ticks, its supervisor reads. Neither ever blocks.

    Parameters
    ----------
    path : Path
        Made new by ``create`` before each start, so that a child of an earlier life that still
        runs writes into a file that nobody reads any more.

    Notes
    -----
    Each of the words is stored and read whole, being aligned and of the machine's size.
    ``struct.pack_into`` would first fill them with zeros: a supervisor that looked just then would
    take a sound child for one that never came up, and kill it.
    """

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SIZE)
        self._words = memoryview(self._map).cast("q")

    @classmethod
    def create(cls, path: Path) -> "Heartbeat":
        """Make the file anew, with no beat in it."""
        aside = path.with_name(f"{path.name}.new")
        aside.write_bytes(bytes(_SIZE))
        aside.replace(path)  # who looks now finds the old file or the new one, never half of it
        return cls(path)

    def tick(self, at_ns: int, generation: int, *, ready: bool) -> None:
        """Leave a sign of life."""
        self._words[_GENERATION] = generation
        self._words[_PID_READY] = os.getpid() << 1 | ready
        self._words[_AT] = at_ns

    def connected(self, n: int) -> None:
        """Say how many connections are open."""
        self._words[_CONNECTIONS] = n

    def read(self) -> Beat:
        """Read the last sign of life."""
        return _beat(self._words)

    def close(self) -> None:
        """Give the mapping back."""
        self._words.release()
        self._map.close()


def beats_beside(path: Path) -> list[Beat]:
    """Read the last signs of life of the other workers of a heartbeat's folder."""
    found = []
    for other in path.parent.glob(f"*{path.suffix}"):
        if other != path:
            with contextlib.suppress(OSError, ValueError):  # made anew as we look
                found.append(_beat(memoryview(other.read_bytes()).cast("q")))
    return found


def _beat(words: "memoryview[int]") -> Beat:
    at_ns, generation, pid_ready, connections = words
    return Beat(at_ns, generation, pid_ready >> 1, bool(pid_ready & 1), connections)


def receive_orders() -> bytes:
    """Read the line that the supervisor wrote at the start."""
    line = bytearray()
    while not line.endswith(b"\n"):
        piece = os.read(_STDIN, 1)  # no more: what follows the line is for others to read
        if not piece:
            raise SystemExit("no orders: this module is started by `timonel serve`")
        line += piece
    return bytes(line)


def end_with_parent() -> None:
    """Watch for the supervisor's end in a thread: then ask this process to stop, then insist.

    The process gets SIGTERM, as from a living supervisor, and so finishes what it has begun; if
    it still runs ``HASTE_S`` later it ends at once.
    """

    def watch() -> None:
        while os.read(_STDIN, 64):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(HASTE_S)
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
