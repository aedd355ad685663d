"""Rows of the tables as values."""

from typing import Any

from timonel.jobs.job import Job, JobState, StepRecord, StepState, read_json


def read_job(row: Any) -> Job:
    """Make a job of its row."""
    return Job(
        job_id=str(row.job_id),
        kind=row.kind,
        model=row.model,
        payload=read_json(row.payload),
        state=JobState(row.state),
        unique_key=row.unique_key,
        requested_by=row.requested_by,
        created_at=row.created_at,
        run_at=row.run_at,
        attempts=row.attempts,
        max_attempts=row.max_attempts,
        owner=row.owner,
        lease_until=row.lease_until,
        cancel_requested=row.cancel_requested,
        started_at=row.started_at,
        finished_at=row.finished_at,
        result=read_json(row.result),
        error=read_json(row.error),
    )


def read_step(row: Any) -> StepRecord:
    """Make a step of its row."""
    return StepRecord(
        position=row.position,
        step=row.step,
        state=StepState(row.state),
        attempt=row.attempt,
        output=read_json(row.output),
        started_at=row.started_at,
        finished_at=row.finished_at,
        error=read_json(row.error),
    )


def deaths(row: Any) -> int:
    """Read how many workers have died of a job; kept in its error, which each attempt rewrites."""
    document = read_json(row.error) or {}
    return int(document.get("n_deaths", 0))
