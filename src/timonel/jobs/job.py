"""What a job is: values, and the arithmetic of trying again."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from timonel.errors import TimonelError
from timonel.jobs.errors import NotJson
from timonel.wire.problem import problem

Json = Any  # None, bool, int, float, str, and lists and dicts of these

RETRY_FIRST_S = 10.0
RETRY_MOST_S = 3600.0


class JobState(StrEnum):
    """Where a job stands; the last three are ends."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


class StepState(StrEnum):
    """Where a step of a job stands; one whose worker died stays ``running`` until it is retaken."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Standing(StrEnum):
    """Whether who claimed a job may go on with it."""

    HELD = "held"
    CANCELLED = "cancelled"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Job:
    """A unit of work and what became of it.

    ``created_at``, ``started_at`` and ``finished_at`` are event time, ``run_at`` and
    ``lease_until`` the database's clock; microseconds UTC. ``error`` is a problem document, also of
    the last failed attempt of a job that is tried again.
    """

    job_id: str
    kind: str
    model: str
    payload: Json
    state: JobState
    unique_key: str | None
    requested_by: str
    created_at: int
    run_at: int
    attempts: int
    max_attempts: int
    owner: str | None
    lease_until: int | None
    cancel_requested: bool
    started_at: int | None
    finished_at: int | None
    result: Json
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A begun step of a job; times are event time."""

    position: int
    step: str
    state: StepState
    attempt: int
    output: Json
    started_at: int
    finished_at: int | None
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a job, until another claim has a greater token."""

    job: Job
    worker_id: str
    token: int
    lease_s: float


def one_per_model(kind: str, model: str) -> str:
    """Name the purpose of jobs of which one at a time may run for a model.

    Whoever starts such a job, by hand or by schedule, gives this as its ``unique_key``.
    """
    return f"{kind}:{model}"


def retry_wait_s(attempts: int, first_s: float = RETRY_FIRST_S) -> float:
    """Give how long to wait after so many attempts: twice as long each time, at most an hour.

    Examples
    --------
    >>> [retry_wait_s(attempts) for attempts in (1, 2, 3, 20)]
    [10.0, 20.0, 40.0, 3600.0]
    """
    return float(min(first_s * 2.0 ** min(attempts - 1, 30), RETRY_MOST_S))


def write_json(value: Json, what: str) -> str:
    """Write a value as JSON; refuse what would not come back as it was.

    Raises
    ------
    NotJson
        For a NaN, an array, an object, and the like.
    """
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotJson(what=what, detail=str(error)) from None


def read_json(text: str | None) -> Json:
    """Read a stored value; None where there is none."""
    return None if text is None else json.loads(text)


def write_error(error: TimonelError) -> dict[str, Any]:
    """Give the problem document of an error, in both languages, of plain values only."""
    document = problem(error)
    document |= {"detail_es": error.message("es"), "remedy_es": error.remedy("es")}
    plain: dict[str, Any] = json.loads(json.dumps(document, default=str))
    return plain
