"""Which pages of other sites may read answers: the CORS protocol, for raw and control routes.

Pure: a function of the setting and of what a request says. No cookie takes part, so credentials
are never allowed; a page shows its key itself.
"""

from collections.abc import Mapping, Sequence

ANY = "*"
_MAX_AGE_S = 600
_ALLOWED = (
    b"authorization, accept-language, content-encoding, content-type, idempotency-key, "
    b"inference-header-content-length, x-request-id"
)
_EXPOSED = b"inference-header-content-length, retry-after, x-request-id, x-timonel-logged"
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
Pairs = tuple[tuple[bytes, bytes], ...]


class Cors:
    """Decides by origin.

    Parameters
    ----------
    origins : sequence of str
        ``scheme://host[:port]``, as browsers write them; ``*`` is any, for requests with a key.
    """

    __slots__ = ("_any", "origins")

    def __init__(self, origins: Sequence[str]) -> None:
        self.origins = frozenset(one.lower().encode() for one in origins if one != ANY)
        self._any = ANY in origins

    def preflight(self, method: str, headers: Mapping[bytes, bytes]) -> Pairs | None:
        """Give the headers that answer a browser's question; None where it asks none, or in vain.

        It comes without a key: only the request after it is asked for one.
        """
        origin = headers.get(b"origin")
        asks = method == "OPTIONS" and b"access-control-request-method" in headers
        if origin is None or not asks or not (self._any or origin.lower() in self.origins):
            return None
        return (
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _ALLOWED),
            (b"access-control-max-age", b"%d" % _MAX_AGE_S),
            (b"vary", b"origin"),
        )

    def granted(self, headers: Mapping[bytes, bytes]) -> Pairs:
        """Give the headers by which a browser shows an answer to the page that asked for it.

        ``*`` holds only where a key is shown: what is answered without one, because it is asked
        on this machine, is not for every page that is open on this machine.
        """
        origin = headers.get(b"origin")
        listed = origin is not None and origin.lower() in self.origins
        if origin is None or not (listed or (self._any and b"authorization" in headers)):
            return ((b"vary", b"origin"),)
        return (
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"origin"),
        )
