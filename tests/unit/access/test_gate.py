"""Who may ask: local requests, keys with their roles, scopes and models, and pages of others."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from time import time

import pytest

from timonel.access.callers import (
    ADMIN_KEY,
    LOCAL,
    Caller,
    Key,
    Rate,
    Role,
    Scope,
    digest_of,
    scopes_of,
)
from timonel.access.errors import InvalidKey
from timonel.access.gate import Asked, Gate
from timonel.access.routes import OPEN, ROUTES, Subject, below_root, find
from timonel.access.usage import KeyUsage
from timonel.errors import TimonelError

KEY = "s3cret"
HASH = sha256(KEY.encode()).hexdigest()
LOCAL_HOST = {b"host": b"127.0.0.1:8000"}
USAGE = KeyUsage(Path("/nowhere"))  # opened by the first key that is used


def code(
    *,
    peer: str | None = "127.0.0.1",
    headers: Mapping[bytes, bytes] = LOCAL_HOST,
    method: str = "POST",
    path: str = "/v1/models/churn/predict",
    key: str | None = HASH,
) -> str | None:
    gate = Gate(dict, admin_sha256=key, usage=USAGE)
    try:
        gate.admit(Asked(method, path, peer, headers))
    except TimonelError as error:
        return error.code
    return None


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:1", b"127.0.0.1:80", b"[::1]:8000"])
@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("key", [None, HASH])
def test_a_plainly_local_request_needs_no_key(host: bytes, peer: str, key: str | None) -> None:
    assert code(peer=peer, headers={b"host": host}, key=key) is None


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("10.0.0.8", LOCAL_HOST),
        (None, LOCAL_HOST),
        ("::ffff:10.0.0.8", LOCAL_HOST),
        ("127.0.0.1", {b"host": b"evil.example"}),
        ("127.0.0.1", {b"host": b"127.0.0.1.evil.example"}),
        ("127.0.0.1", {b"host": b"localhost.evil.example:80"}),
        ("127.0.0.1", {}),
        ("127.0.0.1", LOCAL_HOST | {b"x-forwarded-for": b"127.0.0.1"}),
        ("127.0.0.1", LOCAL_HOST | {b"x-forwarded-host": b"x"}),
        ("127.0.0.1", LOCAL_HOST | {b"forwarded": b"for=127.0.0.1"}),
    ],
)
def test_any_other_needs_the_key(peer: str | None, headers: dict[bytes, bytes]) -> None:
    shown = {b"authorization": b"Bearer " + KEY.encode()}
    wrong = {b"authorization": b"Bearer " + KEY.encode() + b"x"}
    assert code(peer=peer, headers=headers) == "key_required"
    assert code(peer=peer, headers=headers | wrong) == "unknown_key"
    assert code(peer=peer, headers=headers | shown) is None
    assert code(peer=peer, headers=headers, key=None) == "no_key_set"
    assert code(peer=peer, headers=headers | shown, key=None) == "no_key_set"


@pytest.mark.parametrize("header", [b"Basic czNjcmV0", b"s3cret", b"Bearer", b"Bearer  "])
def test_another_scheme_is_no_key(header: bytes) -> None:
    assert code(peer="10.0.0.8", headers=LOCAL_HOST | {b"authorization": header}) in (
        "key_required",
        "unknown_key",
    )


def test_a_wrong_key_is_refused_though_the_request_is_local() -> None:
    assert code(headers=LOCAL_HOST | {b"authorization": b"Bearer no"}) == "unknown_key"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/ping", "/v2/health/ready"])
def test_liveness_and_readiness_are_open(path: str) -> None:
    assert code(peer="10.0.0.8", headers={}, method="GET", path=path, key=None) is None


@pytest.mark.parametrize(
    ("origin", "method", "expected"),
    [
        (b"http://evil.example", "POST", "foreign_origin"),
        (b"null", "POST", "foreign_origin"),
        (b"http://127.0.0.1:9000", "POST", "foreign_origin"),
        (b"http://evil.example", "DELETE", "foreign_origin"),
        (b"http://127.0.0.1:8000", "POST", None),
        (b"http://evil.example", "GET", None),
    ],
)
def test_pages_of_other_sites_change_nothing(
    origin: bytes, method: str, expected: str | None
) -> None:
    assert code(headers=LOCAL_HOST | {b"origin": origin}, method=method) == expected


def test_with_a_key_the_origin_does_not_matter() -> None:
    headers = LOCAL_HOST | {b"origin": b"http://a.example", b"authorization": b"bearer s3cret"}
    assert code(headers=headers) is None


# --- keys


class Ringed:
    """A gate with some keys, asked from elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.keys: dict[bytes, Key] = {}
        self.usage = KeyUsage(folder / "keys")
        self.gate = Gate(lambda: self.keys, admin_sha256=HASH, usage=self.usage)

    def add(
        self,
        name: str,
        role: Role = Role.VIEWER,
        *scopes: Scope,
        models: tuple[str, ...] = (),
        expires_at_s: float | None = None,
        rate: Rate | None = None,
    ) -> None:
        digest = digest_of(name.encode())
        caller = Caller(name, role, scopes_of(role, scopes), frozenset(models) or None)
        self.keys[digest] = Key(caller, digest, expires_at_s, rate)

    def ask(self, name: str, route: str) -> Caller | None:
        method, _, path = route.partition(" ")
        headers = {b"authorization": b"Bearer " + name.encode()}
        return self.gate.admit(Asked(method, path, "10.0.0.8", headers))

    def code(self, name: str, route: str) -> str | None:
        try:
            self.ask(name, route)
        except TimonelError as error:
            return error.code
        return None


@pytest.fixture
def ringed(tmp_path: Path) -> Ringed:
    return Ringed(tmp_path)


PREDICT = "POST /v1/models/churn/predict"
DRIFT = "GET /v1/models/churn/drift"
LOGGED = "GET /v1/models/churn/predictions"
PROMOTE = "POST /v1/models/churn/versions/1.0.0/promote"
KEYS = "POST /v1/keys"


@pytest.mark.parametrize(
    ("role", "scopes", "allowed"),
    [
        (Role.VIEWER, (), {DRIFT}),
        (Role.VIEWER, (Scope.PREDICT,), {PREDICT}),
        (Role.VIEWER, (Scope.READ, Scope.RECORDS), {DRIFT, LOGGED}),
        (Role.OPERATOR, (), {DRIFT, LOGGED, PREDICT, PROMOTE}),
        (Role.OPERATOR, (Scope.OPERATE,), {PROMOTE}),
        (Role.ADMIN, (), {DRIFT, LOGGED, PREDICT, PROMOTE, KEYS}),
        (Role.ADMIN, (Scope.ADMINISTER,), {KEYS}),
    ],
)
def test_a_key_may_what_its_role_and_scopes_say(
    ringed: Ringed, role: Role, scopes: tuple[Scope, ...], allowed: set[str]
) -> None:
    ringed.add("k", role, *scopes)
    for route in (DRIFT, LOGGED, PREDICT, PROMOTE, KEYS):
        assert ringed.code("k", route) == (None if route in allowed else "not_granted"), route


def test_a_refusal_says_what_was_found_and_expected(ringed: Ringed) -> None:
    ringed.add("panel")
    with pytest.raises(TimonelError) as refused:
        ringed.ask("panel", PROMOTE)
    assert refused.value.context == {
        "method": "POST",
        "path": "/v1/models/churn/versions/1.0.0/promote",
        "key": "panel",
        "role": "viewer",
        "scopes": "read",
        "scope": "operate",
        "expected_role": "operator",
        "least_role": "operator",
    }
    assert "timonel key create NAME --role operator --scope operate" in refused.value.remedy()


def test_a_scope_above_the_role_is_refused_when_the_key_is_made() -> None:
    with pytest.raises(InvalidKey, match="expected the role admin for the scope administer"):
        scopes_of(Role.OPERATOR, [Scope.PREDICT, Scope.ADMINISTER])


def test_a_key_for_some_models_sees_no_other(ringed: Ringed) -> None:
    ringed.add("app", Role.OPERATOR, models=("churn",))
    assert ringed.code("app", PREDICT) is None
    assert ringed.code("app", PREDICT.replace("churn", "demand")) == "model_not_granted"
    assert ringed.code("app", "POST /v2/models/demand/infer") == "model_not_granted"
    assert ringed.code("app", "GET /v1/alerts") == "model_not_granted"  # it tells of all
    assert ringed.code("app", "GET /v1/models") is None  # the route lists its own alone


def test_an_expired_key_is_told_so(ringed: Ringed) -> None:
    ringed.add("old", expires_at_s=time() - 1)
    ringed.add("new", expires_at_s=time() + 60)
    assert ringed.code("old", DRIFT) == "key_expired"
    assert ringed.code("new", DRIFT) is None
    del ringed.keys[digest_of(b"new")]
    assert ringed.code("new", DRIFT) == "unknown_key"


def test_callers_are_named(ringed: Ringed) -> None:
    ringed.add("app", Role.OPERATOR)
    found = ringed.ask("app", PREDICT)
    assert found is not None
    assert found.name == "app"
    assert ringed.ask(KEY, PREDICT) == ADMIN_KEY
    assert ringed.gate.admit(Asked("GET", "/v1", "127.0.0.1", LOCAL_HOST)) == LOCAL


def test_what_is_in_no_table_is_for_admins(ringed: Ringed) -> None:
    ringed.add("app", Role.OPERATOR)
    for path in ("/v1/secrets", "/v1/keys/", "//v1/keys", "/v1/models/a/b/predict", "/ui/statics"):
        assert ringed.code("app", f"GET {path}") == "unlisted_route"
        assert ringed.code(KEY, f"GET {path}") is None  # the application answers 404
    assert ringed.code("app", "DELETE /v1/models/churn/predict") == "method_not_allowed"
    assert ringed.code("app", "OPTIONS /livez") == "method_not_allowed"


def test_the_table_finds_routes_by_their_parts() -> None:
    assert find("HEAD", "/livez").need is OPEN
    assert find("GET", "/v1/models/{}/drift").model == "{}"
    assert find("GET", "/ui/static/a/b.css").need is ROUTES["GET /ui/static/{file...}"]
    assert find("GET", "/v1/alerts/statistics").need is ROUTES["GET /v1/alerts/statistics"]
    for path in ("", "/v1/models//predict", "/v1/models/churn/predict/"):
        assert find("POST", path).need is None, path
    for need in ROUTES.values():  # who needs nothing must not tell of a model
        assert need.scopes or need.subject is Subject.NONE


def test_a_mount_point_is_taken_off_whole() -> None:
    assert below_root("/ml/v1", "/ml") == "/v1"
    assert below_root("/ml", "/ml") == "/"
    assert below_root("/mlx/v1", "/ml") == "/mlx/v1"
    assert below_root("/v1", "/ml") == "/v1"  # the proxy has taken it off
    assert below_root("/v1", "") == "/v1"
