"""What the Overview page says: read once, judged, and kept as plain values without words."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from timonel.alerts.alert import Alert
from timonel.dashboard.watching import (
    Counts,
    Drift,
    Retraining,
    read_counts,
    read_drift,
    read_firing,
    read_retraining,
)
from timonel.errors import TimonelError
from timonel.jobs.job import JobState
from timonel.monitoring.health import Check, Health, State, check_health
from timonel.monitoring.performance import (
    Bucket,
    Performance,
    Quality,
    fallback,
    measure,
    over_time,
)
from timonel.project.model import Policy
from timonel.registry.history import Deployment
from timonel.registry.manifest import ServingManifest, decode_manifest
from timonel.registry.registry import ModelVersion
from timonel.registry.versions import SemVer, Stage
from timonel.schema.example import example_row
from timonel.schema.schema import Schema
from timonel.signals import Kind
from timonel.store.engine import reading
from timonel.store.reads import Choice, count_parked, read_predictions
from timonel.store.reads_windows import (
    HOUR_US,
    MINUTE_US,
    Answered,
    read_answered,
    read_declarations,
    read_minutes,
)

if TYPE_CHECKING:
    from timonel.app import App

QUALITY_DAYS = 7
FALLBACK_ALARM = 0.05
PARKED_ALARM = 100
SHOWN_VERSIONS = 6
SHOWN_ALERTS = 5


class NeedKind(StrEnum):
    """What may need a person."""

    FIRST_VERSION = "first_version"
    PENDING = "pending"
    FAILED = "failed"
    ALERT = "alert"
    ALERTS_MORE = "alerts_more"
    RETRAINING = "retraining"
    FALLBACK = "fallback"
    QUALITY = "quality"
    PARKED = "parked"
    HEALTH = "health"


_ALERTED = {
    NeedKind.FALLBACK: Kind.HIGH_FALLBACK_RATE,
    NeedKind.QUALITY: Kind.PERFORMANCE_DEGRADATION,
    NeedKind.RETRAINING: Kind.JOB_FAILED,
    NeedKind.PENDING: Kind.APPROVAL_PENDING,
}
"""What an alert says already is not said twice."""


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that needs a person, with its facts and, where there is one, a command."""

    kind: NeedKind
    model: str
    facts: dict[str, str | int | float]
    command: str | None = None
    alert: Alert | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """Everything about one model; ``failure`` instead, where it could not be read."""

    name: str
    manifest: ServingManifest | None
    policy: Policy | None
    champion: ModelVersion | None
    versions: tuple[ModelVersion, ...] = ()
    n_older: int = 0
    deployments: tuple[Deployment, ...] = ()
    minutes: tuple[int, ...] = ()
    latency_ms: float | None = None
    day: tuple[Answered, ...] = ()
    performance: Performance | None = None
    buckets: tuple[Bucket, ...] = ()
    drift: Drift | None = None
    retraining: Retraining | None = None
    failure: TimonelError | None = None

    @property
    def quality(self) -> Quality | None:
        """The quality to show first: of the version in production, else of all answers."""
        if self.performance is None:
            return None
        if self.champion is not None:
            own = self.performance.of(self.champion.version)
            if own is not None:
                return own
        return self.performance.overall


@dataclass(frozen=True, slots=True)
class Loop:
    """The counts of the loop's stations that exist."""

    n_versions: int
    n_production: int
    n_predictions: int
    n_labels: int
    watched: Counts


@dataclass(frozen=True, slots=True)
class Steps:
    """How far a new project is, and what its next commands need to name."""

    declared: bool
    in_production: bool
    predicted: bool
    labelled: bool
    model: str | None
    example: dict[str, object]
    example_truth: object
    last_prediction_id: str | None

    @property
    def done(self) -> bool:
        """Whether there is nothing left to show."""
        return self.declared and self.in_production and self.predicted and self.labelled


@dataclass(frozen=True, slots=True)
class Overview:
    """The page's content."""

    project: str
    zone: ZoneInfo
    at_us: int
    clock_rate: float
    health: Health
    cards: tuple[Card, ...]
    needs: tuple[Need, ...]
    loop: Loop
    steps: Steps

    @property
    def is_down(self) -> bool:
        """Whether every process that answered has fallen silent."""
        return any(check.reason == "no_live_worker" for check in self.health.checks)

    @property
    def n_serving(self) -> int:
        """How many models have a version in production; none where no process is left to answer."""
        return 0 if self.is_down else sum(card.champion is not None for card in self.cards)


def read_overview(app: "App") -> Overview:
    """Read the page's content; the cost does not grow with traffic.

    Raises
    ------
    TimonelError
        If the database cannot be read. One model that cannot be read fails its card alone.
    """
    clock = app.clock
    now_us = clock.now_us()
    with reading(app.engine) as connection:
        declarations = read_declarations(connection, app.name)
        parked = count_parked(connection, app.name)
    cards = tuple(_card(app, row.model, row.manifest, now_us) for row in declarations)
    health = check_health(app.engine, app.name, clock)
    firing = read_firing(app)
    needs = _of_alerts(firing)
    needs += [
        need
        for card in cards
        for need in _needs(card, parked.get(card.name, 0))
        if not _said_by_alert(need, firing)
    ]
    needs += [
        _of_health(check)
        for check in health.checks
        if _is_urgent(check) and not _is_alerted(check, firing)
    ]
    return Overview(
        project=app.name,
        zone=ZoneInfo(app.config.timezone),
        at_us=now_us,
        clock_rate=clock.rate,
        health=health,
        cards=cards,
        needs=tuple(needs),
        loop=_loop(app, cards, read_counts(app, firing, now_us)),
        steps=_steps(app, cards),
    )


def _card(app: "App", model: str, document: str, now_us: int) -> Card:
    policy = None
    # a declaration that no longer loads: its minimums are unknown, the rest is shown
    with suppress(TimonelError):
        policy = app.model(model).policy
    try:
        return _read_card(app, decode_manifest(document), policy, now_us)
    except TimonelError as error:
        return Card(model, None, policy, None, failure=error)


def _read_card(app: "App", manifest: ServingManifest, policy: Policy | None, now_us: int) -> Card:
    model = manifest.model
    versions = sorted(
        app.registry.versions(model), key=lambda v: SemVer.parse(v.version), reverse=True
    )
    champion = app.registry.champion(model)
    n_needed = policy.min_samples if policy is not None else Policy().min_samples
    until_us = now_us + MINUTE_US
    performance = measure(
        app.engine,
        app.name,
        model,
        manifest.task,
        since_us=now_us - QUALITY_DAYS * 24 * HOUR_US,
        until_us=until_us,
        n_needed=n_needed,
    )
    first = now_us // MINUTE_US - 59
    with reading(app.engine) as connection:
        counts = read_minutes(connection, app.name, model, first * MINUTE_US, until_us)
        hour = read_answered(connection, app.name, model, first * MINUTE_US, until_us)
        day = read_answered(connection, app.name, model, now_us - 24 * HOUR_US, until_us)
    n_hour = sum(row.n for row in hour)
    return Card(
        name=model,
        manifest=manifest,
        policy=policy,
        champion=champion,
        versions=tuple(versions[:SHOWN_VERSIONS]),
        n_older=max(0, len(versions) - SHOWN_VERSIONS),
        deployments=app.registry.deployments(model),
        minutes=tuple(counts.get(minute, 0) for minute in range(first, first + 60)),
        latency_ms=sum(row.latency_sum_us for row in hour) / n_hour / 1000 if n_hour else None,
        day=tuple(day),
        performance=performance,
        buckets=tuple(_buckets(performance, champion, manifest.task)),
        drift=None if champion is None else read_drift(app, model, champion.version, now_us),
        retraining=read_retraining(app, model),
    )


def _buckets(performance: Performance, champion: ModelVersion | None, task: str) -> list[Bucket]:
    # the line is of the answers people got from models; rules alone only where no model answers
    cells = [cell for cell in performance.cells if cell.source == "model"]
    if champion is None and not cells:
        cells = list(performance.cells)
    return over_time(cells, task, n_needed=30)


def _needs(card: Card, n_parked: int) -> list[Need]:
    needs = []
    waiting = [v for v in card.versions if v.stage == Stage.VALIDATION]
    if card.failure is None and card.champion is None:
        command = f"timonel train {card.name}"
        if waiting:
            command = f"timonel promote {card.name} {waiting[0].version}"
        source = "rules" if card.manifest is not None and card.manifest.rules else "baseline"
        needs.append(Need(NeedKind.FIRST_VERSION, card.name, {"source": source}, command))
    if card.champion is not None:
        needs += _of_versions(card, card.champion)
        needs += _of_answers(card)
        needs += _of_quality(card)
    retraining = card.retraining
    if retraining is not None and retraining.job.state is JobState.FAILED:
        facts: dict[str, str | int | float] = {"job": retraining.job.job_id}
        needs.append(Need(NeedKind.RETRAINING, card.name, facts, f"timonel retrain {card.name}"))
    if n_parked >= PARKED_ALARM:
        needs.append(Need(NeedKind.PARKED, card.name, {"n": n_parked}))
    return needs


def _of_versions(card: Card, champion: ModelVersion) -> list[Need]:
    serving = SemVer.parse(champion.version)
    newer = [v for v in card.versions if SemVer.parse(v.version) > serving]
    needs = []
    for version in newer[:1]:  # the newest says it; older ones are in the list of versions
        facts: dict[str, str | int | float] = {
            "version": version.version,
            "champion": champion.version,
        }
        if version.stage == Stage.VALIDATION:
            command = f"timonel promote {card.name} {version.version}"
            needs.append(Need(NeedKind.PENDING, card.name, facts, command))
        elif version.stage == Stage.FAILED:
            command = f"timonel versions {card.name} --history"
            needs.append(Need(NeedKind.FAILED, card.name, facts, command))
    return needs


def _of_answers(card: Card) -> list[Need]:
    n, n_fallback, _ = fallback(row for row in card.day if row.reason != "no_version")
    if n == 0 or n_fallback / n <= FALLBACK_ALARM:
        return []
    facts: dict[str, str | int | float] = {"share": n_fallback / n}
    return [Need(NeedKind.FALLBACK, card.name, facts, "timonel doctor")]


def _of_quality(card: Card) -> list[Need]:
    quality, policy = card.quality, card.policy
    if quality is None or policy is None or policy.min_accuracy is None:
        return []
    if quality.metric != "accuracy" or quality.interval is None or not quality.enough:
        return []
    if quality.interval.high >= policy.min_accuracy:
        return []
    facts: dict[str, str | int | float] = {
        "found": quality.interval.high,
        "expected": policy.min_accuracy,
    }
    return [Need(NeedKind.QUALITY, card.name, facts, f"timonel rollback {card.name}")]


def _of_alerts(firing: Sequence[Alert]) -> list[Need]:
    """List the most urgent alerts; the rest as a number."""
    needs = [
        Need(
            NeedKind.ALERT,
            alert.model,
            {"id": alert.alert_id},
            f"timonel alerts show {alert.alert_id}",
            alert,
        )
        for alert in firing[:SHOWN_ALERTS]
    ]
    n_more = len(firing) - len(needs)
    if n_more:
        needs.append(Need(NeedKind.ALERTS_MORE, "", {"n": n_more}, "timonel alerts"))
    return needs


def _said_by_alert(need: Need, firing: Sequence[Alert]) -> bool:
    kind = _ALERTED.get(need.kind)
    return any(alert.kind is kind and alert.model == need.model for alert in firing)


def _is_alerted(check: Check, firing: Sequence[Alert]) -> bool:
    return any(alert.monitor == "health" and alert.column == check.name for alert in firing)


def _is_urgent(check: Check) -> bool:
    # what a card, or the alert about a job, already says is not said twice
    said = check.name == "fallback" or check.reason in ("without_version", "some_failed")
    return check.state in (State.DEGRADED, State.UNHEALTHY) and not said


def _of_health(check: Check) -> Need:
    facts: dict[str, str | int | float] = {"check": check.name, "reason": check.reason}
    return Need(NeedKind.HEALTH, "", facts, "timonel doctor")


def _loop(app: "App", cards: Sequence[Card], watched: Counts) -> Loop:
    return Loop(
        watched=watched,
        n_versions=len(app.registry.versions()),
        n_production=sum(card.champion is not None for card in cards),
        n_predictions=sum(row.n for card in cards for row in card.day),
        n_labels=sum(
            card.performance.overall.n_labels for card in cards if card.performance is not None
        ),
    )


def _steps(app: "App", cards: Sequence[Card]) -> Steps:
    readable = [card for card in cards if card.manifest is not None]
    first = next((card for card in readable if card.champion is not None), None)
    first = first or (readable[0] if readable else None)
    last_id = None
    if first is not None:
        with reading(app.engine) as connection:
            newest = read_predictions(connection, app.name, first.name, Choice(1))
        last_id = str(newest[0].prediction_id) if newest else None
    example: dict[str, object] = {}
    truth: object = 1
    if first is not None and first.manifest is not None:
        example = example_row(Schema.from_json(first.manifest.schema))
        truth = first.manifest.classes[0] if first.manifest.classes else 1
    performed = [card.performance for card in cards if card.performance is not None]
    return Steps(
        declared=bool(cards),
        in_production=any(card.champion is not None for card in cards),
        predicted=last_id is not None or any(p.n_answered for p in performed),
        labelled=any(p.overall.n_labels for p in performed),
        model=first.name if first is not None else None,
        example=example,
        example_truth=truth,
        last_prediction_id=last_id,
    )
