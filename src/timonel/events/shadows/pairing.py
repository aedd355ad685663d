"""The join of an unheard answer with its prediction, and with the truth, if that came before.

Of prediction, truth and unheard answer each may be the last to come. Truths join as they always
did (``events.joining``), and count the pair where the unheard answer is joined; an unheard answer
that is joined later counts the pair with the truth that is known by then. Both lock the prediction
first, so that of two at once the second finds what the first has stored: a pair counts once.
"""

import json
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, select, update
from sqlalchemy.sql import false

from timonel.events.accumulators import ShadowResult
from timonel.events.joining import read_logged
from timonel.events.plans import Plans
from timonel.events.rows import Raced
from timonel.events.shadows.answers import lock_predictions
from timonel.store.tables import shadow_answers, truths
from timonel.wire.answer import Label


def join_shadows(
    connection: Connection, project: str, ids: Sequence[bytes], plans: Plans
) -> list[ShadowResult]:
    """Join unheard answers whose predictions are there; the others wait on.

    Parameters
    ----------
    ids : sequence of bytes
        At most a page of predictions.

    Raises
    ------
    Raced
        If another transaction joined one of them meanwhile.
    """
    if not ids:
        return []
    lock_predictions(connection, project, ids)
    logged = read_logged(connection, project, ids)
    s = shadow_answers.c
    keys = [UUID(bytes=identifier) for identifier in sorted(logged)]
    waiting = select(s.prediction_id, s.model, s.at, s.fate).where(
        s.project == project, s.prediction_id.in_(keys), s.joined == false()
    )
    rows = connection.execute(waiting).all()
    if not rows:
        return []
    found = [row.prediction_id for row in rows]
    mine = update(shadow_answers).where(
        s.project == project, s.prediction_id.in_(found), s.joined == false()
    )
    if connection.execute(mine.values(joined=True)).rowcount != len(rows):
        raise Raced
    # again: what was joined just now belongs to its prediction from here on
    logged = read_logged(connection, project, [one.bytes for one in found])
    known = _truths(connection, project, found)
    results = []
    for row in rows:
        prediction = logged[row.prediction_id.bytes]
        same = prediction.model == row.model and prediction.at == row.at
        if same and prediction.shadow_asked:
            truth = known.get(row.prediction_id)
            results.append(ShadowResult(prediction, row.fate, truth, plans.of(row.model)))
    return results


def _truths(connection: Connection, project: str, ids: Sequence[UUID]) -> dict[UUID, Label]:
    t = truths.c
    query = select(t.prediction_id, t.value).where(t.project == project, t.prediction_id.in_(ids))
    return {identifier: json.loads(value) for identifier, value in connection.execute(query)}
