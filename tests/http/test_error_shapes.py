"""Every refusal is a problem document with a remedy, in the reader's language; nothing is a 500."""

from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import text
from tests.http import world
from tests.http.conftest import client_of

PREDICTIONS = "/v1/models/dispatch/predictions"
MISSING = "01980000-0000-7000-8000-000000000000"


def check_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert (found["status"], found["code"]) == (status, code)
    assert found["type"] == f"urn:timonel:error:{code}"
    assert found["detail"]
    assert found["remedy"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/nothing", 404, "unknown_route"),
        ("/ui/static/nothing.css", 404, "unknown_route"),
        ("/docs-assets/../api.py", 404, "unknown_route"),
        ("/docs-assets/LICENSE", 404, "unknown_route"),
        ("/v1/models/dispach", 404, "unknown_model"),
        ("/v1/models/dispach/rules", 404, "unknown_model"),
        ("/v1/models/dispach/versions", 404, "unknown_model"),
        ("/v1/models/dispach/history", 404, "unknown_model"),
        ("/v1/models/dispach/production", 404, "unknown_model"),
        ("/v1/models/dispach/predictions", 404, "unknown_model"),
        ("/v1/models/dispach/performance", 404, "unknown_model"),
        ("/v1/models/dispatch/versions/9.9.9", 404, "unknown_version"),
        ("/v1/models/dispatch/versions/%F0%9F%98%80", 404, "unknown_version"),
        ("/v1/models/dispatch/versions?after=9.9.9", 404, "unknown_version"),
        ("/v1/models/dispatch/versions?stage=prod", 422, "invalid_parameters"),
        ("/v1/models/dispatch/versions?limit=0", 422, "invalid_parameters"),
        ("/v1/models/dispatch/compare?a=1.0.0", 422, "invalid_parameters"),
        ("/v1/models/dispatch/compare?a=1.0.0&b=7.0.0", 404, "unknown_version"),
        ("/v1/models/dispatch/predictions?before=x", 422, "invalid_parameters"),
        (
            f"/v1/models/dispatch/predictions?before=9{'9' * 30}_{MISSING}",
            422,
            "invalid_parameters",
        ),
        ("/v1/models/dispatch/performance?days=1.5", 422, "invalid_parameters"),
        ("/v1/predictions/xyz", 422, "invalid_parameters"),
        (f"/v1/predictions/{MISSING}", 404, "unknown_prediction"),
        (f"/v1/outcomes/{MISSING}", 404, "unknown_outcome"),
        ("/v1/models/a%00b", 400, "malformed_url"),
        ("/v1/models/dispatch/versions?after=a%00", 400, "malformed_url"),
    ],
)
async def test_refused_reads(busy: httpx.AsyncClient, path: str, status: int, code: str) -> None:
    check_problem(await busy.get(path), status, code)


async def test_unknown_model_names_the_known_ones(busy: httpx.AsyncClient) -> None:
    assert "dispatch" in (await busy.get("/v1/models/dispach")).json()["detail"]


ROLLBACK = "/v1/models/dispatch/rollback"


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{bad", "application/json", 400, "malformed_body"),
        (b"\xff\xfe", "application/json", 400, "malformed_body"),
        (b'{"reason": "x"}', "text/plain", 415, "unsupported_media_type"),
        (b'{"reason": "x"}', "", 415, "unsupported_media_type"),
        (b"{}", "application/json", 422, "invalid_parameters"),
        (b"[]", "application/json", 422, "invalid_parameters"),
        (b"", "application/json", 422, "invalid_parameters"),
        (b'{"reason": ""}', "application/json", 422, "invalid_parameters"),
        (b'{"reason": "a\\u0000b"}', "application/json", 422, "invalid_parameters"),
        (b'{"reason": "\\ud800"}', "application/json", 422, "invalid_parameters"),
        (b'{"reason": 7}', "application/json", 422, "invalid_parameters"),
        (b'{"reason": "x", "to": "9.9.9"}', "application/json", 404, "unknown_version"),
        (b'{"reason": "x", "to": "a\\u0000"}', "application/json", 422, "invalid_parameters"),
        (b'{"reason": "' + b"x" * 2_000_000 + b'"}', "application/json", 413, "body_too_large"),
    ],
)
async def test_refused_bodies(
    busy: httpx.AsyncClient, content: bytes, kind: str, status: int, code: str
) -> None:
    headers = {"content-type": kind} if kind else {}
    check_problem(await busy.post(ROLLBACK, content=content, headers=headers), status, code)


async def test_compressed_body_is_refused(busy: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = await busy.post(ROLLBACK, content=b"\x1f\x8b", headers=headers)
    check_problem(answer, 415, "unsupported_media_type")


async def test_streamed_body_is_limited_too(busy: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65_536

    headers = {"content-type": "application/json"}
    answer = await busy.post(ROLLBACK, content=pieces(), headers=headers)
    check_problem(answer, 413, "body_too_large")


async def test_method_not_allowed_says_which_is(busy: httpx.AsyncClient) -> None:
    answer = await busy.delete("/v1/models/dispatch")
    check_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


async def test_predict_here_says_where(busy: httpx.AsyncClient) -> None:
    answer = await busy.post("/v1/models/dispatch/predict", json={"inputs": {}})
    check_problem(answer, 503, "not_answered_here")


async def test_illegal_transition_is_a_conflict(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    world.declare(app, "dispatch")
    answer = await client.post(ROLLBACK, json={"reason": "x"})
    check_problem(answer, 409, "nothing_to_roll_back_to")


async def test_spanish_where_the_reader_prefers_it(busy: httpx.AsyncClient) -> None:
    answer = await busy.get("/nothing", headers={"accept-language": "es-CL,en;q=0.5"})
    assert answer.headers["content-language"] == "es"
    assert "No se encuentra" in answer.json()["detail"]


async def test_a_defect_is_logged_and_told_without_its_inside(
    app: world.LocalApp, caplog: pytest.LogCaptureFixture
) -> None:
    with app.engine.begin() as connection:
        connection.execute(text("DROP TABLE predictions"))
    async with client_of(app) as client:
        answer = await client.get(f"/v1/predictions/{MISSING}")
    check_problem(answer, 503, "unexpected_failure")
    error_id = answer.json()["error_id"]
    assert error_id in caplog.text
    assert "no such table" in caplog.text
    assert "no such table" not in answer.text


async def test_only_a_plainly_local_request_needs_no_key(app: world.LocalApp) -> None:
    app.settings = app.settings.model_copy(update={"admin_key": "s3cret"})
    async with client_of(app, peer="10.0.0.9") as client:
        check_problem(await client.get("/v1"), 401, "key_required")
        good = {"authorization": "Bearer s3cret"}
        assert (await client.get("/v1", headers=good)).status_code == 200
        wrong = await client.get("/v1", headers={"authorization": "Bearer other"})
        assert wrong.status_code == 401
        assert wrong.headers["www-authenticate"] == "Bearer"
        assert (await client.get("/livez")).status_code == 200
    async with client_of(app) as client:
        assert (await client.get("/v1")).status_code == 200
        for name, value in (("host", "evil.example"), ("x-forwarded-for", "1.2.3.4")):
            assert (await client.get("/v1", headers={name: value})).status_code == 401


async def test_every_answer_has_the_security_headers(busy: httpx.AsyncClient) -> None:
    for path in ("/", "/ui/", "/ui/static/timonel.css", "/nothing", "/docs", "/openapi.json"):
        headers = (await busy.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "script-src" not in headers["content-security-policy"]
        assert "cache-control" in headers
