"""MLflow's scoring protocol over ASGI: its four JSON forms, CSV, and its form of errors."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.http import protocols

from timonel.serving.config import WorkerConfig
from timonel.testing.builders import open_registry
from timonel.testing.serving import ServingWorld, declared_manifest, linear_manifest

INVOKE = "/invocations/churn"
ROWS = [
    {"visits": 3.5, "calls": 2, "port": "Arica"},
    {"visits": 0.5, "calls": 2, "port": "quintero"},
]
NAMES = ["visits", "calls", "port"]
CSV = {"Content-Type": "text/csv"}
SPLIT = {"columns": NAMES, "data": [[row[name] for name in NAMES] for row in ROWS]}
COLUMNS = {name: [row[name] for row in ROWS] for name in NAMES}
TABLE = "visits,calls,port\n3.5,2,Arica\n0.5,2,quintero\n"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingWorld]:
    folder = tmp_path_factory.mktemp("world")
    url = f"sqlite:///{folder / 'timonel.db'}"
    with open_registry(url) as (_, registry):
        yield protocols.open_world(folder, url, registry)


@pytest.fixture
def config(base: ServingWorld, tmp_path: Path) -> WorkerConfig:
    return base.config(spool=tmp_path / "spool", slot=tmp_path / "metrics")


@pytest.fixture
async def client(config: WorkerConfig) -> AsyncIterator[httpx.AsyncClient]:
    async with protocols.serving(config) as (_, client):
        yield client


def refused(response: httpx.Response, status: int, code: str, *parts: str) -> None:
    document = response.json()
    assert response.headers["content-type"] == "application/json"
    assert sorted(document) == ["error_code", "message"], document
    assert (response.status_code, document["error_code"]) == (status, code), document
    for part in parts:
        assert part in document["message"], document["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": SPLIT},
        {"dataframe_split": SPLIT | {"index": [7, 8]}, "params": {"unit_id": "u1"}},
        {"dataframe_records": ROWS},
        {"inputs": COLUMNS},
        {"inputs": {name: [[one] for one in column] for name, column in COLUMNS.items()}},
        {"inputs": ROWS},
        {"instances": ROWS},
        {"instances": [[*row.values(), None, None] for row in ROWS]},
        {"inputs": [[*row.values(), True, "2026-03-01"] for row in ROWS], "params": None},
    ],
)
async def test_each_form_gives_the_same_predictions(
    client: httpx.AsyncClient, config: WorkerConfig, body: dict[str, Any]
) -> None:
    response = await client.post(INVOKE, json=body)
    assert response.status_code == 200, response.text
    document = response.json()
    assert document["predictions"] == [0, 1]
    assert [one["source"] for one in document["details"]] == ["model", "model"]
    assert document["model"] == "churn"
    logged = protocols.predictions(config)
    assert [json.loads(frame.features)["visits"] for frame in logged] == [3.5, 0.5]
    assert [json.loads(frame.features)["port"] for frame in logged] == ["Arica", "Quintero"]
    unit = "u1" if body.get("params") else None
    assert {frame.unit for frame in logged} == {unit}


@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        TABLE.replace("\n", "\r\n"),
        "\ufeff" + TABLE,
        ",visits,calls,port\n0,3.5,2,Arica\n1,0.5,2.0,quintero\n",  # with pandas' index
        "port,calls,visits,open,since,rut\nArica,2,3.5,,,1-9\n\nquintero,2,.5,si,2026-03-01,\n",
        '"visits","calls","port"\n"3.5","2","Arica"\n0.5,2,"quintero"',
    ],
)
async def test_csv_as_pandas_writes_it(client: httpx.AsyncClient, table: str) -> None:
    response = await client.post(INVOKE, content=table.encode(), headers=CSV)
    assert response.status_code == 200, response.text
    assert response.json()["predictions"] == [0, 1]


async def test_missing_values_as_pandas_writes_them(
    client: httpx.AsyncClient, config: WorkerConfig
) -> None:
    rows = [ROWS[0] | {"open": None}, ROWS[1] | {"open": float("nan"), "since": None}]
    response = await client.post(INVOKE, content=json.dumps({"dataframe_records": rows}).encode())
    assert response.json()["predictions"] == [0, 1]
    assert {json.loads(frame.features)["open"] for frame in protocols.predictions(config)} == {None}
    for missing in ("null", "NaN"):
        body = f'{{"inputs": {{"visits": [{missing}], "calls": [2], "port": ["Arica"]}}}}'
        answer = await client.post(INVOKE, content=body.encode())
        refused(answer, 400, "INVALID_PARAMETER_VALUE", "visits", missing)
    empty = TABLE.replace("3.5", "")
    answer = await client.post(INVOKE, content=empty.encode(), headers=CSV)
    refused(answer, 400, "INVALID_PARAMETER_VALUE", "visits")


async def test_which_model_is_asked(base: ServingWorld, client: httpx.AsyncClient) -> None:
    body = {"dataframe_records": ROWS[:1]}
    by_query = await client.post("/invocations?model=ruled", json=body)
    assert by_query.json()["details"][0]["source"] == "rules"
    assert (await client.post("/invocations/ruled", json=body)).json()["model"] == "ruled"
    refused(
        await client.post("/invocations", json=body),
        400, "INVALID_PARAMETER_VALUE", "bare, churn, ruled",
    )  # fmt: skip
    both = await client.post("/invocations/churn?model=ruled", json=body)
    refused(both, 400, "INVALID_PARAMETER_VALUE", "churn, ruled")
    unknown = await client.post("/invocations/nobody", json=body)
    refused(unknown, 404, "RESOURCE_DOES_NOT_EXIST", "nobody", "churn")
    old = (await client.post("/invocations/churn?version=1.0.0", json=body)).json()
    assert old["details"][0]["version"] == "1.0.0"
    gone = await client.post("/invocations/churn?version=7.0.0", json=body)
    refused(gone, 404, "RESOURCE_DOES_NOT_EXIST", "7.0.0", "1.0.1")


async def test_the_only_model_needs_no_name(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'timonel.db'}"
    with open_registry(url) as (_, registry):
        world = ServingWorld(tmp_path, url, registry)
        registry.declare(declared_manifest())
        world.promote(linear_manifest())
        async with protocols.serving(world.config()) as (_, client):
            response = await client.post("/invocations", json={"instances": ROWS})
            assert response.json()["predictions"] == [0, 1]


async def test_ping_and_version(client: httpx.AsyncClient, config: WorkerConfig) -> None:
    ping = await client.get("/ping")
    assert (ping.status_code, ping.content) == (200, b"\n")
    version = await client.get("/version")
    assert version.status_code == 200
    assert version.text[0].isdigit()
    async with protocols.serving(config) as (app, stopped):
        await app.stop()
        refused(await stopped.get("/ping"), 503, "TEMPORARILY_UNAVAILABLE", "stopping")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"{", "JSON"),
        (b"[1]", "a list of 1"),
        (b"{}", "exactly one of"),
        (b'{"params": {}}', "exactly one of"),
        (b'{"inputs": [], "instances": []}', "inputs, instances"),
        (b'{"inputs": [], "inputs": []}', "once"),
        (b'{"instances": [], "extra": 1}', "extra"),
        (b'{"instances": []}', "0 rows"),
        (b'{"instances": 3}', "instances"),
        (b'{"instances": null}', "nothing"),
        (b'{"instances": [1, 2]}', "[1].inputs"),
        (b'{"instances": [[1, 2], [1]]}', "instances[0]"),
        (b'{"instances": [[1], {}]}', "a list of 1"),
        (b'{"instances": [{}], "params": 3}', "params"),
        (b'{"instances": [{}], "params": {"temperature": 3}}', "temperature"),
        (b'{"instances": [{}], "params": {"unit_id": []}}', "unit_id"),
        (b'{"inputs": {}}', "0 rows"),
        (b'{"inputs": {"visits": 3}}', "inputs.visits"),
        (b'{"inputs": {"visits": [1, 2], "calls": [1]}}', "inputs.calls"),
        (b'{"inputs": {"visits": [1], "visits": [1]}}', "once"),
        (b'{"dataframe_split": [1]}', "dataframe_split"),
        (b'{"dataframe_split": {"data": [[1]]}}', "columns"),
        (b'{"dataframe_split": {"columns": [], "data": [[]]}}', "columns"),
        (b'{"dataframe_split": {"columns": ["visits"]}}', "data"),
        (b'{"dataframe_split": {"columns": [1], "data": [[1]]}}', "columns"),
        (b'{"dataframe_split": {"columns": ["calls", "calls"], "data": [[1, 2]]}}', "twice"),
        (b'{"dataframe_split": {"columns": ["calls"], "data": [[1, 2]]}}', "data[0]"),
        (b'{"dataframe_split": {"columns": ["calls"], "data": [[1]], "x": 1}}', "x"),
        (b'{"dataframe_records": [{"calls": 1}]}', "visits"),
        (b'{"dataframe_records": [{"calls": 1, "calls": 2, "visits": 1, "port": "Arica"}]}',
         "more than once"),
        (b'{"dataframe_records": [{"calls": 1, "visits": 1, "port": "Arica", "prt": 1}]}', "prt"),
    ],
)  # fmt: skip
async def test_wrong_bodies_are_refused_in_mlflows_form(
    client: httpx.AsyncClient, config: WorkerConfig, body: bytes, said: str
) -> None:
    response = await client.post(INVOKE, content=body)
    code = response.json()["error_code"]
    assert code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")
    refused(response, 400, code, said)
    assert protocols.predictions(config) == []
    assert len(protocols.refusals(config)) == 1


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (b"", "the first line"),
        (b"visits,calls,port\n", "0 rows"),
        (b"visits,calls,visits\n1,2,3\n", "twice"),
        (b"visits,calls,port\n1,2\n", "line 2"),
        (b"visits,calls,port\n1,2,Arica,4\n", "line 2"),
        (b"visits,calls,port\n1,2,Valdivia\n", "Valdivia"),
        (b"visits,calls,port\n1_0,2,Arica\n", "visits"),
        (b"visits,calls,port\ninf,2,Arica\n", "visits"),
        (b"visits;calls;port\n1;2;Arica\n", "visits"),
        (b'visits,calls,port\n1,2,"Arica\n', "line"),
        (b"visits,calls,port\n1,2,\xff\n", "UTF-8"),
        (b"visits,calls,prt\n1,2,Arica\n", "prt"),
    ],
)
async def test_wrong_tables_are_refused(
    client: httpx.AsyncClient, config: WorkerConfig, table: bytes, said: str
) -> None:
    response = await client.post(INVOKE, content=table, headers=CSV)
    refused(response, 400, "INVALID_PARAMETER_VALUE", said)
    assert protocols.predictions(config) == []


async def test_types_methods_limits_and_peers(base: ServingWorld, tmp_path: Path) -> None:
    config = base.config(
        spool=tmp_path / "spool", slot=tmp_path / "metrics", max_rows=2, max_body_bytes=4096
    )
    async with protocols.serving(config) as (_, client):
        for kind in ("application/vnd.apache.parquet", "text/csv; charset=latin-1", "text/html"):
            answer = await client.post(INVOKE, content=b"x", headers={"Content-Type": kind})
            refused(answer, 415, "BAD_REQUEST", kind, "text/csv")
        refused(await client.get(INVOKE), 405, "BAD_REQUEST", "POST")
        refused(await client.post("/invocations/a/b"), 404, "RESOURCE_DOES_NOT_EXIST")
        many = await client.post(INVOKE, json={"dataframe_records": ROWS * 2})
        refused(many, 413, "BAD_REQUEST", "4 rows")
        lines = TABLE + "1,1,Arica\n" * 100
        refused(await client.post(INVOKE, content=lines, headers=CSV), 413, "BAD_REQUEST")
        refused(await client.post(INVOKE, content=b" " * 10_000_000), 413, "BAD_REQUEST")
    async with protocols.serving(config, peer="10.0.0.9") as (_, stranger):
        refused(await stranger.post(INVOKE, json={}), 403, "PERMISSION_DENIED", "10.0.0.9")
        assert (await stranger.get("/ping")).status_code == 200
