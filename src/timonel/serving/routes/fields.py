"""Fields that several bodies share: ids, moments and labels, each read or refused by name."""

from typing import Any
from zoneinfo import ZoneInfo

from timonel.errors import Phrase
from timonel.schema.validation_fields import Fault, parse_moment
from timonel.wire.ids import parse_uuid, parse_uuid7
from timonel.wire.strict_json import describe

A_MOMENT = Phrase(
    "a moment in ISO 8601: 2026-03-01T14:30:00-03:00",
    "un momento en ISO 8601: 2026-03-01T14:30:00-03:00",
)
_OF_AN_ANSWER = Phrase(
    "the prediction_id of an answer: a UUID's text",
    "el prediction_id de una respuesta: el texto de un UUID",
)
_OWN_ID = Phrase("the text of a UUIDv7", "el texto de un UUIDv7")


def moment(sent: Any, zone: ZoneInfo) -> int | None:
    """Read a moment as microseconds UTC; None stays None. Raises ``Fault``."""
    if sent is None:
        return None
    if not isinstance(sent, str):
        raise Fault("wrong_type", describe(sent), A_MOMENT)
    try:
        return parse_moment(sent.strip(), zone)
    except (ValueError, OverflowError):
        raise Fault("not_a_time", describe(sent), A_MOMENT) from None


def prediction_named(sent: Any) -> bytes | None:
    """Read the id of a prediction that was answered; None stays None. Raises ``Fault``."""
    if sent is None:
        return None
    identifier = parse_uuid(sent) if isinstance(sent, str) else None
    if identifier is None:
        raise Fault("not_an_id", describe(sent), _OF_AN_ANSWER)
    return identifier


def own_id(sent: Any) -> bytes | None:
    """Read an id that the client made, so that a repeat counts once. Raises ``Fault``."""
    if sent is None:
        return None
    identifier = parse_uuid7(sent) if isinstance(sent, str) else None
    if identifier is None:
        raise Fault("not_an_id", describe(sent), _OWN_ID)
    return identifier


def field_error(row: int, field: str, code: str, found: str, expected: str) -> dict[str, Any]:
    """Give one entry of a refusal's ``errors``."""
    return {"row": row, "field": field, "code": code, "found": found, "expected": expected}
