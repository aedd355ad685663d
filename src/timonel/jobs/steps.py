"""A kind of job: named steps, and what a step is given to work with."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from timonel.clock import Clock
from timonel.errors import TimonelError
from timonel.jobs.errors import JobCancelled, LeaseLost, StepTimedOut
from timonel.jobs.executors import Executor, function_path
from timonel.jobs.job import Claim, Job, Json, Standing
from timonel.jobs.queue import JobQueue

_POLL_S = 0.2


class WorkerStopping(Exception):
    """The worker ends in good order: the job is given back as it stands."""


class Leash:
    """What keeps a running step from going on; set by the lease's keeper, asked by the step.

    The first reason counts. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._pulled = threading.Event()
        self._reason: TimonelError | WorkerStopping | None = None

    @property
    def reason(self) -> TimonelError | WorkerStopping | None:
        """Why to stop; None while the step may go on."""
        return self._reason

    def pull(self, reason: TimonelError | WorkerStopping) -> None:
        """Say that the step is to stop."""
        if self._reason is None:
            self._reason = reason
            self._pulled.set()

    def wait(self, seconds: float) -> bool:
        """Wait until it is pulled, at most so long; whether it was."""
        return self._pulled.wait(seconds)


class StepContext:
    """What a step is given: the job, what came before, and a safe way to have an effect.

    An effect is done exactly once if it happens in ``transaction()``. Everything else that a step
    does may happen twice, when its worker dies before the step is recorded, and must bear that
    (an artifact named by its content, a file that is replaced).

    Parameters
    ----------
    queue : JobQueue
    claim : Claim
    position : int
        Of the step among those of its kind.
    step : str
    outputs : mapping
        Of the steps before, by their names.
    leash : Leash
    """

    def __init__(
        self,
        queue: JobQueue,
        claim: Claim,
        position: int,
        step: str,
        outputs: Mapping[str, Json],
        leash: Leash,
    ) -> None:
        self._queue = queue
        self._claim = claim
        self.position = position
        self._leash = leash
        self.step = step
        self.outputs = outputs
        self.completed = False
        self.output: Json = None

    @property
    def job(self) -> Job:
        """The job as it was when it was claimed."""
        return self._claim.job

    @property
    def payload(self) -> Json:
        """What the job was submitted with."""
        return self._claim.job.payload

    @property
    def engine(self) -> Engine:
        """The database, to read from; write in ``transaction()``."""
        return self._queue.engine

    @property
    def project(self) -> str:
        """The project whose job this is."""
        return self._queue.project

    @property
    def clock(self) -> Clock:
        """Event time."""
        return self._queue.clock

    def check(self) -> None:
        """Go on, or not: to be called now and then by a step that takes long.

        Raises
        ------
        JobCancelled, LeaseLost, StepTimedOut
            The step is to let it pass; nothing it writes would be kept.
        """
        if self._leash.reason is not None:
            raise self._leash.reason

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give a connection in which the step's effects and its completion commit together.

        On leaving the block the step is done: its output is what ``complete`` was given in it.
        Keep it short, and once a step; if the lease was lost meanwhile, nothing is written.

        Raises
        ------
        LeaseLost
            If the job is another worker's; the effects are rolled back.
        RuntimeError
            If the step had completed before.

        Examples
        --------
        ::

            with context.transaction() as connection:
                connection.execute(insert(table), rows)
                context.complete({"n_rows": len(rows)})
        """
        if self.completed:
            message = f"step {self.step} has completed; it cannot have a second transaction"
            raise RuntimeError(message)
        self.check()
        self.output = None
        with self._queue.engine.begin() as connection:
            yield connection
            self._queue.finish_step(self._claim, self.position, self.output, connection=connection)
        self.completed = True

    def complete(self, output: Json) -> None:
        """Say, within ``transaction()``, with which output the step completes."""
        self.output = output


def run_apart(
    context: StepContext,
    executor: Executor,
    function: str,
    payload: Json,
    *,
    limit_s: float,
    too_long: TimonelError,
) -> Json:
    """Run a function, named by its path, where it can be killed when the step is to stop.

    Raises
    ------
    TimonelError
        ``too_long`` at the limit, what ``context.check`` raises, or what the function ended with.
    """
    handle = executor.submit(function, payload)
    began = time.monotonic()
    try:
        while (finished := executor.poll(handle, _POLL_S)) is None:
            context.check()
            if time.monotonic() - began > limit_s:
                raise too_long
    finally:
        executor.cancel(handle)
    return finished.value()


@dataclass(frozen=True, slots=True)
class Step:
    """A named function of a kind of job.

    Parameters
    ----------
    name : str
    run : callable
        Does the step; its JSON-safe result is stored and given to the steps after it. Results of
        many bytes go into the artifact store, and their references here.
    isolated : bool
        Run it in a process of its own, which is killed when the step is to stop; ``run`` is then
        a function at the top level of a module. Only such a step can be stopped where it hangs.
    timeout_s : float or None
        The longest it may take. Without ``isolated`` the job fails then, but the worker is free
        only when the function returns.
    """

    name: str
    run: Callable[[StepContext], Json]
    isolated: bool = False
    timeout_s: float | None = None

    def __post_init__(self) -> None:
        if self.isolated:
            function_path(self.run)  # refused here rather than at the first job


@dataclass(frozen=True, slots=True)
class JobKind:
    """What jobs of a name do, step after step.

    Parameters
    ----------
    name : str
    steps : tuple of Step
        With different names. The job's result is the output of the last.
    """

    name: str
    steps: tuple[Step, ...] = field(default=())

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        if len(set(names)) != len(names):
            message = f"the steps of {self.name} have names in common: {names}"
            raise ValueError(message)


def reason_to_stop(standing: Standing, claim: Claim) -> TimonelError | None:
    """Give the error by which a step stops; None where it may go on."""
    if standing is Standing.CANCELLED:
        return JobCancelled(job_id=claim.job.job_id)
    if standing is Standing.LOST:
        return LeaseLost(job_id=claim.job.job_id, worker_id=claim.worker_id)
    return None


def timed_out(step: Step, claim: Claim) -> StepTimedOut:
    """Give the error of a step that takes too long."""
    return StepTimedOut(step=step.name, job_id=claim.job.job_id, timeout_s=step.timeout_s)
