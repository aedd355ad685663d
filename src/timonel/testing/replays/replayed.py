"""A labelled table replayed as traffic of a version: real drains, real checks, truths that lag."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine

from timonel.clock import AffineClock
from timonel.events.frames import Frame
from timonel.monitoring.checks import Checks
from timonel.project.model import Watch
from timonel.registry.registry import Registry
from timonel.schema.features import Number
from timonel.schema.schema import Schema
from timonel.signals import Condition, Kind, Signal
from timonel.stats.calibration.reference import labelled_reference
from timonel.stats.intervals import wilson
from timonel.stats.profiles.reference import profile_of
from timonel.store.control import ensure_project, set_clock
from timonel.testing.builders import digest, make_manifest
from timonel.testing.events import PROJECT, Bench, Events
from timonel.testing.monitored import HOUR_S, START_H, watch_plan_of
from timonel.wire.answer import Answer


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled answers of a model: its one input, what it said, and what was true.

    Parameters
    ----------
    x : sequence of float
    said : sequence
        Labels, or numbers of a regression.
    score : sequence of float, or None
        Of a classification: the probability of the positive class.
    truth : sequence
    """

    x: Sequence[float]
    said: Sequence[Any]
    score: Sequence[float] | None
    truth: Sequence[Any]

    def part(self, start: int, end: int) -> "Rows":
        """Give the rows of ``[start, end)``."""
        score = None if self.score is None else self.score[start:end]
        return Rows(self.x[start:end], self.said[start:end], score, self.truth[start:end])

    def __len__(self) -> int:
        return len(self.x)


@dataclass
class Replay:
    """A version registered from labelled rows, and other rows sent to it hour by hour.

    Parameters
    ----------
    engine : Engine
        Its tables exist.
    folder : Path
    reference : Rows
        The version's holdout.
    watch : Watch
    lag_h : int
        How many hours truths come after their predictions.
    """

    engine: Engine
    folder: Path
    reference: Rows
    watch: Watch = field(default_factory=lambda: Watch(season=False, window="1h"))
    lag_h: int = 2
    model: str = "churn"
    signals: list[tuple[int, Signal]] = field(default_factory=list)
    hour: int = 0

    def __post_init__(self) -> None:
        self.bench = Bench(self.engine, self.folder / "spool")
        self.bench.clock.advance((START_H * HOUR_S) - self.bench.clock.now_us() / 1e6)
        ensure_project(self.engine, PROJECT, "America/Santiago")
        self.events = Events(0, self.model)
        self.registry = Registry(self.engine, PROJECT, self.bench.clock)
        self.checks = self.make_checks()
        self.drainer = self.bench.drainer("slot-0")
        self._waiting: list[tuple[int, list[bytes], Rows]] = []
        regression = self.reference.score is None
        options: dict[str, Any] = {
            "schema": Schema(Number("x")).to_json(),
            "task": "regression" if regression else "binary",
            "classes": None if regression else [0, 1],
            "positive": None if regression else 1,
            "watch": watch_plan_of(self.watch),
        }
        self.registry.declare(make_manifest(self.model, **options))
        self.version = self._deploy(options, regression=regression)

    def make_checks(self) -> Checks:
        """Make checks that remember nothing, as a worker that starts has them."""
        return Checks(self.engine, PROJECT, self.bench.clock, self.registry, self._heard)

    def _heard(self, signal: Signal) -> None:
        self.signals.append((self.hour, signal))

    def _deploy(self, options: dict[str, Any], *, regression: bool) -> str:
        rows = self.reference
        answers = [
            Answer(said, None if rows.score is None else rows.score[i], None)
            for i, said in enumerate(rows.said)
        ]
        schema = Schema(Number("x"))
        profile = profile_of(schema, [[x] for x in rows.x], answers, classifier=not regression)
        self.registry.keep_profile(self.model, profile)
        labelled = labelled_reference(
            profile,
            answers,
            rows.truth,
            classes=options["classes"],
            positive=options["positive"],
            order=range(len(answers)),
        )
        manifest = make_manifest(self.model, **options, profile=profile.digest(), labelled=labelled)
        version = self.registry.register(
            manifest,
            schema_digest=schema.digest(),
            recipe_digest=digest("r"),
            data_digest=digest("d"),
            version_hash=digest("v"),
            metrics={"main": self._measured(regression=regression)},
            lineage={},
            who="ana",
        )
        self.registry.promote(self.model, version.version, who="ana", reason="test")
        return version.version

    def _measured(self, *, regression: bool) -> dict[str, Any]:
        rows = self.reference
        if regression:
            errors = [abs(a - b) for a, b in zip(rows.said, rows.truth, strict=True)]
            mean = sum(errors) / len(errors)
            return {"name": "mae", "value": mean, "lower": mean * 0.97, "upper": mean * 1.03}
        hits = sum(a == b for a, b in zip(rows.said, rows.truth, strict=True))
        found = wilson(hits, len(rows))
        return {
            "name": "accuracy",
            "value": found.estimate,
            "lower": found.low,
            "upper": found.high,
        }

    def play(self, rows: Rows, *, labelled: bool = True) -> None:
        """Answer rows within an hour; then let it end: drain, check."""
        start = self.bench.clock.now_us()
        frames: list[Frame] = []
        ids = []
        for i in range(len(rows)):
            score = None if rows.score is None else float(rows.score[i])
            said = rows.said[i]
            frame = self.events.prediction(
                at=start + i * (HOUR_S * 1_000_000 // max(1, len(rows))),
                version=self.version,
                prediction=said,
                score=score,
                probabilities=None if score is None else {"0": 1.0 - score, "1": score},
                features=msgspec.json.encode({"x": float(rows.x[i])}),
            )
            frames.append(frame)
            ids.append(frame.id)
        if labelled:
            self._waiting.append((self.hour + self.lag_h, ids, rows))
        frames += self._truths(start)
        self.bench.write(*frames)
        self.end_hour()

    def _truths(self, now_us: int) -> list[Frame]:
        due = [one for one in self._waiting if one[0] <= self.hour]
        self._waiting = [one for one in self._waiting if one[0] > self.hour]
        return [
            self.events.outcome(truth, prediction=identifier, at=now_us)
            for _, ids, rows in due
            for identifier, truth in zip(ids, rows.truth, strict=True)
        ]

    def end_hour(self) -> None:
        """Move on by an hour, drain, and check."""
        self.hour += 1
        self.bench.clock.advance(HOUR_S)
        now = AffineClock(time.time_ns() // 1000, self.bench.clock.now_us())
        set_clock(self.engine, PROJECT, now)
        self.drainer = self.bench.drainer("slot-0")
        self.drainer.drain_once()
        report = self.checks.run()
        assert not report.failed, report.failed

    def raised(self, kind: Kind, monitor: str, condition: str = "holds") -> list[int]:
        """Give the hours in which a monitor raised something."""
        return [
            hour
            for hour, signal in self.signals
            if (signal.kind, signal.monitor) == (kind, monitor)
            and signal.condition is Condition(condition)
        ]
