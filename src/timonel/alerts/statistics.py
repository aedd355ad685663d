"""What alerts there were, and how long they took; what cannot be said is null, with a reason."""

from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import Any

from sqlalchemy import Connection, and_, func, select

from timonel.alerts.alert import State, iso
from timonel.store.tables_loop import alert_events, alerts


@dataclass(frozen=True, slots=True)
class Span:
    """A median duration in seconds of event time; None with a reason where there is none."""

    seconds: float | None
    n: int
    reason: str | None

    def document(self) -> dict[str, Any]:
        """Describe it for JSON."""
        return {"median_s": self.seconds, "n": self.n, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class AlertStatistics:
    """Alerts opened since a moment: counts of those that fired, and how long things took.

    ``n_pending_only`` never fired: their condition ended, or was resolved, before.
    """

    since: int
    n_fired: int
    n_pending_only: int
    n_ended_alone: int
    by_kind: dict[str, int]
    by_severity: dict[str, int]
    by_state: dict[str, int]
    to_acknowledge: Span
    to_resolve: Span

    def document(self) -> dict[str, Any]:
        """Describe it for JSON."""
        return {
            "since": iso(self.since),
            "n_fired": self.n_fired,
            "n_pending_only": self.n_pending_only,
            "n_ended_alone": self.n_ended_alone,
            "by_kind": self.by_kind,
            "by_severity": self.by_severity,
            "by_state": self.by_state,
            "to_acknowledge": self.to_acknowledge.document(),
            "to_resolve": self.to_resolve.document(),
        }


def summarise(connection: Connection, project: str, since: int) -> AlertStatistics:
    """Sum up the alerts opened since a moment of event time."""
    row = alerts.c
    query = select(
        row.alert_id,
        row.kind,
        row.severity,
        row.state,
        row.fired_at,
        row.resolved_at,
        row.resolved_by,
    ).where(row.project == project, row.opened_at >= since)
    found = connection.execute(query).all()
    fired = [alert for alert in found if alert.fired_at is not None]
    taken = _first_acknowledged(connection, project, since)
    waits = [taken[a.alert_id] - a.fired_at for a in fired if a.alert_id in taken]
    lengths = [a.resolved_at - a.fired_at for a in fired if a.resolved_at is not None]
    return AlertStatistics(
        since=since,
        n_fired=len(fired),
        n_pending_only=len(found) - len(fired),
        n_ended_alone=sum(a.resolved_at is not None and a.resolved_by is None for a in fired),
        by_kind=_counted(alert.kind for alert in fired),
        by_severity=_counted(alert.severity for alert in fired),
        by_state=_counted(alert.state for alert in fired),
        to_acknowledge=_span(waits, "none_acknowledged" if fired else "none_fired"),
        to_resolve=_span(lengths, "none_resolved" if fired else "none_fired"),
    )


def _first_acknowledged(connection: Connection, project: str, since: int) -> dict[int, int]:
    event = alert_events.c
    same = and_(alerts.c.project == event.project, alerts.c.alert_id == event.alert_id)
    query = (
        select(event.alert_id, func.min(event.at).label("first_at"))
        .join(alerts, same)
        .where(
            event.project == project,
            alerts.c.opened_at >= since,
            event.to_state == str(State.ACKNOWLEDGED),
        )
        .group_by(event.alert_id)
    )
    return {row.alert_id: row.first_at for row in connection.execute(query)}


def _counted(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _span(lengths_us: list[int], reason: str) -> Span:
    if not lengths_us:
        return Span(None, 0, reason)
    return Span(median(lengths_us) / 1e6, len(lengths_us), None)
