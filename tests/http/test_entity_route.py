"""``POST /v1/models/{model}/predict/{entity}``: rows found in a database of the user's."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.http.protocols import predictions, refusals, serving

from timonel.registry.manifest import LookupPlan, OutcomePlan
from timonel.serving.config import WorkerConfig
from timonel.serving.lookups import databases, lookup
from timonel.testing.builders import open_registry
from timonel.testing.serving import ServingWorld, declared_manifest, linear_manifest

CUSTOMERS = """
create table customers (id integer primary key, visits numeric, calls integer, port varchar(20),
                        open integer, seen_at varchar(30))
"""
ROWS = [
    (7, 3.5, 2, "Arica", 1, "2026-01-01T00:00:00+00:00"),
    (8, 0, 5, "quintero", 0, "2026-01-01T00:00:00+00:00"),
    (9, None, 1, "Arica", None, "2026-01-01T00:00:00+00:00"),
    (10, 999, 1, "Arica", None, "2026-01-01T00:00:00+00:00"),
    (11, 2, 100, "Arica", None, "2026-01-01T00:00:00+00:00"),
]
QUERY = "select visits, calls, port, open from customers where id = :id"
SLOW = (
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000000) "
    "select max(i) as visits from n where :id <> ''"
)


def fill(url: str, rows: list[tuple[Any, ...]]) -> None:
    """Make the user's own table, with the user's own driver."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.execute(CUSTOMERS)
            connection.executemany("insert into customers values (?, ?, ?, ?, ?, ?)", rows)
            connection.commit()
        return
    with psycopg.connect(url.replace("+psycopg", "")) as opened:
        opened.execute(CUSTOMERS)
        with opened.cursor() as cursor:
            cursor.executemany("insert into customers values (%s, %s, %s, %s, %s, %s)", rows)


def count(url: str) -> int:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return int(connection.execute("select count(*) from customers").fetchone()[0])


class Crm(ServingWorld):
    """A served project, and the database of customers beside it."""

    url: str

    def look_up(self, model: str, **changes: Any) -> None:
        """Declare how rows are found."""
        values: dict[str, Any] = {
            "query": QUERY,
            "url": self.url,
            "max_age_s": 3600.0,
            "deadline_ms": 2000.0,
        }
        plan = LookupPlan(**values | changes)
        self.registry.declare(declared_manifest(model, lookup=plan, outcome=OutcomePlan(key="rut")))


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[Crm]:
    url = f"sqlite:///{tmp_path / 'timonel.db'}"
    with open_registry(url) as (_, registry):
        world = Crm(tmp_path, url, registry)
        world.url = f"sqlite:///{tmp_path / 'crm.db'}"
        yield world


@pytest.fixture
def config(crm: Crm, tmp_path: Path) -> WorkerConfig:
    fill(crm.url, ROWS)
    crm.promote(linear_manifest())
    return crm.config(spool=tmp_path / "spool", slot=tmp_path / "metrics")


def path(entity: object, model: str = "churn") -> str:
    return f"/v1/models/{model}/predict/{entity}"


async def test_rows_are_found_in_either_database(database: str, crm: Crm, tmp_path: Path) -> None:
    crm.url = database
    fill(database, ROWS)
    crm.promote(linear_manifest())
    crm.look_up("churn", query=QUERY.replace("calls,", "calls, '%' as pct, ':no' as colon,"))
    config = crm.config(spool=tmp_path / "spool", slot=tmp_path / "metrics")
    async with serving(config) as (_, client):
        whole = {"visits": 3.5, "calls": 2, "port": "Arica", "open": True}
        sent = (await client.post("/v1/models/churn/predict", json={"inputs": whole})).json()
        found = (await client.post(path(7))).json()
        other = (await client.post(path(8))).json()
        nobody = (await client.post(path("abc"))).json()
    assert "data_age_s" not in sent
    assert found["data_age_s"] >= 0
    assert (found["source"], found["score"]) == ("model", sent["score"])
    assert (other["source"], other["score"] > found["score"]) == ("model", True)
    assert (nobody["source"], nobody["reason"]) == ("rules", "lookup_absent")
    logged = predictions(config)
    assert [frame.features for frame in logged[:2]] == [logged[0].features] * 2
    assert [frame.key for frame in logged] == [None, "7", "8", "abc"]
    assert [frame.unit for frame in logged] == [None, "7", "8", "abc"]
    assert logged[1].data_age_ms is not None
    assert logged[3].data_age_ms is None


@pytest.mark.parametrize(
    "entity",
    ["7 or 1=1", "7; drop table customers", "7' or '1'='1", "7--", '7"', "%s", "%(id)s", ":id"],
)
async def test_an_entity_is_only_ever_a_value(crm: Crm, config: WorkerConfig, entity: str) -> None:
    crm.look_up("churn")
    async with serving(config) as (_, client):
        reply = (await client.post("/v1/models/churn/predict/" + entity)).json()
    assert reply["reason"] == "lookup_absent"
    assert predictions(config)[0].key == entity
    assert count(crm.url) == len(ROWS)


async def test_what_the_body_gives_overrides(crm: Crm, config: WorkerConfig) -> None:
    crm.look_up("churn")
    async with serving(config) as (_, client):
        plain = (await client.post(path(7))).json()
        over = await client.post(
            path(7), json={"inputs": {"visits": 0, "rut": "1-9"}, "unit_id": "store-3"}
        )
        wrong = await client.post(path(7), json={"inputs": {"visits": -1, "strange": 1}})
        form = await client.post(path(7), json={"rows": []})
        many = await client.post(path(7), json={"inputs": [{"visits": 0}]})
        twice = await client.post(path(7), content=b'{"inputs": {"visits": 1, "visits": 2}}')
    assert over.json()["score"] > plain["score"]
    frame = predictions(config)[1]
    assert (frame.key, frame.unit) == ("1-9", "store-3")
    assert b'"visits":0.0' in frame.features
    assert b'"port":"Arica"' in frame.features
    faults = [(one["field"], one["code"]) for one in wrong.json()["errors"]]
    assert faults == [("visits", "out_of_range"), ("strange", "unknown_field")]
    assert [r.status_code for r in (wrong, form, many, twice)] == [422] * 4
    assert len(refusals(config)) == 4


async def test_a_whole_row_needs_no_look_up(crm: Crm, config: WorkerConfig) -> None:
    crm.look_up("churn", url="env:NO_SUCH_VARIABLE")
    inputs = {"visits": 1, "calls": 1, "port": "Arica", "open": None, "since": None}
    async with serving(config) as (_, client):
        whole = (await client.post(path(7), json={"inputs": inputs})).json()
        short = (await client.post(path(7), json={"inputs": {"visits": 0}})).json()
    assert whole["source"] == "model"
    # the rules see what there is
    assert (short["source"], short["reason"]) == ("rules", "lookup_failed")


@pytest.mark.parametrize(
    ("entity", "query", "reason"),
    [
        (9, QUERY, "lookup_failed"),  # a required value is NULL
        (10, QUERY, "lookup_failed"),  # a value outside the schema's range
        (7, QUERY + " or true", "lookup_failed"),  # several rows
        (7, "select * from nowhere where id = :id", "lookup_failed"),
        (7, "delete from customers where id = :id", "lookup_failed"),
        (7, QUERY.replace("open", "seen_at as as_of"), "lookup_stale"),
        (7, QUERY.replace("open", "'yesterday' as as_of"), "lookup_failed"),
        (404, QUERY, "lookup_absent"),
    ],
)
async def test_rules_answer_where_no_row_can_be_used(
    crm: Crm, config: WorkerConfig, entity: int, query: str, reason: str
) -> None:
    crm.look_up("churn", query=query)
    async with serving(config) as (_, client):
        reply = await client.post(path(entity))
        given = await client.post(path(9), json={"inputs": {"visits": 0}})
        metrics = (await client.get("/metrics")).text
    answer = reply.json()
    assert (reply.status_code, answer["reason"]) == (200, reason)
    assert answer["source"] in ("rules", "baseline")
    assert f'reason="{reason}"' in metrics
    assert count(crm.url) == len(ROWS)
    assert ("data_age_s" in answer) == (reason == "lookup_stale")
    if query == QUERY:  # what is NULL there may be given here
        assert given.json()["source"] == "model"


async def test_what_neither_gives_is_asked_of_the_client(crm: Crm, config: WorkerConfig) -> None:
    crm.look_up("churn", query="select visits, port from customers where id = :id")
    async with serving(config) as (_, client):
        missing = await client.post(path(7))
        given = await client.post(path(7), json={"inputs": {"calls": 2}})
    assert missing.status_code == 422
    assert [one["field"] for one in missing.json()["errors"]] == ["calls"]
    assert given.json()["source"] == "model"


async def test_a_row_is_kept_until_it_is_too_old(crm: Crm, config: WorkerConfig) -> None:
    crm.look_up("churn", max_age_s=0.3)
    with closing(sqlite3.connect(crm.url.removeprefix("sqlite:///"))) as users:
        async with serving(config) as (_, client):
            first = (await client.post(path(7))).json()
            users.execute("update customers set visits = 0 where id = 7")
            users.commit()
            kept = (await client.post(path(7))).json()
            until = time.monotonic() + 60
            fresh = kept
            while fresh["score"] == kept["score"] and time.monotonic() < until:
                await asyncio.sleep(0.05)
                fresh = (await client.post(path(7))).json()
    assert kept["data_age_s"] < 0.3 or kept["score"] != first["score"]
    assert fresh["score"] > first["score"]
    assert all(f.data_age_ms is not None and f.data_age_ms <= 300 for f in predictions(config))


async def test_a_late_look_up_is_answered_by_the_rules_in_time(
    crm: Crm, config: WorkerConfig
) -> None:
    crm.look_up("churn", query=SLOW, deadline_ms=50.0)
    async with serving(config) as (_, client):
        replies = await asyncio.gather(
            *(client.post(path(n), json={"inputs": {"visits": 0}}) for n in range(3)),
            client.post(
                "/v1/models/churn/predict",
                json={"inputs": {"visits": 0, "calls": 1, "port": "Arica"}},
            ),
        )
    answers = [reply.json() for reply in replies]
    assert [a["reason"] for a in answers[:3]] == ["lookup_late"] * 3
    assert answers[3]["source"] == "model"


class Gate:
    """A reader that waits until it is let go, and counts."""

    def __init__(self) -> None:
        self.read_n = 0

    def read(self, entity: str, limit_s: float) -> databases.Rows:
        self.read_n += 1
        time.sleep(0.05)
        return [{"visits": float(entity), "calls": 0, "port": "Arica"}]

    def close(self) -> None:
        """Nothing is held."""


async def test_requests_for_one_entity_share_a_read_and_rows_keep_apart(
    crm: Crm, config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    monkeypatch.setattr(lookup, "open_reader", lambda plan, environment: gate)
    crm.look_up("churn")
    async with serving(config) as (_, client):
        wanted = [n % 10 for n in range(100)]
        replies = await asyncio.gather(*(client.post(path(n)) for n in wanted))
    assert gate.read_n == 10
    scores = {n: r.json()["score"] for n, r in zip(wanted, replies, strict=True)}
    for n, reply in zip(wanted, replies, strict=True):
        assert reply.json()["score"] == scores[n]
    assert len(set(scores.values())) == 10
    for frame in predictions(config):
        assert f'"visits":{frame.key}.0'.encode() in frame.features


async def test_a_database_that_fails_is_left_alone_for_a_while(
    crm: Crm, config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Down(Gate):
        def read(self, entity: str, limit_s: float) -> databases.Rows:
            self.read_n += 1
            raise sqlite3.OperationalError("disk I/O error")

    down = Down()
    monkeypatch.setattr(lookup, "open_reader", lambda plan, environment: down)
    crm.look_up("churn")
    async with serving(config) as (_, client):
        for n in range(20):
            reply = await client.post(path(n), json={"inputs": {"visits": 0}})
            assert reply.json()["reason"] == "lookup_failed"
    assert down.read_n == 5


@pytest.mark.parametrize(
    ("method", "where", "status", "code"),
    [
        ("POST", "/v1/models/plain/predict/7", 404, "no_lookup"),
        ("POST", "/v1/models/nobody/predict/7", 404, "unknown_model"),
        ("GET", "/v1/models/churn/predict/7", 405, "method_not_allowed"),
        ("POST", "/v1/models/churn/predict/", 404, "route_not_here"),
        ("POST", "/v1/models/churn/predict/" + "x" * 300, 422, "invalid_request"),
        ("POST", "/v1/models/churn/predict/%00", 422, "invalid_request"),
    ],
)
async def test_refusals(
    crm: Crm, config: WorkerConfig, method: str, where: str, status: int, code: str
) -> None:
    crm.look_up("churn")
    crm.registry.declare(declared_manifest("plain"))
    async with serving(config) as (_, client):
        reply = await client.request(method, where)
    assert (reply.status_code, reply.json()["code"]) == (status, code)
