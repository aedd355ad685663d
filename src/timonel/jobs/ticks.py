"""When a cron expression comes due, in a time zone whose clock is put forward and back.

A tick is named by its local date and time, its *key*. An hour that the clock repeats has each key
once, at its first passing; a time that the clock skips comes at the next valid minute, where
several that were skipped together are one. Keys and moments grow together, so "after this key" and
"after this moment" mean the same.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from croniter import croniter
from croniter.croniter import CroniterBadDateError, CroniterError

from timonel.jobs.errors import InvalidCron

_KEY_FORMAT = "%Y-%m-%dT%H:%M"
_MINUTE = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ANY_DAY = datetime(2024, 1, 1)  # noqa: DTZ001 - local time
# croniter's additions that draw a time at random: two workers would disagree
_DRAWN = re.compile(r"(^|[\s,])[hr](\(|/|,|\s|$)", re.IGNORECASE)
_NAMED = {"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}


@dataclass(frozen=True, slots=True)
class Tick:
    """One coming due: a valid local minute, and the first moment that is called so."""

    local: datetime
    at_us: int

    @property
    def key(self) -> str:
        """The name of the tick; texts compare as the times do."""
        return self.local.strftime(_KEY_FORMAT)


def read_key(key: str) -> datetime:
    """Give the local time that a tick's key names."""
    return datetime.strptime(key, _KEY_FORMAT)  # noqa: DTZ007 - local time


def check_cron(cron: str) -> str:
    """Give an expression back, its spaces made one; refuse one that is never due.

    Raises
    ------
    InvalidCron
        Unless it has five fields, or is a name such as ``@daily``.
    """
    tidy = " ".join(cron.split())
    n_fields = len(tidy.split())
    if tidy.startswith("@") and tidy.lower() not in _NAMED:
        raise _refused(cron, "no schedule has that name", "ningún horario tiene ese nombre")
    if not tidy.startswith("@") and n_fields != 5:
        raise _refused(
            cron, f"it has {n_fields} fields, expected 5", f"tiene {n_fields} campos, se esperan 5"
        )
    if _DRAWN.search(tidy):
        raise _refused(cron, "H and R draw a time at random", "H y R sortean una hora")
    try:
        croniter(tidy, _ANY_DAY).get_next(datetime)
    except CroniterBadDateError:
        raise _refused(cron, "that date never comes", "esa fecha no llega nunca") from None
    except (CroniterError, ValueError, KeyError, IndexError) as error:
        detail = str(error).strip().rstrip(".") or type(error).__name__
        raise _refused(cron, detail, f"un campo no es válido ({detail})") from None
    return tidy


def next_tick(cron: str, after_local: datetime, zone: tzinfo) -> Tick:
    """Give the first tick whose key is later than a local time.

    Parameters
    ----------
    cron : str
        As ``check_cron`` gave it back.
    after_local : datetime
        Without a zone; it need not be a valid time.
    zone : tzinfo

    Examples
    --------
    In Santiago the hour from 23:00 came twice on 2026-04-04; a tick in it comes once:

    >>> from zoneinfo import ZoneInfo
    >>> santiago = ZoneInfo("America/Santiago")
    >>> first = next_tick("30 23 * * *", datetime(2026, 4, 4), santiago)
    >>> first.key, next_tick("30 23 * * *", first.local, santiago).key
    ('2026-04-04T23:30', '2026-04-05T23:30')
    """
    start = after_local
    while not _is_valid(start, zone):  # skipped times before it may come due after it
        start = start.replace(second=0, microsecond=0) - _MINUTE
    due = croniter(cron, start)
    while True:
        tick = _tick(due.get_next(datetime), zone)
        if tick.local > after_local:
            return tick


def due_ticks(cron: str, last_tick: datetime, now_us: int, zone: tzinfo) -> Iterator[Tick]:
    """Give the ticks after a local time that have come by now, the oldest first.

    Parameters
    ----------
    cron, last_tick, zone
        As of ``next_tick``.
    now_us : int
        Microseconds since the epoch, UTC.
    """
    tick = next_tick(cron, last_tick, zone)
    while tick.at_us <= now_us:
        yield tick
        tick = next_tick(cron, tick.local, zone)


def latest_tick(cron: str, now_us: int, zone: tzinfo) -> Tick | None:
    """Give the last tick that has come by now; None if there was none in fifty years.

    However many were missed, this looks at few: at those of a repeated hour at most.
    """
    local = (_EPOCH + timedelta(microseconds=now_us)).astimezone(zone)
    # on its second passing, the keys of the whole repeated hour have come
    repeated = _offset(local.replace(fold=0)) - _offset(local)
    start = local.replace(tzinfo=None, fold=0, second=0, microsecond=0) + repeated + _MINUTE
    due = croniter(cron, start)
    while True:
        try:
            tick = _tick(due.get_prev(datetime), zone)
        except CroniterError:
            return None
        if tick.at_us <= now_us:
            return tick


def _refused(cron: str, english: str, spanish: str) -> InvalidCron:
    return InvalidCron(cron=cron, detail_en=english, detail_es=spanish)


def _tick(nominal: datetime, zone: tzinfo) -> Tick:
    local = nominal
    while not _is_valid(local, zone):
        local += _MINUTE
    moment = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return Tick(local, (moment - _EPOCH) // timedelta(microseconds=1))


def _is_valid(local: datetime, zone: tzinfo) -> bool:
    there_and_back = local.replace(tzinfo=zone, fold=0).astimezone(UTC).astimezone(zone)
    return there_and_back.replace(tzinfo=None, fold=0) == local


def _offset(local: datetime) -> timedelta:
    return local.utcoffset() or timedelta(0)
