"""Who may ask what: one rule for raw routes, control routes and pages.

Without a key only a plainly local request is answered: its peer is loopback, its Host names this
machine (a page that resolves its own name to 127.0.0.1 does not), and nothing says that it was
forwarded; it may do all. Whoever shows a key may do what the key allows (``routes``).
"""

from collections.abc import Callable, Container, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from time import time
from typing import NamedTuple

from timonel.access.callers import ADMIN_KEY, LOCAL, Caller, Key, Scope, digest_of
from timonel.access.errors import (
    ForeignOrigin,
    KeyExpired,
    KeyRequired,
    ModelNotGranted,
    NoKeySet,
    NotGranted,
    RateExceeded,
    UnknownKey,
    UnlistedRoute,
)
from timonel.access.routes import OPEN, Subject, find
from timonel.access.usage import KeyUsage
from timonel.errors import Phrase, TimonelError, Unavailable
from timonel.wire.errors import MethodNotAllowed

Keys = Mapping[bytes, Key]

_LOCAL_HOSTS = frozenset((b"localhost", b"127.0.0.1", b"[::1]"))
_FORWARDED = frozenset((b"forwarded", b"x-forwarded-"))  # a name, and how others begin
_READING = frozenset(("GET", "HEAD", "OPTIONS"))
_SHOWN = 200


class Asked(NamedTuple):
    """What a request says of itself.

    Parameters
    ----------
    method : str
    path : str
        Decoded, below the server's root path.
    peer : str or None
        Address of the other end of the connection; None (unknown) is not local.
    headers : mapping of bytes to bytes
        Names in lower case.
    """

    method: str
    path: str
    peer: str | None
    headers: Mapping[bytes, bytes]


class Gate:
    """Tells who asks, and refuses what they may not. Safe to use from several threads.

    Parameters
    ----------
    keys : callable
        Gives the keys in force by digest; asked only where a key matters, and may raise what says
        that they are not known at the moment.
    admin_sha256 : str or None
        sha256 (hex) of the server's own key, ``TIMONEL_ADMIN_KEY``.
    usage : KeyUsage
        Where rates are counted.
    origins : container of bytes
        Other sites whose pages may ask for changes, in lower case.
    """

    def __init__(
        self,
        keys: Callable[[], Keys],
        *,
        admin_sha256: str | None,
        usage: KeyUsage,
        origins: Container[bytes] = (),
    ) -> None:
        self._keys = keys
        self._admin = None if admin_sha256 is None else bytes.fromhex(admin_sha256)
        self._usage = usage
        self._origins = origins

    def admit(self, asked: Asked) -> Caller | None:
        """Give who asks; None where the route is open and nobody was looked at.

        Raises
        ------
        KeyRequired, UnknownKey, KeyExpired
            401.
        NoKeySet, ForeignOrigin, NotGranted, ModelNotGranted
            403.
        UnlistedRoute, MethodNotAllowed
            404, 405; from callers with a key that is not an admin's.
        RateExceeded
            429.
        """
        found = find(asked.method, asked.path)
        if found.need is OPEN:
            return None
        shown = _bearer(asked.headers.get(b"authorization"))
        if shown is None or (self._admin is None and not self._keys()):
            return self._local(asked)
        digest = digest_of(shown)
        if digest == self._admin:
            return ADMIN_KEY
        key = self._keys().get(digest)
        if key is None:
            raise UnknownKey
        if key.expires_at_s is not None and key.expires_at_s <= time():
            raise KeyExpired(key=key.caller.name, found=_moment(key.expires_at_s))
        wait_s = self._usage.take(key)
        if wait_s:
            raise RateExceeded(key=key.caller.name, rate=str(key.rate), retry_after_s=wait_s)
        authorize(key.caller, asked.method, asked.path)
        return key.caller

    def is_local(self, asked: Asked) -> bool:
        """Say whether a request shows no key and is let in for being local, now and again."""
        if _bearer(asked.headers.get(b"authorization")) is not None:
            return False
        try:
            return self.admit(asked) is LOCAL
        except TimonelError:
            return False

    def _local(self, asked: Asked) -> Caller:
        found = not_local(asked.peer, asked.headers)
        if found is not None:
            raise KeyRequired(found=found) if self._has_keys() else NoKeySet(found=found)
        if asked.method not in _READING:
            _refuse_foreign(asked.headers, self._origins)
        return LOCAL

    def _has_keys(self) -> bool:
        """Say whether anybody outside could ask; where that is not known, somebody might."""
        try:
            return self._admin is not None or bool(self._keys())
        except Unavailable:
            return True


def authorize(caller: Caller, method: str, path: str) -> None:
    """Refuse what a caller may not; raises as ``Gate.admit`` does."""
    need, model, methods = find(method, path)
    if need is None:
        if Scope.ADMINISTER in caller.scopes and caller.models is None:
            return  # the application says what is wrong
        if methods:
            raise MethodNotAllowed(
                method=method[:16], path=path[:_SHOWN], allowed=", ".join(methods)
            )
        raise UnlistedRoute(path=path[:_SHOWN])
    if need.scopes and not need.scopes & caller.scopes:
        scope = need.shown[0]
        raise NotGranted(
            method=method,
            path=path[:_SHOWN],
            key=caller.name,
            role=str(caller.role),
            scopes=", ".join(scope for scope in Scope if scope in caller.scopes),
            scope=str(scope),
            expected_role=str(scope.default),
            least_role=str(scope.least),
        )
    if caller.models is not None:
        if need.subject is Subject.ALL:
            raise _not_for(caller, Phrase("all models", "todos los modelos"))
        if need.subject is Subject.NAMED:
            require_model(caller, model or "")


def require_model(caller: Caller | None, model: str) -> None:
    """Refuse a model that a caller may not ask about; raises ``ModelNotGranted``."""
    if caller is not None and not caller.sees(model):
        raise _not_for(caller, model[:64])


def not_local(peer: str | None, headers: Mapping[bytes, bytes]) -> Phrase | None:
    """Say what makes a request not plainly local; None: it is."""
    if not _is_local_peer(peer):
        return Phrase("the peer {peer}", "la conexión desde {peer}", peer=peer or "?")
    host = headers.get(b"host", b"")
    if not _is_local_host(host):
        shown = host.decode("latin-1")[:100] or "-"
        return Phrase("the Host {host}", "el Host {host}", host=shown)
    for name in headers:
        if name[:12] in _FORWARDED:
            shown = name.decode("latin-1")[:64]
            return Phrase("the header {name}", "el encabezado {name}", name=shown)
    return None


def _not_for(caller: Caller, asked: str) -> ModelNotGranted:
    return ModelNotGranted(
        asked=asked, key=caller.name, models=", ".join(sorted(caller.models or ()))
    )


def _refuse_foreign(headers: Mapping[bytes, bytes], origins: Container[bytes]) -> None:
    origin = headers.get(b"origin")
    if origin is None or origin.lower() in origins:
        return
    host = headers.get(b"host", b"").lower()
    if origin.lower().rpartition(b"://")[2] != host:
        raise ForeignOrigin(
            found=origin.decode("latin-1")[:100], expected=f"http://{host.decode('latin-1')[:100]}"
        )


def _bearer(header: bytes | None) -> bytes | None:
    if header is None or header[:7].lower() != b"bearer ":
        return None
    return header[7:].strip()


@lru_cache(256)
def _is_local_peer(peer: str | None) -> bool:
    return peer is not None and (peer == "::1" or peer.startswith(("127.", "::ffff:127.")))


@lru_cache(256)
def _is_local_host(host: bytes) -> bool:
    if host.startswith(b"["):
        return host.partition(b"]")[0].lower() + b"]" in _LOCAL_HOSTS
    return host.partition(b":")[0].lower() in _LOCAL_HOSTS


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
