"""The keys in force as every process keeps them: by digest, immutable, made from stored rows."""

from collections.abc import Iterable
from typing import Protocol

import msgspec

from timonel.access.callers import Caller, Key, Rate, Role, Scope

KeyRing = dict[bytes, Key]


class StoredKey(Protocol):
    """A row of ``access_keys``, however it was read."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def digest(self) -> str:
        """Of the key itself: sha256 in hex."""

    @property
    def role(self) -> str:
        """One of ``Role``."""

    @property
    def scopes(self) -> str:
        """JSON list of ``Scope``."""

    @property
    def models(self) -> str:
        """JSON list; empty: all."""

    @property
    def rate(self) -> str | None:
        """As ``Rate.parse`` reads it; None: no limit."""

    @property
    def expires_at(self) -> int | None:
        """Microseconds since the epoch, UTC; None: never."""


def ring_of(rows: Iterable[StoredKey]) -> KeyRing:
    """Make the ring; a scope that this release does not know grants nothing."""
    return {key.digest: key for key in map(key_of, rows)}


def key_of(row: StoredKey) -> Key:
    """Read one stored key."""
    known = set(Scope)
    scopes = frozenset(
        Scope(scope) for scope in msgspec.json.decode(row.scopes, type=list[str]) if scope in known
    )
    models = msgspec.json.decode(row.models, type=list[str])
    return Key(
        caller=Caller(row.name, Role(row.role), scopes, frozenset(models) if models else None),
        digest=bytes.fromhex(row.digest),
        expires_at_s=None if row.expires_at is None else row.expires_at / 1e6,
        rate=None if row.rate is None else Rate.parse(row.rate),
    )
