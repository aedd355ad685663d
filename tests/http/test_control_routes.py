"""The control routes: what they answer, on both databases where SQL is behind it."""

from typing import Any

import httpx
import pytest
from tests.http import world
from tests.http.conftest import client_of


async def get(client: httpx.AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    answer = await client.get(path, params=params or None)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_root_is_for_programs_and_browsers(busy: httpx.AsyncClient) -> None:
    assert (await get(busy, "/"))["links"]["models"] == "/v1/models"
    page = await busy.get("/", headers={"accept": "text/html,application/json;q=0.9"})
    assert (page.status_code, page.headers["location"]) == (303, "/ui/")
    assert (await get(busy, "/v1"))["name"] == "timonel"


async def test_model_says_all_that_a_client_needs(busy: httpx.AsyncClient) -> None:
    found = await get(busy, "/v1/models/dispatch")
    assert found["champion"]["version"] == "1.0.1"
    assert found["n_versions"] == {"archived": 1, "production": 1, "validation": 1}
    assert found["outcome"]["key"] == "call_id"
    assert found["fallback"] == "rules:nearest"
    assert found["target_range"] is None
    assert [feature["name"] for feature in found["schema"]] == list(world.SCHEMA.names)
    assert found["example"]["inputs"] == {
        "distance_km": 40,
        "severity": "low",
        "is_raining": True,
        "n_calls": 1,
        "note": "text",
        "called_at": "2026-03-14T15:30:00",
        "call_id": "A-1",
    }
    for link in found["links"].values():
        if link.rpartition("/")[2] not in ("predict", "outcomes"):
            assert (await busy.get(link)).status_code == 200, link
    listed = await get(busy, "/v1/models")
    assert [model["name"] for model in listed["models"]] == ["arrival", "dispatch"]


async def test_versions_in_pages_and_by_stage(busy: httpx.AsyncClient) -> None:
    first = await get(busy, "/v1/models/dispatch/versions", limit=2)
    assert [v["version"] for v in first["versions"]] == ["1.0.2", "1.0.1"]
    second = await get(busy, first["next"])
    assert [v["version"] for v in second["versions"]] == ["1.0.0"]
    assert second["next"] is None
    found = await get(busy, "/v1/models/dispatch/versions", stage="archived")
    assert [v["version"] for v in found["versions"]] == ["1.0.0"]


async def test_version_by_number_and_alias(busy: httpx.AsyncClient) -> None:
    by_number = await get(busy, "/v1/models/dispatch/versions/1.0.1")
    by_alias = await get(busy, "/v1/models/dispatch/versions/champion")
    assert by_number == by_alias == await get(busy, "/v1/models/dispatch/production")


async def test_nothing_in_production_says_what_to_do(busy: httpx.AsyncClient) -> None:
    answer = await busy.get("/v1/models/arrival/production")
    assert answer.status_code == 404
    assert "timonel train arrival" in answer.json()["remedy"]


async def test_history_in_pages(busy: httpx.AsyncClient) -> None:
    rows: list[dict[str, Any]] = []
    path: str | None = "/v1/models/dispatch/history?limit=2"
    while path is not None:
        page = await get(busy, path)
        rows += page["history"]
        path = page["next"]
    assert [row["seq"] for row in rows] == sorted({row["seq"] for row in rows})
    assert {row["to_stage"] for row in rows} >= {"validation", "production", "archived"}
    assert all(row["reason"] for row in rows)


async def test_comparison(busy: httpx.AsyncClient) -> None:
    found = await get(busy, "/v1/models/dispatch/compare", a="1.0.0", b="champion")
    assert (found["a"], found["b"]) == ("1.0.0", "1.0.1")
    figures = {metric["name"]: metric["difference"] for metric in found["metrics"]}
    assert figures["main.value"] == pytest.approx(0.001)


async def test_promote_and_roll_back(app: world.LocalApp, client: httpx.AsyncClient) -> None:
    world.declare(app, "dispatch")
    world.register(app, "dispatch", 1)
    world.register(app, "dispatch", 2)
    body = {"reason": "better", "who": "ana"}
    for version in ("1.0.0", "1.0.1"):
        answer = await client.post(f"/v1/models/dispatch/versions/{version}/promote", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["stage"] == "production"
        assert answer.json()["reload"] == {"n_current": 0, "n_live": 0}
    back = await client.post("/v1/models/dispatch/rollback", json={"reason": "worse"})
    assert (back.status_code, back.json()["version"]) == (200, "1.0.0")
    again = await client.post("/v1/models/dispatch/rollback", json={"reason": "worse"})
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_roll_back_to")
    named = {"reason": "it was right", "to": "1.0.1"}
    forth = await client.post("/v1/models/dispatch/rollback", json=named)
    assert forth.json()["version"] == "1.0.1"
    away = await client.post("/v1/models/dispatch/versions/1.0.0/archive", json=body)
    assert away.status_code in (200, 409)
    rows = (await get(client, "/v1/models/dispatch/history"))["history"]
    assert {row["who"] for row in rows} == {"ana@taller", "ana", "api"}


async def test_events_on_both_databases(database: str) -> None:
    app = world.open_world(database)
    try:
        world.declare(app, "dispatch")
        ids = [world.prediction(app, "dispatch", minutes_ago=m) for m in (1, 2, 2, 2, 3)]
        told = world.outcome(app, "dispatch", ids[0])
        waiting = world.outcome(app, "dispatch", None)
        async with client_of(app) as client:
            one = await get(client, f"/v1/predictions/{ids[0]}")
            assert one["outcome"]["value"] is True
            assert one["inputs"]["severity"] == "high"
            assert one["latency_ms"] == pytest.approx(0.812)
            assert (await get(client, f"/v1/outcomes/{told}"))["state"] == "joined"
            assert (await get(client, f"/v1/outcomes/{waiting}"))["state"] == "parked"
            assert await _all_pages(client) == {str(identifier) for identifier in ids}
    finally:
        app.engine.dispose()


async def _all_pages(client: httpx.AsyncClient) -> set[str]:
    path: str | None = "/v1/models/dispatch/predictions?limit=2&version=1.0.0&source=model"
    found: list[dict[str, Any]] = []
    while path is not None:
        page = await get(client, path)
        found += page["predictions"]
        path = page["next"]
    assert [row["at"] for row in found] == sorted((row["at"] for row in found), reverse=True)
    names = [row["prediction_id"] for row in found]
    assert len(names) == len(set(names))  # no row twice where several have the same time
    return set(names)


async def test_performance_on_both_databases(database: str) -> None:
    app = world.open_world(database)
    try:
        world.declare(app, "dispatch")
        windows = [
            {"minutes_ago": 5, "n": 80, "drainer_id": "d1"},
            {"minutes_ago": 5, "n": 20, "drainer_id": "d2"},
            {"minutes_ago": 4, "n": 25, "version": "", "source": "rules", "reason": "timeout"},
        ]
        world.windows(app, "dispatch", windows)
        rows = [
            {"hours_ago": 0, "n": 60, "total": 54, "drainer_id": "d1"},
            {"hours_ago": 1, "n": 10, "total": 6, "drainer_id": "d2"},
            {"hours_ago": 2, "n": -1, "total": -1, "drainer_id": "d2"},  # a revision's retraction
            {"hours_ago": 2, "n": 1, "total": 0, "drainer_id": "d1"},
        ]
        world.cells(app, "dispatch", rows)
        async with client_of(app) as client:
            found = await get(client, "/v1/models/dispatch/performance")
    finally:
        app.engine.dispose()
    assert (found["n_answered"], found["n_fallback"]) == (125, 25)
    assert found["fallback_rate"] == 0.2
    assert found["fallback_reasons"] == {"timeout": 25}
    own = next(group for group in found["by_version"] if group["source"] == "model")
    assert (own["n_answered"], own["n_labels"], own["metric"]) == (100, 70, "accuracy")
    assert own["low"] < own["value"] < own["high"]
    assert own["enough"] is False
    rules = next(group for group in found["by_version"] if group["source"] == "rules")
    assert (rules["value"], rules["reason"]) == (None, "no_labels")


async def test_performance_of_nothing_is_unknown_with_a_reason(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    world.declare(app, "dispatch")
    found = await get(client, "/v1/models/dispatch/performance", days=1)
    assert found["overall"]["value"] is None
    assert found["overall"]["reason"] == "no_predictions"
    assert found["fallback_rate"] is None


async def test_regression_has_a_mean_error(busy: httpx.AsyncClient) -> None:
    found = (await get(busy, "/v1/models/arrival/performance"))["overall"]
    assert found["metric"] == "mean_absolute_error"
    assert found["value"] == pytest.approx(3.2)
    assert found["low"] < 3.2 < found["high"]


async def test_health_of_a_database_that_is_gone(app: world.LocalApp) -> None:
    app.engine.dispose()
    broken = world.LocalApp("sqlite:////nowhere/at/all.db")
    async with client_of(broken) as client:
        answer = await client.get("/health")
        assert answer.status_code == 503
        found = answer.json()
        assert found["status"] == "UNHEALTHY"
        assert found["checks"]["database"]["reason"] == "unreachable"
        assert found["checks"]["spool"] == {"status": "UNKNOWN", "reason": "database_unreachable"}
        assert (await client.get("/livez")).status_code == 200
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["code"]) == (503, "store_unavailable")
        page = await client.get("/ui/?lang=es")
        assert page.status_code == 503
        assert "No se pudo cargar el panorama" in page.text
    broken.engine.dispose()


async def test_health_tells_what_is_unknown_and_why(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    found = await get(client, "/health")
    assert found["status"] == "HEALTHY"
    unknown = {name: c["reason"] for name, c in found["checks"].items() if c["status"] == "UNKNOWN"}
    assert unknown == {
        "model": "no_models",
        "predictions": "no_predictions",
        "fallback": "no_predictions",
        "spool": "no_drainer_seen",
        "memory": "not_measured",
        "disk": "not_measured",
    }
    world.declare(app, "dispatch")
    assert (await get(client, "/health"))["status"] == "DEGRADED"


async def test_the_rules_of_a_model_can_be_read(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    world.declare(app, "dispatch")
    world.declare(app, "arrival", rules=False)
    found = (await client.get("/v1/models/dispatch/rules")).json()
    assert found == {
        "model": "dispatch",
        "function": "nearest",
        "source": "def nearest(row): ...",
    }
    assert (await client.get("/v1/models/arrival/rules")).json()["code"] == "no_rules"
