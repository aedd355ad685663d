"""What became of an outcome; and the chores that keep outcomes whole: maturing, adopting, expiring.

A chore only hands outcomes to a live drainer: drainers alone join, and own the sums.
"""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import (
    Connection,
    Engine,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import false

from timonel.clock import Clock
from timonel.events.joining import EXPIRED, IDENTICAL, JOINED, PARKED, read_logged
from timonel.events.plans import Plans, Problem
from timonel.events.rows import json_text
from timonel.events.shadows.answers import expire_shadows
from timonel.registry.manifest import OutcomePlan
from timonel.store.engine import database_now, reading
from timonel.store.tables import drainers, outcomes, prediction_keys, predictions, truths
from timonel.wire.answer import Label

LIVE_US = 10_000_000
DEAD_US = 60_000_000
EXPIRE_US = 180 * 86_400_000_000
KEY_GRACE_US = 86_400_000_000

_FAR = 1 << 62
_PAGE, _PAGES = 1000, 10


# -- watermarks -------------------------------------------------------------------------------


# written once: SQLAlchemy takes longer to write a statement than to run it
_later = case(
    (drainers.c.watermark > bindparam("until"), drainers.c.watermark), else_=bindparam("until")
)
_TOUCHED = (
    update(drainers)
    .where(drainers.c.project == bindparam("of"), drainers.c.drainer_id == bindparam("id"))
    .values(watermark=_later, seen_at=bindparam("now"))
)
_LEAST = select(func.min(drainers.c.watermark)).where(
    drainers.c.project == bindparam("project"), drainers.c.seen_at > database_now() - LIVE_US
)
_LEAST_BUT = _LEAST.where(drainers.c.drainer_id != bindparam("but"))


def touch(connection: Connection, project: str, drainer_id: str, watermark: int, now: int) -> None:
    """Say that a drainer lives, and up to which event time it has drained (never less).

    Its row is also the lock by which two transactions of one drainer id follow each other.
    """
    given = {"of": project, "id": drainer_id, "until": watermark, "now": now}
    if connection.execute(_TOUCHED, given).rowcount == 0:
        first = insert(drainers).values(
            project=project, drainer_id=drainer_id, watermark=watermark, seen_at=now
        )
        connection.execute(first)


def complete_until(connection: Connection, project: str, *, but: str | None = None) -> int:
    """Give the event time up to which all live drainers (``but`` one) have drained.

    A time beyond all others where none lives.
    """
    if but is None:
        found = connection.scalar(_LEAST, {"project": project})
    else:
        found = connection.scalar(_LEAST_BUT, {"project": project, "but": but})
    return _FAR if found is None else int(found)


def _live_drainer(connection: Connection, project: str) -> str | None:
    d = drainers.c
    return connection.scalar(
        select(d.drainer_id)
        .where(d.project == project, d.seen_at > database_now() - LIVE_US)
        .order_by(d.seen_at.desc(), d.drainer_id)
        .limit(1)
    )


# -- chores -----------------------------------------------------------------------------------


def adopt_parked(engine: Engine, project: str, clock: Clock) -> int:
    """Give the parked outcomes of dead drainers to a live one, which looks for them next.

    Returns
    -------
    int
        How many were handed over; 0 where no drainer lives.
    """
    o, d = outcomes.c, drainers.c
    living = select(d.drainer_id).where(d.project == project, d.seen_at > database_now() - DEAD_US)
    orphans = (
        select(o.drainer_id)
        .where(o.project == project, o.joined == false(), o.drainer_id.not_in(living))
        .limit(1)
    )
    with reading(engine) as connection:
        if connection.scalar(orphans) is None:
            return 0
    with engine.begin() as connection:
        heir = _live_drainer(connection, project)
        if heir is None:
            return 0
        some = (
            select(o.outcome_id)
            .where(o.project == project, o.joined == false(), o.drainer_id.not_in(living))
            .limit(_PAGE)
        )
        handed = update(outcomes).where(
            o.project == project, o.joined == false(), o.outcome_id.in_(some)
        )
        return connection.execute(handed.values(drainer_id=heir)).rowcount


def expire_parked(engine: Engine, project: str, clock: Clock, *, after_us: int = EXPIRE_US) -> int:
    """Give up outcomes and unheard answers without a prediction after 180 days, and old keys.

    Returns
    -------
    int
        How many outcomes expired.
    """
    o = outcomes.c
    with reading(engine) as connection:
        now = min(clock.now_us(), complete_until(connection, project))
        old = (
            select(o.outcome_id)
            .where(o.project == project, o.joined == false(), o.arrived_at < now - after_us)
            .limit(_PAGE)
        )
        ids = list(connection.scalars(old))
        plans = Plans(project)
        plans.refresh(connection)
    expire_shadows(engine, project, now - after_us)
    expired = 0
    if ids:
        given_up = update(outcomes).where(
            o.project == project, o.outcome_id.in_(ids), o.joined == false()
        )
        with engine.begin() as connection:
            expired = connection.execute(given_up.values(state=EXPIRED, joined=True)).rowcount
    _expire_keys(engine, project, plans, now)
    return expired


def _expire_keys(engine: Engine, project: str, plans: Plans, now: int) -> None:
    k = prediction_keys.c
    for model in plans.models:
        plan = plans.of(model)
        if plan.outcome.key is None:
            continue
        before = now - plan.horizon_us - KEY_GRACE_US
        some = (
            select(k.prediction_id)
            .where(k.project == project, k.model == model, k.at < before)
            .limit(_PAGE)
        )
        with reading(engine) as connection:
            ids = list(connection.scalars(some))
        if ids:
            with engine.begin() as connection:
                connection.execute(
                    delete(prediction_keys).where(
                        k.project == project,
                        k.model == model,
                        k.at < before,
                        k.prediction_id.in_(ids),
                    )
                )


def mature_absent(
    engine: Engine,
    project: str,
    model: str,
    plan: OutcomePlan,
    clock: Clock,
    *,
    after_us: int = 0,
) -> int:
    """Let predictions without a truth mature to ``plan.absent`` once their horizon has passed.

    The truth arrives, in event time, at the prediction's time plus the horizon; its id follows
    from the prediction's, so maturing twice changes nothing.

    Parameters
    ----------
    after_us : int
        Look only at predictions since this event time: one who calls often need not look at all
        that ever were.

    Returns
    -------
    int
        How many matured now: at most 10,000 a call; 0 where none is due, nothing is meant by
        absence, or no drainer lives to join them.
    """
    if plan.absent is None:
        return 0
    horizon = plan.horizon_s * 1_000_000
    matured, since = 0, after_us
    for _ in range(_PAGES):
        with reading(engine) as connection:
            heir = _live_drainer(connection, project)
            until = min(clock.now_us(), complete_until(connection, project)) - horizon
            due = [] if heir is None else _silent(connection, project, model, since, until)
        rows = [
            {
                "project": project,
                "outcome_id": uuid5(identifier, "absence"),
                "model": model,
                "prediction_id": identifier,
                "arrived_at": at + horizon,
                "value": json_text(plan.absent),
                "origin": "absence",
                "state": PARKED,
                "joined": False,
                "drainer_id": heir,
            }
            for identifier, at in due
        ]
        matured += _hand_over(engine, project, rows)
        if len(due) < _PAGE:
            break
        since = due[-1][1]
    return matured


def _silent(
    connection: Connection, project: str, model: str, since: int, until: int
) -> list[tuple[UUID, int]]:
    """Give predictions of a time span that have no truth, the oldest first."""
    p, t, o = predictions.c, truths.c, outcomes.c
    known = exists().where(t.project == project, t.prediction_id == p.prediction_id)
    handed = exists().where(
        o.project == project, o.prediction_id == p.prediction_id, o.origin == "absence"
    )
    query = (
        select(p.prediction_id, p.at)
        .where(
            p.project == project,
            p.model == model,
            p.at >= since,
            p.at < until,
            ~known,
            ~handed,
        )
        .order_by(p.at)
        .limit(_PAGE)
    )
    return [(identifier, at) for identifier, at in connection.execute(query)]


def _hand_over(engine: Engine, project: str, rows: list[dict[str, Any]]) -> int:
    """Park outcomes that are not there yet; another process may do the same at this moment."""
    if not rows:
        return 0
    o = outcomes.c
    ids = [row["outcome_id"] for row in rows]
    there = select(o.outcome_id).where(o.project == project, o.outcome_id.in_(ids))
    dialect = sqlite if engine.dialect.name == "sqlite" else postgresql
    with engine.begin() as connection:
        already = set(connection.scalars(there))
        new = [row for row in rows if row["outcome_id"] not in already]
        if new:
            connection.execute(dialect.insert(outcomes).on_conflict_do_nothing(), new)
    return len(new)


# -- what became of one -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OutcomeStatus:
    """What became of an outcome.

    Parameters
    ----------
    state : {"parked", "joined", "identical", "expired", "invalid"}
    revision : int or None
        1 for the first truth of its prediction; None where it changed nothing.
    prediction_id : UUID or None
        As named, or as found by key.
    prediction : label or None
        What had been answered.
    metrics : dict of str to float
        ``correct``; or ``error``, ``absolute_error``, ``squared_error``; empty if not joined.
    counts : bool
        Whether this is the truth that counts at present.
    """

    outcome_id: UUID
    model: str
    state: str
    value: Label | None
    key: str | None
    observed_at: int | None
    arrived_at: int
    joined_at: int | None
    origin: str
    revision: int | None
    prediction_id: UUID | None
    prediction: Label | None
    metrics: dict[str, float]
    counts: bool
    problem: Problem | None

    @property
    def correct(self) -> bool | None:
        """Whether the prediction was right; None for a regression, or where it is not joined."""
        found = self.metrics.get("correct")
        return None if found is None else found == 1.0

    def sentence(self, lang: str = "en") -> str:
        """Say it to a person, in English or Spanish."""
        texts = _SENTENCES["es" if lang == "es" else "en"]
        name = self.problem.code if self.problem is not None else self.state
        if self.state == JOINED:
            name = "joined" if self.counts else "superseded"
            name = "revised" if self.counts and (self.revision or 1) > 1 else name
        elif self.state == PARKED:
            name = "parked_key" if self.prediction_id is None else "parked"
        problem = self.problem or Problem("", "")
        return texts[name].format(
            value=_shown(self.value),
            prediction_id=self.prediction_id,
            prediction=_shown(self.prediction),
            key=self.key,
            model=self.model,
            found=problem.found,
            expected=problem.expected,
            revision=self.revision,
        )


def outcome_status(
    connection: Connection, project: str, outcome_id: UUID | bytes
) -> OutcomeStatus | None:
    """Say what became of an outcome; None if it is unknown, or not drained yet."""
    identifier = UUID(bytes=outcome_id) if isinstance(outcome_id, bytes) else outcome_id
    o, t = outcomes.c, truths.c
    row = connection.execute(
        select(outcomes).where(o.project == project, o.outcome_id == identifier)
    ).one_or_none()
    if row is None:
        return None
    value = json.loads(row.value)
    prediction: Any = None
    metrics: dict[str, float] = {}
    counts = False
    if row.prediction_id is not None:
        logged = read_logged(connection, project, [row.prediction_id.bytes])
        found = logged.get(row.prediction_id.bytes)
        prediction = None if found is None else found.prediction
        if found is not None and row.state in (JOINED, IDENTICAL):
            plans = Plans(project)
            plans.refresh(connection)
            metrics = plans.of(row.model).score(prediction, value)
        counted = select(t.outcome_id).where(
            t.project == project, t.prediction_id == row.prediction_id
        )
        counts = connection.scalar(counted) == identifier
    return OutcomeStatus(
        outcome_id=identifier,
        model=row.model,
        state=row.state,
        value=value,
        key=row.key,
        observed_at=row.observed_at,
        arrived_at=row.arrived_at,
        joined_at=row.joined_at,
        origin=row.origin,
        revision=row.revision,
        prediction_id=row.prediction_id,
        prediction=prediction,
        metrics=metrics,
        counts=counts,
        problem=None if row.problem is None else Problem.decode(row.problem),
    )


def _shown(label: Label | None) -> str:
    return "null" if label is None else str(label)


_SENTENCES = {
    "en": {
        "joined": "The truth {value} is joined to prediction {prediction_id}, "
        "which said {prediction}.",
        "revised": "The truth {value} is revision {revision} of prediction {prediction_id}, which "
        "said {prediction}; it counts instead of the one before.",
        "superseded": "The truth {value} was joined to prediction {prediction_id}; a later one "
        "counts instead.",
        IDENTICAL: "The truth {value} of prediction {prediction_id} was known already; nothing "
        "changed.",
        "parked": "The truth {value} waits: prediction {prediction_id} is not known yet.",
        "parked_key": "The truth {value} waits: no prediction of {key} is known before its time "
        "and within the horizon of {model}.",
        EXPIRED: "The truth {value} found no prediction in 180 days and is given up.",
        "no_value": "The truth cannot be used: found {found}, expected a value.",
        "not_a_class": "The truth cannot be used: found {found}, expected one of {expected}.",
        "not_a_number": "The truth cannot be used: found {found}, expected a finite number.",
        "no_key": "The truth cannot be used: model {model} declares no key, so {found} names no "
        "prediction; send its prediction_id.",
        "other_model": "The truth cannot be used: prediction {prediction_id} is of model {found}, "
        "expected {expected}.",
    },
    "es": {
        "joined": "El resultado {value} quedó unido a la predicción {prediction_id}, que decía "
        "{prediction}.",
        "revised": "El resultado {value} es la revisión {revision} de la predicción "
        "{prediction_id}, que decía {prediction}; cuenta en lugar del anterior.",
        "superseded": "El resultado {value} se unió a la predicción {prediction_id}; cuenta uno "
        "posterior en su lugar.",
        IDENTICAL: "El resultado {value} de la predicción {prediction_id} ya se conocía; nada "
        "cambió.",
        "parked": "El resultado {value} espera: la predicción {prediction_id} aún no se conoce.",
        "parked_key": "El resultado {value} espera: no se conoce una predicción de {key} anterior "
        "a su fecha y dentro del horizonte de {model}.",
        EXPIRED: "El resultado {value} no encontró predicción en 180 días y se abandona.",
        "no_value": "El resultado no sirve: hay {found}, se esperaba un valor.",
        "not_a_class": "El resultado no sirve: hay {found}, se esperaba uno de {expected}.",
        "not_a_number": "El resultado no sirve: hay {found}, se esperaba un número finito.",
        "no_key": "El resultado no sirve: el modelo {model} no declara una llave, así que {found} "
        "no nombra ninguna predicción; envíe su prediction_id.",
        "other_model": "El resultado no sirve: la predicción {prediction_id} es del modelo "
        "{found}, se esperaba {expected}.",
    },
}
