"""Truths that land in a table: fetched by the worker, once each, and told when they cannot be."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from timonel.app import App, open_app
from timonel.clock import AffineClock
from timonel.events.frames import PredictionFrame
from timonel.events.importing.pulls import KIND, Pulls, result_sentence
from timonel.events.spool import SpoolWriter
from timonel.jobs.executors import Executor, LocalExecutor, ProcessExecutor
from timonel.jobs.job import Job, JobState
from timonel.jobs.runner import JobRunner
from timonel.project.outcome import Outcome
from timonel.project.sources import Sql
from timonel.schema.errors import InvalidDeclaration
from timonel.signals import Condition, Kind
from timonel.store.tables import truths
from timonel.wire.ids import IdSource

TOML = '[project]\nname = "harbour"\ntimezone = "America/Santiago"\nmodels = ["model"]\n'
MODEL = """
from timonel import Model, Number, Outcome, Schema, Sql, recipes

churn = Model(
    name="churn", task="binary", target="left", schema=Schema(Number("visits")), positive="Sí",
    source=lambda: [], recipe=recipes.logistic(),
    outcome=Outcome(
        key="rut", horizon="40d", time="fecha", value="se_fue", schedule="0 6 * * *",
        source=Sql("select * from etiquetas", url="sqlite:///etiquetas de Ñuñoa.db"),
    ),
)
"""
DAY_US = 86_400_000_000
NIGHT = 1_764_223_200_000_000  # 2025-11-27 03:00 in Santiago
_ids = IdSource()


class Night:
    """A project on its database, and the table in which its truths land."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.file = app.folder / "etiquetas de Ñuñoa.db"
        self.signals: list[Any] = []
        self.executor: type[Executor] = LocalExecutor

    @property
    def pulls(self) -> Pulls:
        app = self.app
        return Pulls(
            app.jobs,
            app.scheduler,
            lambda: app.project.models,
            app.folder,
            self.signals.append,
            timeout_s=60,
            executor=lambda: self.executor(),
        )

    def landed(self, *rows: tuple[str, str, str]) -> None:
        with sqlite3.connect(self.file) as database:
            database.execute(
                "create table if not exists etiquetas (rut, se_fue, fecha, cargado integer)"
            )
            database.executemany("insert into etiquetas values (?, ?, ?, 0)", rows)
            database.execute("update etiquetas set cargado = cargado + 1")  # as exports do

    def predicted(self, *ruts: str, at: int) -> None:
        folder = self.app.state / "spool" / uuid4().hex
        writer = SpoolWriter.open(folder)
        for rut in ruts:
            writer.append(
                PredictionFrame(
                    id=_ids.next(),
                    at=at,
                    model="churn",
                    version="1.0.0",
                    variant="",
                    source="model",
                    reason="assigned",
                    key=rut,
                    unit=None,
                    generation=1,
                    prediction="No",
                    score=0.2,
                    probabilities={"No": 0.8, "Sí": 0.2},
                    explanation=None,
                    latency_us=100,
                    features=json.dumps({"visits": 1.0}).encode(),
                )
            )
        writer.close()
        while self.app.drainer([folder], folder.name).drain_once().lag_bytes:
            continue

    def run(self) -> Job:
        job = self.pulls.start("churn", who="ana")
        kinds = {KIND: self.pulls.kind()}
        runner = JobRunner(self.app.jobs, kinds, "test", lambda *_: None)
        while self.app.jobs.get(job.job_id).state is JobState.QUEUED:
            assert runner.run_one(threading.Event())
            if self.app.jobs.get(job.job_id).error is not None:
                break  # it will be tried again, later
        return self.app.jobs.get(job.job_id)

    def values(self) -> list[str]:
        with self.app.engine.connect() as connection:
            return sorted(json.loads(one) for one in connection.scalars(select(truths.c.value)))


@pytest.fixture
def night(database: str, tmp_path: Path) -> Iterator[Night]:
    folder = tmp_path / "proyecto ñ"
    folder.mkdir()
    (folder / "timonel.toml").write_text(TOML)
    (folder / "model.py").write_text(MODEL, encoding="utf-8")
    app = open_app(folder, database_url=database)
    app.prepare(clock=AffineClock(event_us=NIGHT + 60 * DAY_US))
    night = Night(app)
    night.landed()
    app.declare()
    yield night
    app.engine.dispose()


def test_each_night_brings_what_is_new(night: Night) -> None:
    night.predicted("1-9", "2-7", at=NIGHT)
    night.landed(("1-9", "Sí", "2025-12-01 02:00"), ("2-7", "No", "2025-12-01 02:00"))
    first = night.run()
    assert (first.state, first.result["joined"]) == (JobState.SUCCEEDED, 2)
    night.predicted("1-9", "2-7", at=NIGHT + 30 * DAY_US)
    night.landed(("1-9", "No", "2025-12-30 02:00"), ("9-9", "No", "2025-12-30 02:00"))
    second = night.run()
    assert {name: second.result.get(name) for name in ("joined", "identical", "unknown")} == {
        "joined": 1,
        "identical": 2,  # though every row of the table says that it was loaded again
        "unknown": 1,
    }
    assert night.values() == ["No", "No", "Sí"]
    assert "1 joined" in result_sentence(second.result, "en")
    assert "1 unidas" in result_sentence(second.result, "es")
    rejected = Path(second.result["rejected"])
    assert "9-9" in rejected.read_text(encoding="utf-8-sig")


def test_a_table_that_is_away_is_an_alert_until_it_is_back(night: Night) -> None:
    night.predicted("1-9", at=NIGHT)
    night.landed(("1-9", "Sí", "2025-12-01"))
    night.file.rename(night.file.with_suffix(".away"))
    night.app.project.check()  # answers do not wait for truths
    (absent,) = night.app.project.absences()
    assert night.file.name in str(absent)
    failed = night.run()
    assert (failed.state, night.values()) == (JobState.FAILED, [])
    assert failed.error is not None
    assert "etiquetas de Ñuñoa.db" in failed.error["detail"]
    night.pulls.consider()
    night.file.with_suffix(".away").rename(night.file)
    assert night.run().state is JobState.SUCCEEDED
    night.pulls.consider()
    assert [(one.kind, one.condition) for one in night.signals] == [
        (Kind.JOB_FAILED, Condition.HOLDS),
        (Kind.JOB_FAILED, Condition.CLEAR),
    ]
    (schedule,) = night.app.scheduler.list()
    assert (schedule.cron, schedule.kind, schedule.model) == ("0 6 * * *", KIND, "churn")


def test_it_is_read_in_a_process_of_its_own(night: Night) -> None:
    night.executor = ProcessExecutor
    night.predicted("1-9", at=NIGHT)
    night.landed(("1-9", "Sí", "2025-12-01"))
    assert night.run().result["joined"] == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"source": Sql("select 1", url="env:X"), "key": "rut"}, "may be new"),
        ({"source": Sql("select 1", url="env:X"), "time": "when"}, "key or prediction_id"),
        ({"source": Sql("select 1"), "key": "rut", "time": "when"}, "a url"),
        ({"source": "etiquetas.csv", "key": "rut", "time": "when"}, "Csv"),
        ({"time": "when"}, "a source beside it"),
    ],
)
def test_a_declaration_says_what_it_lacks(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidDeclaration) as refused:
        Outcome(**wrong)
    assert said in str(refused.value)
