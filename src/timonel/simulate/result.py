"""What a demo gives back: one value, JSON-able, all of it counted by the client."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from timonel.simulate.record import Record, Tally

_OF_A_VERSION = ("name", "version", "stage", "aliases", "created_at", "deployed_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What happened in one run.

    ``accuracy`` and ``accuracy_rules`` are ``{"n", "value", "low", "high"}`` (95 % Wilson interval)
    over answers whose truth is known, or None where there are none; ``accuracy_baseline`` is how
    often always giving the commoner truth would have been right on the model's rows.
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
    accuracy: dict[str, float] | None
    accuracy_rules: dict[str, float] | None
    accuracy_baseline: float | None
    lost: int
    doubled: int
    strange: int
    latency_ms: dict[str, float] | None
    seconds: float
    timeline: list[str]

    @property
    def ok(self) -> bool:
        """Whether a model answered, nothing was lost or doubled, and every outcome joined."""
        return (
            self.answered_by_model > 0
            and self.lost == self.doubled == self.refused == self.in_doubt == 0
            and self.outcomes_joined == self.outcomes_sent == self.predictions
        )

    def document(self) -> dict[str, Any]:
        """Give the JSON form."""
        return {"ok": self.ok, **asdict(self)}


def result(
    record: Record,
    tally: Tally,
    *,
    versions: list[dict[str, Any]],
    n_joined: int,
    seconds: float,
    timeline: list[str],
) -> DemoResult:
    """Sum up a record and its comparison with the server's list."""
    return DemoResult(
        versions=[{name: version.get(name) for name in _OF_A_VERSION} for version in versions],
        predictions=record.n_predictions,
        answered_by_model=record.answered_by("model"),
        answered_by_rules=record.answered_by("rules"),
        answered_by_baseline=record.answered_by("baseline"),
        refused=len(record.refused),
        in_doubt=len(record.in_doubt),
        outcomes_sent=record.n_outcomes,
        outcomes_joined=n_joined,
        accuracy=accuracy(record, "model"),
        accuracy_rules=accuracy(record, "rules"),
        accuracy_baseline=record.commonest_outcome("model"),
        lost=len(tally.lost),
        doubled=len(tally.doubled),
        strange=len(tally.strange),
        latency_ms=latency_ms(record, "model"),
        seconds=round(seconds, 3),
        timeline=timeline,
    )


def accuracy(record: Record, source: str) -> dict[str, float] | None:
    """Give a source's accuracy with its interval, or None where no truth is known."""
    found = record.accuracy(source)
    if found is None:
        return None
    n = sum(
        entry.source == source and entry.outcome is not None
        for entry in record.acknowledged.values()
    )
    return {"n": n, "value": found.estimate, "low": found.low, "high": found.high}


def latency_ms(record: Record, source: str) -> dict[str, float] | None:
    """Give the median and the 99th percentile of what the client waited, in milliseconds."""
    waits = [e.seconds * 1e3 for e in record.acknowledged.values() if e.source == source]
    if not waits:
        return None
    p50, p99 = np.quantile(waits, [0.5, 0.99])
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3)}
