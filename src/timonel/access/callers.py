"""Who asks, and what they may: roles, scopes, and the keys that stand for them. Pure.

A scope is what one route needs; a role is a set of scopes by default. Naming scopes narrows a key
to them, and models narrow it further (ADR 0028).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from timonel.access.errors import InvalidKey
from timonel.errors import Phrase


class Role(StrEnum):
    """What a key's holder is, from least to most."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def reaches(self, other: "Role") -> bool:
        """Say whether this role is the other one, or above it."""
        return _RANK[self] >= _RANK[other]


class Scope(StrEnum):
    """What a route needs; the list is closed."""

    READ = "read"  # states, figures, versions, histories: nothing row by row
    RECORDS = "records"  # logged predictions with their inputs, one by one
    PREDICT = "predict"
    OUTCOMES = "outcomes"
    OPERATE = "operate"  # promote, roll back, retrain, decide about alerts
    ADMINISTER = "administer"  # keys

    @property
    def least(self) -> Role:
        """The lowest role that may be given it by name."""
        return _ROLES[self][0]

    @property
    def default(self) -> Role:
        """The lowest role that has it without being given it by name."""
        return _ROLES[self][1]


_RANK = {role: rank for rank, role in enumerate(Role)}
_ROLES = {
    Scope.READ: (Role.VIEWER, Role.VIEWER),
    Scope.RECORDS: (Role.VIEWER, Role.OPERATOR),
    Scope.PREDICT: (Role.VIEWER, Role.OPERATOR),
    Scope.OUTCOMES: (Role.VIEWER, Role.OPERATOR),
    Scope.OPERATE: (Role.OPERATOR, Role.OPERATOR),
    Scope.ADMINISTER: (Role.ADMIN, Role.ADMIN),
}
ALL_SCOPES = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what they may.

    Parameters
    ----------
    name : str
        As histories name them: a key's name, or ``local``.
    role : Role
    scopes : frozenset of Scope
    models : frozenset of str or None
        The only models they may ask about; None: all.
    """

    name: str
    role: Role
    scopes: frozenset[Scope]
    models: frozenset[str] | None = None

    def sees(self, model: str) -> bool:
        """Say whether the caller may ask about a model."""
        return self.models is None or model in self.models


LOCAL = Caller("local", Role.ADMIN, ALL_SCOPES)
ADMIN_KEY = Caller("admin-key", Role.ADMIN, ALL_SCOPES)  # who shows TIMONEL_ADMIN_KEY
RESERVED = frozenset((LOCAL.name, ADMIN_KEY.name, "api", "worker"))


class Rate(NamedTuple):
    """So many requests in so many seconds: at once or spread, and refilled steadily."""

    n: int
    period_s: int

    def __str__(self) -> str:
        return f"{self.n}/{_UNIT_OF[self.period_s]}"

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Read ``100/s``, ``600/min``, ``1000/h`` or ``50000/d``; raises ``InvalidKey``."""
        number, _, unit = text.strip().partition("/")
        if not (number.isascii() and number.isdigit() and unit in _UNITS) or not (
            0 < int(number[:10]) <= MOST_PER_PERIOD
        ):
            expected = Phrase(
                "a number to {most} and s, min, h or d, as 600/min",
                "un número hasta {most} y s, min, h o d, como 600/min",
                most=MOST_PER_PERIOD,
            )
            raise InvalidKey(field="rate", found=repr(text[:40]), expected=expected)
        return cls(int(number), _UNITS[unit])


MOST_PER_PERIOD = 1_000_000
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_UNIT_OF = {seconds: unit for unit, seconds in _UNITS.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """A key as processes keep it: never the secret, only what it stands for.

    Parameters
    ----------
    caller : Caller
    digest : bytes
        SHA-256 of the secret.
    expires_at_s : float or None
        Seconds since the epoch, of the real clock.
    rate : Rate or None
    """

    caller: Caller
    digest: bytes
    expires_at_s: float | None = None
    rate: Rate | None = None


def digest_of(secret: bytes) -> bytes:
    """Give what is stored of a secret, and looked up: 256 random bits need no slow hash."""
    return sha256(secret).digest()


def scopes_of(role: Role, named: Iterable[Scope] = ()) -> frozenset[Scope]:
    """Give the scopes of a role: those named, else those it has by itself.

    Raises
    ------
    InvalidKey
        If a named scope needs a higher role.
    """
    wanted = frozenset(named)
    for scope in sorted(wanted):
        if not role.reaches(scope.least):
            expected = Phrase(
                "the role {role} for the scope {scope}",
                "el rol {role} para el alcance {scope}",
                role=scope.least,
                scope=scope,
            )
            raise InvalidKey(field="role", found=str(role), expected=expected)
    return wanted or frozenset(scope for scope in Scope if role.reaches(scope.default))
