"""Where a look's sums are kept: cells, shares by phase, and what closed cells came to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

import msgspec
from sqlalchemy import Connection, bindparam, func, or_, select

from timonel.experiments.counting.cells import CELL_COLUMNS, merged_cells
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
    newest: int = -1  # day of exposure that is mature
    effect: dict[str, Contribution] = {}
    immature: int = 0
    delay_e: float = 1.0
    # by arm, the newest mature day of exposure that has a label; None: kept before it was asked for
    youngest: dict[str, int] | None = None


class Totals(msgspec.Struct):
    """What closed cells said: comparisons a treatment, and sums an arm."""

    goal: dict[str, Contribution] = {}
    sums: dict[str, tuple[int, int, int]] = {}
    maturity: Maturity = msgspec.field(default_factory=Maturity)


Age = tuple[int, int, int, str, str, int]
"""Labels of one age: age, exposure slot, phase, arm, truth with what came of it, and how many."""


class AgedGoal(NamedTuple):
    """Sums of the goal over labels of one age."""

    phase: int
    exposure: int
    arm: str
    sums: PairSums


class Sums(Protocol):
    """Sums of one experiment, as a look asks for them."""

    def weights(self) -> dict[int, tuple[float, ...]]:
        """Give the shares that were asked for, by phase."""

    def totals(self) -> tuple[Totals, int]:
        """Give what closed cells came to, and the hour before which they are in there."""

    def cells(self, closed_until: int) -> Cells:
        """Give the cells that are not closed; some that are may be among them."""

    def ages(self, goal: str) -> Sequence[Age]:
        """Give the counts of labels' ages; those of one place may be in several parts."""

    def aged_goals(self, goal: str, *, newest: int, oldest: int) -> Sequence[AgedGoal]:
        """Give the goal by labels up to an age, of exposures up to a day; likewise in parts."""

    def keep(self, totals: Totals, until: int) -> None:
        """Keep what closed cells came to, for the next look."""


_c = experiment_cells.c
_of_ages = (
    _c.project == bindparam("project"),
    _c.experiment == bindparam("name"),
    _c.arrival_slot == AGES,
)
_NOT_CLOSED = select(*CELL_COLUMNS).where(
    _c.project == bindparam("project"),
    _c.experiment == bindparam("name"),
    # whole days stay open longer than the hours in them
    _c.arrival_slot >= bindparam("day"),
    _c.arrival_slot <= OPEN,
    or_(_c.arrival_span != 1, _c.arrival_slot >= bindparam("until")),
)
# those of the goal that have ended by an hour, and were not closed
_ENDED = select(*CELL_COLUMNS).where(
    _c.project == bindparam("project"),
    _c.experiment == bindparam("name"),
    _c.arrival_slot >= bindparam("day"),
    _c.arrival_slot + _c.arrival_span <= bindparam("hour"),
    or_(_c.arrival_span != 1, _c.arrival_slot >= bindparam("until")),
    _c.metric == bindparam("goal"),
)
_ARRIVED = (
    select(_c.arrival_slot, func.count())
    .where(
        _c.project == bindparam("project"),
        _c.experiment == bindparam("name"),
        _c.arrival_slot >= bindparam("day"),
        _c.arrival_slot < bindparam("hour"),
        or_(_c.arrival_span != 1, _c.arrival_slot >= bindparam("until")),
        _c.metric == bindparam("goal"),
    )
    .group_by(_c.arrival_slot)
    .order_by(_c.arrival_slot)
)
# beside labels' counts there is nothing among the ages but the goal
_AGES = select(_c.arrival_span, _c.exposure_slot, _c.phase, _c.arm, _c.metric, _c.n).where(
    *_of_ages, _c.metric != bindparam("goal")
)
_GOALS = select(_c.phase, _c.exposure_slot, _c.arm, _c.n, _c.sum_q, _c.sum_q2).where(
    *_of_ages,
    _c.metric == bindparam("goal"),
    _c.arrival_span <= bindparam("oldest"),
    _c.exposure_slot <= bindparam("newest"),
)
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
        mine = {"project": self.project, "name": self.name}
        since = {"day": day_of(closed_until), "until": closed_until}
        return merged_cells(self.name, self.connection.execute(_NOT_CLOSED, mine | since).all())

    def part_until(self, goal: str, closed_until: int, until: int, most: int) -> int:
        """Give an hour up to which about so many cells have ended that are not closed."""
        mine = {"project": self.project, "name": self.name, "goal": goal}
        within = {"day": day_of(closed_until), "until": closed_until, "hour": until}
        n = 0
        for slot, more in self.connection.execute(_ARRIVED, mine | within):
            n += more
            if n > most and slot >= closed_until:
                return min(int(slot) + 1, until)
        return until

    def ended(self, goal: str, closed_until: int, hour: int) -> Cells:
        """Read the goal's cells that have ended by an hour and are not closed."""
        mine = {"project": self.project, "name": self.name, "goal": goal}
        since = {"day": day_of(closed_until), "until": closed_until, "hour": hour}
        return merged_cells(self.name, self.connection.execute(_ENDED, mine | since).all())

    def ages(self, goal: str) -> Sequence[Age]:
        """Read the counts of labels' ages: as few columns as are asked for, since rows are many."""
        mine = {"project": self.project, "name": self.name, "goal": goal}
        return cast("Sequence[Age]", self.connection.execute(_AGES, mine).all())

    def aged_goals(self, goal: str, *, newest: int, oldest: int) -> list[AgedGoal]:
        """Read the goal by the age of its labels."""
        mine = {"project": self.project, "name": self.name, "goal": goal}
        rows = self.connection.execute(_GOALS, mine | {"newest": newest, "oldest": oldest}).all()
        return [
            AgedGoal(phase, exposure, arm, PairSums(n, int(q), int(q2)))
            for phase, exposure, arm, n, q, q2 in rows
        ]

    def keep(self, totals: Totals, until: int) -> None:
        """Write what closed cells came to."""
        document = msgspec.json.encode(totals, order="deterministic").decode()
        row = (self.project, self.name, self.revised, until, document)
        write_keyed(self.connection, experiment_totals, 2, [row])
