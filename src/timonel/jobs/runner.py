"""Works through jobs: claims one, runs its steps from where it stands, and says how it ended."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from timonel import tracing
from timonel.errors import TimonelError, Unavailable
from timonel.jobs.errors import (
    JobCancelled,
    LeaseLost,
    StepFailed,
    StepsChanged,
    TaskEnded,
    TaskFailed,
)
from timonel.jobs.executors import Executor, ProcessExecutor, function_path
from timonel.jobs.isolated import RUN_STEP, step_orders
from timonel.jobs.job import Claim, Job, JobState, Json, StepState, read_json, write_json
from timonel.jobs.lease import LeaseKeeper
from timonel.jobs.queue import LEASE_S, JobQueue
from timonel.jobs.steps import JobKind, Leash, Step, StepContext, WorkerStopping
from timonel.store.errors import StoreUnavailable

IDLE_S = 1.0
_POLL_S = 0.1

Report = Callable[[str, dict[str, Any]], None]

_log = logging.getLogger(__name__)


class JobRunner:
    """One worker of the queue; as many as wanted may run, on any host.

    Parameters
    ----------
    queue : JobQueue
    kinds : mapping
        The kinds of jobs it can do, by their names; it leaves others to other workers.
    worker_id : str
    report : callable
        ``(kind, facts)``, from any thread: "job_started", "step_finished", "job_succeeded",
        "job_failed", "job_retried", "job_cancelled", "job_released", "lease_lost",
        "jobs_unavailable". Facts hold ``job``, and where there is one ``error`` and ``step``.
    executor : Executor or None
        For isolated steps; None: processes of this host.
    lease_s : float
        How long after its death a worker's job is taken over.
    """

    def __init__(
        self,
        queue: JobQueue,
        kinds: Mapping[str, JobKind],
        worker_id: str,
        report: Report,
        *,
        executor: Executor | None = None,
        lease_s: float = LEASE_S,
    ) -> None:
        self._queue = queue
        self._kinds = kinds
        self._worker_id = worker_id
        self._report = report
        self._executor = executor or ProcessExecutor()
        self._lease_s = lease_s

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set; a job that then runs is given back at its next step."""
        while not stop.is_set():
            try:
                worked = self.run_one(stop)
            except TimonelError as error:
                self._report("jobs_unavailable", {"error": error})
                worked = False
            if not worked:
                stop.wait(IDLE_S)

    def run_one(self, stop: threading.Event | None = None) -> bool:
        """Take one job that is due and work on it; whether there was one.

        Raises
        ------
        StoreUnavailable
            If the queue could not be asked.
        """
        claim = self._queue.claim(
            self._worker_id, self._lease_s, kinds=self._kinds, on_end=self._say_ended
        )
        if claim is None:
            return False
        self._report("job_started", {"job": claim.job})
        try:
            _Work(self._queue, claim, self._kinds[claim.job.kind], self._executor, self._report).do(
                stop
            )
        except StoreUnavailable as error:  # the lease will end, and another worker take it over
            self._report("jobs_unavailable", {"job": claim.job, "error": error})
        return True

    def _say_ended(self, job: Job) -> None:
        kind = "job_cancelled" if job.state is JobState.CANCELLED else "job_failed"
        self._report(kind, {"job": job, "error": job.error})


class _Work:
    """The work on one claim."""

    def __init__(
        self, queue: JobQueue, claim: Claim, kind: JobKind, executor: Executor, report: Report
    ) -> None:
        self._queue = queue
        self._claim = claim
        self._kind = kind
        self._executor = executor
        self._report = report
        self._leash = Leash()
        self._settled = False
        self._step = ""
        self._span: tracing.Span | None = None

    def do(self, stop: threading.Event | None) -> None:
        """Run the steps that are left and write how it ended."""
        with LeaseKeeper(self._queue, self._claim, self._leash, stop, self._fail) as keeper:
            job = self._claim.job
            with tracing.working(
                f"job {job.kind}", job=str(job.job_id), model=job.model, attempt=job.attempts
            ) as self._span:
                try:
                    self._attempt(keeper)
                except LeaseLost as error:
                    if not self._settled:
                        self._say("lease_lost", error=error)

    def _attempt(self, keeper: LeaseKeeper) -> None:
        try:
            result = self._run_steps(keeper)
            self._persist(lambda: self._queue.finish(self._claim, result))
            self._say("job_succeeded", result=result)
        except WorkerStopping:
            self._queue.release(self._claim)
            self._say("job_released")
        except JobCancelled:
            self._queue.acknowledge_cancel(self._claim)
            self._say("job_cancelled")
        except LeaseLost:
            raise
        except TimonelError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - a step may raise anything; the worker goes on
            _log.exception("step %s of job %s", self._step, self._claim.job.job_id)
            self._fail(self._failure(f"{type(error).__name__}: {error}"))
        except BaseException:
            self._queue.release(self._claim)
            raise

    def _run_steps(self, keeper: LeaseKeeper) -> Json:
        outputs = self._finished_outputs()
        result: Json = None
        for position, step in enumerate(self._kind.steps):
            if step.name not in outputs:
                if self._leash.reason is not None:
                    raise self._leash.reason
                self._step = step.name
                self._queue.begin_step(self._claim, position, step.name)
                keeper.watch(step)
                with tracing.working(f"step {step.name}", job=str(self._claim.job.job_id)):
                    outputs[step.name] = self._run_step(position, step, outputs)
                keeper.watch(None)
                self._say("step_finished", output=outputs[step.name])
            result = outputs[step.name]
        return result

    def _finished_outputs(self) -> dict[str, Json]:
        found = self._queue.steps(self._claim.job.job_id)
        expected = [step.name for step in self._kind.steps]
        names = [record.step for record in found]
        if names != expected[: len(names)]:
            raise StepsChanged(
                job_id=self._claim.job.job_id,
                kind=self._kind.name,
                found=", ".join(names),
                expected=", ".join(expected) or "none",
            )
        return {r.step: r.output for r in found if r.state is StepState.DONE}

    def _run_step(self, position: int, step: Step, outputs: Mapping[str, Json]) -> Json:
        context = StepContext(
            self._queue, self._claim, position, step.name, dict(outputs), self._leash
        )
        returned = self._run_isolated(step, context) if step.isolated else step.run(context)
        if not context.completed:
            # as a worker that resumes would read it
            output = read_json(write_json(returned, f"the output of step {step.name}"))
            self._persist(lambda: self._queue.finish_step(self._claim, position, output))
            return output
        if returned is not None and returned != context.output:
            detail = "it returned another output than that with which its transaction completed"
            raise self._failure(detail)
        return read_json(write_json(context.output, f"the output of step {step.name}"))

    def _run_isolated(self, step: Step, context: StepContext) -> Json:
        orders = step_orders(self._queue, self._claim, step, context)
        handle = self._executor.submit(RUN_STEP, orders)
        try:
            while (finished := self._executor.poll(handle, _POLL_S)) is None:
                if self._leash.reason is not None:
                    raise self._leash.reason
            answer = finished.value()
        except TaskFailed as error:
            _log.error("step %s: %s\n%s", step.name, error, error.context["trace"])
            raise self._failure(error.context["detail"]) from error
        except TaskEnded as error:
            ending = error.context["ending"]
            raise TaskEnded(function=function_path(step.run), ending=ending) from error
        finally:
            self._executor.cancel(handle)
        context.completed, context.output = answer["completed"], answer["completed_with"]
        return answer["output"]

    def _persist(self, write: Callable[[], None]) -> None:
        """Write what cost much to find, though the database may be away for a moment."""
        until = time.monotonic() + self._claim.lease_s
        while True:
            try:
                write()
            except StoreUnavailable:
                if time.monotonic() > until:
                    raise
                time.sleep(_POLL_S)
            else:
                return

    def _fail(self, error: TimonelError) -> None:
        state = self._queue.fail(self._claim, error, retry=isinstance(error, Unavailable))
        self._settled = True
        kind = {JobState.QUEUED: "job_retried", JobState.CANCELLED: "job_cancelled"}
        self._say(kind.get(state, "job_failed"), error=error)

    def _failure(self, detail: str) -> StepFailed:
        job_id = self._claim.job.job_id
        return StepFailed(step=self._step or "-", job_id=job_id, detail=detail.rstrip("."))

    def _say(self, kind: str, **facts: Any) -> None:
        if self._span is not None and kind != "step_finished":
            error = facts.get("error")
            self._span.ended(kind, None if error is None else error.code)
        self._report(kind, {"job": self._claim.job, "step": self._step, **facts})
