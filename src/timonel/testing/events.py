"""Events and publications made of few words, for tests against real spools and databases."""

import random
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, insert, select

from timonel.events.accumulators import default_accumulators
from timonel.events.drain import Drainer
from timonel.events.frames import Frame, OutcomeFrame, PredictionFrame
from timonel.events.plans import PAIR
from timonel.events.spool import SpoolWriter
from timonel.registry.manifest import OutcomePlan, ServingManifest
from timonel.stats.calibration.scored import ScoreSums
from timonel.store.tables import declarations, metadata
from timonel.wire.answer import Label

PROJECT = "harbour"
START_US = 1_750_000_000_000_000


class TickingClock:
    """A clock that moves only when told to."""

    def __init__(self, now_us: int = START_US) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        """Give the present event time."""
        return self._now_us

    def advance(self, seconds: float) -> int:
        """Move on, and give the new time."""
        self._now_us += round(seconds * 1_000_000)
        return self._now_us


class Events:
    """Makes frames whose ids and contents follow from a seed.

    Parameters
    ----------
    seed : int
    model : str
        Name that the frames carry.
    """

    def __init__(self, seed: int = 0, model: str = "churn") -> None:
        self._random = random.Random(seed)
        self._model = model

    def id(self) -> bytes:
        """Give 16 new bytes."""
        return self._random.randbytes(16)

    def prediction(self, **changes: Any) -> PredictionFrame:
        """Make a prediction; name what matters."""
        values: dict[str, Any] = {
            "id": self.id(),
            "at": START_US,
            "model": self._model,
            "version": "1.0.0",
            "variant": "",
            "source": "model",
            "reason": "assigned",
            "key": None,
            "unit": None,
            "generation": 1,
            "prediction": "yes",
            "score": 0.75,
            "probabilities": {"no": 0.25, "yes": 0.75},
            "explanation": None,
            "latency_us": 120,
            "features": b'{"age":41.5}',
        }
        return PredictionFrame(**(values | changes))

    def outcome(self, value: Label | None, **changes: Any) -> OutcomeFrame:
        """Make an outcome; name its ``prediction`` or its ``key``."""
        values: dict[str, Any] = {
            "id": self.id(),
            "at": START_US + 60_000_000,
            "model": self._model,
            "prediction": None,
            "key": None,
            "observed_at": None,
            "value": value,
            "origin": "api",
        }
        return OutcomeFrame(**(values | changes))


class Bench:
    """A database, slot folders, spools and drainers over them.

    Parameters
    ----------
    engine : Engine
        Its tables exist.
    root : Path
        Folder of the slots.
    """

    def __init__(self, engine: Engine, root: Path) -> None:
        self.engine = engine
        self.root = root
        self.clock = TickingClock()
        self.clock.advance(3600)

    def slot(self, name: str = "slot-0") -> Path:
        """Give a slot's folder."""
        return self.root / name

    def write(self, *frames: Frame, slot: str = "slot-0", **options: Any) -> None:
        """Write frames to a new spool of a slot, and close it."""
        writer = SpoolWriter.open(self.slot(slot), **options)
        for frame in frames:
            writer.append(frame)
        writer.close()

    def drainer(self, *slots: str, name: str = "drainer-0", **options: Any) -> Drainer:
        """Make a drainer of some slots."""
        return Drainer(
            self.engine,
            project=PROJECT,
            folders=[self.slot(slot) for slot in slots or ("slot-0",)],
            drainer_id=name,
            accumulators=default_accumulators(self.engine, PROJECT),
            clock=self.clock,
            **options,
        )

    def rows(self, table: str, *columns: str) -> list[Any]:
        """Read a table, or some columns of it, in a stable order."""
        t = metadata.tables[table]
        chosen = [t.c[name] for name in columns] or list(t.c)
        with self.engine.connect() as connection:
            found = connection.execute(select(*chosen))
            return sorted((tuple(row) for row in found), key=repr)

    def cells(self) -> dict[tuple[Any, ...], tuple[int, int, int]]:
        """Add up performance cells over drainers, without those that add up to nothing.

        The pairs of truth and answer are left out: they count again what ``correct`` counts.
        """
        total: dict[tuple[Any, ...], tuple[int, int, int]] = {}
        for *key, _, n, q, q2 in self.rows("performance_cells"):
            if key[5].startswith(PAIR):
                continue
            a, b, c = total.get(tuple(key), (0, 0, 0))
            total[tuple(key)] = (a + n, b + int(q), c + int(q2))
        return {key: sums for key, sums in total.items() if any(sums)}

    def scores(self) -> dict[tuple[Any, ...], str]:
        """Add up the sums of labelled scores over drainers, without those that are empty."""
        total: dict[tuple[Any, ...], ScoreSums] = {}
        for *key, _, sums in self.rows("score_windows"):
            total.setdefault(tuple(key), ScoreSums()).merge(ScoreSums.decode(sums))
        empty = ScoreSums().encode()
        return {key: found for key, sums in total.items() if (found := sums.encode()) != empty}


def publish_plan(
    engine: Engine,
    project: str,
    model: str,
    *,
    task: str = "binary",
    classes: list[Label] | None = None,
    positive: Label | None = None,
    plan: OutcomePlan | None = None,
) -> OutcomePlan:
    """Publish a declaration that says no more than how outcomes are read."""
    plan = plan or OutcomePlan()
    manifest = ServingManifest(
        project=project,
        model=model,
        version="",
        task=task,
        target="target",
        schema=[],
        timezone="America/Santiago",
        classes=classes,
        positive=positive,
        outcome=plan,
    )
    row = {
        "project": project,
        "model": model,
        "digest": manifest.digest(),
        "manifest": manifest.encode().decode(),
        "declared_at": START_US,
    }
    with engine.begin() as connection:
        connection.execute(insert(declarations), row)
    return plan


def uuid_of(identifier: bytes) -> UUID:
    """Give the UUID that rows hold for a frame's id."""
    return UUID(bytes=identifier)
