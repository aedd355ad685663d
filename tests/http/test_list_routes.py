"""Whole lists over HTTP: units assigned at once, who is in which arm, what came of them."""

import csv
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from tests.http import world
from tests.http.conftest import client_of

from timonel.experiments.documents import design_document
from timonel.experiments.outside.files import UnitFile
from timonel.experiments.wishes import Wish
from timonel.project.model import Policy
from timonel.store.tables_experiments import experiment_members

HERE = "/v1/experiments/letters"
CSV = {"content-type": "text/csv"}
WISH: dict[str, Any] = {
    "name": "letters",
    "mode": "outside",
    "metric": "revenue",
    "also": ["churned"],
    "share": 0.25,
}
CUSTOMERS = "cliente;región;gasto\n" + "".join(
    f"{i:04};{'Ñuñoa' if i % 4 else 'Maipú'};{i},5\n" for i in range(400)
)
QUERY: dict[str, str | int] = {
    "key_column": "cliente",
    "block": "región",
    "seed": 11,
    "source": "clientes.csv",
}


@pytest.fixture
async def drafted(app: world.LocalApp, client: httpx.AsyncClient) -> httpx.AsyncClient:
    world.declare(app, "dispatch")
    app.policies["dispatch"] = Policy()
    wish = WISH | {"control": "external", "treatment": "external"}
    made = await client.post("/v1/models/dispatch/experiments", json=wish)
    assert made.status_code == 201, made.text
    return client


async def test_a_file_is_drawn_as_by_the_command_and_comes_back_with_its_arms(
    app: world.LocalApp, drafted: httpx.AsyncClient, tmp_path: Path
) -> None:
    body = CUSTOMERS.encode("cp1252")
    made = await drafted.post(f"{HERE}/units", params=QUERY, content=body, headers=CSV)
    assert made.status_code == 200, made.text
    listed = made.json()["design"]["listed"]
    assert (listed["counts"], listed["seed"]) == ([300, 100], 11)
    assert listed["source"] == "clientes.csv"

    (tmp_path / "clientes.csv").write_bytes(body)
    file = UnitFile(path=tmp_path / "clientes.csv", key="cliente", block="región", seed=11)
    by_command = app.create_experiment(
        "dispatch", Wish(**(WISH | {"name": "by-command"})), who="ana", units=file
    )
    by_command_list = by_command.design.listed
    assert by_command_list is not None
    assert by_command_list.sha256 == listed["sha256"]
    arms = {one.unit: one.arm for one in app.outside_units.listed("by-command")[1]}

    page = (await drafted.get(f"{HERE}/units", params={"limit": 150})).json()
    assert (len(page["units"]), page["after"]) == (150, "0149")
    rest = (await drafted.get(f"{HERE}/units", params={"after": "0149"})).json()
    assert (len(rest["units"]), rest["after"]) == (250, None)
    assert {one["unit_id"]: one["arm"] for one in page["units"] + rest["units"]} == arms
    whole = await drafted.get(f"{HERE}/units", headers={"accept": "text/csv"})
    head, *rows = csv.reader(whole.text.splitlines())
    assert head == ["cliente", "arm"]
    assert dict(map(tuple, rows)) == arms  # type: ignore[arg-type]
    history = (await drafted.get(HERE)).json()["events"]
    assert [(one["action"], one["facts"].get("units")) for one in history] == [
        ("create", None),
        ("assign", 400),
    ]


async def test_outcomes_of_a_file_count_and_say_which_rows_did_not(
    app: world.LocalApp, drafted: httpx.AsyncClient
) -> None:
    units = [{"unit_id": f"u{i}", "block": "ab"[i % 2]} for i in range(40)]
    made = await drafted.post(f"{HERE}/units", params={"seed": 3}, json={"units": units})
    assert made.json()["design"]["listed"]["counts"] == [30, 10]
    early = await drafted.post(f"{HERE}/record", content=b"unit_id,revenue\nu1,5\n", headers=CSV)
    assert (early.status_code, early.json()["code"]) == (409, "experiment_not_assigning")
    await drafted.post(f"{HERE}/start")
    rows = "".join(f"u{i};{i},5;no;x\n" for i in range(38))
    others = "nobody;3,0;si;\nu38;;;\nu39;1,0;no;\nu39;2,0;no;\n"
    mixed = f"unit_id;revenue;churned;note\n{rows}{others}"
    answer = await drafted.post(f"{HERE}/record", content=mixed.encode("cp1252"), headers=CSV)
    said = answer.json()
    assert (said["rows"], said["new"], said["empty"], said["unread"]) == (42, 76, 2, ["note"])
    assert [(one["line"], one["unit_id"]) for one in said["refused"]] == [
        (40, "nobody"),
        (42, "u39"),
        (43, "u39"),
    ]
    assert said["n_refused"] == 3
    again = (await drafted.post(f"{HERE}/record", content=mixed.encode(), headers=CSV)).json()
    assert (again["new"], again["corrected"], again["same"]) == (0, 0, 76)
    some = [{"unit_id": unit, "values": {"revenue": 9}} for unit in ("u38", "u0", "ghost")]
    spanish = {"accept-language": "es"}
    told = await drafted.post(f"{HERE}/record", json={"outcomes": some}, headers=spanish)
    assert (told.json()["new"], told.json()["corrected"]) == (1, 1)
    (refused,) = told.json()["refused"]
    assert (refused["line"], refused["unit_id"]) == (3, "ghost")
    assert "no está en ninguna variante" in refused["reason"]
    look = (await drafted.post(f"{HERE}/look")).json()
    assert Counter({one["arm"]: one["units"] for one in look["arms"]}) == {
        "control": 30,
        "treatment": 10,
    }
    assert sum(one["labelled"] for one in look["arms"]) == 39
    replayed = (await drafted.post(f"{HERE}/replay")).json()
    assert (replayed["all_same"], replayed["log"]["same"]) == (True, True)


@pytest.mark.parametrize(
    ("body", "params", "status", "code"),
    [
        ("unit_id;b\nu1;x\nu1;y\n;z\n", {}, 422, "unusable_units"),
        ("name;b\nu1;x\nu2;y\n", {}, 422, "invalid_experiment"),
        ("unit_id;b\nu1;x\nu2;y;z\n", {}, 422, "ragged_row"),
        ("unit_id;b\nu1;x\n", {}, 422, "invalid_experiment"),  # one arm stays empty
        ("", {}, 422, "empty_table"),
        ("unit_id;b\nu1;x\nu2;y\n", {"seed": -1}, 422, "invalid_parameters"),
        ("unit_id;b\nu1;x\nu2;y\n", {"colour": "red"}, 422, "invalid_parameters"),
        ({"units": [{"unit_id": "u1"}]}, {}, 422, "invalid_parameters"),
        ({"units": [{"unit_id": "u\0"}, {"unit_id": "u2"}]}, {}, 422, "invalid_parameters"),
        (b'{"units": [', {}, 400, "malformed_body"),
        (b"\xff\xfe", {}, 400, "malformed_body"),
    ],
)
async def test_what_cannot_be_assigned_is_refused_and_nothing_of_it_stays(
    app: world.LocalApp,
    drafted: httpx.AsyncClient,
    body: Any,
    params: dict[str, Any],
    status: int,
    code: str,
) -> None:
    sent: dict[str, Any] = {"json": body}
    if isinstance(body, str):
        sent = {"content": body.encode(), "headers": CSV}
    elif isinstance(body, bytes):
        sent = {"content": body, "headers": {"content-type": "application/json"}}
    refused = await drafted.post(f"{HERE}/units", params=params, **sent)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
    assert "/tmp" not in refused.text
    with app.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(experiment_members)) == 0


async def test_a_list_is_drawn_once_and_before_the_start(
    app: world.LocalApp, drafted: httpx.AsyncClient
) -> None:
    empty = await drafted.get(f"{HERE}/units", headers={"accept": "text/csv"})
    assert (empty.status_code, empty.json()["code"]) == (404, "experiment_has_no_list")
    units = {"units": [{"unit_id": f"u{i}"} for i in range(8)]}
    assert (await drafted.post(f"{HERE}/units", json=units)).status_code == 200
    again = await drafted.post(f"{HERE}/units", json=units)
    assert (again.status_code, again.json()["code"]) == (409, "experiment_has_list")
    wish = WISH | {"name": "running"}
    await drafted.post(
        "/v1/models/dispatch/experiments",
        json=wish | {"control": "external", "treatment": "external"},
    )
    await drafted.post("/v1/experiments/running/start")
    late = await drafted.post("/v1/experiments/running/units", json=units)
    assert (late.status_code, late.json()["code"]) == (409, "experiment_not_draft")
    unknown = await drafted.post("/v1/experiments/none/units", content=b"x" * 999, headers=CSV)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_experiment")


async def test_a_file_may_be_larger_than_a_body_but_not_than_a_file(tmp_path: Path) -> None:
    async def pieces(n: int) -> AsyncIterator[bytes]:
        yield b"unit_id,revenue\n"
        for place in range(n):
            yield b"".join(b"u%d,1\n" % (place * 1000 + i) for i in range(1000))

    app = world.open_world(f"sqlite:///{tmp_path / 't.db'}", max_body_kb=4, max_file_mb=1)
    world.declare(app, "dispatch")
    app.policies["dispatch"] = Policy()
    app.create_experiment("dispatch", Wish(**WISH), who="ana")
    try:
        async with client_of(app) as client:
            long = await client.post(f"{HERE}/units", json={"units": [{"unit_id": "u" * 5000}]})
            assert (long.status_code, long.json()["code"]) == (413, "body_too_large")
            assert "max_body_kb" in long.json()["remedy"]
            large = await client.post(f"{HERE}/units", content=pieces(200), headers=CSV)
            assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
            assert "max_file_mb" in large.json()["remedy"]
            fits = await client.post(f"{HERE}/units", content=pieces(5), headers=CSV)
            assert fits.json()["design"]["listed"]["counts"] == [3750, 1250]
            elsewhere = await client.post(f"{HERE}/start", content=b"a,b\n", headers=CSV)
            assert (elsewhere.status_code, elsewhere.json()["code"]) == (
                415,
                "unsupported_media_type",
            )
    finally:
        app.engine.dispose()


async def test_a_template_over_http_is_what_it_is_by_the_command(
    app: world.LocalApp, drafted: httpx.AsyncClient, tmp_path: Path
) -> None:
    create = "/v1/models/dispatch/experiments"
    wish = {"name": "alert", "template": "churn-alert", "horizon_days": 60}
    wrong = await drafted.post(create, json=wish | {"horizon_days": 45})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_experiment")
    assert "horizon is 45, expected 30, 60, 90" in wrong.json()["detail"]
    unknown = await drafted.post(create, json=wish | {"template": "prices"})
    assert "expected dynamic-prices, churn-alert" in unknown.json()["detail"]
    made = await drafted.post(create, json=wish)
    assert (made.status_code, made.json()["awaits_units"]) == (201, True), made.text
    early = await drafted.post("/v1/experiments/alert/start")
    assert (early.status_code, early.json()["code"]) == (409, "experiment_awaits_units")

    rows = "unit_id;riesgo\n" + "".join(f"r{i};{i / 200:.3f}\n" for i in range(200))
    body = rows.replace(".", ",").encode("cp1252")
    query: dict[str, str | int] = {"seed": 4, "source": "riesgo.csv"}
    units = "/v1/experiments/alert/units"
    bare = await drafted.post(units, params=query, content=body, headers=CSV)
    assert (bare.status_code, bare.json()["code"]) == (422, "invalid_experiment")
    assert "covariate is -, expected the column of each customer's risk" in bare.json()["detail"]
    asked: dict[str, str | int] = query | {"covariate": "riesgo"}
    holed = body.replace(b"r7;0,035", b"r7;")
    hole = await drafted.post(units, params=asked, content=holed, headers=CSV)
    assert (hole.status_code, hole.json()["code"]) == (422, "unusable_units")
    assert "line 9: no riesgo" in hole.json()["detail"]
    listed = (await drafted.post(units, params=asked, content=body, headers=CSV)).json()
    assert listed["awaits_units"] is False
    assert (await drafted.post("/v1/experiments/alert/start")).status_code == 200

    (tmp_path / "riesgo.csv").write_bytes(body)
    file = UnitFile(path=tmp_path / "riesgo.csv", seed=4, covariate="riesgo")
    by_command = app.create_experiment(
        "dispatch",
        Wish(name="alert2", template="churn-alert", horizon_days=60),
        who="ana",
        units=file,
    )
    document = json.loads(json.dumps(design_document(by_command.design)))
    assert document == listed["design"] | {
        "name": "alert2",
        "salt": by_command.design.salt,
    }


async def test_covariates_come_with_json_for_every_unit_or_none(
    drafted: httpx.AsyncClient,
) -> None:
    create = "/v1/models/dispatch/experiments"
    made = await drafted.post(create, json={"name": "prices", "template": "dynamic-prices"})
    assert made.status_code == 201, made.text
    units = [{"unit_id": f"u{i}", "covariate": i * 1.5} for i in range(500)]
    there = "/v1/experiments/prices/units"
    some = await drafted.post(there, json={"units": [*units[:7], {"unit_id": "x"}, *units[7:]]})
    assert (some.status_code, some.json()["code"]) == (422, "unusable_units")
    assert "line 8: no covariate" in some.json()["detail"]
    ignored = await drafted.post(there, params={"covariate": "spent"}, json={"units": units})
    assert (ignored.status_code, ignored.json()["code"]) == (422, "invalid_parameters")
    few = await drafted.post(there, json={"units": units[:300]})
    assert "200 units or more in the control" in few.json()["detail"]
    listed = await drafted.post(there, params={"seed": 1}, json={"units": units})
    assert listed.json()["design"]["listed"]["covariate"] == "covariate"
    assert (await drafted.post("/v1/experiments/prices/start")).status_code == 200


async def test_a_list_beside_what_it_cannot_honour_is_refused(
    drafted: httpx.AsyncClient,
) -> None:
    wish = WISH | {"name": "vips", "only": ["tier == 1"]}
    await drafted.post("/v1/models/dispatch/experiments", json=wish)
    units = {"units": [{"unit_id": f"u{i}"} for i in range(8)]}
    refused = await drafted.post("/v1/experiments/vips/units", json=units)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_experiment")
    assert "only" in refused.json()["detail"]
