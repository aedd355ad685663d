"""Alerts, their events and their messages as rows, in the caller's transaction.

Changes to a project's alerts take turns: ``take_turn`` locks its control row (SQLite locks the
database when a writing transaction begins). The unique keys stand behind it all the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, and_, func, insert, or_, select, update

from timonel.alerts.alert import Alert, AlertEvent, Mark, State, iso
from timonel.alerts.texts import with_another
from timonel.signals import Kind, Severity
from timonel.store.tables import control
from timonel.store.tables_loop import NEVER_AGAIN, alert_events, alert_outbox, alerts
from timonel.wire.ids import IdSource

_ENDS = (str(State.FIRING), str(State.RESOLVED))
_ids = IdSource()


class Choice(NamedTuple):
    """Which alerts are listed, newest first; ``before`` is the last number of a page."""

    states: Sequence[State] | None = None
    model: str | None = None
    kind: Kind | None = None
    before: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class MessageState:
    """What became of a message of an alert."""

    message_id: UUID
    channel: str
    event: str
    attempts: int
    delivered_at: int | None
    error: str | None
    given_up: bool

    def document(self) -> dict[str, Any]:
        """Describe it for JSON."""
        state = "given up" if self.given_up else "waiting"
        return {
            "message_id": str(self.message_id),
            "channel": self.channel,
            "event": self.event,
            "state": "delivered" if self.delivered_at is not None else state,
            "attempts": self.attempts,
            "delivered_at": iso(self.delivered_at),
            "error": self.error,
        }


def take_turn(connection: Connection, project: str) -> None:
    """Let one change of a project's alerts happen at a time; call it first."""
    mine = select(control.c.project).where(control.c.project == project)
    connection.execute(mine.with_for_update())


def latest(connection: Connection, project: str, fingerprint: str) -> Alert | None:
    """Read the newest alert of a fingerprint."""
    query = (
        select(alerts)
        .where(alerts.c.project == project, alerts.c.fingerprint == fingerprint)
        .order_by(alerts.c.alert_id.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else _alert(row)


def one(connection: Connection, project: str, alert_id: int) -> Alert | None:
    """Read an alert by its number."""
    query = select(alerts).where(alerts.c.project == project, alerts.c.alert_id == alert_id)
    row = connection.execute(query).first()
    return None if row is None else _alert(row)


def page(connection: Connection, project: str, choice: Choice) -> list[Alert]:
    """Read a page of alerts, newest first."""
    where = [alerts.c.project == project]
    if choice.states is not None:
        where.append(alerts.c.state.in_([str(state) for state in choice.states]))
    if choice.model is not None:
        where.append(alerts.c.model == choice.model)
    if choice.kind is not None:
        where.append(alerts.c.kind == str(choice.kind))
    if choice.before is not None:
        where.append(alerts.c.alert_id < choice.before)
    query = select(alerts).where(*where).order_by(alerts.c.alert_id.desc()).limit(choice.limit)
    return [_alert(row) for row in connection.execute(query)]


def active_of_kinds(
    connection: Connection, project: str, kinds: Iterable[Kind], model: str
) -> Alert | None:
    """Find an alert that fires, or is worked on, of some kinds for a model (or for all)."""
    query = (
        select(alerts)
        .where(
            alerts.c.project == project,
            alerts.c.state.in_((str(State.FIRING), str(State.ACKNOWLEDGED))),
            alerts.c.kind.in_([str(kind) for kind in kinds]),
            or_(alerts.c.model == model, alerts.c.model == ""),
        )
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else _alert(row)


def active_of_model(connection: Connection, project: str, model: str) -> list[Alert]:
    """Read all alerts of a model that are not resolved."""
    query = select(alerts).where(
        alerts.c.project == project, alerts.c.model == model, alerts.c.active.is_(True)
    )
    return [_alert(row) for row in connection.execute(query.order_by(alerts.c.alert_id))]


def add(connection: Connection, project: str, alert: Alert) -> int:
    """Insert an alert under the next number, and give the number."""
    highest = select(func.coalesce(func.max(alerts.c.alert_id), 0))
    last: int = connection.execute(highest.where(alerts.c.project == project)).scalar_one()
    values = _values(alert) | {"project": project, "alert_id": last + 1}
    connection.execute(insert(alerts), values)
    return last + 1


def change(connection: Connection, project: str, alert: Alert) -> None:
    """Write an alert as it is now."""
    mine = and_(alerts.c.project == project, alerts.c.alert_id == alert.alert_id)
    connection.execute(update(alerts).where(mine).values(_values(alert)))


def record(
    connection: Connection,
    project: str,
    alert_id: int,
    *,
    at: int,
    from_state: str,
    to_state: str,
    who: str = "",
    note: str = "",
) -> None:
    """Append to an alert's history."""
    mine = and_(alert_events.c.project == project, alert_events.c.alert_id == alert_id)
    highest = select(func.coalesce(func.max(alert_events.c.seq), 0)).where(mine)
    last: int = connection.execute(highest).scalar_one()
    values = {
        "project": project,
        "alert_id": alert_id,
        "seq": last + 1,
        "at": at,
        "from_state": from_state,
        "to_state": to_state,
        "who": who,
        "note": note,
    }
    connection.execute(insert(alert_events), values)


def events(connection: Connection, project: str, alert_id: int) -> list[AlertEvent]:
    """Read an alert's history, oldest first."""
    mine = and_(alert_events.c.project == project, alert_events.c.alert_id == alert_id)
    query = select(alert_events).where(mine).order_by(alert_events.c.seq)
    return [
        AlertEvent(row.seq, row.at, row.from_state, row.to_state, row.who, row.note)
        for row in connection.execute(query)
    ]


def recent_ends(connection: Connection, project: str, fingerprint: str, since: int) -> list[str]:
    """Read the notes of every time a condition fired or ended after a moment."""
    query = (
        select(alert_events.c.note)
        .join(
            alerts,
            and_(
                alerts.c.project == alert_events.c.project,
                alerts.c.alert_id == alert_events.c.alert_id,
            ),
        )
        .where(
            alerts.c.project == project,
            alerts.c.fingerprint == fingerprint,
            alert_events.c.at > since,
            alert_events.c.from_state != alert_events.c.to_state,
            alert_events.c.to_state.in_(_ENDS),
            # a pending one that ended called nobody
            or_(
                alert_events.c.from_state != str(State.PENDING),
                alert_events.c.to_state == str(State.FIRING),
            ),
        )
    )
    return list(connection.scalars(query))


def put_out(
    connection: Connection,
    project: str,
    alert_id: int,
    messages: Sequence[tuple[str, Mapping[str, Any]]],
) -> None:
    """Write messages into the outbox, each ``(channel, body)``; due at once."""
    rows = [
        {
            "project": project,
            "message_id": UUID(bytes=_ids.next()),
            "alert_id": alert_id,
            "channel": channel,
            "event": body["event"],
            "body": encode(body),
            "attempts": 0,
            "next_at": 0,
        }
        for channel, body in messages
    ]
    if rows:
        connection.execute(insert(alert_outbox), rows)


def told(connection: Connection, project: str, alert_id: int) -> set[str]:
    """Name the channels that were ever sent a message of an alert."""
    row = alert_outbox.c
    query = select(row.channel).where(row.project == project, row.alert_id == alert_id).distinct()
    return set(connection.scalars(query))


def firing_before(connection: Connection, project: str, moment: int) -> list[Alert]:
    """Read the alerts that nobody has acknowledged and that fired at or before a moment."""
    query = select(alerts).where(
        alerts.c.project == project,
        alerts.c.state == str(State.FIRING),
        alerts.c.fired_at <= moment,
    )
    return [_alert(row) for row in connection.execute(query.order_by(alerts.c.alert_id))]


def companions(connection: Connection, project: str, alert: Alert, at: int) -> list[int]:
    """Give the numbers of a kind's, model's and version's alerts that were told at a moment too."""
    row = alerts.c
    query = select(row.alert_id).where(
        row.project == project,
        row.kind == str(alert.kind),
        row.model == alert.model,
        row.version == alert.version,
        row.notified_at == at,
        row.alert_id != alert.alert_id,
    )
    return list(connection.scalars(query.order_by(row.alert_id)))


def join_message(
    connection: Connection,
    project: str,
    alert: Alert,
    others: Sequence[int],
    channel: str,
    body: Mapping[str, Any],
) -> bool:
    """Put an alert's message into one that waits for a channel, untried, about the same event.

    Parameters
    ----------
    others : sequence of int
        The alerts whose messages may take it in.

    Returns
    -------
    bool
        False: there is none, or an earlier message of the alert still waits; then it goes by
        itself, after that.
    """
    row = alert_outbox.c
    undelivered = and_(row.project == project, row.channel == channel, row.delivered_at.is_(None))
    earlier = select(row.message_id).where(undelivered, row.alert_id == alert.alert_id).limit(1)
    if connection.execute(earlier).first() is not None:
        return False
    waiting = and_(
        undelivered,
        row.alert_id.in_(others),
        row.event == body["event"],
        row.attempts == 0,
    )
    query = select(row.message_id, row.body).where(waiting).order_by(row.message_id).limit(1)
    found = connection.execute(query).first()
    if found is None:
        return False
    whole = with_another(msgspec.json.decode(found.body), body)
    mine = and_(waiting, row.message_id == found.message_id)
    changed = update(alert_outbox).where(mine).values(body=encode(whole))
    return connection.execute(changed).rowcount == 1


def messages_of(connection: Connection, project: str, alert_id: int) -> list[MessageState]:
    """Read what became of an alert's messages, oldest first."""
    row = alert_outbox.c
    query = (
        select(
            row.message_id,
            row.channel,
            row.event,
            row.attempts,
            row.delivered_at,
            row.error,
            row.next_at,
        )
        .where(row.project == project, row.alert_id == alert_id)
        .order_by(row.message_id)
    )
    return [
        MessageState(
            found.message_id,
            found.channel,
            found.event,
            found.attempts,
            found.delivered_at,
            found.error,
            found.next_at == NEVER_AGAIN,
        )
        for found in connection.execute(query)
    ]


def encode(value: object) -> str:
    """Write canonical JSON; figures of NumPy as their plain values, what is unknown as text."""
    return msgspec.json.encode(value, enc_hook=_plain, order="deterministic").decode()


def storable(text: str, longest: int) -> str:
    """Give text as both databases can hold it."""
    # PostgreSQL has no NUL, and UTF-8 no lone surrogates
    return text.replace("\0", "?").encode("utf-8", "replace").decode()[:longest]


def _plain(value: object) -> object:
    item = getattr(value, "item", None)
    return item() if callable(item) else str(value)


def _values(alert: Alert) -> dict[str, Any]:
    same = (
        "fingerprint",
        "model",
        "version",
        "monitor",
        "opened_at",
        "fired_at",
        "last_seen_at",
        "n_seen",
        "n_clear",
        "notified_at",
        "silenced_until",
        "resolved_at",
        "resolved_by",
        "note",
        "revision",
    )
    return {name: getattr(alert, name) for name in same} | {
        "kind": str(alert.kind),
        "severity": str(alert.severity),
        "state": str(alert.state),
        "column_name": alert.column,
        "facts": encode(alert.facts),
        "mark": None if alert.mark is None else str(alert.mark),
        "active": True if alert.active else None,
    }


def _alert(row: Row[Any]) -> Alert:
    return Alert(
        alert_id=row.alert_id,
        fingerprint=row.fingerprint,
        kind=Kind(row.kind),
        severity=Severity(row.severity),
        model=row.model,
        version=row.version,
        monitor=row.monitor,
        column=row.column_name,
        state=State(row.state),
        facts=msgspec.json.decode(row.facts),
        opened_at=row.opened_at,
        fired_at=row.fired_at,
        last_seen_at=row.last_seen_at,
        n_seen=row.n_seen,
        n_clear=row.n_clear,
        notified_at=row.notified_at,
        silenced_until=row.silenced_until,
        resolved_at=row.resolved_at,
        resolved_by=row.resolved_by,
        note=row.note,
        revision=row.revision,
        mark=None if row.mark is None else Mark(row.mark),
    )
