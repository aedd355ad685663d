"""The reading side of spools: which frames are next, and which files are done with."""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from timonel.events.errors import NotASegment
from timonel.events.segments import (
    HEADER,
    Chunk,
    Segment,
    Tail,
    is_held,
    list_segments,
    read_frames,
)

REJECTED = "rejected"  # folder, in the slot, of bytes that no row could be made of
_LOCK = "drain.lock"
_MAX_BYTES = 8 << 20  # of payloads in one batch


class Position(NamedTuple):
    """Up to where a spool is drained."""

    segment: int
    offset: int


class Letter(NamedTuple):
    """One frame's payload and where it stood."""

    segment: Segment
    offset: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """A segment as a scan saw it; ``final`` if nobody will write to it again."""

    segment: Segment
    size: int
    final: bool


@dataclass(slots=True)
class Batch:
    """What one transaction takes in.

    ``moves`` are the positions after it, by spool; ``finished`` the files to delete once it is
    committed; ``quarantined`` the files that hold the corrupt rest of a segment.
    """

    letters: list[Letter] = field(default_factory=list)
    moves: dict[str, Position] = field(default_factory=dict)
    finished: list[Path] = field(default_factory=list)
    quarantined: list[Path] = field(default_factory=list)
    n_torn_bytes: int = 0
    n_bytes: int = 0
    exhausted: bool = True

    def room(self, max_frames: int) -> int:
        """Say how many more frames may be taken."""
        return 0 if self.n_bytes >= _MAX_BYTES else max_frames - len(self.letters)


@contextmanager
def owned(folders: Sequence[Path]) -> Iterator[list[Path]]:
    """Hold the folders that nobody else drains at the moment; give those that are held."""
    with ExitStack() as stack:
        mine = []
        for folder in folders:
            if not folder.is_dir():
                continue  # its worker has not begun yet
            fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            stack.callback(os.close, fd)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            mine.append(folder)
        yield mine


def scan(folders: Sequence[Path]) -> list[Target]:
    """List the segments of some slot folders, in the order they are to be drained."""
    targets = []
    for folder in folders:
        segments = list_segments(folder)
        last = {segment.spool_id: segment.number for segment in segments}
        for segment in segments:
            followed = segment.number < last[segment.spool_id]
            # whether it is final is asked before its size: what is final cannot grow after
            final = followed or not is_held(segment.path)
            targets.append(Target(segment, segment.path.stat().st_size, final))
    return targets


def lag_bytes(folders: Sequence[Path], positions: Mapping[str, Position]) -> int:
    """Add up the bytes of frames that stand behind the positions."""
    lag = 0
    for folder in folders:
        if not folder.is_dir():
            continue
        for segment in list_segments(folder):
            position = positions.get(segment.spool_id, Position(0, 0))
            if segment.number < position.segment:
                continue
            drained = position.offset if segment.number == position.segment else 0
            try:
                lag += max(0, segment.path.stat().st_size - max(drained, HEADER.size))
            except FileNotFoundError:  # drained by its owner meanwhile
                continue
    return lag


def gather(targets: Sequence[Target], positions: Mapping[str, Position], max_frames: int) -> Batch:
    """Read the next frames of some segments, at most ``max_frames``.

    A torn tail ends a segment if it is final, and is waited for if not. Where bytes are corrupt,
    the rest of the segment is kept under ``rejected``, and the next one goes on.
    """
    batch = Batch()
    waiting: set[str] = set()  # spools whose earlier segment is not at its end
    for target in targets:
        spool_id, number = target.segment.spool_id, target.segment.number
        position = batch.moves.get(spool_id) or positions.get(spool_id) or Position(number, 0)
        if spool_id in waiting:
            batch.exhausted = batch.exhausted and target.size <= HEADER.size
            continue
        if number < position.segment:
            batch.finished.append(target.segment.path)
            continue
        offset = position.offset if number == position.segment else 0
        if batch.room(max_frames) <= 0:
            read = not target.final and target.size <= max(offset, HEADER.size)
            batch.exhausted = batch.exhausted and read
            waiting.add(spool_id)
            continue
        chunk = _read(target, offset, max_frames, batch)
        if not _move(target, chunk, batch):
            waiting.add(spool_id)
    return batch


def _read(target: Target, offset: int, max_frames: int, batch: Batch) -> Chunk:
    tail = Tail.MORE
    try:
        while tail is Tail.MORE and (room := batch.room(max_frames)) > 0:
            chunk = read_frames(target.segment, offset, max_frames=room, until=target.size)
            batch.letters += [Letter(target.segment, at, data) for at, data in chunk.frames]
            batch.n_bytes += chunk.offset - offset
            offset, tail = chunk.offset, chunk.tail
    except NotASegment:
        return Chunk([], 0, Tail.CORRUPT)
    return Chunk([], offset, tail)


def _move(target: Target, chunk: Chunk, batch: Batch) -> bool:
    """Note how far a segment was read; say whether the spool's next one may follow."""
    segment = target.segment
    if chunk.tail is Tail.MORE or not target.final:
        if chunk.tail in (Tail.MORE, Tail.CORRUPT):
            batch.exhausted = False
        if chunk.offset > HEADER.size:
            batch.moves[segment.spool_id] = Position(segment.number, chunk.offset)
        return False
    if chunk.tail is Tail.CORRUPT:
        batch.quarantined.append(_quarantine(segment, chunk.offset))
    elif chunk.tail is Tail.TORN:
        batch.n_torn_bytes += target.size - chunk.offset
    batch.moves[segment.spool_id] = Position(segment.number + 1, 0)
    batch.finished.append(segment.path)
    return True


def _quarantine(segment: Segment, offset: int) -> Path:
    folder = segment.path.parent / REJECTED
    path = folder / f"{segment.path.stem}-{offset}.bad"
    with segment.path.open("rb") as source:
        source.seek(offset)
        write_durably(path, source.read())
    return path


def write_durably(path: Path, data: bytes, *, append: bool = False) -> None:
    """Write bytes to a private file of its own folder, and wait until the disk has both."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
    fd = os.open(path, flags, 0o600)
    try:
        with os.fdopen(fd, "wb", closefd=False) as file:
            file.write(data)
        os.fsync(fd)
    finally:
        os.close(fd)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
