"""``POST /v1/models/{model}/predict`` with one row, where nothing has to be waited for.

The same answer as the route's own, made in one go: no task, no scope, no messages. What a head
says is found out once, for all requests that begin with the same bytes.
"""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from timonel import tracing
from timonel.access.gate import Asked, Gate
from timonel.errors import TimonelError
from timonel.serving.metrics import Family, MetricsSlot
from timonel.serving.routes.exchange import REQUEST_ID, head_of
from timonel.serving.routes.predict import Predictions
from timonel.serving.versions.snapshot import Snapshot
from timonel.wire.ids import request_id_of
from timonel.wire.replies import encode_reply

_BEFORE, _AFTER = b"/v1/models/", b"/predict"
_JSON = b"application/json"
_log = logging.getLogger("timonel.serving")


class Head(NamedTuple):
    """The head of a POST over a connection that stays.

    Parameters
    ----------
    target : bytes
        As it was sent: path and query.
    headers : list of (bytes, bytes)
        Names in lower case.
    peer : str or None
        Address of the client.
    """

    target: bytes
    headers: list[tuple[bytes, bytes]]
    peer: str | None


class PlainHead(msgspec.Struct, frozen=True, gc=False):
    """A head after which a plain row may come.

    Parameters
    ----------
    model : str
    asked : Asked
        For the gate.
    local : bool
        It shows no key and is plainly local: the gate lets all in that look like it.
    request_id : bytes or None
        Sent by the client.
    """

    model: str
    asked: Asked
    local: bool
    request_id: bytes | None


class PlainPredictions:
    """Answers what is plain, and declines the rest without a trace.

    Parameters
    ----------
    snapshot : callable
        Gives what is served now; None: nothing is, or the end has begun.
    gate : Gate
    predictions : Predictions
    slot : MetricsSlot
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot | None],
        gate: Gate,
        predictions: Predictions,
        slot: MetricsSlot,
    ) -> None:
        self._snapshot = snapshot
        self._gate = gate
        self._predictions = predictions
        self._slot = slot

    def head(self, sent: Head) -> PlainHead | None:
        """Read a head; None where the route itself has to answer, whatever the body."""
        target, headers = sent.target, dict(sent.headers)
        if (
            not (target.startswith(_BEFORE) and target.endswith(_AFTER))
            or headers.get(b"content-type", _JSON) != _JSON
            or b"content-encoding" in headers
        ):
            return None
        try:
            path = target.decode("ascii")
        except UnicodeDecodeError:
            return None
        asked = Asked("POST", path, sent.peer, headers)
        return PlainHead(
            path[len(_BEFORE) : -len(_AFTER)],
            asked,
            self._gate.is_local(asked),
            headers.get(REQUEST_ID),
        )

    def answer(self, head: PlainHead, body: bytes) -> bytes | None:
        """Give headers and body of the answer, logged; None where the route itself has to."""
        started_ns = time.monotonic_ns()
        snapshot = self._snapshot()
        if snapshot is None or tracing.active is not None:
            return None
        model = snapshot.models.get(head.model)
        if model is None:
            return None
        try:
            ready = self._predictions.plain(snapshot, model, body, started_ns)
            if ready is None:
                return None
            if not head.local:
                self._gate.admit(head.asked)
            reply = self._predictions.given(ready)
        except TimonelError:
            return None  # the route says what is wrong, in the client's language
        except Exception:  # noqa: BLE001 - the route answers, and tells of it if it fails too
            _log.exception("a plain request was left to the route")
            return None
        self._slot.count(Family.REQUESTS, "predict", "200")
        written = encode_reply(reply)
        request_id = request_id_of(head.request_id)
        return head_of(written, request_id, logged=reply.logged is not False) + written
