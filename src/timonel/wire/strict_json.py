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

from timonel.errors import Phrase
from timonel.wire.errors import MalformedBody

A_JSON_OBJECT = Phrase("a JSON object", "un objeto JSON")
_LONGEST_INTEGER = 400  # digits; float overflows at 309
_SAID_ES = {
    "expecting property name enclosed in double quotes": "falta un nombre entre comillas dobles",
    "expecting value": "falta un valor",
    "expecting ':' delimiter": "falta ':'",
    "expecting ',' delimiter": "falta ','",
    "extra data": "sobra texto después del documento",
    "unterminated string starting at": "un texto sin comilla de cierre",
    "invalid control character at": "un carácter de control",
    "invalid \\escape": "un escape \\ no válido",
    "invalid \\uxxxx escape": "un escape \\uXXXX no válido",
    "illegal trailing comma before end of object": "sobra una coma al final del objeto",
    "illegal trailing comma before end of array": "sobra una coma al final de la lista",
}


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
            found=Phrase(
                "the byte 0x{byte:02x} at position {at}",
                "el byte 0x{byte:02x} en la posición {at}",
                byte=body[error.start],
                at=error.start,
            ),
            expected=Phrase("text in UTF-8", "texto en UTF-8"),
            position=error.start,
        ) from None
    if not text.strip():
        raise MalformedBody(
            found=Phrase("an empty body", "un cuerpo vacío"), expected=A_JSON_OBJECT, position=0
        )
    try:
        document = _decoder.decode(text)
    except json.JSONDecodeError as error:
        found = Phrase(
            "{said} (line {line}, column {column})",
            "{said} (línea {line}, columna {column})",
            said=_said(error.msg),
            line=error.lineno,
            column=error.colno,
        )
        raise MalformedBody(found=found, expected="JSON", position=error.pos) from None
    except RecursionError:
        raise MalformedBody(
            found=Phrase(
                "too deeply nested arrays or objects", "listas u objetos demasiado anidados"
            ),
            expected=Phrase("at most a few levels", "unos pocos niveles"),
            position=0,
        ) from None
    if "\\u" in text:
        _refuse_surrogates(document)
    return document


def _refuse_surrogates(document: Any) -> None:
    try:
        json.dumps(document, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise MalformedBody(
            found=Phrase(
                "half of a surrogate pair (\\ud800 to \\udfff) in a text",
                "la mitad de un par sustituto (\\ud800 a \\udfff) en un texto",
            ),
            expected=Phrase(
                "both halves, or the character itself in UTF-8",
                "ambas mitades, o el carácter mismo en UTF-8",
            ),
            position=0,
        ) from None


def _said(message: str) -> Phrase:
    """Give what the standard library says of broken JSON, in both languages."""
    english = message.lower()
    spanish = (es for en, es in _SAID_ES.items() if english.startswith(en))
    return Phrase(english, next(spanish, english))


def describe(value: Any) -> str:
    """Say what a value is, short enough for a message: ``the text "1,5"``, ``null``, ``a list``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        shown = value if len(value) <= 40 else value[:40] + "..."
        quoted = json.dumps(shown, ensure_ascii=not value.isprintable())
        return Phrase("the text {text}", "el texto {text}", text=quoted)
    if isinstance(value, dict):
        return Phrase("an object", "un objeto")
    if isinstance(value, list | tuple):
        return Phrase("a list of {n}", "una lista de {n}", n=len(value))
    if isinstance(value, Unusable):
        return value.text
    if isinstance(value, int) and value.bit_length() > 1024:
        return Phrase(
            "a whole number of {n} bits", "un número entero de {n} bits", n=value.bit_length()
        )
    if isinstance(value, int | float):
        return _short(repr(value))
    return Phrase("a {kind}", "un {kind}", kind=type(value).__name__)
