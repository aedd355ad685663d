"""Lengths of time as a project writes them."""

import re
from datetime import timedelta

from timonel.errors import Phrase
from timonel.schema.errors import InvalidDeclaration

_DURATION = re.compile(r"(\d+)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: str) -> timedelta:
    """Read ``"30d"``, ``"12h"``, ``"5m"``, ``"90s"`` or ``"2w"``.

    Raises
    ------
    InvalidDeclaration
        If the text is none of these.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise InvalidDeclaration(
            object=Phrase("a duration", "una duración"),
            found=repr(text),
            expected=Phrase(
                "a number and s, m, h, d or w: '30d'", "un número y s, m, h, d o w: '30d'"
            ),
        )
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
