"""Rows of several requests asked together: every answer belongs to its row."""

import asyncio
import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.serving.routes.test_predict import ask, predictions, snapshot_of

from timonel.project.model import Batching, Policy
from timonel.registry.manifest import ServingPolicy
from timonel.runtime.errors import InvalidOutput
from timonel.runtime.featuriser import Value
from timonel.schema.errors import InvalidDeclaration
from timonel.serving.processes.errors import NativeFailed
from timonel.serving.versions.snapshot import Snapshot
from timonel.testing.serving import linear_manifest
from timonel.wire.answer import Answer

POLICY = ServingPolicy(deadline_ms=20_000, batch_rows=16, batch_wait_ms=20.0)
NATIVE = linear_manifest(predictor="native", plan=None, policy=POLICY)
INLINE = linear_manifest(policy=POLICY)
POISON, WRONG = 13, 17


def score_of(visits: float) -> float:
    return round(visits / 1000.0, 6)


class Echo:
    """Answers with what it was asked, in batches; one row poisons a batch, another is no answer."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.threads: set[int] = set()

    def predict_row(self, values: Sequence[Value]) -> Answer:
        return self.predict_rows([values])[0]

    def predict_rows(self, table: Sequence[Sequence[Value]]) -> list[Answer]:
        self.sizes.append(len(table))
        self.threads.add(threading.get_ident())
        if any(row[1] == POISON for row in table):
            raise ValueError("a row that the model cannot take")
        if any(row[1] == WRONG for row in table):
            raise InvalidOutput(model="churn", found="nan", expected="a share")
        scores = [score_of(float(row[0] or 0)) * 10 for row in table]
        return [Answer(1, s, {"0": 1 - s, "1": s}) for s in scores]


class EchoPool(Echo):
    """The same behind a pool that takes as long as it likes."""

    async def predict(
        self,
        digest: str,
        rows: Sequence[Sequence[Any]],
        deadline_s: float,
        *,
        unheard: bool = False,
    ) -> list[Answer]:
        await asyncio.sleep(random.Random(len(self.sizes)).random() / 100)
        try:
            return self.predict_rows(rows)
        except ValueError as error:
            facts = {"digest": digest, "deadline_s": deadline_s}
            raise NativeFailed(**facts, detail=str(error)) from None


def served_by(echo: Echo) -> Snapshot:
    """Put a predictor into a champion."""
    snapshot = snapshot_of(INLINE)
    model = snapshot.models["churn"]
    assert model.champion is not None
    champion = replace(model.champion, predictor=echo)
    return replace(snapshot, models={"churn": replace(model, champion=champion)})


def inputs(visits: float, calls: int) -> dict[str, Any]:
    return {"visits": visits, "calls": calls, "port": "Arica"}


@pytest.mark.parametrize("kind", ["native", "inline"])
async def test_hundreds_at_once_each_get_the_answer_of_their_own_row(
    tmp_path: Path, kind: str
) -> None:
    echo = EchoPool()
    snapshot = snapshot_of(NATIVE) if kind == "native" else served_by(echo)
    # distinct rows; some make the model fail, some make it answer nonsense
    rows = [(n / 10.0, POISON if n % 50 == 7 else WRONG if n % 50 == 9 else 1) for n in range(240)]
    random.Random(4).shuffle(rows)
    async with predictions(tmp_path, native=echo) as made:

        async def one(row: tuple[float, int], after: float) -> Any:
            await asyncio.sleep(after)
            return (await ask(made, snapshot, inputs(*row)))[0]

        pauses = random.Random(5)
        replies = await asyncio.gather(*(one(row, pauses.random() / 20) for row in rows))
    spoiled = 0
    for (visits, calls), reply in zip(rows, replies, strict=True):
        if calls in (POISON, WRONG):
            spoiled += 1
            assert reply.source == "rules"
            assert reply.reason == ("model_error" if calls == POISON else "invalid_output")
        else:
            assert (reply.source, reply.reason) == ("model", "assigned")
            assert reply.score == pytest.approx(score_of(visits) * 10)
    assert spoiled == 10
    assert max(echo.sizes) == 16
    if kind == "inline":  # a slow model must not hold the loop
        assert threading.get_ident() not in echo.threads


async def test_a_lone_row_waits_no_longer_than_it_may(tmp_path: Path) -> None:
    echo = EchoPool()
    async with predictions(tmp_path, native=echo) as made:
        async with asyncio.timeout(10):
            (reply,) = await ask(made, snapshot_of(NATIVE), inputs(5.0, 1))
    assert (reply.score, echo.sizes) == (pytest.approx(0.05), [1])


async def test_a_client_that_leaves_takes_nothing_from_the_others(tmp_path: Path) -> None:
    echo = EchoPool()
    snapshot = snapshot_of(NATIVE)
    async with predictions(tmp_path, native=echo) as made:
        asking = [asyncio.create_task(ask(made, snapshot, inputs(float(n), 1))) for n in range(10)]
        await asyncio.sleep(0)
        for task in asking[::2]:
            task.cancel()
        done = await asyncio.gather(*asking, return_exceptions=True)
    for n, reply in enumerate(done):
        if n % 2 == 0:
            assert isinstance(reply, asyncio.CancelledError)
        else:
            assert isinstance(reply, list)
            assert reply[0].score == pytest.approx(score_of(n) * 10)


async def test_a_row_that_nobody_can_answer_is_refused_alone(tmp_path: Path) -> None:
    bare = linear_manifest(predictor="native", plan=None, policy=POLICY, rules=None, baseline=None)
    snapshot = snapshot_of(bare)
    async with predictions(tmp_path, native=EchoPool()) as made:
        asking = [ask(made, snapshot, inputs(1.0, POISON if n == 3 else 1)) for n in range(8)]
        done = await asyncio.gather(*asking, return_exceptions=True)
    assert [getattr(reply, "code", "answered") for reply in done] == [
        "not_servable" if n == 3 else "answered" for n in range(8)
    ]


@pytest.mark.parametrize("options", [{"max_rows": 1}, {"wait_ms": 0}, {"wait_ms": 5000}])
def test_a_batching_that_helps_nobody_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidDeclaration, match="Batching"):
        Batching(**options)


def test_a_batch_may_not_wait_beyond_the_deadline() -> None:
    with pytest.raises(InvalidDeclaration, match="batching"):
        Policy(deadline_ms=5, batching=Batching(wait_ms=5))
