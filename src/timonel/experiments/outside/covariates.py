"""What was known of the units of a list before: a column of their file, for every one of them."""

from dataclasses import replace
from math import isfinite

import msgspec

from timonel.errors import Phrase
from timonel.experiments.design import Design
from timonel.experiments.errors import InvalidDesign, UnusableUnits
from timonel.experiments.outside.files import UnitFile, told_lines
from timonel.experiments.outside.members import Member
from timonel.experiments.templates import TEMPLATES
from timonel.project.scaffold import source_for
from timonel.stats.moments import quantise

_SHOWN = 10
MOST = 1e12  # as values of outcomes


def with_covariate(
    design: Design, members: list[Member], file: UnitFile, column: str
) -> tuple[Design, list[Member]]:
    """Give a list its covariate.

    Parameters
    ----------
    members : list of Member
        In the order of the file's rows.
    column : str

    Raises
    ------
    InvalidDesign
        If the column is not in the file.
    UnusableUnits
        If it is not known for a unit: one that is missing for some would be no covariate, since
        who lacks it may differ.
    ProjectFault
        If a cell is no number.
    """
    from timonel.project.reading.cells import type_table

    source = source_for(file.path)
    if file.folder is not None:
        source = source.within(file.folder)
    raw, found = source.load()
    if column not in raw.frame.columns:
        columns = ", ".join(raw.frame.columns)[:200]
        raise InvalidDesign(
            experiment=design.name[:64],
            field="covariate",
            found=column[:64],
            expected=Phrase("one of {columns}", "una de {columns}", columns=columns),
        )
    numbers = replace(source, decimal=file.decimal, columns={column: "number"}, **found)
    cells = type_table(raw, numbers.reading()).frame[column]
    faults = [
        (raw.line(place), Phrase("no {column}", "sin {column}", column=column[:64]))
        for place, cell in enumerate(cells)
        if cell is None or not isfinite(cell) or abs(cell) > MOST
    ]
    if faults:
        raise UnusableUnits(
            path=raw.path, n=len(faults), found=told_lines(faults[:_SHOWN], len(faults))
        )
    listed = design.listed
    assert listed is not None  # noqa: S101 - the members are its list
    known = [
        member._replace(covariate=float(cell)) for member, cell in zip(members, cells, strict=True)
    ]
    template = TEMPLATES.get(design.template)
    edges = edges_of([quantise(float(cell)) for cell in cells], template.parts if template else 0)
    listed = msgspec.structs.replace(listed, covariate=column, edges=edges)
    return msgspec.structs.replace(design, listed=listed), known


def edges_of(steps: list[int], parts: int) -> tuple[int, ...]:
    """Give where equal parts meet: each holds the values up to its edge; the last, the rest."""
    ordered, n = sorted(steps), len(steps)
    return tuple(ordered[-(-n * part // parts) - 1] for part in range(1, parts))
