"""Which pages of other sites may ask, on raw and on control routes alike."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from tests.http import protocols, world

from timonel.http.api import create_api
from timonel.settings import Settings
from timonel.testing.builders import open_registry

SITE = "https://app.example"
ASK = {"Origin": SITE, "Access-Control-Request-Method": "POST"}
KEY = "s3cret"
Opener = Callable[..., Any]


@pytest.fixture(params=["raw", "control"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens a client of either application, with the settings given."""
    url = f"sqlite:///{tmp_path / 'timonel.db'}"

    @asynccontextmanager
    async def raw(*origins: str, key: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
        with open_registry(url) as (_, registry):
            served = protocols.open_world(tmp_path, url, registry)
            digest = None if key is None else sha256(key.encode()).hexdigest()
            config = served.config(cors_origins=origins, admin_key_sha256=digest)
            async with protocols.serving(config) as (_, client):
                yield client

    @asynccontextmanager
    async def control(*origins: str, key: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
        app = world.open_world(url, cors_origins=origins, admin_key=key)
        transport = httpx.ASGITransport(create_api(app), client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield client
        app.engine.dispose()

    return raw if request.param == "raw" else control


PATHS = {"raw": "/v2", "control": "/v1/models"}


@pytest.fixture
def path(request: pytest.FixtureRequest) -> str:
    return PATHS[request.node.callspec.params["opened"]]


def allowed(response: httpx.Response) -> str | None:
    value: str | None = response.headers.get("access-control-allow-origin")
    return value


async def test_without_the_setting_nobody_is_let_in(opened: Opener, path: str) -> None:
    async with opened() as client:
        answer = await client.get(path, headers={"Origin": SITE})
        assert (answer.status_code, allowed(answer)) == (200, None)
        preflight = await client.options(path, headers=ASK)
        assert preflight.status_code in (403, 405)
        assert allowed(preflight) is None


async def test_a_listed_site_is_let_in(opened: Opener, path: str) -> None:
    async with opened(SITE, "http://other.example:3000") as client:
        preflight = await client.options(path, headers=ASK)
        assert (preflight.status_code, allowed(preflight)) == (204, SITE)
        assert "authorization" in preflight.headers["access-control-allow-headers"]
        assert "POST" in preflight.headers["access-control-allow-methods"]
        answer = await client.get(path, headers={"Origin": SITE})
        assert (answer.status_code, allowed(answer)) == (200, SITE)
        assert "x-request-id" in answer.headers["access-control-expose-headers"]
        assert "origin" in answer.headers["vary"].lower()
        refused = await client.get(f"{path}/nothing-here", headers={"Origin": SITE})
        assert (refused.status_code, allowed(refused)) == (404, SITE)
        for other in ("https://evil.example", "https://app.example.evil", "null"):
            assert allowed(await client.get(path, headers={"Origin": other})) is None
            assert allowed(await client.options(path, headers=ASK | {"Origin": other})) is None


async def test_any_site_needs_a_key(opened: Opener, path: str) -> None:
    async with opened("*", key=KEY) as client:
        origin = {"Origin": SITE}
        assert allowed(await client.options(path, headers=ASK)) == SITE
        assert allowed(await client.get(path, headers=origin)) is None
        shown = origin | {"Authorization": f"Bearer {KEY}"}
        assert allowed(await client.get(path, headers=shown)) == SITE


async def test_changes_by_a_listed_page_are_accepted_and_by_others_not(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'timonel.db'}"
    row = {"inputs": {"visits": 3.5, "calls": 2, "port": "Arica"}}
    with open_registry(url) as (_, registry):
        served = protocols.open_world(tmp_path, url, registry)
        async with protocols.serving(served.config(cors_origins=(SITE, "*"))) as (_, client):
            path = "/v1/models/churn/predict"
            answer = await client.post(path, json=row, headers={"Origin": SITE})
            assert (answer.status_code, allowed(answer)) == (200, SITE)
            answer = await client.post(path, json=row, headers={"Origin": "https://evil.example"})
            assert (answer.status_code, allowed(answer)) == (403, None)


def test_the_setting_is_a_list_of_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().cors_origins == ()
    monkeypatch.setenv("TIMONEL_CORS_ORIGINS", f"{SITE}, http://localhost:3000")
    assert Settings().cors_origins == (SITE, "http://localhost:3000")
    for wrong in (["app.example"], [f"{SITE}/path"], ["https://*.example"], 3):
        with pytest.raises(ValidationError):
            Settings(cors_origins=wrong)


async def test_title_and_version_of_the_document_are_settings(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'timonel.db'}"
    app = world.open_world(url, api_title="Harbour", api_version="2026.4")
    transport = httpx.ASGITransport(create_api(app), client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        info = (await client.get("/openapi.json")).json()["info"]
        assert (info["title"], info["version"]) == ("Harbour", "2026.4")
        assert "<title>Harbour</title>" in (await client.get("/docs")).text
    app.engine.dispose()
