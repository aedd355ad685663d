"""The control row of a project (generation, event clock, time zone) and who is alive.

The generation rises in the transaction of every transition; each process polls it and reports the
one it runs, so a command can wait until all of them answer by what it has just changed (ADR 0010).
"""

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, Engine, and_, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from timonel.clock import AffineClock
from timonel.store.engine import database_now, reading
from timonel.store.errors import UnknownProject
from timonel.store.tables import control, host_readings, processes

ALIVE_WITHIN_S = 4.0  # processes report once a second
MACHINE, DISK = "@machine", "@disk"
_FORGOTTEN_AFTER_S = 3600
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Control:
    """What all processes of a project agree on."""

    generation: int
    clock: AffineClock
    timezone: str


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """What a process says about itself: its role and the generation it answers with."""

    process_id: str
    role: str
    generation: int
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)


@dataclass(frozen=True, slots=True)
class HostReading:
    """Bytes that a host measured: of a process, of its memory (MACHINE) or its disk (DISK).

    Parameters
    ----------
    name : str
    used : int
    allowed : int or None
        How many it may use; None: none is set.
    total : int or None
        How many there are; None of a process.
    silent_us : int
        For how long nothing newer was stored.
    """

    name: str
    used: int
    allowed: int | None
    total: int | None = None
    pid: int | None = None
    host: str = field(default_factory=socket.gethostname)
    silent_us: int = 0


class Reached(NamedTuple):
    """How many live processes run a generation, of how many."""

    n_current: int
    n_live: int


def ensure_project(
    engine: Engine, project: str, timezone: str, clock: AffineClock | None = None
) -> None:
    """Enter a project, or bring its time zone (and its clock, where given) up to date."""
    values: dict[str, object] = {"timezone": timezone}
    if clock is not None:
        values |= _clock_values(clock)
    try:
        found = read_control(engine, project)
    except UnknownProject:
        first = {"project": project, "generation": 1, **_clock_values(AffineClock()), **values}
        try:
            with engine.begin() as connection:
                connection.execute(insert(control), first)
            return
        except IntegrityError:  # another process entered it meanwhile
            found = read_control(engine, project)
    if found.timezone != timezone or (clock is not None and found.clock != clock):
        _change(engine, project, values)


def read_control(engine: Engine, project: str) -> Control:
    """Read a project's control row.

    Raises
    ------
    UnknownProject
        If the database does not hold the project.
    """
    with reading(engine) as connection:
        row = connection.execute(select(control).where(control.c.project == project)).first()
        if row is None:
            raise UnknownProject(project=project, known=_projects(connection))
    clock = AffineClock(row.clock_real_us, row.clock_event_us, row.clock_rate)
    return Control(row.generation, clock, row.timezone)


def read_generation(engine: Engine, project: str) -> int:
    """Read the generation in force."""
    return read_control(engine, project).generation


def read_clock(engine: Engine, project: str) -> AffineClock:
    """Read the project's event clock."""
    return read_control(engine, project).clock


def set_clock(engine: Engine, project: str, clock: AffineClock) -> None:
    """Change the event clock of all processes; raises the generation, so that they read it."""
    _change(engine, project, _clock_values(clock))


def raise_generation(connection: Connection, project: str) -> int:
    """Raise the generation in the caller's transaction.

    Call it first: it locks the control row, so transitions of a project happen one after another,
    each seeing what the one before it wrote.

    Returns
    -------
    int
        The new generation.

    Raises
    ------
    UnknownProject
        If the database does not hold the project.
    """
    mine = control.c.project == project
    changed = connection.execute(
        update(control).where(mine).values(generation=control.c.generation + 1)
    )
    if changed.rowcount != 1:
        raise UnknownProject(project=project, known=_projects(connection))
    generation: int = connection.execute(select(control.c.generation).where(mine)).scalar_one()
    return generation


def report_process(engine: Engine, project: str, report: ProcessReport) -> None:
    """Say that a process lives; to be repeated every second."""
    report_processes(engine, project, [report])


def report_processes(engine: Engine, project: str, reports: Sequence[ProcessReport]) -> None:
    """Say that processes live, in one transaction: a supervisor speaks for its workers.

    A row of another process with the same host and pid is a dead one's and is replaced.
    """
    with engine.begin() as connection:
        for report in sorted(reports, key=lambda report: report.process_id):
            _report(connection, project, report)


def forget_process(engine: Engine, project: str, process_id: str) -> None:
    """Take a process that ends in good order off the list."""
    with engine.begin() as connection:
        connection.execute(
            delete(processes).where(
                processes.c.project == project, processes.c.process_id == process_id
            )
        )


def live_processes(
    engine: Engine, project: str, within_s: float = ALIVE_WITHIN_S
) -> list[ProcessReport]:
    """List the processes that reported within so many seconds of the database's clock."""
    query = (
        select(processes)
        .where(
            processes.c.project == project,
            processes.c.seen_at >= database_now() - round(within_s * 1e6),
        )
        .order_by(processes.c.process_id)
    )
    with reading(engine) as connection:
        return [
            ProcessReport(row.process_id, row.role, row.generation, row.host, row.pid)
            for row in connection.execute(query)
        ]


def report_readings(
    engine: Engine, project: str, owner: str, readings: Sequence[HostReading]
) -> None:
    """Replace what was measured before; to be repeated every few seconds, and with none at the end.

    What others left behind an hour ago goes too.
    """
    row = host_readings.c
    forgotten = row.seen_at < database_now() - _FORGOTTEN_AFTER_S * 1_000_000
    with engine.begin() as connection:
        stale = and_(row.project == project, or_(row.owner == owner, forgotten))
        connection.execute(delete(host_readings).where(stale))
        now = connection.scalar(select(database_now()))
        rows = [
            {
                "project": project,
                "owner": owner,
                "name": one.name,
                "host": one.host[:128],
                "pid": one.pid,
                "used": one.used,
                "allowed": one.allowed,
                "total": one.total,
                "seen_at": now,
            }
            for one in readings
        ]
        if rows:
            connection.execute(insert(host_readings), rows)


def read_readings(connection: Connection, project: str) -> list[HostReading]:
    """Read what all hosts measured last, also those that have fallen silent."""
    row = host_readings.c
    found = connection.execute(
        select(
            row.name,
            row.used,
            row.allowed,
            row.total,
            row.pid,
            row.host,
            database_now() - row.seen_at,
        )
        .where(row.project == project)
        .order_by(row.owner, row.name)
    )
    return [HostReading(*one) for one in found]


def await_generation(
    engine: Engine,
    project: str,
    generation: int | None = None,
    timeout_s: float = 5.0,
    *,
    within_s: float = ALIVE_WITHIN_S,
) -> Reached:
    """Wait until all live processes run a generation, or a later one.

    Parameters
    ----------
    engine, project
    generation : int or None
        None: the one in force now.
    timeout_s : float
    within_s : float
        How recently a process must have reported to count as live.

    Returns
    -------
    Reached
        The counts when all did, or when the time was over; ``(0, 0)`` at once when none live.
    """
    deadline = time.monotonic() + timeout_s
    if generation is None:
        generation = read_generation(engine, project)
    while True:
        live = live_processes(engine, project, within_s)
        n_current = sum(process.generation >= generation for process in live)
        if n_current == len(live) or time.monotonic() >= deadline:
            return Reached(n_current, len(live))
        time.sleep(_POLL_S)


def _clock_values(clock: AffineClock) -> dict[str, object]:
    return {
        "clock_real_us": clock.real_us,
        "clock_event_us": clock.event_us,
        "clock_rate": clock.rate,
    }


def _change(engine: Engine, project: str, values: dict[str, object]) -> None:
    with engine.begin() as connection:
        raise_generation(connection, project)
        connection.execute(update(control).where(control.c.project == project).values(values))


def _projects(connection: Connection) -> list[str]:
    return list(connection.scalars(select(control.c.project).order_by(control.c.project)))


def _report(connection: Connection, project: str, report: ProcessReport) -> None:
    row = processes.c
    mine = and_(row.project == project, row.process_id == report.process_id)
    values = {
        "role": report.role,
        "host": report.host,
        "pid": report.pid,
        "generation": report.generation,
        "seen_at": database_now(),
    }
    place = and_(row.host == report.host, row.pid == report.pid)
    forgotten = row.seen_at < database_now() - _FORGOTTEN_AFTER_S * 1_000_000
    others = and_(row.project == project, row.process_id != report.process_id)
    if connection.scalar(select(func.count()).where(others, or_(place, forgotten))):
        connection.execute(delete(processes).where(others, or_(place, forgotten)))
    if connection.execute(update(processes).where(mine).values(values)).rowcount == 0:
        connection.execute(
            insert(processes).values(project=project, process_id=report.process_id, **values)
        )
