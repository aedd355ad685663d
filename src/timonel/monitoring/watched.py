"""What a check knows of the model that it looks at, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine

from timonel.events.outcomes import complete_until
from timonel.monitoring.windows import HOUR_US
from timonel.registry.catalogue import ModelVersion
from timonel.registry.manifest import WatchPlan
from timonel.schema.changes import SchemaChanges
from timonel.signals import Condition, Kind, RaiseSignal, Severity, Signal
from timonel.stats.calibration.reference import Estimator
from timonel.stats.multivariate.row_outliers import Limits
from timonel.stats.profiles.profile import Profile

LOOK_BACK_H = 35 * 24
_GRID_H = 168
_CENTURY_H = 876_000  # since 1970; no event is younger than 2069


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one run of a check came to.

    Parameters
    ----------
    check, model : str
        The model is "" for checks of the whole project.
    state : str
        The worst verdict of this run; "idle" where there was nothing new to judge; "failed".
    reason : str
        Why there is no verdict, or what the check failed of; else "".
    n_judged : int
        Windows (or dimensions) judged in this run.
    """

    check: str
    model: str
    state: str
    reason: str = ""
    n_judged: int = 0


@dataclass(frozen=True, slots=True)
class Watched:
    """A declared model, the version in production, and how its traffic is to be watched."""

    engine: Engine
    project: str
    model: str
    task: str
    plan: WatchPlan
    champion: ModelVersion | None
    profile_of: Callable[[str], tuple[str, Profile] | None]
    raise_signal: RaiseSignal
    now_us: int
    estimator_of: Callable[[str], Estimator | None] = lambda _version: None
    limits_of: Callable[[str], Limits | None] = lambda _version: None
    schema_changes_of: Callable[[str], SchemaChanges | None] = lambda _version: None
    low_confidence: float | None = None
    timezone: str = "UTC"
    versions: tuple[str, ...] = field(default=())

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose days and weeks the traffic follows."""
        return ZoneInfo(self.timezone)

    def tell(
        self,
        kind: Kind,
        condition: Condition,
        severity: Severity,
        *,
        at: int,
        monitor: str,
        version: str = "",
        column: str = "",
        facts: dict[str, Any] | None = None,
    ) -> None:
        """Raise a signal of this model."""
        self.raise_signal(
            Signal(
                kind=kind,
                condition=condition,
                severity=severity,
                model=self.model,
                version=version,
                monitor=monitor,
                column=column,
                at=at,
                facts=facts or {},
            )
        )


def closed_hour(connection: Connection, project: str) -> int | None:
    """Give the epoch hour that the watermark is in; None while no drainer lives."""
    until = complete_until(connection, project) // HOUR_US
    return until if until < _CENTURY_H else None


def first_hour(closed_h: int) -> int:
    """Give the hour from which windows are looked at: whole weeks, so that none is cut."""
    since = closed_h - LOOK_BACK_H
    return since - since % _GRID_H
