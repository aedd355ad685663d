"""Alerts over HTTP: list, show, decide, and who was first."""

from typing import Any

import httpx
import pytest
from tests.http import world

from timonel.signals import Condition, Kind, Severity, Signal


def raise_drift(app: world.LocalApp, column: str = "distance_km", **changes: Any) -> int:
    values: dict[str, Any] = {
        "kind": Kind.DRIFT_DETECTED,
        "condition": Condition.HOLDS,
        "severity": Severity.HIGH,
        "model": "dispatch",
        "version": "1.0.0",
        "monitor": "feature_drift",
        "column": column,
        "at": app.clock.now_us() - world.HOUR,
        "facts": {"effect": 0.2, "n": 1200},
    }
    alert = app.alerts.take(Signal(**values | changes))
    assert alert is not None
    return alert.alert_id


async def test_listing_by_state_and_model_in_pages(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    for column in ("distance_km", "severity", "is_raining"):
        raise_drift(app, column)
    raise_drift(app, model="arrival")
    app.alerts.resolve(1, "ana", "known")
    answer = (await client.get("/v1/alerts")).json()
    assert [alert["alert_id"] for alert in answer["alerts"]] == [4, 3, 2]
    assert answer["next"] is None
    assert answer["alerts"][-1]["title"] == "Drift in severity of dispatch"
    one = (await client.get("/v1/alerts?state=resolved&model=dispatch")).json()
    assert [alert["alert_id"] for alert in one["alerts"]] == [1]
    both = "/v1/alerts?state=resolved&state=firing&model=dispatch&limit=2"
    page = (await client.get(both)).json()
    assert [alert["alert_id"] for alert in page["alerts"]] == [3, 2]
    rest = (await client.get(page["next"])).json()
    assert [alert["alert_id"] for alert in rest["alerts"]] == [1]


async def test_one_alert_with_its_life_in_the_readers_language(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    number = raise_drift(app)
    answer = await client.get(f"/v1/alerts/{number}", headers={"accept-language": "es"})
    found = answer.json()
    assert found["title"] == "Deriva en distance_km de dispatch"
    assert found["steps"]
    assert found["facts"] == {"effect": 0.2, "n": 1200}
    assert [event["to_state"] for event in found["history"]] == ["firing"]
    assert found["messages"] == []


async def test_deciding_and_who_was_first(app: world.LocalApp, client: httpx.AsyncClient) -> None:
    here = f"/v1/alerts/{raise_drift(app)}"
    taken = await client.post(
        f"{here}/acknowledge", json={"who": "ana", "note": "on it", "revision": 1}
    )
    assert (taken.json()["state"], taken.json()["revision"]) == ("acknowledged", 2)
    late = await client.post(f"{here}/acknowledge", json={"who": "luis", "revision": 1})
    assert (late.status_code, late.json()["code"]) == (409, "alert_changed")
    assert late.json()["who"] == "ana"
    assert "ana" in late.json()["detail"]
    silent = await client.post(f"{here}/silence", json={"who": "ana", "for": "24h"})
    assert silent.json()["silenced_until"] is not None
    done = await client.post(f"{here}/resolve", json={"note": "the feed is mended"})
    assert (done.json()["state"], done.json()["resolved_by"]) == ("resolved", "api")
    life = (await client.get(here)).json()["history"]
    assert [event["to_state"] for event in life] == [
        "firing",
        "acknowledged",
        "acknowledged",
        "resolved",
    ]
    figures = (await client.get("/v1/alerts/statistics?days=30")).json()
    assert figures["n_fired"] == 1
    assert figures["to_resolve"]["n"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/alerts/7", None, 404, "unknown_alert"),
        ("GET", "/v1/alerts/x", None, 422, "invalid_parameters"),
        ("GET", "/v1/alerts?state=gone", None, 422, "invalid_parameters"),
        ("GET", "/v1/alerts?before=0", None, 422, "invalid_parameters"),
        ("POST", "/v1/alerts/7/resolve", {}, 404, "unknown_alert"),
        ("POST", "/v1/alerts/1/silence", {}, 422, "invalid_parameters"),
        ("POST", "/v1/alerts/1/silence", {"for": "2 days"}, 422, "invalid_parameters"),
        ("POST", "/v1/alerts/1/acknowledge", {}, 409, "alert_pending"),
        ("POST", "/v1/alerts/1/acknowledge", {"note": "a\0"}, 422, "invalid_parameters"),
    ],
)
async def test_refused(
    app: world.LocalApp,
    client: httpx.AsyncClient,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    status: int,
    code: str,
) -> None:
    raise_drift(app, kind=Kind.SLOW_RESPONSE)
    answer = await client.request(method, path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["remedy"]
