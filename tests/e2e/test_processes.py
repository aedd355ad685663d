"""Real servers under real traffic that are really killed; the client's own record is the judge."""

import asyncio
import os
import random
import signal
import time
from pathlib import Path
from statistics import median

import pytest
from sqlalchemy import Engine, delete

from timonel.registry.registry import Registry
from timonel.serving.processes.notices import Notice
from timonel.store.control import await_generation, live_processes
from timonel.store.tables import predictions
from timonel.testing.builders import PROJECT, make_manifest, open_registry, register_version
from timonel.testing.server import Server, ServerPlan, await_end
from timonel.testing.traffic import Traffic, tally

ROUNDS = int(os.environ.get("TIMONEL_KILL_ROUNDS", "6"))
SEED = int(os.environ.get("TIMONEL_KILL_SEED", "20261120"))
WAYS = ("worker", "workers", "supervisor", "all", "hang", "terminate")
WEIGHTS = (8, 3, 4, 4, 1, 2)


def publish(registry: Registry, training: str = "1", *, intercept: float = 0.0) -> str:
    """Register a version in closed form and put it into production; give its number."""
    number = {"kind": "number", "input": 0, "fill": 0.0, "mean": 0.0, "scale": 1.0}
    plan = {
        "format": 1,
        "timezone": "UTC",
        "n_inputs": 1,
        "precision": "float64",
        "steps": [number],
        "linear": {"coef": [[0.1]], "intercept": [intercept], "link": "sigmoid"},
    }
    manifest = make_manifest(predictor="linear", plan=plan)
    registry.declare(make_manifest())
    version = register_version(registry, training, manifest=manifest).version
    registry.promote("churn", version, who="ana", reason="better")
    return version


def server_on(folder: Path, url: str, **settings: object) -> Server:
    plan = ServerPlan(
        state=folder,
        database_url=url,
        project=PROJECT,
        settings={"port": 0, "workers": 2, "role": "predict", "native_processes": 0} | settings,
    )
    return Server(plan)


def assert_exact(engine: Engine, traffic: Traffic) -> None:
    record = traffic.record
    found = tally(engine, PROJECT, record)
    assert not record.wrong, record.wrong[:3]
    assert found.n_answered > 0
    assert found[2:] == (0, 0, 0, 0), found


async def strike(server: Server, way: str) -> None:
    """Kill some part of a server, and start again what does not start by itself."""
    workers = server.worker_pids()
    if way == "worker":
        server.kill(workers[:1])
    elif way == "workers":
        server.kill(workers)
    elif way == "supervisor":
        server.kill([server.pid])
        await asyncio.to_thread(await_end, workers, 20.0)
    elif way == "all":
        server.kill([*workers, server.pid])
    elif way == "hang":
        os.kill(workers[-1], signal.SIGSTOP)
    elif way == "terminate":
        assert await asyncio.to_thread(server.terminate) == 0
    if way in ("supervisor", "all", "terminate"):
        await asyncio.to_thread(server.start)


async def test_no_kill_loses_or_doubles_an_acknowledged_prediction(
    tmp_path: Path, sqlite_database: str
) -> None:
    await survive(tmp_path, sqlite_database, ROUNDS)


@pytest.mark.interop
async def test_no_kill_of_many_loses_or_doubles_one_on_either_database(
    tmp_path: Path, database: str
) -> None:
    await survive(tmp_path, database, 60)


async def survive(tmp_path: Path, database: str, rounds: int) -> None:
    dice = random.Random(SEED)
    with open_registry(database) as (engine, registry):
        publish(registry)
        with server_on(tmp_path, database) as server:
            traffic = Traffic(server.url, "churn")
            for way in dice.choices(WAYS, WEIGHTS, k=rounds):
                await traffic.answers(dice.randint(1, 900))
                await strike(server, way)
            await traffic.answers(500)
            await traffic.stop()
            assert await asyncio.to_thread(server.terminate) == 0
        assert_exact(engine, traffic)
        assert traffic.record.n_broken > 0, "the kills were not felt"


async def test_a_killed_worker_is_replaced_while_the_other_answers(
    tmp_path: Path, sqlite_database: str
) -> None:
    with open_registry(sqlite_database) as (engine, registry):
        publish(registry)
        with server_on(tmp_path, sqlite_database) as server:
            traffic = Traffic(server.url, "churn", n_connections=4)
            await traffic.answers(50)
            first = server.worker_pids()
            os.kill(first[0], signal.SIGKILL)
            await traffic.answers(200, limit_s=20.0)
            await settled(server, first)
            (facts,) = server.of(Notice.WORKER_DIED)
            assert facts["cause"] == "SIGKILL"
            await traffic.stop()
        assert_exact(engine, traffic)


async def test_a_worker_that_hangs_is_replaced_within_some_seconds(
    tmp_path: Path, sqlite_database: str
) -> None:
    with open_registry(sqlite_database) as (engine, registry):
        publish(registry)
        with server_on(tmp_path, sqlite_database) as server:
            traffic = Traffic(server.url, "churn", n_connections=4, pause_s=0.005)
            await traffic.answers(50)
            first = server.worker_pids()
            began = time.monotonic()
            os.kill(first[0], signal.SIGSTOP)
            await asyncio.to_thread(server.wait_for, Notice.WORKER_SILENT, 10.0)
            assert 1.5 < time.monotonic() - began < 60.0
            await settled(server, first)
            await traffic.stop()
        assert_exact(engine, traffic)


async def settled(server: Server, before: list[int]) -> None:
    """Wait until another process ticks in the first slot."""
    until = time.monotonic() + 120
    while server.worker_pids()[0] in (0, before[0]):
        assert time.monotonic() < until, server.notices
        await asyncio.sleep(0.01)


async def test_sigterm_under_traffic_drops_no_answer_and_drains_all(
    tmp_path: Path, sqlite_database: str
) -> None:
    with open_registry(sqlite_database) as (engine, registry):
        publish(registry)
        with server_on(tmp_path, sqlite_database) as server:
            traffic = Traffic(server.url, "churn")
            await traffic.answers(400)
            workers = server.worker_pids()
            assert await asyncio.to_thread(server.terminate) == 0
            await asyncio.to_thread(await_end, workers, 1.0)
            record = await traffic.stop()
        assert not server.of(Notice.UNDRAINED)
        assert not server.of(Notice.WORKER_DIED)
        assert len(record.answered) >= 400
        assert_exact(engine, traffic)
        assert live_processes(engine, PROJECT) == []
        with engine.begin() as connection:  # the judge sees a loss when there is one
            one = next(iter(record.answered.values())).prediction_id
            connection.execute(delete(predictions).where(predictions.c.prediction_id == one))
        assert tally(engine, PROJECT, record)[2:] == (1, 0, 1, 0)


async def test_a_promotion_reaches_all_workers_within_a_second(
    tmp_path: Path, database: str
) -> None:
    with open_registry(database) as (engine, registry):
        publish(registry)
        with server_on(tmp_path, database) as server:
            traffic = Traffic(server.url, "churn", pause_s=0.002)
            while len(live_processes(engine, PROJECT)) < 2:
                await asyncio.sleep(0.01)
            n_broken = traffic.record.n_broken  # before there was something to answer with
            delays: list[float] = []
            reports: list[float] = []
            for n in range(2, 5):
                await traffic.answers(40)
                wanted = await asyncio.to_thread(publish, registry, str(n), intercept=n / 10)
                began = time.monotonic()
                reached = await asyncio.to_thread(await_generation, engine, PROJECT, timeout_s=30.0)
                reported = time.monotonic() - began
                assert reached == (2, 2)
                await traffic.answers(40)
                others = [one for one in traffic.record.answered.values() if one.version != wanted]
                delays.append(max(one.asked_at for one in others) - began)
                assert delays[-1] <= reported  # what was reported was true
                reports.append(reported)
            record = await traffic.stop()
            assert record.n_broken == n_broken
            assert {one.reason for one in record.answered.values()} == {"assigned"}
        assert_exact(engine, traffic)
    assert median(delays) < 1.0, sorted(delays)
    assert median(reports) < 1.0, sorted(reports)
