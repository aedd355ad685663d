"""Errors in each protocol's own form."""

from typing import Any

from timonel.errors import InvalidInput, TimonelError
from timonel.schema.errors import InvalidRow
from timonel.serving.routes.exchange import ErrorForm
from timonel.wire.problem import status_of

_INFERENCE = "/v2"
_MLFLOW = ("/invocations", "/ping", "/version")
_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    405: "BAD_REQUEST",
    409: "RESOURCE_CONFLICT",
    413: "BAD_REQUEST",
    415: "BAD_REQUEST",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
}


def form_of(path: str) -> ErrorForm | None:
    """Give the error form of the protocol that a path belongs to; None: our own."""
    if path == _INFERENCE or path.startswith(f"{_INFERENCE}/"):
        return inference_error
    if path in _MLFLOW or path.startswith("/invocations/"):
        return mlflow_error
    return None


def inference_error(error: TimonelError, language: str) -> tuple[int, dict[str, Any]]:
    """Give status and body of an error of the Open Inference Protocol."""
    return _status(error), {"error": _said(error, language)}


def mlflow_error(error: TimonelError, language: str) -> tuple[int, dict[str, Any]]:
    """Give status and body of an error of MLflow's scoring protocol."""
    status = _status(error)
    code = _CODES.get(status, "INTERNAL_ERROR")
    if isinstance(error, InvalidInput):
        code = "INVALID_PARAMETER_VALUE"
    return status, {"error_code": code, "message": _said(error, language)}


def _status(error: TimonelError) -> int:
    # neither protocol knows 422
    return 400 if isinstance(error, InvalidInput) else status_of(error)


def _said(error: TimonelError, language: str) -> str:
    if isinstance(error, InvalidRow):
        errors = error.context["errors"]
        if any(one["row"] for one in errors):
            # our own form lists rows apart; here the text is all there is
            told = [{**one, "field": f"[{one['row']}].{one['field']}"} for one in errors]
            error = InvalidRow(model=error.context["model"], errors=told)
    return f"{error.message(language)} {error.remedy(language)}"
