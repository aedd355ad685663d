"""How a runner ends jobs: by what their steps return, raise, or fail to do."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.unit.jobs.test_executors import assert_gone, await_ids

from timonel.clock import AffineClock
from timonel.jobs.errors import JobEnded, UnknownFunction
from timonel.jobs.job import Job, JobState, Json, StepState
from timonel.jobs.queue import JobQueue
from timonel.jobs.runner import JobRunner
from timonel.jobs.steps import JobKind, Step, StepContext
from timonel.store.engine import make_engine
from timonel.store.errors import StoreUnavailable
from timonel.testing import tasks
from timonel.testing.jobs import open_queue
from timonel.testing.killed_jobs import effects_of

DOWN = StoreUnavailable(database="source", detail="no answer")
Run = Callable[[StepContext], Json]


class Bench:
    """A queue, and a runner whose one kind of job has the steps that a test gives."""

    def __init__(self, queue: JobQueue) -> None:
        self.queue = queue
        self.said: list[str] = []

    def runner(self, *steps: Step, lease_s: float = 15) -> JobRunner:
        kinds = {"work": JobKind("work", steps)}
        return JobRunner(self.queue, kinds, "w", self._hear, lease_s=lease_s)

    def submit(self, **payload: Any) -> str:
        return self.queue.submit("work", payload=payload, requested_by="ana").job_id

    def work(self, *steps: Step, payload: dict[str, Any] | None = None) -> Job:
        job_id = self.submit(**(payload or {}))
        assert self.runner(*steps).run_one()
        return self.queue.get(job_id)

    def _hear(self, kind: str, facts: dict[str, Any]) -> None:
        self.said.append(kind)


@pytest.fixture
def bench(sqlite_database: str) -> Iterator[Bench]:
    with open_queue(sqlite_database) as queue:
        yield Bench(queue)


def code_of(job: Job) -> str:
    assert job.error is not None
    return str(job.error["code"])


def raising(error: BaseException) -> Run:
    def run(_: StepContext) -> Json:
        raise error

    return run


def test_outputs_are_handed_on(bench: Bench) -> None:
    def second(context: StepContext) -> Json:
        assert context.outputs == {"first": {"rows": [1, 2]}}
        assert (context.project, context.job.attempts) == ("harbour", 1)
        return len(context.outputs["first"]["rows"]) + context.payload["more"]

    first = Step("first", lambda _: {"rows": (1, 2)})
    job = bench.work(first, Step("second", second), payload={"more": 3})
    assert (job.state, job.result, job.error) == (JobState.SUCCEEDED, 5, None)
    assert bench.said == ["job_started", "step_finished", "step_finished", "job_succeeded"]
    assert [step.state for step in bench.queue.steps(job.job_id)] == [StepState.DONE] * 2
    assert not bench.runner(first).run_one()


def test_an_error_of_ours_fails_the_job_and_one_that_passes_is_tried_again(bench: Bench) -> None:
    job = bench.work(Step("first", raising(JobEnded(job_id="7", state="failed"))))
    assert (job.state, code_of(job)) == (JobState.FAILED, "job_ended")
    job = bench.work(Step("first", raising(DOWN)))
    assert (job.state, code_of(job)) == (JobState.QUEUED, "store_unavailable")
    assert bench.queue.steps(job.job_id)[0].state is StepState.FAILED
    assert bench.said[-2:] == ["job_started", "job_retried"]


def test_any_other_error_is_told_and_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        job = bench.work(Step("first", raising(ZeroDivisionError("by none"))))
    assert (job.state, code_of(job)) == (JobState.FAILED, "step_failed")
    assert job.error is not None
    assert "ZeroDivisionError: by none" in job.error["detail"]
    assert "No se puede terminar el paso first" in job.error["detail_es"]
    assert "Traceback" in caplog.text


def test_an_output_that_json_does_not_hold_fails_the_job(bench: Bench) -> None:
    assert code_of(bench.work(Step("first", lambda _: float("nan")))) == "not_json"
    assert code_of(bench.work(Step("first", lambda _: object()))) == "not_json"


def test_an_effect_and_its_completion_are_one(bench: Bench) -> None:
    def rolled_back(context: StepContext) -> None:
        with context.transaction() as connection:
            connection.execute(text("INSERT INTO effects VALUES ('x', 'y', 1)"))
            raise DOWN

    job = bench.work(Step("first", rolled_back))
    assert effects_of(bench.queue.engine, "x") == {}
    job = bench.work(Step("first", tasks.count_in_step))
    assert (job.result, effects_of(bench.queue.engine, job.job_id)) == ({"n": 1}, {"first": 1})


def test_a_step_has_one_transaction_and_one_output(bench: Bench) -> None:
    def twice(context: StepContext) -> None:
        tasks.count_in_step(context)
        tasks.count_in_step(context)

    def another(context: StepContext) -> Json:
        tasks.count_in_step(context)
        return {"n": "another"}

    for run in (twice, another):
        assert code_of(bench.work(Step("first", run))) == "step_failed"


def test_a_job_of_other_steps_is_not_resumed(bench: Bench) -> None:
    job_id = bench.submit()
    assert bench.runner(Step("old", lambda _: 1), Step("next", raising(DOWN))).run_one()
    claimable_now(bench, job_id)
    assert bench.runner(Step("new", lambda _: 1), Step("next", lambda _: 2)).run_one()
    assert code_of(bench.queue.get(job_id)) == "steps_changed"


def test_a_resumed_job_does_not_repeat_its_steps(bench: Bench) -> None:
    n_runs = []
    first = Step("first", lambda _: n_runs.append(1))
    job_id = bench.submit()
    assert bench.runner(first, Step("second", raising(DOWN))).run_one()
    claimable_now(bench, job_id)
    assert bench.runner(first, Step("second", lambda context: dict(context.outputs))).run_one()
    assert bench.queue.get(job_id).result == {"first": None}
    assert n_runs == [1]
    assert [step.attempt for step in bench.queue.steps(job_id)] == [1, 2]


def test_a_cancelled_job_stops_where_its_step_asks(bench: Bench) -> None:
    def run(context: StepContext) -> None:
        bench.queue.cancel(context.job.job_id)
        while True:
            context.check()
            time.sleep(0.01)

    job_id = bench.submit()
    bench.runner(Step("first", run), lease_s=1).run_one()
    assert bench.queue.get(job_id).state is JobState.CANCELLED
    assert bench.said[-1] == "job_cancelled"


def test_a_cancelled_job_stops_between_its_steps(bench: Bench) -> None:
    def run(context: StepContext) -> None:
        bench.queue.cancel(context.job.job_id)

    job = bench.work(Step("first", run), Step("second", lambda _: 1))
    assert job.state is JobState.CANCELLED
    assert [step.state for step in bench.queue.steps(job.job_id)] == [StepState.DONE]


def test_a_step_that_takes_too_long_fails_the_job_while_it_still_runs(bench: Bench) -> None:
    found = []

    def run(context: StepContext) -> None:
        while bench.queue.get(context.job.job_id).state is JobState.RUNNING:
            time.sleep(0.01)
        found.append("ended")
        with context.transaction():
            found.append("never")

    job = bench.work(Step("first", run, timeout_s=0.1))
    assert (job.state, code_of(job)) == (JobState.FAILED, "step_timed_out")
    assert found == ["ended"]
    assert bench.said == ["job_started", "job_failed"]


def test_an_isolated_step_works_as_any(bench: Bench) -> None:
    first = Step("first", tasks.count_in_step, isolated=True)
    job = bench.work(first, Step("second", tasks.add_in_step, isolated=True))
    assert job.result == {"sum": 1}
    assert effects_of(bench.queue.engine, job.job_id) == {"first": 1}
    assert [step.output for step in bench.queue.steps(job.job_id)] == [{"n": 1}, {"sum": 1}]


def test_an_isolated_step_that_hangs_is_killed(bench: Bench, tmp_path: Path) -> None:
    step = Step("first", tasks.hang_in_step, isolated=True, timeout_s=2)
    job = bench.work(step, payload={"file": str(tmp_path / "ids")})
    assert (job.state, code_of(job)) == (JobState.FAILED, "step_timed_out")
    if (tmp_path / "ids").exists():  # a slow host may have needed the time to start it
        assert_gone(await_ids(tmp_path / "ids"))


def test_an_isolated_step_that_dies_or_raises(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    job = bench.work(Step("first", tasks.die_in_step, isolated=True))
    assert (job.state, code_of(job)) == (JobState.QUEUED, "task_ended")
    assert job.error is not None
    assert "timonel.testing.tasks:die_in_step" in job.error["detail"]
    raises = Step("first", tasks.raise_in_step, isolated=True)
    assert code_of(bench.work(raises, payload={"known": True})) == "job_ended"
    job = bench.work(raises)
    assert code_of(job) == "step_failed"
    assert job.error is not None
    assert "trace" not in job.error
    assert "Traceback" in caplog.text
    with pytest.raises(UnknownFunction):
        Step("first", lambda _: 1, isolated=True)


def test_a_worker_that_stops_gives_its_job_back(bench: Bench, tmp_path: Path) -> None:
    stop = threading.Event()
    job_id = bench.submit(file=str(tmp_path / "ids"))
    steps = [
        Step("first", lambda _: 1),
        Step("second", tasks.hang_in_step, isolated=True),
    ]
    worker = threading.Thread(target=bench.runner(*steps).run, args=(stop,))
    worker.start()
    ids = await_ids(tmp_path / "ids")
    stop.set()
    worker.join(30)
    assert not worker.is_alive()
    assert_gone(ids)
    job = bench.queue.get(job_id)
    assert (job.state, job.attempts, job.owner) == (JobState.QUEUED, 0, None)
    assert bench.said[-1] == "job_released"
    assert bench.runner(steps[0], Step("second", lambda _: "done")).run_one()
    assert bench.queue.get(job_id).result == "done"


def test_a_worker_that_cannot_reach_the_database_stops_in_time(bench: Bench) -> None:
    blocked = threading.Event()

    def run(context: StepContext) -> None:
        with bench.queue.engine.begin():  # holds SQLite's write lock: no heartbeat gets through
            blocked.set()
            while True:
                context.check()
                time.sleep(0.01)

    job_id = bench.submit()
    bench.runner(Step("first", run), lease_s=0.2).run_one()
    assert blocked.is_set()
    assert bench.said == ["job_started", "lease_lost"]
    assert bench.queue.get(job_id).state is JobState.RUNNING


def test_a_runner_outlives_its_database(tmp_path: Path) -> None:
    stop, said = threading.Event(), []

    def hear(kind: str, facts: dict[str, Any]) -> None:
        said.append((kind, facts["error"].code))
        stop.set()

    engine = make_engine(f"sqlite:///{tmp_path}/missing/timonel.db")
    JobRunner(JobQueue(engine, "harbour", AffineClock()), {}, "w", hear).run(stop)
    assert said == [("jobs_unavailable", "store_unavailable")]


def test_kinds_and_steps_are_checked_when_declared() -> None:
    with pytest.raises(ValueError, match="in common"):
        JobKind("work", (Step("a", lambda _: 1), Step("a", lambda _: 1)))


def claimable_now(bench: Bench, job_id: str) -> None:
    created = bench.queue.get(job_id).created_at
    with bench.queue.engine.begin() as connection:
        connection.execute(
            text("UPDATE jobs SET run_at = 0 WHERE created_at = :created"), {"created": created}
        )
