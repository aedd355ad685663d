"""The book of alerts: signals come in, one transaction each, and what is to be told goes out.

A change, its line of history and its messages are written together, so that no alert is told that
does not exist and none exists that is never told.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from timonel.alerts import rows
from timonel.alerts.alert import Alert, AlertEvent, Mark, News, State, iso
from timonel.alerts.channels import Channel, read_channels
from timonel.alerts.errors import AlertChanged, AlertPending, UnknownAlert
from timonel.alerts.lifecycle import (
    HOUR_US,
    Speech,
    Step,
    Surroundings,
    ended,
    hear,
    inhibitors,
    rule_of,
    speech,
    superseded,
)
from timonel.alerts.rows import Choice, MessageState, storable
from timonel.alerts.statistics import AlertStatistics, summarise
from timonel.alerts.texts import message_body
from timonel.clock import Clock
from timonel.errors import TimonelError
from timonel.signals import Condition, Kind, Signal
from timonel.store.engine import reading

_log = logging.getLogger("timonel.alerts")
_OPEN = (State.FIRING, State.ACKNOWLEDGED)
_FOR_PEOPLE = ("slack", "email")  # what programs read comes alert by alert


class _Told(NamedTuple):
    """What is written with a change: its moment, who made it, why."""

    at: int
    who: str = ""
    note: str = ""


class AlertBook:
    """The alerts of a project. Safe to use from any thread and from many processes at once.

    Parameters
    ----------
    engine : Engine
    project : str
    clock : Clock
        Event time, of what people do; signals bring their own.
    public_url : str or None
        Address of this server, for links in messages; None: the command is named instead.
    """

    def __init__(
        self, engine: Engine, project: str, clock: Clock, *, public_url: str | None = None
    ) -> None:
        self._engine = engine
        self._project = project
        self._clock = clock
        self._public_url = public_url

    def take(self, signal: Signal) -> Alert | None:
        """Let a signal act.

        Returns
        -------
        Alert or None
            The alert of the signal's condition as it is now, resolved ones included; None where
            there never was one.
        """
        signal = _fitted(signal)
        if signal.condition is not Condition.HOLDS:
            with reading(self._engine) as connection:  # nearly all that is clear changes nothing
                found = rows.latest(connection, self._project, signal.fingerprint)
            if hear(found, signal, rule_of(signal)).alert is found:
                return found
        with self._engine.begin() as connection:
            rows.take_turn(connection, self._project)
            found = rows.latest(connection, self._project, signal.fingerprint)
            step = hear(found, signal, rule_of(signal))
            if step.alert is None or step.alert is found:
                return found
            told = _Told(signal.at, note=storable(superseded(signal), 2000))
            taken = self._write(connection, found, step, told)
        if found is None or (found.alert_id, found.state) != (taken.alert_id, taken.state):
            _log.info(
                "alert %d is %s: %s %s",
                *(taken.alert_id, taken.state, taken.severity, taken.fingerprint),
                extra={"model": taken.model, "version": taken.version},
            )
        return taken

    def hear(self, signal: Signal) -> None:
        """Let a signal act, as the outbox port asks: a failure is logged, never raised."""
        try:
            self.take(signal)
        except (TimonelError, SQLAlchemyError):
            # whoever raised it says it again at its next look
            _log.exception("a signal was not taken: %s", signal.fingerprint)

    def acknowledge(
        self, alert_id: int, who: str, note: str = "", *, revision: int | None = None
    ) -> Alert:
        """Say that somebody works on a firing alert: it is not repeated.

        Raises
        ------
        UnknownAlert
        AlertPending
            If it has called nobody yet.
        AlertChanged
            If it is not firing any more, or not of the revision that was seen.
        """

        def taken(alert: Alert, told: _Told) -> Step:
            if alert.state is State.PENDING:
                raise AlertPending(alert_id=alert_id)
            return Step(replace(alert, state=State.ACKNOWLEDGED, revision=alert.revision + 1), None)

        told = _Told(self._clock.now_us(), who, note)
        allowed = (State.PENDING, State.FIRING)
        return self._act("acknowledge", alert_id, allowed, taken, revision, told)

    def resolve(
        self, alert_id: int, who: str, note: str = "", *, revision: int | None = None
    ) -> Alert:
        """Say that an alert is dealt with; it fires again after it was clear once, or a day later.

        Raises
        ------
        UnknownAlert
        AlertChanged
            If it is resolved already, or not of the revision that was seen.
        """

        def done(alert: Alert, told: _Told) -> Step:
            return ended(alert, told.at, told.who, told.note)

        told = _Told(self._clock.now_us(), who, note)
        return self._act("resolve", alert_id, (State.PENDING, *_OPEN), done, revision, told)

    def silence(
        self, alert_id: int, until: int, who: str, note: str = "", *, revision: int | None = None
    ) -> Alert:
        """Tell nobody of an alert until a moment of event time; its state goes on.

        A new alert of the same condition within that time is silent too; a moment that has passed
        ends the silence.

        Raises
        ------
        UnknownAlert
        AlertChanged
            If it is resolved, or not of the revision that was seen.
        """

        def quiet(alert: Alert, told: _Told) -> Step:
            return Step(replace(alert, silenced_until=until, revision=alert.revision + 1))

        said = f"silenced until {iso(until)}" + (f": {note}" if note else "")
        told = _Told(self._clock.now_us(), who, said)
        return self._act("silence", alert_id, (State.PENDING, *_OPEN), quiet, revision, told)

    def mark(self, alert_id: int, mark: Mark, who: str, note: str = "") -> Alert:
        """Say what an alert that fired was worth, at any time; said again, the last word counts.

        Raises
        ------
        UnknownAlert
        AlertPending
            If it has called nobody: then it was neither.
        """
        told = _Told(
            self._clock.now_us(), storable(who, 128), storable(f"{mark}: {note}".strip(": "), 2000)
        )
        with self._engine.begin() as connection:
            rows.take_turn(connection, self._project)
            found = self._present(connection, alert_id)
            if found.fired_at is None:
                raise AlertPending(alert_id=alert_id)
            marked = replace(found, mark=mark, revision=found.revision + 1)
            return self._write(connection, found, Step(marked), told)

    def escalate(self) -> int:
        """Tell the next step of alerts that fire and that nobody took in time; give how many.

        A channel with ``escalate_after`` is told once an alert, and later of its end.
        """
        at, n = self._clock.now_us(), 0
        with reading(self._engine) as connection:
            steps = [c for c in read_channels(connection, self._project) if c.escalate_after_us]
            due = [
                (channel, alert)
                for channel in steps
                for alert in rows.firing_before(
                    connection, self._project, at - (channel.escalate_after_us or 0)
                )
                if channel.wants(alert.severity) and not _is_about(alert, channel)
            ]
        for channel, seen in due:
            with self._engine.begin() as connection:
                rows.take_turn(connection, self._project)
                alert = self._present(connection, seen.alert_id)
                around = self._around(connection, alert, alert, at)
                told = rows.told(connection, self._project, alert.alert_id)
                quiet = speech(alert, at, around) in (Speech.SILENCED, Speech.INHIBITED)
                if alert.state is not State.FIRING or quiet or channel.name in told:
                    continue
                self._put_out(connection, alert, News.ESCALATED, at, [channel])
                self._record(connection, alert, alert, _Told(at, note=f"escalated: {channel.name}"))
                n += 1
        return n

    def retire(self, model: str, serving: Collection[str], note: str = "") -> Sequence[Alert]:
        """Resolve the alerts of a model's versions that no longer serve: nobody will clear them.

        Parameters
        ----------
        model : str
        serving : collection of str
            The versions that still answer; alerts without a version are left alone.
        note : str
        """
        at = self._clock.now_us()
        with self._engine.begin() as connection:
            rows.take_turn(connection, self._project)
            found = rows.active_of_model(connection, self._project, model)
            gone = [alert for alert in found if alert.version and alert.version not in serving]
            said = note or "its version no longer serves"
            return [
                self._write(connection, alert, ended(alert, at, None, said), _Told(at, "", said))
                for alert in gone
            ]

    def get(self, alert_id: int) -> Alert:
        """Give an alert; raises ``UnknownAlert``."""
        with reading(self._engine) as connection:
            return self._present(connection, alert_id)

    def list(self, choice: Choice | None = None) -> Sequence[Alert]:
        """Give a page of alerts, newest first; by default those firing or acknowledged."""
        with reading(self._engine) as connection:
            return rows.page(connection, self._project, choice or Choice(_OPEN))

    def history(self, alert_id: int) -> Sequence[AlertEvent]:
        """Give what happened to an alert, oldest first; raises ``UnknownAlert``."""
        with reading(self._engine) as connection:
            self._present(connection, alert_id)
            return rows.events(connection, self._project, alert_id)

    def messages(self, alert_id: int) -> Sequence[MessageState]:
        """Give what became of an alert's messages, oldest first."""
        with reading(self._engine) as connection:
            return rows.messages_of(connection, self._project, alert_id)

    def statistics(self, since: int) -> AlertStatistics:
        """Sum up the alerts opened since a moment of event time."""
        with reading(self._engine) as connection:
            return summarise(connection, self._project, since)

    def _present(self, connection: Connection, alert_id: int) -> Alert:
        found = rows.one(connection, self._project, alert_id)
        if found is None:
            raise UnknownAlert(alert_id=alert_id)
        return found

    def _act(
        self,
        action: str,
        alert_id: int,
        allowed: Collection[State],
        decide: Callable[[Alert, _Told], Step],
        revision: int | None,
        told: _Told,
    ) -> Alert:
        told = _Told(told.at, storable(told.who, 128), storable(told.note, 2000))
        with self._engine.begin() as connection:
            rows.take_turn(connection, self._project)
            found = self._present(connection, alert_id)
            if found.state not in allowed or revision not in (None, found.revision):
                last = rows.events(connection, self._project, alert_id)[-1]
                raise AlertChanged(
                    alert_id=alert_id,
                    action=action,
                    state=str(found.state),
                    at=iso(last.at) or "",
                    who=last.who,
                    note=last.note,
                )
            return self._write(connection, found, decide(found, told), told)

    def _write(
        self, connection: Connection, before: Alert | None, step: Step, told: _Told
    ) -> Alert:
        """Write a step whole: the alert, its history, and the messages of its news."""
        alert = step.alert
        assert alert is not None  # noqa: S101 - the callers have looked
        if alert.alert_id == 0:
            alert = replace(alert, alert_id=rows.add(connection, self._project, alert))
            before = None
        said, note = Speech.TOLD, told.note
        if step.news is not None:
            said = speech(alert, told.at, self._around(connection, alert, before, told.at))
            if said is not Speech.TOLD:
                note = f"{note} ({said})".strip()
        if said in (Speech.TOLD, Speech.FLAPPING) and step.news is not None:
            news = step.news if said is Speech.TOLD else News.FLAPPING
            if self._tell(connection, alert, news, told.at):
                alert = replace(alert, notified_at=told.at)
        rows.change(connection, self._project, alert)
        if before is None or before.revision != alert.revision:
            self._record(connection, before, alert, _Told(told.at, told.who, note))
        return alert

    def _record(
        self, connection: Connection, before: Alert | None, alert: Alert, told: _Told
    ) -> None:
        rows.record(
            connection,
            self._project,
            alert.alert_id,
            at=told.at,
            from_state=str(before.state) if before else "",
            to_state=str(alert.state),
            who=told.who,
            note=told.note,
        )

    def _around(
        self, connection: Connection, alert: Alert, before: Alert | None, at: int
    ) -> Surroundings:
        kinds = inhibitors(alert)
        inhibited = kinds and rows.active_of_kinds(connection, self._project, kinds, alert.model)
        notes = rows.recent_ends(connection, self._project, alert.fingerprint, at - HOUR_US)
        moved = before is None or before.state is not alert.state
        marks = (f"({Speech.FLAPPING})", f"({Speech.HELD})")
        return Surroundings(
            inhibited=bool(inhibited),
            n_transitions=len(notes) + moved,
            flapping_said=any(note.endswith(marks) for note in notes),
        )

    def _tell(self, connection: Connection, alert: Alert, news: News, at: int) -> int:
        channels = [
            channel
            for channel in read_channels(connection, self._project)
            if channel.wants(alert.severity) and not _is_about(alert, channel)
        ]
        if any(channel.escalate_after_us for channel in channels):
            told = rows.told(connection, self._project, alert.alert_id)
            ended = news is News.RESOLVED
            channels = [
                c for c in channels if not c.escalate_after_us or (ended and c.name in told)
            ]
        self._put_out(connection, alert, news, at, channels)
        return len(channels)

    def _put_out(
        self,
        connection: Connection,
        alert: Alert,
        news: News,
        at: int,
        channels: Sequence[Channel],
    ) -> None:
        """Write the messages; what is told of a model at one moment goes as one."""
        link = f"timonel alerts show {alert.alert_id}"
        if self._public_url:
            link = f"{self._public_url.rstrip('/')}/v1/alerts/{alert.alert_id}"
        others = []
        if alert.model and news in (News.FIRING, News.REPEATED, News.RESOLVED):
            others = rows.companions(connection, self._project, alert, at)
        messages = []
        for channel in channels:
            body = message_body(
                alert, news, channel.language, project=self._project, at=at, link=link
            )
            joined = (
                others
                and channel.kind in _FOR_PEOPLE
                and rows.join_message(connection, self._project, alert, others, channel.name, body)
            )
            if not joined:
                messages.append((channel.name, body))
        rows.put_out(connection, self._project, alert.alert_id, messages)


def _is_about(alert: Alert, channel: Channel) -> bool:
    # a dead channel is reported by the others
    return alert.kind is Kind.NOTIFIER_FAILED and alert.column == channel.name


def _fitted(signal: Signal) -> Signal:
    """Cut the names that are longer than their columns; nothing of ours is."""
    return replace(
        signal,
        model=storable(signal.model, 64),
        version=storable(signal.version, 32),
        monitor=storable(signal.monitor, 32),
        column=storable(signal.column, 256),
    )
