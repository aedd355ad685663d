"""A challenger behind HTTP, or native, that answers unheard after the champion did."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine
from tests.http.protocols import frames, predictions, serving
from tests.http.test_services import Reply, Service, by_form, row_of, served_manifest, visits_of

from timonel.clock import AffineClock
from timonel.events.accumulators import default_accumulators
from timonel.events.drain import Drainer
from timonel.events.frames import OutcomeFrame, ShadowFrame
from timonel.events.spool import SpoolWriter
from timonel.experiments.counting.cells import ExperimentCells
from timonel.experiments.judging.look import ShadowReport
from timonel.experiments.service import Experiments
from timonel.experiments.wishes import Wish, design_of
from timonel.registry.manifest import ServingManifest, ServingPolicy
from timonel.serving.config import WorkerConfig
from timonel.serving.routes.shadow import MOST_ASKED, MOST_ROWS
from timonel.testing.builders import PROJECT, open_registry, register_version
from timonel.testing.serving import ServingWorld, declared_manifest, linear_manifest
from timonel.wire.ids import IdSource

PREDICT = "/v1/models/churn/predict"
PATIENT_S = 60.0


class World:
    """A compiled champion, and an experiment with whatever is to shadow it."""

    def __init__(self, engine: Engine, serving: ServingWorld) -> None:
        self.serving = serving
        self.engine = engine
        registry = serving.registry
        self.experiments = Experiments(engine, PROJECT, AffineClock(), registry, lambda _: None)
        self.config: WorkerConfig = serving.config(
            spool=serving.folder / "spool", slot=serving.folder / "metrics"
        )

    def begin(self, challenger: ServingManifest) -> None:
        version = register_version(
            self.serving.registry, "shadow", recipe="other", manifest=challenger
        ).version
        wish = Wish(name="unheard", control="1.0.0", treatment=version, mode="shadow")
        design = design_of(wish, model="churn", task="binary", depends_on_action=False)
        self.experiments.create(design, who="ana")
        self.experiments.start("unheard", who="ana")

    def shadows(self) -> list[ShadowFrame]:
        return [frame for frame in frames(self.config) if isinstance(frame, ShadowFrame)]

    async def await_shadows(self, n: int) -> list[ShadowFrame]:
        until = time.monotonic() + PATIENT_S
        while len(found := self.shadows()) < n:
            assert time.monotonic() < until, found
            await asyncio.sleep(0.01)
        return found

    def drain(self, folder: str = "spool") -> None:
        accumulators = [*default_accumulators(self.engine, PROJECT), ExperimentCells(PROJECT)]
        Drainer(
            self.engine,
            project=PROJECT,
            folders=[self.serving.folder / folder],
            drainer_id="d1",
            accumulators=accumulators,
            clock=AffineClock(),
        ).drain_once()

    def truths(self, **answers: int) -> None:
        """Write truths by the hexadecimal id of their prediction."""
        writer, ids = SpoolWriter.open(self.serving.folder / "truths"), IdSource()
        for identifier, value in answers.items():
            frame = OutcomeFrame(
                id=ids.next(),
                at=AffineClock().now_us(),
                model="churn",
                prediction=bytes.fromhex(identifier),
                key=None,
                observed_at=None,
                value=value,
                origin="api",
            )
            writer.append(frame)
        writer.close()


@pytest.fixture
def world(database: str, tmp_path: Path) -> Iterator[World]:
    yield from opened(database, tmp_path)


@pytest.fixture
def on_sqlite(sqlite_database: str, tmp_path: Path) -> Iterator[World]:
    yield from opened(sqlite_database, tmp_path)


def opened(url: str, folder: Path) -> Iterator[World]:
    with open_registry(url) as (engine, registry):
        served = ServingWorld(folder, url, registry)
        registry.declare(declared_manifest())
        served.promote(linear_manifest(visits=1.0))  # says 1 to all
        yield World(engine, served)


@pytest.fixture
def service() -> Iterator[Service]:
    with Service().running() as running:
        yield running


async def ask(client: httpx.AsyncClient, visits: float, unit: str = "u") -> dict[str, Any]:
    reply = await client.post(PREDICT, json=row_of(visits) | {"unit_id": unit})
    answer: dict[str, Any] = reply.json()
    assert (reply.status_code, answer["source"], answer["version"]) == (200, "model", "1.0.0")
    return answer


def counted(text: str) -> dict[str, int]:
    """Read the counts by fate of ``/metrics``."""
    name = "timonel_shadow_answers_total{"
    lines = [line for line in text.splitlines() if line.startswith(name)]
    return {line.split('fate="')[1].split('"')[0]: int(line.rsplit(" ", 1)[1]) for line in lines}


async def test_a_service_is_asked_after_the_answer_and_counts_in_pairs(
    world: World, service: Service
) -> None:
    world.begin(served_manifest(service))  # says 1 from 50 visits on
    async with serving(world.config) as (_, client):
        for at in range(6):
            await ask(client, 10.0 * at + 5.0, f"u{at}")
            await world.await_shadows(at + 1)
        rows = [row_of(at / 2)["inputs"] for at in range(MOST_ROWS + 36)]
        many = {"inputs": rows, "unit_id": "many"}
        assert len((await client.post(PREDICT, json=many)).json()["predictions"]) == len(rows)
        await world.await_shadows(6 + MOST_ROWS)
        said = counted((await client.get("/metrics")).text)
    logged, unheard = predictions(world.config), world.shadows()
    assert said == {"answered": 6 + MOST_ROWS, "dropped": 36}
    assert Counter(one.shadow_asked for one in logged) == {True: 6 + MOST_ROWS, False: 36}
    by_id = {one.id: one for one in logged}
    for one in unheard:
        of = by_id[one.prediction]
        assert (one.at, one.generation, one.variant) == (of.at, of.generation, "unheard:treatment")
        assert of.variant == "unheard:control"
    world.truths(**{one.id.hex(): 0 for one in logged[:6]})
    world.drain()
    world.drain("truths")
    look = world.experiments.look("unheard")
    report = ShadowReport(answered=70, late=0, invalid=0, failed=0, dropped=36, missing=0)
    assert look.asked_later == report
    assert [arm.labelled for arm in look.arms] == [6, 6]
    assert world.experiments.replay("unheard").all_same


async def test_a_challenger_that_hangs_delays_nobody_and_what_is_beyond_is_dropped(
    on_sqlite: World, service: Service
) -> None:
    world, opened = on_sqlite, threading.Event()

    def hanging(document: Any) -> Reply:
        opened.wait(PATIENT_S)
        return by_form(document)

    service.reply = hanging
    world.begin(served_manifest(service, policy=ServingPolicy(deadline_ms=60_000)))
    async with serving(world.config) as (app, client):
        for at in range(MOST_ASKED + 5):
            await ask(client, 5.0, f"u{at}")
        assert world.shadows() == []  # all have their answers, and none of it has come
        opened.set()
        await world.await_shadows(MOST_ASKED)
        await ask(client, 5.0)
        await world.await_shadows(MOST_ASKED + 1)
        champion = app.model("churn")[1].champion
        assert champion is not None
        assert champion.breaker.closed
    asked = [one.shadow_asked for one in predictions(world.config)]
    assert asked == [True] * MOST_ASKED + [False] * 5 + [True]


async def test_what_goes_wrong_there_is_counted_and_touches_no_answer(
    on_sqlite: World, service: Service
) -> None:
    world = on_sqlite
    world.begin(served_manifest(service, policy=ServingPolicy(deadline_ms=60_000)))
    replies: list[Any] = [
        lambda _: (500, {}),
        lambda _: (422, {}),
        lambda _: (200, b"not json"),
        lambda _: (200, {"predictions": ["perhaps"]}),
    ]
    async with serving(world.config) as (_, client):
        for at, reply in enumerate(replies):
            service.reply = reply
            await ask(client, 5.0, f"u{at}")
            await world.await_shadows(at + 1)
        service.reply = lambda d: (422, {}) if 13.0 in visits_of(d) else by_form(d)
        rows = [row_of(float(at))["inputs"] for at in range(20)]
        await client.post(PREDICT, json={"inputs": rows, "unit_id": "many"})
        await world.await_shadows(4 + 20)
        said = counted((await client.get("/metrics")).text)
    fates = [one.fate for one in world.shadows()]
    assert fates[:4] == ["failed", "failed", "invalid", "invalid"]
    assert said == {"failed": 3, "invalid": 2, "answered": 19}
    assert all(one.version == "1.0.0" for one in predictions(world.config))


async def test_an_answer_beyond_the_deadline_is_late(on_sqlite: World, service: Service) -> None:
    world, over = on_sqlite, threading.Event()

    def hanging(document: Any) -> Reply:
        over.wait(PATIENT_S)
        return by_form(document)

    service.reply = hanging
    world.begin(served_manifest(service, policy=ServingPolicy(deadline_ms=50)))
    async with serving(world.config) as (_, client):
        await ask(client, 5.0)
        (late,) = await world.await_shadows(1)
    over.set()
    assert (late.fate, late.answer) == ("late", None)


async def test_where_there_is_no_pool_a_native_challenger_is_dropped_and_said(
    on_sqlite: World,
) -> None:
    world = on_sqlite
    world.begin(linear_manifest(predictor="native", plan=None))
    async with serving(world.config) as (app, client):
        await ask(client, 5.0)
        faults = [(one.version, one.code) for one in app.snapshot().faults]
    assert faults
    world.drain()
    shadow = world.experiments.look("unheard").asked_later
    assert shadow is not None
    assert (shadow.dropped, shadow.asked, shadow.paired) == (1, 0, 0.0)


async def test_a_pool_that_is_away_is_a_failure_of_the_shadow_alone(on_sqlite: World) -> None:
    world = on_sqlite
    world.begin(linear_manifest(predictor="native", plan=None))
    world.config = world.serving.config(
        spool=world.config.spool,
        slot=world.config.slot,
        native_socket=world.serving.folder / "nobody.sock",
    )
    async with serving(world.config) as (_, client):
        await ask(client, 5.0)
        (failed,) = await world.await_shadows(1)
    assert (failed.fate, failed.answer) == ("failed", None)


async def test_at_the_end_what_still_hangs_is_given_up_and_missing(
    on_sqlite: World, service: Service
) -> None:
    world, never = on_sqlite, threading.Event()

    def hanging(document: Any) -> Reply:
        never.wait(PATIENT_S)
        return by_form(document)

    service.reply = hanging
    world.begin(served_manifest(service, policy=ServingPolicy(deadline_ms=60_000)))
    async with serving(world.config) as (_, client):
        await ask(client, 5.0)
    never.set()
    world.drain()
    shadow = world.experiments.look("unheard").asked_later
    assert shadow == ShadowReport(answered=0, late=0, invalid=0, failed=0, dropped=0, missing=1)


async def test_a_compiled_challenger_that_is_slow_is_asked_in_a_thread_of_its_own(
    on_sqlite: World,
) -> None:
    world = on_sqlite
    world.begin(linear_manifest(policy=ServingPolicy(batch_rows=8)))  # not to be asked inline
    async with serving(world.config) as (_, client):
        await ask(client, 5.0)
        (one,) = await world.await_shadows(1)
    assert (one.fate, one.answer) == ("answered", 0)


async def test_a_compiled_challenger_still_answers_in_the_same_frame(on_sqlite: World) -> None:
    world = on_sqlite
    world.begin(linear_manifest())
    async with serving(world.config) as (_, client):
        await ask(client, 5.0)
        said = counted((await client.get("/metrics")).text)
    (one,) = predictions(world.config)
    assert one.shadow is not None
    assert (one.shadow.prediction, one.shadow_asked) == (0, None)
    assert said == {"answered": 1}
    assert world.shadows() == []
