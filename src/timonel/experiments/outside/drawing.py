"""Arms for all units of an experiment at once, with what was known of each before.

Wherever a list comes from (a command's file, a program's JSON), it is drawn here and nowhere else.
"""

from collections.abc import Iterator
from math import isfinite
from secrets import randbelow

import msgspec

from timonel.errors import Phrase, joined
from timonel.experiments.design import Design, UnitList
from timonel.experiments.errors import InvalidDesign, UnusableUnits
from timonel.experiments.outside.files import NamedUnits, UnitFile, read_units, told_lines, usable
from timonel.experiments.outside.lists import assign_list
from timonel.experiments.outside.members import MOST_UNITS, Member
from timonel.experiments.templates import TEMPLATES
from timonel.stats.moments import quantise

MOST = 1e12  # as values of outcomes
_SHOWN = 10
_SEEDS = 1 << 31
_LEAST_PLANNED = 50


def draw_list(design: Design, file: UnitFile) -> tuple[Design, list[Member]]:
    """Assign the units of a file; see ``draw_units``.

    Raises
    ------
    InvalidDesign
        If a column is not in the file, or the shares leave an arm empty.
    UnusableUnits
        If a row names no unit, or one that stood before, or lacks its block or covariate.
    ProjectFault
        If the file cannot be read, or a cell of the covariate is no number.
    """
    return draw_units(design, read_units(design, file), file.seed)


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
    covariates = named.covariates or [None] * len(treated)
    listed = UnitList(
        source=named.source,
        sha256=named.sha256,
        seed=seed,
        key=named.key,
        block=named.block,
        counts=counts,
        covariate=named.covariate,
        edges=_edges(design, named),
    )
    control, treatment = design.names[:2]
    members = [
        Member(unit, treatment if chosen else control, covariate)
        for unit, chosen, covariate in zip(named.units, treated, covariates, strict=True)
    ]
    # how many there will be is known: the sequence is narrowest where they need it
    planned = design.planned_n or max(_LEAST_PLANNED, len(members))
    return msgspec.structs.replace(design, listed=listed, planned_n=planned), members


def edges_of(steps: list[int], parts: int) -> tuple[int, ...]:
    """Give where equal parts meet: each holds the values up to its edge; the last, the rest."""
    ordered, n = sorted(steps), len(steps)
    return tuple(ordered[-(-n * part // parts) - 1] for part in range(1, parts))


def _edges(design: Design, named: NamedUnits) -> tuple[int, ...]:
    template = TEMPLATES.get(design.template)
    if template is None or named.covariates is None:
        return ()
    known = [cell for cell in named.covariates if cell is not None]
    return edges_of([quantise(cell) for cell in known], template.parts)


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


def _refuse_unusable(named: NamedUnits) -> None:
    first: dict[str, int] = {}
    n_faults, shown = 0, list[tuple[int, Phrase]]()
    for place, unit in enumerate(named.units):
        line = named.line(place)
        faults = list(_faults(named, place, first.get(unit)))
        first.setdefault(unit, line)
        if faults:
            n_faults += 1
            shown += [(line, joined(faults))] if n_faults <= _SHOWN else []
    if n_faults:
        raise UnusableUnits(path=named.source, n=n_faults, found=told_lines(shown, n_faults))


def _faults(named: NamedUnits, place: int, before: int | None) -> Iterator[Phrase]:
    """Say what is wrong with one unit; ``before`` is the line in which it stood already."""
    unit = named.units[place]
    if not usable(unit):
        yield Phrase("no usable id", "sin identificador utilizable")
    elif before is not None:
        yield Phrase(
            "{unit} stands in line {other} already",
            "{unit} ya está en la línea {other}",
            unit=unit[:64],
            other=before,
        )
    if named.blocks is not None and not named.blocks[place]:
        yield Phrase("no block", "sin bloque")
    if named.covariates is not None:
        # one that is missing for some would be no covariate: who lacks it may differ
        known = named.covariates[place]
        if known is None or not isfinite(known) or abs(known) > MOST:
            column = named.covariate[:64]
            yield Phrase("no {column}", "sin {column}", column=column)
