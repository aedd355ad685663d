"""Where a look's sums are kept: cells, shares by phase, and what closed cells came to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec
from sqlalchemy import Connection, or_, select

from timonel.experiments.counting.cells import read_cells
from timonel.experiments.counting.sums import AGES, OPEN, CellKey, PairSums, day_of
from timonel.experiments.judging.evidence import Contribution
from timonel.store.keyed import write_keyed
from timonel.store.tables_experiments import (
    experiment_cells,
    experiment_phases,
    experiment_totals,
)

Cells = Mapping[CellKey, PairSums]


class Maturity(msgspec.Struct):
    """What is said of labels' ages, once an hour."""

    hour: int = -1
    after_h: int | None = None
    effect: dict[str, Contribution] = {}
    immature: int = 0
    delay_e: float = 1.0


class Totals(msgspec.Struct):
    """What closed cells said: comparisons a treatment, and sums an arm."""

    goal: dict[str, Contribution] = {}
    sums: dict[str, tuple[int, int, int]] = {}
    maturity: Maturity = msgspec.field(default_factory=Maturity)


class Sums(Protocol):
    """Sums of one experiment, as a look asks for them."""

    def weights(self) -> dict[int, tuple[float, ...]]:
        """Give the shares that were asked for, by phase."""

    def totals(self) -> tuple[Totals, int]:
        """Give what closed cells came to, and the hour before which they are in there."""

    def cells(self, closed_until: int) -> Cells:
        """Give the cells that are not closed; some that are may be among them."""

    def ages(self) -> Cells:
        """Give the cells of labels' ages."""

    def keep(self, totals: Totals, until: int) -> None:
        """Keep what closed cells came to, for the next look."""


_totals = msgspec.json.Decoder(Totals)


@dataclass(frozen=True, slots=True)
class StoredSums:
    """Those in the database, read and written in the look's own transaction."""

    connection: Connection
    project: str
    name: str
    revised: int

    def weights(self) -> dict[int, tuple[float, ...]]:
        """Read the shares that were asked for, by phase."""
        p = experiment_phases.c
        query = select(p.phase, p.weights).where(
            p.project == self.project, p.experiment == self.name
        )
        return {
            phase: msgspec.json.decode(weights, type=tuple[float, ...])
            for phase, weights in self.connection.execute(query)
        }

    def totals(self) -> tuple[Totals, int]:
        """Read what closed cells came to; nothing, where they were revised since."""
        t = experiment_totals.c
        row = self.connection.execute(
            select(t.revised, t.closed_until, t.document)
            .where(t.project == self.project, t.experiment == self.name)
            .with_for_update()
        ).first()
        if row is None or row.revised != self.revised:
            return Totals(), 0
        return _totals.decode(row.document), row.closed_until

    def cells(self, closed_until: int) -> Cells:
        """Read the open cells."""
        c = experiment_cells.c
        # whole days stay open longer than the hours in them
        return read_cells(
            self.connection,
            self.project,
            self.name,
            c.arrival_slot >= day_of(closed_until),
            c.arrival_slot <= OPEN,
            or_(c.arrival_span != 1, c.arrival_slot >= closed_until),
        )

    def ages(self) -> Cells:
        """Read the cells of labels' ages."""
        mine = experiment_cells.c.arrival_slot == AGES
        return read_cells(self.connection, self.project, self.name, mine)

    def keep(self, totals: Totals, until: int) -> None:
        """Write what closed cells came to."""
        document = msgspec.json.encode(totals, order="deterministic").decode()
        row = (self.project, self.name, self.revised, until, document)
        write_keyed(self.connection, experiment_totals, 2, [row])
