"""What alerts there were, and how long they took; what cannot be said is null, with a reason."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import floor
from statistics import median
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, and_, func, select

from timonel.alerts.alert import Mark, State, iso
from timonel.signals import Kind
from timonel.stats.intervals import wilson
from timonel.store.tables_loop import alert_events, alerts


class Judged(NamedTuple):
    """An alert that fired: how it is marked, and the size of what it fired for."""

    mark: str | None
    size: float | None


@dataclass(frozen=True, slots=True)
class Span:
    """A median duration in seconds of event time; None with a reason where there is none."""

    seconds: float | None
    n: int
    reason: str | None

    def document(self) -> dict[str, Any]:
        """Describe it for JSON."""
        return {"median_s": self.seconds, "n": self.n, "reason": self.reason}


_FIGURES: Mapping[str, tuple[str, str]] = {
    Kind.DRIFT_DETECTED: ("effect", "Watch(floor=)"),
    Kind.DATA_QUALITY: ("rate", "Watch(refused_rate=)"),
    Kind.HIGH_FALLBACK_RATE: ("rate", "Watch(fallback_rate=)"),
    Kind.PERFORMANCE_DEGRADATION: ("loss", "Watch(accuracy_loss=)"),
}
"""The figure by which a kind of alert is judged, and the setting that holds its threshold."""
_OF_MONITOR: Mapping[str, tuple[str, str]] = {"outliers": ("rate", "Watch(outliers=)")}
"""Of monitors that have a setting of their own."""


@dataclass(frozen=True, slots=True)
class RulePrecision:
    """How many of a rule's alerts were worth it, by the marks that people gave.

    Parameters
    ----------
    kind, monitor : str
        The rule.
    n_fired, n_useful, n_false : int
        Of those that fired, how many are marked as what.
    precision, lower, upper : float or None
        Useful among the marked, with Wilson's 95 % interval; None: none is marked.
    threshold : float or None
        From here on none of the false alarms would have fired; None where no figure decides.
    setting : str or None
        Where the threshold is set.
    n_lost : int or None
        Useful alerts that the threshold would have lost as well.
    """

    kind: str
    monitor: str
    n_fired: int
    n_useful: int
    n_false: int
    precision: float | None = None
    lower: float | None = None
    upper: float | None = None
    threshold: float | None = None
    setting: str | None = None
    n_lost: int | None = None

    def document(self) -> dict[str, Any]:
        """Describe it for JSON."""
        return asdict(self)


def precision_of(kind: str, monitor: str, alerts: Sequence[Judged]) -> RulePrecision:
    """Judge a rule by its alerts that fired.

    Examples
    --------
    >>> found = [Judged("useful", 0.30), Judged("false_alarm", 0.12), Judged(None, 0.2)]
    >>> rule = precision_of("DRIFT_DETECTED", "feature_drift", found)
    >>> rule.precision, rule.threshold, rule.n_lost
    (0.5, 0.13, 0)
    """
    useful = [one for one in alerts if one.mark == Mark.USEFUL]
    false = [one for one in alerts if one.mark == Mark.FALSE_ALARM]
    plain = RulePrecision(kind, monitor, len(alerts), len(useful), len(false))
    if not useful and not false:
        return plain
    found = wilson(len(useful), len(useful) + len(false))
    judged = replace(plain, precision=found.estimate, lower=found.low, upper=found.high)
    sizes = [one.size for one in false if one.size is not None]
    figure = _figure_of(kind, monitor)
    if figure is None or not false or len(sizes) < len(false):
        return judged
    threshold = floor(max(sizes) * 100.0 + 1.0) / 100.0  # the next whole hundredth above them
    lost = sum(one.size is not None and one.size <= threshold for one in useful)
    return replace(judged, threshold=threshold, setting=figure[1], n_lost=lost)


def _figure_of(kind: str, monitor: str) -> tuple[str, str] | None:
    return _OF_MONITOR.get(monitor, _FIGURES.get(kind))


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
    by_rule: tuple[RulePrecision, ...] = ()

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
            "by_rule": [rule.document() for rule in self.by_rule],
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
        row.monitor,
        row.mark,
        row.facts,
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
        by_rule=tuple(_rules(fired)),
    )


def _rules(fired: Sequence[Any]) -> list[RulePrecision]:
    rules: dict[tuple[str, str], list[Judged]] = {}
    for alert in fired:
        size = _size(alert.kind, msgspec.json.decode(alert.facts))
        rules.setdefault((alert.kind, alert.monitor), []).append(Judged(alert.mark, size))
    return [precision_of(*rule, found) for rule, found in sorted(rules.items())]


def _size(kind: str, facts: dict[str, Any]) -> float | None:
    """Give the figure that a kind's threshold is held against, as the alert last saw it."""
    if kind == Kind.PERFORMANCE_DEGRADATION:
        baseline, value = facts.get("baseline"), facts.get("value", facts.get("estimate"))
        if not isinstance(baseline, int | float) or not isinstance(value, int | float):
            return None
        # a mean error has no scale in which hundredths mean anything
        return abs(value - baseline) if facts.get("metric") == "accuracy" else None
    figure = facts.get(_FIGURES[kind][0]) if kind in _FIGURES else None
    return abs(figure) if isinstance(figure, int | float) else None


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
