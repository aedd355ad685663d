"""What a host knows of each key's use: when it was used last, and how much of its rate is left.

One mapped file for all processes of a host. A key's entry is its digest's first 16 bytes, the
*theoretical arrival time* of its next request in nanoseconds of the monotonic clock (the generic
cell rate algorithm: ITU-T I.371, 2004, annex A), and the second of its last use. Changes of the
former happen under a lock on the file, so a limit is exact over all processes; the lock is held
for about a microsecond and ends with its process, however that ends.

The numbers are of this host's byte order, and of one boot of it: an arrival time that no request
of this boot can have left is taken as none.
"""

import fcntl
import mmap
import os
from pathlib import Path
from threading import Lock
from time import monotonic_ns, time
from typing import NamedTuple

from timonel.access.callers import Key

N_ENTRIES = 8192
_ID_BYTES = 16
_IDS_BYTES = N_ENTRIES * _ID_BYTES
_EMPTY = bytes(_ID_BYTES)
_SECOND = 1_000_000_000


class KeyUsage:
    """The uses of keys on this host. Safe to call from any thread and process.

    Parameters
    ----------
    path : Path
        The host's file; made when the first key is used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: _Mapped | None = None
        self._places: dict[bytes, int] = {}
        self._lock = Lock()  # the file's lock is this process's: it does not part threads

    def take(self, key: Key) -> int:
        """Note a use of a key, if its rate has room.

        Parameters
        ----------
        key : Key

        Returns
        -------
        int
            0: it had room, or has no limit. Else after how many seconds (at least 1) there is.
        """
        file = self._file or self._open()
        identity = key.digest[:_ID_BYTES]
        at = self._places.get(identity)
        if at is None or file.identity(at) != identity:
            at = self._enter(file, identity)
        if key.rate is not None:
            n, period_s = key.rate
            wait_ns = self._admit(file, at, identity, period_s * _SECOND, n)
            if wait_ns:
                return -(-wait_ns // _SECOND)
        file.words[N_ENTRIES + at] = int(time())
        return 0

    def last_uses(self) -> dict[bytes, int]:
        """Give the second of the last use on this host, by the first 16 bytes of the digest."""
        file = self._file or self._open()
        uses = {}
        for at in range(N_ENTRIES):
            identity = file.identity(at)
            if identity == _EMPTY:
                break
            uses[identity] = file.words[N_ENTRIES + at]
        return uses

    def close(self) -> None:
        """Give the mapping back; the numbers stay in the file."""
        with self._lock:
            file, self._file = self._file, None
            if file is not None:
                file.words.release()
                file.map.close()
                os.close(file.fd)

    def _admit(self, file: "_Mapped", at: int, identity: bytes, period_ns: int, n: int) -> int:
        """Take one place of ``n`` in a period; give 0, or the nanoseconds until there is one."""
        with self._lock:
            fcntl.flock(file.fd, fcntl.LOCK_EX)
            try:
                if file.identity(at) != identity:  # others needed the place meanwhile
                    at = self._claim(file, identity)
                now = monotonic_ns()
                due = file.words[at]
                if due > now + period_ns + _SECOND:  # of an earlier boot, or of a longer period
                    due = now
                due = max(due, now) + period_ns // n
                if due - now > period_ns:
                    return due - now - period_ns
                file.words[at] = due
                return 0
            finally:
                fcntl.flock(file.fd, fcntl.LOCK_UN)

    def _enter(self, file: "_Mapped", identity: bytes) -> int:
        with self._lock:
            fcntl.flock(file.fd, fcntl.LOCK_EX)
            try:
                return self._claim(file, identity)
            finally:
                fcntl.flock(file.fd, fcntl.LOCK_UN)

    def _claim(self, file: "_Mapped", identity: bytes) -> int:
        """Find a key's entry or make one, under both locks.

        Where the file is full, the entry goes that was used longest ago among those whose rate
        has all its room: what is forgotten with it is only when that was.
        """
        words = file.words
        free = oldest = -1
        now = monotonic_ns()
        for at in range(N_ENTRIES):
            found = file.identity(at)
            if found == identity:
                free = at
                break
            if found == _EMPTY:
                if free < 0:
                    free = at
                break  # entries are never emptied: nothing follows the first empty one
            if words[at] <= now and (
                oldest < 0 or words[N_ENTRIES + at] < words[N_ENTRIES + oldest]
            ):
                oldest = at
        at = free if free >= 0 else max(oldest, 0)
        if file.identity(at) != identity:
            words[at] = words[N_ENTRIES + at] = 0
            file.map[at * _ID_BYTES : (at + 1) * _ID_BYTES] = identity
        self._places[identity] = at
        return at

    def _open(self) -> "_Mapped":
        with self._lock:
            if self._file is None:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                size = _IDS_BYTES + 2 * 8 * N_ENTRIES
                os.ftruncate(fd, size)  # of equal length at each start: it loses nothing
                mapped = mmap.mmap(fd, size)
                self._file = _Mapped(fd, mapped, memoryview(mapped)[_IDS_BYTES:].cast("Q"))
            return self._file


class _Mapped(NamedTuple):
    """The host's file, open: the keys' identities, and behind them the numbers as words."""

    fd: int
    map: mmap.mmap
    words: "memoryview[int]"

    def identity(self, at: int) -> bytes:
        """Give the identity of an entry."""
        return self.map[at * _ID_BYTES : (at + 1) * _ID_BYTES]
