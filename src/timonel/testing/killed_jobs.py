"""Workers that die, or stop, at any moment of a job (importable by name)."""

import os
import signal
from multiprocessing.connection import Connection
from multiprocessing.queues import Queue
from typing import Any

from sqlalchemy import Engine, event, text, update

from timonel.clock import AffineClock
from timonel.jobs.job import StepState
from timonel.jobs.queue import JobQueue
from timonel.jobs.runner import JobRunner
from timonel.jobs.steps import JobKind, Step, StepContext
from timonel.store.engine import make_engine, reading
from timonel.store.tables_loop import jobs
from timonel.testing.builders import PROJECT
from timonel.testing.tasks import add_in_step, count_in_step, hang_at_first_in_step

KIND = JobKind(
    "count",
    (
        Step("first", count_in_step),
        Step("sum", add_in_step),
        Step("second", count_in_step),
    ),
)
HANGING = JobKind("hang", (Step("first", hang_at_first_in_step, isolated=True),))


def effects_of(engine: Engine, job_id: str) -> dict[str, int]:
    """Read how often each step of a job had its effect."""
    query = text("SELECT step, n FROM effects WHERE job = :job")
    with reading(engine) as connection:
        return {row.step: row.n for row in connection.execute(query, {"job": job_id})}


def work_until_killed(url: str) -> None:
    """Work on a job whose first attempt hangs in a process of its own."""
    queue = JobQueue(make_engine(url), PROJECT, AffineClock())
    JobRunner(queue, {"hang": HANGING}, "first", lambda *_: None, lease_s=1).run_one()


def kill_everywhere(url: str, results: "Queue[Any]") -> None:
    """Work on jobs in children that kill themselves around their 1st, 2nd, ... statement.

    Puts a list of what became of each job, which another worker has resumed. It ends with the
    first child that had no statement left to be killed at.
    """
    try:
        results.put(_deaths(url))
    except Exception as error:  # noqa: BLE001 - the other side reports it
        results.put(repr(error))


def _deaths(url: str) -> list[dict[str, Any]]:
    engine = make_engine(url)
    queue = JobQueue(engine, PROJECT, AffineClock())
    found: list[dict[str, Any]] = []
    killed = True
    while killed:
        job_id = queue.submit("count", requested_by="ana").job_id
        engine.dispose()  # no connection goes into the child; compiled statements do
        child = os.fork()
        if child == 0:
            _work_and_die(queue, len(found) + 1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        found.append(_resume(queue, job_id))
    engine.dispose()
    return found


def _work_and_die(queue: JobQueue, after: int) -> None:
    engine = queue.engine
    queue.list(limit=1)  # connects, so that what follows is counted from the claim
    n = 0
    committed = False

    def die(*_: object) -> None:
        nonlocal n
        n += 1
        if n == after:
            os.kill(os.getpid(), signal.SIGKILL)

    def commit(_: object) -> None:
        nonlocal committed
        committed = True

    def die_if_committed(*_: object) -> None:
        nonlocal committed
        if committed:
            committed = False
            die()

    event.listen(engine, "after_cursor_execute", die)  # what it did is not committed
    event.listen(engine, "commit", commit)
    event.listen(engine, "before_cursor_execute", die_if_committed)  # all before it is
    JobRunner(queue, {"count": KIND}, "first", lambda *_: None, lease_s=600).run_one()


def _resume(queue: JobQueue, job_id: str) -> dict[str, Any]:
    n_done = sum(step.state is StepState.DONE for step in queue.steps(job_id))
    with queue.engine.begin() as connection:
        connection.execute(update(jobs).values(lease_until=0))  # its time has passed
    JobRunner(queue, {"count": KIND}, "second", lambda *_: None).run_one()
    job = queue.get(job_id)
    return {
        "n_done_at_death": n_done,
        "after": {"state": job.state.value, "result": job.result},
        "effects": effects_of(queue.engine, job_id),
        "outputs": [step.output for step in queue.steps(job_id)],
    }


def pause_in_a_step(url: str, go_on: Connection, results: "Queue[Any]", *, within: bool) -> None:
    """Work on a job of one step; say when it is in it, and at the end what was reported.

    Parameters
    ----------
    url : str
    go_on : Connection
        The step waits for a word on it.
    results : multiprocessing.Queue
    within : bool
        Wait in the step's transaction, its effect done; else before it.
    """
    said: list[str] = []

    def step(context: StepContext) -> None:
        if not within:
            results.put("in the step")
            go_on.poll(60)
        with context.transaction() as connection:
            connection.execute(
                text("INSERT INTO effects VALUES (:job, 'first', 1)"), {"job": context.job.job_id}
            )
            if within:
                results.put("in the step")
                go_on.poll(60)

    engine = make_engine(url)
    queue = JobQueue(engine, PROJECT, AffineClock())
    kinds = {"pause": JobKind("pause", (Step("first", step),))}
    JobRunner(queue, kinds, "first", lambda kind, _: said.append(kind), lease_s=1).run_one()
    results.put(said)
    engine.dispose()
