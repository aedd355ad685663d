"""The predict worker's ASGI application: a few raw routes, and the rest forwarded.

It answers ``POST /v1/models/{model}/predict``, ``.../outcomes`` and ``.../predictions``,
``/livez``, ``/readyz``, ``/metrics`` and the routes of other protocols by itself; every other path
goes to the control process, or is refused where there is none (role predict). Nothing here waits
for a database or a disk but the spool's own write.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

from timonel import tracing
from timonel.access.gate import Asked, Gate, Keys
from timonel.access.usage import KeyUsage
from timonel.errors import TimonelError
from timonel.events.recorded.place import bind
from timonel.events.spool import SpoolWriter
from timonel.experiments.turns import TurnStore
from timonel.logging import REQUEST
from timonel.registry.artifacts import ArtifactStore
from timonel.registry.errors import UnknownModel
from timonel.serving.config import WorkerConfig
from timonel.serving.errors import NotReady, RouteNotHere
from timonel.serving.exposition import MEDIA_TYPE as METRICS_TYPE
from timonel.serving.exposition import exposition
from timonel.serving.lookups.entity import EntityRow
from timonel.serving.lookups.lookup import Lookups
from timonel.serving.metrics import Family, Gauge, MetricsSlot, read_slots
from timonel.serving.native_pool import NativeClient
from timonel.serving.protocols import lines, open_inference, scoring
from timonel.serving.protocols.forms import form_of
from timonel.serving.proxy import ControlProxy
from timonel.serving.routes.cors import Cors
from timonel.serving.routes.exchange import (
    CLIENT_LEFT,
    Disconnected,
    Exchange,
    Receive,
    Scope,
    Send,
)
from timonel.serving.routes.journal import Journal
from timonel.serving.routes.outcomes import Outcomes
from timonel.serving.routes.plain import PlainPredictions
from timonel.serving.routes.predict import Predictions
from timonel.serving.routes.records import Records
from timonel.serving.versions.reload import Reloader
from timonel.serving.versions.snapshot import Loader, ServedModel, Snapshot
from timonel.serving.versions.turns import Turns
from timonel.store.lean import LeanStore
from timonel.wire.errors import UnexpectedFailure
from timonel.wire.problem import status_of

FIRST_S = 5.0  # how long a start waits for the database before it answers "not ready"
_ROUTES = (
    "POST /v1/models/{model}/predict",
    "POST /v1/models/{model}/predict/{entity}",
    "POST /v1/models/{model}/outcomes",
    "POST /v1/models/{model}/predictions",
    "GET /livez",
    "GET /readyz",
    "GET /metrics",
    "POST /invocations",
    "GET /v2",
)
_MODELS = "/v1/models/"
_PREDICT = f"{_MODELS}{{model}}/predict"
_log = logging.getLogger("timonel.serving")

Forward = Callable[[Scope, Receive, Send], Awaitable[None]]
Answering = Callable[[Exchange, int], Awaitable[None]]


class ServingApplication:
    """An ASGI application for one event loop.

    Parameters
    ----------
    config : WorkerConfig
    forward : callable or None
        Answers what is not answered here.
    native : NativeClient or None
    """

    def __init__(
        self, config: WorkerConfig, forward: Forward | None, native: NativeClient | None
    ) -> None:
        self._config = config
        self._forward = forward
        self._native = native
        self._cors = Cors(config.cors_origins) if config.cors_origins else None
        self._usage = KeyUsage(config.key_usage)
        self._gate = Gate(
            self._keys,
            admin_sha256=config.admin_key_sha256,
            usage=self._usage,
            origins=() if self._cors is None else self._cors.origins,
        )
        self._slot = MetricsSlot(config.slot, config.slot_index)
        self._reloader = Reloader(
            LeanStore(config.database_url),
            Loader(ArtifactStore(config.artifacts).get, native=native is not None),
            config.project,
            self._changed,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failing: set[tuple[str, str]] = set()
        self._warm: set[tuple[str, bool]] = set()  # digests; and whether nobody hears them
        self._warming: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._waits = config.durability == "synced"
        self._closing: asyncio.Future[None] | None = None
        self._lookups = Lookups(os.environ)
        self._spool: SpoolWriter | None = None
        self._turns: Turns | None = None
        self._predictions: Predictions | None = None
        self.plain: PlainPredictions | None = None  # None: everything goes the way of ASGI
        self._outcomes: Outcomes | None = None
        self._records: Records | None = None
        self._lines: lines.Lines | None = None
        self._protocols: dict[str, Answering] = {}  # by the first part of a path

    @property
    def ready(self) -> bool:
        """Whether there is something to answer with, and the end has not begun."""
        return self._reloader.current is not None and not self._stopping

    @property
    def generation(self) -> int:
        """The generation that is served; 0 before the first."""
        snapshot = self._reloader.current
        return 0 if snapshot is None else snapshot.generation

    @property
    def in_flight(self) -> int:
        """How many requests with a whole body are being answered."""
        takers = (self._predictions, self._outcomes, self._records)
        return sum(taker.in_flight for taker in takers if taker is not None)

    async def start(self) -> None:
        """Open the spool and load what is to be served; a second call does nothing.

        Returns after the first snapshot, or after 5 s without one: then it is not ``ready``, and
        becomes so when the database answers.

        Raises
        ------
        SpoolFull
            If the spool folder cannot be written.
        """
        if self._spool is not None:
            return
        config = self._config
        self._loop = asyncio.get_running_loop()
        bind(config.spool.parent, self._event_time)
        self._spool = SpoolWriter.open(
            config.spool, durability=config.durability, max_bytes=config.spool_max_bytes
        )
        journal = Journal(self._spool, self._slot, may_skip=config.spool_full == "answer")
        self._turns = Turns(TurnStore(config.database_url, config.project))
        self._predictions = Predictions(
            journal, self._native, max_rows=config.max_rows, turns=self._turns
        )
        self._outcomes = Outcomes(journal, max_rows=config.max_rows)
        self._records = Records(journal, max_rows=config.max_rows)
        if self._cors is None and not config.root_path and config.role != "control":
            self.plain = PlainPredictions(
                self._served, self._gate, self._predictions, self._slot, synced=self._waits
            )
        self._open_protocols(self._predictions)
        self._reloader.start()
        await asyncio.to_thread(self._reloader.wait_first, FIRST_S)

    def _open_protocols(self, predictions: Predictions) -> None:
        limit = self._config.max_body_bytes
        self._lines = lines.Lines(self, predictions, limit, waits=self._waits)
        inference = open_inference.OpenInference(self, predictions, limit)
        mlflow = scoring.Scoring(self, predictions, limit)
        self._protocols = {open_inference.ROOT: inference.answer, scoring.ROOT: mlflow.answer}
        self._protocols |= dict.fromkeys(scoring.PATHS, mlflow.answer)

    async def stop(self) -> None:
        """Refuse new work, let what was begun end, and close the spool; a second call waits too."""
        self._stopping = True
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await self._closing

    async def _close(self) -> None:
        if self._predictions is None or self._spool is None:
            self._slot.close()
            self._usage.close()
            return
        while self.in_flight:
            await asyncio.sleep(0.005)
        for task in self._warming:
            task.cancel()
        await asyncio.to_thread(self._reloader.stop)
        await self._predictions.close()
        self._lookups.close()
        if self._turns is not None:
            await asyncio.to_thread(self._turns.close)
        if self._native is not None:
            await self._native.close()
        await asyncio.to_thread(self._spool.close)
        self._slot.close()
        self._usage.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; HTTP is the only kind there is."""
        started_ns = time.monotonic_ns()
        if scope["type"] != "http":
            return
        config = self._config
        exchange = Exchange(scope, receive, send, config.language, config.root_path)
        REQUEST.set(exchange.request_id)  # of this request's task alone
        exchange.waits = self._waits
        if self._cors is not None:
            exchange.extra = self._cors.granted(exchange.headers)
            preflight = self._cors.preflight(exchange.method, exchange.headers)
            if preflight is not None:
                exchange.extra = preflight
                await exchange.reply(b"", status=204)
                return
        try:
            await self._route(exchange, started_ns)
        except TimonelError as error:
            await exchange.refuse(error, form_of(exchange.path))
        except Disconnected:
            if exchange.status != CLIENT_LEFT:  # its request was not whole, or it left a stream
                return
        except Exception as error:  # noqa: BLE001 - a defect must not be a bare 500
            await self._unexpected(exchange, error)
        if exchange.route and not self._stopping:
            self._slot.count(Family.REQUESTS, exchange.route, str(exchange.status))

    async def _route(self, exchange: Exchange, started_ns: int) -> None:
        path = exchange.path
        exchange.route = "access"  # as what a refusal is counted
        exchange.caller = self._gate.admit(
            Asked(exchange.method, path, exchange.peer, exchange.headers)
        )
        exchange.route = ""
        answers = self._config.role != "control"  # whose process says who does
        if answers and path.startswith(_MODELS):
            name, _, action = path[len(_MODELS) :].partition("/")
            if action == "predict":
                predicting = self._predict(exchange, name, started_ns)
                if tracing.active is not None:
                    predicting = self._traced(exchange, _PREDICT, predicting)
                await predicting
                return
            if action[:8] == "predict/" and len(action) > 8:
                finding = self._predict_entity(exchange, name, action[8:], started_ns)
                await self._traced(exchange, f"{_PREDICT}/{{entity}}", finding)
                return
            if action == "outcomes":
                exchange.require("POST")
                await self._accept(exchange, name, action, self._outcomes)
                return
            if action == "predictions" and exchange.method == "POST":  # GET lists them: control
                await self._accept(exchange, name, action, self._records)
                return
        answer = self._own.get(path)
        if answer is not None:
            exchange.route = path
            exchange.require("GET", "HEAD")
            await answer(self, exchange)
        elif answers and (protocol := self._protocols.get(_root_of(path))) is not None:
            await self._traced(exchange, _root_of(path), protocol(exchange, started_ns))
        elif self._forward is not None:
            await exchange.forward(self._forward)
        else:
            raise RouteNotHere(path=path[:200], answered=", ".join(_ROUTES))

    async def _traced(self, exchange: Exchange, route: str, answering: Awaitable[None]) -> None:
        """Answer, in a span where this process traces."""
        traces = tracing.active
        if traces is None:
            await answering
            return
        with traces.request(exchange.method, route, exchange.headers) as span:
            try:
                await answering
            except TimonelError as error:
                span.responded(status_of(error), error.code)
                raise
            except Disconnected:
                span.responded(CLIENT_LEFT)
                raise
            except Exception:
                span.responded(500, UnexpectedFailure.code)
                raise
            span.responded(exchange.status)

    async def _predict(self, exchange: Exchange, name: str, started_ns: int) -> None:
        exchange.route = "predict"
        if exchange.method != "POST":
            exchange.require("POST")
        self.model(name)
        if lines.is_lines(exchange.headers.get(b"content-type")):
            assert self._lines is not None  # noqa: S101 - there is a snapshot, so it was started
            await self._lines.answer(exchange, name)
            return
        body = await exchange.body(self._config.max_body_bytes)
        snapshot, model = self.model(name)  # the body may have taken a while
        assert self._predictions is not None  # noqa: S101 - there is a snapshot, so it was started
        reply = await self._predictions.answer(
            snapshot, model, body, started_ns=started_ns, language=exchange.language
        )
        await exchange.reply_prediction(reply)

    async def _predict_entity(
        self, exchange: Exchange, name: str, entity: str, started_ns: int
    ) -> None:
        exchange.route = "predict"
        exchange.require("POST")
        self.model(name)
        body = await exchange.body(self._config.max_body_bytes)
        snapshot, model = self.model(name)
        assert self._predictions is not None  # noqa: S101 - there is a snapshot, so it was started
        row = EntityRow(self._lookups, model, entity, body)
        reply = await self._predictions.answer(
            snapshot, model, row, started_ns=started_ns, language=exchange.language
        )
        await exchange.reply_prediction(reply)

    async def _accept(
        self, exchange: Exchange, name: str, route: str, taker: Outcomes | Records | None
    ) -> None:
        exchange.route = route
        self.model(name)
        body = await exchange.body(self._config.max_body_bytes)
        snapshot, model = self.model(name)
        assert taker is not None  # noqa: S101 - there is a snapshot, so it was started
        await exchange.reply_json(await taker.accept(snapshot, model, body), status=202)

    def _served(self) -> Snapshot | None:
        return None if self._stopping else self._reloader.current

    def _keys(self) -> Keys:
        """Give the keys in force; raises ``NotReady`` before they are known."""
        snapshot = self._reloader.current
        if snapshot is None:
            raise self._not_ready()
        return snapshot.keys

    def snapshot(self) -> Snapshot:
        """Give what is served now; raises ``NotReady`` before there is something and at the end."""
        snapshot = self._reloader.current
        if snapshot is None or self._stopping:
            raise self._not_ready()
        return snapshot

    def model(self, name: str) -> tuple[Snapshot, ServedModel]:
        """Give a model with its snapshot; raises ``NotReady`` or ``UnknownModel``."""
        snapshot = self.snapshot()
        model = snapshot.models.get(name)
        if model is None:
            raise UnknownModel(model=name[:64], known=sorted(snapshot.models))
        return snapshot, model

    def _not_ready(self) -> NotReady:
        found = "the server is stopping" if self._stopping else "no snapshot"
        if self._reloader.trouble is not None and not self._stopping:
            found = self._reloader.trouble[:300]
        return NotReady(found=found, project=self._config.project)

    async def _live(self, exchange: Exchange) -> None:
        await exchange.reply_json({"status": "alive"})

    async def _ready(self, exchange: Exchange) -> None:
        snapshot = self.snapshot()
        await exchange.reply_json(
            {
                "status": "ready",
                "project": self._config.project,
                "generation": snapshot.generation,
                "models": {name: _state(model) for name, model in snapshot.models.items()},
                "faults": [
                    {
                        "model": fault.model,
                        "alias": fault.alias,
                        "version": fault.version,
                        "code": fault.code,
                        "reason": fault.reason,
                    }
                    for fault in snapshot.faults
                ],
                "store": self._reloader.trouble or "reachable",
            }
        )

    def tell_state(self) -> None:
        """Write this worker's present values where whichever worker is scraped reads them."""
        self._slot.gauge(Gauge.IN_FLIGHT, self.in_flight)
        self._slot.gauge(Gauge.STORE_SEEN, int(self._reloader.seen_at))

    async def _metrics(self, exchange: Exchange) -> None:
        self.tell_state()
        text = await asyncio.to_thread(self._exposed)
        await exchange.reply(text.encode(), media_type=METRICS_TYPE.encode())

    def _exposed(self) -> str:
        text = exposition(read_slots(self._config.slot))
        beside = self._config.exposed
        if beside is not None:
            with contextlib.suppress(FileNotFoundError):  # nothing was written here yet
                text += beside.read_text("utf-8")
        return text

    def _event_time(self, real_us: int) -> int:
        """Give the event time of what the rules record."""
        snapshot = self._reloader.current
        return real_us if snapshot is None else snapshot.clock.at(real_us)

    _own: dict[str, Callable[["ServingApplication", Exchange], Awaitable[None]]] = {
        "/livez": _live,
        "/readyz": _ready,
        "/metrics": _metrics,
    }

    async def _unexpected(self, exchange: Exchange, error: Exception) -> None:
        error_id = os.urandom(6).hex()
        _log.error(
            "error %s at %s (request %s): %r",
            error_id,
            exchange.path[:200],
            exchange.request_id.decode(),
            error,
            exc_info=error,
            extra={"request_id": exchange.request_id.decode()},
        )
        if exchange.status:
            raise error  # the answer has begun: the server has to cut the connection
        await exchange.refuse(UnexpectedFailure(error_id=error_id), form_of(exchange.path))

    def _changed(self, snapshot: Snapshot) -> None:
        """Take note of a new snapshot (in the polling thread)."""
        self._slot.gauge(Gauge.GENERATION, snapshot.generation)
        self._slot.gauge(Gauge.READY, 1)
        failing = {(fault.model, fault.version) for fault in snapshot.faults}
        for labels in failing | self._failing:
            self._slot.set(Family.FAULTS, *labels, value=int(labels in failing))
        self._failing = failing
        if self._native is not None and self._loop is not None:
            for one in snapshot.natives() - self._warm:
                self._warm.add(one)
                self._loop.call_soon_threadsafe(self._begin_warming, *one)

    def _begin_warming(self, digest: str, unheard: bool) -> None:
        task = asyncio.create_task(self._warm_up(digest, unheard))
        self._warming.add(task)
        task.add_done_callback(self._warming.discard)

    async def _warm_up(self, digest: str, unheard: bool) -> None:
        assert self._native is not None  # noqa: S101 - asked only where there is a pool
        try:
            await self._native.load(digest, unheard=unheard)
        except TimonelError as error:
            _log.error("%s", error)
            self._warm.discard((digest, unheard))


def build(config: WorkerConfig) -> ServingApplication:
    """Make a worker's application; nothing is opened before ``start``.

    Parameters
    ----------
    config : WorkerConfig
    """
    forward = None
    if config.control_socket is not None:
        forward = ControlProxy(config.control_socket).forward
    native = None if config.native_socket is None else NativeClient(config.native_socket)
    return ServingApplication(config, forward, native)


def _root_of(path: str) -> str:
    return "/" + path[1:].partition("/")[0]


def _state(model: ServedModel) -> dict[str, Any]:
    champion = model.champion
    return {
        "champion": None if champion is None else champion.version,
        "answers_by": "model" if champion is not None and champion.has_predictor else "fallback",
        "loaded": {
            alias: version.version for alias, version in model.versions() if version.version
        },
    }
