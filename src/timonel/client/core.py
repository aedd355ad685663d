"""What a client does, told as steps: the sync and the async client only carry them out.

Each operation is a generator. It yields a ``Send`` (answered by a ``Reply`` or a ``Failure``), a
``Pause``, or a ``Work`` that may block (a rule, a write to disk), and returns its result. So there
is one retry policy, one fallback and one form of every request.
"""

import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, TypeVar

from timonel.client.errors import QueueFull, QueueUnusable, RequestRefused, ServerUnreachable
from timonel.client.queue import Parcel, Queue
from timonel.client.rules import LocalRules
from timonel.wire.answer import Answer, Reason, Source
from timonel.wire.ids import IdSource, id_text

Row = Mapping[str, Any]
Document = dict[str, Any]
WhenFull = Literal["raise", "answer"]

_TOO_MANY = 429
_AGAIN = frozenset((_TOO_MANY, 502, 503, 504))
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
_FIRST_REST_S, _LONGEST_REST_S = 1.0, 30.0
_LEAST_S = 0.05


class Send(NamedTuple):
    """A request to send."""

    method: str
    path: str
    body: Any
    timeout_s: float


class Pause(NamedTuple):
    """Time to let pass."""

    seconds: float


class Work(NamedTuple):
    """A call that may block for milliseconds."""

    call: Callable[[], Any]


class Reply(NamedTuple):
    """The server's answer; ``document`` is its JSON, or its text where it is none."""

    status: int
    document: Any
    retry_after_s: float = 0.0


class Failure(NamedTuple):
    """There was no answer; ``late``: the time was up."""

    cause: str
    late: bool = False


_T = TypeVar("_T")
Step = Send | Pause | Work
Steps = Generator[Step, Any, _T]


class _Rest:
    """How long a server that failed is left alone; it doubles while it keeps failing."""

    def __init__(self) -> None:
        self._rest_s = 0.0
        self._until = 0.0

    def resting(self) -> bool:
        return time.monotonic() < self._until

    def failed(self) -> None:
        self._rest_s = min(max(_FIRST_REST_S, self._rest_s * 2), _LONGEST_REST_S)
        self._until = time.monotonic() + self._rest_s

    def succeeded(self) -> None:
        self._rest_s = self._until = 0.0


class Core:
    """The operations of a client. Safe to share between threads.

    Parameters
    ----------
    base_url : str
    timeout_s : float
    retries : int
    rules : LocalRules
    queue : Queue or None
        Where answers, records and outcomes wait while the server is away.
    when_full : {"raise", "answer"}
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float,
        retries: int,
        rules: LocalRules,
        queue: Queue | None,
        when_full: WhenFull,
    ) -> None:
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._retries = retries
        self._rules = rules
        self._queue = queue
        self._when_full = when_full
        self._ids = IdSource()
        self._rests: dict[str, _Rest] = {}
        self._asked: set[str] = set()  # models whose rules the server was asked for
        self.n_unlogged = 0

    def predict(self, model: str, row: Row, unit_id: str | None) -> Steps[Document]:
        """Answer one row, by the server or by the rules here."""
        started = time.monotonic()
        frame = {"prediction_id": self._new_id()} | _given(unit_id=unit_id)
        found = yield from self._ask(model, {"inputs": dict(row), **frame})
        if isinstance(found, Reply) and found.status < 300:
            document: Document = found.document
            return document
        return (yield from self._locally(model, row, frame, started, found))

    def predict_many(
        self, model: str, rows: Sequence[Row], unit_id: str | None
    ) -> Steps[list[Document]]:
        """Answer rows in order; a row that is refused is answered by its error."""
        started = time.monotonic()
        if not rows:
            return []
        ids = [self._new_id() for _ in rows]
        shared = _given(unit_id=unit_id)
        body = {"inputs": [dict(row) for row in rows], "prediction_ids": ids, "partial": True}
        found = yield from self._ask(model, body | shared)
        if isinstance(found, Reply) and found.status < 300:
            answers: list[Document] = found.document["predictions"]
            return answers
        local = []
        for row, identifier in zip(rows, ids, strict=True):
            frame = {"prediction_id": identifier} | shared
            local.append((yield from self._locally(model, row, frame, started, found)))
        return local

    def log(self, model: str, records: Sequence[Document]) -> Steps[list[str]]:
        """Record predictions that were made elsewhere; give their ids."""
        now = _now()
        bodies = [
            {"prediction_id": self._new_id(), "at": now}
            | {name: value for name, value in record.items() if value is not None}
            for record in records
        ]
        yield from self._tell(f"/v1/models/{model}/predictions", "predictions", bodies)
        return [str(body["prediction_id"]) for body in bodies]

    def outcomes(self, model: str, outcomes: Sequence[Document]) -> Steps[list[str]]:
        """Tell what turned out to be true; give the outcomes' ids."""
        bodies = [
            {"outcome_id": self._new_id()}
            | {n: value for n, value in one.items() if value is not None or n == "value"}
            for one in outcomes
        ]
        yield from self._tell(f"/v1/models/{model}/outcomes", "outcomes", bodies)
        return [str(body["outcome_id"]) for body in bodies]

    def get(self, path: str) -> Steps[Any]:
        """Read a document."""
        found = yield from self._exchange("GET", path, None, self._retries)
        return self._require(found)

    def health(self) -> Steps[Document]:
        """Read the server's state, also when it is unhealthy (503)."""
        found = yield Send("GET", "/health", None, self._timeout_s)
        if isinstance(found, Reply) and isinstance(found.document, dict):
            return found.document
        raise self._unreachable(found)

    # -- asking ------------------------------------------------------------------------------

    def _ask(self, model: str, body: Document) -> Steps[Reply | Failure]:
        """Ask for a prediction; raises where rules of our own would not help."""
        path = f"/v1/models/{model}/predict"
        if not self._rules:
            found = yield from self._exchange("POST", path, body, self._retries)
            self._require(found)
            return found
        if self._rules.by_server and model not in self._asked:
            yield from self._learn(model)
        rest = self._rests.setdefault(model, _Rest())
        if rest.resting():
            return Failure("it failed a moment ago and is left alone")
        # with rules at hand, the whole of it may take no longer than one attempt
        found = yield from self._exchange("POST", path, body, self._retries, within=True)
        if isinstance(found, Failure) or found.status >= 500:
            rest.failed()
            return found
        rest.succeeded()
        self._require(found)
        return found

    def _exchange(
        self, method: str, path: str, body: Any, retries: int, *, within: bool = False
    ) -> Steps[Reply | Failure]:
        """Send, and send again: every body carries its own id, so a repetition counts once.

        A ``Retry-After`` longer than the time there is for it is not waited for. ``within``: the
        whole takes no longer than one attempt, and only a 429 is waited for, for the rules at
        hand answer a server that fails.
        """
        until = time.monotonic() + self._timeout_s
        for attempt in range(retries + 1):
            left = until - time.monotonic() if within else self._timeout_s
            found: Reply | Failure = yield Send(method, path, body, max(left, _LEAST_S))
            if isinstance(found, Reply) and found.status not in _AGAIN:
                return found
            if attempt == retries or (within and isinstance(found, Failure) and found.late):
                return found
            asked_s = 0.0
            if isinstance(found, Reply) and (found.status == _TOO_MANY or not within):
                asked_s = found.retry_after_s
            # random on top of it: all who were refused at once must not come back at once
            pause = asked_s + min(
                random.uniform(0.0, _FIRST_PAUSE_S * 2**attempt), _LONGEST_PAUSE_S
            )
            if asked_s > self._timeout_s or (within and time.monotonic() + pause > until):
                return found
            yield Pause(pause)
        raise AssertionError("a loop of at least one attempt")

    def _tell(self, path: str, name: str, bodies: list[Document]) -> Steps[None]:
        """Deliver now or, where there is a queue and no server, later."""
        if not bodies:
            return
        found = yield from self._exchange("POST", path, {name: bodies}, self._retries)
        away = isinstance(found, Failure) or found.status >= 500
        if not away or self._queue is None:
            self._require(found)
            return
        for body in bodies:
            yield from self._put(Parcel(path, name, body))

    def _require(self, found: Reply | Failure) -> Any:
        if isinstance(found, Failure):
            raise self._unreachable(found)
        if found.status < 300:
            return found.document
        raise refused(found)

    def _unreachable(self, found: Reply | Failure) -> ServerUnreachable:
        cause = found.cause if isinstance(found, Failure) else f"status {found.status}"
        return ServerUnreachable(url=self._base_url, cause=cause)

    # -- answering here ----------------------------------------------------------------------

    def _locally(
        self, model: str, row: Row, frame: Document, started: float, found: Reply | Failure
    ) -> Steps[Document]:
        answer: Answer | None = yield Work(lambda: self._rules.answer(model, row))
        if answer is None:
            self._require(found)
            raise self._unreachable(found)
        record = _given(
            prediction=answer.prediction,
            score=answer.score,
            probabilities=answer.probabilities,
            explanation=answer.explanation,
        )
        latency_ms = round((time.monotonic() - started) * 1000.0, 3)
        body = {"inputs": dict(row), "source": Source.RULES.value, "at": _now(), **frame, **record}
        body["latency_ms"] = max(latency_ms, 0.001)
        document = {
            "prediction_id": frame["prediction_id"],
            "model": model,
            "version": "",
            "variant": "",
            "source": Source.RULES.value,
            "reason": Reason.SERVER_AWAY.value,
            "prediction": answer.prediction,
            "score": answer.score,
            "probabilities": answer.probabilities,
            "latency_ms": latency_ms,
        } | _given(explanation=answer.explanation)
        try:
            yield from self._put(Parcel(f"/v1/models/{model}/predictions", "predictions", body))
        except (QueueFull, QueueUnusable):
            if self._when_full == "raise":
                raise
            self.n_unlogged += 1
            return document | {"logged": False}
        return document | {"queued": True}

    def _put(self, parcel: Parcel) -> Steps[None]:
        queue = self._queue
        if queue is not None:
            yield Work(lambda: queue.put(parcel))

    def _learn(self, model: str) -> Steps[None]:
        found = yield Send("GET", f"/v1/models/{model}/rules", None, self._timeout_s)
        if isinstance(found, Failure) or found.status >= 500:
            return  # asked again with the next prediction
        self._asked.add(model)
        if found.status < 300:
            self._rules.learn(model, found.document["function"], found.document["source"])

    def _new_id(self) -> str:
        return id_text(self._ids.next())


def refused(reply: Reply) -> RequestRefused:
    """Make the error of a refusal from its problem document."""
    problem = reply.document
    if not isinstance(problem, dict):
        problem = {"status": reply.status, "detail": str(problem)[:500]}
    return RequestRefused(
        status=reply.status,
        detail=str(problem.get("detail", "")),
        advice=str(problem.get("remedy", "")),
        problem=problem,
    )


def _given(**values: Any) -> Document:
    return {name: value for name, value in values.items() if value is not None}


def _now() -> str:
    return datetime.now(UTC).isoformat()
