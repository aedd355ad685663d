"""The bytes of a spool on disk: names, headers, frames, and how to read them back.

A slot folder holds segments ``<spool id>-<number>.spool``. A segment is a header and frames; a
frame is a length, a checksum and a payload. The checksum is seeded with the header's, so bytes of
another file (or zeros after a power failure) never pass for frames; the length carries a check of
its own in its top byte, so a flipped length is told from a write that was cut short.
"""

import fcntl
import os
import re
import struct
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from zlib import crc32

from timonel.events.errors import NotASegment

MAGIC = b"TIMSPOOL"
LAYOUT = 1
HEADER = struct.Struct("<8sH16sQI")
FRAME = struct.Struct("<II")
MAX_PAYLOAD = (1 << 24) - 1
SUFFIX = ".spool"

_NAME = re.compile(r"([0-9a-f]{32})-(\d{8,})\.spool")
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One file of a spool; ordered by spool, then by number."""

    spool_id: str
    number: int
    path: Path = field(compare=False)


class Tail(StrEnum):
    """What lies behind the frames that were read."""

    MORE = "more"
    END = "end"
    TORN = "torn"  # a frame that was begun; final only if nobody writes any more
    CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Complete frames of a segment, in order.

    Parameters
    ----------
    frames : list of (int, bytes)
        Offset and payload of each.
    offset : int
        Where the next frame begins.
    tail : Tail
    """

    frames: list[tuple[int, bytes]]
    offset: int
    tail: Tail


def segment_name(spool_id: bytes, number: int) -> str:
    """Name a segment's file."""
    return f"{spool_id.hex()}-{number:08d}{SUFFIX}"


def header_bytes(spool_id: bytes, number: int) -> bytes:
    """Give the first bytes of a segment; its last four seed the checksums of its frames."""
    body = struct.pack("<8sH16sQ", MAGIC, LAYOUT, spool_id, number)
    return body + crc32(body).to_bytes(4, "little")


def guarded(length: int) -> int:
    """Give a length with a check of its three bytes in the fourth; zero is never valid."""
    return length | ((length ^ length >> 8 ^ length >> 16 ^ 0xA5) & 0xFF) << 24


def list_segments(folder: Path) -> list[Segment]:
    """List the segments of a slot folder, each spool in the order it was written."""
    found = []
    for entry in folder.iterdir():
        match = _NAME.fullmatch(entry.name)
        if match is not None:
            found.append(Segment(match[1], int(match[2]), entry))
    return sorted(found)


def is_held(path: Path) -> bool:
    """Say whether a process still writes to this segment (holds its ``flock``)."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def read_frames(
    segment: Segment, offset: int, *, max_frames: int, until: int | None = None
) -> Chunk:
    """Read complete frames from an offset (0 or the end of an earlier chunk).

    Parameters
    ----------
    segment : Segment
    offset : int
    max_frames : int
    until : int or None
        Read as if the file ended here; None: all that is there.

    Raises
    ------
    NotASegment
        If the file does not begin with the header that its name promises.
    """
    fd = os.open(segment.path, os.O_RDONLY)
    try:
        seed = _seed(fd, segment)
        size = os.fstat(fd).st_size
        end = size if until is None else min(size, until)
        start = max(offset, HEADER.size)
        data = os.pread(fd, max(0, min(end - start, _READ_BYTES)), start)
        if len(data) >= FRAME.size:
            # one frame may be longer than what is read at a time
            needed = FRAME.size + (FRAME.unpack_from(data)[0] & MAX_PAYLOAD)
            if len(data) < needed <= end - start:
                data = os.pread(fd, needed, start)
    finally:
        os.close(fd)
    return _parse(data, start, seed, max_frames, more=start + len(data) < end)


def _seed(fd: int, segment: Segment) -> int:
    header = os.pread(fd, HEADER.size, 0)
    if header != header_bytes(bytes.fromhex(segment.spool_id), segment.number):
        raise NotASegment(
            path=str(segment.path),
            found=f"{header[:16].hex()} in a header of {len(header)} bytes",
            expected=f"the header of spool {segment.spool_id}, segment {segment.number}, "
            f"layout {LAYOUT}",
        )
    return int(HEADER.unpack(header)[4])


def _parse(data: bytes, start: int, seed: int, max_frames: int, *, more: bool) -> Chunk:
    frames: list[tuple[int, bytes]] = []
    at, end = 0, len(data)
    beyond = Tail.MORE if more else Tail.TORN
    while at < end:
        if len(frames) == max_frames:
            return Chunk(frames, start + at, Tail.MORE)
        if end - at < FRAME.size:
            return Chunk(frames, start + at, beyond)
        marked, checksum = FRAME.unpack_from(data, at)
        length = marked & MAX_PAYLOAD
        if length == 0 or marked != guarded(length):
            return Chunk(frames, start + at, Tail.CORRUPT)
        begin = at + FRAME.size
        if begin + length > end:
            return Chunk(frames, start + at, beyond)
        payload = data[begin : begin + length]
        if crc32(payload, seed) != checksum:
            return Chunk(frames, start + at, Tail.CORRUPT)
        frames.append((start + at, payload))
        at = begin + length
    return Chunk(frames, start + at, Tail.MORE if more else Tail.END)
