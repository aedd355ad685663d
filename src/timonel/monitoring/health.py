"""The full state of a project in service: each dimension with its reason, the whole the worst."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from time import perf_counter

from sqlalchemy import Engine

from timonel.clock import AffineClock
from timonel.errors import Unavailable
from timonel.monitoring.performance import fallback
from timonel.store.control import DISK, MACHINE, HostReading, read_readings
from timonel.store.engine import reading
from timonel.store.reads import JobRow, read_recent_jobs
from timonel.store.reads_windows import (
    HOUR_US,
    MINUTE_US,
    Answered,
    DrainerRow,
    ProcessRow,
    read_aliases,
    read_answered,
    read_declarations,
    read_drainers,
    read_generation,
    read_processes,
)

LIVE_S = 10.0
LAG_DEGRADED_S, LAG_UNHEALTHY_S = 30.0, 300.0
FALLBACK_DEGRADED, FALLBACK_UNHEALTHY = 0.05, 0.10
MEASURED_S = 30.0  # what a host measured is held for true so long; it measures every five seconds
CLEAR_BELOW = 0.8  # of what may be used
OVERDUE_S = 300.0  # for a job, beyond the moment it was to begin
NEAR = "near_limit"
PARENTS = ("supervisor", "keeper")
_DAY_US = 24 * HOUR_US
_MB = 1 << 20


class State(StrEnum):
    """How a dimension is; UNKNOWN is neither good nor bad, and says why."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    UNHEALTHY = "UNHEALTHY"
    UNKNOWN = "UNKNOWN"


_WORST = (State.UNHEALTHY, State.DEGRADED, State.HEALTHY, State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Check:
    """One dimension: its state, a stable slug of the reason, and the facts behind it."""

    name: str
    state: State
    reason: str
    facts: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """All dimensions at one moment of event time."""

    at_us: int | None
    checks: tuple[Check, ...]

    @property
    def state(self) -> State:
        """The worst state; unknown only where nothing is known."""
        states = {check.state for check in self.checks}
        return next(state for state in _WORST if state in states)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What one look at the database gave."""

    generation: int | None
    champions: dict[str, str | None]
    processes: Sequence[ProcessRow]
    drainers: Sequence[DrainerRow]
    last_hour: int
    answered: Sequence[Answered]
    readings: Sequence[HostReading]
    jobs: Sequence[JobRow]


def check_health(engine: Engine, project: str, clock: AffineClock | None) -> Health:
    """Look at database, models, predictions, fallback, spool, memory, disk and jobs.

    Parameters
    ----------
    clock : AffineClock or None
        Event time; None where the database could not even give the clock.

    Notes
    -----
    A database that cannot be read is an answer, not an error: the other dimensions are unknown.
    """
    started = perf_counter()
    try:
        if clock is None:
            raise ClockUnread
        now_us = clock.now_us()
        facts = _look(engine, project, now_us)
    except (Unavailable, ClockUnread) as error:
        broken = Check("database", State.UNHEALTHY, "unreachable", {"found": str(error)})
        others = ("model", "predictions", "fallback", "spool", "memory", "disk", "jobs")
        unknown = [Check(name, State.UNKNOWN, "database_unreachable") for name in others]
        return Health(None, (broken, *unknown))
    elapsed_ms = round((perf_counter() - started) * 1000, 1)
    return Health(
        now_us,
        (
            Check("database", State.HEALTHY, "reachable", {"latency_ms": elapsed_ms}),
            judge_models(facts.champions, facts.processes, facts.generation),
            judge_predictions(facts.last_hour),
            judge_fallback(facts.answered),
            judge_spool(facts.drainers, now_us, clock.rate),
            judge_memory(facts.readings),
            judge_disk(facts.readings),
            judge_jobs(facts.jobs),
        ),
    )


class ClockUnread(Exception):
    """The database did not give the clock."""


def _look(engine: Engine, project: str, now_us: int) -> _Facts:
    with reading(engine) as connection:
        models = [row.model for row in read_declarations(connection, project)]
        until_us, a_day_ago = now_us + MINUTE_US, now_us - 24 * HOUR_US
        answered = [
            row
            for model in models
            for row in read_answered(connection, project, model, a_day_ago, until_us)
        ]
        last_hour = sum(
            row.n
            for model in models
            for row in read_answered(connection, project, model, now_us - HOUR_US, until_us)
        )
        return _Facts(
            generation=read_generation(connection, project),
            champions={
                model: read_aliases(connection, project, model).get("champion") for model in models
            },
            processes=read_processes(connection, project),
            drainers=read_drainers(connection, project),
            last_hour=last_hour,
            answered=answered,
            readings=read_readings(connection, project),
            jobs=read_recent_jobs(connection, project, now_us - _DAY_US),
        )


def judge_models(
    champions: dict[str, str | None], processes: Sequence[ProcessRow], generation: int | None
) -> Check:
    """Judge whether every model has a version in production that live processes serve."""
    workers = [row for row in processes if row.role == "predict"]
    live = [row for row in workers if row.silent_us < LIVE_S * 1_000_000]
    without = sorted(model for model, version in champions.items() if version is None)
    behind = sum(1 for row in live if generation is not None and row.generation < generation)
    facts: dict[str, object] = {
        "n_models": len(champions),
        "without_version": without,
        "n_live_workers": len(live),
        "n_behind": behind,
    }
    if workers and not live:
        return Check("model", State.UNHEALTHY, "no_live_worker", facts)
    if not champions:
        return Check("model", State.UNKNOWN, "no_models", facts)
    if without:
        return Check("model", State.DEGRADED, "without_version", facts)
    if not workers:
        return Check("model", State.UNKNOWN, "no_worker_seen", facts)
    if behind:
        return Check("model", State.DEGRADED, "reloading", facts)
    return Check("model", State.HEALTHY, "serving", facts)


def judge_predictions(last_hour: int) -> Check:
    """Judge whether predictions arrive; silence is unknown, since nobody may be asking."""
    facts: dict[str, object] = {"n_last_hour": last_hour}
    if last_hour == 0:
        return Check("predictions", State.UNKNOWN, "no_predictions", facts)
    return Check("predictions", State.HEALTHY, "arriving", facts)


def judge_fallback(answered: Sequence[Answered]) -> Check:
    """Judge the share of answers that rules or the baseline gave in a model's place.

    Answers of a model that has no version yet are not counted: ``model`` says that.
    """
    n, n_fallback, reasons = fallback(row for row in answered if row.reason != "no_version")
    if n == 0:
        return Check("fallback", State.UNKNOWN, "no_predictions", {"n": 0})
    share = n_fallback / n
    facts: dict[str, object] = {
        "n": n,
        "n_fallback": n_fallback,
        "fallback_rate": round(share, 6),
        "reasons": reasons,
    }
    if share > FALLBACK_UNHEALTHY:
        return Check("fallback", State.UNHEALTHY, "high", facts)
    if share > FALLBACK_DEGRADED:
        return Check("fallback", State.DEGRADED, "raised", facts)
    return Check("fallback", State.HEALTHY, "low", facts)


def judge_spool(drainers: Sequence[DrainerRow], now_us: int, rate: float) -> Check:
    """Judge how far behind the drain is, by the slowest drainer that is alive.

    The lag is in seconds of real time: event time runs ``rate`` times as fast.
    """
    live = [row for row in drainers if row.silent_us < LIVE_S * 1_000_000]
    if not drainers:
        return Check("spool", State.UNKNOWN, "no_drainer_seen")
    if not live:
        silent_s = min(row.silent_us for row in drainers) / 1_000_000
        return Check("spool", State.DEGRADED, "no_live_drainer", {"silent_s": round(silent_s, 1)})
    lag_s = max(0.0, (now_us - min(row.watermark for row in live)) / 1_000_000 / rate)
    facts: dict[str, object] = {"lag_s": round(lag_s, 1), "n_drainers": len(live)}
    if lag_s > LAG_UNHEALTHY_S:
        return Check("spool", State.UNHEALTHY, "far_behind", facts)
    if lag_s > LAG_DEGRADED_S:
        return Check("spool", State.DEGRADED, "behind", facts)
    return Check("spool", State.HEALTHY, "drained", facts)


def judge_memory(readings: Sequence[HostReading]) -> Check:
    """Judge the memory of each process, and of each machine, by that which is fullest.

    Up to ``CLEAR_BELOW`` of what may be used it is enough; from there on it is near the limit,
    which is no trouble, and does not end an alert either.
    """
    return _fullest("memory", [one for one in _fresh(readings) if one.name != DISK])


def judge_disk(readings: Sequence[HostReading]) -> Check:
    """Judge the disk of each state folder by the fullest."""
    return _fullest("disk", [one for one in _fresh(readings) if one.name == DISK])


def _fresh(readings: Sequence[HostReading]) -> list[HostReading]:
    return [one for one in readings if one.silent_us < MEASURED_S * 1_000_000]


def _fullest(name: str, readings: Sequence[HostReading]) -> Check:
    limited = [(one.used / one.allowed, one) for one in readings if one.allowed]
    if not limited:
        return Check(name, State.UNKNOWN, "not_measured")
    share, worst = max(limited, key=lambda found: found[0])
    facts: dict[str, object] = {
        "host": worst.host,
        "used_mb": worst.used // _MB,
        "allowed_mb": (worst.allowed or 0) // _MB,
    }
    if worst.total is not None:
        facts |= {"total_mb": worst.total // _MB, "free_mb": (worst.total - worst.used) // _MB}
    if worst.name not in (MACHINE, DISK):
        facts |= {"process": worst.name, "pid": str(worst.pid)}
        if worst.name not in PARENTS:  # who starts it again would end with it
            facts["restarted"] = str(worst.pid)
    if share > 1.0:
        reason = "process_over_limit" if "process" in facts else "nearly_full"
        return Check(name, State.DEGRADED, reason, facts)
    # of a disk four fifths are no measure: it may stay full for years
    clear = 1.0 if name == "disk" else CLEAR_BELOW
    return Check(name, State.HEALTHY, NEAR if share > clear else "enough", facts)


def judge_jobs(jobs: Sequence[JobRow]) -> Check:
    """Judge whether jobs are taken, and whether the newest of each kind and model ended well."""
    overdue = [job for job in jobs if job.state == "queued" and job.late_s > OVERDUE_S]
    lost = [job for job in jobs if job.state == "running" and job.late_s > OVERDUE_S]
    ended: dict[tuple[str, str], JobRow] = {}
    for job in jobs:  # the newest first
        if job.state in ("succeeded", "failed"):
            ended.setdefault((job.kind, job.model), job)
    failed = [job for job in ended.values() if job.state == "failed"]
    facts: dict[str, object] = {
        "n_overdue": len(overdue),
        "n_lost": len(lost),
        "failed": sorted(f"{job.kind} {job.model}".strip() for job in failed),
    }
    if overdue or lost:
        return Check("jobs", State.DEGRADED, "nobody_works", facts)
    if failed:
        return Check("jobs", State.DEGRADED, "some_failed", facts)
    return Check("jobs", State.HEALTHY, "none_waits", facts)
