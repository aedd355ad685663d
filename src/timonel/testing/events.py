"""Events and publications made of few words, for tests against real spools and databases."""

import random
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, insert

from timonel.events.frames import OutcomeFrame, PredictionFrame
from timonel.registry.manifest import OutcomePlan, ServingManifest
from timonel.store.tables import declarations
from timonel.wire.answer import Label

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


def publish_plan(
    engine: Engine,
    project: str,
    model: str,
    *,
    task: str = "binary",
    classes: list[Label] | None = None,
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
