"""Promotions and rollbacks under continuous traffic: no request fails, none is answered for."""

import asyncio
import itertools
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine

from timonel.registry.registry import Registry
from timonel.serving.metrics import Family, read_slots
from timonel.store.control import await_generation, live_processes
from timonel.testing.builders import PROJECT, make_manifest, open_registry, register_version
from timonel.testing.server import Server, ServerPlan
from timonel.testing.serving import linear_manifest
from timonel.testing.traffic import Traffic, tally

ROUNDS = 12  # of six moves each


def publish(registry: Registry, number: int) -> str:
    """Register a version that answers a little otherwise, and promote it; give its number."""
    manifest = linear_manifest(
        schema=[{"kind": "number", "name": "visits"}],
        plan={
            "format": 1,
            "timezone": "UTC",
            "n_inputs": 1,
            "precision": "float64",
            "steps": [{"kind": "number", "input": 0, "fill": 0.0}],
            "linear": {"coef": [[0.1]], "intercept": [number / 100], "link": "sigmoid"},
        },
        rules=None,
    )
    version = register_version(registry, str(number), manifest=manifest).version
    registry.promote("churn", version, who="ana", reason="better")
    return version


async def in_force(engine: Engine) -> float:
    """Wait until both workers report the newest generation; give when (monotonic)."""
    reached = await asyncio.to_thread(await_generation, engine, PROJECT, timeout_s=60.0)
    assert reached == (2, 2)
    return time.monotonic()


def answered_by(folder: Path) -> list[int]:
    """Give how many predictions each worker has counted."""
    return [
        sum(one.n for one in slot.series if one.family == Family.PREDICTIONS)
        for slot in read_slots(folder / "run" / "metrics")
    ]


async def reach_both(traffic: Traffic, folder: Path) -> None:
    """Open connections until both workers have some."""
    for _ in range(50):
        await traffic.answers(60)
        if len(by_worker := answered_by(folder)) == 2 and min(by_worker) > 0:
            return
        traffic.widen(2)
    pytest.fail(f"answers by worker: {by_worker}")


@pytest.mark.slow
async def test_no_promotion_or_rollback_costs_an_answer(
    tmp_path: Path, sqlite_database: str
) -> None:
    plan = ServerPlan(
        state=tmp_path,
        database_url=sqlite_database,
        project=PROJECT,
        settings={"port": 0, "workers": 2, "role": "predict", "native_processes": 0},
    )
    numbers = itertools.count(1)
    with open_registry(sqlite_database) as (engine, registry):
        registry.declare(make_manifest())
        publish(registry, next(numbers))
        with Server(plan) as server:
            while len(live_processes(engine, PROJECT)) < 2:
                await asyncio.sleep(0.01)
            await in_force(engine)
            traffic = Traffic(server.url, "churn", n_connections=6, pause_s=0.001)
            await reach_both(traffic, tmp_path)
            since: list[tuple[float, float, str]] = []  # in force from, until, version
            for _ in range(ROUNDS):
                for move in (publish, None):
                    await traffic.answers(60)
                    if move is None:
                        back = await asyncio.to_thread(
                            registry.roll_back, "churn", who="ana", reason="worse"
                        )
                        wanted = back.version
                    else:
                        wanted = await asyncio.to_thread(move, registry, next(numbers))
                    began = await in_force(engine)
                    await traffic.answers(60)
                    since.append((began, time.monotonic(), wanted))
                for _ in range(2):  # and several at once, nobody waiting for any
                    await asyncio.to_thread(publish, registry, next(numbers))
                    await asyncio.to_thread(registry.roll_back, "churn", who="ana", reason="worse")
            await in_force(engine)
            await traffic.answers(60)
            record = await traffic.stop()
            by_worker = answered_by(tmp_path)
        found = tally(engine, PROJECT, record)
    answers = list(record.answered.values())
    assert (record.n_broken, record.wrong) == (0, [])
    assert record.answered.keys() == record.sent
    assert {(one.source, one.reason) for one in answers} == {("model", "assigned")}
    for began, until, wanted in since:
        mine = [one for one in answers if began < one.asked_at and one.answered_at < until]
        assert {one.version for one in mine} == {wanted}
    assert len({wanted for _, _, wanted in since}) > ROUNDS
    assert len(by_worker) == 2
    assert min(by_worker) > 0
    assert sum(by_worker) == len(answers)
    assert found[2:] == (0, 0, 0, 0), found
