"""Files of an office: units to assign at the start, and what came of them.

Read by the project's own reader: encoding, separator and marks of numbers are found by evidence.
Lines are those an editor counts.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from secrets import randbelow
from typing import TYPE_CHECKING, Any

import msgspec

from timonel.errors import Phrase, joined
from timonel.experiments.design import Design, UnitList
from timonel.experiments.errors import InvalidDesign, UnusableOutcomeFile, UnusableUnits
from timonel.experiments.outside.lists import assign_list
from timonel.experiments.outside.members import MOST_UNITS, Member
from timonel.project.incoming import Manner
from timonel.project.scaffold import source_for
from timonel.project.tables import Table

if TYPE_CHECKING:
    import polars as pl

    from timonel.project.reading.raw import RawTable

_KEY = "unit_id"
_KEY_LIMIT = 256
_SHOWN = 10
_SEEDS = 1 << 31
_LEAST_PLANNED = 50


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
    source : str
    sha256 : str
        Of the bytes that named them.
    key, block : str
        Columns of ids and blocks; the latter "" for none.
    line : callable
        From a unit's place to the line it stands in.
    """

    units: list[str]
    blocks: list[str] | None
    source: str
    sha256: str
    key: str
    block: str
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


def draw_list(design: Design, file: UnitFile) -> tuple[Design, list[Member]]:
    """Assign the units of a file; see ``draw_units``.

    Raises
    ------
    InvalidDesign
        If a column is not in the file, or the shares leave an arm empty.
    UnusableUnits
        If a row names no unit, or one that stood before.
    ProjectFault
        If the file cannot be read.
    """
    return draw_units(design, _read_units(design, file), file.seed)


def draw_units(
    design: Design, named: NamedUnits, seed: int | None = None
) -> tuple[Design, list[Member]]:
    """Assign units.

    Parameters
    ----------
    seed : int or None
        None: drawn; it is recorded with the design.

    Returns
    -------
    tuple of Design and list of Member
        The design with what it takes to draw the same again, and each unit with its arm.

    Raises
    ------
    InvalidDesign, UnusableUnits
    """
    if len(named.units) > MOST_UNITS:
        raise _unusable_counts(design, str(len(named.units)))
    _refuse_unusable(named)
    seed = randbelow(_SEEDS) if seed is None else seed
    treated = assign_list(named.units, design.weights[1], seed, named.blocks)
    n_treated = sum(treated)
    counts = (len(treated) - n_treated, n_treated)
    if not all(counts):
        raise _unusable_counts(design, " / ".join(map(str, counts)))
    listed = UnitList(
        source=named.source,
        sha256=named.sha256,
        seed=seed,
        key=named.key,
        block=named.block,
        counts=counts,
    )
    control, treatment = design.names[:2]
    members = [
        Member(unit, treatment if chosen else control)
        for unit, chosen in zip(named.units, treated, strict=True)
    ]
    # how many there will be is known: the sequence is narrowest where they need it
    planned = design.planned_n or max(_LEAST_PLANNED, len(members))
    return msgspec.structs.replace(design, listed=listed, planned_n=planned), members


def _read_units(design: Design, file: UnitFile) -> NamedUnits:
    _, raw, frame = _as_text(file.path, Manner(decimal=file.decimal), file.folder)
    key = _column(design, frame, "key-column", file.key or _KEY)
    blocks = None
    if file.block is not None:
        blocks = [_text(cell) for cell in frame[_column(design, frame, "block", file.block)]]
    located = file.path.expanduser() if file.folder is None else file.folder / file.path
    return NamedUnits(
        units=[_text(cell) for cell in frame[key]],
        blocks=blocks,
        source=file.source or file.path.name,
        sha256=sha256(located.read_bytes()).hexdigest(),
        key=key,
        block=file.block or "",
        line=raw.line,
    )


def _unusable_counts(design: Design, found: str) -> InvalidDesign:
    return InvalidDesign(
        experiment=design.name[:64],
        field="units",
        found=found,
        expected=Phrase(
            "a unit or more an arm, at most {n} in all",
            "una unidad o más por variante, a lo más {n} en total",
            n=MOST_UNITS,
        ),
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

    from timonel.project.reading.cells import type_table

    wanted = list(names)
    kinds = dict.fromkeys(wanted, "")
    typed = type_table(raw, replace(source, columns=kinds).reading()).frame
    kinds |= {
        name: "0/1" if typed[name].dtype == pl.Boolean else "number" for name in typed.columns
    }
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


def _refuse_unusable(named: NamedUnits) -> None:
    first: dict[str, int] = {}
    n_faults, shown = 0, list[tuple[int, Phrase]]()
    for place, unit in enumerate(named.units):
        line = named.line(place)
        fault = None
        if not usable(unit):
            fault = Phrase("no usable id", "sin identificador utilizable")
        elif unit in first:
            fault = Phrase(
                "{unit} stands in line {other} already",
                "{unit} ya está en la línea {other}",
                unit=unit[:64],
                other=first[unit],
            )
        elif named.blocks is not None and not named.blocks[place]:
            fault = Phrase("no block", "sin bloque")
        first.setdefault(unit, line)
        if fault is not None:
            n_faults += 1
            shown += [(line, fault)] if n_faults <= _SHOWN else []
    if n_faults:
        raise UnusableUnits(path=named.source, n=n_faults, found=told_lines(shown, n_faults))


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
