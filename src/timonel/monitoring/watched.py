"""What a check knows of the model that it looks at, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from timonel.monitoring.series.month import Month
from timonel.registry.catalogue import ModelVersion
from timonel.registry.manifest import WatchPlan
from timonel.schema.changes import SchemaChanges
from timonel.signals import Condition, Kind, RaiseSignal, Severity, Signal
from timonel.stats.calibration.reference import Estimator
from timonel.stats.multivariate.row_outliers import Limits
from timonel.stats.profiles.profile import Profile


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
    month: Month = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "month", Month(self.engine, self.project, self.model))

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
