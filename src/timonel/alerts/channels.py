"""Channels: where alerts are sent, from which severity on, and in which language."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Engine, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from timonel.alerts.alert import iso, rank
from timonel.alerts.errors import ChannelExists, InvalidChannel, UnknownChannel
from timonel.alerts.rows import NEVER_AGAIN, encode
from timonel.clock import Clock
from timonel.signals import Severity
from timonel.store.engine import reading
from timonel.store.tables_loop import alert_channels, alert_outbox

ChannelKind = Literal["log", "webhook", "slack"]
# the options of each kind: name of the option -> whether it must be given
OPTIONS: Mapping[str, Mapping[str, bool]] = {
    "log": {},
    "webhook": {"url_env": True, "secret_env": False},
    "slack": {"url_env": True},
}
REMOVED = "the channel was removed"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_A_VARIABLE = ("the name of an environment variable", "el nombre de una variable de entorno")


@dataclass(frozen=True, slots=True)
class Channel:
    """One place to send alerts to.

    Parameters
    ----------
    name : str
    kind : str
        "log", "webhook" or "slack".
    options : mapping of str to str
        ``url_env`` and ``secret_env``: the names of environment variables, never their values.
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
        known = OPTIONS[self.kind]
        for option, value in self.options.items():
            if option not in known:
                nothing = f"none for kind {self.kind}", f"ninguno para el tipo {self.kind}"
                raise _refused(self.name, _shown(option), *nothing)
            if not _VARIABLE.fullmatch(value):
                raise _refused(self.name, _shown(option), *_A_VARIABLE)
        for option, needed in known.items():
            if needed and option not in self.options:
                raise _refused(self.name, _shown(option), *_A_VARIABLE)

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
