import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from timonel.clock import AffineClock
from timonel.events.spool import SpoolWriter
from timonel.registry.manifest import ServingManifest, ServingPolicy
from timonel.runtime.errors import InvalidOutput
from timonel.runtime.featuriser import Value
from timonel.serving.metrics import MetricsSlot
from timonel.serving.processes.errors import NativeFailed, NativeTimeout, NativeUnavailable
from timonel.serving.routes import asker, predict
from timonel.serving.routes.journal import Journal
from timonel.serving.routes.predict import Predictions
from timonel.serving.versions.snapshot import (
    Choice,
    Loader,
    ServedModel,
    ServedVersion,
    Snapshot,
)
from timonel.store.lean import ServingRow
from timonel.testing.serving import (
    ROW,
    CannedPool,
    FailingPredictor,
    linear_manifest,
    value_manifest,
)
from timonel.wire.answer import Answer
from timonel.wire.replies import PredictionReply, PredictionsReply

NATIVE = linear_manifest(predictor="native", plan=None, policy=ServingPolicy(deadline_ms=200))
GOOD = Answer(1, 0.75, {"0": 0.25, "1": 0.75})


def snapshot_of(manifest: ServingManifest, alias: str = "champion") -> Snapshot:
    row = ServingRow("churn", alias, "1.0.0", manifest.digest(), manifest.encode().decode())
    loader = Loader(lambda _: b"", native=True)
    return loader.build(3, [row], AffineClock(), None)


@asynccontextmanager
async def predictions(folder: Path, **options: Any) -> AsyncIterator[Predictions]:
    spool = SpoolWriter.open(folder / "spool")
    journal = Journal(spool, MetricsSlot(folder / "metrics", 0), may_skip=False)
    made = Predictions(journal, options.pop("native", None), max_rows=10_000, **options)
    try:
        yield made
    finally:
        await made.close()
        spool.close()


async def ask(
    made: Predictions, snapshot: Snapshot, inputs: Any = ROW
) -> list[PredictionReply | Any]:
    body = json.dumps({"inputs": inputs}).encode()
    reply = await made.answer(
        snapshot, snapshot.models["churn"], body, started_ns=time.monotonic_ns()
    )
    return list(reply.predictions) if isinstance(reply, PredictionsReply) else [reply]


def told(replies: list[Any]) -> list[tuple[str, str]]:
    return [(reply.source, reply.reason) for reply in replies]


async def test_a_native_model_is_asked_in_the_pool(tmp_path: Path) -> None:
    pool = CannedPool([GOOD])
    snapshot = snapshot_of(NATIVE)
    async with predictions(tmp_path, native=pool) as made:
        (reply,) = await ask(made, snapshot)
    assert (reply.source, reply.version, reply.score) == ("model", "", 0.75)
    assert pool.asked == [(NATIVE.digest(), 1, 0.2)]


FACTS = {"digest": "d", "deadline_s": 0.2, "detail": "x"}


@pytest.mark.parametrize(
    ("gives", "reason"),
    [
        (NativeTimeout(**FACTS), "timeout"),
        (NativeFailed(**FACTS), "model_error"),
        (NativeUnavailable(**FACTS), "model_error"),
        (InvalidOutput(model="m", found="nan", expected="a share"), "invalid_output"),
        ([], "model_error"),
        ([GOOD, GOOD], "model_error"),
        ([Answer(7)], "invalid_output"),
        ([Answer(1, float("nan"))], "invalid_output"),
        ([Answer(1, 0.5, {"1": 2.0})], "invalid_output"),
    ],
)
async def test_whatever_the_pool_does_the_rules_answer(
    tmp_path: Path, gives: Any, reason: str
) -> None:
    async with predictions(tmp_path, native=CannedPool(gives)) as made:
        assert told(await ask(made, snapshot_of(NATIVE))) == [("rules", reason)]


async def test_an_answer_outside_the_declared_range_is_refused_row_by_row(tmp_path: Path) -> None:
    bounds = (0.0, 10.0)
    compiled = snapshot_of(value_manifest(target_range=bounds))
    native = snapshot_of(value_manifest(target_range=bounds, predictor="native", plan=None))
    rows = [ROW | {"visits": visits} for visits in (1, 90, 0)]  # 2 calls: 1, -88 and 2
    expected = [("model", "assigned"), ("rules", "invalid_output"), ("model", "assigned")]
    pool = CannedPool([Answer(1.0), Answer(-88.0), Answer(2.0)])
    async with predictions(tmp_path, native=pool) as made:
        assert told(await ask(made, compiled, rows)) == expected
        assert told(await ask(made, native, rows)) == expected
        assert told(await ask(made, compiled, rows[1])) == expected[1:2]
        pool.gives = [Answer(-88.0)]
        assert told(await ask(made, native, rows[1])) == expected[1:2]


async def test_the_breaker_stops_asking_a_pool_that_fails(tmp_path: Path) -> None:
    pool = CannedPool(NativeTimeout(**FACTS))
    snapshot = snapshot_of(NATIVE)
    async with predictions(tmp_path, native=pool) as made:
        reasons = [(await ask(made, snapshot))[0].reason for _ in range(8)]
    assert reasons == ["timeout"] * 5 + ["breaker_open"] * 3
    assert len(pool.asked) == 5


async def test_a_batch_in_a_thread_ends_at_its_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asker, "INLINE_ROWS", 2)
    manifest = linear_manifest(policy=ServingPolicy(deadline_ms=30))
    snapshot = snapshot_of(manifest)
    champion = snapshot.models["churn"].champion
    assert champion is not None
    slow = replace(champion, predictor=FailingPredictor(takes_s=0.05))
    snapshot = replace(snapshot, models={"churn": ServedModel("churn", champion=slow)})
    async with predictions(tmp_path) as made:
        replies = await ask(made, snapshot, [ROW] * 4)
    assert told(replies) == [("rules", "timeout")] * 4


class Held:
    """A model that answers when it is let go; a loop that asked it itself would stand still."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def predict_row(self, values: Sequence[Value]) -> Answer:
        assert self.go_on.wait(20)
        return Answer(1, 0.75)

    def predict_rows(self, table: Sequence[Sequence[Value]]) -> list[Answer]:
        return [self.predict_row(values) for values in table]


async def test_others_are_answered_while_a_slow_model_works(tmp_path: Path) -> None:
    quick = snapshot_of(linear_manifest())
    patient = snapshot_of(linear_manifest(policy=ServingPolicy(deadline_ms=20_000)))
    champion = patient.models["churn"].champion
    assert champion is not None
    held = Held()
    slow = replace(champion, predictor=held, inline=False)
    models = {"churn": ServedModel("churn", champion=slow)}
    async with predictions(tmp_path) as made:
        waiting = asyncio.create_task(ask(made, replace(quick, models=models)))
        assert told(await ask(made, quick)) == [("model", "assigned")]
        assert not waiting.done()
        held.go_on.set()
        assert [reply.score for reply in await waiting] == [0.75]


async def test_a_large_body_is_read_in_a_thread_and_answered_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [ROW | {"visits": visits} for visits in range(5)]
    async with predictions(tmp_path) as made:
        here = await ask(made, snapshot_of(linear_manifest()), rows)
        monkeypatch.setattr(predict, "INLINE_BYTES", 10)
        there = await ask(made, snapshot_of(linear_manifest()), rows)
    assert [reply.score for reply in there] == [reply.score for reply in here]


async def test_each_row_is_answered_by_the_version_chosen_for_it(tmp_path: Path) -> None:
    champion = snapshot_of(linear_manifest(version="1.0.0"))
    other = snapshot_of(linear_manifest(version="1.1.0", visits=-2.0))
    versions = [one.models["churn"].champion for one in (champion, other)]

    class ByVisits:
        def choose(
            self, unit: str | None, identifier: bytes, values: Sequence[Value], at: int
        ) -> Choice | None:
            turn = int(values[0] or 0) % 2
            version = versions[turn]
            assert version is not None
            return Choice(version, ("control", "treatment")[turn])

        def asks(self) -> list[tuple[ServedVersion, bool]]:
            return [(version, False) for version in versions if version is not None]

    model = replace(champion.models["churn"], experiments=(ByVisits(),))
    snapshot = replace(champion, models={"churn": model})
    async with predictions(tmp_path) as made:
        replies = await ask(made, snapshot, [ROW | {"visits": at} for at in range(6)])
    assert [reply.variant for reply in replies] == ["control", "treatment"] * 3
    assert [reply.version for reply in replies] == ["1.0.0", "1.1.0"] * 3
    assert len({reply.prediction_id for reply in replies}) == 6


async def test_a_request_keeps_the_snapshot_it_began_with(tmp_path: Path) -> None:
    pool = CannedPool([GOOD])
    first = snapshot_of(replace_version(NATIVE, "1.0.0"))
    async with predictions(tmp_path, native=pool) as made:
        asked = asyncio.create_task(ask(made, first))
        await asyncio.sleep(0)
        second = snapshot_of(linear_manifest(version="1.1.0"))
        assert (await ask(made, second))[0].version == "1.1.0"
        assert (await asked)[0].version == "1.0.0"


def replace_version(manifest: ServingManifest, version: str) -> ServingManifest:
    return msgspec.structs.replace(manifest, version=version)


async def test_in_flight_returns_to_zero_after_refusals(tmp_path: Path) -> None:
    snapshot = snapshot_of(linear_manifest())
    async with predictions(tmp_path) as made:
        refused: list[Any] = [{}, [], 3]
        for inputs in refused:
            with pytest.raises(Exception, match="Cannot"):
                await ask(made, snapshot, inputs)
        assert made.in_flight == 0
