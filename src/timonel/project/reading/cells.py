"""From raw cells to typed columns: the same values give the same columns, whatever the file.

Canonical types: whole numbers Int64, others Float64, yes/no Boolean, moments Datetime("us") (naive,
or UTC where the file gives offsets), everything else String. What cannot be told is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import polars as pl

from timonel.errors import closest
from timonel.project.reading import dates, numerals
from timonel.project.reading.canonical import canonical, whole_if_whole
from timonel.project.reading.errors import (
    AmbiguousDates,
    AmbiguousNumbers,
    BadCell,
    InvalidDialect,
    MixedDates,
    UnknownColumn,
    UnknownKind,
)
from timonel.project.reading.raw import MISSING, RawTable

KINDS = ("number", "text", "label", "flag", "0/1", "date")
YES = frozenset({"si", "sí", "yes", "true", "verdadero"})
NO = frozenset({"no", "false", "falso"})

_EXPECTED = {
    "number": ("a number (decimal mark {mark!r})", "un número (signo decimal {mark!r})"),
    "date": ("a date like {form}", "una fecha como {form}"),
    "flag": ("yes or no (true/false, si/no, 1/0)", "sí o no (true/false, si/no, 1/0)"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How cells are to be read; what is not given is found by evidence.

    Parameters
    ----------
    decimal, thousands : str or None
        The marks of the file's numbers.
    decimals : mapping of str to str
        Columns whose decimal mark is another one.
    dates : mapping of str to str
        strptime format of each date column; a time of day may follow a date-only format.
    columns : mapping of str to str, or None
        The columns to read and the kind of each (``KINDS``; "" by evidence); None: all, by
        evidence.
    true, false, missing : tuple of str
        Words beyond the usual ones.
    """

    decimal: str | None = None
    thousands: str | None = None
    decimals: Mapping[str, str] = field(default_factory=dict)
    dates: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] | None = None
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def words(self, side: bool) -> frozenset[str]:
        """Give the casefolded words that mean yes (or no)."""
        own = self.true if side else self.false
        return (YES if side else NO) | {word.casefold() for word in own}


class Note(NamedTuple):
    """Something settled by evidence that a person should know."""

    column: str
    code: str
    facts: dict[str, Any]


class Typed(NamedTuple):
    """Typed rows, the reading with everything settled, and what to tell."""

    frame: pl.DataFrame
    reading: Reading
    notes: list[Note]


@dataclass(slots=True)
class _Guesses:
    kinds: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, numerals.Numerals] = field(default_factory=dict)
    moments: dict[str, dates.Dates] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


def type_table(raw: RawTable, reading: Reading) -> Typed:
    """Type every column, or the ones that ``reading.columns`` names.

    Raises
    ------
    ProjectFault
        For a column that is not there, a cell that does not fit, an ambiguous date or number.
    """
    return _Typing(raw, reading).run()


def _refuse_unusable(reading: Reading, path: str) -> None:
    for option in ("decimal", "thousands"):
        mark = getattr(reading, option)
        marks = ".," if option == "decimal" else ".,' "
        if mark is not None and (len(mark) != 1 or mark not in marks):
            expected = " ".join(map(repr, marks))
            raise InvalidDialect(path=path, option=option, found=mark, expected=expected)
    for name, kind in (reading.columns or {}).items():
        if kind and kind not in KINDS:
            raise UnknownKind(column=name, kind=kind, known=", ".join(KINDS))


class _Typing:
    def __init__(self, raw: RawTable, reading: Reading) -> None:
        self._raw = raw
        self._reading = reading
        self._missing = MISSING | {word.casefold() for word in reading.missing}
        self._guesses = _Guesses()
        _refuse_unusable(reading, raw.path)
        names = raw.frame.columns if reading.columns is None else list(reading.columns)
        for name in [*names, *reading.dates, *reading.decimals]:
            if name not in raw.frame.columns:
                known = closest(name, raw.frame.columns)
                raise UnknownColumn(column=name, path=raw.path, known=known)
        self._columns = {name: canonical(raw.frame[name]) for name in names}

    def run(self) -> Typed:
        for name, cells in self._columns.items():
            kind = (self._reading.columns or {}).get(name) or None
            if name in self._reading.dates:
                kind = "date"
            self._guess(name, cells, kind)
        decimal = self._settle_numbers()
        orders = self._settle_dates()
        frame = pl.DataFrame(
            [self._convert(name, cells, orders) for name, cells in self._columns.items()]
        )
        other = {n: m for n, m in self._marks.items() if m != decimal}
        settled = Reading(
            decimal=decimal,
            thousands=self._thousands(decimal),
            decimals=other,
            dates=orders,
            columns=self._guesses.kinds,
            true=self._reading.true,
            false=self._reading.false,
            missing=self._reading.missing,
        )
        return Typed(frame, settled, self._guesses.notes)

    # --- evidence

    def _guess(self, name: str, cells: pl.Series, kind: str | None) -> None:
        guesses = self._guesses
        if cells.dtype != pl.String:
            guesses.kinds[name] = kind or _KIND_OF.get(cells.dtype.base_type(), "text")
            return
        present = self._present(cells)
        if kind is None and self._is_flag(present):
            kind = "flag"
        if kind in (None, "number"):
            numbers = numerals.weigh(present)
            if numbers is not None and (kind or self._is_number(name, present, numbers)):
                guesses.numbers[name] = numbers
                kind = "number"
        if kind in (None, "date") and name not in self._reading.dates:
            moments = dates.weigh(present)
            if moments is not None:
                guesses.moments[name] = moments
                kind = "date"
        guesses.kinds[name] = kind or "text"

    def _present(self, cells: pl.Series) -> pl.Series:
        return cells.filter(cells.is_not_null() & ~self._is_missing(cells))

    def _is_missing(self, cells: pl.Series) -> pl.Series:
        return cells.str.to_lowercase().is_in(list(self._missing)).fill_null(value=False)

    def _is_flag(self, present: pl.Series) -> bool:
        words = set(present.head(50).str.to_lowercase())
        both = self._reading.words(True) | self._reading.words(False)
        if not words or not words <= both:
            return False
        return set(present.str.to_lowercase().unique()) <= both

    def _is_number(self, name: str, present: pl.Series, numbers: numerals.Numerals) -> bool:
        """Refuse a rare stray among many different numbers; a few numbers and words are words."""
        if numbers.fits.all():
            return True
        if present.filter(numbers.fits).n_unique() <= 30:
            words = present.filter(~numbers.fits).unique().sort().head(3).to_list()
            self._guesses.notes.append(Note(name, "numbers_and_words", {"words": words}))
            return False
        return True

    # --- what the file as a whole settles

    def _settle_numbers(self) -> str:
        given = self._reading.decimal
        found = self._guesses.numbers
        own = {
            name: "." if numbers.evidence == "point" else ","
            for name, numbers in found.items()
            if numbers.evidence in ("point", "comma")
        } | dict(self._reading.decimals)
        votes = list(own.values())
        decimal = given or ("," if votes.count(",") > votes.count(".") else ".")
        self._marks = own
        for name, numbers in found.items():
            if numbers.evidence == "either" and name not in own:
                cells = self._columns[name]
                present = cells.is_in(self._present(cells).filter(numbers.fits).to_list())
                marked = numerals.bare(cells).str.contains(r"\d[.,]\d") & present
                row = int(marked.arg_max() or 0)
                if given is None and len(set(votes)) != 1:
                    raise AmbiguousNumbers(
                        column=name,
                        path=self._raw.path,
                        found=cells[row],
                        line=self._raw.line(row),
                    )
                if given is None:
                    by = next(iter(own))
                    facts = {"found": cells[row], "mark": decimal, "by": by}
                    self._guesses.notes.append(Note(name, "decimal_settled", facts))
            self._marks.setdefault(name, decimal)
        return decimal

    def _thousands(self, decimal: str) -> str | None:
        if self._reading.thousands is not None:
            return self._reading.thousands
        group = "." if decimal == "," else ","
        texts = (
            self._columns[name]
            for name, mark in self._marks.items()
            if mark == decimal and self._columns[name].dtype == pl.String
        )
        if any(cells.str.contains(group, literal=True).any() for cells in texts):
            return group
        return None

    def _settle_dates(self) -> dict[str, str]:
        forms = dict(self._reading.dates)
        found = self._guesses.moments
        proven = {
            name: moments.orders[0] for name, moments in found.items() if len(moments.orders) == 1
        }
        elsewhere = {order: name for name, order in proven.items() if order != "ymd"}
        for name, moments in found.items():
            if len(moments.orders) == 2:
                raise self._mixed(name, moments)
            order = proven.get(name)
            if order is None:
                if len(elsewhere) != 1 or moments.short:
                    raise self._ambiguous(name, moments)
                order, by = next(iter(elsewhere.items()))
                facts = {"format": moments.format(order), "by": by}
                self._guesses.notes.append(Note(name, "date_settled", facts))
            forms[name] = moments.format(order)
        return forms

    def _ambiguous(self, name: str, moments: dates.Dates) -> AmbiguousDates:
        row, found = self._first(name, moments.fits)
        return AmbiguousDates(
            column=name,
            path=self._raw.path,
            line=self._raw.line(row),
            found=found,
            first=moments.format("dmy"),
            second=moments.format("mdy"),
        )

    def _mixed(self, name: str, moments: dates.Dates) -> MixedDates:
        present = self._present(self._columns[name])
        row, found = self._first(name, moments.fits & present.str.contains(r"^(?:1[3-9]|[23]\d)"))
        late = present.str.contains(r"^\d{1,2}[/.\-](?:1[3-9]|[23]\d)")
        other_row, other = self._first(name, moments.fits & late)
        return MixedDates(
            column=name,
            path=self._raw.path,
            line=self._raw.line(row),
            found=found,
            other_line=self._raw.line(other_row),
            other=other,
        )

    def _first(self, name: str, chosen: pl.Series) -> tuple[int, str]:
        cells = self._columns[name]
        found = str(self._present(cells).filter(chosen)[0])
        return int((cells == found).arg_max() or 0), found

    # --- conversion

    def _convert(self, name: str, cells: pl.Series, forms: dict[str, str]) -> pl.Series:
        kind = self._guesses.kinds[name]
        if kind in ("text", "label"):
            return self._as_text(cells, kind)
        if kind in ("flag", "0/1"):
            flags = self._as_flags(name, cells)
            return flags if kind == "flag" else flags.cast(pl.Int64)
        if kind == "date":
            return self._as_dates(name, cells, forms)
        return self._as_numbers(name, cells)

    def _as_text(self, cells: pl.Series, kind: str) -> pl.Series:
        if cells.dtype != pl.String:
            return cells.cast(pl.String)
        if kind == "label":
            return _blank(cells, self._is_missing(cells))
        return cells

    def _as_numbers(self, name: str, cells: pl.Series) -> pl.Series:
        if cells.dtype == pl.Boolean:
            return cells.cast(pl.Int64)
        if cells.dtype in (pl.Int64, pl.Float64):
            return cells
        mark = self._marks.get(name, self._reading.decimal or ".")
        if cells.dtype != pl.String:
            self._require(name, cells.cast(pl.String), cells.is_null(), "number", mark=mark)
            return pl.Series(name, [None] * len(cells), dtype=pl.Int64)
        text = _blank(cells, self._is_missing(cells))
        read = numerals.parse(text, mark)
        self._require(name, text, read.is_not_null() | text.is_null(), "number", mark=mark)
        return whole_if_whole(read)

    def _as_flags(self, name: str, cells: pl.Series) -> pl.Series:
        if cells.dtype == pl.Boolean:
            return cells
        text = cells.cast(pl.String)
        text = _blank(text, self._is_missing(text))
        yes = list(self._reading.words(True) | {"1", "1.0"})
        no = list(self._reading.words(False) | {"0", "0.0"})
        folded = text.str.to_lowercase()
        read = pl.select(
            pl.when(folded.is_in(yes)).then(True).when(folded.is_in(no)).then(False).alias(name)
        )[name]
        self._require(name, text, read.is_not_null() | text.is_null(), "flag")
        return read

    def _as_dates(self, name: str, cells: pl.Series, forms: dict[str, str]) -> pl.Series:
        if isinstance(cells.dtype, pl.Datetime):
            return cells
        form = forms.get(name, "%Y-%m-%d")
        text = cells.cast(pl.String)
        text = _blank(text, self._is_missing(text))
        read = dates.parse(text, form)
        self._require(name, text, read.is_not_null() | text.is_null(), "date", form=form)
        return read

    def _require(
        self, name: str, cells: pl.Series, fits: pl.Series, kind: str, **facts: Any
    ) -> None:
        if fits.all():
            return
        row = int((~fits).arg_max() or 0)
        english, spanish = _EXPECTED[kind]
        raise BadCell(
            path=self._raw.path,
            line=self._raw.line(row),
            column=name,
            found=cells[row][:60],
            expected_en=english.format(**facts),
            expected_es=spanish.format(**facts),
            n_bad=int((~fits).sum()),
            n=len(cells) - cells.null_count(),
        )


_KIND_OF = {pl.Int64: "number", pl.Float64: "number", pl.Boolean: "flag", pl.Datetime: "date"}


def _blank(cells: pl.Series, where: pl.Series) -> pl.Series:
    return pl.select(pl.when(~where).then(cells).alias(cells.name))[cells.name]
