"""Feature flags by OpenFeature's remote evaluation protocol (OFREP, open-feature/protocol 0.3).

A flag is an experiment in which someone else acts; its value and its variant are the unit's arm.
One flag evaluated by itself is an exposure; all flags at once are not: nobody acts on them yet.
"""

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from timonel.experiments.design import Mode, State
from timonel.experiments.errors import NotAssigning, NotOutside, UnknownExperiment
from timonel.experiments.outside.errors import UnitNotAssigned
from timonel.http.access.callers import caller_of, require_seen
from timonel.http.parameters import storable

if TYPE_CHECKING:
    from timonel.app import App

TAG = "openfeature"
_PATH = "/ofrep/v1/evaluate/flags"
_MOST_SIGNS = 256

_Document = dict[str, Any]
_TEXT: _Document = {"type": "string"}
_CONTEXT: _Document = {
    "type": "object",
    "required": ["targetingKey"],
    "properties": {"targetingKey": {"type": "string", "description": "Whom it is about."}},
    "additionalProperties": True,
    "description": "The unit and its attributes, by which experiments choose whom they are for.",
}
_ASKED: _Document = {
    "type": "object",
    "required": ["context"],
    "properties": {"context": _CONTEXT},
}
_REFUSED: _Document = {
    "type": "object",
    "required": ["errorCode", "errorDetails"],
    "properties": {"key": _TEXT, "errorCode": _TEXT, "errorDetails": _TEXT},
}
_EVALUATED: _Document = {
    "type": "object",
    "required": ["key", "value", "reason", "variant"],
    "properties": {
        **dict.fromkeys(("key", "value", "reason", "variant"), _TEXT),
        "metadata": {"type": "object"},
    },
}
_ALL_EVALUATED: _Document = {
    "type": "object",
    "required": ["flags"],
    "properties": {"flags": {"type": "array", "items": {"anyOf": [_EVALUATED, _REFUSED]}}},
}


_BODY: _Document = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": _ASKED}}}
}


class _Evaluation(msgspec.Struct):
    context: dict[str, Any] = {}


class _Refused(Exception):
    """A request that this protocol answers with a code of its own."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(details)
        self.code = code


_bodies = msgspec.json.Decoder(_Evaluation)


def create_openfeature_routes(app: "App") -> APIRouter:
    """Make the routes of OFREP."""
    router = APIRouter(tags=[TAG])

    @router.post(
        f"{_PATH}/{{name}}",
        summary="Evaluate a flag (OFREP); it is an exposure",
        responses=_answers("The unit's arm.", _EVALUATED),
        openapi_extra=_BODY,
    )
    async def one(name: str, request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(_one, app, name, body, request)

    @router.post(
        _PATH,
        summary="Evaluate all flags (OFREP), without an exposure",
        responses=_answers("Each flag's arm, or why there is none.", _ALL_EVALUATED)
        | {304: {"description": "As the ETag of If-None-Match says."}},
        openapi_extra=_BODY,
    )
    async def every(request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(_every, app, body, request)

    return router


def _answers(said: str, form: _Document) -> dict[int | str, _Document]:
    return {
        200: {"description": said, "content": {"application/json": {"schema": form}}},
        "default": {
            "description": "Refused, in the protocol's own form.",
            "content": {"application/json": {"schema": _REFUSED}},
        },
    }


def _one(app: "App", name: str, body: bytes, request: Request) -> Response:
    try:
        unit, attributes = _read(body)
        require_seen(request, app.outside_units.model_of(name))
        arm = app.outside_units.assign(name, unit, attributes).arm
    except _Refused as refused:
        return _answer({"key": name} | _error(refused), 400)
    except (UnknownExperiment, NotOutside) as error:
        absent = _Refused("FLAG_NOT_FOUND", str(error))
        return _answer({"key": name} | _error(absent), 404)
    except (UnitNotAssigned, NotAssigning) as error:
        return _answer({"key": name} | _error(_refusal(error)), 400)
    return _answer(_flag(name, arm))


def _every(app: "App", body: bytes, request: Request) -> Response:
    try:
        unit, attributes = _read(body)
    except _Refused as refused:
        return _answer(_error(refused), 400)
    seen = caller_of(request).models
    flags = []
    for experiment in app.experiments.all(state=State.ACTIVE):
        design = experiment.design
        if design.mode is not Mode.OUTSIDE or (seen is not None and design.model not in seen):
            continue
        try:
            arm = app.outside_units.peek(experiment.name, unit, attributes)
        except (UnitNotAssigned, NotAssigning) as error:
            flags.append({"key": experiment.name} | _error(_refusal(error)))
        else:
            flags.append(_flag(experiment.name, arm))
    content = msgspec.json.encode({"flags": flags})
    tag = f'"{sha256(content).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(content, 200, {"ETag": tag}, "application/json")


def _read(body: bytes) -> tuple[str, dict[str, Any]]:
    """Read the unit and its attributes out of a request's context."""
    try:
        context = _bodies.decode(body or b"{}").context
    except msgspec.ValidationError as error:
        raise _Refused("INVALID_CONTEXT", str(error)) from None
    except msgspec.DecodeError as error:
        raise _Refused("PARSE_ERROR", str(error)) from None
    unit = context.pop("targetingKey", None)
    if not isinstance(unit, str) or not unit:
        raise _Refused("TARGETING_KEY_MISSING", "context.targetingKey: expected whom it is about")
    try:
        storable(unit)
    except ValueError as error:
        raise _Refused("INVALID_CONTEXT", f"context.targetingKey {error}") from None
    if len(unit) > _MOST_SIGNS:
        raise _Refused("INVALID_CONTEXT", f"context.targetingKey: at most {_MOST_SIGNS} signs")
    return unit, context


def _refusal(error: UnitNotAssigned | NotAssigning) -> _Refused:
    code = "INVALID_CONTEXT" if isinstance(error, UnitNotAssigned) else "GENERAL"
    return _Refused(code, str(error))


def _flag(name: str, arm: str) -> dict[str, Any]:
    metadata = {"experiment": name}
    return {"key": name, "value": arm, "reason": "SPLIT", "variant": arm, "metadata": metadata}


def _error(refused: _Refused) -> dict[str, Any]:
    return {"errorCode": refused.code, "errorDetails": str(refused)}


def _answer(document: dict[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, media_type="application/json")
