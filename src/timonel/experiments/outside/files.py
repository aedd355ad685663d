"""Files of an office: units to assign at the start, and what came of them.

Read by the project's own reader: encoding, separator and marks of numbers are found by evidence.
Lines are those an editor counts.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timonel.errors import Phrase, joined
from timonel.experiments.design import Design
from timonel.experiments.errors import InvalidDesign
from timonel.experiments.outside.errors import UnusableOutcomeFile
from timonel.project.incoming import Manner
from timonel.project.scaffold import source_for
from timonel.project.tables import Table

if TYPE_CHECKING:
    import polars as pl

    from timonel.project.reading.raw import RawTable

_KEY = "unit_id"
_KEY_LIMIT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFile:
    """A file of units to assign, and how.

    Parameters
    ----------
    path : Path
    key : str or None
        Column of the ids; None: ``unit_id``.
    block : str or None
        Column within whose values shares are exact.
    seed : int or None
        None: drawn; it is recorded with the design.
    decimal : str or None
        The mark of the file's numbers; None: by evidence.
    folder : Path or None
        Where a relative path begins; messages name the path alone.
    source : str or None
        The name that is kept with the design; None: that of the file.
    covariate : str or None
        Column of what was known of each unit before.
    """

    path: Path
    key: str | None = None
    block: str | None = None
    seed: int | None = None
    decimal: str | None = None
    folder: Path | None = None
    source: str | None = None
    covariate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedUnits:
    """Units to assign, and where they come from.

    Parameters
    ----------
    units : list of str
    blocks : list of str, or None
        The block of each unit; None: all in one.
    covariates : list of float or None, or None
        What was known of each unit before; None: nothing was asked for.
    source : str
    sha256 : str
        Of the bytes that named them.
    key, block, covariate : str
        Columns of ids, blocks and covariates; "" for none of the latter two.
    line : callable
        From a unit's place to the line it stands in.
    """

    units: list[str]
    blocks: list[str] | None
    covariates: list[float | None] | None
    source: str
    sha256: str
    key: str
    block: str
    covariate: str
    line: Callable[[int], int]


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """One row of a file of outcomes: its line, whose it is, and the values that it has."""

    line: int
    unit: str
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class OutcomeFile:
    """What a file of outcomes holds.

    Parameters
    ----------
    units : list of str
        Whose each row is.
    metrics : list of str
        Those that it has a column of.
    unread : list of str
        Columns that are no metric of the experiment.
    frame : polars.DataFrame
        All cells as text, for rows that have to be handed back.
    numbers : polars.DataFrame
        The columns of metrics.
    separator : str
    line : callable
        From a row's place to its line.
    """

    units: list[str]
    metrics: list[str]
    unread: list[str]
    frame: "pl.DataFrame"
    numbers: "pl.DataFrame"
    separator: str
    line: Callable[[int], int]

    def rows(self) -> Iterator[OutcomeRow]:
        """Give row by row what they hold: not all at once, there may be a million."""
        for place, cells in enumerate(self.numbers.iter_rows()):
            known = {
                name: float(cell)
                for name, cell in zip(self.metrics, cells, strict=True)
                if cell is not None
            }
            yield OutcomeRow(self.line(place), self.units[place], known)


def read_units(design: Design, file: UnitFile) -> NamedUnits:
    """Read the units of a file, with what the columns that were named say of each.

    Raises
    ------
    InvalidDesign
        If a column is not in the file.
    ProjectFault
        If the file cannot be read, or a cell of the covariate is no number.
    """
    source, raw, frame = _as_text(file.path, Manner(decimal=file.decimal), file.folder)
    key = _column(design, frame, "key-column", file.key or _KEY)
    blocks, covariates = None, None
    if file.block is not None:
        blocks = [_text(cell) for cell in frame[_column(design, frame, "block", file.block)]]
    if file.covariate is not None:
        named = _column(design, frame, "covariate", file.covariate)
        covariates = _typed(source, raw, {named: "number"})[named].to_list()
    located = file.path.expanduser() if file.folder is None else file.folder / file.path
    return NamedUnits(
        units=[_text(cell) for cell in frame[key]],
        blocks=blocks,
        covariates=covariates,
        source=file.source or file.path.name,
        sha256=sha256(located.read_bytes()).hexdigest(),
        key=key,
        block=file.block or "",
        covariate=file.covariate or "",
        line=raw.line,
    )


def read_outcomes(
    path: Path,
    experiment: str,
    key: str,
    metrics: Sequence[str],
    manner: Manner,
    *,
    folder: Path | None = None,
) -> OutcomeFile:
    """Read what came of units: a row each, a column a metric.

    An empty cell is an outcome that is not known, and none is recorded of it. Yes and no are 1
    and 0.

    Parameters
    ----------
    folder : Path or None
        Where a relative path begins.

    Raises
    ------
    UnusableOutcomeFile
        If the column of the units, or every metric, is missing.
    ProjectFault
        If the file cannot be read, or a cell of a metric is no number.
    """
    source, raw, frame = _as_text(path, manner, folder)
    named = [name for name in frame.columns if name in metrics]
    if key not in frame.columns or not named:
        expected = key if key not in frame.columns else ", ".join(metrics)
        raise UnusableOutcomeFile(
            experiment=experiment,
            path=str(path),
            found=", ".join(frame.columns)[:300],
            expected=expected,
        )
    return OutcomeFile(
        units=[_text(cell) for cell in frame[key]],
        metrics=named,
        unread=[name for name in frame.columns if name not in (key, *named)],
        frame=frame,
        numbers=_numbers(replace(source, decimal=manner.decimal), raw, named),
        separator=getattr(source, "separator", None) or ",",
        line=raw.line,
    )


def _as_text(
    path: Path, manner: Manner, folder: Path | None
) -> "tuple[Table, RawTable, pl.DataFrame]":
    """Read a file, all of its cells as text."""
    from timonel.project.reading.cells import type_table

    source = source_for(path) if folder is None else source_for(path).within(folder)
    raw, found = source.load()
    texts = replace(
        source, decimal=manner.decimal, columns=dict.fromkeys(raw.frame.columns, "text"), **found
    )
    return texts, raw, type_table(raw, texts.reading()).frame


def _numbers(source: Table, raw: "RawTable", names: Iterable[str]) -> "pl.DataFrame":
    """Read columns as numbers; words of yes and no are 1 and 0."""
    import polars as pl

    kinds = dict.fromkeys(names, "")
    typed = _typed(source, raw, kinds)
    kinds |= {
        name: "0/1" if typed[name].dtype == pl.Boolean else "number" for name in typed.columns
    }
    return _typed(source, raw, kinds)


def _typed(source: Table, raw: "RawTable", kinds: dict[str, str]) -> "pl.DataFrame":
    from timonel.project.reading.cells import type_table

    return type_table(raw, replace(source, columns=kinds).reading()).frame


def _column(design: Design, frame: "pl.DataFrame", option: str, name: str) -> str:
    if name in frame.columns:
        return name
    columns = ", ".join(frame.columns)[:200]
    raise InvalidDesign(
        experiment=design.name[:64],
        field=option,
        found=name[:64],
        expected=Phrase("one of {columns}", "una de {columns}", columns=columns),
    )


def _text(cell: Any) -> str:
    """Give an id as it is written elsewhere: spreadsheets turn whole ones into floats."""
    if cell is None:
        return ""
    text = str(cell).strip()
    whole, point, rest = text.partition(".")
    return whole if point and rest == "0" and whole.isdigit() else text


def usable(unit: str) -> bool:
    """Say whether an id can be stored."""
    return 0 < len(unit) <= _KEY_LIMIT and "\0" not in unit


def repeated(units: Iterable[str]) -> set[str]:
    """Name those that stand several times."""
    seen, twice = set[str](), set[str]()
    for unit in units:
        (twice if unit in seen else seen).add(unit)
    return twice


def told_lines(faults: Sequence[tuple[int, Phrase]], n: int) -> Phrase:
    """Say what is wrong with lines, of ``n`` of which the first are given."""
    told = [
        Phrase("line {line}: {fault}", "línea {line}: {fault}", line=line, fault=fault)
        for line, fault in faults
    ]
    if n > len(faults):
        told.append(Phrase("and {n} more", "y {n} más", n=n - len(faults)))
    return joined(told)
