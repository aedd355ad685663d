"""Small real values for checks and tests: manifests, a registry on a fresh database."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from sqlalchemy import Engine

from timonel.clock import AffineClock
from timonel.registry.catalogue import ModelVersion
from timonel.registry.manifest import Baseline, ServingManifest
from timonel.registry.registry import Registry
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.store.migrate import upgrade

PROJECT = "harbour"


def make_manifest(model: str = "churn", **changes: Any) -> ServingManifest:
    """Make a binary model's manifest with one input and a baseline."""
    values: dict[str, Any] = {
        "project": PROJECT,
        "model": model,
        "version": "",
        "task": "binary",
        "target": "left",
        "schema": [{"kind": "number", "name": "visits"}],
        "timezone": "America/Santiago",
        "classes": [0, 1],
        "positive": 1,
        "baseline": Baseline(prediction=0, score=0.2, probabilities={"0": 0.8, "1": 0.2}),
    }
    return ServingManifest(**values | changes)


def digest(text: str) -> str:
    """Give a sha256 that stands for some content."""
    return sha256(text.encode()).hexdigest()


def register_version(
    registry: Registry,
    training: str = "1",
    *,
    model: str = "churn",
    schema: str = "s",
    recipe: str = "r",
    manifest: ServingManifest | None = None,
    **options: Any,
) -> ModelVersion:
    """Register a version; ``training`` is its data, so each text is another training."""
    return registry.register(
        manifest or make_manifest(model),
        schema_digest=digest(schema),
        recipe_digest=digest(recipe),
        data_digest=digest(training),
        version_hash=digest(schema + recipe + training),
        metrics={"main": {"name": "accuracy", "value": 0.9, "lower": 0.88, "upper": 0.92}},
        lineage={"data": {"n_rows": 100, "sha256": digest(training)}, "seed": 42},
        who="ana",
        **options,
    )


@contextmanager
def open_registry(url: str, project: str = PROJECT) -> Iterator[tuple[Engine, Registry]]:
    """Prepare a database and give its engine and registry."""
    engine = make_engine(url)
    try:
        upgrade(engine)
        ensure_project(engine, project, "America/Santiago")
        yield engine, Registry(engine, project, AffineClock())
    finally:
        engine.dispose()
