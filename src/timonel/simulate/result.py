"""What a demo gives back: one value, JSON-able, its counts made by the client."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from timonel.alerts.alert import Alert
from timonel.simulate.record import Choice, Record, Tally
from timonel.simulate.witness import JobSeen

_OF_A_VERSION = ("name", "version", "stage", "aliases", "created_at", "deployed_at")


@dataclass(frozen=True, slots=True)
class MissingArc:
    """A part of the story that did not happen, and why."""

    arc: str
    reason: str


@dataclass(slots=True, kw_only=True)
class Told:
    """What the story found out while it was told; filled as it goes on."""

    missing: list[MissingArc] = field(default_factory=list)
    promoted: str | None = None
    drift_detected_at: int | None = None
    model_failure: dict[str, Any] | None = None
    rollback: dict[str, Any] | None = None
    before: Choice | None = None
    during: Choice | None = None
    after: Choice | None = None

    def lacks(self, arc: str, reason: str) -> None:
        """Note that an arc did not happen."""
        self.missing.append(MissingArc(arc, reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What happened in one run.

    An accuracy is ``{"n", "value", "low", "high"}`` (95 % Wilson interval) of the model's answers
    whose truth the client knows, or None where there are none. ``accuracy_baseline`` is how often
    always giving the commoner truth would have been right on the rows of ``accuracy_before``.
    ``alerts`` and ``retraining`` are what the server says of itself; all else the client counted.
    """

    versions: list[dict[str, Any]]
    predictions: int
    answered_by_model: int
    answered_by_rules: int
    answered_by_baseline: int
    refused: int
    in_doubt: int
    outcomes_sent: int
    outcomes_joined: int
    drift_detected_at: str | None
    alerts: list[dict[str, Any]]
    retraining: dict[str, Any] | None
    promoted: str | None
    accuracy_before: dict[str, float] | None
    accuracy_during_drift: dict[str, float] | None
    accuracy_after: dict[str, float] | None
    accuracy_rules: dict[str, float] | None
    accuracy_baseline: float | None
    model_failure: dict[str, Any] | None
    rollback: dict[str, Any] | None
    lost: int
    duplicated: int
    strange: int
    missing_arcs: list[dict[str, str]]
    latency_ms: dict[str, float] | None
    city_days: float
    seconds: float
    timeline: list[str]

    @property
    def ok(self) -> bool:
        """Whether every arc happened."""
        return not self.missing_arcs

    def document(self) -> dict[str, Any]:
        """Give the JSON form."""
        return {"ok": self.ok, **asdict(self)}


def accounting(record: Record, tally: Tally, n_joined: int, told: Told) -> None:
    """Note what does not add up: an account that is not whole is an arc that did not happen."""
    counts = {
        "lost": len(tally.lost),
        "duplicated": len(tally.duplicated),
        "strange": len(tally.strange),
        "refused": len(record.refused),
        "in_doubt": len(record.in_doubt),
        "outcomes not joined": record.n_outcomes - n_joined,
        "without outcome": record.n_predictions - record.n_outcomes,
    }
    wrong = [f"{n} {name}" for name, n in counts.items() if n]
    if not record.n_predictions:
        wrong.append("no predictions")
    if wrong:
        told.lacks("accounting", ", ".join([*wrong, *record.refused[:1]]))


def alert_document(alert: Alert) -> dict[str, Any]:
    """Describe an alert for JSON."""
    return {
        "id": alert.alert_id,
        "kind": str(alert.kind),
        "severity": str(alert.severity),
        "state": str(alert.state),
        "version": alert.version or None,
        "column": alert.column or None,
        "fired_at": iso(alert.fired_at),
        "resolved_at": iso(alert.resolved_at),
        "resolved_by": alert.resolved_by,
    }


def job_document(job: JobSeen, rate: float) -> dict[str, Any]:
    """Describe a retraining for JSON; seconds are real ones, by the event clock's rate."""
    return {
        "job_id": job.job_id,
        "state": job.state,
        "outcome": job.outcome,
        "trigger": job.trigger,
        "version": job.result.get("version"),
        "champion": job.result.get("champion"),
        "verdict": job.result.get("verdict"),
        "reason": job.result.get("reason"),
        "requested_at": iso(job.created_at),
        "seconds": job.seconds(rate),
        "steps": [
            {
                "step": step.step,
                "state": step.state,
                "seconds": None
                if step.finished_at is None
                else round((step.finished_at - step.started_at) / 1e6 / rate, 3),
            }
            for step in job.steps
        ],
    }


def version_document(version: dict[str, Any]) -> dict[str, Any]:
    """Describe a version by what the server says of it."""
    return {name: version.get(name) for name in _OF_A_VERSION}


def accuracy(record: Record, choice: Choice | None) -> dict[str, float] | None:
    """Give the accuracy of some answers with its interval, or None where no truth is known."""
    found = None if choice is None else record.accuracy(choice)
    if choice is None or found is None:
        return None
    n = record.n_labelled(choice)
    return {
        "n": n,
        "value": round(found.estimate, 4),
        "low": round(found.low, 4),
        "high": round(found.high, 4),
    }


def latency_ms(record: Record, source: str) -> dict[str, float] | None:
    """Give the median and the 99th percentile of what the client waited, in milliseconds."""
    waits = [e.seconds * 1e3 for e in record.chosen(Choice(source))]
    if not waits:
        return None
    p50, p99 = np.quantile(waits, [0.5, 0.99])
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3)}


def iso(at_us: int | None) -> str | None:
    """Write a moment of event time."""
    return None if at_us is None else datetime.fromtimestamp(at_us / 1e6, UTC).isoformat()
