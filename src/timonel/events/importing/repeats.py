"""Rows that were imported before and may be a new truth: only who has the file can tell.

A file without times says what is true now. The same row in a later file is either the same file
again, or the truth of a later prediction; taken for the one, a later prediction stays without its
truth (and most rows of a model that is good are repeated: those that are left would tell of its
errors alone); taken for the other, it gets an old one.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, select

from timonel.events.frames import OutcomeFrame
from timonel.events.joining import Waiting, find_by_key
from timonel.events.plans import Plans
from timonel.store.tables import outcomes, truths

_PAGE = 500


def predicted_since(
    connection: Connection, project: str, plans: Plans, frames: Sequence[OutcomeFrame]
) -> list[str]:
    """List the keys of truths that are stored, and whose last prediction is another without one.

    Parameters
    ----------
    frames : sequence of OutcomeFrame
        By key, each with the moment until which predictions are looked for.
    """
    stored = _predictions_of(connection, project, [UUID(bytes=frame.id) for frame in frames])
    again = [
        Waiting(UUID(bytes=f.id), f.model, None, f.key, f.observed_at or f.at, f.at, f.value)
        for f in frames
        if UUID(bytes=f.id) in stored and f.value is not None
    ]
    complete_until = max((one.until for one in again), default=0)
    last = find_by_key(connection, project, again, plans, complete_until)
    later = {one.id: UUID(bytes=last[one.id]) for one in again if one.id in last}
    open_ = {id_: found for id_, found in later.items() if found != stored[id_]}
    known = _known(connection, project, list(open_.values()))
    return [str(one.key) for one in again if one.id in open_ and open_[one.id] not in known]


def _predictions_of(
    connection: Connection, project: str, ids: Sequence[UUID]
) -> dict[UUID, UUID | None]:
    o = outcomes.c
    found: dict[UUID, UUID | None] = {}
    for start in range(0, len(ids), _PAGE):
        page = ids[start : start + _PAGE]
        query = select(o.outcome_id, o.prediction_id).where(
            o.project == project, o.outcome_id.in_(page)
        )
        found.update({row[0]: row[1] for row in connection.execute(query)})
    return found


def _known(connection: Connection, project: str, predictions: Sequence[UUID]) -> set[UUID]:
    t = truths.c
    found: set[UUID] = set()
    for start in range(0, len(predictions), _PAGE):
        page = predictions[start : start + _PAGE]
        query = select(t.prediction_id).where(t.project == project, t.prediction_id.in_(page))
        found.update(connection.scalars(query))
    return found
