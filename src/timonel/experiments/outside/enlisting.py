"""A list of units for a draft that has none: assigned once, read page by page.

Once, since a list that may be drawn until it pleases is no random one.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from sqlalchemy import Engine

from timonel.clock import Clock
from timonel.experiments.checking.design import check_design
from timonel.experiments.design import Design, Mode, State, UnitList
from timonel.experiments.errors import ExperimentBusy, ListIsThere, NoList, NotDraft, NotOutside
from timonel.experiments.outside.members import Member, members_after, whole, write_members
from timonel.experiments.rows import Experiment, Rows
from timonel.store.engine import reading

_PAGE = 5_000
Draw = Callable[[Design], tuple[Design, list[Member]]]


class Page(NamedTuple):
    """Some units of a list, and by what it was drawn."""

    listed: UnitList
    members: list[Member]


class UnitLists:
    """The lists of one project's experiments; safe to use from several threads and processes."""

    def __init__(self, engine: Engine, project: str, clock: Clock) -> None:
        self._engine = engine
        self._project = project
        self._clock = clock

    def assign(self, name: str, draw: Draw, *, who: str) -> Experiment:
        """Assign a draft's units, all of them or none.

        Parameters
        ----------
        draw : callable
            Gives the design with its list, and the units with their arms; see ``draw_units``.

        Raises
        ------
        UnknownExperiment, NotOutside, NotDraft, ListIsThere, InvalidDesign, UnusableUnits
        ExperimentBusy
            If someone else changed the experiment, or assigned it a list, meanwhile.
        """
        with reading(self._engine) as connection:
            experiment = _awaiting(Rows(connection, self._project).one(name))
        design, members = draw(experiment.design)
        assert design.listed is not None  # noqa: S101 - that is what drawing does
        check_design(design)
        at = self._clock.now_us()
        write_members(self._engine, self._project, name, members, at, draft=True)
        with self._engine.begin() as connection:
            rows = Rows(connection, self._project)
            rows.change(experiment, "assign", design=design.encode())
            if not whole(connection, self._project, name, len(members), at):
                raise ExperimentBusy(experiment=name, action="assign")
            facts = {"units": len(members), "seed": design.listed.seed}
            rows.note(name, "assign", who, design.listed.source, at, facts)
            return rows.one(name)

    def page(self, name: str, after: str, limit: int) -> Page:
        """Give the units after one, by unit.

        Raises
        ------
        UnknownExperiment, NoList
        """
        with reading(self._engine) as connection:
            listed = Rows(connection, self._project).one(name).design.listed
            if listed is None:
                raise NoList(experiment=name)
            return Page(listed, members_after(connection, self._project, name, after, limit))

    def pages(self, name: str) -> Iterator[Page]:
        """Give the whole list page by page, each in a read of its own; raises as ``page``."""
        after = ""
        while True:
            page = self.page(name, after, _PAGE)
            yield page
            if len(page.members) < _PAGE:
                return
            after = page.members[-1].unit


def _awaiting(experiment: Experiment) -> Experiment:
    design = experiment.design
    if design.mode is not Mode.OUTSIDE:
        raise NotOutside(experiment=experiment.name, mode=str(design.mode))
    if design.listed is not None:
        n, seed = sum(design.listed.counts), design.listed.seed
        raise ListIsThere(experiment=experiment.name, n=n, seed=seed)
    if experiment.state is not State.DRAFT:
        raise NotDraft(experiment=experiment.name, state=str(experiment.state))
    return experiment
