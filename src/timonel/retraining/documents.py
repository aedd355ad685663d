"""Jobs as JSON documents, for routes, pages and commands. Pure."""

from datetime import UTC, datetime
from typing import Any

from timonel.jobs.job import Job, StepRecord

Document = dict[str, Any]


def job_document(job: Job) -> Document:
    """Give a job without its report."""
    result = job.result
    if isinstance(result, dict):
        result = {name: value for name, value in result.items() if name != "report"}
    return {
        "job_id": job.job_id,
        "kind": job.kind,
        "model": job.model,
        "state": str(job.state),
        "requested_by": job.requested_by,
        "created_at": _moment(job.created_at),
        "started_at": _moment(job.started_at),
        "finished_at": _moment(job.finished_at),
        "attempts": job.attempts,
        "max_attempts": job.max_attempts,
        "cancel_requested": job.cancel_requested,
        "payload": job.payload,
        "result": result,
        "error": job.error,
    }


def step_document(step: StepRecord) -> Document:
    """Give a step of a job."""
    return {
        "step": step.step,
        "state": str(step.state),
        "attempt": step.attempt,
        "started_at": _moment(step.started_at),
        "finished_at": _moment(step.finished_at),
        "error": step.error,
    }


def report_of(job: Job, lang: str) -> str | None:
    """Give the Markdown report of a job that has one."""
    result = job.result
    if not isinstance(result, dict) or "report" not in result:
        return None
    report: str = result["report"][lang]
    return report


def _moment(micros: int | None) -> str | None:
    return None if micros is None else datetime.fromtimestamp(micros / 1e6, UTC).isoformat()
