"""The control application around a database filled once, and a client that asks it in process."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI
from tests.http import world

from timonel.http.api import create_api

BASE = "http://127.0.0.1:8000"


def client_of(app: world.LocalApp, *, peer: str = "127.0.0.1") -> httpx.AsyncClient:
    """Give a client of an application in this process."""
    return _client(create_api(app), peer)


def _client(api: FastAPI, peer: str = "127.0.0.1") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(api, client=(peer, 5000)), base_url=BASE)


@pytest.fixture(scope="module")
def busy_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[world.LocalApp]:
    """A project after a busy week; shared, so only to be read."""
    app = world.busy(f"sqlite:///{tmp_path_factory.mktemp('busy') / 'timonel.db'}")
    yield app
    app.engine.dispose()


@pytest.fixture(scope="module")
def busy_api(busy_app: world.LocalApp) -> FastAPI:
    """The control application of the busy project."""
    return create_api(busy_app)


@pytest.fixture
async def busy(busy_api: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the busy project."""
    async with _client(busy_api) as client:
        yield client


@pytest.fixture
def app(sqlite_database: str) -> Iterator[world.LocalApp]:
    """An empty project of one's own."""
    app = world.open_world(sqlite_database)
    yield app
    app.engine.dispose()


@pytest.fixture
async def client(app: world.LocalApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client of one's own project."""
    async with client_of(app) as client:
        yield client
