"""A project whose world can turn around: a real model, served rows and their truths."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.retraining.world import World, write_project


@pytest.fixture(scope="session")
def trained_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project on SQLite with a first version, to be copied."""
    folder = tmp_path_factory.mktemp("project") / "harbour"
    write_project(folder)
    world = World.begin(folder, None)
    world.close()
    return folder


@pytest.fixture
def world(trained_sqlite: Path, tmp_path: Path) -> Iterator[World]:
    """A world with a champion of its old ways, on SQLite."""
    world = World.copied(trained_sqlite, tmp_path / "harbour")
    yield world
    world.close()


@pytest.fixture
def any_world(database: str, tmp_path: Path) -> Iterator[World]:
    """The same on SQLite and on PostgreSQL."""
    folder = tmp_path / "harbour"
    write_project(folder)
    world = World.begin(folder, database)
    yield world
    world.close()


def facts(result: Any) -> str:
    """Show a result where a test fails."""
    return json.dumps(result, indent=1, default=str)[:4000]
