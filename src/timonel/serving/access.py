"""Who may ask: one rule for the raw routes and for the control application.

Without a key only a plainly local request is answered: its peer is loopback, its Host names this
machine (a page that resolves its own name to 127.0.0.1 does not), and nothing says that it was
forwarded. Pure: a function of what the request says.
"""

from collections.abc import Container, Mapping
from hashlib import sha256
from hmac import compare_digest

from timonel.errors import Phrase, TimonelError
from timonel.serving.errors import ForeignOrigin, KeyRequired, NoKeySet, UnknownKey

# they say no more than whether this server lives: balancers and probes have no key
OPEN_PATHS = frozenset(("/livez", "/readyz", "/v2/health/live", "/v2/health/ready", "/ping"))
_LOCAL_HOSTS = frozenset((b"localhost", b"127.0.0.1", b"[::1]"))
_READING = frozenset(("GET", "HEAD", "OPTIONS"))


def refusal(
    *,
    peer: str | None,
    headers: Mapping[bytes, bytes],
    method: str,
    path: str,
    key_sha256: str | None,
    origins: Container[bytes] = (),
) -> TimonelError | None:
    """Say why a request is not to be answered; None: it is.

    Parameters
    ----------
    peer : str or None
        Address of the other end of the connection; None (unknown) is not local.
    headers : mapping of bytes to bytes
        Names in lower case.
    method, path : str
    key_sha256 : str or None
        sha256 (hex) of the server's key; None: it has none.
    origins : container of bytes
        Other sites whose pages may ask for changes, in lower case.

    Returns
    -------
    KeyRequired, UnknownKey, NoKeySet, ForeignOrigin or None
    """
    if path in OPEN_PATHS:
        return None
    shown = _bearer(headers.get(b"authorization"))
    if shown is not None and key_sha256 is not None:
        known = compare_digest(sha256(shown).hexdigest(), key_sha256)
        return None if known else UnknownKey()
    found = not_local(peer, headers)
    if found is not None:
        return NoKeySet(found=found) if key_sha256 is None else KeyRequired(found=found)
    if method not in _READING:
        return _foreign_origin(headers, origins)
    return None


def not_local(peer: str | None, headers: Mapping[bytes, bytes]) -> str | None:
    """Say what makes a request not plainly local; None: it is."""
    if peer is None or not (peer == "::1" or peer.startswith(("127.", "::ffff:127."))):
        return Phrase("the peer {peer}", "la conexión desde {peer}", peer=peer or "?")
    host = headers.get(b"host", b"")
    if _without_port(host) not in _LOCAL_HOSTS:
        shown = host.decode("latin-1")[:100] or "-"
        return Phrase("the Host {host}", "el Host {host}", host=shown)
    for name in headers:
        if name == b"forwarded" or name.startswith(b"x-forwarded-"):
            shown = name.decode("latin-1")[:64]
            return Phrase("the header {name}", "el encabezado {name}", name=shown)
    return None


def _foreign_origin(
    headers: Mapping[bytes, bytes], origins: Container[bytes]
) -> TimonelError | None:
    origin = headers.get(b"origin")
    if origin is None or origin.lower() in origins:
        return None
    host = headers.get(b"host", b"").lower()
    if origin.lower().rpartition(b"://")[2] == host:
        return None
    return ForeignOrigin(
        found=origin.decode("latin-1")[:100], expected=f"http://{host.decode('latin-1')[:100]}"
    )


def _bearer(header: bytes | None) -> bytes | None:
    if header is None or header[:7].lower() != b"bearer ":
        return None
    return header[7:].strip()


def _without_port(host: bytes) -> bytes:
    if host.startswith(b"["):
        return host.partition(b"]")[0].lower() + b"]"
    return host.partition(b":")[0].lower()
