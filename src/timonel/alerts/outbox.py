"""The outbox: messages written with their alerts are carried afterwards, at least once.

Any number of processes may deliver at the same time. A message is claimed by moving its
``next_at`` under a guard, so two never carry it together; one that dies while carrying leaves it
to be carried again when its lease ends. Times here are the database's, which all agree on.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import ColumnElement, Engine, and_, exists, func, select, update

from timonel.alerts.channels import REMOVED, Channel, Channels, read_channels
from timonel.alerts.errors import DeliveryFailed
from timonel.alerts.notifiers.make import TIMEOUT_S, make_notifier
from timonel.alerts.texts import trial_body
from timonel.clock import Clock
from timonel.errors import Phrase, in_language
from timonel.signals import Condition, Kind, RaiseSignal, Severity, Signal
from timonel.store.engine import database_now, reading
from timonel.store.tables_loop import NEVER_AGAIN, alert_outbox

_log = logging.getLogger("timonel.alerts")
_row = alert_outbox.c


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how far apart a message is tried.

    Waits double from ``first_s`` to ``most_s``; after ``attempts`` (about five hours) the message
    is given up: it stays in the outbox, visibly, and a channel that works again sends it.
    """

    first_s: float = 30.0
    most_s: float = 3600.0
    attempts: int = 12
    timeout_s: float = TIMEOUT_S

    def wait_s(self, attempt: int) -> float:
        """Give how long to wait after the n-th attempt."""
        doublings = min(attempt - 1, 30)
        return min(self.first_s * 2.0**doublings, self.most_s)


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What a run did; ``failures`` are ``channel: reason``."""

    n_delivered: int = 0
    n_failed: int = 0
    n_given_up: int = 0
    failures: tuple[str, ...] = ()


class _Claim(NamedTuple):
    message_id: UUID
    channel: str
    body: dict[str, Any]
    attempts: int
    until: int


def deliver_due(
    engine: Engine,
    project: str,
    clock: Clock,
    *,
    environment: Mapping[str, str],
    raise_signal: RaiseSignal,
    folder: Path | None = None,
    patience: Patience | None = None,
    limit: int = 100,
) -> DeliveryReport:
    """Carry the messages that are due, those of an alert in their order.

    Parameters
    ----------
    engine : Engine
    project : str
    clock : Clock
        Event time, for ``delivered_at`` and for the signals.
    environment : mapping of str to str
        Where channels' variables are looked up.
    raise_signal : callable
        Takes NOTIFIER_FAILED, which holds while a channel fails, and is clear when it works.
    folder : Path or None
        The project's, for channels that are functions of it.
    patience : Patience or None
    limit : int
        The most messages of a run.

    Notes
    -----
    A channel that fails is left alone for the rest of the run, so it cannot hold up the others.
    """
    patience = patience or Patience()
    run = _Run(engine, project, clock, environment, raise_signal, patience, folder)
    for _ in range(limit):
        claim = run.claim()
        if claim is None:
            break
        run.carry(claim)
    return run.report


def try_channel(
    engine: Engine,
    project: str,
    clock: Clock,
    name: str,
    *,
    environment: Mapping[str, str],
    raise_signal: RaiseSignal,
    folder: Path | None = None,
) -> int:
    """Send a test message through a channel at once; what failed there becomes due again.

    Returns
    -------
    int
        How many messages wait for the channel now.

    Raises
    ------
    UnknownChannel
    DeliveryFailed
    """
    channel = Channels(engine, project, clock).get(name)
    body = trial_body(name, channel.language, project=project, at=clock.now_us())
    make_notifier(channel, environment, folder=folder).send(uuid4(), body)
    waiting = and_(_row.project == project, _row.channel == name, _row.delivered_at.is_(None))
    with engine.begin() as connection:
        failed = and_(waiting, _row.error.is_not(None))
        connection.execute(update(alert_outbox).where(failed).values(next_at=0, attempts=0))
        counted = select(func.count()).select_from(alert_outbox).where(waiting)
        n: int = connection.execute(counted).scalar_one()
    raise_signal(_signal(name, Condition.CLEAR, clock.now_us(), {}))
    return n


def remove_channel(
    engine: Engine, project: str, clock: Clock, name: str, *, raise_signal: RaiseSignal
) -> int:
    """Remove a channel, and end the alert that it fails; give how many messages are given up."""
    n = Channels(engine, project, clock).remove(name)
    raise_signal(_signal(name, Condition.CLEAR, clock.now_us(), {}))
    return n


def _signal(channel: str, condition: Condition, at: int, facts: dict[str, Any]) -> Signal:
    return Signal(
        kind=Kind.NOTIFIER_FAILED,
        condition=condition,
        severity=Severity.HIGH,
        monitor="outbox",
        column=channel,
        at=at,
        facts={"channel": channel, **facts},
    )


class _Run:
    """One run over the outbox."""

    def __init__(
        self,
        engine: Engine,
        project: str,
        clock: Clock,
        environment: Mapping[str, str],
        raise_signal: RaiseSignal,
        patience: Patience,
        folder: Path | None,
    ) -> None:
        self._engine = engine
        self._project = project
        self._clock = clock
        self._environment = environment
        self._raise = raise_signal
        self._patience = patience
        self._folder = folder
        self._failing: set[str] = set()
        self.report = DeliveryReport()

    def claim(self) -> _Claim | None:
        """Take the next due message, so that no other process carries it meanwhile."""
        lease_us = round((3 * self._patience.timeout_s + 5) * 1e6)
        while True:
            with reading(self._engine) as connection:
                found = connection.execute(self._due()).first()
            if found is None:
                return None
            taken = (
                update(alert_outbox)
                .where(
                    self._mine(found.message_id),
                    _row.next_at == found.next_at,
                    _row.delivered_at.is_(None),
                )
                .values(
                    next_at=database_now() + lease_us,
                    attempts=_row.attempts + 1,
                    error=None,  # in flight: nobody else makes it due
                )
                .returning(_row.attempts, _row.next_at)
            )
            with self._engine.begin() as connection:
                ours = connection.execute(taken).first()
            if ours is not None:
                body = msgspec.json.decode(found.body)
                return _Claim(found.message_id, found.channel, body, ours.attempts, ours.next_at)

    def carry(self, claim: _Claim) -> None:
        """Carry a claimed message, and write what became of it."""
        channel = self._channel(claim.channel)
        if channel is None:
            self._drop(claim)
            return
        try:
            limit_s = self._patience.timeout_s
            notifier = make_notifier(
                channel, self._environment, folder=self._folder, timeout_s=limit_s
            )
            notifier.send(claim.message_id, claim.body)
        except DeliveryFailed as error:
            self._failed(claim, error)
        except Exception as error:  # noqa: BLE001 - a notifier with a defect is a dead one
            _log.exception("the channel %s failed unexpectedly", claim.channel)
            kind = type(error).__name__
            found = Phrase("unexpected {kind}", "{kind} inesperado", kind=kind)
            self._failed(claim, DeliveryFailed(channel=claim.channel, found=found))
        else:
            self._delivered(claim)

    def _channel(self, name: str) -> Channel | None:
        with reading(self._engine) as connection:
            found = {c.name: c for c in read_channels(connection, self._project)}
        return found.get(name)

    def _drop(self, claim: _Claim) -> None:
        given_up = {"next_at": NEVER_AGAIN, "error": REMOVED}
        with self._engine.begin() as connection:
            connection.execute(
                update(alert_outbox).where(self._mine(claim.message_id)).values(given_up)
            )
        self.report = replace(self.report, n_given_up=self.report.n_given_up + 1)

    def _mine(self, message_id: UUID) -> ColumnElement[bool]:
        return and_(_row.project == self._project, _row.message_id == message_id)

    def _due(self) -> Any:
        earlier = alert_outbox.alias("earlier")
        blocked = exists().where(
            earlier.c.project == _row.project,
            earlier.c.alert_id == _row.alert_id,
            earlier.c.channel == _row.channel,
            earlier.c.message_id < _row.message_id,
            earlier.c.delivered_at.is_(None),
            earlier.c.next_at != NEVER_AGAIN,
        )
        query = select(_row.message_id, _row.channel, _row.body, _row.next_at).where(
            _row.project == self._project,
            _row.delivered_at.is_(None),
            _row.next_at <= database_now(),
            _row.channel.not_in(self._failing),
            ~blocked,
        )
        return query.order_by(_row.message_id).limit(1)

    def _delivered(self, claim: _Claim) -> None:
        done = {"delivered_at": self._clock.now_us(), "error": None}
        unsaid = and_(self._mine(claim.message_id), _row.delivered_at.is_(None))
        with self._engine.begin() as connection:
            connection.execute(update(alert_outbox).where(unsaid).values(done))
        self.report = replace(self.report, n_delivered=self.report.n_delivered + 1)
        self._raise(_signal(claim.channel, Condition.CLEAR, self._clock.now_us(), {}))

    def _failed(self, claim: _Claim, error: DeliveryFailed) -> None:
        found = str(error.context["found"])
        words = {"detail": found, "detail_es": in_language(error.context["found"], "es")}
        given_up = claim.attempts >= self._patience.attempts
        wait_s = self._patience.wait_s(claim.attempts)
        asked_s = error.context["retry_after_s"] or 0.0
        wait_us = round(max(wait_s, min(asked_s, self._patience.most_s)) * 1e6)
        still_ours = and_(self._mine(claim.message_id), _row.next_at == claim.until)
        others = and_(
            _row.project == self._project,
            _row.channel == claim.channel,
            _row.delivered_at.is_(None),
            _row.next_at <= database_now(),
        )
        later = database_now() + wait_us
        with self._engine.begin() as connection:
            connection.execute(
                update(alert_outbox)
                .where(still_ours)
                .values(next_at=NEVER_AGAIN if given_up else later, error=found[:500])
            )
            # the channel is tried again as a whole: a hundred messages are not a hundred tries
            postponed = {"next_at": later, "error": f"not tried: {found}"[:500]}
            connection.execute(update(alert_outbox).where(others).values(postponed))
            waiting = and_(
                _row.project == self._project,
                _row.channel == claim.channel,
                _row.delivered_at.is_(None),
            )
            counted = select(func.count()).select_from(alert_outbox).where(waiting)
            n_waiting: int = connection.execute(counted).scalar_one()
        self._failing.add(claim.channel)
        _log.warning("the channel %s did not take %s: %s", claim.channel, claim.message_id, found)
        self.report = replace(
            self.report,
            n_failed=self.report.n_failed + 1,
            n_given_up=self.report.n_given_up + given_up,
            failures=(*self.report.failures, f"{claim.channel}: {found}"),
        )
        facts = {"error": words, "attempts": claim.attempts, "waiting": n_waiting}
        self._raise(_signal(claim.channel, Condition.HOLDS, self._clock.now_us(), facts))
