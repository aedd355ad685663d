"""A small world to serve: one declared model with rules, and versions made without training."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from timonel.registry.artifacts import ArtifactStore
from timonel.registry.catalogue import ModelVersion
from timonel.registry.manifest import OutcomePlan, SelfTest, ServingManifest, ServingPolicy
from timonel.registry.registry import Registry
from timonel.runtime.featuriser import Value
from timonel.serving.config import WorkerConfig
from timonel.testing.builders import PROJECT, make_manifest, register_version
from timonel.wire.answer import Answer
from timonel.wire.rules import RulesSource

SCHEMA: list[dict[str, Any]] = [
    {"kind": "number", "name": "visits", "ge": 0, "le": 100},
    {"kind": "number", "name": "calls", "ge": 0, "le": 100, "integer": True},
    {"kind": "category", "name": "port", "values": ["Arica", "Quintero"]},
    {"kind": "flag", "name": "open", "required": False},
    {"kind": "timestamp", "name": "since", "required": False},
]
ROW: dict[str, Any] = {"visits": 3.5, "calls": 2, "port": "Arica"}
RULES = '''
from timonel import Answer

def stay(row):
    """Call those who never come; say nothing of those who call a hundred times."""
    if row["calls"] == 100:
        return None
    if row["calls"] == 99:
        return {}["no such key"]
    leaves = row["visits"] == 0
    return Answer(int(leaves), 0.9 if leaves else 0.1, explanation="by visits")
'''


def make_rules(source: str = RULES, function: str = "stay") -> RulesSource:
    """Make a rules module; the default declines rows with 100 calls and raises at 99."""
    return RulesSource("rules", function, source)


def linear_manifest(
    model: str = "churn",
    *,
    visits: float = -1.0,
    calls: float = 1.0,
    self_test: SelfTest | None = None,
    **changes: Any,
) -> ServingManifest:
    """Make a compiled version: sigmoid of ``visits * row.visits + calls * row.calls``.

    Weights of 1e308 and -1e308 give NaN for large inputs and answers for small ones.
    """
    plan = {
        "format": 1,
        "model": model,
        "timezone": "America/Santiago",
        "precision": "float64",
        "n_inputs": len(SCHEMA),
        "steps": [
            {"kind": "number", "input": 0, "fill": 0.0},
            {"kind": "number", "input": 1, "fill": 0.0},
        ],
        "linear": {"coef": [[visits, calls]], "intercept": [0.0], "link": "sigmoid"},
    }
    values: dict[str, Any] = {
        "schema": SCHEMA,
        "predictor": "linear",
        "plan": plan,
        "rules": make_rules(),
        "self_test": self_test or SelfTest(),
        "outcome": OutcomePlan(key="rut"),
        "policy": ServingPolicy(),
    }
    return make_manifest(model, **values | changes)


def value_manifest(model: str = "churn", **changes: Any) -> ServingManifest:
    """Make a compiled regression of the same inputs: ``row.calls - row.visits``."""
    made = linear_manifest(model, task="regression", classes=None, positive=None, **changes)
    if made.plan is None:
        return made
    plan = {**made.plan, "linear": {**made.plan["linear"], "link": "identity"}}
    return msgspec.structs.replace(made, plan=plan)


def declared_manifest(model: str = "churn", **changes: Any) -> ServingManifest:
    """Make the declaration of the same model: rules, no baseline, no classes."""
    values: dict[str, Any] = {"predictor": "none", "plan": None, "baseline": None, "classes": None}
    return linear_manifest(model, **values | changes)


class ServingWorld:
    """A registry on a database, an artifact folder, and what a worker is told of them.

    Parameters
    ----------
    folder : Path
    database_url : str
    registry : Registry
        On that database, of ``PROJECT``.
    """

    def __init__(self, folder: Path, database_url: str, registry: Registry) -> None:
        self.folder = folder
        self.database_url = database_url
        self.registry = registry
        self.artifacts = ArtifactStore(folder / "artifacts")
        self._trained = 0

    def config(self, **changes: Any) -> WorkerConfig:
        """Give the orders of a worker of role predict."""
        values: dict[str, Any] = {
            "project": PROJECT,
            "database_url": self.database_url,
            "artifacts": self.folder / "artifacts",
            "spool": self.folder / "spool" / "slot-0",
            "slot": self.folder / "run" / "metrics",
            "slot_index": 0,
            "key_usage": self.folder / "run" / "keys",
            "control_socket": None,
            "native_socket": None,
            "role": "predict",
        }
        return WorkerConfig(**values | changes)

    def promote(self, manifest: ServingManifest | None = None) -> ModelVersion:
        """Register a version under the next number and put it into production."""
        manifest = manifest or linear_manifest()
        self._trained += 1
        version = register_version(
            self.registry, str(self._trained), model=manifest.model, manifest=manifest
        )
        return self.registry.promote(version.model, version.version, who="ana", reason="test")


class FailingPredictor:
    """A model that raises, or takes its time; counts how often it was asked."""

    def __init__(self, error: Exception | None = None, takes_s: float = 0.0) -> None:
        self.error = error
        self.takes_s = takes_s
        self.asked = 0

    def predict_row(self, values: Sequence[Value]) -> Answer:
        """Take the time, then raise or answer 0."""
        self.asked += 1
        time.sleep(self.takes_s)
        if self.error is not None:
            raise self.error
        return Answer(0, 0.25, {"0": 0.75, "1": 0.25})

    def predict_rows(self, table: Sequence[Sequence[Value]]) -> list[Answer]:
        """Do so for each row."""
        return [self.predict_row(values) for values in table]


class CannedPool:
    """A native pool that gives what it was told to: answers, or an error."""

    def __init__(self, gives: list[Answer] | Exception) -> None:
        self.gives = gives
        self.asked: list[tuple[str, int, float]] = []

    async def predict(
        self,
        digest: str,
        rows: Sequence[Sequence[object]],
        deadline_s: float,
        *,
        unheard: bool = False,
    ) -> list[Answer]:
        """Note the question; raise the error, or give the answers."""
        self.asked.append((digest, len(rows), deadline_s))
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives
