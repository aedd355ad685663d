"""How far the drain of some spools is behind; known also while the database is away."""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, select

from timonel.events.errors import NotASegment
from timonel.events.frames import decode
from timonel.events.intake import Position, lag_bytes
from timonel.events.segments import Segment, list_segments, read_frames
from timonel.store.engine import reading
from timonel.store.tables import spools


class Lag(NamedTuple):
    """What stands in the spools and in no transaction.

    Parameters
    ----------
    n_bytes : int
    oldest_at : int or None
        Event time of the oldest frame that is next in its spool, microseconds UTC; None: nothing
        waits.
    """

    n_bytes: int
    oldest_at: int | None


class SpoolLag:
    """Compares spools with how far they are drained, as it was last read.

    While the database is away nothing is drained: what was read before then stays right. Where
    nothing was ever read, all that is in the files counts.

    Parameters
    ----------
    folders : sequence of Path
    project : str
    """

    def __init__(self, folders: Sequence[Path], project: str) -> None:
        self._folders = folders
        self._project = project
        self._positions: dict[str, Position] = {}

    def learn(self, connection: Connection) -> None:
        """Read how far the spools are drained."""
        self._positions = drained_positions(connection, self._project, _ids(self._folders))

    def look(self) -> Lag:
        """Measure now; reads the sizes of files, and one frame a spool."""
        written: dict[str, list[Segment]] = defaultdict(list)
        for segment in _segments(self._folders):
            written[segment.spool_id].append(segment)
        moments = (
            _next_at(segments, self._positions.get(spool_id, Position(0, 0)))
            for spool_id, segments in written.items()
        )
        oldest_at = min((at for at in moments if at is not None), default=None)
        return Lag(lag_bytes(self._folders, self._positions), oldest_at)


def undrained_bytes(engine: Engine, project: str, folders: Sequence[Path]) -> int:
    """Add up the bytes of frames in some slot folders that no transaction holds yet.

    Raises
    ------
    StoreUnavailable
        If the database, which says how far they are read, cannot be reached.
    """
    with reading(engine) as connection:
        return lag_bytes(folders, drained_positions(connection, project, _ids(folders)))


def drained_positions(
    connection: Connection, project: str, spool_ids: Iterable[str]
) -> dict[str, Position]:
    """Read how far some spools are drained; those that never were are left out."""
    s = spools.c
    query = select(s.spool_id, s.segment, s.offset).where(
        s.project == project, s.spool_id.in_(sorted(spool_ids))
    )
    rows = connection.execute(query)
    return {spool_id: Position(segment, offset) for spool_id, segment, offset in rows}


def _segments(folders: Sequence[Path]) -> Iterator[Segment]:
    for folder in folders:
        if folder.is_dir():
            yield from list_segments(folder)


def _ids(folders: Sequence[Path]) -> set[str]:
    return {segment.spool_id for segment in _segments(folders)}


def _next_at(segments: Sequence[Segment], position: Position) -> int | None:
    """Give the event time of a spool's next frame; None where it has none that can be read."""
    for segment in segments:
        if segment.number < position.segment:
            continue
        offset = position.offset if segment.number == position.segment else 0
        # gone: drained meanwhile; the others: set aside by the drainer, which says so
        with contextlib.suppress(FileNotFoundError, NotASegment, msgspec.MsgspecError):
            chunk = read_frames(segment, offset, max_frames=1)
            if chunk.frames:
                return decode(chunk.frames[0][1]).at
    return None
