"""A named condition, as whoever sees it says it; alerts consume it.

Monitoring, jobs and retraining raise signals and know nothing of alerts. A signal says each time
whether its condition holds, so that what began can end by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Condition(StrEnum):
    """Whether what is watched for holds now."""

    HOLDS = "holds"
    CLEAR = "clear"
    UNKNOWN = "unknown"  # cannot be said; neither opens nor closes an alert


class Severity(StrEnum):
    """How urgent it is."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"
    INFO = "INFO"


class Kind(StrEnum):
    """The types of alert."""

    DRIFT_DETECTED = "DRIFT_DETECTED"
    PERFORMANCE_DEGRADATION = "PERFORMANCE_DEGRADATION"
    SERVICE_DOWN = "SERVICE_DOWN"
    HIGH_FALLBACK_RATE = "HIGH_FALLBACK_RATE"
    LOW_CONFIDENCE = "LOW_CONFIDENCE"
    DATA_QUALITY = "DATA_QUALITY"
    MEMORY_USAGE = "MEMORY_USAGE"
    DATABASE_ERROR = "DATABASE_ERROR"
    NO_DATA = "NO_DATA"
    SLOW_RESPONSE = "SLOW_RESPONSE"
    EXPERIMENT_HARM = "EXPERIMENT_HARM"
    JOB_FAILED = "JOB_FAILED"
    APPROVAL_PENDING = "APPROVAL_PENDING"
    METRIC_ANOMALY = "METRIC_ANOMALY"
    CHECK_FAILED = "CHECK_FAILED"
    NOTIFIER_FAILED = "NOTIFIER_FAILED"
    DISK_FULL = "DISK_FULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What was watched for, where, and whether it holds.

    Parameters
    ----------
    kind : Kind
    condition : Condition
    severity : Severity
    model, version, monitor, column : str
        Where: together with ``kind`` they are its fingerprint; "" where it has none.
    at : int
        Event time of what was seen, microseconds UTC.
    facts : dict
        JSON-safe figures (what was seen, what was expected, on how much data); the texts of the
        alert are made from them, in the reader's language.
    """

    kind: Kind
    condition: Condition
    severity: Severity
    model: str = ""
    version: str = ""
    monitor: str = ""
    column: str = ""
    at: int
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Name the condition: equal signals, one alert."""
        return "|".join((self.kind, self.model, self.version, self.monitor, self.column))


RaiseSignal = Callable[[Signal], None]
"""The outbox port: called from any thread; must not block; must not raise."""
