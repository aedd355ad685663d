"""Rows of outcomes: inserted once, parked or decided, and looked at again while they wait."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, bindparam, false, insert, select, update

from timonel.events.frames import OutcomeFrame
from timonel.events.joining import (
    IDENTICAL,
    INVALID,
    JOINED,
    PARKED,
    Decision,
    Joining,
    Waiting,
    join,
    waiting_of,
)
from timonel.events.plans import Plans, Problem
from timonel.events.rows import Raced, json_text
from timonel.store.tables import outcomes
from timonel.wire.answer import Label

PARKED_PAGE = 5000

_PAGE = 500


@dataclass(frozen=True, slots=True)
class ParkedPage:
    """Some parked outcomes of a drainer; ``after`` is where the next page begins, None: anew."""

    waiting: list[Waiting]
    after: UUID | None


def store_outcomes(
    connection: Connection,
    project: str,
    drainer_id: str,
    frames: Sequence[OutcomeFrame],
    plans: Plans,
    *,
    complete_until: int,
    now: int,
) -> tuple[int, Joining]:
    """Insert outcomes that are not there yet, joined where their predictions are found.

    Returns
    -------
    n_outcomes : int
        How many were inserted.
    joining : Joining
    """
    known = _known(connection, project, [UUID(bytes=frame.id) for frame in frames])
    new = {frame.id: frame for frame in reversed(frames) if UUID(bytes=frame.id) not in known}
    decisions: dict[bytes, Decision] = {}
    raw: dict[bytes, Label | None] = {}
    waiting = []
    for frame in new.values():
        value = plans.of(frame.model).read(frame.value)
        if isinstance(value, Problem):
            raw[frame.id] = frame.value
            decisions[frame.id] = Decision(INVALID, frame.prediction, problem=value)
        else:
            raw[frame.id] = value
            waiting.append(waiting_of(frame, value))
    joining = join(connection, project, waiting, plans, complete_until=complete_until)
    decisions |= {identifier.bytes: d for identifier, d in joining.decisions.items()}
    rows = [
        {
            "project": project,
            "outcome_id": UUID(bytes=frame.id),
            "model": frame.model,
            "key": frame.key,
            "observed_at": frame.observed_at,
            "arrived_at": frame.at,
            "value": json_text(raw[frame.id]),
            "origin": frame.origin,
            "drainer_id": drainer_id,
            **_decided(decisions[frame.id], now),
        }
        for frame in new.values()
    ]
    if rows:
        connection.execute(insert(outcomes), rows)
    return len(rows), joining


def parked_page(
    connection: Connection, project: str, drainer_id: str, after: UUID | None
) -> ParkedPage:
    """Read the next page of a drainer's parked outcomes, in the order of their ids."""
    o = outcomes.c
    query = (
        select(o.outcome_id, o.model, o.prediction_id, o.key, o.observed_at, o.arrived_at, o.value)
        .where(o.project == project, o.joined == false(), o.drainer_id == drainer_id)
        .order_by(o.outcome_id)
        .limit(PARKED_PAGE)
    )
    if after is not None:
        query = query.where(o.outcome_id > after)
    waiting = [
        Waiting(
            identifier,
            model,
            None if prediction is None else prediction.bytes,
            key,
            arrived_at if observed_at is None else observed_at,
            arrived_at,
            json.loads(value),
        )
        for identifier, model, prediction, key, observed_at, arrived_at, value in (
            connection.execute(query)
        )
    ]
    return ParkedPage(waiting, waiting[-1].id if len(waiting) == PARKED_PAGE else None)


def join_parked(
    connection: Connection,
    project: str,
    waiting: Sequence[Waiting],
    plans: Plans,
    *,
    complete_until: int,
    now: int,
) -> Joining:
    """Join parked outcomes, each guarded by ``joined = false``.

    Raises
    ------
    Raced
        If one of them was decided meanwhile.
    """
    o = outcomes.c
    ids = [w.id for w in waiting]
    still = select(o.outcome_id).where(
        o.project == project, o.outcome_id.in_(ids), o.joined == false()
    )
    open_ids = set(connection.execute(still.with_for_update()).scalars())
    joining = join(
        connection,
        project,
        [w for w in waiting if w.id in open_ids],
        plans,
        complete_until=complete_until,
    )
    rows = [
        {"id": identifier, **_decided(decision, now)}
        for identifier, decision in joining.decisions.items()
        if decision.state != PARKED
    ]
    if rows:
        guarded = update(outcomes).where(
            o.project == project, o.outcome_id == bindparam("id"), o.joined == false()
        )
        names = [name for name in rows[0] if name != "id"]
        changed = connection.execute(guarded.values({n: bindparam(n) for n in names}), rows)
        if changed.rowcount != len(rows):
            raise Raced
    return joining


def _known(connection: Connection, project: str, ids: Sequence[UUID]) -> set[UUID]:
    o = outcomes.c
    known: set[UUID] = set()
    for start in range(0, len(ids), _PAGE):
        page = ids[start : start + _PAGE]
        query = select(o.outcome_id).where(o.project == project, o.outcome_id.in_(page))
        known.update(connection.execute(query).scalars())
    return known


def _decided(decision: Decision, now: int) -> dict[str, object]:
    joined = decision.state in (JOINED, IDENTICAL)
    return {
        "prediction_id": None if decision.prediction is None else UUID(bytes=decision.prediction),
        "state": decision.state,
        "joined": decision.state != PARKED,
        "revision": decision.revision,
        "joined_at": now if joined else None,
        "problem": None if decision.problem is None else decision.problem.encode(),
    }
