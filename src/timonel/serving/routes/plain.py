"""``POST /v1/models/{model}/predict`` with one row, where nothing has to be waited for.

The same answer as the route's own, made in one go: no task, no scope, no messages.
"""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from timonel import tracing
from timonel.access.gate import Asked, Gate
from timonel.errors import TimonelError
from timonel.serving.metrics import Family, MetricsSlot
from timonel.serving.routes.exchange import REQUEST_ID, head_of, said_of_log
from timonel.serving.routes.predict import Predictions
from timonel.serving.versions.snapshot import Snapshot
from timonel.wire.ids import request_id_of
from timonel.wire.replies import encode_reply

_BEFORE, _AFTER = b"/v1/models/", b"/predict"
_JSON = b"application/json"
_log = logging.getLogger("timonel.serving")


class Whole(NamedTuple):
    """A POST that came whole, over a connection that stays.

    Parameters
    ----------
    target : bytes
        As it was sent: path and query.
    headers : list of (bytes, bytes)
        Names in lower case.
    peer : str or None
        Address of the client.
    body : bytes
    """

    target: bytes
    headers: list[tuple[bytes, bytes]]
    peer: str | None
    body: bytes


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

    def answer(self, request: Whole) -> bytes | None:
        """Give headers and body of the answer, logged; None where the route itself has to."""
        started_ns = time.monotonic_ns()
        target = request.target
        if not (target.startswith(_BEFORE) and target.endswith(_AFTER)):
            return None
        try:
            return self._answer(request, target.decode("ascii"), started_ns)
        except TimonelError:
            return None  # the route says what is wrong, in the client's language
        except Exception:  # noqa: BLE001 - the route answers, and tells of it if it fails too
            _log.exception("a plain request was left to the route")
            return None

    def _answer(self, request: Whole, path: str, started_ns: int) -> bytes | None:
        snapshot = self._snapshot()
        headers = dict(request.headers)
        if (
            snapshot is None
            or tracing.active is not None
            or headers.get(b"content-type", _JSON) != _JSON
            or b"content-encoding" in headers
        ):
            return None
        model = snapshot.models.get(path[len(_BEFORE) : -len(_AFTER)])
        if model is None:
            return None
        ready = self._predictions.plain(snapshot, model, request.body, started_ns)
        if ready is None:
            return None
        self._gate.admit(Asked("POST", path, request.peer, headers))
        reply = self._predictions.given(ready)
        body = encode_reply(reply)
        self._slot.count(Family.REQUESTS, "predict", "200")
        request_id = request_id_of(headers.get(REQUEST_ID))
        return head_of(body, request_id, said_of_log((reply,))) + body
