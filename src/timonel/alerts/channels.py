"""Channels: where alerts are sent, from which severity on, and in which language."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Engine, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from timonel.alerts.alert import iso, rank, read_duration
from timonel.alerts.errors import ChannelExists, InvalidChannel, UnknownChannel
from timonel.alerts.rows import encode
from timonel.clock import Clock
from timonel.signals import Severity
from timonel.store.engine import reading
from timonel.store.tables_loop import NEVER_AGAIN, alert_channels, alert_outbox

ChannelKind = Literal["log", "webhook", "slack", "email", "pagerduty", "function", "plugin"]


class Form(StrEnum):
    """What an option of a channel holds."""

    VARIABLE = "variable"  # the name of an environment variable: never an address or a secret
    ADDRESSES = "addresses"
    FUNCTION = "function"
    DURATION = "duration"
    PLUGIN = "plugin"


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a kind of channel."""

    form: Form = Form.VARIABLE
    needed: bool = True


OPTIONS: Mapping[str, Mapping[str, Option]] = {
    "log": {},
    "webhook": {"url_env": Option(), "secret_env": Option(needed=False)},
    "slack": {"url_env": Option()},
    "email": {
        "url_env": Option(),
        "sender": Option(Form.ADDRESSES),
        "to": Option(Form.ADDRESSES),
    },
    "pagerduty": {"key_env": Option(), "url_env": Option(needed=False)},
    "function": {"function": Option(Form.FUNCTION)},
    "plugin": {"plugin": Option(Form.PLUGIN)},
}
_OF_ALL: Mapping[str, Option] = {"escalate_after": Option(Form.DURATION, needed=False)}
REMOVED = "the channel was removed"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MAILBOX = r"[^\s@,<>\"\r\n]{1,64}@[A-Za-z0-9.-]{1,190}"
_FORMS: Mapping[Form, tuple[re.Pattern[str], tuple[str, str]]] = {
    Form.VARIABLE: (
        re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}"),
        ("the name of an environment variable", "el nombre de una variable de entorno"),
    ),
    Form.ADDRESSES: (
        re.compile(rf"{_MAILBOX}(,\s*{_MAILBOX}){{0,19}}"),
        (
            "mail addresses, separated by commas",
            "direcciones de correo, separadas por comas",
        ),
    ),
    Form.FUNCTION: (
        re.compile(r"[A-Za-z_]\w{0,63}:[A-Za-z_]\w{0,63}", re.ASCII),
        (
            "a module of the project and its function, such as handlers:on_alert",
            "un módulo del proyecto y su función, como handlers:on_alert",
        ),
    ),
    Form.PLUGIN: (
        re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII),
        (
            "the name of an installed notifier, as its entry point has it",
            "el nombre de un notificador instalado, como lo da su punto de entrada",
        ),
    ),
    Form.DURATION: (
        re.compile(r"[1-9][0-9]{0,3}[mhd]", re.ASCII),
        ("a duration such as 30m", "una duración como 30m"),
    ),
}


@dataclass(frozen=True, slots=True)
class Channel:
    """One place to send alerts to.

    Parameters
    ----------
    name : str
    kind : str
        "log", "webhook", "slack", "email", "pagerduty", "function" or "plugin".
    options : mapping of str to str
        Those of ``OPTIONS``; addresses and secrets by the names of environment variables, never
        their values. ``escalate_after`` makes it the next step: it hears only of alerts that
        have fired for so long and that nobody has acknowledged.
    min_severity : Severity
    language : str
        "es" or "en".
    created_at : int
    """

    name: str
    kind: str
    options: Mapping[str, str] = field(default_factory=dict)
    min_severity: Severity = Severity.INFO
    language: str = "en"
    created_at: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot work, without repeating it: it may be a secret."""
        if not _NAME.fullmatch(self.name):
            raise _refused("?", "name", "letters, digits, . _ -", "letras, dígitos, . _ -")
        if self.kind not in OPTIONS:
            kinds = ", ".join(OPTIONS)
            raise _refused(self.name, "kind", f"one of {kinds}", f"uno de {kinds}")
        if self.language not in ("en", "es"):
            raise _refused(self.name, "language", "en or es", "en o es")
        known = {**OPTIONS[self.kind], **_OF_ALL}
        for name, value in self.options.items():
            if name not in known:
                nothing = f"none for kind {self.kind}", f"ninguno para el tipo {self.kind}"
                raise _refused(self.name, _shown(name), *nothing)
            pattern, expected = _FORMS[known[name].form]
            if not pattern.fullmatch(value):
                raise _refused(self.name, _shown(name), *expected)
        for name, option in known.items():
            if option.needed and name not in self.options:
                raise _refused(self.name, _shown(name), *_FORMS[option.form][1])

    @property
    def escalate_after_us(self) -> int | None:
        """How long an alert must fire unanswered before it is told here; None: at once."""
        after = self.options.get("escalate_after")
        return None if after is None else read_duration(after)

    def wants(self, severity: Severity) -> bool:
        """Say whether alerts of a severity are sent here."""
        return rank(severity) >= rank(self.min_severity)

    def document(self) -> dict[str, Any]:
        """Describe it for JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            "options": dict(self.options),
            "min_severity": str(self.min_severity),
            "language": self.language,
            "created_at": iso(self.created_at),
        }


class Channels:
    """The channels of a project, in its database.

    Parameters
    ----------
    engine : Engine
    project : str
    clock : Clock
    """

    def __init__(self, engine: Engine, project: str, clock: Clock) -> None:
        self._engine = engine
        self._project = project
        self._clock = clock

    def add(self, channel: Channel) -> Channel:
        """Store a channel; raises ``ChannelExists`` where its name is taken."""
        values = {
            "project": self._project,
            "name": channel.name,
            "kind": channel.kind,
            "options": encode(dict(channel.options)),
            "min_severity": str(channel.min_severity),
            "language": channel.language,
            "created_at": self._clock.now_us(),
        }
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(alert_channels), values)
        except IntegrityError:
            found = self.get(channel.name)
            raise ChannelExists(channel=found.name, kind=found.kind) from None
        return self.get(channel.name)

    def list(self) -> list[Channel]:
        """Give all channels by name."""
        with reading(self._engine) as connection:
            return read_channels(connection, self._project)

    def get(self, name: str) -> Channel:
        """Give a channel; raises ``UnknownChannel``."""
        found = {channel.name: channel for channel in self.list()}
        if name not in found:
            raise UnknownChannel(channel=name, known=sorted(found))
        return found[name]

    def remove(self, name: str) -> int:
        """Remove a channel; messages that wait for it are given up, and counted."""
        self.get(name)
        row = alert_outbox.c
        waiting = (
            row.project == self._project,
            row.channel == name,
            row.delivered_at.is_(None),
            row.next_at != NEVER_AGAIN,
        )
        given_up = {"next_at": NEVER_AGAIN, "error": REMOVED}
        mine = (alert_channels.c.project == self._project, alert_channels.c.name == name)
        with self._engine.begin() as connection:
            connection.execute(delete(alert_channels).where(*mine))
            return connection.execute(
                update(alert_outbox).where(*waiting).values(given_up)
            ).rowcount


def read_channels(connection: Connection, project: str) -> list[Channel]:
    """Read a project's channels by name."""
    query = select(alert_channels).where(alert_channels.c.project == project)
    return [_channel(row) for row in connection.execute(query.order_by(alert_channels.c.name))]


def _channel(row: Row[Any]) -> Channel:
    return Channel(
        name=row.name,
        kind=row.kind,
        options=msgspec.json.decode(row.options),
        min_severity=Severity(row.min_severity),
        language=row.language,
        created_at=row.created_at,
    )


def _shown(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _refused(channel: str, option: str, expected_en: str, expected_es: str) -> InvalidChannel:
    return InvalidChannel(
        channel=channel, option=option, expected_en=expected_en, expected_es=expected_es
    )
