"""A table as its file has it: named columns of raw cells, and where each row stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import polars as pl

from timonel.project.reading.errors import DuplicateColumns

# What counts as missing wherever the column is otherwise a number, a date, a flag or a target.
MISSING = frozenset(
    {
        *("na", "n/a", "#n/a", "-", "--", "?", "null", "none", "nan", "nil", "#n/d", "n/d", "s/d"),
        *("s/i", "sin información", "sin informacion", "sin dato", "sin datos", "#¡n/d!"),
    }
)

_TYPES: dict[str, pl.DataType] = {
    "text": pl.String(),
    "flag": pl.Boolean(),
    "moment": pl.Datetime("us"),
    "aware": pl.Datetime("us", "UTC"),
}


@dataclass(frozen=True, slots=True)
class RawTable:
    """Cells before they are typed.

    Parameters
    ----------
    frame : polars.DataFrame
        Text columns where the source knows only text, typed ones where it knows more.
    lines : list of int, or None
        The line of each row in the file; None: rows counted from 1.
    path : str
        For messages.
    """

    frame: pl.DataFrame
    lines: list[int] | None
    path: str

    def line(self, row: int) -> int:
        """Give the line of a row (row counted from 0)."""
        return self.lines[row] if self.lines else row + 1


def check_names(frame: pl.DataFrame, names: Sequence[str], path: str, line: int) -> pl.DataFrame:
    """Name the columns; drop those without a name and content; name other nameless ones.

    Raises
    ------
    DuplicateColumns
        If a name stands twice.
    """
    kept, final = [], []
    for at, (column, raw) in enumerate(zip(frame.columns, names, strict=True)):
        name = " ".join(str(raw).split())
        if not name:
            series = frame[column]
            if series.dtype == pl.String:
                series = series.replace("", None)
            if series.null_count() == len(series):
                continue
            name = f"unnamed_{at + 1}"
        if name in final:
            first = next(i for i, n in enumerate(names) if " ".join(str(n).split()) == name)
            raise DuplicateColumns(
                path=path, line=line, column=name, positions=f"{first + 1}, {at + 1}"
            )
        kept.append(column)
        final.append(name)
    frame = frame.select(kept)
    frame.columns = final
    return frame


def column_of(name: str, values: Sequence[Any]) -> pl.Series:
    """Make one column of Python values, as workbooks, databases and dicts give them.

    A column of one kind keeps it. Missing words among values of another kind are missing; any other
    mixture becomes text, as the values would be written.
    """
    plain = [_plain(value) for value in values]
    kinds = {_kind(value) for value in plain} - {"none"}
    if len(kinds) > 1 and "text" in kinds:
        plain = [
            None if isinstance(v, str) and (not v.strip() or v.strip().casefold() in MISSING) else v
            for v in plain
        ]
        kinds = {_kind(value) for value in plain} - {"none"}
    if len(kinds) == 1:
        kind = kinds.pop()
        if kind == "number":
            return _numbers(name, plain)
        if kind in _TYPES:
            return pl.Series(name, plain, dtype=_TYPES[kind])
    return pl.Series(name, [_written(value) for value in plain], dtype=pl.String)


def _numbers(name: str, values: list[Any]) -> pl.Series:
    whole = all(value is None or isinstance(value, int) for value in values)
    if whole and all(value is None or abs(value) < 2**63 for value in values):
        return pl.Series(name, values, dtype=pl.Int64)
    return pl.Series(name, [None if v is None else float(v) for v in values], dtype=pl.Float64)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time.min)
    if isinstance(value, float) and value != value:  # NaN is how pandas says missing
        return None
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, datetime):
        return "moment" if value.tzinfo is None else "aware"
    return "text" if isinstance(value, str) else "other"


def _written(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, time | timedelta):
        return str(value)
    return str(value)
