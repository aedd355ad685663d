"""The drain: frames of some spools into the database, each exactly once.

One transaction holds a batch's rows, the sums made of them, the truths they decided, and how far
the spools are read. What is committed is on disk before a segment is deleted; what is not is read
again. A frame that is read again finds its row by primary key and is not counted again.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection, Engine, bindparam, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from timonel.clock import Clock
from timonel.events.accumulators import Accumulator, ShadowResult, count_refusals
from timonel.events.frames import PredictionFrame
from timonel.events.intake import Batch, Position, Target, gather, lag_bytes, owned, scan
from timonel.events.joining import Joining, Waiting, findable
from timonel.events.lag import drained_positions
from timonel.events.outcome_rows import join_parked, parked_page, store_outcomes
from timonel.events.outcomes import complete_until, touch
from timonel.events.plans import Plans
from timonel.events.recorded.counting import MetricCells
from timonel.events.rows import (
    TRY_AGAIN,
    DeadLetter,
    Raced,
    RefusedRow,
    Sorted,
    as_span,
    bury,
    insert_keys,
    insert_predictions,
    sort_letters,
)
from timonel.events.shadows.answers import PAGE, findable_shadows, store_shadows
from timonel.events.shadows.pairing import join_shadows
from timonel.store.engine import database_now, reading
from timonel.store.errors import StoreUnavailable
from timonel.store.tables import spools

MAX_FRAMES = 1000
CYCLE_S = 1.0

_POLL_S = 0.1
_SOON_BYTES = 256 << 10  # about a full batch: it need not wait for the end of the cycle
# Work of a transaction: others wait meanwhile for SQLite's one write lock. Only what fewer frames
# would shorten counts; the disk, the lock and a busy processor keep a small batch waiting as long.
_LONG_S, _SHORT_S = 0.08, 0.03
_MIN_FRAMES = 100
_ATTEMPTS = 8
_SAME_ROW = "23505"  # committed by another drainer meanwhile

# written once: SQLAlchemy takes longer to write a statement than to run it
_NOW = select(database_now())
_MOVED = (
    update(spools)
    .where(
        spools.c.project == bindparam("of"),
        spools.c.spool_id == bindparam("spool"),
        spools.c.segment == bindparam("from_segment"),
        spools.c.offset == bindparam("from_offset"),
    )
    .values(
        {name: bindparam(f"new_{name}") for name in (*Position._fields, "drainer_id", "updated_at")}
    )
)

_log = logging.getLogger("timonel.events")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class DrainReport:
    """What one round did.

    Parameters
    ----------
    n_frames : int
        Frames that were read and committed (or buried).
    n_inserted : int
        Predictions that were not in the database before.
    n_joined : int
        Outcomes that found their prediction now.
    lag_bytes : int
        Bytes of the spools that no transaction holds yet.
    n_outcomes : int
        Outcomes that were not in the database before.
    n_refusals : int
        Requests that were not answered.
    n_dead : int
        Frames the database could not hold; they are kept in ``rejected/dead-letters.ndjson``.
    n_torn_bytes : int
        Bytes of frames whose writer died while it wrote them; none was acknowledged.
    quarantined : tuple of Path
        Files that hold the rest of segments with corrupt bytes.
    """

    n_frames: int = 0
    n_inserted: int = 0
    n_joined: int = 0
    lag_bytes: int = 0
    n_outcomes: int = 0
    n_refusals: int = 0
    n_dead: int = 0
    n_torn_bytes: int = 0
    quarantined: tuple[Path, ...] = ()


class _Moved(Exception):
    """Another drainer read on in one of these spools."""


@dataclass(slots=True)
class _Stored:
    """What one transaction made of a batch."""

    n_inserted: int = 0
    n_outcomes: int = 0
    joining: Joining = field(default_factory=Joining)


class Drainer:
    """Drains the spools of some slot folders; used from one thread at a time.

    Parameters
    ----------
    engine : Engine
        Its commits are durable (``make_engine``).
    project : str
    folders : sequence of Path
        Slot folders; one that another process drains at the moment is passed over.
    drainer_id : str
        Owner of windows, cells and parked outcomes; no two live drainers share one.
    accumulators : sequence of Accumulator
    clock : Clock
    watermarked : bool
        Whether predictions are drained here, so that others must wait for this drainer's
        watermark; false for the import of outcome files.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        project: str,
        folders: Sequence[Path],
        drainer_id: str,
        accumulators: Sequence[Accumulator],
        clock: Clock,
        watermarked: bool = True,
    ) -> None:
        self._engine = engine
        self._project = project
        self._folders = list(folders)
        self._drainer_id = drainer_id
        self._accumulators = list(accumulators)
        self._clock = clock
        self._watermarked = watermarked
        self._plans = Plans(project)
        self._metrics = MetricCells(project)
        self._positions: dict[str, Position] = {}
        self._batch_frames = MAX_FRAMES
        self._known = False  # whether the row of this drainer holds others back
        self._watermark = 0
        self._beat_at = 0.0
        self._parked_after: UUID | None = None
        self._pages_wait = False  # there are more parked outcomes than one page
        self._retry_at = 0.0
        self.report = DrainReport()
        self.failure: str | None = None  # why the last round could not reach the database

    def drain_once(self) -> DrainReport:
        """Drain what is in the spools now, then look again for parked outcomes' predictions.

        Raises
        ------
        StoreUnavailable
            If the database cannot be reached or is locked; nothing is lost, call again.
        """
        if self._watermarked and not self._known:
            self._transact(lambda connection: self._touch(connection, None))
            self._known = True
        report = DrainReport()
        with owned(self._folders) as mine:
            # Taken before the scan: what was acknowledged until then is in the files by now.
            began = self._clock.now_us()
            targets = scan(mine)
            self._load_positions(targets)
            whole = len(mine) == sum(folder.is_dir() for folder in self._folders)
            exhausted = False
            while not exhausted:
                batch = gather(targets, self._positions, self._batch_frames)
                watermark = began if batch.exhausted and whole else None
                try:
                    report = self._store(batch, watermark, report)
                    exhausted = batch.exhausted
                except _Moved:
                    self._positions.clear()
                    self._load_positions(targets)
                except BaseException:
                    self._positions.clear()  # the commit may have happened, or not
                    raise
        self._retry_shadows()
        n_joined = self._retry_parked()
        self.report = replace(
            report,
            n_joined=report.n_joined + n_joined,
            lag_bytes=lag_bytes(self._folders, self._positions),
        )
        self.failure = None
        return self.report

    def run(self, stop: threading.Event) -> None:
        """Drain until told to stop: each second, or sooner where a batch's worth has gathered.

        While the database is away it tries again with growing pauses; the spools keep the frames,
        and ``report.lag_bytes`` and ``failure`` say so.
        """
        pause_s = _POLL_S
        while not stop.is_set():
            try:
                self.drain_once()
            except StoreUnavailable as error:
                self.report = DrainReport(lag_bytes=lag_bytes(self._folders, self._positions))
                self.failure = str(error)  # last: who sees it sees the lag too
                _log.warning("drain %s waits %.1f s: %s", self._drainer_id, pause_s, error)
                stop.wait(pause_s)
                pause_s = min(pause_s * 2, 5.0)
            else:
                pause_s = _POLL_S
                self._await_frames(stop)

    def _await_frames(self, stop: threading.Event) -> None:
        until = time.monotonic() + CYCLE_S
        while not stop.wait(_POLL_S) and time.monotonic() < until:
            if lag_bytes(self._folders, self._positions) >= _SOON_BYTES:
                return

    # -- one batch --------------------------------------------------------------------------

    def _store(self, batch: Batch, watermark: int | None, report: DrainReport) -> DrainReport:
        frames = sort_letters(batch.letters)
        moves = {s: p for s, p in batch.moves.items() if self._positions.get(s) != p}
        stored = _Stored()
        n_buried = 0
        # an idle drainer writes once a cycle, so that its watermark goes on
        due = watermark is not None and time.monotonic() - self._beat_at >= CYCLE_S / 2
        while moves or (due and self._watermarked):
            bury(frames.dead[n_buried:])
            n_buried = len(frames.dead)
            try:
                with as_span(frames, self._drainer_id):
                    stored = self._transact(lambda c: self._write(c, frames, moves, watermark))
                break
            except RefusedRow as refused:
                frame = frames.predictions.pop(refused.index)
                frames.dead.append(DeadLetter(frames.origins[frame.id], refused.reason))
        self._positions |= moves
        if moves or due:
            self._beat_at = time.monotonic()
            self._watermark = max(self._watermark, watermark or 0)
        for path in batch.finished:
            path.unlink(missing_ok=True)
        self._log_losses(batch, frames.dead)
        return DrainReport(
            n_frames=report.n_frames + len(batch.letters),
            n_inserted=report.n_inserted + stored.n_inserted,
            n_joined=report.n_joined + stored.joining.n_joined,
            n_outcomes=report.n_outcomes + stored.n_outcomes,
            n_refusals=report.n_refusals + len(frames.refusals),
            n_dead=report.n_dead + len(frames.dead),
            n_torn_bytes=report.n_torn_bytes + batch.n_torn_bytes,
            quarantined=(*report.quarantined, *batch.quarantined),
        )

    def _write(
        self,
        connection: Connection,
        frames: Sorted,
        moves: dict[str, Position],
        watermark: int | None,
    ) -> _Stored:
        now = self._touch(connection, watermark)
        self._move(connection, moves, now)
        keyed_any = any(frame.key is not None for frame in frames.predictions)
        if frames.outcomes or frames.shadows or keyed_any:
            self._plans.refresh(connection)
        inserted = insert_predictions(
            connection,
            frames.predictions,
            project=self._project,
            drainer_id=self._drainer_id,
            ingested_at=now,
        )
        keyed = [
            frame
            for frame in inserted
            if frame.key is not None and self._plans.of(frame.model).outcome.key is not None
        ]
        insert_keys(connection, keyed, project=self._project)
        shadows: list[ShadowResult] = []
        arrived = store_shadows(connection, self._project, self._drainer_id, frames.shadows)
        for start in range(0, len(arrived), PAGE):
            page = arrived[start : start + PAGE]
            shadows += join_shadows(connection, self._project, page, self._plans)
        stored = _Stored(len(inserted))
        if frames.outcomes:
            stored.n_outcomes, stored.joining = store_outcomes(
                connection,
                self._project,
                self._drainer_id,
                frames.outcomes,
                self._plans,
                complete_until=self._complete_until(connection, watermark),
                now=self._clock.now_us(),
            )
        self._accumulate(connection, inserted, stored.joining, shadows)
        count_refusals(connection, self._project, self._drainer_id, frames.refusals)
        self._metrics.write(connection, self._drainer_id, frames.metrics)
        return stored

    def _accumulate(
        self,
        connection: Connection,
        inserted: list[PredictionFrame],
        joining: Joining,
        shadows: list[ShadowResult],
    ) -> None:
        for accumulator in self._accumulators:
            accumulator.add_predictions(inserted)
            accumulator.add_truths(joining.changes)
            accumulator.add_shadows(shadows)
            accumulator.write(connection, self._drainer_id)

    def _log_losses(self, batch: Batch, dead: list[DeadLetter]) -> None:
        for path in batch.quarantined:
            _log.error("corrupt bytes in a spool: the rest of its segment is kept in %s", path)
        if dead:
            _log.error(
                "%d frame(s) could not be stored and are kept as dead letters; the first: %s",
                len(dead),
                dead[0].reason,
            )

    # -- positions and watermark ------------------------------------------------------------

    def _load_positions(self, targets: Sequence[Target]) -> None:
        ids = {target.segment.spool_id for target in targets}
        self._positions = {s: p for s, p in self._positions.items() if s in ids}
        unknown = ids - self._positions.keys()
        if unknown:
            with reading(self._engine) as connection:
                self._positions |= drained_positions(connection, self._project, unknown)

    def _move(self, connection: Connection, moves: dict[str, Position], now: int) -> None:
        for spool_id, position in moves.items():
            values = position._asdict() | {"drainer_id": self._drainer_id, "updated_at": now}
            before = self._positions.get(spool_id)
            if before is None:
                first = insert(spools).values(project=self._project, spool_id=spool_id, **values)
                connection.execute(first)
                continue
            given = {f"new_{name}": value for name, value in values.items()}
            given |= {"of": self._project, "spool": spool_id}
            given |= {"from_segment": before.segment, "from_offset": before.offset}
            if connection.execute(_MOVED, given).rowcount != 1:
                raise _Moved

    def _touch(self, connection: Connection, watermark: int | None) -> int:
        now = connection.scalar(_NOW) or 0
        if self._watermarked:
            touch(connection, self._project, self._drainer_id, watermark or 0, now)
        return now

    def _complete_until(self, connection: Connection, watermark: int | None) -> int:
        others = complete_until(connection, self._project, but=self._drainer_id)
        if not self._watermarked:
            return others
        return min(others, self._watermark if watermark is None else watermark)

    # -- parked outcomes --------------------------------------------------------------------

    def _retry_parked(self) -> int:
        """Look for parked outcomes' predictions: a page a cycle, more while they are found."""
        if self._pages_wait and time.monotonic() < self._retry_at:
            return 0
        n_joined = 0
        found = self._findable_page()
        while found:
            for start in range(0, len(found), MAX_FRAMES):
                some = found[start : start + MAX_FRAMES]
                n_joined += self._transact(partial(self._join, waiting=some)).n_joined
            found = self._findable_page() if self._pages_wait else []
        self._retry_at = time.monotonic() + CYCLE_S
        return n_joined

    def _findable_page(self) -> list[Waiting]:
        with reading(self._engine) as connection:
            page = parked_page(connection, self._project, self._drainer_id, self._parked_after)
            self._parked_after = page.after
            self._pages_wait = page.after is not None
            if not page.waiting:
                return []
            self._plans.refresh(connection)
            until = self._complete_until(connection, None)
            return findable(
                connection, self._project, page.waiting, self._plans, complete_until=until
            )

    def _join(self, connection: Connection, waiting: list[Waiting]) -> Joining:
        self._touch(connection, None)
        joining = join_parked(
            connection,
            self._project,
            waiting,
            self._plans,
            complete_until=self._complete_until(connection, None),
            now=self._clock.now_us(),
        )
        self._accumulate(connection, [], joining, [])
        return joining

    def _retry_shadows(self) -> None:
        """Join unheard answers whose prediction another drainer has stored meanwhile."""
        found = self._findable_shadows()
        while found:
            self._transact(partial(self._join_shadows, ids=found))
            found = self._findable_shadows() if len(found) == PAGE else []

    def _findable_shadows(self) -> list[bytes]:
        with reading(self._engine) as connection:
            found = findable_shadows(connection, self._project)
            if found:
                self._plans.refresh(connection)
            return found

    def _join_shadows(self, connection: Connection, ids: list[bytes]) -> None:
        self._touch(connection, None)
        joined = join_shadows(connection, self._project, ids, self._plans)
        self._accumulate(connection, [], Joining(), joined)

    # -- transactions -----------------------------------------------------------------------

    def _transact(self, work: Callable[[Connection], _T]) -> _T:
        """Run a transaction; again where another drainer was in the way."""
        for attempt in range(_ATTEMPTS):
            began = time.thread_time()
            try:
                with self._engine.begin() as connection:
                    if connection.dialect.name == "postgresql":
                        connection.execute(text("SET LOCAL synchronous_commit = on"))
                    result = work(connection)
            except (Raced, DBAPIError) as error:
                if attempt + 1 == _ATTEMPTS or not _is_transient(error):
                    raise
            else:
                self._adapt(time.thread_time() - began)
                return result
            finally:
                for accumulator in self._accumulators:
                    accumulator.clear()
        raise AssertionError("the last attempt returns or raises")

    def _adapt(self, took_s: float) -> None:
        if took_s > _LONG_S:
            self._batch_frames = max(_MIN_FRAMES, self._batch_frames // 2)
        elif took_s < _SHORT_S:
            self._batch_frames = min(MAX_FRAMES, self._batch_frames * 2)


def _is_transient(error: Raced | DBAPIError) -> bool:
    if isinstance(error, Raced):
        return True
    state = getattr(error.orig, "sqlstate", None)
    return state in TRY_AGAIN or state == _SAME_ROW
