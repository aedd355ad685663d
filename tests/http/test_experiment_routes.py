"""Experiments over HTTP: from a draft to an end, and what is refused."""

import asyncio
from xml.etree import ElementTree as Xml

import httpx
from tests.http import world

from timonel.experiments.planning.documents import plan_document, power_chart
from timonel.jobs.runner import JobRunner
from timonel.project.model import Policy

NEW = {"name": "newer", "control": "1.0.0", "treatment": "rules", "unit": "request"}


def declared(app: world.LocalApp) -> str:
    world.declare(app, "dispatch")
    app.policies["dispatch"] = Policy()
    return "dispatch"


async def test_an_experiment_from_draft_to_end(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    model = declared(app)
    world.register(app, model)
    made = await client.post(f"/v1/models/{model}/experiments", json=NEW)
    assert made.status_code == 201, made.text
    assert made.json()["state"] == "draft"
    again = await client.post(f"/v1/models/{model}/experiments", json=NEW)
    assert (again.status_code, again.json()["code"]) == (409, "experiment_exists")
    early = await client.post("/v1/experiments/newer/pause")
    assert (early.status_code, early.json()["code"]) == (409, "experiment_state")
    started = await client.post("/v1/experiments/newer/start", json={"who": "ana"})
    assert started.json()["state"] == "active"
    look = await client.post("/v1/experiments/newer/look", headers={"accept-language": "es"})
    assert look.json()["verdict"] == "CONTINUE"
    assert look.json()["sentence"] == "continuar: aún no hay datos"
    back = await client.post("/v1/experiments/newer/share", json={"share": 0.2})
    assert (back.status_code, back.json()["code"]) == (409, "shares_shrink")
    more = await client.post("/v1/experiments/newer/share", json={"share": 0.8})
    assert more.json()["phase"] == 2
    for action in ("pause", "resume", "stop"):
        assert (await client.post(f"/v1/experiments/newer/{action}")).status_code == 200
    replayed = (await client.get("/v1/experiments/newer/replay")).json()
    assert (replayed["n_looks"], replayed["all_same"], replayed["log"]) == (1, True, None)
    assert (await client.get("/v1/experiments/newer")).json()["answered"] == {}  # none yet
    report = await client.get("/v1/experiments/newer/report", headers={"accept-language": "es"})
    assert report.headers["content-type"].startswith("text/markdown")
    assert "**CONTINUE**: continuar: aún no hay datos." in report.text
    assert (await client.get("/v1/experiments/none/report")).status_code == 404
    counted = (await client.post("/v1/experiments/newer/replay?last=5")).json()
    assert counted["log"]["same"]
    shown = (await client.get("/v1/experiments/newer")).json()
    assert [event["action"] for event in shown["events"]] == [
        "create",
        "start",
        "grow",
        "pause",
        "resume",
        "stop",
    ]
    listed = (await client.get("/v1/experiments?state=completed")).json()["experiments"]
    assert [one["name"] for one in listed] == ["newer"]


async def test_what_is_refused_says_why(app: world.LocalApp, client: httpx.AsyncClient) -> None:
    model = declared(app)
    unknown = await client.get("/v1/experiments/none")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_experiment")
    missing = await client.post(f"/v1/models/{model}/experiments", json=NEW)
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_version")
    for changes in ({"mode": "guess"}, {"guardrails": ["slow:soon"]}, {"only": ["x"]}):
        wrong = await client.post(f"/v1/models/{model}/experiments", json=NEW | changes)
        assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_experiment")
    by_clock = NEW | {"strategy": "DAY_AGAINST_NIGHT", "unit": None}
    refused = await client.post(f"/v1/models/{model}/experiments", json=by_clock)
    assert (refused.status_code, refused.json()["code"]) == (422, "not_randomised")
    ignored = await client.post(f"/v1/models/{model}/experiments", json=NEW | {"colour": "red"})
    assert ignored.status_code == 422


async def test_what_is_recorded_may_guard_our_own_answers(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    model = declared(app)
    world.register(app, model)
    here, spanish = f"/v1/models/{model}/experiments", {"accept-language": "es"}
    by_unit = NEW | {"unit": "unit", "guardrails": ["churned"]}
    unknown = await client.post(here, json=by_unit, headers=spanish)
    assert unknown.status_code == 422
    assert "fallback, error, slow o slow:MILISEGUNDOS" in unknown.json()["detail"]
    assert "NOMBRE:bad (1 si ocurrió, si no 0" in unknown.json()["detail"]
    made = await client.post(here, json=by_unit | {"guardrails": ["error", "churned:bad@1.5"]})
    assert made.status_code == 201, made.text
    guarded = made.json()["design"]["guardrails"][1]
    assert (guarded["event"], guarded["tolerated"], guarded["recorded"]) == ("churned", 1.5, True)
    await client.post("/v1/experiments/newer/start")
    outcomes = "/v1/experiments/newer/outcomes"
    for body, code in (
        ({"unit_id": "u1", "values": {"churned": True}}, "unit_not_answered"),
        ({"unit_id": "u1", "values": {"churned": 2}}, "not_yes_or_no"),
        ({"unit_id": "u1", "values": {"revenue": 2}}, "undeclared_metric"),
    ):
        refused = await client.post(outcomes, json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, code)
    rows = {"outcomes": [{"unit_id": "u1", "values": {"churned": 1}}]}
    told = await client.post("/v1/experiments/newer/record", json=rows)
    assert told.json()["refused"][0]["reason"] == "u1 is in no arm of the experiment"
    look = (await client.post("/v1/experiments/newer/look")).json()
    assert look["unheard_of"] == ["churned"]
    assert look["metrics"][1]["why"] == "it was recorded of no unit"


async def test_a_plan_and_an_a_a_by_the_log(app: world.LocalApp, client: httpx.AsyncClient) -> None:
    model = declared(app)
    world.register(app, model)
    here = f"/v1/models/{model}/experiments"
    bare = (await client.post(f"{here}/plan")).json()
    assert (bare["control"], bare["baseline"]["basis"]) == ("rules", "unknown")
    known = {"baseline": 0.8, "per_day": 1000, "delay_days": 2, "effects": [0.02]}
    plan = (await client.post(f"{here}/plan", json=known | {"unit": "request"})).json()
    by_command = app.planning.plan(model, effects=(0.02,), baseline=0.8, per_day=1000, delay_days=2)
    assert plan == plan_document(by_command)
    assert plan["sizes"][0]["n"] > 10_000
    drawing = {"accept": "image/svg+xml", "accept-language": "es"}
    drawn = await client.post(f"{here}/plan", json=known | {"unit": "request"}, headers=drawing)
    assert drawn.headers["content-type"].startswith("image/svg+xml")
    assert Xml.fromstring(drawn.text).tag.endswith("svg")
    assert drawn.text == power_chart(by_command, "es")
    undrawn = await client.post(f"{here}/plan", headers={"accept": "image/svg+xml"})
    assert (undrawn.status_code, undrawn.json()["code"]) == (422, "power_unknown")
    for body, status, code in (
        ({"control": "9.9.9"}, 404, "unknown_version"),
        ({"baseline": 1.5}, 422, "invalid_plan"),
        ({"share": 1}, 422, "invalid_parameters"),
        ({"colour": "red"}, 422, "invalid_parameters"),
    ):
        refused = await client.post(f"{here}/plan", json=body)
        assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text

    made = await client.post(f"{here}/aa", json={"runs": 5, "seed": 2})
    assert (made.status_code, made.json()["progress"]) == (202, 0.0)
    assert made.headers["location"] == f"/v1/jobs/{made.json()['job_id']}"
    again = await client.post(f"{here}/aa")
    assert (again.status_code, again.json()["code"]) == (409, "job_active")
    runner = JobRunner(app.jobs, app.job_kinds(), "w", lambda told, facts: None)
    assert await asyncio.to_thread(runner.run_one)
    spanish = {"accept-language": "es"}
    (ended,) = (await client.get(f"{here}/aa", headers=spanish)).json()["aa"]
    assert (ended["state"], ended["progress"], ended["asked"]["seed"]) == ("succeeded", 1.0, 2)
    assert ended["result"]["wrong"] is None
    assert ended["result"]["reason"].startswith("0 respuestas con resultado en")
    unknown = await client.get("/v1/models/none/experiments/aa")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_model")


async def test_what_would_be_ignored_or_wait_for_good_is_refused(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    model = declared(app)
    world.register(app, model)
    wishes: list[tuple[dict[str, object], str]] = [
        ({"block_h": 2.0}, "block"),
        ({"step_hours": 2.0}, "step_hours"),
        ({"step_units": 50}, "step_units"),
        ({"window_minutes": 9}, "window"),
        ({"mode": "ramp", "share": 0.3}, "share"),
        ({"metric": "revenue"}, "metric"),
        ({"mode": "shadow"}, "arm treatment"),
    ]
    for wish, field in wishes:
        refused = await client.post(f"/v1/models/{model}/experiments", json=NEW | wish)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_experiment")
        assert f": {field} is " in refused.json()["detail"]


OUTSIDE = {
    "name": "prices",
    "control": "external",
    "treatment": "external",
    "mode": "outside",
    "metric": "churned",
    "lower_is_better": True,
}


async def test_an_outside_service_asks_for_arms_and_tells_outcomes(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    model = declared(app)
    nameless = {key: value for key, value in OUTSIDE.items() if key != "metric"}
    assert (await client.post(f"/v1/models/{model}/experiments", json=nameless)).status_code == 422
    made = await client.post(f"/v1/models/{model}/experiments", json=OUTSIDE)
    assert made.status_code == 201, made.text
    assign, outcomes = "/v1/experiments/prices/assign", "/v1/experiments/prices/outcomes"
    early = await client.post(assign, json={"unit_id": "u1"})
    assert (early.status_code, early.json()["code"]) == (409, "experiment_not_assigning")
    await client.post("/v1/experiments/prices/start")
    first = (await client.post(assign, json={"unit_id": "u1"})).json()
    assert first["arm"] in ("control", "treatment")
    assert first["first_exposure"]
    again = (await client.post(assign, json={"unit_id": "u1", "attributes": {"age": 3}})).json()
    assert again == first | {"first_exposure": False}
    told = await client.post(outcomes, json={"unit_id": "u1", "values": {"churned": True}})
    assert told.json() == {"unit_id": "u1", "changed": 1}
    for body, code in (
        ({"unit_id": "u2", "values": {"churned": 1}}, "unit_not_assigned"),
        ({"unit_id": "u1", "values": {"clicks": 1}}, "undeclared_metric"),
        ({"unit_id": "u1", "values": {"churned": "yes"}}, "invalid_parameters"),
        ({"unit_id": "u\0", "values": {"churned": 1}}, "invalid_parameters"),
    ):
        refused = await client.post(outcomes, json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, code), refused.text


async def test_a_bandit_over_http(app: world.LocalApp, client: httpx.AsyncClient) -> None:
    model = declared(app)
    wish = OUTSIDE | {"name": "offers", "strategy": "thompson", "arms": ["third", "fourth"]}
    made = await client.post(f"/v1/models/{model}/experiments", json=wish | {"batch_hours": 1})
    assert made.status_code == 201, made.text
    found = made.json()["design"]
    assert (found["weights"], found["floor"], found["batch_s"]) == ([0.25] * 4, 0.05, 3600)
    await client.post("/v1/experiments/offers/start")
    placed = (await client.post("/v1/experiments/offers/assign", json={"unit_id": "u1"})).json()
    assert placed["propensity"] == 0.25
    look = (await client.post("/v1/experiments/offers/look")).json()
    assert (look["engine"], look["verdict"], look["goals"]) == ("thompson", "CONTINUE", [])
    assert look["sentence"].startswith("continue: shares stay")
    for body, field in (
        (wish | {"name": "x", "strategy": None}, "arms"),
        (wish | {"name": "x", "share": 0.3}, "share"),
        (wish | {"name": "x", "floor": 0.4}, "floor"),
        (OUTSIDE | {"name": "x", "floor": 0.1}, "floor"),
    ):
        wrong = await client.post(f"/v1/models/{model}/experiments", json=body)
        assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_experiment")
        assert field in wrong.json()["detail"]
    set_by_hand = await client.post("/v1/experiments/offers/share", json={"share": 0.5})
    assert set_by_hand.status_code in (409, 422)
