"""What is counted of a unit beside each of its values alone: pairs, from which effects are made.

A ratio of two values is compared by units (the delta method needs their products); a goal that is
capped, or held against what was known of the unit before, is counted as such. Pure, and exact: a
recount from the units' rows gives the same integers.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from timonel.experiments.counting.sums import OPEN, CellKey, PairSums, day_of
from timonel.experiments.counting.units import UnitKey
from timonel.experiments.design import Design, parts_of

ADJUSTED = "adjusted:"


@dataclass(frozen=True, slots=True)
class Derived:
    """A pair (y, x) that is counted of each unit.

    Parameters
    ----------
    name : str
        Of its cells.
    y : str
        The recorded metric that is its first number.
    x : str
        The second one; "": what was known of the unit before.
    most : int or None
        The cap of y, in steps.
    part : int or None
        Only of units of this part of the list, from 0; the second number is 1 then.
    edges : tuple of int
        Where the parts meet, by what was known before.
    """

    name: str
    y: str
    x: str = ""
    most: int | None = None
    part: int | None = None
    edges: tuple[int, ...] = ()

    @property
    def needs(self) -> tuple[str, ...]:
        """The recorded metrics that it is made of."""
        return (self.y, self.x) if self.x else (self.y,)

    def of(self, values: Mapping[str, int], covariate: int) -> PairSums:
        """Give a unit's pair; nothing while one of its values is not known."""
        if any(name not in values for name in self.needs):
            return PairSums()
        if self.part is not None:
            mine = bisect_left(self.edges, covariate) == self.part
            return PairSums.pair(values[self.y], 1) if mine else PairSums()
        y = values[self.y] if self.most is None else min(values[self.y], self.most)
        return PairSums.pair(y, values[self.x] if self.x else covariate)


def cell_of(design: Design, metric: str) -> str:
    """Name the cells that a metric is compared by."""
    return ADJUSTED + metric if metric == design.metric and design.adjusts else metric


def part_cells(design: Design) -> list[str]:
    """Name the cells of the goal in each part of a list, by what was known before; [] for none."""
    if design.listed is None or not design.listed.edges:
        return []
    return [f"part:{part}:{design.metric}" for part in range(len(design.listed.edges) + 1)]


def derived_of(design: Design) -> list[Derived]:
    """List the pairs that a design asks for; a cap that is not fixed yet asks for none."""
    ratios = [(metric, parts_of(metric)) for metric in design.metrics]
    pairs = [Derived(metric, parts[0], parts[1]) for metric, parts in ratios if len(parts) == 2]
    edges = () if design.listed is None else design.listed.edges
    pairs += [
        Derived(name, design.metric, part=part, edges=edges)
        for part, name in enumerate(part_cells(design))
    ]
    cap = design.cap
    if design.adjusts and (cap is None or cap.steps is not None):
        name = cell_of(design, design.metric)
        pairs.append(Derived(name, design.metric, most=None if cap is None else cap.steps))
    return pairs


def capped_of(design: Design) -> list[Derived]:
    """Give the pair of the goal under a cap that is chosen, and not yet that of all units."""
    cap = design.cap
    if cap is None or cap.chosen is None:
        return []
    return [Derived(cell_of(design, design.metric), design.metric, most=cap.chosen)]


def derived_cells(
    pairs: Sequence[Derived],
    key: UnitKey,
    arm: str,
    slot: int,
    before: Mapping[str, int],
    after: Mapping[str, int],
    covariate: int,
) -> dict[CellKey, PairSums]:
    """Say what a unit's values change in the cells of pairs: the new pair less the old one.

    Parameters
    ----------
    slot : int
        Hour of the unit's first exposure.
    before, after : mapping of str to int
        Known values by metric, in steps.
    covariate : int
        What was known of the unit before, in steps; 0 where nothing is asked for.
    """
    cells: dict[CellKey, PairSums] = {}
    for pair in pairs:
        change = pair.of(after, covariate) + pair.of(before, covariate).negative
        if change:
            place = CellKey(key.experiment, OPEN, 0, day_of(slot), key.phase, arm, pair.name)
            cells[place] = change
    return cells


def merge_cells(into: dict[CellKey, PairSums], cells: Mapping[CellKey, PairSums]) -> None:
    """Add cells to others, in place."""
    for key, sums in cells.items():
        before = into.get(key)
        into[key] = sums if before is None else before + sums
