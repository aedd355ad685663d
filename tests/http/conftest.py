"""The control application around a database filled once, and a client that asks it in process."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from tests.http import world

from timonel.http.api import create_api

BASE = "http://127.0.0.1:8000"


def client_of(app: world.LocalApp, *, peer: str = "127.0.0.1") -> httpx.AsyncClient:
    """Give a client of an application in this process."""
    transport = httpx.ASGITransport(create_api(app), client=(peer, 5000))
    return httpx.AsyncClient(transport=transport, base_url=BASE)


@pytest.fixture(scope="module")
def busy_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[world.LocalApp]:
    """A project after a busy week; shared, so only to be read."""
    app = world.busy(f"sqlite:///{tmp_path_factory.mktemp('busy') / 'timonel.db'}")
    yield app
    app.engine.dispose()


@pytest.fixture
async def busy(busy_app: world.LocalApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the busy project."""
    async with client_of(busy_app) as client:
        yield client


@pytest.fixture
def app(tmp_path: Path) -> Iterator[world.LocalApp]:
    """An empty project of one's own."""
    app = world.open_world(f"sqlite:///{tmp_path / 'timonel.db'}")
    yield app
    app.engine.dispose()


@pytest.fixture
async def client(app: world.LocalApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client of one's own project."""
    async with client_of(app) as client:
        yield client
