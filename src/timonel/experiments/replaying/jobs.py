"""The A/A as a durable job: each step plays a fifth of the runs, so none is played twice.

The log is read as of the moment of asking in every step, so that parts played on two days, or by
two workers, are of one log. What is stored are counts; the shares are made where they are read.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from timonel.clock import Clock
from timonel.experiments.design import Design
from timonel.experiments.planning.service import Planning
from timonel.experiments.replaying.aa import AaPart, AaResult, play_part, read_log, result_of
from timonel.jobs.job import Job, JobState, StepState, one_per_model
from timonel.jobs.queue import JobQueue
from timonel.jobs.steps import JobKind, Step, StepContext
from timonel.store.engine import snapshot

KIND = "experiment_aa"
PARTS = 5
SUM = "sum"


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked: the job's payload."""

    design: Design
    runs: int
    seed: int
    rows: int
    now: int


@dataclass(frozen=True, slots=True)
class AaStanding:
    """A job, how much of it is done, and what came of it; None before its end."""

    job: Job
    orders: Orders
    progress: float
    result: AaResult | None


class AaJobs:
    """Starts and follows the A/As of one project; safe to use from several threads.

    Parameters
    ----------
    queue : JobQueue
    planning : Planning
    clock : Clock
    """

    def __init__(self, queue: JobQueue, planning: Planning, clock: Clock) -> None:
        self._queue = queue
        self._planning = planning
        self._clock = clock

    def start(
        self,
        model: str | None,
        *,
        by_unit: bool,
        runs: int,
        seed: int,
        rows: int,
        alpha: float,
        who: str,
    ) -> AaStanding:
        """Enter an A/A on the log as it is now.

        Raises
        ------
        JobActive
            If one of this model has not ended.
        UnknownModel
        """
        design = self._planning.aa_design(model, by_unit=by_unit, alpha=alpha)
        now = self._clock.now_us()
        orders = Orders(design=design, runs=runs, seed=seed, rows=rows, now=now)
        job = self._queue.submit(
            KIND,
            model=design.model,
            payload=msgspec.to_builtins(orders),
            unique_key=one_per_model(KIND, design.model),
            requested_by=who,
        )
        return self._standing(job)

    def list(self, model: str, limit: int) -> list[AaStanding]:
        """List the A/As of a model, the newest first."""
        jobs = self._queue.list(model=model, kind=KIND, limit=limit)
        return [self._standing(job) for job in jobs]

    def _standing(self, job: Job) -> AaStanding:
        orders = _orders(job.payload)
        if job.state is JobState.SUCCEEDED:
            part = msgspec.convert(job.result, AaPart)
            found = result_of(part, orders.design, seed=orders.seed, runs=orders.runs)
            return AaStanding(job, orders, 1.0, found)
        steps = self._queue.steps(job.job_id)
        done = sum(step.state is StepState.DONE for step in steps)
        return AaStanding(job, orders, done / (PARTS + 1), None)


def aa_kind() -> JobKind:
    """Make the kind of job that plays an A/A."""
    parts = [Step(f"runs_{part + 1}", partial(_play, part)) for part in range(PARTS)]
    return JobKind(KIND, (*parts, Step(SUM, _sum)))


def _orders(payload: Any) -> Orders:
    return msgspec.convert(payload, Orders)


def _play(part: int, context: StepContext) -> Any:
    orders = _orders(context.payload)
    runs = range(orders.runs * part // PARTS, orders.runs * (part + 1) // PARTS)
    with snapshot(context.engine) as connection:
        log = read_log(
            connection,
            context.project,
            orders.design,
            seed=orders.seed,
            rows=orders.rows,
            now=orders.now,
        )
    played = play_part(log, orders.design, seed=orders.seed, runs=runs, check=context.check)
    return msgspec.to_builtins(played)


def _sum(context: StepContext) -> Any:
    first, *others = (msgspec.convert(one, AaPart) for one in context.outputs.values())
    return msgspec.to_builtins(sum(others, first))
