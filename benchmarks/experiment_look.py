"""What a look costs by how much was counted: an experiment's cells as drains leave them, on SQLite.

Run: ``python benchmarks/experiment_look.py``. Each look is timed alone, reading and judging, in
processor time. Before the first one all cells are closed, part by part; the last is the first of a
new hour, which also says how long labels take.
"""

import tempfile
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
from sqlalchemy import Engine

from timonel.experiments.counting.cells import write_cells
from timonel.experiments.counting.sums import (
    AGE,
    AGES,
    ANSWERS,
    CONFIDENCE,
    DAY,
    EXPOSED,
    FIRST,
    HOUR_US,
    LATENCY,
    OPEN,
    CellKey,
    PairSums,
    day_of,
)
from timonel.experiments.design import Arm, Design
from timonel.experiments.judging.judge import judge
from timonel.experiments.judging.reading import close_part, read_evidence
from timonel.experiments.judging.stored import StoredSums
from timonel.stats.moments import PER_UNIT
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.store.tables import metadata

NAMES, DAYS, LOOKS, MOST_DELAY_H = ("control", "treatment"), 14, 15, 24
BEGAN = 489_984
"""An epoch hour, the first of a day."""


def flags(n: int, hits: int) -> PairSums:
    return PairSums(n, hits * PER_UNIT, hits * PER_UNIT**2)


def fill(engine: Engine, rng: np.random.Generator, n_events: int) -> None:
    """Write two weeks of hours, labels up to a day late, in as many cells as they reach."""
    cells: dict[CellKey, PairSums] = {}

    def add(key: CellKey, sums: PairSums) -> None:
        cells[key] = cells.get(key, PairSums()) + sums

    hours = DAYS * DAY
    for hour, in_hour in enumerate(rng.multinomial(n_events, np.full(hours, 1 / hours))):
        at = BEGAN + hour
        for arm, n in zip(NAMES, rng.multinomial(in_hour, (0.5, 0.5)), strict=True):
            for metric in (ANSWERS, LATENCY, CONFIDENCE, EXPOSED, FIRST):
                if n:
                    add(CellKey("e", OPEN, 0, day_of(at), 1, arm, metric), flags(int(n), int(n)))
            for late, found in enumerate(np.bincount(rng.integers(0, MOST_DELAY_H, int(n)))):
                if not found or hour + late >= hours:
                    continue
                hits = int(rng.binomial(found, 0.8))
                value = flags(int(found), hits)
                add(CellKey("e", at + late, 1, at, 1, arm, "correct"), value)
                add(CellKey("e", AGES, late, day_of(at), 1, arm, "correct"), value)
                add(CellKey("e", AGES, late, day_of(at), 1, arm, AGE + "1"), value)
    with engine.begin() as connection:
        write_cells(connection, "p", "d", cells)


def looks(engine: Engine, design: Design) -> list[float]:
    """Time the first look, those after it, and one of the next hour, in ms."""
    end, before, busy = (BEGAN + DAYS * DAY) * HOUR_US, None, []
    for at in [end] * (LOOKS + 1) + [end + HOUR_US]:
        began = process_time()
        with engine.begin() as connection:
            evidence = read_evidence(
                connection,
                "p",
                design,
                revised=0,
                at=at,
                until_us=at,
                started_at=BEGAN * HOUR_US,
            )
        before = judge(design, evidence, before)
        busy.append(1e3 * (process_time() - began))
        assert before.goals[0].effect is not None
    return busy


def parts(engine: Engine, design: Design) -> list[float]:
    """Close what ended long ago; time each transaction, in ms."""
    end, busy, more = (BEGAN + DAYS * DAY) * HOUR_US, [], True
    while more:
        began = process_time()
        with engine.begin() as connection:
            more = close_part(StoredSums(connection, "p", design.name, 0), design, end)
        busy.append(1e3 * (process_time() - began))
    return busy


def main() -> None:
    arms: Any = tuple(Arm(name, version=name) for name in NAMES)
    for n_events in (1_000, 10_000, 100_000, 1_000_000, 10_000_000):
        with tempfile.TemporaryDirectory() as folder:
            engine = make_engine(f"sqlite:///{Path(folder) / 'timonel.db'}")
            metadata.create_all(engine)
            ensure_project(engine, "p", "America/Santiago")
            fill(engine, np.random.default_rng(1), n_events)
            design = Design(
                name="e", model="m", salt="s", arms=arms, weights=(0.5, 0.5), unit="request"
            )
            closing = parts(engine, design)
            first, *rest, hourly = looks(engine, design)
            engine.dispose()
        print(
            f"{n_events:>10,} events: a look {median(rest):.1f} ms of processor (least "
            f"{min(rest):.1f}, of {LOOKS}), the first of an hour {hourly:.0f} ms, "
            f"the very first {first:.0f} ms after two weeks were closed in {len(closing)} "
            f"transactions of {median(closing):.1f} ms, {max(closing):.0f} ms the longest",
            flush=True,
        )


if __name__ == "__main__":
    main()
