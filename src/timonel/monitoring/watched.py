"""What a check knows of the model that it looks at, and what it gives back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from timonel.monitoring.series.month import Month
from timonel.monitoring.verdicts import read_ever_alerted
from timonel.monitoring.windows import HOUR_US
from timonel.registry.catalogue import ModelVersion
from timonel.registry.comparison import SchemaDifference
from timonel.registry.manifest import WatchPlan
from timonel.signals import Condition, Kind, RaiseSignal, Severity, Signal
from timonel.stats.calibration.reference import Estimator
from timonel.stats.multivariate.row_outliers import Limits
from timonel.stats.profiles.profile import Profile
from timonel.store.engine import reading

_CLEARED_WITHIN_US = 14 * 24 * HOUR_US


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
    schema_changes_of: Callable[[str], SchemaDifference | None] = lambda _version: None
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

    def ever_alerted(self, monitors: Sequence[str], at: int) -> list[tuple[str, str, str]]:
        """Give (version, monitor, subject) of the alerts of windows of the weeks before a moment.

        Those are what may be open: whatever is older was cleared, or watched no more, long ago.
        """
        since_us = at - _CLEARED_WITHIN_US
        with reading(self.engine) as connection:
            return sorted(
                read_ever_alerted(connection, self.project, self.model, monitors, since_us)
            )

    def supersede(
        self,
        kind: Kind,
        severity: Severity,
        *,
        at: int,
        monitor: str,
        version: str,
        column: str = "",
        facts: dict[str, Any],
    ) -> None:
        """Clear an alert for good: its version is out of production, or nobody asks any more."""
        self.tell(
            kind,
            Condition.CLEAR,
            severity,
            at=at,
            monitor=monitor,
            version=version,
            column=column,
            facts={**facts, "reason": "superseded"},
        )

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
