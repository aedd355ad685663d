"""An alert as a value: what it is about, where it stands, and the events of its life."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from timonel.alerts.errors import InvalidDuration
from timonel.signals import Kind, Severity

_DURATION = re.compile(r"([1-9][0-9]{0,3})([mhd])", re.ASCII)
_UNITS_US = {"m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANKS = {severity: rank for rank, severity in enumerate(reversed(Severity))}


class State(StrEnum):
    """Where an alert stands in its life."""

    PENDING = "pending"  # seen, not often enough to call anyone
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"  # somebody works on it: no repeats
    RESOLVED = "resolved"


class Mark(StrEnum):
    """What an alert was worth, as people judge it."""

    USEFUL = "useful"
    FALSE_ALARM = "false_alarm"


class News(StrEnum):
    """What there is to tell of an alert."""

    FIRING = "firing"
    WORSE = "worse"  # its severity rose
    REPEATED = "repeated"  # still firing, and nobody took it
    ESCALATED = "escalated"  # told to the next step: it fires, and nobody took it in time
    RESOLVED = "resolved"
    FLAPPING = "flapping"  # it comes and goes: what follows is held back
    TEST = "test"  # of a channel, by hand


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One episode of a condition; all times are microseconds of event time, UTC.

    Parameters
    ----------
    alert_id : int
        Counts up in a project; 0 before it is stored.
    fingerprint : str
        Names the condition; one unresolved alert at a time has it.
    n_seen, n_clear : int
        How often the condition held; how often in a row it has been clear since it last held.
    notified_at : int or None
        When channels were last told; None: never.
    resolved_by : str or None
        None where it ended by itself.
    revision : int
        Raised by every change of state, severity or silence.
    mark : Mark or None
        What it was worth; None: nobody has said.
    """

    alert_id: int = 0
    fingerprint: str
    kind: Kind
    severity: Severity
    model: str
    version: str
    monitor: str
    column: str
    state: State
    facts: dict[str, Any]
    opened_at: int
    fired_at: int | None = None
    last_seen_at: int
    n_seen: int = 1
    n_clear: int = 0
    notified_at: int | None = None
    silenced_until: int | None = None
    resolved_at: int | None = None
    resolved_by: str | None = None
    note: str | None = None
    revision: int = 1
    mark: Mark | None = None

    @property
    def active(self) -> bool:
        """Whether it is not resolved."""
        return self.state is not State.RESOLVED

    def silenced(self, at: int) -> bool:
        """Say whether it is to be kept quiet at a moment."""
        return self.silenced_until is not None and at < self.silenced_until

    def document(self) -> dict[str, Any]:
        """Describe it for JSON, times in ISO 8601; its texts are made by ``texts.describe``."""
        return {
            "alert_id": self.alert_id,
            "kind": str(self.kind),
            "severity": str(self.severity),
            "state": str(self.state),
            "model": self.model or None,
            "version": self.version or None,
            "monitor": self.monitor or None,
            "column": self.column or None,
            "facts": self.facts,
            "opened_at": iso(self.opened_at),
            "fired_at": iso(self.fired_at),
            "last_seen_at": iso(self.last_seen_at),
            "n_seen": self.n_seen,
            "notified_at": iso(self.notified_at),
            "silenced_until": iso(self.silenced_until),
            "resolved_at": iso(self.resolved_at),
            "resolved_by": self.resolved_by,
            "note": self.note,
            "fingerprint": self.fingerprint,
            "revision": self.revision,
            "mark": None if self.mark is None else str(self.mark),
        }


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """One line of an alert's history; ``who`` is "" where it happened by itself."""

    seq: int
    at: int
    from_state: str
    to_state: str
    who: str
    note: str

    def document(self) -> dict[str, Any]:
        """Describe it for JSON."""
        return {
            "seq": self.seq,
            "at": iso(self.at),
            "from_state": self.from_state or None,
            "to_state": self.to_state,
            "who": self.who or None,
            "note": self.note or None,
        }


def rank(severity: Severity) -> int:
    """Order severities: the more urgent, the greater; INFO is 0."""
    return _RANKS[severity]


def worst(first: Severity, second: Severity) -> Severity:
    """Give the more urgent of two severities."""
    return max(first, second, key=rank)


def read_duration(text: str) -> int:
    """Read a duration such as 30m, 24h or 7d, in microseconds.

    Raises
    ------
    InvalidDuration
        If it is none, or longer than ten thousand units.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise InvalidDuration(found=repr(text[:40]))
    return int(found[1]) * _UNITS_US[found[2]]


def iso(at_us: int | None) -> str | None:
    """Write microseconds since the epoch as ISO 8601 in UTC."""
    if at_us is None:
        return None
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat().replace("+00:00", "Z")
