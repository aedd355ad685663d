"""A writer and a drainer to be killed at any moment (importable by name)."""

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

from timonel.clock import AffineClock
from timonel.events.accumulators import default_accumulators
from timonel.events.drain import Drainer
from timonel.events.errors import SpoolFull
from timonel.events.spool import SpoolWriter
from timonel.store.engine import make_engine
from timonel.store.errors import StoreUnavailable
from timonel.testing.events import PROJECT, Events

PREDICTION, OUTCOME = b"p", b"o"


def write_until_killed(folder: Path, acknowledged: Connection) -> None:
    """Append predictions and their outcomes; send kind and id of each once it is appended."""
    events, clock = Events(int.from_bytes(os.urandom(8), "big")), AffineClock()
    writer = SpoolWriter.open(folder, segment_bytes=100_000, max_bytes=20_000_000)
    n = 0
    while True:
        frame = events.prediction(at=clock.now_us(), key=f"k{n % 100}")
        truth = events.outcome("no" if n % 3 else "yes", prediction=frame.id, at=clock.now_us())
        try:
            writer.append(frame)
            acknowledged.send_bytes(PREDICTION + frame.id)
            writer.append(truth)
            acknowledged.send_bytes(OUTCOME + truth.id)
        except SpoolFull:
            time.sleep(0.01)
        n += 1
        if n % 10 == 0:
            time.sleep(0.003)  # so that a drainer on the same core can follow


def drain_until_killed(url: str, folder: Path, drainer_id: str) -> None:
    """Drain without a pause."""
    engine = make_engine(url)
    drainer = Drainer(
        engine,
        project=PROJECT,
        folders=[folder],
        drainer_id=drainer_id,
        accumulators=default_accumulators(engine, PROJECT),
        clock=AffineClock(),
    )
    while True:
        try:
            drainer.drain_once()
        except StoreUnavailable:  # killed with the write lock: the next one waits for recovery
            time.sleep(0.01)
