"""How the last job of a kind ended, as a signal that alerts consume."""

from collections.abc import Iterable

from timonel.jobs.job import Job, JobState
from timonel.signals import Condition, Kind, Severity, Signal


def last_ended(jobs: Iterable[Job]) -> Job | None:
    """Give the newest job that succeeded or failed, of some with the newest first."""
    ended = (job for job in jobs if job.state in (JobState.SUCCEEDED, JobState.FAILED))
    return next(ended, None)


def failure_of(job: Job, monitor: str) -> Signal:
    """Say whether a job that has ended had failed."""
    return Signal(
        kind=Kind.JOB_FAILED,
        condition=Condition.HOLDS if job.state is JobState.FAILED else Condition.CLEAR,
        severity=Severity.HIGH,
        model=job.model,
        monitor=monitor,
        at=job.finished_at or job.created_at,
        facts={"job_id": job.job_id, "job": job.kind, "error": job.error},
    )
