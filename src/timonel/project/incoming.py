"""Files that come after training: rows to answer, and truths.

They are read by their own evidence. What a file leaves open (``10.824``, ``05/03/2026``) means what
it meant in the data that the serving version learned from, if that is known; else it is refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from timonel.project.reading.errors import AmbiguousDates, AmbiguousNumbers
from timonel.project.sources import directions
from timonel.project.tables import Table
from timonel.schema.schema import Schema

if TYPE_CHECKING:
    import polars as pl

    from timonel.project.reading.cells import Reading, Typed
    from timonel.project.reading.raw import RawTable

_PLAIN = "utf-8"


@dataclass(frozen=True, slots=True)
class Manner:
    """How a person says that a file is written, and how the training data were.

    Parameters
    ----------
    decimal : str or None
        The decimal mark of the file's numbers, as said by the person who hands it in.
    dates : mapping of str to str
        strptime formats of its date columns, as said by that person.
    learned : mapping
        ``Table.describe()`` of the training data, {} if unknown; asked only where the file is open.
    """

    decimal: str | None = None
    dates: Mapping[str, str] = field(default_factory=dict)
    learned: Mapping[str, Any] = field(default_factory=dict)


class Incoming(NamedTuple):
    """The rows of a file, and how it is written, so that an answer can be written alike."""

    frame: "pl.DataFrame"
    encoding: str
    separator: str
    decimal: str


def read_asked(
    source: Table, schema: Schema, others: Iterable[str], manner: Manner | None = None
) -> Incoming:
    """Read rows to answer: the schema's columns, and ``others`` (a key) where they are there.

    Raises
    ------
    ProjectFault
        If it cannot be read, or a column does not fit its feature.
    """
    raw, found = source.load()
    manner = manner or Manner()
    said = replace(source, decimal=manner.decimal, dates=dict(manner.dates))
    typed = _settle(raw, directions(said, raw, schema, None, others), manner.learned)
    return _incoming(typed, found, manner)


def read_truths(
    source: Table, value: str, kind: str, time: str | None, manner: Manner | None = None
) -> Incoming:
    """Read truths: the column ``value`` as ``kind`` ("number", "label"), ``time`` as moments.

    A time column without any time of day gives dates. All other columns are words; a column that
    is not there is left to the caller to miss.

    Raises
    ------
    ProjectFault
        If it cannot be read, or a column does not fit its kind.
    """
    import polars as pl

    raw, found = source.load()
    manner = manner or Manner()
    kinds = dict.fromkeys(raw.frame.columns, "text")
    kinds |= {name: how for name, how in ((value, kind), (time, "date")) if name in kinds}
    said = replace(source, decimal=manner.decimal, dates=dict(manner.dates), columns=kinds)
    typed = _settle(raw, said.reading(), manner.learned)
    frame = typed.frame
    if time in kinds and frame[time].dtype == pl.Datetime:
        moments = frame[time].drop_nulls()
        if (moments.dt.truncate("1d") == moments).all():
            frame = frame.with_columns(pl.col(time).cast(pl.Date))
    return _incoming(typed._replace(frame=frame), found, manner)


def _settle(raw: "RawTable", how: "Reading", learned: Mapping[str, Any]) -> "Typed":
    """Type the cells; ask the training data column by column for what the file leaves open."""
    from timonel.project.reading.cells import type_table

    while True:
        try:
            return type_table(raw, how)
        except AmbiguousDates as unsettled:
            name = unsettled.context["column"]
            form = learned.get("dates", {}).get(name)
            if form is None or name in how.dates:
                raise
            how = replace(how, dates={**how.dates, name: form})
        except AmbiguousNumbers as unsettled:
            name = unsettled.context["column"]
            mark = learned.get("decimals", {}).get(name) or learned.get("decimal")
            if mark is None or name in how.decimals:
                raise
            how = replace(how, decimals={**how.decimals, name: mark})


def _incoming(typed: "Typed", found: Mapping[str, Any], manner: Manner) -> Incoming:
    encoding = _PLAIN if found.get("encoding") == _PLAIN else "utf-8-sig"
    separator = found.get("separator") or ","
    usual = manner.decimal or manner.learned.get("decimal")
    comma = "," in (typed.reading.decimal, usual) and separator != ","
    return Incoming(typed.frame, encoding, separator, "," if comma else ".")
