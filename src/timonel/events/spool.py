"""A worker's spool: every event is in a file before its answer leaves.

A frame that ``append`` took is in the page cache: it survives ``kill -9`` of the worker. A thread
syncs the file every 50 ms, so a power failure loses at most that; ``append_synced`` waits for the
disk. Only the standard library and msgspec: this is on the hot path of predict workers.
"""

import asyncio
import fcntl
import logging
import os
import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from timonel.events.errors import FrameTooLarge, SpoolFull
from timonel.events.frames import Frame, encode
from timonel.events.segments import (
    FRAME,
    HEADER,
    MAX_PAYLOAD,
    guarded,
    header_bytes,
    is_held,
    list_segments,
    segment_name,
)

_log = logging.getLogger("timonel.serving")
_N_HEADS = 4096  # lengths whose guard is looked up: nearly all frames have fewer bytes
_heads = tuple(map(guarded, range(_N_HEADS)))
_pack, _write = FRAME.pack, os.write
_datasync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


Then = Callable[[SpoolFull | None], None]
"""What follows when the disk has a frame; or the error, if it said that it could not."""


class _Group(NamedTuple):
    """Who waits for one sync, and the loop that waits for them."""

    loop: asyncio.AbstractEventLoop
    waiting: list[Then]


class SpoolWriter:
    """Writes frames to the segments of one spool.

    Append from one thread only (the event loop's); ``sync``, ``close`` and ``undrained_bytes`` may
    be called from any. Every writer is a spool of its own with a new random id, so no position is
    ever used twice. The active segment is locked (``flock``) as long as its writer lives.
    """

    def __init__(
        self, folder: Path, *, durability: str, max_bytes: int, segment_bytes: int, sync_s: float
    ) -> None:
        self.folder = folder
        self.durability = durability
        self.sync_errors = 0
        self._max_bytes = max_bytes
        self._segment_bytes = min(segment_bytes, max(max_bytes // 4, 4096))
        self._sync_s = sync_s
        self._spool_id = os.urandom(16)
        self._number = -1
        self._fd = -1
        self._seed = 0
        self._left = 0  # bytes until something has to be looked at: rotation or the bound
        self._torn = False
        self._dirty = False
        self._new_entry = False
        self._retired: list[int] = []
        self._waiting: list[Then] = []
        self._busy = False  # a group is with the syncing thread
        self._handed: _Group | None = None
        self._sync_lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._sync_loop, name="spool-sync", daemon=True)

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        durability: str = "written",
        max_bytes: int = 1 << 30,
        segment_bytes: int = 8 << 20,
        sync_s: float = 0.05,
    ) -> "SpoolWriter":
        """Begin a new spool in a slot folder.

        Parameters
        ----------
        folder : Path
            Made if it is not there.
        durability : {"written", "synced"}
            Kept for the caller, who chooses ``append`` or ``append_synced`` by it.
        max_bytes : int
            Most bytes of segments in the folder that are not yet drained and deleted.
        segment_bytes : int
            Size at which a new segment is begun.
        sync_s : float
            Seconds between syncs.

        Raises
        ------
        SpoolFull
            If the first segment cannot be made.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        writer = cls(
            folder,
            durability=durability,
            max_bytes=max_bytes,
            segment_bytes=segment_bytes,
            sync_s=sync_s,
        )
        for unfinished in folder.glob("*.tmp"):
            if not is_held(unfinished):  # killed before its first segment had a name
                unfinished.unlink(missing_ok=True)
        try:
            writer._begin_segment()
        except OSError as error:
            raise writer._full(error) from error
        writer._thread.start()
        return writer

    def append(self, frame: Frame) -> None:
        """Write one frame; it survives the end of this process once this returns.

        Raises
        ------
        SpoolFull
            If it was not taken; nothing of it remains in the file.
        FrameTooLarge
            If it has more than 16 MiB.
        """
        payload = encode(frame)
        length = len(payload)
        if length > MAX_PAYLOAD:
            raise FrameTooLarge(found=length, expected=MAX_PAYLOAD)
        size = length + 8
        if size > self._left:
            self._make_room(size)
        head = _heads[length] if length < _N_HEADS else guarded(length)
        self._put(_pack(head, crc32(payload, self._seed)) + payload, size)

    def append_many(self, frames: Sequence[Frame]) -> None:
        """Write frames in order, those of a segment by one write.

        Raises as ``append`` does; some may be written then, of which none was acknowledged.
        """
        payloads = list(map(encode, frames))
        sizes = [len(payload) + FRAME.size for payload in payloads]
        longest = max(sizes, default=0) - FRAME.size
        if longest > MAX_PAYLOAD:
            raise FrameTooLarge(found=longest, expected=MAX_PAYLOAD)
        ends = list(accumulate(sizes))
        first, written = 0, 0
        while first < len(payloads):
            if sizes[first] > self._left:
                self._make_room(sizes[first])
            last = bisect_right(ends, written + self._left)
            # a segment's seed is known once there is room in it
            together = b"".join(map(self._framed, payloads[first:last]))
            self._put(together, len(together))
            first, written = last, ends[last - 1]

    async def append_synced(self, frame: Frame) -> None:
        """Write one frame and wait until the disk has it, together with all that wait then.

        Raises
        ------
        SpoolFull
            If it was not taken or the disk could not be synced.
        """
        future = asyncio.get_running_loop().create_future()
        self.append_then(frame, partial(_settle, future))
        await future

    def append_then(self, frame: Frame, then: Then) -> None:
        """Write one frame, and go on in the loop when the disk has it, with all that wait then.

        Raises as ``append`` does; ``then`` is not called in that case.
        """
        self.append(frame)
        self._waiting.append(then)
        if len(self._waiting) == 1 and not self._busy:
            # after all requests that are ready in this turn of the loop have appended theirs
            loop = asyncio.get_running_loop()
            loop.call_soon(self._flush, loop)

    def sync(self) -> None:
        """Wait until the disk has all that was appended before.

        Raises
        ------
        SpoolFull
            If the disk says it could not.
        """
        try:
            self._sync_files()
        except OSError as error:
            raise self._full(error) from error

    def undrained_bytes(self) -> int:
        """Give the bytes of segments in the folder that are not yet drained and deleted."""
        total = 0
        for segment in list_segments(self.folder):
            try:
                total += segment.path.stat().st_size - HEADER.size
            except FileNotFoundError:  # drained meanwhile
                continue
        return total

    def close(self) -> None:
        """Sync, release the segment to the drainer, and stop; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._left = 0
        self._wake.set()
        self._thread.join()
        try:
            self.sync()
        finally:
            for fd in (self._fd, *self._retired):
                os.close(fd)
            self._retired = []

    # -- room -------------------------------------------------------------------------------

    def _make_room(self, size: int) -> None:
        if self._closed:
            raise self._full("it is closed")
        used = os.fstat(self._fd).st_size - HEADER.size
        undrained = self.undrained_bytes()
        full = undrained + size > self._max_bytes
        if used and (full or self._torn or used + size > self._segment_bytes):
            # also when full: what is drained of a segment is only deleted with the whole of it
            try:
                self._begin_segment()
            except OSError as error:
                raise self._full(error) from error
            used = 0
        if full:
            raise self._full(f"{undrained} bytes wait in it")
        # others may write to this folder's older spools only by deleting: looking again at each
        # 64th part of the bound keeps it within two percent
        room = min(self._segment_bytes - used, self._max_bytes - undrained, self._max_bytes // 64)
        self._left = max(size, room)

    def _begin_segment(self) -> None:
        number = self._number + 1
        header = header_bytes(self._spool_id, number)
        path = self.folder / segment_name(self._spool_id, number)
        hidden = path.with_suffix(".tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        fd = os.open(hidden, flags, 0o600)
        try:
            # locked and with its header before a drainer can see it under its name
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.write(fd, header) != len(header):
                raise OSError("no room for a segment's header")
            hidden.rename(path)
        except OSError:
            os.close(fd)
            hidden.unlink(missing_ok=True)
            raise
        self._new_entry = True
        self._torn = False
        before, self._fd, self._number = self._fd, fd, number
        self._seed = int.from_bytes(header[-4:], "little")
        self._left = 0
        if before != -1:
            self._retired.append(before)  # the syncing thread closes it, once it is on disk

    def _framed(self, payload: bytes) -> bytes:
        length = len(payload)
        head = _heads[length] if length < _N_HEADS else guarded(length)
        return _pack(head, crc32(payload, self._seed)) + payload

    def _put(self, data: bytes, size: int) -> None:
        try:
            written = _write(self._fd, data)
        except OSError as error:
            raise self._full(error) from error
        if written != size:
            self._complete(data, written)
        self._left -= size
        self._dirty = True

    def _complete(self, data: bytes, written: int) -> None:
        """Finish a write that was cut short, or take back the part that was written."""
        view = memoryview(data)
        try:
            while written < len(data):
                written += os.write(self._fd, view[written:])
        except OSError as error:
            self._take_back(written)
            raise self._full(error) from error

    def _take_back(self, written: int) -> None:
        self._left = 0
        try:
            os.ftruncate(self._fd, os.lseek(self._fd, 0, os.SEEK_END) - written)
        except OSError:
            # the torn frame stays, and must stay the last of its segment
            self._torn = True

    def _full(self, cause: OSError | str) -> SpoolFull:
        said = cause if isinstance(cause, str) else (cause.strerror or str(cause))
        return SpoolFull(
            folder=str(self.folder), found=said, expected=f"room within {self._max_bytes} bytes"
        )

    # -- syncing ----------------------------------------------------------------------------

    def _sync_loop(self) -> None:
        last = False
        while not last:
            self._wake.wait(self._sync_s)
            self._wake.clear()
            last = self._closed
            group, self._handed = self._handed, None
            error = None
            try:
                self._sync_files()
            except OSError as caught:
                error = caught
                self.sync_errors += 1
            if group is not None and not group.loop.is_closed():
                group.loop.call_soon_threadsafe(self._synced, group, error)

    def _sync_files(self) -> None:
        with self._sync_lock:
            if self._new_entry:
                self._new_entry = False
                self._sync_folder()
            # The active file is taken before the retired ones: a rotation between the two lists
            # it twice, the other way round would miss it.
            dirty, self._dirty = self._dirty, False
            active = self._fd
            retired = self._retired[:]
            for fd in {*retired, active} if dirty else set(retired):
                _datasync(fd)
            for fd in retired:
                os.close(fd)
                self._retired.remove(fd)

    def _sync_folder(self) -> None:
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._busy or not self._waiting:
            return
        group = _Group(loop, self._waiting)
        self._waiting = []
        if len(group.waiting) > 1 or self._retired or self._new_entry:
            self._busy = True
            self._handed = group
            self._wake.set()
            return
        # alone: a hop to the thread costs more than the sync itself
        self._dirty = False
        try:
            _datasync(self._fd)
        except OSError as error:
            self.sync_errors += 1
            self._settle(group, error)
        else:
            self._settle(group, None)

    def _synced(self, group: _Group, error: OSError | None) -> None:
        self._busy = False
        self._settle(group, error)
        self._flush(group.loop)

    def _settle(self, group: _Group, error: OSError | None) -> None:
        for then in group.waiting:
            try:
                then(None if error is None else self._full(error))
            except Exception:  # noqa: BLE001 - the others wait for the same sync
                _log.exception("what follows a sync failed")


def _settle(future: "asyncio.Future[None]", error: SpoolFull | None) -> None:
    if future.done():
        return  # its request was given up
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
