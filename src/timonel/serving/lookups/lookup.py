"""Rows of entities, found off the event loop, kept until their data are too old.

A look-up never keeps a request longer than its deadline. One that ends later still fills the
cache, so the entity's next request finds it there.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from timonel.errors import TimonelError
from timonel.schema.validation_fields import parse_moment
from timonel.serving.errors import LookupUnusable
from timonel.serving.lookups.databases import RowReader, open_reader
from timonel.serving.versions.breaker import Breaker
from timonel.wire.answer import Reason
from timonel.wire.lookup import AS_OF, LookupPlan

THREADS = 4
MOST_KEPT = 10_000  # rows of one model
MOST_WAITING = 64  # reads that wait for a thread; more would only come too late
QUIET_S = 10.0
_log = logging.getLogger("timonel.serving")


class Found(NamedTuple):
    """What a look-up gave.

    Parameters
    ----------
    row : dict or None
        By column name; None where there is none to answer with.
    age_ms : int or None
        How old its data are: since ``as_of`` where the query says it, else since they were read.
    reason : Reason or None
        Why there is no row.
    """

    row: dict[str, Any] | None
    age_ms: int | None = None
    reason: Reason | None = None


class _Kept(NamedTuple):
    row: dict[str, Any]
    read_at: float  # monotonic seconds
    as_of_us: int | None  # event time

    def age_s(self, now_us: int) -> float:
        if self.as_of_us is None:
            return time.monotonic() - self.read_at
        return max(0.0, (now_us - self.as_of_us) / 1e6)

    def is_due(self, now_us: int, max_age_s: float) -> bool:
        """Say whether it is to be read again: it is too old, or was read so long ago."""
        since_read = time.monotonic() - self.read_at
        return max(self.age_s(now_us), since_read) > max_age_s


class Lookup:
    """One plan's rows. Belongs to one event loop."""

    def __init__(
        self, plan: LookupPlan, reader: RowReader, threads: ThreadPoolExecutor, model: str
    ) -> None:
        self._plan = plan
        self._reader = reader
        self._threads = threads
        self._model = model
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._reading: dict[str, asyncio.Future[_Kept | None]] = {}
        self._breaker = Breaker()
        self._told_at = -QUIET_S

    async def find(self, entity: str, now_us: int, zone: ZoneInfo) -> Found:
        """Find an entity's row.

        Parameters
        ----------
        entity : str
        now_us : int
            Event time: against it the data's age counts, where the query says of when they are.
        zone : ZoneInfo
            Where ``as_of`` without an offset is read.
        """
        plan = self._plan
        kept = self._kept.get(entity)
        if kept is None or kept.is_due(now_us, plan.max_age_s):
            if not self._breaker.allows(time.monotonic()):
                return Found(None, reason=Reason.LOOKUP_FAILED)
            try:
                async with asyncio.timeout(plan.deadline_ms / 1000.0):
                    kept = await asyncio.shield(self._read(entity, zone))
            except TimeoutError:
                return Found(None, reason=Reason.LOOKUP_LATE)
            except Exception as error:  # noqa: BLE001 - whatever a driver raises, rules can answer
                self._tell(error)
                return Found(None, reason=Reason.LOOKUP_FAILED)
            if kept is None:
                return Found(None, reason=Reason.LOOKUP_ABSENT)
            if plan.max_age_s and kept.age_s(now_us) > plan.max_age_s:
                return Found(None, round(kept.age_s(now_us) * 1000), Reason.LOOKUP_STALE)
        else:
            self._kept.move_to_end(entity)
        return Found(kept.row, round(kept.age_s(now_us) * 1000))

    def close(self) -> None:
        """Close its connections."""
        self._reader.close()

    def _read(self, entity: str, zone: ZoneInfo) -> "asyncio.Future[_Kept | None]":
        """Read in a thread; requests for one entity wait for the same read."""
        reading = self._reading.get(entity)
        if reading is None:
            if len(self._reading) >= MOST_WAITING:
                raise LookupUnusable(
                    found=f"{MOST_WAITING} reads that wait", expected="a database that keeps up"
                )
            reading = asyncio.get_running_loop().run_in_executor(
                self._threads, self._read_now, entity, zone
            )
            self._reading[entity] = reading
            reading.add_done_callback(partial(self._done, entity))
        return reading

    def _read_now(self, entity: str, zone: ZoneInfo) -> _Kept | None:
        started = time.monotonic()
        rows = self._reader.read(entity, self._plan.deadline_ms / 1000.0)
        if not rows:
            return None
        if len(rows) > 1:
            raise LookupUnusable(found="several rows of one entity", expected="one row")
        row = {name: _plain(value) for name, value in rows[0].items()}
        as_of = row.pop(AS_OF, None)
        return _Kept(row, started, None if as_of is None else _moment(as_of, zone))

    def _done(self, entity: str, reading: "asyncio.Future[_Kept | None]") -> None:
        self._reading.pop(entity, None)
        if reading.cancelled():
            return
        error = reading.exception()
        if error is None:
            self._breaker.succeeded()
            self._keep(entity, reading.result())
        elif not isinstance(error, LookupUnusable):  # that one is of an entity's data
            self._breaker.failed(time.monotonic())

    def _keep(self, entity: str, kept: _Kept | None) -> None:
        self._kept.pop(entity, None)
        if kept is not None:
            self._kept[entity] = kept
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)

    def _tell(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._told_at >= QUIET_S:
            self._told_at = now
            said = str(error) if isinstance(error, TimonelError) else type(error).__name__
            # not the driver's words: they may hold the entity, or parts of the address
            _log.error("%s: its look-up failed: %s", self._model, said)


class Lookups:
    """The look-ups of all models served; they share a few threads. Belongs to one event loop.

    Parameters
    ----------
    environment : mapping of str to str
        Where ``env:NAME`` of an address is found.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="lookup")
        self._by_model: dict[str, tuple[LookupPlan, Lookup]] = {}

    def of(self, model: str, plan: LookupPlan) -> Lookup:
        """Give the look-up of a model, made anew where its declaration changed.

        Raises
        ------
        LookupUnusable
            If its database cannot be addressed.
        """
        made = self._by_model.get(model)
        if made is None or made[0] != plan:
            reader = open_reader(plan, self._environment)
            if made is not None:
                made[1].close()
            made = self._by_model[model] = (plan, Lookup(plan, reader, self._threads, model))
        return made[1]

    def close(self) -> None:
        """Let go of threads and connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for _, lookup in self._by_model.values():
            lookup.close()


def _plain(value: Any) -> Any:
    """Give what a driver returns as a request could have sent it."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value


def _moment(as_of: Any, zone: ZoneInfo) -> int:
    """Read ``as_of``: ISO 8601, or seconds since the epoch."""
    try:
        if isinstance(as_of, int | float) and not isinstance(as_of, bool):
            return round(datetime.fromtimestamp(as_of, UTC).timestamp() * 1e6)
        return parse_moment(str(as_of), zone)
    except (ValueError, OverflowError, OSError):
        raise LookupUnusable(
            found=f"{AS_OF} = {str(as_of)[:40]!r}", expected="ISO 8601, or seconds since 1970"
        ) from None
