"""``POST /v1/models/{model}/predict`` with one row, where nothing has to be waited for.

The same answer as the route's own, made in one go: no task, no scope, no messages. What a head
says is found out once, for all requests that begin with the same bytes.
"""

import logging
import time
from collections.abc import Callable
from contextvars import Token
from functools import partial
from typing import NamedTuple

import msgspec

from timonel import tracing
from timonel.access.gate import Asked, Gate
from timonel.errors import TimonelError
from timonel.logging import REQUEST
from timonel.serving.metrics import Family, MetricsSlot
from timonel.serving.routes.asked import Plain
from timonel.serving.routes.exchange import CLIENT_LEFT, REQUEST_ID, head_of
from timonel.serving.routes.predict import Predictions
from timonel.serving.versions.snapshot import Snapshot
from timonel.wire.ids import request_id_of
from timonel.wire.replies import PredictionReply, encode_reply

_BEFORE, _AFTER = b"/v1/models/", b"/predict"
_JSON = b"application/json"
_LEFT = "a plain request was left to the route"
_log = logging.getLogger("timonel.serving")

Then = Callable[[Callable[[], bytes] | None], None]
"""Told what gives headers and body of an answer, counted; None: there is none."""


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
    synced : bool
        Answers wait for the disk: ``answer_then`` has to be asked for them.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot | None],
        gate: Gate,
        predictions: Predictions,
        slot: MetricsSlot,
        *,
        synced: bool,
    ) -> None:
        self.synced = synced
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
        token = _named(head)
        try:
            ready = self._ready(head, body)
            return None if ready is None else self._said(head, self._predictions.given(ready))
        except TimonelError:
            return None  # the route says what is wrong, in the client's language
        except Exception:  # noqa: BLE001 - the route answers, and tells of it if it fails too
            _log.exception(_LEFT)
            return None
        finally:
            if token is not None:
                REQUEST.reset(token)

    def answer_then(self, head: PlainHead, body: bytes, then: Then) -> bool:
        """Give the answer once the disk has it; False where the route itself has to answer.

        Then ``then`` is not called. It is told None where the disk could not have it and must.
        """

        def settled(reply: PredictionReply | None) -> None:
            then(None if reply is None else partial(self._said, head, reply))

        token = _named(head)
        try:
            ready = self._ready(head, body)
            if ready is not None:
                self._predictions.given_then(ready, settled)
        except TimonelError:
            return False
        except Exception:  # noqa: BLE001 - as above
            _log.exception(_LEFT)
            return False
        finally:
            if token is not None:
                REQUEST.reset(token)
        return ready is not None

    def left(self) -> None:
        """Count an answer that nobody was there to take."""
        self._slot.count(Family.REQUESTS, "predict", str(CLIENT_LEFT))

    def _ready(self, head: PlainHead, body: bytes) -> Plain | None:
        """Read what can be answered, for whom it may be; raises as the gate does."""
        started_ns = time.monotonic_ns()
        snapshot = self._snapshot()
        if snapshot is None or tracing.active is not None:
            return None
        model = snapshot.models.get(head.model)
        if model is None:
            return None
        ready = self._predictions.plain(snapshot, model, body, started_ns)
        if ready is not None and not head.local:
            self._gate.admit(head.asked)
        return ready

    def _said(self, head: PlainHead, reply: PredictionReply) -> bytes:
        self._slot.count(Family.REQUESTS, "predict", "200")
        body = encode_reply(reply)
        request_id = request_id_of(head.request_id)
        return head_of(body, request_id, logged=reply.logged is not False) + body


def _named(head: PlainHead) -> Token[bytes] | None:
    """Let what rules log carry the request's id, where the client gave it one."""
    return None if head.request_id is None else REQUEST.set(request_id_of(head.request_id))
