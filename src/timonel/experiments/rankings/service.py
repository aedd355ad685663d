"""Rankings of one request, interleaved, and the clicks on what was shown.

Each answer stands when it is given: it is committed. A request that is repeated is shown the same
list, and a click that is repeated counts once (ADR 0034).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from timonel.clock import Clock
from timonel.experiments.counting.cells import write_cells
from timonel.experiments.counting.sums import DIFFERENCE, EXPOSED, HOUR_US
from timonel.experiments.counting.units import Touched, UnitKey, UnitRows
from timonel.experiments.design import Design, Mode, State
from timonel.experiments.errors import NotAssigning
from timonel.experiments.outside.units import require_active
from timonel.experiments.rankings.draft import (
    MOST_ITEMS,
    NEITHER,
    TREATMENT,
    Draft,
    coins_of,
    team_draft,
)
from timonel.experiments.rankings.errors import (
    InterleavedOtherwise,
    ItemNotShown,
    NotInterleaved,
    NotInterleaving,
    UnusableRanking,
)
from timonel.experiments.rows import Experiment, Rows
from timonel.stats.moments import PER_UNIT
from timonel.store.engine import reading
from timonel.store.tables_experiments import experiment_interleavings, experiment_units

WRITER = "rankings"  # owner of the cells: writers of one experiment wait for each other
PHASE = 1  # shares never change: a pause begins no other comparison of a unit
_i = experiment_interleavings.c


class Shown(msgspec.Struct, frozen=True):
    """What two rankings were, and what was made of them."""

    control: tuple[str, ...]
    treatment: tuple[str, ...]
    length: int | None
    items: tuple[str, ...]
    teams: str

    def draft_again(self, salt: str, unit: str, request: str) -> Draft:
        """Interleave the same rankings again."""
        coins = coins_of(salt, unit, request)
        return team_draft(self.control, self.treatment, coins, self.length)


class Interleaved(NamedTuple):
    """A list to show, and whether this request is the first that asks for it."""

    unit: str
    items: tuple[str, ...]
    teams: str
    first: bool


class Clicked(NamedTuple):
    """What became of clicks, item by item.

    Parameters
    ----------
    counted : int
        They credit a team.
    nobody : int
        On items of neither team.
    late : int
        After the unit's window; kept, and not counted.
    repeated : int
    """

    counted: int = 0
    nobody: int = 0
    late: int = 0
    repeated: int = 0


class Rankings:
    """Interleaved rankings of one project; safe to use from several threads and processes."""

    def __init__(self, engine: Engine, project: str, clock: Clock) -> None:
        self._engine = engine
        self._project = project
        self._clock = clock

    def interleave(
        self,
        name: str,
        request: str,
        control: Sequence[str],
        treatment: Sequence[str],
        *,
        unit: str | None = None,
        length: int | None = None,
    ) -> Interleaved:
        """Make one list of two rankings, and keep whose each item is.

        Parameters
        ----------
        request : str
            Different for each list that is shown.
        control, treatment : sequence of str
            Best first, each item once within its ranking.
        unit : str or None
            Whom clicks belong to; its lists are one comparison. None: the request itself.
        length : int or None
            The most items to show; None: all.

        Raises
        ------
        UnknownExperiment, NotInterleaving, NotAssigning, UnusableRanking
        InterleavedOtherwise
            If the request was shown a list of other rankings, or for another unit.
        """
        unit = request if unit is None else unit
        _check_ranking(name, "control", control)
        _check_ranking(name, "treatment", treatment)
        with reading(self._engine) as connection:
            experiment = _running(Rows(connection, self._project).one(name))
            found = self._read(connection, name, request)
        salt = experiment.design.salt
        draft = team_draft(control, treatment, coins_of(salt, unit, request), length)
        shown = Shown(tuple(control), tuple(treatment), length, *draft)
        if found is None and self._store(name, request, unit, shown):
            return Interleaved(unit, *draft, first=True)
        with reading(self._engine) as connection:
            found = self._read(connection, name, request)
        assert found is not None  # noqa: S101 - it stood there, or another stored it
        before, of_unit, _ = found
        if (before.control, before.treatment, before.length, of_unit) != (
            shown.control,
            shown.treatment,
            length,
            unit,
        ):
            raise InterleavedOtherwise(experiment=name, request=request[:64])
        return Interleaved(unit, before.items, before.teams, first=False)

    def click(self, name: str, request: str, items: Sequence[str]) -> Clicked:
        """Credit clicks to the teams of the items: all of them or, where one is refused, none.

        Raises
        ------
        UnknownExperiment, NotInterleaving, NotAssigning
        NotInterleaved
            If nothing was shown to the request.
        ItemNotShown
        """
        with self._engine.begin() as connection:
            experiment = Rows(connection, self._project).one(name, locked=True)
            design = _interleaving(experiment)
            if experiment.state is State.DRAFT:
                raise NotAssigning(experiment=name, state=str(experiment.state))
            found = self._read(connection, name, request)
            if found is None:
                raise NotInterleaved(experiment=name, request=request[:64])
            shown, unit, clicks = found
            for item in items:
                if item not in shown.items:
                    raise ItemNotShown(experiment=name, request=request[:64], item=item[:64])
            at = self._clock.now_us()
            slot = self._first_slot(connection, name, unit)
            assert slot is not None  # noqa: S101 - it was exposed with its first list
            known = {place for place, _ in clicks}
            new = sorted({shown.items.index(item) for item in items} - known)
            repeated = len(set(items)) - len(new)
            if new:
                mine = update(experiment_interleavings).where(
                    _i.project == self._project, _i.experiment == name, _i.request_id == request
                )
                now = [*clicks, *((place, at) for place in new)]
                connection.execute(mine.values(clicks=msgspec.json.encode(now).decode()))
            if at >= closes_at(design, slot):
                return Clicked(late=len(new), repeated=repeated)
            teams = [shown.teams[place] for place in new if shown.teams[place] != NEITHER]
            touched = Touched(design.names[0], slot)
            for team in teams:
                touched.add(DIFFERENCE, 1, PER_UNIT if team == TREATMENT else -PER_UNIT)
            if teams:
                self._settle(connection, {UnitKey(name, unit, PHASE): touched})
        return Clicked(len(teams), len(new) - len(teams), 0, repeated)

    # -- inside -----------------------------------------------------------------------------

    def _store(self, name: str, request: str, unit: str, shown: Shown) -> bool:
        """Store what is shown, and the unit's exposure if it is its first; False where it was."""
        try:
            with self._engine.begin() as connection:
                experiment = _running(Rows(connection, self._project).one(name, locked=True))
                at = self._clock.now_us()
                row = {
                    "project": self._project,
                    "experiment": name,
                    "request_id": request,
                    "unit_id": unit,
                    "at": at,
                    "document": msgspec.json.encode(shown).decode(),
                    "clicks": "[]",
                }
                connection.execute(insert(experiment_interleavings), row)
                if self._first_slot(connection, name, unit) is None:
                    arm = experiment.design.names[0]
                    first = Touched(arm, at // HOUR_US, exposures=1)
                    self._settle(connection, {UnitKey(name, unit, PHASE): first})
        except IntegrityError:
            return False
        return True

    def _read(
        self, connection: Connection, name: str, request: str
    ) -> tuple[Shown, str, list[tuple[int, int]]] | None:
        query = select(_i.document, _i.unit_id, _i.clicks).where(
            _i.project == self._project, _i.experiment == name, _i.request_id == request
        )
        row = connection.execute(query).first()
        return None if row is None else (read_shown(row.document), row.unit_id, clicks_of(row))

    def _first_slot(self, connection: Connection, name: str, unit: str) -> int | None:
        u = experiment_units.c
        query = select(u.first_slot).where(
            u.project == self._project,
            u.experiment == name,
            u.unit_id == unit,
            u.phase == PHASE,
            u.metric == EXPOSED,
        )
        return connection.scalar(query)

    def _settle(self, connection: Connection, touched: Mapping[UnitKey, Touched]) -> None:
        cells = UnitRows(self._project, connection, by_hour=True).settle(touched)
        write_cells(connection, self._project, WRITER, cells)


_shown = msgspec.json.Decoder(Shown)
_clicks = msgspec.json.Decoder(list[tuple[int, int]])


def read_shown(document: str) -> Shown:
    """Read what was shown back."""
    return _shown.decode(document)


def clicks_of(row: object) -> list[tuple[int, int]]:
    """Give the clicks of a row: the place in the list, and when."""
    return _clicks.decode(row.clicks)  # type: ignore[attr-defined]


def closes_at(design: Design, first_slot: int) -> int:
    """Give when a unit's comparison ends: its window after the hour of its first list."""
    return (first_slot + 1) * HOUR_US + design.window_s * 1_000_000


def _check_ranking(name: str, field: str, ranking: Sequence[str]) -> None:
    n, distinct = len(ranking), len(set(ranking))
    if not 1 <= n <= MOST_ITEMS or distinct < n:
        raise UnusableRanking(experiment=name, ranking=field, n=n, distinct=distinct)


def _interleaving(experiment: Experiment) -> Design:
    if experiment.design.mode is not Mode.INTERLEAVE:
        raise NotInterleaving(experiment=experiment.name, mode=str(experiment.design.mode))
    return experiment.design


def _running(experiment: Experiment) -> Experiment:
    _interleaving(experiment)
    return require_active(experiment)
