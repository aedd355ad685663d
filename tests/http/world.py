"""A project in service, as its database has it: real engine, real registry, rows of a busy week."""

import random
import uuid
from pathlib import Path
from typing import Any

from sqlalchemy import insert, update

from timonel.app import App
from timonel.clock import AffineClock
from timonel.monitoring.verdicts import Verdict, VerdictState, write_verdicts
from timonel.project.config import ProjectConfig
from timonel.project.model import Model, Policy
from timonel.registry.errors import UnknownModel
from timonel.registry.manifest import OutcomePlan, RulesSource, ServingManifest
from timonel.registry.registry import ModelVersion, Registry
from timonel.schema.features import Category, Flag, Number, Text, Timestamp
from timonel.schema.schema import Schema
from timonel.settings import Settings
from timonel.signals import Condition, Kind, Severity, Signal
from timonel.store import tables
from timonel.store.control import (
    ProcessReport,
    ensure_project,
    report_process,
)
from timonel.store.engine import database_now
from timonel.store.migrate import upgrade

PROJECT = "ambulances"
MINUTE = 60_000_000
HOUR = 60 * MINUTE
PATIENCE = 10 * MINUTE
DIGEST = "0" * 64
SCHEMA = Schema(
    Number("distance_km", ge=0, le=80, unit="km"),
    Category("severity", ["low", "medium", "high"]),
    Flag("is_raining"),
    Number("n_calls", ge=0, integer=True, required=False),
    Text("note", required=False, max_length=200),
    Timestamp("called_at"),
)


class LocalApp(App):
    """A real ``App`` on a given database; its declarations' policies are given, not imported."""

    def __init__(self, url: str, **settings: Any) -> None:
        config = ProjectConfig(
            name=PROJECT, timezone="America/Santiago", language=None, models=(), settings={}
        )
        super().__init__(Path("nowhere"), config, Settings(database_url=url, **settings))
        self.policies: dict[str, Policy] = {}

    def model(self, name: str) -> Model:
        if name not in self.policies:
            raise UnknownModel(model=name, known=sorted(self.policies))
        return Model(
            name=name,
            task="binary",
            target="late",
            schema=SCHEMA,
            source=list,
            policy=self.policies[name],
        )


def open_world(url: str, *, clock: AffineClock | None = None, **settings: Any) -> LocalApp:
    """Open an empty, prepared project."""
    app = LocalApp(url, **settings)
    upgrade(app.engine)
    ensure_project(app.engine, PROJECT, "America/Santiago", clock)
    return app


def manifest(
    model: str, task: str = "binary", *, rules: bool = True, **changes: Any
) -> ServingManifest:
    values: dict[str, Any] = {
        "project": PROJECT,
        "model": model,
        "version": "",
        "task": task,
        "target": "late" if task == "binary" else "minutes",
        "schema": SCHEMA.to_json(),
        "timezone": "America/Santiago",
        "classes": [False, True] if task == "binary" else None,
        "rules": RulesSource("rules", "nearest", "def nearest(row): ...") if rules else None,
        "outcome": OutcomePlan(key="call_id"),
    }
    return ServingManifest(**values | changes)


def declare(app: LocalApp, model: str, task: str = "binary", **changes: Any) -> None:
    app.registry.declare(manifest(model, task, **changes))


def register(app: LocalApp, model: str, n: int = 1, task: str = "binary") -> ModelVersion:
    """Register a version; each ``n`` is other data."""
    return app.registry.register(
        manifest(model, task),
        schema_digest=DIGEST,
        recipe_digest=DIGEST,
        data_digest=f"{n:064x}",
        version_hash=f"{n:064x}",
        metrics={
            "main": {"name": "accuracy", "value": 0.9 + n / 1000, "lower": 0.88, "upper": 0.93}
        },
        lineage={"data": {"n_rows": 1000 + n}, "seed": 42},
        who="ana@taller",
    )


def promote(app: LocalApp, model: str, version: str, hours_ago: int = 0) -> ModelVersion:
    clock = AffineClock(0, -hours_ago * HOUR, 1.0)
    registry = Registry(app.engine, PROJECT, clock)
    return registry.promote(model, version, who="ana@taller", reason="better on the holdout")


def windows(app: LocalApp, model: str, rows: list[dict[str, Any]]) -> None:
    """Write minute windows; ``minutes_ago``, ``n`` and what differs from a model's own answers."""
    now = app.clock.now_us() // MINUTE
    base = {
        "project": PROJECT,
        "model": model,
        "version": "1.0.0",
        "variant": "",
        "source": "model",
        "reason": "assigned",
        "drainer_id": "d1",
        "latency_histogram": "[]",
        "confidence_n": 0,
        "confidence_q": "0",
        "confidence_q2": "0",
    }
    with app.engine.begin() as connection:
        for row in rows:
            given = {k: v for k, v in row.items() if k != "minutes_ago"}
            values = {"latency_sum_us": 700 * row["n"], **base, **given}
            connection.execute(
                insert(tables.minute_windows), values | {"minute": now - row["minutes_ago"]}
            )


def cells(app: LocalApp, model: str, rows: list[dict[str, Any]]) -> None:
    """Write performance cells; ``hours_ago``, ``n``, ``total`` and ``squares`` of the metric."""
    hour = app.clock.now_us() // HOUR
    base = {
        "project": PROJECT,
        "model": model,
        "version": "1.0.0",
        "variant": "",
        "source": "model",
        "metric": "correct",
        "drainer_id": "d1",
    }
    with app.engine.begin() as connection:
        for row in rows:
            given = {k: v for k, v in row.items() if k not in ("hours_ago", "total", "squares")}
            sums = {
                "sum_q": str(round(row["total"] * 10**6)),
                "sum_q2": str(round(row.get("squares", row["total"]) * 10**12)),
                "exposure_hour": hour - row["hours_ago"],
                "arrival_hour": hour,
            }
            connection.execute(insert(tables.performance_cells), base | given | sums)


def prediction(app: LocalApp, model: str, *, minutes_ago: int = 0, **changes: Any) -> uuid.UUID:
    """Write one prediction row."""
    at = app.clock.now_us() - minutes_ago * MINUTE
    identifier = uuid.UUID(int=(at // 1000 << 80) | 0x7 << 76 | 0x8 << 60 | random.getrandbits(60))
    values = {
        "project": PROJECT,
        "prediction_id": identifier,
        "at": at,
        "ingested_at": at,
        "model": model,
        "version": "1.0.0",
        "variant": "",
        "source": "model",
        "reason": "assigned",
        "key": "A-1",
        "generation": 1,
        "prediction": "true",
        "score": 0.8,
        "probabilities": '{"false":0.2,"true":0.8}',
        "latency_us": 812,
        "features": '{"distance_km": 3.5, "severity": "high"}',
        "drainer_id": "d1",
    }
    with app.engine.begin() as connection:
        connection.execute(insert(tables.predictions), values | changes)
    return identifier


def outcome(
    app: LocalApp, model: str, prediction_id: uuid.UUID | None, **changes: Any
) -> uuid.UUID:
    """Write one outcome row, and its truth where it is joined."""
    identifier, at = uuid.uuid4(), app.clock.now_us()
    joined = prediction_id is not None
    values = {
        "project": PROJECT,
        "outcome_id": identifier,
        "model": model,
        "prediction_id": prediction_id,
        "key": None if joined else "A-9",
        "observed_at": at,
        "arrived_at": at,
        "value": "true",
        "origin": "api",
        "state": "joined" if joined else "parked",
        "joined": joined,
        "revision": 1 if joined else None,
        "joined_at": at if joined else None,
        "drainer_id": "d1",
    }
    with app.engine.begin() as connection:
        connection.execute(insert(tables.outcomes), values | changes)
        if joined:
            truth = {
                "project": PROJECT,
                "prediction_id": prediction_id,
                "model": model,
                "outcome_id": identifier,
                "revision": 1,
                "value": "true",
                "arrived_at": at,
            }
            connection.execute(insert(tables.truths), truth)
    return identifier


def alive(app: LocalApp, *, lag_s: float = 0.2) -> None:
    """Report a worker and a drainer as living processes."""
    with app.engine.begin() as connection:
        generation = connection.scalar(
            tables.control.select().with_only_columns(tables.control.c.generation)
        )
        connection.execute(
            insert(tables.drainers).values(
                project=PROJECT,
                drainer_id="d1",
                watermark=app.clock.now_us() - round(lag_s * 1e6),
                seen_at=database_now() + PATIENCE,
            )
        )
    report_process(
        app.engine, PROJECT, ProcessReport("worker-0", "predict", generation or 0, pid=4711)
    )
    with app.engine.begin() as connection:  # no test is quick enough on every machine
        connection.execute(update(tables.processes).values(seen_at=database_now() + PATIENCE))


def busy(url: str, **settings: Any) -> LocalApp:
    """Two models after a week: one good with a new version waiting, one at its beginning."""
    app = open_world(url, **settings)
    draw = random.Random(7)
    app.policies["dispatch"] = Policy(min_accuracy=0.88, min_samples=200)
    app.policies["arrival"] = Policy(min_samples=200)
    declare(app, "dispatch")
    declare(app, "arrival", "regression")
    for n in range(1, 4):
        register(app, "dispatch", n)
    promote(app, "dispatch", "1.0.0", 158)
    promote(app, "dispatch", "1.0.1", 90)
    register(app, "arrival", task="regression")
    minutes = [
        {"minutes_ago": m, "n": draw.randint(14, 40), "version": "1.0.1"} for m in range(600)
    ]
    minutes += [
        {"minutes_ago": m, "n": 2, "version": "", "source": "rules", "reason": "timeout"}
        for m in range(0, 600, 3)
    ]
    minutes += [
        {"minutes_ago": m, "n": 1, "version": "", "source": "rules", "reason": "low_confidence"}
        for m in range(0, 600, 7)
    ]
    windows(app, "dispatch", minutes)
    windows(
        app,
        "arrival",
        [
            {"minutes_ago": m, "n": 3, "version": "", "source": "rules", "reason": "no_version"}
            for m in range(0, 90, 4)
        ],
    )
    rows = []
    for hours in range(160, 2, -2):
        n = draw.randint(22, 70)
        right = sum(draw.random() < (0.93 if hours > 60 else 0.905) for _ in range(n))
        version = "1.0.0" if hours > 90 else "1.0.1"
        rows.append({"hours_ago": hours, "n": n, "total": right, "version": version})
    rows.append({"hours_ago": 8, "n": 140, "total": 99, "version": "", "source": "rules"})
    cells(app, "dispatch", rows)
    cells(
        app,
        "arrival",
        [
            {
                "hours_ago": 2,
                "n": 37,
                "total": 37 * 3.2,
                "squares": 37 * 14.0,
                "metric": "absolute_error",
                "version": "",
                "source": "rules",
            }
        ],
    )
    for minutes_ago in range(5):
        known = prediction(app, "dispatch", minutes_ago=minutes_ago, version="1.0.1")
        outcome(app, "dispatch", known)
    alive(app)
    return app


def drift(app: LocalApp, model: str, version: str, columns: dict[str, tuple[str, float]]) -> None:
    """Write the verdicts of yesterday's window: state and effect of each column."""
    now = app.clock.now_us()
    end = now - now % (24 * HOUR)
    order = ("alert", "warning", "ok", "not_enough", "unknown")
    worst = min((state for state, _ in columns.values()), key=order.index)
    with app.engine.begin() as connection:
        write_verdicts(
            connection,
            PROJECT,
            [
                Verdict(
                    model=model,
                    version=version,
                    monitor="feature_drift",
                    subject=subject,
                    start_us=end - 24 * HOUR,
                    end_us=end,
                    state=VerdictState(state),
                    n=1_204,
                    effect=effect,
                    judged_at=now,
                )
                for subject, (state, effect) in {"": (worst, 0.0), **columns}.items()
            ],
        )


def alert(app: LocalApp, model: str, kind: Kind, severity: Severity, **facts: Any) -> None:
    """Raise what fires at once."""
    app.alerts.take(
        Signal(
            kind=kind,
            condition=Condition.HOLDS,
            severity=severity,
            model=model,
            version="1.0.1",
            monitor="performance",
            column=str(facts.get("column", "")),
            at=app.clock.now_us(),
            facts={"verdict": "alert", **facts},
        )
    )
