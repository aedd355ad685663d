"""Schedules: which jobs come due by the project's local time, each once among all workers."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from timonel.clock import Clock
from timonel.errors import TimonelError
from timonel.jobs.errors import JobActive, UnknownSchedule
from timonel.jobs.job import Job, Json, one_per_model, read_json, write_json
from timonel.jobs.queue import JobQueue
from timonel.jobs.ticks import Tick, check_cron, due_ticks, latest_tick, next_tick
from timonel.store.engine import reading
from timonel.store.tables_loop import schedules

__all__ = ["Schedule", "Scheduler", "Tick", "due_ticks", "latest_tick", "next_tick"]

_row = schedules.c
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job that is submitted again and again.

    ``last_tick`` is the local date and time of the last tick that was dealt with, "" before any.
    """

    name: str
    cron: str
    kind: str
    model: str
    payload: Json
    enabled: bool
    last_tick: str

    @property
    def unique_key(self) -> str:
        """The purpose of its jobs: a tick is passed over while the job of one before it runs."""
        return one_per_model(self.kind, self.model) if self.model else f"schedule:{self.name}"


Schedules = list[Schedule]
Jobs = list[Job]


class Scheduler:
    """The schedules of one project.

    Parameters
    ----------
    engine : Engine
    project : str
    timezone : str
        IANA name; the crons are read in it.
    clock : Clock
        Event time: a demo's nights pass quickly.
    """

    def __init__(self, engine: Engine, project: str, timezone: str, clock: Clock) -> None:
        self._engine = engine
        self._project = project
        self._zone = ZoneInfo(timezone)
        self._clock = clock
        self._queue = JobQueue(engine, project, clock)

    def put(
        self,
        name: str,
        cron: str,
        kind: str,
        model: str = "",
        payload: Json = None,
        *,
        enabled: bool = True,
    ) -> bool:
        """Enter a schedule, or bring it up to date; a tick from before now does not come due.

        Returns
        -------
        bool
            Whether anything changed; what is put again as it was keeps its missed tick.

        Raises
        ------
        InvalidCron
        """
        values: dict[str, Any] = {
            "cron": check_cron(cron),
            "kind": kind,
            "model": model,
            "payload": write_json({} if payload is None else payload, "a schedule's payload"),
            "enabled": enabled,
        }
        now = self._clock.now_us()
        passed = latest_tick(values["cron"], now, self._zone)
        last_tick = {"last_tick": passed.key if passed else None}
        mine = self._mine(name)
        with self._engine.begin() as connection:
            row = connection.execute(select(schedules).where(*mine)).first()
            if row is None:
                place = {"project": self._project, "name": name, "created_at": now}
                try:
                    with connection.begin_nested():
                        connection.execute(insert(schedules).values(place | values | last_tick))
                except IntegrityError:  # another process entered it meanwhile
                    connection.execute(update(schedules).where(*mine).values(values | last_tick))
                return True
            if all(getattr(row, column) == value for column, value in values.items()):
                return False
            if (row.cron, row.enabled) != (values["cron"], enabled):
                values |= last_tick
            connection.execute(update(schedules).where(*mine).values(values))
            return True

    def remove(self, name: str) -> None:
        """Take a schedule off; its jobs stay.

        Raises
        ------
        UnknownSchedule
        """
        with self._engine.begin() as connection:
            if connection.execute(delete(schedules).where(*self._mine(name))).rowcount:
                return
        raise UnknownSchedule(name=name, known=[known.name for known in self.list()])

    def next_tick(self, name: str) -> Tick:
        """Give the next tick of a schedule from now.

        Raises
        ------
        UnknownSchedule
        """
        found = {schedule.name: schedule for schedule in self.list()}
        if name not in found:
            raise UnknownSchedule(name=name, known=list(found))
        now = self._clock.now_us()
        cron = found[name].cron
        passed = latest_tick(cron, now, self._zone)
        if passed is None:
            local = datetime.fromtimestamp(now / 1e6, self._zone).replace(tzinfo=None)
            return next_tick(cron, local, self._zone)
        return next_tick(cron, passed.local, self._zone)

    def list(self) -> Schedules:
        """List the schedules by name."""
        query = select(schedules).where(_row.project == self._project).order_by(_row.name)
        with reading(self._engine) as connection:
            return [_read(row) for row in connection.execute(query)]

    def tick(self) -> Jobs:
        """Submit a job for each schedule that has come due; of several missed ticks the last.

        Any number of workers may call it at once: each tick is one worker's. A schedule that
        cannot be dealt with stops no other.
        """
        now = self._clock.now_us()
        submitted = []
        for schedule in self.list():
            if not schedule.enabled:
                continue
            try:
                job = self._submit_due(schedule, now)
            except TimonelError:
                _log.exception("schedule %s", schedule.name)
                continue
            if job is not None:
                submitted.append(job)
        return submitted

    def _submit_due(self, schedule: Schedule, now: int) -> Job | None:
        tick = latest_tick(schedule.cron, now, self._zone)
        if tick is None or tick.key <= schedule.last_tick:
            return None
        seen = schedule.last_tick or None
        as_seen = (*self._mine(schedule.name), _row.cron == schedule.cron, _row.enabled)
        last = _row.last_tick.is_(None) if seen is None else _row.last_tick == seen
        taken = update(schedules).where(*as_seen, last).values(last_tick=tick.key)
        with self._engine.begin() as connection:
            if connection.execute(taken).rowcount != 1:
                return None
            try:
                return self._queue.submit(
                    schedule.kind,
                    model=schedule.model,
                    payload=schedule.payload,
                    unique_key=schedule.unique_key,
                    requested_by=f"schedule {schedule.name} {tick.key}",
                    connection=connection,
                )
            except JobActive as active:
                _log.warning("tick %s of %s passed over: %s", tick.key, schedule.name, active)
                return None

    def _mine(self, name: str) -> tuple[ColumnElement[bool], ...]:
        return _row.project == self._project, _row.name == name


def _read(row: Any) -> Schedule:
    return Schedule(
        name=row.name,
        cron=row.cron,
        kind=row.kind,
        model=row.model,
        payload=read_json(row.payload),
        enabled=row.enabled,
        last_tick=row.last_tick or "",
    )
