"""The careful reader: JSON into Python values, keeping what a fast decoder would hide.

Used after a fast decoder refused a body (to say exactly why), and where duplicated keys are
suspected. Numbers that no float holds, and the literals NaN and Infinity, come back as ``Unusable``
so that the field they stand in can be named; duplicated keys come back on their object.
"""

import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from timonel.wire.errors import MalformedBody

_LONGEST_INTEGER = 400  # digits; float overflows at 309


@dataclass(frozen=True, slots=True)
class Unusable:
    """A literal that stands for no finite number, as it was written (shortened)."""

    text: str


class JsonObject(dict[str, Any]):
    """A JSON object that knows which of its keys came more than once."""

    __slots__ = ("duplicates",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.duplicates: tuple[str, ...] = ()
        if len(self) != len(pairs):
            counts = Counter(key for key, _ in pairs)
            self.duplicates = tuple(key for key, n in counts.items() if n > 1)


def _float(text: str) -> float | Unusable:
    value = float(text)
    return value if math.isfinite(value) else Unusable(_short(text))


def _integer(text: str) -> int | Unusable:
    return int(text) if len(text) <= _LONGEST_INTEGER else Unusable(_short(text))


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:12]}... ({len(text)} characters)"


_decoder = json.JSONDecoder(
    object_pairs_hook=JsonObject,
    parse_float=_float,
    parse_int=_integer,
    parse_constant=Unusable,
)


def read_json(body: bytes) -> Any:
    """Read one JSON document in UTF-8 (a byte order mark is passed over).

    Returns
    -------
    JsonObject, list, str, int, float, bool, None or Unusable

    Raises
    ------
    MalformedBody
        Saying what was found and at which byte or line.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedBody(
            found=f"the byte 0x{body[error.start]:02x} at position {error.start}",
            expected="text in UTF-8",
            position=error.start,
        ) from None
    if not text.strip():
        raise MalformedBody(found="an empty body", expected="a JSON object", position=0)
    try:
        document = _decoder.decode(text)
    except json.JSONDecodeError as error:
        found = f"{error.msg.lower()} (line {error.lineno}, column {error.colno})"
        raise MalformedBody(found=found, expected="JSON", position=error.pos) from None
    except RecursionError:
        raise MalformedBody(
            found="too deeply nested arrays or objects", expected="at most a few levels", position=0
        ) from None
    if "\\u" in text:
        _refuse_surrogates(document)
    return document


def _refuse_surrogates(document: Any) -> None:
    try:
        json.dumps(document, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise MalformedBody(
            found="half of a surrogate pair (\\ud800 to \\udfff) in a text",
            expected="both halves, or the character itself in UTF-8",
            position=0,
        ) from None


def describe(value: Any) -> str:
    """Say what a value is, short enough for a message: ``the text "1,5"``, ``null``, ``a list``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        shown = value if len(value) <= 40 else value[:40] + "..."
        return f"the text {json.dumps(shown, ensure_ascii=not value.isprintable())}"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, Unusable):
        return value.text
    if isinstance(value, int) and value.bit_length() > 1024:
        return f"a whole number of {value.bit_length()} bits"
    if isinstance(value, int | float):
        return _short(repr(value))
    return f"a {type(value).__name__}"
