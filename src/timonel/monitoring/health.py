"""The full state of a project in service: each dimension with its reason, the whole the worst."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from time import perf_counter

from sqlalchemy import Engine

from timonel.clock import AffineClock
from timonel.errors import Unavailable
from timonel.monitoring.performance import fallback
from timonel.store.engine import reading
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


def check_health(engine: Engine, project: str, clock: AffineClock | None) -> Health:
    """Look at the database, the models, the predictions, the fallback and the spool.

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
        others = ("model", "predictions", "fallback", "spool")
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
