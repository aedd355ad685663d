"""The outcome side joins, alone: each truth finds its prediction, or waits.

If a prediction's drain also looked for waiting outcomes, two transactions could each miss the
other's row and neither would join. So only the drainer that holds an outcome looks, and again each
cycle. Truths of one prediction form a chain in the order of their arrival, whatever the order they
are drained in, so the sums do not depend on who drained what first.
"""

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Integer, Uuid, column, insert, select, text, update

from timonel.events.accumulators import LoggedPrediction, TruthChange
from timonel.events.frames import OutcomeFrame, ShadowAnswer
from timonel.events.plans import Plan, Plans, Problem
from timonel.events.rows import json_text
from timonel.events.shadows.answers import lock_predictions, read_joined
from timonel.store.tables import outcomes, predictions, truths
from timonel.wire.answer import Label

PARKED, JOINED, IDENTICAL, INVALID, EXPIRED = "parked", "joined", "identical", "invalid", "expired"

_PAGE = 500
_probabilities = msgspec.json.Decoder(dict[str, float]).decode


# The questions travel as one JSON document: their number changes, the statement does not.
_LAST_OF_KEY = {
    dialect: text(
        f"""
        SELECT {n}, (
            SELECT k.prediction_id FROM prediction_keys k
            WHERE k.project = :project AND k.model = {model} AND k.key = {key}
              AND k.at BETWEEN {low} AND {high}
            ORDER BY k.at DESC, k.prediction_id DESC LIMIT 1
        ) FROM {asked}
        """  # noqa: S608 - constants of this module
    ).columns(column("n", Integer), column("prediction_id", Uuid))
    for dialect, asked, model, key, low, high, n in (
        ("sqlite", "json_each(:asked) q", *(f"json_extract(q.value, '$[{i}]')" for i in range(5))),
        (
            "postgresql",
            "json_array_elements(CAST(:asked AS json)) AS q(value)",
            "(q.value->>0)",
            "(q.value->>1)",
            *(f"CAST(q.value->>{i} AS bigint)" for i in (2, 3, 4)),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A truth that looks for its prediction."""

    id: UUID
    model: str
    prediction: bytes | None
    key: str | None
    until: int  # by key: the last prediction at or before this event time
    arrived_at: int
    value: Label


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a truth."""

    state: str
    prediction: bytes | None = None
    revision: int | None = None
    problem: Problem | None = None


@dataclass(slots=True)
class Joining:
    """The decisions of one transaction, and the changes of truths that they make."""

    decisions: dict[UUID, Decision] = field(default_factory=dict)
    changes: list[TruthChange] = field(default_factory=list)

    @property
    def n_joined(self) -> int:
        """How many truths found their prediction now."""
        return sum(d.state in (JOINED, IDENTICAL) for d in self.decisions.values())


@dataclass(order=True, slots=True)
class _Link:
    arrived_at: int
    id: UUID
    value: Label = field(compare=False)


@dataclass(slots=True)
class _Chain:
    """The truths of one prediction in the order of arrival, and its row in ``truths``."""

    links: list[_Link]
    revision: int
    latest: _Link | None
    stored: bool


def waiting_of(frame: OutcomeFrame, value: Label) -> Waiting:
    """Give the truth of a frame, whose value was read by its model's plan."""
    return Waiting(
        UUID(bytes=frame.id),
        frame.model,
        frame.prediction,
        frame.key,
        frame.at if frame.observed_at is None else frame.observed_at,
        frame.at,
        value,
    )


def join(
    connection: Connection,
    project: str,
    waiting: Sequence[Waiting],
    plans: Plans,
    *,
    complete_until: int,
) -> Joining:
    """Look for the predictions of some truths and enter those found in ``truths``.

    Parameters
    ----------
    waiting : sequence of Waiting
        Truths that are not joined; the caller writes the decisions to their rows.
    complete_until : int
        Event time up to which every live drainer has drained. By key, a later prediction may still
        be on its way behind it: such truths stay parked.

    Raises
    ------
    Raced
        If another transaction joined a truth to one of the same predictions at the same time.
    """
    result = Joining()
    found = find_by_key(connection, project, waiting, plans, complete_until)
    for w in waiting:
        if w.prediction is not None:
            found[w.id] = w.prediction
        elif plans.of(w.model).outcome.key is None:
            problem = Problem("no_key", w.key or "", "prediction_id")
            result.decisions[w.id] = Decision(INVALID, problem=problem)
    logged = read_logged(connection, project, found.values(), locked=True)
    ready = []
    for w in waiting:
        prediction = logged.get(found.get(w.id, b""))
        if w.id in result.decisions:
            continue
        if prediction is None:
            result.decisions[w.id] = Decision(PARKED, w.prediction)
        elif prediction.model != w.model:
            problem = Problem("other_model", prediction.model, w.model)
            result.decisions[w.id] = Decision(INVALID, prediction.id, problem=problem)
        else:
            ready.append((w, prediction))
    _enter(connection, project, ready, plans, result)
    return result


def findable(
    connection: Connection,
    project: str,
    waiting: Sequence[Waiting],
    plans: Plans,
    *,
    complete_until: int,
) -> list[Waiting]:
    """Give those truths that need wait no longer; only reads."""
    found = find_by_key(connection, project, waiting, plans, complete_until)
    found |= {w.id: w.prediction for w in waiting if w.prediction is not None}
    logged = read_logged(connection, project, found.values())
    return [w for w in waiting if found.get(w.id) in logged]


def read_logged(
    connection: Connection, project: str, ids: Iterable[bytes], *, locked: bool = False
) -> dict[bytes, LoggedPrediction]:
    """Read the envelopes of stored predictions, by id.

    Parameters
    ----------
    locked : bool
        Whether those whose shadow is joined on its own are locked before it is looked for.
    """
    p = predictions.c
    wanted = sorted(set(ids))
    logged = {}
    for start in range(0, len(wanted), _PAGE):
        page = [UUID(bytes=identifier) for identifier in wanted[start : start + _PAGE]]
        query = select(
            p.prediction_id,
            p.at,
            p.model,
            p.version,
            p.variant,
            p.source,
            p.prediction,
            p.unit_id,
            p.generation,
            p.shadow,
            p.shadow_asked,
            p.score,
            p.probabilities,
        ).where(p.project == project, p.prediction_id.in_(page))
        for row in connection.execute(query):
            logged[row.prediction_id.bytes] = LoggedPrediction(
                row.prediction_id.bytes,
                row.at,
                row.model,
                row.version,
                row.variant,
                row.source,
                json.loads(row.prediction),
                row.unit_id,
                row.generation,
                row.shadow and msgspec.json.decode(row.shadow, type=ShadowAnswer),
                row.shadow_asked,
                row.score,
                row.probabilities and _probabilities(row.probabilities),
            )
    asked = [identifier for identifier, one in logged.items() if one.shadow_asked]
    if asked and locked:
        lock_predictions(connection, project, asked)
    for identifier, shadow in read_joined(connection, project, asked).items():
        logged[identifier] = replace(logged[identifier], shadow=shadow)
    return logged


def find_by_key(
    connection: Connection,
    project: str,
    waiting: Sequence[Waiting],
    plans: Plans,
    complete_until: int,
) -> dict[UUID, bytes]:
    """Find the last prediction of the key of each truth, within its horizon; by truth."""
    asked = [
        (w.model, w.key, w.until - plans.of(w.model).horizon_us, w.until, index)
        for index, w in enumerate(waiting)
        if w.prediction is None
        and w.until <= complete_until
        and plans.of(w.model).outcome.key is not None
    ]
    query = _LAST_OF_KEY["sqlite" if connection.dialect.name == "sqlite" else "postgresql"]
    found = {}
    for start in range(0, len(asked), _PAGE):
        page = json_text(asked[start : start + _PAGE])
        for index, identifier in connection.execute(query, {"project": project, "asked": page}):
            if identifier is not None:
                found[waiting[index].id] = identifier.bytes
    return found


def _enter(
    connection: Connection,
    project: str,
    ready: list[tuple[Waiting, LoggedPrediction]],
    plans: Plans,
    result: Joining,
) -> None:
    chains = _read_chains(connection, project, sorted({p.id for _, p in ready}))
    changed: dict[bytes, LoggedPrediction] = {}
    for w, prediction in sorted(ready, key=lambda pair: (pair[0].arrived_at, pair[0].id)):
        chain = chains[prediction.id]
        decision, changes = _link(chain, w, prediction, plans.of(w.model))
        result.decisions[w.id] = decision
        result.changes += changes
        if decision.state == JOINED:
            changed[prediction.id] = prediction
    _write_truths(connection, project, changed, chains)


def _link(
    chain: _Chain, w: Waiting, prediction: LoggedPrediction, plan: Plan
) -> tuple[Decision, list[TruthChange]]:
    """Put a truth into its place in the chain.

    In the order of arrival each truth retracts the one before it, in its own arrival hour. One
    that is drained late goes between two others: it retracts its predecessor, and its successor
    now retracts it instead.
    """
    link = _Link(w.arrived_at, w.id, w.value)
    place = bisect_left(chain.links, link)
    before = chain.links[place - 1] if place else None
    after = chain.links[place] if place < len(chain.links) else None
    chain.links.insert(place, link)
    if before is not None and plan.same(before.value, link.value):
        return Decision(IDENTICAL, prediction.id), []
    chain.revision += 1
    changes = [TruthChange(prediction, link.value, link.arrived_at, 1, plan)]
    if before is not None:
        changes.append(TruthChange(prediction, before.value, link.arrived_at, -1, plan))
    if after is not None:
        changes.append(TruthChange(prediction, link.value, after.arrived_at, -1, plan))
        if before is not None:
            changes.append(TruthChange(prediction, before.value, after.arrived_at, 1, plan))
    else:
        chain.latest = link
    return Decision(JOINED, prediction.id, chain.revision), changes


def _read_chains(connection: Connection, project: str, ids: Sequence[bytes]) -> dict[bytes, _Chain]:
    t, o = truths.c, outcomes.c
    chains = {identifier: _Chain([], 0, None, stored=False) for identifier in ids}
    for start in range(0, len(ids), _PAGE):
        page = [UUID(bytes=identifier) for identifier in ids[start : start + _PAGE]]
        # locked in the order of ids, so that two drainers never wait for each other
        locked = (
            select(t.prediction_id, t.revision)
            .where(t.project == project, t.prediction_id.in_(page))
            .order_by(t.prediction_id)
            .with_for_update()
        )
        known = []
        for identifier, revision in connection.execute(locked):
            chain = chains[identifier.bytes]
            chain.revision, chain.stored = revision, True
            known.append(identifier)
        if not known:
            continue
        links = select(o.prediction_id, o.arrived_at, o.outcome_id, o.value).where(
            o.project == project, o.prediction_id.in_(known), o.state.in_((JOINED, IDENTICAL))
        )
        for identifier, arrived_at, outcome_id, value in connection.execute(links):
            chains[identifier.bytes].links.append(_Link(arrived_at, outcome_id, json.loads(value)))
        for identifier in known:
            chains[identifier.bytes].links.sort()
    return chains


def _write_truths(
    connection: Connection,
    project: str,
    changed: Mapping[bytes, LoggedPrediction],
    chains: Mapping[bytes, _Chain],
) -> None:
    new, again = [], []
    for identifier in sorted(changed):
        chain = chains[identifier]
        row = {"p": UUID(bytes=identifier), "revision": chain.revision}
        if chain.latest is not None:
            row |= {
                "outcome_id": chain.latest.id,
                "value": json_text(chain.latest.value),
                "arrived_at": chain.latest.arrived_at,
            }
        if chain.stored:
            again.append(row)
        else:
            new.append(
                row
                | {"project": project, "prediction_id": row.pop("p")}
                | {"model": changed[identifier].model}
            )
    if new:
        # its primary key is the join's guard: a second first truth fails here
        connection.execute(insert(truths), new)
    t = truths.c
    for row in again:
        mine = update(truths).where(t.project == project, t.prediction_id == row.pop("p"))
        connection.execute(mine.values(row))
