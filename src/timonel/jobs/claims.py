"""How a job changes hands: what may be claimed, and the guarded UPDATE that one worker wins."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, and_, or_, select, update

from timonel.jobs import rows
from timonel.jobs.errors import WorkerDied
from timonel.jobs.job import Claim, Job, JobState, StepState, write_error, write_json
from timonel.store.engine import database_now
from timonel.store.tables_loop import job_steps, jobs

_CANDIDATES = 8  # of which another worker may take some before us

_row = jobs.c


def claimable(connection: Connection, project: str, kinds: Collection[str] | None) -> Sequence[Any]:
    """Read the jobs that are due or whose lease has ended, the one due longest first."""
    expired = and_(_row.state == JobState.RUNNING, _row.lease_until < database_now())
    due = and_(_row.state == JobState.QUEUED, _row.run_at <= database_now())
    wanted = [_row.project == project, or_(due, expired)]
    if kinds is not None:
        wanted.append(_row.kind.in_(sorted(kinds)))
    query = select(jobs).where(*wanted).order_by(_row.run_at, _row.job_id).limit(_CANDIDATES)
    return connection.execute(query).all()


def take(
    engine: Engine, row: Any, *, worker_id: str, lease_s: float, now: int
) -> Claim | Job | None:
    """Take a job as it was read.

    Returns
    -------
    Claim, Job or None
        The job itself if it ended instead: its worker died, and no attempt is left or it was to
        stop. None if another worker was first.
    """
    mine = and_(_row.project == row.project, _row.job_id == row.job_id)
    as_seen = and_(mine, _row.token == row.token, _row.state == row.state)
    values: dict[str, Any] = {"token": row.token + 1}
    if row.state == JobState.RUNNING:
        as_seen = and_(as_seen, _row.lease_until < database_now())
        values["error"] = write_json(_death(row), "an error")
        values |= _end_of_the_dead(row, now)
    if "state" not in values:
        values |= {
            "state": JobState.RUNNING,
            "attempts": row.attempts + 1,
            "owner": worker_id,
            "lease_until": database_now() + round(lease_s * 1e6),
            "started_at": row.started_at or now,
        }
    with engine.begin() as connection:
        if connection.execute(update(jobs).where(as_seen).values(values)).rowcount != 1:
            return None
        job = rows.read_job(connection.execute(select(jobs).where(mine)).one())
        if job.state is JobState.RUNNING:
            return Claim(job, worker_id, row.token + 1, lease_s)
        fail_steps(connection, row.project, job.job_id, values["error"], now)
        return job


def fail_steps(connection: Connection, project: str, job_id: str, error: str, now: int) -> None:
    """Write that the step which was running has failed."""
    step = job_steps.c
    running = and_(
        step.project == project, step.job_id == UUID(job_id), step.state == StepState.RUNNING
    )
    failed = {"state": StepState.FAILED, "finished_at": now, "error": error}
    connection.execute(update(job_steps).where(running).values(failed))


def ended(state: JobState, now: int) -> dict[str, Any]:
    """Give the columns of a job that ends."""
    return {"state": state, "active": None, "finished_at": now, "lease_until": None}


def waiting(wait_s: float) -> dict[str, Any]:
    """Give the columns of a job that is to be claimed again."""
    run_at = database_now() + round(wait_s * 1e6)
    return {"state": JobState.QUEUED, "owner": None, "lease_until": None, "run_at": run_at}


def _end_of_the_dead(row: Any, now: int) -> dict[str, Any]:
    if row.cancel_requested:
        return ended(JobState.CANCELLED, now)
    return ended(JobState.FAILED, now) if row.attempts >= row.max_attempts else {}


def _death(row: Any) -> dict[str, Any]:
    error = WorkerDied(
        job_id=str(row.job_id),
        n_deaths=rows.deaths(row) + 1,
        worker_id=row.owner,
        attempts=row.attempts,
        max_attempts=row.max_attempts,
    )
    return write_error(error)
