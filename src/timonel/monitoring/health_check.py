"""Keeps what health was: a row a dimension when its state changes, and every five minutes."""

import logging
import time
from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, Engine, func, insert, select

from timonel.clock import AffineClock
from timonel.monitoring.health import NEAR, Check, Health, State, check_health
from timonel.monitoring.watched import CheckResult
from timonel.signals import Condition, Kind, RaiseSignal, Severity, Signal
from timonel.store.engine import reading
from timonel.store.tables_loop import health_checks

EVERY_US = 5 * 60_000_000
_KINDS: Mapping[str, tuple[Kind, Severity]] = {
    "database": (Kind.DATABASE_ERROR, Severity.CRITICAL),
    "model": (Kind.SERVICE_DOWN, Severity.CRITICAL),
    "spool": (Kind.SERVICE_DOWN, Severity.HIGH),
    "memory": (Kind.MEMORY_USAGE, Severity.HIGH),
    "disk": (Kind.DISK_FULL, Severity.HIGH),
}
"""What becomes an alert; fallback, traffic and jobs have monitors of their own."""

_CONDITIONS = {State.UNHEALTHY: Condition.HOLDS, State.HEALTHY: Condition.CLEAR}
_EARLY = ("memory", "disk")
"""Alerted while they are merely degraded: a process that is killed for memory answers no more."""
_log = logging.getLogger("timonel.monitoring")


class HealthLog:
    """Looks at health, stores what changed, and raises what is unhealthy.

    Remembers the last rows that it wrote or found; a restart reads them once.
    """

    def __init__(self, engine: Engine, project: str, raise_signal: RaiseSignal) -> None:
        self._engine = engine
        self._project = project
        self._raise = raise_signal
        self._last: dict[str, tuple[str, int]] | None = None
        self._away_since: float | None = None  # monotonic

    def run(self, clock: AffineClock | None) -> CheckResult:
        """Look once."""
        health = check_health(self._engine, self._project, clock)
        self._tell(health)
        if health.at_us is not None:
            self._store(health, health.at_us)
        return CheckResult("health", "", str(health.state), "", len(health.checks))

    def _tell(self, health: Health) -> None:
        if health.at_us is None:  # nothing can be stored, alerts neither
            self._away_since = self._away_since or time.monotonic()
            _log.error("the database cannot be read: %s", health.checks[0].facts)
            return
        for check in health.checks:
            if check.name not in _KINDS:
                continue
            kind, severity = _KINDS[check.name]
            condition = _condition(check)
            facts = {**check.facts, "dimension": check.name, "reason": check.reason}
            if check.name == "database" and self._away_since is not None:
                condition = Condition.HOLDS  # it was away, and now that can be kept
                away_s = round(time.monotonic() - self._away_since, 1)
                facts |= {"reason": "unreachable", "away_s": away_s, "verdict": "alert"}
                self._away_since = None
            self._raise(
                Signal(
                    kind=kind,
                    condition=condition,
                    severity=severity,
                    monitor="health",
                    column=check.name,
                    at=health.at_us,
                    facts=facts,
                )
            )

    def _store(self, health: Health, at_us: int) -> None:
        if self._last is None:
            with reading(self._engine) as connection:
                self._last = _latest(connection, self._project)
        due = [check for check in health.checks if self._due(check, at_us)]
        if not due:
            return
        rows = [
            {
                "project": self._project,
                "at": at_us,
                "dimension": check.name,
                "state": str(check.state),
                "facts": msgspec.json.encode({"reason": check.reason, **check.facts}).decode(),
            }
            for check in due
        ]
        with self._engine.begin() as connection:
            connection.execute(insert(health_checks), rows)
        self._last |= {check.name: (str(check.state), at_us) for check in due}

    def _due(self, check: Check, at_us: int) -> bool:
        before = (self._last or {}).get(check.name)
        return before is None or before[0] != check.state or at_us - before[1] >= EVERY_US


def _condition(check: Check) -> Condition:
    if check.reason == NEAR:  # over what clears, below what fires
        return Condition.UNKNOWN
    if check.name in _EARLY and check.state is State.DEGRADED:
        return Condition.HOLDS
    return _CONDITIONS.get(check.state, Condition.UNKNOWN)


def _latest(connection: Connection, project: str) -> dict[str, tuple[str, int]]:
    h = health_checks.c
    newest = (
        select(h.dimension, func.max(h.at).label("at"))
        .where(h.project == project)
        .group_by(h.dimension)
        .subquery()
    )
    rows = connection.execute(
        select(h.dimension, h.state, h.at)
        .join(newest, (newest.c.dimension == h.dimension) & (newest.c.at == h.at))
        .where(h.project == project)
    )
    return {str(dimension): (str(state), int(at)) for dimension, state, at in rows}
