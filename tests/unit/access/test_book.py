"""Keys in a real database: made once, named for ever, revoked, and known to workers."""

from collections.abc import Iterator
from time import time

import pytest
from sqlalchemy import Engine, text

from timonel.access.book import FIRST_NAME, KeyBook, Wish, read_lifetime
from timonel.access.callers import Rate, Role, Scope, digest_of
from timonel.access.errors import InvalidKey, KeyExists, KeyNotFound, TooManyKeys
from timonel.access.ring import ring_of
from timonel.store.control import ensure_project, read_generation
from timonel.store.engine import make_engine
from timonel.store.lean import LeanStore
from timonel.store.migrate import upgrade
from timonel.testing.builders import PROJECT


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = make_engine(database)
    upgrade(engine)
    ensure_project(engine, PROJECT, "America/Santiago")
    ensure_project(engine, "another", "UTC")
    yield engine
    engine.dispose()


def test_a_key_from_making_to_revoking(engine: Engine, database: str) -> None:
    book, lean = KeyBook(engine, PROJECT), LeanStore(database)
    before = read_generation(engine, PROJECT)
    wish = Wish(name="app", role=Role.OPERATOR, scopes=(Scope.PREDICT,), rate=Rate(600, 60))
    made, secret = book.create(wish, who="ana@taller")
    assert read_generation(engine, PROJECT) == before + 1
    assert len(secret) == len("tml_") + 43  # 256 bits
    assert made.key.digest == digest_of(secret.encode())
    found = made.document(time())
    assert (found["state"], found["created_by"], found["last_used_at"]) == (
        "active",
        "ana@taller",
        None,
    )
    # the secret is nowhere, and a worker reads the same key as the book
    with engine.connect() as connection:
        assert secret not in str(connection.execute(text("SELECT * FROM access_keys")).all())
    (key,) = ring_of(lean.key_rows(PROJECT)).values()
    assert (key.caller, key.rate) == (made.key.caller, Rate(600, 60))
    assert book.ring().keys() == {key.digest}
    assert KeyBook(engine, "another").ring() == {}

    book.note_uses({key.digest[:16]: 1_800_000_000, b"?" * 16: 1_900_000_000})
    book.note_uses({key.digest[:16]: 1_700_000_000})  # another host, which saw it earlier
    assert book.list()[0].document(time())["last_used_at"] == "2027-01-15T08:00:00+00:00"

    gone = book.revoke("app", who="luis")
    again = book.revoke("app", who="eva")
    assert (gone.revoked_by, again.revoked_by) == ("luis", "luis")
    assert read_generation(engine, PROJECT) > before + 1
    assert lean.key_rows(PROJECT) == []
    assert book.list() == []
    assert [key.state(time()) for key in book.list(all_of_them=True)] == ["revoked"]
    with pytest.raises(KeyExists, match="such as app-2"):  # histories name it
        book.create(Wish(name="app"), who="ana")
    with pytest.raises(KeyNotFound, match="one of app"):
        book.revoke("ap", who="ana")
    lean.close()


def test_the_first_key_is_made_once(engine: Engine) -> None:
    book = KeyBook(engine, PROJECT)
    secret = book.create_first(who="ana")
    assert secret is not None
    assert book.create_first(who="ana") is None
    book.revoke(FIRST_NAME, who="ana")
    assert book.create_first(who="ana") is None  # who revoked it wants none


def test_an_expired_key_stays_listed_among_all(engine: Engine) -> None:
    book = KeyBook(engine, PROJECT)
    made, _ = book.create(Wish(name="brief", expires_in_s=90), who="ana")
    assert made.key.expires_at_s == pytest.approx(made.created_at / 1e6 + 90)
    assert made.state(time()) == "active"
    assert made.state(time() + 90) == "expired"
    with engine.begin() as connection:
        connection.execute(text("UPDATE access_keys SET expires_at = created_at"))
    assert book.list() == []
    assert len(book.list(all_of_them=True)) == 1


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"name": "Ana"}, "name"),
        ({"name": "ana@host"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "local"}, "name"),
        ({"name": "a", "expires_in_s": 0}, "expires"),
        ({"name": "a", "scopes": (Scope.OPERATE,)}, "role"),
        ({"name": "a", "models": ("nobody",)}, "model"),
    ],
)
def test_a_key_that_breaks_a_rule_is_not_made(
    sqlite_database: str, wish: dict[str, object], field: str
) -> None:
    engine = make_engine(sqlite_database)
    upgrade(engine)
    ensure_project(engine, PROJECT, "UTC")
    with pytest.raises(InvalidKey) as refused:
        KeyBook(engine, PROJECT).create(Wish(**wish), who="ana")  # type: ignore[arg-type]
    assert refused.value.context["field"] == field
    engine.dispose()


def test_keys_have_a_bound(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timonel.access.book.MOST_KEYS", 1)
    book = KeyBook(engine, PROJECT)
    book.create(Wish(name="a"), who="ana")
    with pytest.raises(TooManyKeys, match="key revoke"):
        book.create(Wish(name="b"), who="ana")


def test_lifetimes() -> None:
    assert [read_lifetime(one) for one in ("45s", "30m", "12h", "90d")] == [
        45,
        1800,
        43_200,
        7_776_000,
    ]
    for wrong in ("", "d", "90", "-1d", "1.5h", "1y"):
        with pytest.raises(InvalidKey, match="as 90d"):
            read_lifetime(wrong)
