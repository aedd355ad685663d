from hashlib import sha256

import pytest

from timonel.serving.access import refusal

KEY = "s3cret"
HASH = sha256(KEY.encode()).hexdigest()
LOCAL = {b"host": b"127.0.0.1:8000"}


def code(
    *,
    peer: str | None = "127.0.0.1",
    headers: dict[bytes, bytes] = LOCAL,
    method: str = "POST",
    path: str = "/v1/models/churn/predict",
    key: str | None = HASH,
) -> str | None:
    error = refusal(peer=peer, headers=headers, method=method, path=path, key_sha256=key)
    return None if error is None else error.code


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:1", b"127.0.0.1:80", b"[::1]:8000"])
@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("key", [None, HASH])
def test_a_plainly_local_request_needs_no_key(host: bytes, peer: str, key: str | None) -> None:
    assert code(peer=peer, headers={b"host": host}, key=key) is None


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("10.0.0.8", LOCAL),
        (None, LOCAL),
        ("::ffff:10.0.0.8", LOCAL),
        ("127.0.0.1", {b"host": b"evil.example"}),
        ("127.0.0.1", {b"host": b"127.0.0.1.evil.example"}),
        ("127.0.0.1", {b"host": b"localhost.evil.example:80"}),
        ("127.0.0.1", {}),
        ("127.0.0.1", LOCAL | {b"x-forwarded-for": b"127.0.0.1"}),
        ("127.0.0.1", LOCAL | {b"x-forwarded-host": b"x"}),
        ("127.0.0.1", LOCAL | {b"forwarded": b"for=127.0.0.1"}),
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
    assert code(peer="10.0.0.8", headers=LOCAL | {b"authorization": header}) in (
        "key_required",
        "unknown_key",
    )


def test_a_wrong_key_is_refused_though_the_request_is_local() -> None:
    assert code(headers=LOCAL | {b"authorization": b"Bearer no"}) == "unknown_key"


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
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
    assert code(headers=LOCAL | {b"origin": origin}, method=method) == expected


def test_with_a_key_the_origin_does_not_matter() -> None:
    headers = LOCAL | {b"origin": b"http://a.example", b"authorization": b"bearer s3cret"}
    assert code(headers=headers) is None
