"""Ids of predictions and outcomes, UUIDv7 (RFC 9562) in real time as 16 bytes; ids of requests.

Event time is never read from an id: a demo's clock runs faster than the ids do.
"""

import itertools
import os
import random
import re
import time
from threading import Lock
from weakref import WeakSet

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_request_id = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_requests_prefix = os.urandom(6).hex().encode()
_request_numbers = itertools.count(1)
_VERSION = 7 << 76
_VARIANT = 2 << 62
_LOW_62 = (1 << 62) - 1
_STEP_BITS = 32


class IdSource:
    """Makes ids that grow strictly within one process, and differ between forks of one.

    Safe to call from any thread. Within a millisecond (or when the host's clock steps back) the
    74 random bits are advanced by a random step, so order is kept and ids stay unguessable; the
    bits start below half their range, which leaves room for 2^41 ids a millisecond.
    """

    __slots__ = ("__weakref__", "_bits", "_lock", "_ms", "_random")

    def __init__(self) -> None:
        self._begin()
        _sources.add(self)

    def _begin(self) -> None:
        self._random = random.Random(os.urandom(32))
        self._lock = Lock()
        self._ms = 0
        self._bits = 0

    def next(self) -> bytes:
        """Give the next id, greater than all this source gave before."""
        ms = time.time_ns() // 1_000_000
        with self._lock:
            if ms > self._ms:
                self._ms = ms
                self._bits = bits = self._random.getrandbits(73)
            else:
                ms = self._ms
                self._bits = bits = self._bits + 1 + self._random.getrandbits(_STEP_BITS)
        return _id(ms, bits)

    def many(self, n: int) -> list[bytes]:
        """Give the next ``n`` ids, in order; as if ``next`` were asked so often."""
        if not n:
            return []
        first = self.next()
        with self._lock:
            ms, bits = self._ms, self._bits
            step = self._random.getrandbits
            ids = [first]
            for _ in range(n - 1):
                bits += 1 + step(_STEP_BITS)
                ids.append(_id(ms, bits))
            self._bits = bits
        return ids


def _id(ms: int, bits: int) -> bytes:
    number = ms << 80 | _VERSION | bits >> 62 << 64 | _VARIANT | bits & _LOW_62
    return number.to_bytes(16, "big")


_sources: "WeakSet[IdSource]" = WeakSet()


def _begin_again() -> None:
    for source in _sources:
        source._begin()


os.register_at_fork(after_in_child=_begin_again)  # it would repeat its parent's ids


def id_text(identifier: bytes) -> str:
    """Write 16 bytes as a UUID's text.

    Examples
    --------
    >>> id_text(bytes(16))
    '00000000-0000-0000-0000-000000000000'
    """
    h = identifier.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def parse_uuid(text: str) -> bytes | None:
    """Read a UUID's text of any version; None if it is none."""
    lowered = text.lower()
    return bytes.fromhex(lowered.replace("-", "")) if _UUID.fullmatch(lowered) else None


def parse_uuid7(text: str) -> bytes | None:
    """Read a UUIDv7's text; None if it is none."""
    lowered = text.lower()
    return bytes.fromhex(lowered.replace("-", "")) if _UUID7.fullmatch(lowered) else None


def request_id_of(sent: bytes | None) -> bytes:
    """Give the id that a client sent for its request, if it is a plain one; else a new one."""
    if sent is not None and _request_id.fullmatch(sent):
        return sent
    return b"%s-%d" % (_requests_prefix, next(_request_numbers))
