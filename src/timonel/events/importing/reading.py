"""Rows of a file or table of outcomes: what identifies each, and what each says."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from hashlib import sha1
from json import JSONEncoder
from json.encoder import encode_basestring_ascii as quoted
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from timonel.events.frames import OutcomeFrame
from timonel.events.plans import Plan, Problem
from timonel.wire.answer import Label
from timonel.wire.ids import parse_uuid

_NAMESPACE = UUID("6f0f7c3e-6d1b-5a36-9a43-3c3f1f6f2b1d").bytes
_KEY_LIMIT = 256
_content = JSONEncoder(sort_keys=True, default=str).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of the file say what; one of ``key`` and ``prediction_id`` is needed.

    ``time`` is when the truth held: it belongs to the last prediction of the key until then (a
    date: until the end of that day). ``as_of`` is that of all rows. Without either, until the
    import.
    """

    value: str
    key: str | None = None
    prediction_id: str | None = None
    time: str | None = None
    as_of: str | None = None


@dataclass(frozen=True, slots=True)
class Bad:
    """Why a row cannot be sent: the name of a text and what was found."""

    text: str
    found: str
    expected: str = ""


def identities(
    rows: Sequence[Mapping[str, Any]], columns: Columns, project: str, model: str
) -> list[bytes]:
    """Give the id of each row's outcome, 16 bytes: the same row in the same file has the same.

    Notes
    -----
    A UUID of version 5 (RFC 9562, section 5.5) of the row's content; of rows that are alike, of
    which of them it is, too.
    """
    place = f"[{quoted(project)}, {quoted(model)}, "
    said = "" if columns.as_of is None else f", {quoted(columns.as_of.strip())}"
    seen = Counter[str]()
    found = []
    for row in rows:
        content = _content(row)
        name = f"{place}{quoted(content)}, {seen[content]}{said}]"
        seen[content] += 1
        digest = bytearray(sha1(_NAMESPACE + name.encode(), usedforsecurity=False).digest()[:16])
        digest[6] = digest[6] & 0x0F | 0x50
        digest[8] = digest[8] & 0x3F | 0x80
        found.append(bytes(digest))
    return found


class Reader:
    """Makes outcome frames of rows."""

    def __init__(
        self,
        columns: Columns,
        model: str,
        plan: Plan,
        zone: ZoneInfo,
        until: int,
    ) -> None:
        self._columns = columns
        self._model = model
        self._plan = plan
        self._zone = zone
        self._until = until

    def frame(self, row: Mapping[str, Any], id_: bytes, arrived: int) -> OutcomeFrame | Bad:
        """Read a row, or say why it cannot be sent."""
        as_of = self._columns.as_of
        value = self._plan.read(_label(row[self._columns.value]))
        if isinstance(value, Problem):
            return Bad(value.code, value.found, value.expected)
        observed_at: int | Bad = self._until
        if self._columns.time is not None:
            observed_at = moment_of(row[self._columns.time], self._zone, self._until)
        elif as_of is not None:
            observed_at = moment_of(as_of, self._zone, self._until)
        if isinstance(observed_at, Bad):
            return observed_at
        named = self._named(row)
        if isinstance(named, Bad):
            return named
        return OutcomeFrame(
            id=id_,
            at=arrived,
            model=self._model,
            prediction=named if isinstance(named, bytes) else None,
            key=named if isinstance(named, str) else None,
            observed_at=observed_at,
            value=value,
            origin="file",
        )

    def _named(self, row: Mapping[str, Any]) -> bytes | str | Bad:
        """Read which prediction a row names: an id, or a key."""
        if self._columns.key is None:
            text = _text(row[self._columns.prediction_id or ""])
            return parse_uuid(text) or Bad("not_an_id", repr(text))
        key = _text(row[self._columns.key])
        if not key or len(key) > _KEY_LIMIT or "\0" in key:
            return Bad("bad_key", repr(key)[:100])
        return key if self._plan.outcome.key is not None else Bad("no_key", key)


def _label(cell: Any) -> Label | None:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, str):
        return cell.strip() or None
    return cell if isinstance(cell, bool | int | float) else str(cell)


def _text(cell: Any) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    # spreadsheets turn integer keys into floats
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def moment_of(cell: Any, zone: tzinfo, until: int) -> int | Bad:
    """Read when a truth held, in microseconds; of a date, until its end or ``until``."""
    if isinstance(cell, str):
        try:
            text = cell.strip()
            cell = date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
        except ValueError:
            return Bad("bad_time", repr(text))
    if isinstance(cell, date) and not isinstance(cell, datetime):
        # of today, only what has passed
        return min(until, _microseconds(datetime.combine(cell, time.max, zone)))
    if not isinstance(cell, datetime):
        return Bad("bad_time", repr(cell))
    return _microseconds(cell if cell.tzinfo is not None else cell.replace(tzinfo=zone))


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
