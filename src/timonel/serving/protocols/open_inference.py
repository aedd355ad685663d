"""The Open Inference Protocol, version 2, over REST: routes under ``/v2``."""

import asyncio
from collections.abc import Callable
from typing import Any

from timonel import __version__
from timonel.errors import Phrase
from timonel.serving.errors import NotReady, NotServable
from timonel.serving.protocols.errors import RepositoryIsGoverned, UnknownProtocolRoute
from timonel.serving.protocols.inference import InferBody, inputs_of
from timonel.serving.protocols.models import Served, can_answer, loaded_of, pinned_of
from timonel.serving.protocols.outputs import described, outputs_of, rendered
from timonel.serving.routes.asker import INLINE_ROWS
from timonel.serving.routes.exchange import Exchange, require_json, said_of_log
from timonel.serving.routes.predict import Predictions
from timonel.serving.versions.snapshot import ServedModel, ServedVersion
from timonel.wire.errors import InvalidRequest
from timonel.wire.replies import PredictionReply, PredictionsReply
from timonel.wire.strict_json import JsonObject, describe, read_json

ROOT = "/v2"
HEAD_SIZE = b"inference-header-content-length"
_BINARY = b"application/octet-stream"
_ROUTES = (
    "GET /v2",
    "GET /v2/health/live",
    "GET /v2/health/ready",
    "GET /v2/models/MODEL[/versions/VERSION][/ready]",
    "POST /v2/models/MODEL[/versions/VERSION]/infer",
    "POST /v2/repository/index",
    "POST /v2/repository/models/MODEL/load",
    "POST /v2/repository/models/MODEL/unload",
)
_REFUSED = 400  # what is not ready answers 4xx in this protocol
_GOVERNED = ("config", "file:")


class OpenInference:
    """Answers the routes under ``/v2``.

    Parameters
    ----------
    served : Served
    predictions : Predictions
    max_body_bytes : int
    """

    def __init__(self, served: Served, predictions: Predictions, max_body_bytes: int) -> None:
        self._served = served
        self._predictions = predictions
        self._limit = max_body_bytes

    async def answer(self, exchange: Exchange, started_ns: int) -> None:
        """Answer one request; raises ``TimonelError``."""
        exchange.route = ROOT
        match exchange.path.strip("/").split("/")[1:]:
            case []:
                await self._server(exchange)
            case ["health", ("live" | "ready") as asked]:
                await self._health(exchange, asked)
            case ["models", name]:
                await self._metadata(exchange, name, None)
            case ["models", name, "versions", version]:
                await self._metadata(exchange, name, version)
            case ["models", name, "ready"]:
                await self._model_ready(exchange, name, None)
            case ["models", name, "versions", version, "ready"]:
                await self._model_ready(exchange, name, version)
            case ["models", name, "infer"]:
                await self._infer(exchange, name, None, started_ns)
            case ["models", name, "versions", version, "infer"]:
                await self._infer(exchange, name, version, started_ns)
            case ["repository", *rest]:
                await self._repository(exchange, rest)
            case _:
                raise _unknown(exchange)

    # --- server and models

    async def _server(self, exchange: Exchange) -> None:
        exchange.require("GET", "HEAD")
        await exchange.reply_json(
            {
                "name": "timonel",
                "version": __version__,
                "extensions": ["binary_tensor_data", "model_repository"],
            }
        )

    async def _health(self, exchange: Exchange, asked: str) -> None:
        exchange.require("GET", "HEAD")
        if asked == "ready":
            try:
                self._served.snapshot()
            except NotReady as error:
                await _not_ready(exchange, error)
                return
        await exchange.reply_json({asked: True})

    async def _metadata(self, exchange: Exchange, name: str, number: str | None) -> None:
        exchange.require("GET", "HEAD")
        _, model = self._served.model(name)
        version = _shown(model, number)
        await exchange.reply_json(
            {
                "name": name,
                "versions": list(loaded_of(model)),
                "platform": f"timonel_{version.manifest.predictor}",
                "inputs": inputs_of(version.decoder.schema, version.decoder.key),
                "outputs": [
                    described(one.name, one.datatype, one.width)
                    for one in outputs_of(version.manifest)
                ],
            }
        )

    async def _model_ready(self, exchange: Exchange, name: str, number: str | None) -> None:
        exchange.require("GET", "HEAD")
        try:
            _, model = self._served.model(name)
        except NotReady as error:
            await _not_ready(exchange, error)
            return
        version = pinned_of(model, number) or model.shown
        if version is None or not can_answer(version):
            await _not_ready(exchange, _mute(model))
            return
        await exchange.reply_json({"name": name, "ready": True})

    # --- inference

    async def _infer(
        self, exchange: Exchange, name: str, number: str | None, started_ns: int
    ) -> None:
        exchange.route = f"{ROOT}/infer"
        exchange.require("POST")
        _, model = self._served.model(name)
        pinned_of(model, number)  # refused before its body is read
        kind = exchange.headers.get(b"content-type")
        if kind is not None and not kind.startswith(_BINARY):
            require_json(kind)
        head_size = _head_size(exchange)
        body = InferBody(await exchange.content(self._limit), head_size, exchange.path[:200])
        snapshot, model = self._served.model(name)  # the body may have taken a while
        pinned = pinned_of(model, number)
        reply = await self._predictions.answer(
            snapshot,
            model,
            body,
            started_ns=started_ns,
            language=exchange.language,
            pinned=pinned,
        )
        version = pinned or model.shown
        replies = answers_of(reply)
        head: dict[str, Any] = {
            "model_name": name,
            "model_version": "" if version is None else version.version,
        }
        if body.id is not None:
            head["id"] = body.id
        text, size = await _in_turn(len(replies), lambda: rendered(head, body.outputs, replies))
        extra = said_of_log(replies)
        if size is None:
            await exchange.reply(text, extra=extra)
        else:
            extra = (*extra, (HEAD_SIZE, b"%d" % size))
            await exchange.reply(text, media_type=_BINARY, extra=extra)

    # --- repository

    async def _repository(self, exchange: Exchange, rest: list[str]) -> None:
        match rest:
            case ["index"]:
                await self._index(exchange)
            case ["models", name, ("load" | "unload") as action]:
                await self._govern(exchange, name, action)
            case _:
                raise _unknown(exchange)

    async def _index(self, exchange: Exchange) -> None:
        exchange.require("POST")
        asked = await self._asked(exchange)
        only_ready = asked.get("ready", False)
        if not isinstance(only_ready, bool):
            raise InvalidRequest(
                field="ready",
                found=describe(only_ready),
                expected=Phrase("true or false", "true o false"),
                route="/v2/repository/index",
                example="{}",
            )
        entries = [
            entry
            for name, model in self._served.snapshot().models.items()
            if exchange.caller is None or exchange.caller.sees(name)
            for entry in _entries(name, model)
            if entry["state"] == "READY" or not only_ready
        ]
        await exchange.reply_json(entries)

    async def _govern(self, exchange: Exchange, name: str, action: str) -> None:
        """Accept the loading of what is served; refuse any change of it."""
        exchange.require("POST")
        _, model = self._served.model(name)
        parameters = (await self._asked(exchange)).get("parameters")
        changes = isinstance(parameters, JsonObject) and any(
            str(one).startswith(_GOVERNED) for one in parameters
        )
        if action == "unload" or changes:
            spanish = "retirar" if action == "unload" else "cargar"
            raise RepositoryIsGoverned(model=name, action=action, action_es=spanish)
        if not can_answer(model.shown):
            raise _mute(model)
        await exchange.reply_json({})

    async def _asked(self, exchange: Exchange) -> JsonObject:
        """Read a body that may be empty."""
        kind = exchange.headers.get(b"content-type")
        body = await exchange.content(self._limit)
        if not body.strip():
            return JsonObject([])
        if kind is not None:
            require_json(kind)
        document = read_json(body)
        if isinstance(document, JsonObject):
            return document
        raise InvalidRequest(
            field="body",
            found=describe(document),
            expected=Phrase("an object, or nothing", "un objeto, o nada"),
            route=exchange.path[:200],
            example="{}",
        )


def answers_of(reply: PredictionReply | PredictionsReply) -> list[PredictionReply]:
    """Give the answers of a request that is answered whole or not at all."""
    if isinstance(reply, PredictionReply):
        return [reply]
    return [one for one in reply.predictions if isinstance(one, PredictionReply)]


async def _in_turn(
    n_rows: int, work: Callable[[], tuple[bytes, int | None]]
) -> tuple[bytes, int | None]:
    """Do what takes longer for many rows in a thread, so that others are not held up."""
    return work() if n_rows <= INLINE_ROWS else await asyncio.to_thread(work)


def _head_size(exchange: Exchange) -> int | None:
    sent = exchange.headers.get(HEAD_SIZE)
    if sent is None:
        return None
    digits = sent.strip()
    if not digits.isdigit() or len(digits) > 18:
        raise InvalidRequest(
            field="Inference-Header-Content-Length",
            found=sent.decode("latin-1")[:40],
            expected=Phrase("the bytes of the body's JSON", "los bytes del JSON del cuerpo"),
            route=exchange.path[:200],
            example='{"inputs": [...]}',
        )
    return int(digits)


def _shown(model: ServedModel, number: str | None) -> ServedVersion:
    version = pinned_of(model, number) or model.shown
    if version is None:
        raise _mute(model)
    return version


def _entries(name: str, model: ServedModel) -> list[dict[str, str]]:
    loaded = loaded_of(model)
    if not loaded:
        ready = can_answer(model.shown)
        return [_entry(name, "", ready, "" if ready else "nothing can answer")]
    return [
        _entry(name, number, can_answer(version), "; ".join(text for _, text in version.faults))
        for number, version in loaded.items()
    ]


def _entry(name: str, version: str, ready: bool, reason: str) -> dict[str, str]:
    state = "READY" if ready else "UNAVAILABLE"
    return {"name": name, "version": version, "state": state, "reason": reason}


def _mute(model: ServedModel) -> NotServable:
    return NotServable(
        model=model.name,
        why="it has no version that can be asked",
        why_es="no tiene versión que consultar",
    )


async def _not_ready(exchange: Exchange, error: NotReady | NotServable) -> None:
    language = exchange.language
    await exchange.reply_json(
        {"error": f"{error.message(language)} {error.remedy(language)}"}, status=_REFUSED
    )


def _unknown(exchange: Exchange) -> UnknownProtocolRoute:
    return UnknownProtocolRoute(path=exchange.path[:200], routes=", ".join(_ROUTES))
