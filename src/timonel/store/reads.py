"""Reads of the logged events that routes and pages share: single rows and keyset pages."""

from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Select, and_, case, false, func, or_, select

from timonel.store.engine import database_now
from timonel.store.tables import outcomes, predictions, truths
from timonel.store.tables_loop import jobs


class PredictionRow(NamedTuple):
    """One logged answer and its latest truth; documents are JSON text as stored."""

    prediction_id: UUID
    at: int
    model: str
    version: str
    variant: str
    source: str
    reason: str
    key: str | None
    unit_id: str | None
    prediction: str
    score: float | None
    probabilities: str | None
    explanation: str | None
    latency_us: int
    features: str
    data_age_ms: int | None
    outcome: str | None
    outcome_revision: int | None
    outcome_at: int | None


class OutcomeRow(NamedTuple):
    """One reported truth and what became of it."""

    outcome_id: UUID
    model: str
    prediction_id: UUID | None
    key: str | None
    observed_at: int | None
    arrived_at: int
    value: str
    origin: str
    state: str
    revision: int | None
    joined_at: int | None


class JobRow(NamedTuple):
    """A job as health sees it.

    ``late_s`` is how long ago it was to begin (queued) or its lease ended (running), by the
    database's clock; negative where that is to come.
    """

    kind: str
    model: str
    state: str
    late_s: float


class Choice(NamedTuple):
    """Which predictions a page holds: those after the row ``before``, the page's predecessor."""

    limit: int
    before: tuple[int, UUID] | None = None
    version: str | None = None
    source: str | None = None


def _predictions(project: str) -> Select[Any]:
    p, t = predictions.c, truths.c
    joined = predictions.outerjoin(
        truths, and_(t.project == p.project, t.prediction_id == p.prediction_id)
    )
    return (
        select(
            p.prediction_id,
            p.at,
            p.model,
            p.version,
            p.variant,
            p.source,
            p.reason,
            p.key,
            p.unit_id,
            p.prediction,
            p.score,
            p.probabilities,
            p.explanation,
            p.latency_us,
            p.features,
            p.data_age_ms,
            t.value.label("outcome"),
            t.revision.label("outcome_revision"),
            t.arrived_at.label("outcome_at"),
        )
        .select_from(joined)
        .where(p.project == project)
    )


def read_prediction(
    connection: Connection, project: str, prediction_id: UUID
) -> PredictionRow | None:
    """Read one logged prediction with its latest truth; None if it is not (yet) drained."""
    row = connection.execute(
        _predictions(project).where(predictions.c.prediction_id == prediction_id)
    ).one_or_none()
    return None if row is None else PredictionRow(*row)


def read_predictions(
    connection: Connection, project: str, model: str, choice: Choice
) -> list[PredictionRow]:
    """Read a page of a model's predictions, newest first."""
    p = predictions.c
    query = _predictions(project).where(p.model == model)
    if choice.before is not None:
        at, prediction_id = choice.before
        query = query.where(or_(p.at < at, and_(p.at == at, p.prediction_id < prediction_id)))
    if choice.version is not None:
        query = query.where(p.version == choice.version)
    if choice.source is not None:
        query = query.where(p.source == choice.source)
    ordered = query.order_by(p.at.desc(), p.prediction_id.desc())
    return [PredictionRow(*row) for row in connection.execute(ordered.limit(choice.limit))]


def read_outcome(connection: Connection, project: str, outcome_id: UUID) -> OutcomeRow | None:
    """Read one reported truth; None if it is not (yet) drained."""
    o = outcomes.c
    row = connection.execute(
        select(
            o.outcome_id,
            o.model,
            o.prediction_id,
            o.key,
            o.observed_at,
            o.arrived_at,
            o.value,
            o.origin,
            o.state,
            o.revision,
            o.joined_at,
        ).where(o.project == project, o.outcome_id == outcome_id)
    ).one_or_none()
    return None if row is None else OutcomeRow(*row)


def count_parked(connection: Connection, project: str) -> dict[str, int]:
    """Count, per model, the outcomes that wait for a prediction they name."""
    o = outcomes.c
    rows = connection.execute(
        select(o.model, func.count())
        .where(o.project == project, o.joined == false(), o.state == "parked")
        .group_by(o.model)
    )
    return {str(model): int(n) for model, n in rows}


def last_prediction_at(connection: Connection, project: str, model: str) -> int | None:
    """Give the event time of a model's newest drained prediction, or None."""
    p = predictions.c
    at = connection.scalar(select(func.max(p.at)).where(p.project == project, p.model == model))
    return None if at is None else int(at)


def read_recent_jobs(connection: Connection, project: str, since_us: int) -> list[JobRow]:
    """Read the jobs that have not ended, and those created since, the newest first."""
    j = jobs.c
    due = case((j.state == "running", j.lease_until), else_=j.run_at)
    rows = connection.execute(
        select(j.kind, j.model, j.state, database_now() - due)
        .where(j.project == project, or_(j.active.is_not(None), j.created_at >= since_us))
        .order_by(j.created_at.desc())
    )
    return [JobRow(kind, model, state, (late or 0) / 1e6) for kind, model, state, late in rows]
