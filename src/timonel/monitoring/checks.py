"""All checks of a project, run again and again by the worker; one that fails stops no other.

State is in the database: several workers may check side by side, and any may be killed. What is
remembered here only spares work that could find nothing new.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Engine

from timonel.clock import AffineClock, Clock
from timonel.errors import Unavailable
from timonel.monitoring.concept_check import check_concept
from timonel.monitoring.drift_check import MOST_A_RUN, check_drift
from timonel.monitoring.estimate_check import check_estimate
from timonel.monitoring.health_check import HealthLog
from timonel.monitoring.performance_check import check_performance
from timonel.monitoring.quality_check import QualityWatch, closed_minute
from timonel.monitoring.series.anomaly_check import AnomalyWatch
from timonel.monitoring.series.metric_check import check_metrics
from timonel.monitoring.series.recorded_check import RecordedWatch
from timonel.monitoring.watched import CheckResult, Watched
from timonel.registry.comparison import SchemaDifference, compare_schemas
from timonel.registry.manifest import ServingManifest, decode_manifest
from timonel.registry.registry import Registry
from timonel.signals import Condition, Kind, RaiseSignal, Severity, Signal
from timonel.stats.calibration.reference import Estimator
from timonel.stats.multivariate.row_outliers import Limits
from timonel.stats.profiles.profile import Profile
from timonel.store.control import read_clock

_log = logging.getLogger("timonel.monitoring")


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What every check of one run came to."""

    at_us: int
    results: tuple[CheckResult, ...]

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that raised."""
        return tuple(result for result in self.results if result.state == "failed")

    @property
    def n_judged(self) -> int:
        """Windows and dimensions judged."""
        return sum(result.n_judged for result in self.results)


class Checks:
    """Watches a project's models.

    Parameters
    ----------
    engine : Engine
    project : str
    clock : Clock
        Event time, where the database cannot give the present one.
    registry : Registry
    raise_signal : callable
        Called for what holds, what is clear again, and what cannot be said.
    """

    def __init__(
        self,
        engine: Engine,
        project: str,
        clock: Clock,
        registry: Registry,
        raise_signal: RaiseSignal,
    ) -> None:
        self._engine = engine
        self._project = project
        self._clock = clock
        self._registry = registry
        self._raise = raise_signal
        self._health = HealthLog(engine, project, raise_signal)
        self._profiles: dict[tuple[str, str], tuple[str, Profile] | None] = {}
        self._estimators: dict[tuple[str, str], Estimator | None] = {}
        self._outlier_limits: dict[tuple[str, str], Limits | None] = {}
        self._trained_schemas: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._done: dict[tuple[str, str], tuple[object, ...]] = {}
        self._quality = QualityWatch()
        self._anomalies = AnomalyWatch()
        self._recorded = RecordedWatch(engine, project, raise_signal)
        self._failing: set[tuple[str, str]] = set()

    def run(self) -> CheckReport:
        """Do every check once; never raises."""
        clock: AffineClock | None = None
        try:
            clock = read_clock(self._engine, self._project)
        except Unavailable as error:
            _log.warning("the event clock cannot be read: %s", error)
        now_us = (clock or self._clock).now_us()
        results = [self._guarded("health", "", now_us, lambda: self._health.run(clock))]
        watched: list[Watched] = []

        def read() -> CheckResult:
            watched.extend(self._watched(now_us))
            return CheckResult("models", "", "ok", "", len(watched))

        results.append(self._guarded("models", "", now_us, read))
        for one in watched:
            results += self._run_model(one)
        results.append(self._guarded("recorded", "", now_us, partial(self._recorded.check, now_us)))
        return CheckReport(now_us, tuple(results))

    def _run_model(self, one: Watched) -> list[CheckResult]:
        try:
            minute = closed_minute(one)
        except Unavailable:
            minute = None
        hour = None if minute is None else minute // 60
        version = one.champion.version if one.champion is not None else None
        steps: tuple[tuple[str, object, Callable[[], CheckResult]], ...] = (
            ("drift", hour, lambda: check_drift(one)),
            ("performance", hour, lambda: check_performance(one)),
            ("metric_loss", hour, lambda: check_metrics(one)),
            ("estimate", hour, lambda: check_estimate(one)),
            ("concept", hour, lambda: check_concept(one)),
            ("quality", minute, lambda: self._quality.check(one, minute)),
            ("anomaly", minute, lambda: self._anomalies.check(one, minute)),
        )
        results = []
        for name, moment, step in steps:
            key, seen = (name, one.model), (moment, version, one.plan)
            if self._done.get(key) == seen and moment is not None:
                results.append(CheckResult(name, one.model, "idle"))
                continue
            result = self._guarded(name, one.model, one.now_us, step)
            # a long backlog is taken in several runs
            if result.state != "failed" and result.n_judged < MOST_A_RUN:
                self._done[key] = seen
            results.append(result)
        return results

    def _guarded(
        self, check: str, model: str, now_us: int, step: Callable[[], CheckResult]
    ) -> CheckResult:
        key = (check, model)
        try:
            result = step()
        except Exception as error:  # noqa: BLE001 - logged and raised as a signal
            _log.exception("the check %s of %s failed", check, model or "the project")
            self._failing.add(key)
            said = f"{type(error).__name__}: {error}"[:500]
            self._tell_failure(check, model, now_us, Condition.HOLDS, said)
            return CheckResult(check, model, "failed", said)
        if key in self._failing:
            self._failing.discard(key)
            self._tell_failure(check, model, now_us, Condition.CLEAR, "")
        return result

    def _tell_failure(
        self, check: str, model: str, now_us: int, condition: Condition, error: str
    ) -> None:
        self._raise(
            Signal(
                kind=Kind.CHECK_FAILED,
                condition=condition,
                severity=Severity.MEDIUM,
                model=model,
                monitor=check,
                at=now_us,
                facts={"check": check, "error": error},
            )
        )

    def _watched(self, now_us: int) -> list[Watched]:
        found = []
        for row in self._registry.declarations():
            manifest = decode_manifest(row.manifest)
            versions = self._registry.versions(row.model)
            champion = next((v for v in versions if "champion" in v.aliases), None)
            found.append(
                Watched(
                    engine=self._engine,
                    project=self._project,
                    model=row.model,
                    task=manifest.task,
                    plan=manifest.watch,
                    champion=champion,
                    profile_of=partial(self._profile, row.model),
                    estimator_of=partial(self._estimator, row.model),
                    limits_of=partial(self._limits, row.model),
                    schema_changes_of=partial(self._schema_changes, manifest),
                    raise_signal=self._raise,
                    now_us=now_us,
                    low_confidence=manifest.policy.low_confidence,
                    timezone=manifest.timezone,
                    versions=tuple(version.version for version in versions),
                )
            )
        return found

    def _profile(self, model: str, version: str) -> tuple[str, Profile] | None:
        """Give a version's reference profile and its id; read once."""
        if not version:
            return None
        key = (model, version)
        if key not in self._profiles:
            profile_id = self._registry.manifest(model, version).profile
            found = None if profile_id is None else self._registry.profile(profile_id)
            self._profiles[key] = None if found is None else (str(profile_id), found)
        return self._profiles[key]

    def _limits(self, model: str, version: str) -> Limits | None:
        """Give from where on rows of a version stand out; None where it cannot tell."""
        key = (model, version)
        if key not in self._outlier_limits:
            found = self._registry.manifest(model, version).outliers
            self._outlier_limits[key] = None if found is None else Limits(**found["limits"])
        return self._outlier_limits[key]

    def _schema_changes(self, declared: ServingManifest, version: str) -> SchemaDifference:
        """Compare what is declared with what a version was trained on; read once."""
        key = (declared.model, version)
        if key not in self._trained_schemas:
            self._trained_schemas[key] = self._registry.manifest(*key).schema
        return compare_schemas(self._trained_schemas[key], declared.schema)

    def _estimator(self, model: str, version: str) -> Estimator | None:
        """Give what estimates a version's performance, fitted once; None where it left nothing."""
        key = (model, version)
        if key not in self._estimators:
            manifest = self._registry.manifest(model, version)
            several = manifest.task == "multiclass"
            self._estimators[key] = (
                None
                if manifest.labelled is None
                else Estimator.of(manifest.labelled, several=several)
            )
        return self._estimators[key]
