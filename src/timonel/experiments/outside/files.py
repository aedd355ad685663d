"""Files of an office: units to assign at the start, and what came of them.

Read by the project's own reader: encoding, separator and marks of numbers are found by evidence.
Lines are those an editor counts.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
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
    """

    path: Path
    key: str | None = None
    block: str | None = None
    seed: int | None = None
    decimal: str | None = None


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
    rows : list of OutcomeRow
    unread : list of str
        Columns that are no metric of the experiment.
    frame : polars.DataFrame
        All cells as text, for rows that have to be handed back.
    separator : str
    """

    rows: list[OutcomeRow]
    unread: list[str]
    frame: "pl.DataFrame"
    separator: str


def draw_list(design: Design, file: UnitFile) -> tuple[Design, list[Member]]:
    """Assign the units of a file.

    Returns
    -------
    tuple of Design and list of Member
        The design with what it takes to draw the same again, and each unit with its arm.

    Raises
    ------
    InvalidDesign
        If a column is not in the file, or the shares leave an arm empty.
    UnusableUnits
        If a row names no unit, or one that stood before.
    ProjectFault
        If the file cannot be read.
    """
    _, raw, frame = _as_text(file.path, Manner(decimal=file.decimal))
    key = _column(design, frame, "key-column", file.key or _KEY)
    units = [_text(cell) for cell in frame[key]]
    blocks = None
    if file.block is not None:
        blocks = [_text(cell) for cell in frame[_column(design, frame, "block", file.block)]]
    _refuse_unusable(raw, units, blocks)
    seed = randbelow(_SEEDS) if file.seed is None else file.seed
    treated = assign_list(units, design.weights[1], seed, blocks)
    n_treated = sum(treated)
    counts = (len(units) - n_treated, n_treated)
    if not all(counts) or len(units) > MOST_UNITS:
        raise InvalidDesign(
            experiment=design.name[:64],
            field="units",
            found=" / ".join(map(str, counts)),
            expected=Phrase(
                "a unit or more an arm, at most {n} in all",
                "una unidad o más por variante, a lo más {n} en total",
                n=MOST_UNITS,
            ),
        )
    listed = UnitList(
        source=file.path.name,
        sha256=sha256(file.path.expanduser().read_bytes()).hexdigest(),
        seed=seed,
        key=key,
        block=file.block or "",
        counts=counts,
    )
    control, treatment = design.names[:2]
    members = [
        Member(unit, treatment if chosen else control)
        for unit, chosen in zip(units, treated, strict=True)
    ]
    return msgspec.structs.replace(design, listed=listed), members


def read_outcomes(
    path: Path, experiment: str, key: str, metrics: Sequence[str], manner: Manner
) -> OutcomeFile:
    """Read what came of units: a row each, a column a metric.

    An empty cell is an outcome that is not known, and none is recorded of it. Yes and no are 1
    and 0.

    Raises
    ------
    UnusableOutcomeFile
        If the column of the units, or every metric, is missing.
    ProjectFault
        If the file cannot be read, or a cell of a metric is no number.
    """
    source, raw, frame = _as_text(path, manner)
    named = [name for name in frame.columns if name in metrics]
    if key not in frame.columns or not named:
        expected = key if key not in frame.columns else ", ".join(metrics)
        raise UnusableOutcomeFile(
            experiment=experiment,
            path=str(path),
            found=", ".join(frame.columns)[:300],
            expected=expected,
        )
    numbers = _numbers(replace(source, decimal=manner.decimal), raw, named)
    rows = [
        OutcomeRow(
            raw.line(place),
            _text(unit),
            {
                name: float(cell)
                for name, cell in zip(named, cells, strict=True)
                if cell is not None
            },
        )
        for place, (unit, cells) in enumerate(zip(frame[key], numbers.iter_rows(), strict=True))
    ]
    unread = [name for name in frame.columns if name not in (key, *named)]
    return OutcomeFile(rows, unread, frame, getattr(source, "separator", None) or ",")


def _as_text(path: Path, manner: Manner) -> "tuple[Table, RawTable, pl.DataFrame]":
    """Read a file, all of its cells as text."""
    from timonel.project.reading.cells import type_table

    source = source_for(path)
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


def _refuse_unusable(raw: "RawTable", units: Sequence[str], blocks: Sequence[str] | None) -> None:
    first: dict[str, int] = {}
    faults: list[tuple[int, Phrase]] = []
    for place, unit in enumerate(units):
        line = raw.line(place)
        if not usable(unit):
            faults.append((line, Phrase("no usable id", "sin identificador utilizable")))
        elif unit in first:
            faults.append(
                (
                    line,
                    Phrase(
                        "{unit} stands in line {other} already",
                        "{unit} ya está en la línea {other}",
                        unit=unit[:64],
                        other=first[unit],
                    ),
                )
            )
        elif blocks is not None and not blocks[place]:
            faults.append((line, Phrase("no block", "sin bloque")))
        first.setdefault(unit, line)
    if faults:
        raise UnusableUnits(path=raw.path, n=len(faults), found=told_lines(faults))


def usable(unit: str) -> bool:
    """Say whether an id can be stored."""
    return 0 < len(unit) <= _KEY_LIMIT and "\0" not in unit


def repeated(rows: Sequence[OutcomeRow]) -> set[str]:
    """Name the units that have several rows."""
    return {unit for unit, n in Counter(row.unit for row in rows).items() if n > 1}


def told_lines(faults: Sequence[tuple[int, Phrase]]) -> Phrase:
    """Say what is wrong with lines, the first of them."""
    told = [
        Phrase("line {line}: {fault}", "línea {line}: {fault}", line=line, fault=fault)
        for line, fault in faults[:_SHOWN]
    ]
    if len(faults) > _SHOWN:
        told.append(Phrase("and {n} more", "y {n} más", n=len(faults) - _SHOWN))
    return joined(told)
