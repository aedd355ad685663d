"""A tiny project with real training, and traffic that is logged as served."""

import itertools
import json
import random
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import insert, update

from timonel.app import App, open_app
from timonel.clock import AffineClock
from timonel.events.frames import Frame, OutcomeFrame, PredictionFrame
from timonel.events.spool import SpoolWriter
from timonel.jobs.executors import Executor, LocalExecutor, ProcessExecutor
from timonel.jobs.job import Job
from timonel.jobs.runner import JobRunner
from timonel.registry.catalogue import ModelVersion
from timonel.retraining.pipeline import retrain_kind
from timonel.runtime.predictors import load_predictor
from timonel.store.tables_loop import job_steps, jobs, verdicts

DAY_US = 86_400_000_000
MODEL = "berth"

_TOML = '[project]\nname = "harbour"\ntimezone = "America/Santiago"\nmodels = ["model"]\n'
_MODEL = '''
"""Will a ship berth in time?"""

import random
import time
from pathlib import Path

from timonel import Category, Flag, Model, Number, Outcome, Policy, Schema, Timestamp, recipes

MODE = Path(__file__).with_name("mode.txt")


def mode():
    return MODE.read_text().split() if MODE.is_file() else []


def past():
    if "source-down" in mode():
        raise ConnectionError("the harbour's database does not answer")
    if "source-hangs" in mode():
        time.sleep(600)
    draw = random.Random(1)
    rows = []
    for _ in range(800):
        wind, load = draw.gauss(0, 1), draw.gauss(0, 1)
        late = wind + 0.5 * load + draw.gauss(0, 0.3) > 0
        rows.append(
            {"wind": wind, "load": load, "pilot": draw.choice("ab"), "tug": draw.random() < 0.5,
             "due": "2026-01-05T08:00:00+00:00", "late": int(late)}
        )
    return rows


def bad(X, y, seed):
    if "recipe-hangs" in mode():
        time.sleep(600)
    if "recipe-constant" in mode():
        from sklearn.dummy import DummyClassifier

        return DummyClassifier(strategy="constant", constant=1).fit(X, y)
    raise RuntimeError("no wind today")


broken = {"recipe-raises", "recipe-hangs", "recipe-constant"} & set(mode())

berth = Model(
    name="berth",
    task="binary",
    target="late",
    schema=Schema(
        Number("wind", ge=-9, le=9),
        Number("load", ge=-9, le=9, required=False),
        Category("pilot", ["a", "b"]),
        Flag("tug"),
        Timestamp("due", required=False),
    ),
    source=past,
    recipe=bad if broken else recipes.logistic(),
    positive=1,
    outcome=Outcome(key="ship", horizon="2d"),
    policy=Policy(
        min_samples=100,
        approval="manual" if "manual" in mode() else "automatic",
        min_accuracy=0.99 if "high-bar" in mode() else None,
        retrain="0 2 * * *" if "nightly" in mode() else None,
    ),
)
'''


def write_project(folder: Path) -> None:
    """Write the project's files."""
    folder.mkdir(parents=True)
    (folder / "timonel.toml").write_text(_TOML)
    (folder / "model.py").write_text(_MODEL)


class World:
    """An open project, and the ships that come."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._draw = random.Random(7)
        self._spools = 0
        self._options: dict[str, Any] = {"executor": LocalExecutor}
        self.now_us = app.clock.now_us() - 30 * DAY_US

    @classmethod
    def begin(cls, folder: Path, url: str | None) -> "World":
        app = open_app(folder, database_url=url)
        app.prepare(clock=AffineClock())
        app.declare()
        published = app.train(MODEL, who="ana")
        assert published.promoted, published.reason
        return cls(app)

    @classmethod
    def copied(cls, source: Path, folder: Path) -> "World":
        shutil.copytree(source, folder)
        return cls(open_app(folder))

    def close(self) -> None:
        self.app.engine.dispose()

    def mode(self, *words: str) -> None:
        """Change how the project behaves, from its next import on."""
        (self.app.folder / "mode.txt").write_text(" ".join(words))
        self.app.__dict__.pop("project", None)

    def isolate(self, seconds: float = 60.0, *, first_only: bool = False) -> None:
        """Run the project's code (or its source alone) in processes, for so long at most."""
        executors: Iterator[Executor] = itertools.repeat(LocalExecutor())
        if first_only:
            executors = itertools.chain([ProcessExecutor()], executors)
        else:
            executors = itertools.repeat(ProcessExecutor())
        self._options = {"timeout_s": seconds, "executor": lambda: next(executors)}

    def forget_step(self, job: Job, step: str) -> None:
        """Put a job back to where a worker that died in a step would have left it."""
        row, steps = jobs.c, job_steps.c
        identifier = UUID(job.job_id)
        with self.app.engine.begin() as connection:
            again = {"state": "queued", "active": True, "finished_at": None, "result": None}
            connection.execute(update(jobs).where(row.job_id == identifier).values(again))
            begun = {"state": "running", "output": None}
            mine = (steps.job_id == identifier, steps.step == step)
            connection.execute(update(job_steps).where(*mine).values(begun))

    @property
    def champion(self) -> ModelVersion:
        found = self.app.registry.champion(MODEL)
        assert found is not None
        return found

    def live(
        self, n: int, *, turned: bool = False, noise: float = 0.3, truth: int | None = None
    ) -> list[int]:
        """Serve rows and tell their truths; give the time of each answer.

        ``turned``: what made a ship late now makes it early. ``truth``: whatever happens, this is
        told.
        """
        app = self.app
        manifest = app.registry.manifest(MODEL, self.champion.version)
        predictor = load_predictor(manifest, app.artifacts.get)
        frames: list[Frame] = []
        times = []
        for _ in range(n):
            wind, load = self._draw.gauss(0, 1), self._draw.gauss(0, 1)
            sign = -1 if turned else 1
            late = sign * (wind + 0.5 * load) + self._draw.gauss(0, noise) > 0
            row: list[Any] = [wind, load, self._draw.choice("ab"), self._draw.random() < 0.5, None]
            answer = predictor.predict_row(row)
            self.now_us += 60_000_000
            names = ("wind", "load", "pilot", "tug", "due")
            prediction = PredictionFrame(
                id=self._draw.randbytes(16),
                at=self.now_us,
                model=MODEL,
                version=manifest.version,
                variant="",
                source="model",
                reason="assigned",
                key=f"ship-{self.now_us}",
                unit=None,
                generation=1,
                prediction=answer.prediction,
                score=answer.score,
                probabilities=answer.probabilities,
                explanation=None,
                latency_us=100,
                features=json.dumps(dict(zip(names, row, strict=True))).encode(),
            )
            told = OutcomeFrame(
                id=self._draw.randbytes(16),
                at=self.now_us + 30_000_000,
                model=MODEL,
                prediction=prediction.id,
                key=None,
                observed_at=None,
                value=int(late) if truth is None else truth,
                origin="api",
            )
            frames += [prediction, told]
            times.append(self.now_us)
        self._store(frames)
        return times

    def _store(self, frames: list[Frame]) -> None:
        self._spools += 1
        folder = self.app.state / "spool" / f"slot-{self._spools}"
        writer = SpoolWriter.open(folder, max_bytes=100_000_000)
        for frame in frames:
            writer.append(frame)
        writer.close()
        drainer = self.app.drainer([folder], f"drainer-{self._spools}")
        while drainer.drain_once().n_frames:
            pass

    def alert(self, since_us: int) -> None:
        """Write what monitoring writes of a window in which the champion did badly."""
        row = {
            "project": self.app.name,
            "model": MODEL,
            "version": self.champion.version,
            "monitor": "performance",
            "subject": "accuracy",
            "window_start": since_us,
            "window_end": self.app.clock.now_us() + DAY_US,
            "state": "alert",
            "n": 500,
            "statistic": 0.5,
            "p_value": None,
            "effect": -0.4,
            "facts": "{}",
            "judged_at": self.app.clock.now_us(),
        }
        with self.app.engine.begin() as connection:
            connection.execute(insert(verdicts), row)

    def runner(self, report: Any = lambda _kind, _facts: None, **options: Any) -> JobRunner:
        kind = retrain_kind(replace(self.app.retraining.parts, **self._options))
        return JobRunner(self.app.jobs, {kind.name: kind}, "worker-1", report, **options)

    def retrain(self, trigger: str = "hand") -> Job:
        """Ask for a retraining and do it."""
        job = self.app.retraining.start(MODEL, who="ana", trigger=trigger)
        assert self.runner().run_one(threading.Event())
        return self.app.jobs.get(job.job_id)

    def output(self, job: Job, step: str) -> Any:
        return next(s.output for s in self.app.jobs.steps(job.job_id) if s.step == step)
