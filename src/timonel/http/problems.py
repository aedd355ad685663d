"""Every refusal as a problem document: ours, the framework's own, and what nobody expected."""

from collections.abc import Mapping, MutableMapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from timonel.dashboard.language import Language, choose_language
from timonel.errors import Phrase, TimonelError, TooMany
from timonel.http.errors import InvalidParameters, UnknownRoute
from timonel.schema.validation import NOTHING
from timonel.wire.checks import expected_by
from timonel.wire.errors import MalformedBody, MethodNotAllowed, UnexpectedFailure
from timonel.wire.problem import MEDIA_TYPE, problem, status_of
from timonel.wire.strict_json import A_JSON_OBJECT

REQUEST_ID = "timonel.request_id"  # where a scope keeps it
PROBLEM = "timonel.problem"  # where it keeps the code of the answer, if that is a problem
_SHOWN = 80


def problem_response(
    error: TimonelError,
    lang: Language,
    scope: MutableMapping[str, Any],
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Make the answer to a refused request; ``scope`` is ASGI's, and notes the problem's code."""
    scope[PROBLEM] = error.code
    request_id = scope.get(REQUEST_ID)
    document = problem(error, lang=lang, instance=scope["path"], request_id=request_id)
    content = msgspec.json.encode(document, enc_hook=str)
    status = status_of(error)
    extra = dict(headers or {})
    if status == 401:
        extra["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, TooMany):
        extra["Retry-After"] = str(error.context["retry_after_s"])
    return Response(content, status, extra | {"Content-Language": lang}, MEDIA_TYPE)


def install(api: FastAPI, setting: str | None) -> None:
    """Make every error of an application a problem document; ``setting`` is its language."""

    def language(request: Request) -> Language:
        accepted = request.headers.get("accept-language")
        return choose_language(None, None, accepted, setting)

    @api.exception_handler(TimonelError)
    def refused(request: Request, error: TimonelError) -> Response:
        return problem_response(error, language(request), request.scope)

    @api.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        return problem_response(invalid_request(error), language(request), request.scope)

    @api.exception_handler(HTTPException)
    def framework(request: Request, error: HTTPException) -> Response:
        headers = error.headers or {}
        found = _of_framework(error, request)
        return problem_response(found, language(request), request.scope, headers)


def _of_framework(error: HTTPException, request: Request) -> TimonelError:
    path = request.url.path[:200]
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "GET")
        return MethodNotAllowed(method=request.method, path=path, allowed=allowed)
    if error.status_code == 400:  # a body that is no text at all
        return MalformedBody(found=str(error.detail)[:_SHOWN], expected=A_JSON_OBJECT)
    if error.status_code == 404:
        return UnknownRoute(path=path)
    return UnexpectedFailure(error_id=f"status-{error.status_code}")


def invalid_request(error: RequestValidationError) -> TimonelError:
    """Say in our form what the framework found wrong with a request."""
    entries: list[dict[str, Any]] = []
    for entry in error.errors():
        if entry["type"] == "json_invalid":
            broken = Phrase(
                "{said} at byte {at}",
                "{said} en el byte {at}",
                said=entry.get("ctx", {}).get("error", "?"),
                at=entry["loc"][-1],
            )
            return MalformedBody(found=broken, expected=A_JSON_OBJECT)
        place = [str(part) for part in entry["loc"]]
        found = NOTHING if entry["type"] == "missing" else _shown(entry["input"])
        entries.append({"field": ".".join(place), "found": found, "expected": expected_by(entry)})
    return InvalidParameters(errors=entries)


def _shown(value: object) -> str:
    text = repr(value).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
