"""Past looks, judged again: the same numbers in, and the same bits out, or not.

Three things can come of a look: it is the same in every bit, it differs in what is named, or it
cannot be said, with the reason.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, func, select

from timonel.errors import Phrase
from timonel.experiments.design import Design
from timonel.experiments.judging.evidence import decode_evidence
from timonel.experiments.judging.judge import judge
from timonel.experiments.judging.look import Look, decode_look
from timonel.experiments.replaying.recount import Recount
from timonel.store.tables_experiments import experiment_looks

NOT_KEPT = Phrase(
    "made before evidence was kept with looks",
    "anteriores a que se guardara la evidencia con cada mirada",
)
EVIDENCE_UNREADABLE = Phrase(
    "the evidence kept with it cannot be read", "la evidencia guardada no se puede leer"
)
LOOK_UNREADABLE = Phrase("its document cannot be read", "su documento no se puede leer")
NOTHING_BEFORE = Phrase(
    "the look before it is missing or cannot be read",
    "falta la mirada anterior, o no se puede leer",
)
MISSING = Phrase("no longer stored", "ya no está guardada")
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Difference:
    """One value of a look that came out otherwise."""

    look: int
    field: str
    stored: Any
    recomputed: Any


@dataclass(slots=True)
class Unsaid:
    """Looks of which it cannot be said, and why."""

    reason: Phrase
    n: int
    first: int
    last: int


@dataclass(slots=True)
class Replay:
    """What came of judging looks again.

    Parameters
    ----------
    experiment : str
    n_looks : int
        How many were looked at here.
    n_same : int
        Those that are the same in every bit.
    differences : list of Difference
    unsaid : list of Unsaid
    log : Recount or None
        What the sums are beside the log; None where that was not asked.
    """

    experiment: str
    n_looks: int = 0
    n_same: int = 0
    differences: list[Difference] = field(default_factory=list)
    unsaid: list[Unsaid] = field(default_factory=list)
    log: Recount | None = None

    @property
    def all_same(self) -> bool:
        """Whether every look is the same, and so are the sums, where they were counted again."""
        same = self.n_same == self.n_looks and not self.unsaid
        return same and (self.log is None or self.log.same)

    @property
    def n_differ(self) -> int:
        """How many looks differ in something."""
        return len({difference.look for difference in self.differences})

    def cannot_say(self, look: int, reason: Phrase, n: int = 1) -> None:
        """Note looks of which it cannot be said; neighbours of one reason become one line."""
        last = look + n - 1
        before = self.unsaid[-1] if self.unsaid else None
        if before is not None and before.reason is reason and before.last == look - 1:
            before.n, before.last = before.n + n, last
        else:
            self.unsaid.append(Unsaid(reason, n, look, last))


def replay_looks(
    connection: Connection, project: str, design: Design, *, last: int | None = None
) -> Replay:
    """Judge stored looks again, from the evidence kept with each.

    Parameters
    ----------
    last : int or None
        Only so many of the newest; None: all.
    """
    k = experiment_looks.c
    mine = (k.project == project, k.experiment == design.name)
    newest = connection.scalar(select(func.max(k.look)).where(*mine)) or 0
    first = 1 if last is None else max(1, newest - last + 1)
    found = Replay(design.name)
    before, last_seen = None, max(0, first - 2)
    for row in _stored(connection, mine, first - 1, newest):
        look = _read(row.document)
        if row.look >= first:
            absent = row.look - max(first, last_seen + 1)
            if absent > 0:
                found.cannot_say(row.look - absent, MISSING, absent)
            found.n_looks += 1
            known = row.look == 1 or (before is not None and last_seen == row.look - 1)
            _compare(found, design, row, look, before, known=known)
        before, last_seen = look, row.look
    return found


def _stored(
    connection: Connection, mine: tuple[ColumnElement[bool], ...], first: int, newest: int
) -> Iterator[Any]:
    k = experiment_looks.c
    query = select(k.look, k.verdict, k.effect, k.e_value, k.p_value, k.document, k.evidence)
    for start in range(first, newest + 1, _PAGE):
        page = k.look.between(start, min(start + _PAGE - 1, newest))
        yield from connection.execute(query.where(*mine, page).order_by(k.look)).all()


def _read(document: str) -> Look | None:
    try:
        return decode_look(document)
    except (msgspec.DecodeError, UnicodeError):
        return None


def _compare(
    found: Replay,
    design: Design,
    row: Row[Any],
    look: Look | None,
    before: Look | None,
    *,
    known: bool,
) -> None:
    if look is None:
        return found.cannot_say(row.look, LOOK_UNREADABLE)
    if row.evidence is None:
        return found.cannot_say(row.look, NOT_KEPT)
    if not known:
        return found.cannot_say(row.look, NOTHING_BEFORE)
    try:
        again = judge(design, decode_evidence(row.evidence), before)
    except (msgspec.DecodeError, UnicodeError, ArithmeticError, LookupError, ValueError):
        return found.cannot_say(row.look, EVIDENCE_UNREADABLE)
    differences = list(_differences(row, look, again))
    if differences:
        found.differences += differences
    else:
        found.n_same += 1
    return None


def _differences(row: Row[Any], look: Look, again: Look) -> Iterator[Difference]:
    """Name what differs: in the document, and in the columns that stand beside it."""
    goal = again.goal
    columns = {
        "verdict": str(again.verdict),
        "effect": None if goal is None else goal.effect,
        "e_value": None if goal is None else goal.e_value,
        "p_value": None if goal is None else goal.p_value,
    }
    for name, value in columns.items():
        if row._mapping[name] != value:
            yield Difference(row.look, f"row.{name}", row._mapping[name], value)
    if row.document != again.encode():
        stored, recomputed = msgspec.to_builtins(look), msgspec.to_builtins(again)
        named = list(_paths("", stored, recomputed))
        # the same values in another text are not the same bits either
        for path, one, other in named or [("document", row.document, again.encode())]:
            yield Difference(row.look, path, one, other)


def _paths(path: str, stored: Any, again: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(stored, dict) and isinstance(again, dict):
        for key in sorted(stored.keys() | again.keys()):
            inner = f"{path}.{key}" if path else str(key)
            yield from _paths(inner, stored.get(key), again.get(key))
    elif isinstance(stored, list) and isinstance(again, list) and len(stored) == len(again):
        for place, (one, other) in enumerate(zip(stored, again, strict=True)):
            yield from _paths(f"{path}[{place}]", one, other)
    elif stored != again:
        yield path, stored, again
