"""Strategy ROUND_ROBIN: one unit, one arm, over workers, restarts and both databases."""

import asyncio
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, select
from tests.http import protocols

from timonel.clock import AffineClock
from timonel.events.accumulators import default_accumulators
from timonel.events.drain import Drainer
from timonel.experiments.counting.cells import ExperimentCells
from timonel.experiments.documents import experiment_document
from timonel.experiments.errors import InvalidDesign
from timonel.experiments.service import Experiments
from timonel.experiments.turns import TurnStore
from timonel.experiments.wishes import Wish, design_of
from timonel.serving.config import WorkerConfig
from timonel.store.errors import StoreUnavailable
from timonel.store.tables_experiments import experiment_members
from timonel.testing.builders import PROJECT, open_registry
from timonel.testing.serving import ROW, ServingWorld, declared_manifest

PREDICT = "/v1/models/churn/predict"
ARMS = ("control", "treatment")


class World:
    """A champion beside its rules, and an experiment between them in turns."""

    def __init__(self, engine: Engine, serving: ServingWorld, experiments: Experiments) -> None:
        self.engine = engine
        self.serving = serving
        self.experiments = experiments

    def begin(self, **changes: Any) -> None:
        values: dict[str, Any] = {
            "name": "turns",
            "control": "1.0.0",
            "treatment": "rules",
            "strategy": "ROUND_ROBIN",
            "share": 0.3,
        }
        wish = Wish(**values | changes)
        design = design_of(wish, model="churn", task="binary", depends_on_action=False)
        self.experiments.create(design, who="ana")
        self.experiments.start("turns", who="ana")

    def config(self, name: str) -> WorkerConfig:
        folder = self.serving.folder
        return self.serving.config(spool=folder / name, slot=folder / f"{name}-metrics")

    def members(self) -> list[tuple[int, str]]:
        m = experiment_members.c
        with self.engine.connect() as connection:
            rows = connection.execute(select(m.turn, m.arm).order_by(m.turn))
            return [(turn, arm) for turn, arm in rows]

    def drain(self, name: str) -> None:
        accumulators = [*default_accumulators(self.engine, PROJECT), ExperimentCells(PROJECT)]
        Drainer(
            self.engine,
            project=PROJECT,
            folders=[self.config(name).spool],
            drainer_id="d1",
            accumulators=accumulators,
            clock=AffineClock(),
        ).drain_once()


@pytest.fixture
def world(database: str, tmp_path: Path) -> Iterator[World]:
    with open_registry(database) as (engine, registry):
        serving = ServingWorld(tmp_path, database, registry)
        registry.declare(declared_manifest())
        serving.promote()
        experiments = Experiments(engine, PROJECT, AffineClock(), registry, lambda signal: None)
        yield World(engine, serving, experiments)


async def placed(client: httpx.AsyncClient, unit: str) -> str:
    """Ask until the unit's turn was known in time: on a busy machine the hash may decide first."""
    while True:
        answer = (await client.post(PREDICT, json={"inputs": ROW, "unit_id": unit})).json()
        arm = str(answer["variant"].partition(":")[2])
        if arm != "unplaced":
            assert (answer["source"] == "rules") == (arm == "treatment")
            return arm


@pytest.mark.parametrize(("share", "n_treated"), [(0.0, 0), (0.3, 18), (0.7, 42), (1.0, 60)])
def test_shares_come_out_as_asked_whoever_asks(database: str, share: float, n_treated: int) -> None:
    """Four workers with connections of their own want the same 60 units at once."""
    got: list[dict[str, str]] = [{} for _ in range(4)]
    gate = threading.Barrier(4)

    def ask(number: int) -> None:
        with closing(TurnStore(database, PROJECT)) as store:
            gate.wait(30)
            for i in range(60):
                unit = f"u{(i * (2 * number + 1)) % 60}"
                got[number][unit] = store.place("turns", unit, ARMS, round(share * 1e6), 1)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = {unit: arm for one in got for unit, arm in one.items()}
    assert len(whole) == 60
    assert all(one[unit] == whole[unit] for one in got for unit in one)
    assert Counter(whole.values())["treatment"] == n_treated


async def test_one_unit_has_one_arm_in_two_workers_and_after_a_restart(world: World) -> None:
    world.begin()
    units = [f"u{i}" for i in range(20)]
    one, two = world.config("one"), world.config("two")
    async with protocols.serving(one) as (_, first), protocols.serving(two) as (_, second):
        asked = [placed(client, unit) for unit in units for client in (first, second, first)]
        arms = await asyncio.gather(*asked)
    by_unit = {unit: set(arms[3 * i : 3 * i + 3]) for i, unit in enumerate(units)}
    assert all(len(found) == 1 for found in by_unit.values())
    turns = world.members()
    assert [turn for turn, _ in turns] == list(range(20))  # each turn once, none left out
    treated = [turn for turn, arm in turns if arm == "treatment"]
    assert treated == [3, 6, 9, 13, 16, 19]
    async with protocols.serving(world.config("three")) as (_, third):
        again = {unit: {await placed(third, unit)} for unit in units}
        batch = {"inputs": [ROW | {"rut": unit} for unit in units]}
        many = (await third.post(PREDICT, json=batch)).json()["predictions"]
    assert again == by_unit
    assert {unit: {a["variant"][6:]} for unit, a in zip(units, many, strict=True)} == by_unit
    for name in ("one", "two", "three"):
        world.drain(name)
    look = world.experiments.look("turns")
    assert [arm.units for arm in look.arms] == [14, 6]
    assert (look.leaks, sum(arm.answers for arm in look.arms)) == (0, 100)


async def test_while_the_database_is_held_the_hash_decides_and_the_answer_says_so(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    if world.engine.dialect.name != "sqlite":
        pytest.skip("a lock that holds all writers is SQLite's")
    world.begin(share=0.5)
    async with protocols.serving(world.config("one")) as (_, client):
        holder = sqlite3.connect(str(world.engine.url.database), isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        asked = {"inputs": ROW, "unit_id": "late"}
        answers = [(await client.post(PREDICT, json=asked)).json() for _ in range(2)]
        assert [answer["variant"] for answer in answers] == ["turns:unplaced"] * 2
        assert len({answer["source"] for answer in answers}) == 1
        assert "turns: the hash decides meanwhile: no answer within 50 ms" in caplog.text
        holder.execute("ROLLBACK")
        holder.close()
        arm = await placed(client, "late")
    assert [arm] == [arm for _, arm in world.members()]
    logged = [frame.variant for frame in protocols.predictions(world.config("one"))]
    assert logged[:2] == ["turns:unplaced"] * 2
    world.drain("one")
    look = world.experiments.look("turns")
    assert (sum(a.units for a in look.arms), sum(a.answers for a in look.arms)) == (1, 1)
    assert look.leaks == 0


async def test_by_request_it_alternates_and_is_marked_as_not_sticky(world: World) -> None:
    world.begin(unit="request")
    experiment = world.experiments.show("turns")[0]
    assert experiment_document(experiment)["assignment"] == "request-level, not sticky"
    async with protocols.serving(world.config("one")) as (_, client):
        same = {"inputs": ROW, "unit_id": "u1"}
        answers = [(await client.post(PREDICT, json=same)).json() for _ in range(10)]
    treated = [i for i, answer in enumerate(answers) if answer["variant"] == "turns:treatment"]
    assert treated == [3, 6, 9]
    assert world.members() == []


def test_what_cannot_be_honoured_is_refused(world: World) -> None:
    for changes in ({"mode": "ramp"}, {"mode": "shadow"}, {"unit": "block"}, {"share": 0.0}):
        with pytest.raises(InvalidDesign):
            world.begin(**changes)


def test_a_database_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    store = TurnStore(f"sqlite:///{tmp_path}/none.db", PROJECT)
    with closing(store), pytest.raises(StoreUnavailable):
        store.place("turns", "u1", ARMS, 500_000, 1)
    assert list(tmp_path.iterdir()) == []
