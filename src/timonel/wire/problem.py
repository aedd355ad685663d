"""Errors as problem documents (RFC 9457): the only place where an error becomes a status."""

from typing import Any

from timonel.errors import (
    Conflict,
    Corrupt,
    Forbidden,
    InvalidInput,
    MalformedInput,
    NotAllowed,
    NotFound,
    ProjectFault,
    TimonelError,
    TooLarge,
    TooMany,
    Unauthorized,
    Unavailable,
    UnsupportedForm,
    in_language,
)
from timonel.wire.errors import HeadTooLarge

MEDIA_TYPE = "application/problem+json"

_STATUS: dict[type[TimonelError], int] = {
    MalformedInput: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    NotAllowed: 405,
    Conflict: 409,
    HeadTooLarge: 431,
    TooLarge: 413,
    UnsupportedForm: 415,
    InvalidInput: 422,
    ProjectFault: 422,
    TooMany: 429,
    Corrupt: 503,
    Unavailable: 503,
}


def status_of(error: TimonelError) -> int:
    """Give the HTTP status of an error by its family; 500 for one of no family (a defect)."""
    for family in type(error).__mro__:
        status = _STATUS.get(family)
        if status is not None:
            return status
    return 500


def problem(
    error: TimonelError,
    *,
    lang: str = "en",
    instance: str | None = None,
    request_id: str | None = None,
) -> dict[str, Any]:
    """Build the problem document of an error.

    Returns
    -------
    dict
        ``type`` (``urn:timonel:error:<code>``), ``title``, ``status``, ``code``, ``detail``,
        ``remedy``, the error's context as extension members, and ``instance`` and ``request_id``
        where given.
    """
    status = status_of(error)
    document: dict[str, Any] = {
        "type": f"urn:timonel:error:{error.code}",
        "title": error.code.replace("_", " "),
        "status": status,
        "code": error.code,
        "detail": error.message(lang),
        "remedy": error.remedy(lang),
    }
    if instance is not None:
        document["instance"] = instance
    if request_id is not None:
        document["request_id"] = request_id
    for name, value in in_language(error.context, lang).items():
        document.setdefault(name, value)
    return document
