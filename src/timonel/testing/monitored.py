"""A model in service without its servers: traffic with chosen columns, drained for real, hourly.

Rows go through spool, drain and accumulators as served ones do; the watermark follows the last
hour that was drained.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from sqlalchemy import Engine

from timonel.clock import AffineClock
from timonel.events.frames import Frame, RefusalFrame
from timonel.events.spool import SpoolWriter
from timonel.monitoring.checks import Checks
from timonel.project.model import Watch
from timonel.registry.manifest import WatchPlan
from timonel.registry.registry import Registry
from timonel.schema.features import Category, Number
from timonel.schema.schema import Schema
from timonel.signals import Signal
from timonel.stats.multivariate.row_outliers import RowOutliers
from timonel.stats.profiles.profile import Profile
from timonel.stats.profiles.reference import profile_of
from timonel.store.control import ensure_project, set_clock
from timonel.testing.builders import digest, make_manifest
from timonel.testing.events import PROJECT, Bench, Events
from timonel.wire.answer import Answer

HOUR_S = 3600
_BEATS = 5
START_H = 486_096  # 2025-06-15 00:00 UTC
SCHEMA = Schema(Number("age"), Number("visits"), Category("plan", ["basic", "gold", "free"]))

Columns = Mapping[str, Sequence[Any]]
Draw = Callable[[np.random.Generator, int], dict[str, Any]]


def usual(rng: np.random.Generator, n: int) -> dict[str, Any]:
    """Draw columns as the model learned them."""
    return {
        "age": rng.normal(40, 10, n).round(2),
        "visits": rng.poisson(4, n),
        "plan": rng.choice(["basic", "gold", "free"], n, p=[0.5, 0.3, 0.2]),
    }


def score_of(columns: Columns) -> list[float]:
    """Give the made-up model's probability of leaving."""
    age = np.asarray(columns["age"], dtype=float)
    return [float(p) for p in 1 / (1 + np.exp(-(age - 40) / 10))]


@dataclass
class Asked:
    """An answer that was given: what its truth names."""

    id: bytes
    prediction: str
    at: int


class City:
    """One model, its drainer, its checks, and what they raised.

    Parameters
    ----------
    engine : Engine
        Its tables exist.
    folder : Path
    seed : int
    watch : Watch
        How the model asks to be watched.
    accuracy : float
        What its holdout is said to have given.
    schema, draw
        What the model is asked, ``age`` among it, and how its usual rows are drawn.
    metrics
        What else its training is said to have measured.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        *,
        seed: int = 0,
        watch: Watch | None = None,
        accuracy: float = 0.9,
        model: str = "churn",
        schema: Schema = SCHEMA,
        draw: Draw = usual,
        metrics: Mapping[str, Any] | None = None,
    ) -> None:
        self.engine = engine
        self.model = model
        self.schema = schema
        self.draw = draw
        self.metrics = dict(metrics or {})
        self.rng = np.random.default_rng(seed)
        self.bench = Bench(engine, folder / "spool")
        self.bench.clock.advance((START_H * HOUR_S) - self.bench.clock.now_us() / 1e6)
        ensure_project(engine, PROJECT, "America/Santiago")
        self.events = Events(seed, model)
        self.registry = Registry(engine, PROJECT, self.bench.clock)
        self.accuracy = accuracy
        self.drainer = self.bench.drainer("slot-0")
        self._wrote = False
        self.signals: list[Signal] = []
        self.checks = Checks(engine, PROJECT, self.bench.clock, self.registry, self.signals.append)
        self.plan = watch_plan_of(watch or Watch(season=False))
        self.registry.declare(
            make_manifest(
                model, schema=self.schema.to_json(), classes=["no", "yes"], watch=self.plan
            )
        )
        self.version = self.deploy("1")

    def deploy(self, training: str, n: int = 5_000, draw: Draw | None = None) -> str:
        """Train (in name) on drawn rows, register and promote; give the version's number."""
        draw = draw or self.draw
        columns = draw(self.rng, n)
        rows = self._rows(columns)
        held = draw(self.rng, n // 4)
        answers = [Answer(said(p), p, None) for p in score_of(held)]
        profile = profile_of(self.schema, rows, answers, classifier=True)
        self.registry.keep_profile(self.model, profile)
        told = self._outliers(profile, rows, held) if self.plan.outliers is not None else None
        manifest = make_manifest(
            self.model,
            schema=self.schema.to_json(),
            classes=["no", "yes"],
            positive="yes",
            profile=profile.digest(),
            outliers=told,
        )
        accuracy = self.accuracy
        version = self.registry.register(
            manifest,
            schema_digest=self.schema.digest(),
            recipe_digest=digest("r"),
            data_digest=digest(training),
            version_hash=digest(training),
            metrics={
                **self.metrics,
                "main": {
                    "name": "accuracy",
                    "value": accuracy,
                    "lower": accuracy - 0.02,
                    "upper": accuracy + 0.02,
                    "n": 1000,
                },
            },
            lineage={},
            who="ana",
        )
        self.registry.promote(self.model, version.version, who="ana", reason="test")
        self.version = version.version
        return self.version

    def ask(self, n: int, draw: Draw | None = None, **changes: Any) -> list[Asked]:
        """Answer n rows within the present hour and leave them in the spool."""
        drawn = (draw or self.draw)(self.rng, n)
        columns = {name: np.asarray(v).tolist() for name, v in drawn.items()}
        scores = score_of(columns)
        start = self.bench.clock.now_us()
        frames: list[Frame] = []
        asked = []
        for i in range(n):
            row = {name: values[i] for name, values in columns.items()}
            prediction = said(scores[i])
            frame = self.events.prediction(
                at=start + i * (HOUR_S * 1_000_000 // max(n, 1)),
                version=self.version,
                prediction=prediction,
                score=scores[i],
                probabilities={"no": 1 - scores[i], "yes": scores[i]},
                features=msgspec.json.encode(row),
                **changes,
            )
            frames.append(frame)
            asked.append(Asked(frame.id, prediction, frame.at))
        self._write(frames)
        return asked

    def refuse(self, n: int, fields: Sequence[str], code: str = "invalid_row") -> None:
        """Refuse n rows within the present hour, each for all these fields."""
        at = self.bench.clock.now_us()
        step = HOUR_S * 1_000_000 // max(n, 1)
        self._write(
            [
                RefusalFrame(
                    id=self.events.id(),
                    at=at + i * step,
                    model=self.model,
                    code=code,
                    fields=list(fields),
                    rows=[1] * len(fields),
                )
                for i in range(n)
            ]
        )

    def tell(self, asked: Sequence[Asked], accuracy: float) -> None:
        """Send the truths of some answers now; so many of them agree."""
        now = self.bench.clock.now_us()
        frames: list[Frame] = []
        for one in asked:
            right = self.rng.random() < accuracy
            other = "no" if one.prediction == "yes" else "yes"
            frames.append(
                self.events.outcome(one.prediction if right else other, prediction=one.id, at=now)
            )
        self._write(frames)

    def end_hour(self, hours: int = 1) -> list[Signal]:
        """Move on by an hour or more, drain, check, and give what was raised."""
        self.bench.clock.advance(HOUR_S * hours)
        now = AffineClock(time.time_ns() // 1000, self.bench.clock.now_us())
        set_clock(self.engine, PROJECT, now)
        if not self._wrote:  # an idle drainer moves its watermark once a cycle: take a new one
            self.drainer = self.bench.drainer("slot-0")
        self._wrote = False
        self.drainer.drain_once()
        before = len(self.signals)
        for _ in range(_BEATS):
            report = self.checks.run()
            assert not report.failed, report.failed
            if all(result.reason != "no_live_drainer" for result in report.results):
                break
            # a machine that stood still takes every drainer for dead, and judges when one beats
            self.drainer = self.bench.drainer("slot-0")
            self.drainer.drain_once()
        return self.signals[before:]

    @property
    def hour(self) -> int:
        """The present epoch hour."""
        return self.bench.clock.now_us() // (HOUR_S * 1_000_000)

    def _rows(self, columns: Columns) -> list[tuple[Any, ...]]:
        return list(zip(*(np.asarray(columns[f.name]).tolist() for f in self.schema), strict=True))

    def _outliers(
        self, profile: Profile, learned: Sequence[Sequence[Any]], held: Columns
    ) -> dict[str, Any] | None:
        found = RowOutliers.fit(profile, learned, self._rows(held))
        return None if found is None else found.to_json()

    def _write(self, frames: Sequence[Frame]) -> None:
        self._wrote = True
        writer = SpoolWriter.open(self.bench.slot())
        for frame in frames:
            writer.append(frame)
        writer.close()


def said(score: float) -> str:
    """Give the label of a probability."""
    return "yes" if score >= 0.5 else "no"


def watch_plan_of(watch: Watch) -> WatchPlan:
    """Give a policy's part as the manifest holds it."""
    return WatchPlan(
        window_h=watch.window_h,
        season=watch.season,
        floor=watch.floor,
        floors=dict(watch.floors),
        accuracy_loss=watch.accuracy_loss,
        error_rise=watch.error_rise,
        losses=dict(watch.losses),
        min_labels=watch.min_labels,
        fallback_rate=watch.fallback_rate,
        refused_rate=watch.refused_rate,
        outliers=watch.outliers,
        rule=watch.rule,
        rules=dict(watch.rules),
        detector=watch.detector,
        anomalies=watch.anomalies,
        latency_ms=watch.latency_ms,
    )


def uuid_of(asked: Asked) -> UUID:
    """Give the id that rows hold for an answer."""
    return UUID(bytes=asked.id)
