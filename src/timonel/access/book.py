"""Making, listing and revoking keys, in the project's database.

Every change raises the generation in its transaction, so all processes follow within a second. A
row is never removed: who made and who revoked a key stays known, and its name is not used again.
"""

import re
import secrets
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, func, insert, or_, select, update

from timonel.access.callers import (
    RESERVED,
    Key,
    Rate,
    Role,
    Scope,
    digest_of,
    scopes_of,
)
from timonel.access.errors import InvalidKey, KeyExists, KeyNotFound, TooManyKeys
from timonel.access.gate import Gate
from timonel.access.ring import KeyRing, key_of, ring_of
from timonel.access.usage import KeyUsage
from timonel.errors import Phrase, closest
from timonel.store.control import raise_generation
from timonel.store.engine import database_now, reading
from timonel.store.tables import declarations
from timonel.store.tables_access import access_keys

FRESH_S = 0.2  # as soon as predict workers see a new generation
MOST_KEYS = 4000  # in force at once: every worker keeps them all
KEY_PREFIX = "tml_"  # so that scanners of repositories and logs can tell one
FIRST_NAME = "first-admin"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LONGEST_DAYS = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A key that is to be made.

    Parameters
    ----------
    name : str
        Of small letters, digits, ``.``, ``_`` and ``-``.
    role : Role
    scopes : tuple of Scope
        None: what the role has by itself.
    models : tuple of str
        None: all.
    expires_in_s : int or None
    rate : Rate or None

    Raises
    ------
    InvalidKey
    """

    name: str
    role: Role = Role.VIEWER
    scopes: tuple[Scope, ...] = ()
    models: tuple[str, ...] = ()
    expires_in_s: int | None = None
    rate: Rate | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            expected = Phrase(
                "1 to 64 small letters, digits, . _ -, beginning with a letter or digit",
                "1 a 64 minúsculas, dígitos, . _ -, que comience con letra o dígito",
            )
            raise InvalidKey(field="name", found=repr(self.name[:80]), expected=expected)
        if self.name in RESERVED:
            expected = Phrase("none of {names}", "ninguno de {names}", names=_list(RESERVED))
            raise InvalidKey(field="name", found=self.name, expected=expected)
        lifetime = self.expires_in_s
        if lifetime is not None and not 0 < lifetime <= _LONGEST_DAYS * 86_400:
            expected = Phrase(
                "between 1 s and {days} d", "entre 1 s y {days} d", days=_LONGEST_DAYS
            )
            raise InvalidKey(field="expires", found=f"{lifetime} s", expected=expected)
        scopes_of(self.role, self.scopes)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKeyState:
    """A key with its history; times in microseconds of the real clock."""

    key: Key
    created_at: int
    created_by: str
    revoked_at: int | None
    revoked_by: str | None
    last_used_at: int | None

    @property
    def name(self) -> str:
        """The key's name."""
        return self.key.caller.name

    def state(self, now_s: float) -> str:
        """Say whether it is ``active``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        expires = self.key.expires_at_s
        return "expired" if expires is not None and expires <= now_s else "active"

    def document(self, now_s: float) -> dict[str, Any]:
        """Describe it for JSON; ``last_used_at`` null: no server has reported a use."""
        key = self.key
        return {
            "name": self.name,
            "state": self.state(now_s),
            "role": str(key.caller.role),
            "scopes": [str(scope) for scope in Scope if scope in key.caller.scopes],
            "models": None if key.caller.models is None else sorted(key.caller.models),
            "rate": None if key.rate is None else str(key.rate),
            "expires_at": None if key.expires_at_s is None else _iso(key.expires_at_s),
            "created_at": _iso(self.created_at / 1e6),
            "created_by": self.created_by,
            "revoked_at": None if self.revoked_at is None else _iso(self.revoked_at / 1e6),
            "revoked_by": self.revoked_by,
            "last_used_at": None if self.last_used_at is None else _iso(self.last_used_at / 1e6),
        }


class KeyBook:
    """The keys of a project.

    Parameters
    ----------
    engine : Engine
    project : str
    """

    def __init__(self, engine: Engine, project: str) -> None:
        self._engine = engine
        self._project = project

    def create(self, wish: Wish, *, who: str) -> tuple[StoredKeyState, str]:
        """Make a key; give it with its secret, which is shown here and never again.

        Raises
        ------
        KeyExists
            If the name is, or was, another key's.
        TooManyKeys
        InvalidKey
            If one of its models is not declared.
        """
        with self._engine.begin() as connection:
            return self._create(connection, wish, who)

    def create_first(self, *, who: str) -> str | None:
        """Make an admin key where the project never had any; give its secret, else None.

        Of two servers that start at once, one makes it.
        """
        with self._engine.begin() as connection:
            raise_generation(connection, self._project)
            if connection.scalar(select(func.count()).where(self._mine)):
                return None
            return self._create(connection, Wish(name=FIRST_NAME, role=Role.ADMIN), who)[1]

    def revoke(self, name: str, *, who: str) -> StoredKeyState:
        """Take a key out of force, for ever; one that is revoked stays as it is.

        Raises
        ------
        KeyNotFound
        """
        with self._engine.begin() as connection:
            raise_generation(connection, self._project)
            connection.execute(
                update(access_keys)
                .where(self._mine, access_keys.c.name == name, access_keys.c.revoked_at.is_(None))
                .values(revoked_at=database_now(), revoked_by=who)
            )
            return self._get(connection, name)

    def list(self, *, all_of_them: bool = False) -> list[StoredKeyState]:
        """Give the keys by name: those in force, or with those that expired or were revoked."""
        query = select(access_keys).where(self._mine).order_by(access_keys.c.name)
        if not all_of_them:
            expires = access_keys.c.expires_at
            query = query.where(
                access_keys.c.revoked_at.is_(None),
                or_(expires.is_(None), expires > database_now()),
            )
        with reading(self._engine) as connection:
            return [_state(row) for row in connection.execute(query)]

    def ring(self) -> KeyRing:
        """Give the keys that are not revoked, by digest."""
        query = select(access_keys).where(self._mine, access_keys.c.revoked_at.is_(None))
        with reading(self._engine) as connection:
            return ring_of(connection.execute(query))

    def note_uses(self, uses: Mapping[bytes, int]) -> None:
        """Store when keys were used last, where that is news.

        Parameters
        ----------
        uses : mapping of bytes to int
            Seconds since the epoch, by the first 16 bytes of the digest
            (``KeyUsage.last_uses``); those of unknown keys are passed over.
        """
        row = access_keys.c
        with reading(self._engine) as connection:
            known = list(
                connection.execute(select(row.name, row.digest, row.last_used_at).where(self._mine))
            )
        news = []
        for name, digest, before in known:
            at = uses.get(bytes.fromhex(digest)[:16], 0) * 1_000_000
            if at > (before or 0):
                news.append((name, at))
        if not news:
            return
        with self._engine.begin() as connection:
            for name, at in sorted(news):
                later = or_(row.last_used_at.is_(None), row.last_used_at < at)
                connection.execute(
                    update(access_keys)
                    .where(self._mine, row.name == name, later)
                    .values(last_used_at=at)
                )

    @property
    def _mine(self) -> Any:
        return access_keys.c.project == self._project

    def _create(self, connection: Connection, wish: Wish, who: str) -> tuple[StoredKeyState, str]:
        raise_generation(connection, self._project)
        row = access_keys.c
        taken = {
            found.name: found.created_by
            for found in connection.execute(select(row.name, row.created_by).where(self._mine))
        }
        if wish.name in taken:
            raise KeyExists(key=wish.name, by=taken[wish.name], free=_free(wish.name, taken))
        self._require_declared(connection, wish.models)
        in_force = select(func.count()).where(self._mine, row.revoked_at.is_(None))
        n = connection.scalar(in_force) or 0
        if n >= MOST_KEYS:
            raise TooManyKeys(found=n, limit=MOST_KEYS)
        secret = KEY_PREFIX + secrets.token_urlsafe(32)
        lifetime = wish.expires_in_s
        values = {
            "project": self._project,
            "name": wish.name,
            "digest": digest_of(secret.encode()).hex(),
            "role": str(wish.role),
            "scopes": _json(scopes_of(wish.role, wish.scopes)),
            "models": _json(set(wish.models)),
            "rate": None if wish.rate is None else str(wish.rate),
            "expires_at": None if lifetime is None else database_now() + lifetime * 1_000_000,
            "created_at": database_now(),
            "created_by": who,
        }
        connection.execute(insert(access_keys).values(values))
        return self._get(connection, wish.name), secret

    def _require_declared(self, connection: Connection, models: Iterable[str]) -> None:
        query = select(declarations.c.model).where(declarations.c.project == self._project)
        known = list(connection.scalars(query))
        for model in models:
            if model not in known:
                expected = Phrase("one of {known}", "uno de {known}", known=closest(model, known))
                raise InvalidKey(field="model", found=repr(model[:64]), expected=expected)

    def _get(self, connection: Connection, name: str) -> StoredKeyState:
        mine = select(access_keys).where(self._mine)
        row = connection.execute(mine.where(access_keys.c.name == name)).first()
        if row is None:
            known = connection.scalars(select(access_keys.c.name).where(self._mine))
            raise KeyNotFound(key=name[:80], known=sorted(known))
        return _state(row)


class FreshRing:
    """The keys in force, read again when they may have changed: for processes without a snapshot.

    Parameters
    ----------
    book : KeyBook
    """

    def __init__(self, book: KeyBook) -> None:
        self._book = book
        self._ring: KeyRing = {}
        self._read_at = float("-inf")

    def __call__(self) -> KeyRing:
        """Give them as they were at most 200 ms ago."""
        now = monotonic()
        if now - self._read_at > FRESH_S:
            self._ring = self._book.ring()
            self._read_at = now
        return self._ring


def stored_gate(
    book: KeyBook, admin_key: str | None, usage: KeyUsage, origins: Container[bytes]
) -> Gate:
    """Make a gate that reads the keys from the database, and knows the server's own."""
    admin = None if admin_key is None else digest_of(admin_key.encode()).hex()
    return Gate(FreshRing(book), admin_sha256=admin, usage=usage, origins=origins)


def read_lifetime(text: str) -> int:
    """Read ``90d``, ``12h``, ``30m`` or ``45s`` as seconds; raises ``InvalidKey``."""
    number, unit = text[:-1], text[-1:]
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
    if not (number.isascii() and number.isdigit() and len(number) <= 9 and unit in units):
        expected = Phrase(
            "a number with s, m, h or d, as 90d", "un número con s, m, h o d, como 90d"
        )
        raise InvalidKey(field="expires", found=repr(text[:40]), expected=expected)
    return int(number) * units[unit]


def _state(row: Any) -> StoredKeyState:
    return StoredKeyState(
        key=key_of(row),
        created_at=row.created_at,
        created_by=row.created_by,
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
        last_used_at=row.last_used_at,
    )


def _json(names: Iterable[str]) -> str:
    return msgspec.json.encode(sorted(str(name) for name in names)).decode()


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _free(name: str, taken: Mapping[str, str]) -> str:
    stem = name[:60]
    return next(found for n in range(2, 10**6) if (found := f"{stem}-{n}") not in taken)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
