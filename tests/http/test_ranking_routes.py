"""Interleaved rankings over HTTP: a list, its clicks, a look, and what is refused."""

import httpx
from tests.http import world

from timonel.project.model import Policy

WISH = {"name": "order", "control": "", "treatment": "", "mode": "interleave"}
HERE = "/v1/experiments/order"
LISTS = {"request_id": "r1", "unit_id": "ana", "control": ["a", "b"], "treatment": ["b", "c"]}


async def test_two_rankings_become_a_list_whose_clicks_are_judged(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    world.declare(app, "dispatch")
    app.policies["dispatch"] = Policy()
    made = await client.post("/v1/models/dispatch/experiments", json=WISH)
    assert made.status_code == 201, made.text
    assert made.json()["design"]["metric"] == "clicks"
    early = await client.post(f"{HERE}/interleave", json=LISTS)
    assert (early.status_code, early.json()["code"]) == (409, "experiment_not_assigning")
    await client.post(f"{HERE}/start")

    shown = (await client.post(f"{HERE}/interleave", json=LISTS)).json()
    assert (shown["unit_id"], shown["first"]) == ("ana", True)
    assert sorted(shown["items"]) == ["a", "b", "c"]
    assert set(shown["teams"]) <= {"control", "treatment", None}
    again = (await client.post(f"{HERE}/interleave", json=LISTS)).json()
    assert again == shown | {"first": False}
    item = shown["items"][0]
    told = await client.post(f"{HERE}/clicks", json={"request_id": "r1", "items": [item, item]})
    counts = {"counted": 1, "nobody": 0, "late": 0, "repeated": 0}
    assert told.json() == {"request_id": "r1"} | counts

    look = (await client.post(f"{HERE}/look", headers={"accept-language": "es"})).json()
    assert (look["verdict"], look["engine"], look["immature"]) == ("CONTINUE", "interleaving", 1)
    replayed = (await client.post(f"{HERE}/replay")).json()
    assert (replayed["all_same"], replayed["log"]["same"]) == (True, True)
    report = await client.get(f"{HERE}/report")
    assert "| window still open: not counted yet | 1 |" in report.text

    for path, body, status, code in (
        ("interleave", LISTS | {"control": ["c"]}, 409, "interleaved_otherwise"),
        ("interleave", LISTS | {"control": ["c", "c"]}, 422, "unusable_ranking"),
        ("interleave", LISTS | {"control": []}, 422, "invalid_parameters"),
        ("interleave", LISTS | {"request_id": "r\0"}, 422, "invalid_parameters"),
        ("interleave", LISTS | {"control": ["x"] * 201}, 422, "invalid_parameters"),
        ("clicks", {"request_id": "r1", "items": ["z"]}, 422, "item_not_shown"),
        ("clicks", {"request_id": "r9", "items": ["a"]}, 404, "not_interleaved"),
        ("assign", {"unit_id": "ana"}, 409, "experiment_not_outside"),
        ("share", {"share": 0.8}, 422, "invalid_experiment"),
    ):
        refused = await client.post(f"{HERE}/{path}", json=body)
        assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
