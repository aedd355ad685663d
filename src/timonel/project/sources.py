"""Where training data come from: files, SQL, or a function of the project.

Every source can be read again and gives the same typed rows while its data are unchanged. What is
not said (encoding, separator, marks of numbers, formats of dates) is found by evidence at each
reading; ``settle`` says what was found, and ``timonel init`` writes it into the project.
"""

import os
import re
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from timonel.errors import Phrase, ProjectFault, TimonelError
from timonel.project.reading.errors import (
    EmptyTable,
    FailedSource,
    MissingFile,
    MissingVariable,
    UnreadableFile,
    UnreadableQuery,
    UnsupportedSource,
)
from timonel.project.tables import FileTable, Table, what_is_there
from timonel.schema.features import Category, Feature, Flag, Number, Text, Timestamp
from timonel.schema.schema import Schema

if TYPE_CHECKING:
    import polars as pl

    from timonel.project.reading.cells import Reading
    from timonel.project.reading.raw import RawTable


@runtime_checkable
class Source(Protocol):
    """A place that can be read again and gives the same rows as long as it is unchanged."""

    def read(self) -> Any:
        """Give all rows as a polars DataFrame, typed."""
        ...

    def describe(self) -> dict[str, Any]:
        """Give a JSON-safe description (kind, path or query, dialect) for lineage."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Csv(FileTable):
    r"""A delimited text file: ``Csv("ventas.csv", encoding="cp1252", separator=";", decimal=",")``.

    Parameters
    ----------
    path : str or Path
    encoding : str or None
        "utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16"; None: by evidence.
    separator : str or None
        "," ";" "|" or a tab ("\t", "tab"); None: by evidence.
    """

    encoding: str | None = None
    separator: str | None = None

    def load(self) -> "tuple[RawTable, dict[str, Any]]":
        """Give the rows of the file before they are typed, and the dialect that was found."""
        from timonel.project.reading.delimited import read_delimited

        separator = "\t" if self.separator in ("tab", "\\t") else self.separator
        read = read_delimited(
            self.content(), str(self.path), encoding=self.encoding, separator=separator
        )
        return read.table, {"encoding": read.encoding, "separator": read.separator}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parquet(FileTable):
    """A Parquet file."""

    def load(self) -> "tuple[RawTable, dict[str, Any]]":
        """Give the columns of the file before they are typed, and the dialect that was found."""
        import polars as pl

        from timonel.project.reading.raw import RawTable, check_names

        data = self.content()
        try:
            frame = pl.read_parquet(data)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            found = str(error).split("\n", 1)[0][:120]
            raise UnreadableFile(path=str(self.path), expected="Parquet", found=found) from None
        if frame.height == 0:
            raise EmptyTable(path=str(self.path), n_lines=1)
        named = check_names(frame, frame.columns, str(self.path), 1)
        return RawTable(named, None, str(self.path)), {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Excel(FileTable):
    """One sheet of an Excel workbook (.xlsx); the first that holds anything if none is named."""

    sheet: str | None = None

    def load(self) -> "tuple[RawTable, dict[str, Any]]":
        """Give the cells of the sheet before they are typed, and the dialect that was found."""
        from timonel.project.reading.workbook import read_workbook

        raw, sheet = read_workbook(self.content(), str(self.path), self.sheet)
        return raw, {"sheet": sheet}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sql(Table):
    """The rows of a query: ``Sql("select * from ventas", url="env:VENTAS_URL")``.

    Parameters
    ----------
    query : str
        As a model's ``lookup`` it holds ``:id``, which is bound to the entity of a request.
    url : str
        A SQLAlchemy URL, or ``env:NAME``: the environment variable that holds it (so that no
        password stands in the project). A relative SQLite file begins in the project's folder.
        "" in a ``lookup`` is the address of the model's own source.
    max_age : str or None
        Of a ``lookup`` alone: how old the data of a row may be (``"1d"``); a row is kept and
        answered with until then. None: it is read at each request.
    """

    query: str = field(kw_only=False)
    url: str = field(default="", kw_only=False, repr=False)
    max_age: str | None = None

    def describe(self) -> dict[str, Any]:
        """Give a JSON-safe description (kind, query, address without password) for lineage."""
        return Table.describe(self) | {"query": self.query, "url": masked(self.url)}

    def problems(self) -> Iterable[ProjectFault]:
        """Tell whether the address is unknown, or a SQLite file missing."""
        try:
            path = self._sqlite_file(self._address())
        except (MissingVariable, UnreadableQuery) as fault:
            if isinstance(fault, MissingVariable):
                yield fault
            return
        if path is not None and not path.is_file():
            yield MissingFile(path=str(path), found=what_is_there(path))

    def served_url(self) -> str:
        """Give the address as serving is told it: ``env:NAME``, or with a SQLite file's whole path.

        A server reads the variable in its own environment.
        """
        path = self._sqlite_file(self.url)
        return self.url if path is None else f"sqlite:///{path.absolute()}"

    def _address(self) -> str:
        if not self.url.startswith("env:"):
            return self.url
        name = self.url.removeprefix("env:")
        if not os.environ.get(name):
            raise MissingVariable(name=name)
        return os.environ[name]

    def _sqlite_file(self, url: str) -> Path | None:
        match = re.fullmatch(r"sqlite(?:\+\w+)?:///(?!/)?(.*?)(?:\?.*)?", url)
        if match is None or match[1] in ("", ":memory:") or match[1].startswith("file:"):
            return None
        path = Path(match[1])
        return path if path.is_absolute() or self.folder is None else self.folder / path

    def load(self) -> "tuple[RawTable, dict[str, Any]]":
        """Give the rows of the query before they are typed, and the dialect that was found."""
        from timonel.project.reading.database import read_query

        url = self._address()
        path = self._sqlite_file(url)
        if path is not None:
            if not path.is_file():
                raise MissingFile(path=str(path), found=what_is_there(path))
            url = f"sqlite:///{path.absolute()}"
        return read_query(self.query, url, masked(self.url)), {}


def masked(url: str) -> str:
    """Give a database URL without its password."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)


def holds_password(url: str) -> bool:
    """Say whether a database URL carries a password."""
    return masked(url) != url


# --- any source


def read_rows(
    source: Source | Callable[[], Any],
    schema: Schema | None = None,
    target: str | None = None,
    others: Iterable[str] = (),
) -> "pl.DataFrame":
    """Read any source into typed columns.

    Parameters
    ----------
    source : Source or callable
        A callable gives a polars or pandas DataFrame, or a list of dicts.
    schema : Schema or None
        Its features decide how their columns are read ("yes" is a word to a Category and true to a
        Flag); None: by evidence.
    target : str or None
        With ``schema``: read too, as words or numbers, never as yes/no.
    others : iterable of str
        With ``schema``: further columns to read (time, group, key) where the data have them.

    Raises
    ------
    ProjectFault
        If it cannot be read, or a column does not fit its kind.
    """
    if isinstance(source, Table):
        if schema is None:
            return source.read()
        return _directed(source, schema, target, others)
    frame = source.read() if isinstance(source, Source) else _called(source)
    return frame_of(frame, schema, target, others)


def _directed(
    source: Table, schema: Schema, target: str | None, others: Iterable[str]
) -> "pl.DataFrame":
    from timonel.project.reading.cells import type_table

    raw, _ = source.load()
    return type_table(raw, directions(source, raw, schema, target, others)).frame


def frame_of(
    rows: Any, schema: Schema | None, target: str | None = None, others: Iterable[str] = ()
) -> "pl.DataFrame":
    """Type rows that a function gave: polars, pandas, or a list of dicts.

    Text is reinterpreted only where ``schema`` says that the column is something else.
    """
    import polars as pl

    from timonel.project.reading.canonical import canonical
    from timonel.project.reading.cells import type_table
    from timonel.project.reading.raw import RawTable

    frame = _polars(rows)
    if frame.height == 0:
        raise EmptyTable(path="the source function / la función", n_lines=0)
    if schema is None:
        return pl.DataFrame([canonical(column) for column in frame])
    raw = RawTable(frame, None, "the source function / la función")
    return type_table(raw, directions(None, raw, schema, target, others)).frame


def directions(
    source: Table | None,
    raw: "RawTable",
    schema: Schema,
    target: str | None,
    others: Iterable[str],
) -> "Reading":
    """Say how the columns that a schema names are to be read; see ``read_rows``."""
    import polars as pl

    from timonel.project.reading.cells import Reading

    kinds = {
        feature.name: _kind(feature)
        for feature in schema
        if feature.required or feature.name in raw.frame.columns
    }
    if target is not None:
        text = target in raw.frame.columns and raw.frame[target].dtype == pl.String
        kinds[target] = _target_kind(raw.frame[target]) if text else "number"
    own = dict(source.columns or {}) if source is not None else {}
    known = own or dict.fromkeys(raw.frame.columns, "")
    for name in others:
        if name not in kinds and name in known:
            dtype = raw.frame[name].dtype
            kinds[name] = "text" if dtype == pl.String else "number"
            if dtype.is_temporal():
                kinds[name] = "date"
    base = source.reading() if source is not None else Reading()
    dates = {name: form for name, form in base.dates.items() if name in kinds}
    decimals = {name: mark for name, mark in base.decimals.items() if name in kinds}
    chosen = {name: own.get(name) or kind for name, kind in kinds.items()}
    return replace(base, columns=chosen, dates=dates, decimals=decimals)


def _target_kind(cells: "pl.Series") -> str:
    from timonel.project.reading import numerals
    from timonel.project.reading.raw import MISSING

    present = cells.drop_nulls().str.strip_chars()
    present = present.filter(~present.str.to_lowercase().is_in([*MISSING, ""]))
    numbers = numerals.weigh(present)
    return "number" if numbers is not None and numbers.fits.all() else "label"


def _kind(feature: Feature) -> str:
    kinds = {Number: "number", Category: "text", Flag: "flag", Text: "text", Timestamp: "date"}
    return kinds[type(feature)]


def _polars(rows: Any) -> "pl.DataFrame":
    import polars as pl

    from timonel.project.reading.raw import column_of

    if isinstance(rows, pl.LazyFrame):
        return rows.collect()
    if isinstance(rows, pl.DataFrame):
        return rows
    if isinstance(rows, list) and all(isinstance(row, Mapping) for row in rows):
        names = list(dict.fromkeys(str(name) for row in rows for name in row))
        return pl.DataFrame([column_of(n, [row.get(n) for row in rows]) for n in names])
    if hasattr(rows, "columns") and hasattr(rows, "to_dict"):  # pandas, without importing it
        lists = rows.astype(object).where(rows.notna(), None).to_dict("list")
        return pl.DataFrame([column_of(str(n), [_item(v) for v in lists[n]]) for n in lists])
    raise UnsupportedSource(
        path=Phrase("the source function", "la función de la fuente"),
        found=type(rows).__name__,
        expected=Phrase(
            "a polars or pandas DataFrame, or a list of dicts",
            "un DataFrame de polars o pandas, o una lista de dicts",
        ),
    )


def _item(value: Any) -> Any:
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime()
    return value.item() if hasattr(value, "item") else value


def _called(source: Callable[[], Any]) -> Any:
    try:
        return source()
    except Exception as error:
        if isinstance(error, TimonelError):
            raise
        frames = traceback.extract_tb(error.__traceback__)
        code = getattr(source, "__code__", None)
        at = next((f for f in reversed(frames) if code and f.filename == code.co_filename), None)
        at = at or frames[-1]
        raise FailedSource(
            function=getattr(source, "__name__", repr(source)),
            file=at.filename,
            line=at.lineno or 0,
            found=f"{type(error).__name__}: {error}",
        ) from error
