"""The stored arms of listed units: written before their experiment is, read by id.

A list is written in pages, so that nobody waits long for the database; the experiment (or that a
draft has a list) is entered last, and only where the whole list is there. So an experiment with a
list has all of its units.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Engine, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from timonel.experiments.design import State
from timonel.experiments.errors import ExperimentBusy, ExperimentExists
from timonel.experiments.rows import Experiment, Rows
from timonel.store.tables_experiments import experiment_members

LIST = "list"
MOST_UNITS = 1_000_000
_PAGE = 5_000
_IN = 500
_m = experiment_members.c


class Member(NamedTuple):
    """A unit of a list, its arm, and what was known of it before."""

    unit: str
    arm: str
    covariate: float | None = None


def write_members(
    engine: Engine,
    project: str,
    name: str,
    members: Sequence[Member],
    at: int,
    *,
    draft: bool = False,
) -> None:
    """Store the units of an experiment that is not entered yet.

    Parameters
    ----------
    at : int
        Microseconds of the event clock; by them ``whole`` knows this writing from another one.
    draft : bool
        It is entered, as a draft without a list.

    Raises
    ------
    ExperimentExists
    ExperimentBusy
        If someone else writes a list under the same name.
    """
    _clear(engine, project, name, draft=draft)
    for start in range(0, len(members), _PAGE):
        rows = [
            {
                "project": project,
                "experiment": name,
                "unit_id": member.unit,
                "arm": member.arm,
                "origin": LIST,
                "at": at,
                "covariate": member.covariate,
            }
            for member in members[start : start + _PAGE]
        ]
        try:
            with engine.begin() as connection:
                connection.execute(insert(experiment_members), rows)
        except IntegrityError:
            raise ExperimentBusy(experiment=name, action="create") from None


def whole(connection: Connection, project: str, name: str, n: int, at: int) -> bool:
    """Say whether the list that stands there is the one written at this time, all of it."""
    query = select(func.count(), func.min(_m.at), func.max(_m.at)).where(
        _m.project == project, _m.experiment == name
    )
    return tuple(connection.execute(query).one()) == (n, at, at)


def find_members(
    connection: Connection, project: str, name: str, units: Sequence[str]
) -> list[Member]:
    """Give those of the units that are on the list."""
    found: list[Member] = []
    for start in range(0, len(units), _IN):
        query = select(_m.unit_id, _m.arm, _m.covariate).where(
            _m.project == project,
            _m.experiment == name,
            _m.unit_id.in_(units[start : start + _IN]),
        )
        found += [Member(*row) for row in connection.execute(query)]
    return found


def all_members(connection: Connection, project: str, name: str) -> Iterator[Member]:
    """Give the whole list, by unit."""
    query = select(_m.unit_id, _m.arm).where(_m.project == project, _m.experiment == name)
    rows = connection.execution_options(yield_per=1000).execute(query.order_by(_m.unit_id))
    for unit, arm in rows:
        yield Member(unit, arm)


def awaits_list(experiment: Experiment) -> bool:
    """Say whether it is a draft whose units are not assigned."""
    return experiment.state is State.DRAFT and experiment.design.listed is None


def members_after(
    connection: Connection, project: str, name: str, after: str, limit: int
) -> list[Member]:
    """Give a page of the list, by unit."""
    query = select(_m.unit_id, _m.arm).where(
        _m.project == project, _m.experiment == name, _m.unit_id > after
    )
    rows = connection.execute(query.order_by(_m.unit_id).limit(limit))
    return [Member(unit, arm) for unit, arm in rows]


def _clear(engine: Engine, project: str, name: str, *, draft: bool) -> None:
    """Remove what a creation left that did not come to its end; never an experiment's own list."""
    while True:
        with engine.begin() as connection:
            taken = Rows(connection, project).find(name)
            if taken is not None and not (draft and awaits_list(taken)):
                raise ExperimentExists(experiment=name, state=str(taken.state))
            some = select(_m.unit_id).where(_m.project == project, _m.experiment == name)
            page = list(connection.scalars(some.limit(_IN)))
            if not page:
                return
            connection.execute(
                delete(experiment_members).where(
                    _m.project == project, _m.experiment == name, _m.unit_id.in_(page)
                )
            )
