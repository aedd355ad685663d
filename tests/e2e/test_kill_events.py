"""kill -9 of real writers and drainers at random points, on both databases."""

import multiprocessing
import random
import threading
import time
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from timonel.clock import AffineClock
from timonel.events.accumulators import default_accumulators
from timonel.events.drain import Drainer
from timonel.events.segments import list_segments
from timonel.registry.manifest import OutcomePlan
from timonel.store.engine import make_engine
from timonel.testing.events import PROJECT, Bench, publish_plan, uuid_of
from timonel.testing.killed import OUTCOME, PREDICTION, drain_until_killed, write_until_killed


class Stage:
    """A writer and a drainer, started again whenever they are killed."""

    def __init__(self, url: str, folder: Path) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.url = url
        self.folder = folder
        self.acknowledged: dict[bytes, set[bytes]] = {PREDICTION: set(), OUTCOME: set()}
        self.readers: list[threading.Thread] = []

    def writer(self) -> ForkServerProcess:
        receiver, sender = self.context.Pipe(duplex=False)
        process = self.context.Process(target=write_until_killed, args=(self.folder, sender))
        process.start()
        sender.close()
        reader = threading.Thread(target=self.read, args=(receiver,))
        reader.start()
        self.readers.append(reader)
        return process

    def drainer(self) -> ForkServerProcess:
        args = (self.url, self.folder, "drainer-0")
        process = self.context.Process(target=drain_until_killed, args=args)
        process.start()
        return process

    def read(self, receiver: Connection) -> None:
        try:
            while True:
                message = receiver.recv_bytes()
                self.acknowledged[message[:1]].add(message[1:])
        except EOFError:
            receiver.close()


@pytest.mark.slow
@pytest.mark.parametrize("kills", [12, pytest.param(200, marks=pytest.mark.interop)])
def test_kill_9_loses_nothing_acknowledged_and_doubles_nothing(
    database: str, tmp_path: Path, kills: int
) -> None:
    engine = make_engine(database)
    plan = OutcomePlan(key="rut")
    publish_plan(engine, PROJECT, "churn", classes=["no", "yes"], plan=plan)
    folder = tmp_path / "slot-0"
    folder.mkdir()
    stage, draw = Stage(database, folder), random.Random()
    writer, drainer = stage.writer(), stage.drainer()
    n_writers = 1
    for _ in range(kills):
        time.sleep(draw.uniform(0.01, 0.2))
        victim = draw.choice(["writer", "drainer", "both"])
        if victim != "drainer":
            writer.kill()
            writer.join()
            writer = stage.writer()
            n_writers += 1
        if victim != "writer":
            drainer.kill()
            drainer.join()
            drainer = stage.drainer()
    for process in (writer, drainer):
        process.kill()
        process.join()
    for reader in stage.readers:
        reader.join()
    last = Drainer(
        engine,
        project=PROJECT,
        folders=[folder],
        drainer_id="drainer-0",
        accumulators=default_accumulators(engine, PROJECT),
        clock=AffineClock(),
    )
    report = last.drain_once()
    assert report.lag_bytes == 0
    assert not report.quarantined
    assert not list_segments(folder)
    check(Bench(engine, tmp_path), stage, n_writers)
    engine.dispose()


def check(bench: Bench, stage: Stage, n_writers: int) -> None:
    stored = [identifier for (identifier,) in bench.rows("predictions", "prediction_id")]
    acknowledged = {uuid_of(i) for i in stage.acknowledged[PREDICTION]}
    truths = {uuid_of(i) for i in stage.acknowledged[OUTCOME]}
    assert len(acknowledged) > 1000
    assert acknowledged <= set(stored)
    # what is beyond was written, and its writer killed before it could say so
    assert len(stored) <= len(acknowledged) + n_writers
    assert sum(n for (n,) in bench.rows("minute_windows", "n")) == len(stored)
    assert len(bench.rows("prediction_keys", "prediction_id")) == len(stored)
    outcomes = bench.rows("outcomes", "outcome_id", "state")
    assert truths <= {identifier for identifier, _ in outcomes}
    assert {state for _, state in outcomes} == {"joined"}
    cells = [sums for key, sums in bench.cells().items() if key[5] == "correct"]
    assert sum(n for n, _, _ in cells) == len(outcomes)
    hits = sum(value == '"yes"' for (value,) in bench.rows("truths", "value"))
    assert sum(q for _, q, _ in cells) == hits * 1_000_000
