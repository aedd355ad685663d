"""One contract for raw and control routes, held against a real server with two workers.

Who is answered, what they may, what is too much, and in which form that is said.
"""

import gzip
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx
import pytest
from tests.e2e.test_processes import publish, server_on

from timonel.access.book import KeyBook, Wish
from timonel.access.callers import Rate, Role, Scope
from timonel.access.routes import OPEN, ROUTES
from timonel.testing.builders import PROJECT, make_manifest, open_registry

FAR = {"x-forwarded-for": "10.0.0.8"}  # as a proxy says it: no longer a local request
ADMIN = "an-admin-key-of-the-deployment"
MAX_BODY = 16 << 10
ID = "01980000-0000-7000-8000-000000000000"
ROW = {"visits": 1.5}
TENSOR = {"name": "visits", "datatype": "FP64", "shape": [1, 1], "data": [1.5]}
RECORDS = {"dataframe_records": [ROW]}


class Route(NamedTuple):
    """A route, a good request for it, who may ask it, and the form of its errors."""

    route: str
    body: Any
    form: str  # problem, inference, mlflow
    allowed: str  # callers by their letter, see WISHES
    status: int = 200


# v viewer, p viewer with predict, x operator for another model, o operator, a admin
TABLE = [
    Route("POST /v1/models/churn/predict", {"inputs": ROW}, "problem", "poa"),
    Route(
        "POST /v1/models/churn/outcomes", {"prediction_id": ID, "value": 1}, "problem", "oa", 202
    ),
    Route("POST /v2/models/churn/infer", {"inputs": [TENSOR]}, "inference", "poa"),
    Route("GET /v2/models/churn", None, "inference", "vpoa"),
    Route("POST /v2/repository/index", {}, "inference", "vpxoa"),
    Route("POST /invocations/churn", RECORDS, "mlflow", "poa"),
    Route("POST /invocations?model=churn", RECORDS, "mlflow", "poa"),
    Route("GET /version", None, "mlflow", "vpxoa"),
    Route("GET /metrics", None, "problem", "voa"),
    Route("GET /v1/models/churn", None, "problem", "vpoa"),
    Route("GET /v1/models/churn/history", None, "problem", "voa"),
    Route("GET /v1/models/churn/predictions", None, "problem", "oa"),
    Route("GET /v1/alerts", None, "problem", "voa"),
    Route("GET /ui/", None, "problem", "voa"),
    Route("GET /docs", None, "problem", "vpxoa"),
    Route("POST /v1/models/churn/rollback", {"reason": "test"}, "problem", "oa", 409),
    Route("POST /v1/experiments/none/units", {"units": []}, "problem", "xoa", 404),
    Route("GET /v1/experiments/none/units", None, "problem", "xoa", 404),
    Route("POST /v1/experiments/none/record", {"outcomes": []}, "problem", "xoa", 404),
    Route("GET /v1/keys", None, "problem", "a"),
    Route("POST /v1/keys/nobody/revoke", {}, "problem", "a", 404),
]
RAW = [TABLE[0], TABLE[2], TABLE[5]]
CONTROL = "/v1/models/churn/rollback"
WISHES = {
    "v": Wish(name="panel"),
    "p": Wish(name="app", scopes=(Scope.PREDICT,)),
    "x": Wish(name="other", role=Role.OPERATOR, models=("demand",)),
    "o": Wish(name="turno", role=Role.OPERATOR),
    "a": Wish(name="jefa", role=Role.ADMIN),
    "limited": Wish(name="limited", scopes=(Scope.PREDICT,), role=Role.ADMIN, rate=Rate(40, 86400)),
}


class World(NamedTuple):
    """A server, and the secrets of its keys by letter."""

    url: str
    keys: dict[str, str]
    client: httpx.Client

    def ask(
        self, route: str, body: Any = None, key: str | None = None, **headers: str
    ) -> httpx.Response:
        """Ask from afar, by a connection of its own: any of the workers answers."""
        method, _, path = route.partition(" ")
        sent = FAR | {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["authorization"] = f"Bearer {self.keys.get(key, key)}"
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if content is not None:
            sent.setdefault("content-type", "application/json")
        return self.client.request(method, self.url + path, content=content, headers=sent)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("access")
    (folder / "timonel.toml").write_text(
        f'[project]\nname = "{PROJECT}"\ntimezone = "America/Santiago"\n'
    )
    url = f"sqlite:///{folder / 'timonel.db'}"
    settings = {
        "role": "all",
        "admin_key": ADMIN,
        "max_body_kb": MAX_BODY >> 10,
        "max_rows": 20,
        "public_url": "https://ml.example/ml",
    }
    with open_registry(url) as (engine, registry):
        publish(registry)
        registry.declare(make_manifest("demand"))
        book = KeyBook(engine, PROJECT)
        keys = {letter: book.create(wish, who="ana@taller")[1] for letter, wish in WISHES.items()}
        alone = httpx.Limits(max_keepalive_connections=0)
        with (
            server_on(folder, url, **settings) as server,
            httpx.Client(timeout=30, limits=alone) as client,
        ):
            made = World(server.url, keys, client)
            until = time.monotonic() + 240  # a busy machine takes its time
            while made.ask("GET /v1", key=ADMIN).status_code == 503:  # control starts later
                assert time.monotonic() < until
                time.sleep(0.05)
            yield made


def check(answer: httpx.Response, route: Route, status: int, code: str) -> str:
    """Hold an error against its protocol's form; give what it says to a person."""
    said = answer.json()
    # neither protocol knows 422
    assert answer.status_code == status, (route.route, answer.text)
    assert answer.headers["x-request-id"]
    if route.form == "inference":
        assert set(said) == {"error"}
        return str(said["error"])
    if route.form == "mlflow":
        assert set(said) == {"error_code", "message"}
        return str(said["message"])
    assert answer.headers["content-type"] == "application/problem+json"
    assert (said["status"], said["code"]) == (status, code)
    assert said["request_id"] == answer.headers["x-request-id"]
    assert said["remedy"]
    return str(said["detail"])


@pytest.mark.parametrize("route", TABLE, ids=lambda route: route.route)
def test_each_caller_may_what_its_key_says(world: World, route: Route) -> None:
    for letter in "vpxoa":
        answer = world.ask(route.route, route.body, letter)
        if letter in route.allowed:
            assert answer.status_code == route.status, (letter, answer.text)
        elif letter == "x" and "o" in route.allowed:
            assert "it is for demand only" in check(answer, route, 403, "model_not_granted")
        else:
            role = str(WISHES[letter].role)
            found = check(answer, route, 403, "not_granted")
            assert f"found the role {role} with the scopes" in found
    answer = world.ask(route.route, route.body, ADMIN)
    assert answer.status_code == route.status, answer.text


def test_every_route_but_the_open_ones_asks_for_a_key(world: World) -> None:
    names = {"{model}": "churn", "{version}": "1.0.0", "{id}": ID, "{name}": "n", "{file}": "f"}
    for listed, need in ROUTES.items():
        route = listed.replace("{file...}", "timonel.css")
        for name, value in names.items():
            route = route.replace(name, value)
        path = route.partition(" ")[2]
        form = "inference" if path.startswith("/v2") else "problem"
        form = "mlflow" if path.startswith(("/invocations", "/version")) else form
        asked = Route(route, None, form, "")
        answer = world.ask(route)
        if need is OPEN:
            assert answer.status_code == 200, route
            continue
        check(answer, asked, 401, "key_required")
        assert answer.headers["www-authenticate"] == "Bearer"
    # unknown paths tell a stranger nothing either
    check(world.ask("GET /v1/secrets"), Route("", None, "problem", ""), 401, "key_required")
    check(world.ask("GET /v1", key="tml_no"), Route("", None, "problem", ""), 401, "unknown_key")


def test_a_local_request_needs_no_key(world: World) -> None:
    for route in TABLE:
        method, _, path = route.route.partition(" ")
        answer = world.client.request(method, world.url + path, json=route.body)
        assert answer.status_code == route.status, route
    said = world.client.get(f"{world.url}/v1/caller").json()
    assert (said["name"], said["role"]) == ("local", "admin")


def test_a_client_cannot_say_who_it_is(world: World) -> None:
    forged = json.dumps({"name": "a", "role": "admin", "scopes": ["administer"], "models": None})
    said = world.ask("GET /v1/caller", key="v", x_timonel_caller=forged).json()
    assert said == {"name": "panel", "role": "viewer", "scopes": ["read"], "models": None}
    assert world.ask("GET /v1/keys", key="v", x_timonel_caller=forged).status_code == 403
    assert world.ask("GET /v1/keys", x_timonel_caller=forged).status_code == 401


def test_a_key_for_some_models_is_shown_those_alone(world: World) -> None:
    listed = world.ask("GET /v1/models", key="x").json()["models"]
    assert [model["name"] for model in listed] == ["demand"]
    index = world.ask("POST /v2/repository/index", {}, "x").json()
    assert {entry["name"] for entry in index} == {"demand"}
    assert len(world.ask("GET /v1/models", key="v").json()["models"]) == 2


# --- what is too much


@pytest.mark.parametrize("route", RAW, ids=lambda route: route.route)
def test_a_raw_body_has_a_bound_however_it_is_packed(world: World, route: Route) -> None:
    good = json.dumps(route.body).encode()
    bomb = gzip.compress(bytes(8 << 20))
    assert len(bomb) < MAX_BODY
    for body, encoding, status, code in (
        (good, None, 200, ""),
        (gzip.compress(good), "gzip", 200, ""),
        (good + b" " * MAX_BODY, None, 413, "body_too_large"),
        (gzip.compress(good + b" " * MAX_BODY), "gzip", 413, "body_too_large"),
        (bomb, "gzip", 413, "body_too_large"),
        (gzip.compress(good)[:-3], "gzip", 400, "malformed_body"),
        (good, "gzip", 400, "malformed_body"),
        (good, "br", 415, "unsupported_media_type"),
    ):
        packed = {} if encoding is None else {"content_encoding": encoding}
        answer = world.ask(route.route, body, "o", **packed)
        if status == 200:
            assert answer.status_code == 200, answer.text
        else:
            check(answer, route, status, code)
    key = {"authorization": f"Bearer {world.keys['o']}"}
    chunks = (b" " * 4096 for _ in range(9))  # of no declared length
    path = route.route.partition(" ")[2]
    sent = FAR | key | {"content-type": "application/json"}
    answer = world.client.post(world.url + path, content=chunks, headers=sent)
    check(answer, route, 413, "body_too_large")


def test_a_control_body_has_the_same_bound_and_is_never_packed(world: World) -> None:
    route = Route(f"POST {CONTROL}", None, "problem", "")
    good = b'{"reason": "test"}'
    large = good + b" " * MAX_BODY
    check(world.ask(route.route, large, "o"), route, 413, "body_too_large")
    packed = world.ask(route.route, gzip.compress(good), "o", content_encoding="gzip")
    check(packed, route, 415, "unsupported_media_type")
    text = world.ask(route.route, good, "o", content_type="text/plain")
    check(text, route, 415, "unsupported_media_type")


def test_rows_have_a_bound(world: World) -> None:
    many = [ROW] * 21
    tensor = TENSOR | {"shape": [21, 1], "data": [1.5] * 21}
    bodies = ({"inputs": many}, {"inputs": [tensor]}, {"dataframe_records": many})
    for route, body in zip(RAW, bodies, strict=True):
        check(world.ask(route.route, body, "o"), route, 413, "too_many_rows")


@pytest.mark.parametrize("path", ["/v2", "/v1/models"])
@pytest.mark.parametrize("ends", [True, False])
def test_a_head_has_a_bound(world: World, path: str, ends: bool) -> None:
    address = httpx.URL(world.url)
    with socket.create_connection((address.host, address.port or 80), timeout=30) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nx-long: ".encode())
        size = 70_000 if ends else 2_000_000  # one that never ends is cut too
        try:
            sock.sendall(b"a" * size + (b"\r\n\r\n" if ends else b""))
        except OSError:
            return  # refused before all of it was sent
        answer = sock.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 431 "), answer[:200]
    assert b"head_too_large" in answer


def test_a_rate_is_exact_over_the_workers(world: World) -> None:
    def ask(n: int) -> httpx.Response:
        route = RAW[n % len(RAW)]
        return world.ask(route.route, route.body, "limited")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(100)))
    assert sum(answer.status_code == 200 for answer in answers) == 40
    for n, answer in enumerate(answers):
        if answer.status_code != 200:
            said = check(answer, RAW[n % len(RAW)], 429, "rate_exceeded")
            assert "the key limited" in said
            assert 0 < int(answer.headers["retry-after"]) <= 86_400 // 40
    refused = world.ask("GET /v1", key="limited")  # forwarded routes count as well
    check(refused, Route("", None, "problem", ""), 429, "rate_exceeded")
    assert int(refused.headers["retry-after"]) > 0


# --- ids, roots, and what keys leave behind


@pytest.mark.parametrize("path", ["/v2", "/v1/models", "/v1/nothing", "/ui/"])
def test_every_answer_has_the_request_id(world: World, path: str) -> None:
    answer = world.ask(f"GET {path}", key="a", x_request_id="mine:1.a-b_c")
    assert answer.headers.get_list("x-request-id") == ["mine:1.a-b_c"]
    for insane in ("two words", "a,b", "x" * 129):
        made = world.ask(f"GET {path}", key="a", x_request_id=insane).headers["x-request-id"]
        assert made != insane
        assert made.isascii()
        assert len(made) < 64


def test_the_path_under_which_a_proxy_shows_the_server_changes_nothing(world: World) -> None:
    for route in TABLE[:6] + TABLE[9:12]:
        method, _, path = route.route.partition(" ")
        for letter in "vo":
            plain = world.ask(route.route, route.body, letter).status_code
            under = world.ask(f"{method} /ml{path}", route.body, letter).status_code
            assert under == plain, (letter, route.route)
    for path in ("/ml/v1/keys", "/ml/ml/v1/keys", "/mlx/v1/keys", "/v1/keys/", "//v1/keys"):
        assert world.ask(f"GET {path}", key="o").status_code in (403, 404), path
    assert world.ask("GET /ml/openapi.json", key="v").json()["servers"] == [{"url": "/ml"}]


def test_a_key_is_in_force_and_out_of_force_in_every_worker_at_once(world: World) -> None:
    predict = RAW[0]

    def statuses(secret: str) -> set[int]:
        with ThreadPoolExecutor(8) as pool:
            asked = pool.map(
                lambda _: world.ask(predict.route, predict.body, secret).status_code, range(32)
            )
            return set(asked)

    wish = {"name": "brief", "role": "viewer", "scopes": ["predict"], "models": ["churn"]}
    made = world.ask("POST /v1/keys", wish | {"who": "somebody else"}, "a")
    assert made.status_code == 201, made.text
    said = made.json()
    assert (said["created_by"], said["reload"]) == ("jefa", {"n_current": 2, "n_live": 2})
    assert statuses(said["key"]) == {200}
    gone = world.ask("POST /v1/keys/brief/revoke", {}, "a").json()
    assert (gone["state"], gone["revoked_by"]) == ("revoked", "jefa")
    assert gone["reload"] == {"n_current": 2, "n_live": 2}
    assert statuses(said["key"]) == {401}
    names = {key["name"] for key in world.ask("GET /v1/keys", key="a").json()["keys"]}
    assert "brief" not in names
    check(world.ask("POST /v1/keys", wish, "a"), Route("", None, "problem", ""), 409, "key_exists")


def test_histories_name_the_key(world: World) -> None:
    body = {"reason": "test", "who": "somebody else"}
    done = world.ask("POST /v1/models/churn/versions/1.0.0/archive", body, "o")
    assert done.status_code in (200, 409), done.text
    until = time.monotonic() + 120
    while True:  # last uses are told every five seconds
        keys = {key["name"]: key for key in world.ask("GET /v1/keys", key="a").json()["keys"]}
        if keys["turno"]["last_used_at"] and keys["jefa"]["last_used_at"]:
            break
        assert time.monotonic() < until
        time.sleep(0.2)
    assert keys["turno"]["created_by"] == "ana@taller"
