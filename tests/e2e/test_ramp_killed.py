"""A harmful candidate is taken back from real traffic, though everything is killed meanwhile."""

import asyncio
import itertools
import random
import uuid
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from sqlalchemy import select

from timonel.app import App, open_app
from timonel.experiments.design import State
from timonel.experiments.wishes import Wish, design_of
from timonel.store.engine import reading
from timonel.store.tables import predictions
from timonel.testing.server import Up, free_port

MODEL = """
import random

from timonel import Model, Number, Outcome, Policy, Schema, recipes

def rows():
    draw = random.Random(4)
    xs = [round(draw.gauss(0, 1), 3) for _ in range(600)]
    return [{"x": x, "stays": int(x + draw.gauss(0, 0.3) > 0)} for x in xs]

visit = Model(
    name="visit",
    task="binary",
    target="stays",
    schema=Schema(Number("x")),
    source=rows,
    recipe=recipes.logistic(),
    fallback="rules:stay",
    positive=1,
    outcome=Outcome(horizon="7d"),
)
"""
RULES = """
from timonel import Answer

def stay(row):
    return Answer(int(row["x"] > 0), 0.9)
"""
SETTINGS = """
[project]
name = "visits"
models = ["model"]

[settings]
checks_every_s = 1.0
"""
LIMIT_S = 240.0


class Answered(NamedTuple):
    """What a client got."""

    prediction_id: str
    variant: str
    at_us: int


class Callers:
    """Ask for predictions and tell their truths: those of the candidate are always wrong."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answered: list[Answered] = []
        self.numbers = itertools.count()
        self.stopping = False

    async def ask_on(self, now_us: Any) -> None:
        draw = random.Random(next(self.numbers))
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=30.0) as http:
            while not self.stopping:
                try:
                    await self.ask(http, draw, now_us)
                except httpx.HTTPError:
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.01)

    async def ask(self, http: httpx.AsyncClient, draw: random.Random, now_us: Any) -> None:
        inputs = {"x": round(draw.gauss(0, 1), 3)}
        asked = {"inputs": inputs, "unit_id": f"u-{next(self.numbers)}"}
        response = await http.post("/v1/models/visit/predict", json=asked)
        if response.status_code == 503:
            return
        assert response.status_code == 200, response.text
        answer = response.json()
        self.answered.append(Answered(answer["prediction_id"], answer["variant"], now_us()))
        is_right = not answer["variant"].endswith(":treatment") and draw.random() < 0.9
        truth = answer["prediction"] if is_right else 1 - answer["prediction"]
        told = {"prediction_id": answer["prediction_id"], "value": truth}
        response = await http.post("/v1/models/visit/outcomes", json=told)
        assert response.status_code in (202, 503), response.text

    def of(self, arm: str) -> list[Answered]:
        return [one for one in self.answered if one.variant.endswith(arm)]


@pytest.fixture
def app(tmp_path: Path) -> App:
    folder = tmp_path / "Ñuñoa visits"
    folder.mkdir()
    for name, text in (("model.py", MODEL), ("rules.py", RULES), ("timonel.toml", SETTINGS)):
        (folder / name).write_text(text, "utf-8")
    return open_app(folder)


def begin_ramp(app: App) -> None:
    """Train, and let the rules take a quarter of the units from the version."""
    app.prepare()
    app.declare()
    version = app.train("visit", who="ana").version.version
    wish = Wish(
        name="rules-first",
        control=version,
        treatment="rules",
        mode="ramp",
        steps=[0.25, 1.0],
        guardrails=["fallback"],
    )
    design = design_of(wish, model="visit", task="binary", depends_on_action=False)
    app.experiments.create(design, who="ana")
    app.experiments.start("rules-first", who="ana")


async def until(found: Any, what: str) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not found():
            await asyncio.sleep(0.05)
    assert found(), what


async def live(app: App, server: Up, callers: Callers) -> tuple[int, int]:
    """Kill all at three moments of the ramp, wait for its end, and go on; say when it ended."""
    asking = [asyncio.create_task(callers.ask_on(app.clock.now_us)) for _ in range(4)]
    for n_exposed in (5, 15, 25):
        await until(lambda n=n_exposed: len(callers.of(":treatment")) >= n, "exposed")
        await asyncio.to_thread(server.kill_all)
        await asyncio.to_thread(server.start)
    await until(lambda: app.experiments.show("rules-first")[0].state is not State.ACTIVE, "end")
    ended = app.clock.now_us()
    await asyncio.to_thread(server.kill_all)
    await asyncio.to_thread(server.start)
    n_answered = len(callers.answered)
    await until(lambda: len(callers.answered) > n_answered + 200, "answers afterwards")
    callers.stopping = True
    await asyncio.gather(*asking)
    return ended, n_answered


@pytest.mark.slow
def test_a_harmful_ramp_is_taken_back_though_all_is_killed(app: App) -> None:
    begin_ramp(app)
    server = Up(app.folder, free_port())
    callers = Callers(server.url)
    server.start()
    try:
        ended, n_before = asyncio.run(live(app, server, callers))
    finally:
        server.stop()
    experiment, look, events = app.experiments.show("rules-first")
    with reading(app.engine) as connection:
        stored = Counter(connection.execute(select(predictions.c.prediction_id)).scalars())
    acknowledged = {uuid.UUID(one.prediction_id) for one in callers.answered}
    app.engine.dispose()
    assert look is not None
    assert (experiment.state, str(look.verdict)) == (State.COMPLETED, "ROLL_BACK")
    assert [event.action for event in events].count("stop") == 1
    assert acknowledged <= stored.keys()
    assert set(stored.values()) == {1}
    assert {one.variant for one in callers.answered[n_before:]} == {""}
    late = [one.at_us - ended for one in callers.of(":treatment") if one.at_us > ended]
    assert max(late, default=0) < 10_000_000
