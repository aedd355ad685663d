"""Rows of unheard answers: inserted once, and read beside the predictions they belong to."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Engine, Row, Select, delete, exists, insert, select
from sqlalchemy.sql import false, true

from timonel.events.frames import ShadowAnswer, ShadowFrame
from timonel.events.rows import json_text
from timonel.store.engine import reading
from timonel.store.tables import predictions, shadow_answers

PAGE = 500

_s, _p = shadow_answers.c, predictions.c


def store_shadows(
    connection: Connection, project: str, drainer_id: str, frames: Sequence[ShadowFrame]
) -> list[bytes]:
    """Insert unheard answers that are not there yet, each to be joined; one a prediction.

    Returns
    -------
    list of bytes
        The predictions of those that were inserted.
    """
    first: dict[bytes, ShadowFrame] = {}
    for frame in frames:
        first.setdefault(frame.prediction, frame)
    for page in _pages(first):
        known = select(_s.prediction_id).where(_s.project == project, _s.prediction_id.in_(page))
        for identifier in connection.execute(known).scalars():
            del first[identifier.bytes]
    rows = [
        {
            "project": project,
            "prediction_id": UUID(bytes=frame.prediction),
            "model": frame.model,
            "variant": frame.variant,
            "version": frame.version,
            "generation": frame.generation,
            "at": frame.at,
            "fate": frame.fate,
            "answer": None if frame.answer is None else json_text(frame.answer),
            "score": frame.score,
            "latency_us": frame.latency_us,
            "joined": False,
            "drainer_id": drainer_id,
        }
        for frame in first.values()
    ]
    if rows:
        # its primary key is the guard: what another drainer inserted meanwhile fails here
        connection.execute(insert(shadow_answers), rows)
    return list(first)


def findable_shadows(connection: Connection, project: str) -> list[bytes]:
    """Give unheard answers, whoever drained them, that need wait for their prediction no longer."""
    there = exists().where(_p.project == project, _p.prediction_id == _s.prediction_id)
    query = (
        select(_s.prediction_id)
        .where(_s.project == project, _s.joined == false(), there)
        .order_by(_s.at)
        .limit(PAGE)
    )
    return [identifier.bytes for identifier in connection.execute(query).scalars()]


def lock_predictions(connection: Connection, project: str, ids: Iterable[bytes]) -> None:
    """Let whoever joins an outcome, and whoever joins an unheard answer, follow each other.

    Each looks for what the other has stored: of two at the same time, the second one finds it.
    Locked in the order of ids.
    """
    if connection.dialect.name == "sqlite":
        return  # one transaction writes at a time
    for page in _pages(ids):
        query = select(_p.prediction_id).where(_p.project == project, _p.prediction_id.in_(page))
        connection.execute(query.order_by(_p.prediction_id).with_for_update()).all()


def read_joined(
    connection: Connection, project: str, ids: Iterable[bytes]
) -> dict[bytes, ShadowAnswer]:
    """Read what unheard versions answered, where that is joined already; by prediction."""
    found: dict[bytes, ShadowAnswer] = {}
    for page in _pages(ids):
        query = select(_s.prediction_id, _s.variant, _s.version, _s.answer, _s.score, _s.latency_us)
        mine = _belongs(query, project).where(_s.answer.is_not(None), _s.prediction_id.in_(page))
        for row in connection.execute(mine):
            found[row.prediction_id.bytes] = answer_of(row)
    return found


def read_fates(
    connection: Connection, project: str, model: str, variants: Sequence[str]
) -> Iterable[Row[Any]]:
    """Read what came of asking, of joined ones of some variants: prediction id and fate."""
    query = _belongs(select(_s.prediction_id, _s.fate), project).where(
        _p.model == model, _p.variant.in_(variants)
    )
    return connection.execution_options(yield_per=PAGE).execute(query)


def _belongs(query: Select[Any], project: str) -> Select[Any]:
    """Take the joined answers of the very requests that asked for them.

    A client that repeats a request under its own id has one prediction, the first; an unheard
    answer to another attempt is not of it.
    """
    same = (_p.project == _s.project) & (_p.prediction_id == _s.prediction_id)
    return query.join(predictions, same).where(
        _s.project == project,
        _s.joined == true(),
        _p.shadow_asked == true(),
        _p.model == _s.model,
        _p.at == _s.at,
    )


def answer_of(row: Row[Any]) -> ShadowAnswer:
    """Give the answer that a row holds."""
    answer = msgspec.json.decode(row.answer)
    return ShadowAnswer(row.variant, row.version, answer, row.score, row.latency_us)


def expire_shadows(engine: Engine, project: str, before: int) -> None:
    """Give up unheard answers to older requests, of which no prediction is known."""
    old = (_s.project == project, _s.joined == false(), _s.at < before)
    with reading(engine) as connection:
        if connection.scalar(select(_s.prediction_id).where(*old).limit(1)) is None:
            return
    with engine.begin() as connection:
        connection.execute(delete(shadow_answers).where(*old))


def _pages(ids: Iterable[bytes]) -> Iterable[list[UUID]]:
    wanted = sorted(ids)
    for start in range(0, len(wanted), PAGE):
        yield [UUID(bytes=identifier) for identifier in wanted[start : start + PAGE]]
