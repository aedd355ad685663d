"""Flags by OFREP: codes, exposures, ETag; and the official client against a real server."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from tests.http import world

from timonel.experiments.wishes import Wish
from timonel.http.api import create_api
from timonel.project.model import Policy

FLAGS = "/ofrep/v1/evaluate/flags"
JSON = {"Content-Type": "application/json"}
U1 = {"context": {"targetingKey": "u1", "country": "CL"}}


def begin(app: world.LocalApp) -> None:
    world.declare(app, "dispatch")
    app.policies["dispatch"] = Policy()
    wish = Wish(
        name="prices",
        control="external",
        treatment="external",
        mode="outside",
        metric="revenue",
        only=["country == CL"],
    )
    app.create_experiment("dispatch", wish, who="ana")
    app.experiments.start("prices", who="ana")


def exposed(app: world.LocalApp) -> int:
    return sum(arm.units for arm in app.experiments.look("prices").arms)


async def test_one_flag_is_an_exposure_and_all_are_not(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    begin(app)
    every = await client.post(FLAGS, json=U1)
    assert exposed(app) == 0
    one = await client.post(f"{FLAGS}/prices", json=U1)
    assert one.status_code == 200, one.text
    assert exposed(app) == 1
    flag = one.json()
    assert every.json() == {"flags": [flag]}
    assert flag["variant"] == flag["value"] == app.outside_units.assign("prices", "u1", {}).arm
    same = await client.post(FLAGS, json=U1, headers={"If-None-Match": every.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    other = {"context": {"targetingKey": "u1", "country": "AR"}}
    app.experiments.pause("prices", who="ana")
    changed = await client.post(FLAGS, json=other, headers={"If-None-Match": every.headers["etag"]})
    assert changed.json() == {"flags": []}


async def test_refusals_have_the_protocols_codes(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    begin(app)
    abroad = b'{"context": {"targetingKey": "u2", "country": "AR"}}'
    for name, body, status, code in (
        ("none", b'{"context": {"targetingKey": "u1"}}', 404, "FLAG_NOT_FOUND"),
        ("prices", b"{}", 400, "TARGETING_KEY_MISSING"),
        ("prices", b"{", 400, "PARSE_ERROR"),
        ("prices", b'{"context": 3}', 400, "INVALID_CONTEXT"),
        ("prices", b'{"context": {"targetingKey": "a\\u0000"}}', 400, "INVALID_CONTEXT"),
        ("prices", abroad, 400, "INVALID_CONTEXT"),
    ):
        found = await client.post(f"{FLAGS}/{name}", content=body, headers=JSON)
        assert (found.status_code, found.json()["errorCode"]) == (status, code), found.text
        assert found.json()["key"] == name
        assert found.json()["errorDetails"]
    assert exposed(app) == 0


@contextmanager
def served(app: world.LocalApp) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(create_api(app), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until = time.monotonic() + 60.0
    while not server.started and time.monotonic() < until:
        time.sleep(0.05)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.mark.interop
def test_the_official_client_reads_flags_and_errors(app: world.LocalApp) -> None:
    ofrep = pytest.importorskip("openfeature.contrib.provider.ofrep")
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.exception import (
        FlagNotFoundError,
        InvalidContextError,
        TargetingKeyMissingError,
    )

    begin(app)
    here = EvaluationContext("u1", {"country": "CL"})
    away = EvaluationContext("u2", {"country": "AR"})
    with served(app) as url:
        provider = ofrep.OFREPProvider(url)
        found = provider.resolve_string_details("prices", "control", here)
        assert found.value == found.variant == app.outside_units.assign("prices", "u1", {}).arm
        assert found.reason == "SPLIT"
        with pytest.raises(FlagNotFoundError):
            provider.resolve_string_details("none", "control", here)
        with pytest.raises(TargetingKeyMissingError):
            provider.resolve_string_details("prices", "control", EvaluationContext())
        with pytest.raises(InvalidContextError):
            provider.resolve_string_details("prices", "control", away)
    assert exposed(app) == 1
