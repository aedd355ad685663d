"""Answers that wait for a server that is away: in memory, or in files that outlive a crash.

A folder holds files of lines, each line a checksum and a JSON text, synced before ``put`` returns.
A file is locked (``flock``) by the process that writes it or delivers it; what a dead process left
is delivered by whoever comes next. Delivering twice does no harm: the server counts an id once. So
a file is simply deleted when all of it is delivered, and no position is kept.
"""

import fcntl
import json
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from zlib import crc32

from timonel.client.errors import QueueFull, QueueUnusable

REFUSED = "refused.jsonl"
_SUFFIX = ".ndjson"
_MOST_LINES = 500
_MOST_BYTES = 256 << 10  # of a file, and so of a request: a quarter of the server's default limit


class Parcel(NamedTuple):
    """One thing to deliver: where to, under which name in a list, and what."""

    path: str
    name: str
    body: dict[str, Any]


class Batch(Protocol):
    """Parcels that were taken to be delivered; either ``done`` or ``keep`` ends it."""

    @property
    def parcels(self) -> Sequence[Parcel]:
        """What was taken, oldest first."""
        ...

    def done(self, refused: Iterable[tuple[Parcel, dict[str, Any]]]) -> None:
        """Forget them; those that the server will never take are kept aside, with its problem."""
        ...

    def keep(self) -> None:
        """Put them back."""
        ...


class Queue(Protocol):
    """Keeps parcels until they are delivered. Safe to use from any thread."""

    def put(self, parcel: Parcel) -> None:
        """Keep one; it is as safe as this queue makes it once this returns.

        Raises
        ------
        QueueFull, QueueUnusable
            If it was not kept.
        """
        ...

    def take(self, passed: set[str]) -> Batch | None:
        """Take the oldest that nobody delivers at the moment, but those named in ``passed``.

        The name of what is taken is added to ``passed``.
        """
        ...

    def waiting(self) -> int:
        """Count what is not delivered."""
        ...

    def close(self) -> None:
        """Let go of files; what waits in them stays."""
        ...


class MemoryQueue:
    """Keeps parcels as long as this process lives."""

    def __init__(self, max_queued: int) -> None:
        self._max = max_queued
        self._parcels: deque[Parcel] = deque()
        self._lock = threading.Lock()
        self._taken = 0
        self.refused: list[tuple[Parcel, dict[str, Any]]] = []

    def put(self, parcel: Parcel) -> None:
        """Keep one; raises ``QueueFull``."""
        with self._lock:
            if len(self._parcels) >= self._max:
                raise QueueFull(found=len(self._parcels), queue="memory", limit=self._max)
            self._parcels.append(parcel)

    def take(self, passed: set[str]) -> "_MemoryBatch | None":
        """Take the oldest page; one at a time is delivered."""
        with self._lock:
            if self._taken or not self._parcels or "memory" in passed:
                return None
            page = [self._parcels[i] for i in range(min(_MOST_LINES, len(self._parcels)))]
            self._taken = len(page)
            return _MemoryBatch(self, page, passed)

    def settle(self, refused: Iterable[tuple[Parcel, dict[str, Any]]], *, delivered: bool) -> None:
        """End what was taken (the batch's own doing)."""
        with self._lock:
            if delivered:
                for _ in range(self._taken):
                    self._parcels.popleft()
                self.refused = [*self.refused, *refused][-self._max :]
            self._taken = 0

    def waiting(self) -> int:
        """Count what is not delivered."""
        return len(self._parcels)

    def close(self) -> None:
        """There is nothing to let go of."""


class _MemoryBatch:
    def __init__(self, queue: MemoryQueue, parcels: list[Parcel], passed: set[str]) -> None:
        self.parcels = parcels
        self._queue = queue
        self._passed = passed

    def done(self, refused: Iterable[tuple[Parcel, dict[str, Any]]]) -> None:
        self._queue.settle(refused, delivered=True)

    def keep(self) -> None:
        self._passed.add("memory")
        self._queue.settle((), delivered=False)


class FolderQueue:
    """Keeps parcels in a folder that several processes of one machine may share.

    Parameters
    ----------
    folder : Path
        Made if it is not there, for this user alone.
    max_queued : int
        Of all processes together.

    Raises
    ------
    QueueUnusable
        If the folder cannot be written.
    """

    def __init__(self, folder: Path, max_queued: int) -> None:
        self.folder = folder
        self._max = max_queued
        self._lock = threading.Lock()
        self._fd = -1
        self._path = folder
        self._lines = 0
        self._bytes = 0
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._begin()
            self._n = self._count()
        except OSError as error:
            raise self._unusable(error) from error

    def put(self, parcel: Parcel) -> None:
        """Keep one, synced to disk; raises ``QueueFull`` or ``QueueUnusable``."""
        data = _line(parcel)
        with self._lock:
            try:
                if self._n >= self._max:
                    self._n = self._count()  # others may have delivered ours
                if self._n >= self._max:
                    raise QueueFull(found=self._n, queue=str(self.folder), limit=self._max)
                if self._fd < 0 or self._lines >= _MOST_LINES or self._bytes >= _MOST_BYTES:
                    self._begin()
                self._write(data)
            except OSError as error:
                raise self._unusable(error) from error
            self._n += 1
            self._lines += 1
            self._bytes += len(data)

    def take(self, passed: set[str]) -> "_FileBatch | None":
        """Take a whole file: one that was left, or the one being written, which ends with it."""
        with self._lock:
            for path in self._files():
                if path.name in passed:
                    continue
                if path == self._path and self._fd >= 0:
                    if not self._lines:
                        continue
                    self._end()
                passed.add(path.name)
                fd = _lock(path)
                if fd is not None:
                    return _FileBatch(self, path, fd)
        return None

    def settle(self, n: int) -> None:
        """Count what was delivered (the batch's own doing)."""
        with self._lock:
            self._n = max(0, self._n - n)

    def waiting(self) -> int:
        """Count what is not delivered, of all processes."""
        with self._lock:
            return self._count()

    def close(self) -> None:
        """Release the file that is being written; an empty one is removed."""
        with self._lock:
            self._end()

    def _write(self, data: bytes) -> None:
        end = os.lseek(self._fd, 0, os.SEEK_END)
        try:
            written = 0
            while written < len(data):
                written += os.write(self._fd, data[written:])
            os.fsync(self._fd)
        except OSError:
            os.ftruncate(self._fd, end)  # what was not acknowledged is not delivered either
            raise

    def _begin(self) -> None:
        self._end()
        # names sort by age, so that what waits longest is delivered first
        path = self.folder / f"{time.time_ns() // 1_000_000:013d}-{os.urandom(6).hex()}{_SUFFIX}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._fd, self._path, self._lines, self._bytes = fd, path, 0, 0
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _end(self) -> None:
        if self._fd < 0:
            return
        if not self._lines:
            self._path.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = -1

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{_SUFFIX}"))

    def _count(self) -> int:
        n = 0
        for path in self._files():
            try:
                n += path.read_bytes().count(b"\n")
            except FileNotFoundError:  # delivered meanwhile
                continue
        return n

    def _unusable(self, error: OSError) -> QueueUnusable:
        return QueueUnusable(folder=str(self.folder), found=error.strerror or str(error))


class _FileBatch:
    def __init__(self, queue: FolderQueue, path: Path, fd: int) -> None:
        self._queue = queue
        self._path = path
        self._fd = fd
        self.parcels = _parcels(path.read_bytes())

    def done(self, refused: Iterable[tuple[Parcel, dict[str, Any]]]) -> None:
        lines = [json.dumps([*parcel, problem]) + "\n" for parcel, problem in refused]
        if lines:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            fd = os.open(self._path.with_name(REFUSED), flags, 0o600)
            try:
                os.write(fd, "".join(lines).encode())
                os.fsync(fd)
            finally:
                os.close(fd)
        self._path.unlink(missing_ok=True)
        os.close(self._fd)
        self._queue.settle(len(self.parcels))

    def keep(self) -> None:
        os.close(self._fd)


def _lock(path: Path) -> int | None:
    """Lock a file that nobody holds; None where somebody does, or where it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists():  # not delivered between the two calls
            return fd
    except OSError:
        pass
    os.close(fd)
    return None


def _line(parcel: Parcel) -> bytes:
    text = json.dumps(parcel, ensure_ascii=True, default=plain).encode()
    return b"%08x %b\n" % (crc32(text), text)


def _parcels(data: bytes) -> list[Parcel]:
    """Read the whole lines of a file; one that a crash cut short was never acknowledged."""
    found = []
    for line in data.split(b"\n")[:-1]:
        checksum, _, text = line.partition(b" ")
        if checksum == b"%08x" % crc32(text):
            found.append(Parcel(*json.loads(text)))
    return found


def plain(value: Any) -> Any:
    """Give what JSON can hold of a value: moments as ISO 8601, numbers of numpy as plain ones.

    Raises
    ------
    TypeError
        If there is nothing that says the same.
    """
    for method in ("isoformat", "item"):
        convert = getattr(value, method, None)
        if callable(convert):
            return convert()
    message = f"a {type(value).__name__} is no JSON value"
    raise TypeError(message)
