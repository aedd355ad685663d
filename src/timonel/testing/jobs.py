"""The conformance suite of the job queue: what every database must do for it, ``kill -9`` included.

Each check takes the URL of a fresh, empty database, as those of ``timonel.testing.store``.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from sqlalchemy import text, update

from timonel.clock import AffineClock
from timonel.errors import TimonelError
from timonel.jobs.errors import JobActive, JobCancelled, JobEnded, LeaseLost, UnknownJob
from timonel.jobs.job import Claim, Job, JobState, Standing, StepState, one_per_model
from timonel.jobs.queue import JobQueue
from timonel.jobs.runner import JobRunner
from timonel.jobs.schedule import Scheduler
from timonel.store.errors import StoreUnavailable
from timonel.store.tables_loop import jobs
from timonel.store.url import SQLITE
from timonel.testing.builders import PROJECT, open_registry
from timonel.testing.killed_jobs import (
    HANGING,
    effects_of,
    kill_everywhere,
    pause_in_a_step,
    work_until_killed,
)

_RETRAIN = one_per_model("retrain", "churn")


@contextmanager
def open_queue(url: str) -> Iterator[JobQueue]:
    """Prepare a database and give its queue."""
    with open_registry(url) as (engine, _):
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE effects (job TEXT, step TEXT, n INTEGER)"))
        yield JobQueue(engine, PROJECT, AffineClock(), retry_first_s=60)


def end_lease(queue: JobQueue, job_id: str) -> None:
    """Let the lease of a job be over, as if its time had passed."""
    _set(queue, job_id, lease_until=0)


def check_one_active_job_a_purpose(url: str) -> None:
    """Check that of several submitted at once one is entered, and the next after its end."""
    with open_queue(url) as queue:

        def submit() -> Job | JobActive:
            try:
                return queue.submit("retrain", unique_key=_RETRAIN, requested_by="ana")
            except JobActive as error:
                return error

        said = _together(submit, 4)
        (entered,) = [job for job in said if isinstance(job, Job)]
        refused = [error for error in said if isinstance(error, JobActive)]
        assert {error.context["job_id"] for error in refused} == {entered.job_id}
        assert queue.submit("retrain", requested_by="ana").unique_key is None
        queue.cancel(entered.job_id)
        again = submit()
        assert isinstance(again, Job)
        assert again.job_id != entered.job_id
        with queue.engine.begin() as connection:
            _refuses(
                lambda: queue.submit(
                    "retrain", unique_key=_RETRAIN, requested_by="ana", connection=connection
                ),
                JobActive,
            )
            other = queue.submit("other", requested_by="ana", connection=connection)
        assert queue.get(other.job_id).state is JobState.QUEUED


def check_a_job_is_claimed_once(url: str) -> None:
    """Check that several workers share the jobs, in the order they came due."""
    with open_queue(url) as queue:
        entered = [queue.submit("count", requested_by="ana").job_id for _ in range(20)]
        queue.submit("count", requested_by="ana", delay_s=60)
        queue.submit("other", requested_by="ana")

        def claim_all() -> list[str]:
            claimed = []
            while claim := _patient(lambda: queue.claim("w", kinds={"count"})):
                claimed.append(claim.job.job_id)
            return claimed

        shares = _together(claim_all, 4)
        assert sorted(chain(*shares)) == sorted(entered)
        assert all(share == sorted(share) for share in shares)


def check_a_lost_lease_fences(url: str) -> None:
    """Check that after a take-over nothing of the first worker is written."""
    with open_queue(url) as queue:
        job_id = queue.submit("count", requested_by="ana").job_id
        first = _claim(queue, "first")
        queue.begin_step(first, 0, "one")
        assert queue.heartbeat(first)
        assert queue.claim("second") is None
        end_lease(queue, job_id)
        assert queue.heartbeat(first), "a lease that nobody took is the holder's still"
        end_lease(queue, job_id)
        second = _claim(queue, "second")
        assert (second.job.attempts, second.token) == (2, first.token + 1)
        assert second.job.error is not None
        assert second.job.error["code"] == "worker_died"
        assert queue.standing(first) is Standing.LOST
        assert not queue.heartbeat(first)
        for write in (
            lambda: queue.begin_step(first, 0, "one"),
            lambda: queue.finish_step(first, 0, {}),
            lambda: queue.finish(first),
            lambda: queue.fail(first, LeaseLost(job_id="", worker_id=""), retry=True),
            lambda: queue.release(first),
            lambda: queue.acknowledge_cancel(first),
        ):
            _refuses(write, LeaseLost)
        (step,) = queue.steps(job_id)
        assert (step.state, step.attempt) == (StepState.RUNNING, 1)
        queue.begin_step(second, 0, "one")
        queue.finish_step(second, 0, {"n": 1})
        queue.finish(second, {"n": 1})
        _refuses(lambda: queue.finish(second), LeaseLost)
        job = queue.get(job_id)
        assert (job.state, job.result, job.error) == (JobState.SUCCEEDED, {"n": 1}, None)


def check_a_job_that_kills_workers_ends(url: str) -> None:
    """Check that a job is given up after its attempts, and says how many workers died of it."""
    with open_queue(url) as queue:
        job_id = queue.submit("count", requested_by="ana", max_attempts=3).job_id
        ended: list[Job] = []
        for _ in range(2):
            claim = _claim(queue, "w")
            queue.begin_step(claim, 0, "one")
            end_lease(queue, job_id)
        claim = _claim(queue, "w")
        queue.fail(claim, StoreUnavailable(database="d", detail="down"), retry=True)
        job = queue.get(job_id)
        assert (job.state, job.attempts) == (JobState.FAILED, 3)
        _set(queue, job_id, state="running", lease_until=0)
        assert queue.claim("w", on_end=ended.append) is None
        (job,) = ended
        assert job.state is JobState.FAILED
        assert job.error is not None
        assert "its worker died 3 times" in job.error["detail"]
        assert "su proceso murió 3 veces" in job.error["detail_es"]
        assert queue.claim("w") is None


def check_cancelling(url: str) -> None:
    """Check that a waiting job stops at once, a running one at its next sign of life."""
    with open_queue(url) as queue:
        waiting = queue.submit("count", requested_by="ana")
        assert queue.cancel(waiting.job_id).state is JobState.CANCELLED
        _refuses(lambda: queue.cancel(waiting.job_id), JobEnded)
        _refuses(lambda: queue.cancel("nonsense"), UnknownJob)

        job_id = queue.submit("count", requested_by="ana").job_id
        claim = _claim(queue, "w")
        assert queue.cancel(job_id).state is JobState.RUNNING
        assert queue.cancel(job_id).cancel_requested
        assert not queue.heartbeat(claim)
        assert queue.standing(claim) is Standing.CANCELLED
        _refuses(lambda: queue.begin_step(claim, 0, "one"), JobCancelled)
        queue.acknowledge_cancel(claim)
        assert queue.get(job_id).state is JobState.CANCELLED

        job_id = queue.submit("count", requested_by="ana").job_id
        claim = _claim(queue, "w")
        queue.cancel(job_id)
        end_lease(queue, job_id)
        assert queue.claim("second") is None, "nobody goes on with a cancelled job of the dead"
        assert queue.get(job_id).state is JobState.CANCELLED


def check_trying_again(url: str) -> None:
    """Check that a failed attempt waits, twice as long each time, and that a release does not."""
    with open_queue(url) as queue:
        down = StoreUnavailable(database="d", detail="down")
        job_id = queue.submit("count", requested_by="ana", max_attempts=3).job_id
        waits = []
        for _ in range(2):
            claim = _claim(queue, "w")
            queue.begin_step(claim, 0, "one")
            assert queue.fail(claim, down, retry=True) is JobState.QUEUED
            assert queue.steps(job_id)[0].state is StepState.FAILED
            assert queue.claim("w") is None
            waits.append(queue.get(job_id).run_at - claim.job.run_at)
            _set(queue, job_id, run_at=claim.job.run_at)
        assert 60e6 <= waits[0] < 100e6
        assert 120e6 <= waits[1] < 160e6
        claim = _claim(queue, "w")
        queue.release(claim)
        assert queue.get(job_id).attempts == 2
        claim = _claim(queue, "w")
        assert claim.job.attempts == 3
        assert queue.fail(claim, down, retry=True) is JobState.FAILED

        job_id = queue.submit("count", requested_by="ana").job_id
        assert queue.fail(_claim(queue, "w"), down, retry=False) is JobState.FAILED


def check_listing(url: str) -> None:
    """Check that pages of the list join without a gap."""
    with open_queue(url) as queue:
        made = [
            queue.submit("count", model="ab"[n % 2], payload={"n": n}, requested_by="ana").job_id
            for n in range(7)
        ]
        pages, before = [], None
        while page := queue.list(limit=3, before=before):
            pages.append([job.job_id for job in page])
            before = page[-1].job_id
        assert list(chain(*pages)) == made[::-1]
        assert [len(page) for page in pages] == [3, 3, 1]
        queue.cancel(made[0])
        assert [job.payload for job in queue.list(model="a", state="queued", kind="count")] == [
            {"n": 6},
            {"n": 4},
            {"n": 2},
        ]


def check_killed_anywhere_resumes(url: str) -> None:
    """Check a worker that is killed before and after each statement: every effect happens once.

    The jobs are resumed by another worker, with the outputs of the steps that were done.
    """
    with open_queue(url):
        pass
    context = multiprocessing.get_context("forkserver")
    results = context.Queue()
    worker = context.Process(target=kill_everywhere, args=(url, results))
    worker.start()
    states = results.get(timeout=120)
    worker.join(60)
    assert isinstance(states, list), states
    assert len(states) > 30, "so many moments at least are there to be killed in"
    killed_after: Counter[int] = Counter()
    for state in states:
        assert state["after"] == {"state": "succeeded", "result": {"n": 3}}, state
        assert state["effects"] == {"first": 1, "second": 1}, state
        assert state["outputs"] == [{"n": 1}, {"sum": 1}, {"n": 3}], state
        killed_after[state["n_done_at_death"]] += 1
    assert set(killed_after) == {0, 1, 2, 3}, killed_after


def check_a_paused_worker_is_fenced(url: str) -> None:
    """Check a worker that was stopped past its lease, before a step's transaction or within it.

    When it goes on the job is another's: what it does is rolled back.
    """
    with open_queue(url) as queue:
        _pause(url, queue, within=False)
        if queue.engine.dialect.name != SQLITE:  # there it would hold the only write lock
            _pause(url, queue, within=True)


def check_a_worker_killed_in_an_isolated_step(url: str) -> None:
    """Check that the step's process dies with its worker, and another worker goes on."""
    with open_queue(url) as queue, TemporaryDirectory() as folder:
        ids = Path(folder, "ids")
        job_id = queue.submit("hang", payload={"file": str(ids)}, requested_by="ana").job_id
        worker = multiprocessing.get_context("forkserver").Process(
            target=work_until_killed, args=(url,)
        )
        worker.start()
        _await(ids.exists)
        worker.kill()
        worker.join(60)
        second = JobRunner(queue, {"hang": HANGING}, "second", lambda *_: None)
        _await(second.run_one)  # once the lease has ended
        job = queue.get(job_id)
        assert (job.state, job.attempts, job.owner) == (JobState.SUCCEEDED, 2, "second")
        assert effects_of(queue.engine, job_id) == {"first": 1}
        process_ids = [int(written) for written in ids.read_text("utf-8").split()]
        _await(lambda: not any(map(is_alive, process_ids)))


def check_a_tick_is_one_workers(url: str) -> None:
    """Check that several workers that look at once submit each tick once, and missed ones once."""
    hour = 3_600_000_000
    clock = _Hand(1_767_279_600_000_000)  # 2026-01-01T12:00 in Santiago
    with open_queue(url) as queue:

        def scheduler() -> Scheduler:
            return Scheduler(queue.engine, PROJECT, "America/Santiago", clock)

        added = _together(lambda: scheduler().put("nightly", "0 2 * * *", "report"), 4)
        assert True in added
        assert not scheduler().put("nightly", "0  2 * * *", "report")
        scheduler().put("retrain:churn", "0 * * * *", "retrain", "churn", {"why": "hourly"})
        assert scheduler().tick() == []
        clock.us += hour
        (job,) = chain(*_together(lambda: _patient(lambda: scheduler().tick()), 4))
        assert (job.kind, job.model, job.payload) == ("retrain", "churn", {"why": "hourly"})
        assert job.unique_key == _RETRAIN
        assert job.requested_by == "schedule retrain:churn 2026-01-01T13:00"
        clock.us += 100 * hour  # the retraining is active still: its ticks are passed over
        (job,) = chain(*_together(lambda: _patient(lambda: scheduler().tick()), 4))
        assert job.requested_by == "schedule nightly 2026-01-05T02:00"
        assert scheduler().tick() == []
        assert [s.last_tick for s in scheduler().list()] == ["2026-01-05T02:00", "2026-01-05T17:00"]
        assert scheduler().put("nightly", "0 3 * * *", "report")
        assert scheduler().tick() == [], "what changes does not come due for the past"
        assert scheduler().next_tick("nightly").key == "2026-01-06T03:00"
        scheduler().remove("nightly")
        assert [s.name for s in scheduler().list()] == ["retrain:churn"]


JOB_CHECKS: list[Callable[[str], None]] = [
    check_one_active_job_a_purpose,
    check_a_job_is_claimed_once,
    check_a_lost_lease_fences,
    check_a_job_that_kills_workers_ends,
    check_cancelling,
    check_trying_again,
    check_listing,
    check_killed_anywhere_resumes,
    check_a_paused_worker_is_fenced,
    check_a_worker_killed_in_an_isolated_step,
    check_a_tick_is_one_workers,
]


@dataclass
class _Hand:
    """A clock that is set by hand."""

    us: int

    def now_us(self) -> int:
        return self.us


def _pause(url: str, queue: JobQueue, *, within: bool) -> None:
    job_id = queue.submit("pause", requested_by="ana").job_id
    context = multiprocessing.get_context("forkserver")
    go_on, say = context.Pipe(duplex=False)
    results = context.Queue()
    worker = context.Process(
        target=pause_in_a_step, args=(url, go_on, results), kwargs={"within": within}
    )
    worker.start()
    assert results.get(timeout=60) == "in the step"
    os.kill(worker.pid or 0, signal.SIGSTOP)
    try:
        second = None
        deadline = time.monotonic() + 120
        while second is None and time.monotonic() < deadline:
            second = queue.claim("second")  # the lease ends by itself
        assert second is not None
        queue.begin_step(second, 0, "first")
        queue.finish_step(second, 0, {"by": "second"})
        say.send("go on")
    finally:
        os.kill(worker.pid or 0, signal.SIGCONT)
    assert results.get(timeout=60) == ["job_started", "lease_lost"]
    worker.join(60)
    assert effects_of(queue.engine, job_id) == {}
    assert queue.steps(job_id)[0].output == {"by": "second"}
    assert queue.standing(second) is Standing.HELD
    queue.finish(second)


def is_alive(process_id: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has buried yet does not."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process_id}/stat")
    return not (stat.exists() and stat.read_text("utf-8").rpartition(")")[2].split()[0] == "Z")


def _await(work: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not work():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def _claim(queue: JobQueue, worker_id: str) -> Claim:
    claim = queue.claim(worker_id)
    assert claim is not None
    return claim


def _set(queue: JobQueue, job_id: str, **values: Any) -> None:
    with queue.engine.begin() as connection:
        connection.execute(update(jobs).where(jobs.c.job_id == UUID(job_id)).values(values))


def _refuses(work: Callable[[], Any], kind: type[TimonelError]) -> None:
    try:
        work()
    except kind:
        return
    message = f"expected {kind.__name__}"
    raise AssertionError(message)


def _patient(work: Callable[[], Any]) -> Any:
    """Try again while SQLite's write lock is held by others: what a worker's loop does."""
    while True:
        try:
            return work()
        except StoreUnavailable:
            continue


def _together(work: Callable[[], Any], n: int) -> list[Any]:
    barrier = threading.Barrier(n)

    def run(_: int) -> Any:
        barrier.wait(30)
        return work()

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(run, range(n)))
