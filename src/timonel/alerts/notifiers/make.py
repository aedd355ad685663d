"""Notifiers: what carries a message to where a channel leads."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from timonel.alerts.channels import Channel
from timonel.alerts.errors import DeliveryFailed
from timonel.alerts.notifiers.email import EmailNotifier
from timonel.alerts.notifiers.function import FunctionNotifier, installed_function
from timonel.alerts.notifiers.log import LogNotifier
from timonel.alerts.notifiers.pagerduty import PagerDutyNotifier
from timonel.alerts.notifiers.slack import SlackNotifier
from timonel.alerts.notifiers.webhook import WebhookNotifier
from timonel.errors import Phrase

TIMEOUT_S = 10.0


class Notifier(Protocol):
    """Carries one message, or raises ``DeliveryFailed``.

    It returns only when the receiver has said that it has the message. The same message may be
    carried twice (its id stays the same): after a crash, or when the receiver's word was lost.
    It may be called from any thread, and ends within its time limit.
    """

    def send(self, message_id: UUID, body: Mapping[str, Any]) -> None:
        """Carry a message; ``body`` is as ``texts.message_body`` makes it."""
        ...


@dataclass(frozen=True, slots=True)
class _Variables:
    """The variables that a channel names, from the environment of this process."""

    channel: Channel
    environment: Mapping[str, str]

    def need(self, option: str) -> str:
        """Give the value of a variable, never shown; one that is not set fails the delivery."""
        name = self.channel.options[option]
        value = self.environment.get(name, "").strip()
        if not value:
            found = Phrase(
                "the environment variable {name} is not set in this process",
                "la variable de entorno {name} no está definida en este proceso",
                name=name,
            )
            raise DeliveryFailed(channel=self.channel.name, found=found)
        return value

    def may(self, option: str) -> str | None:
        """Give the value of an optional variable; None where the channel names none."""
        return self.need(option) if option in self.channel.options else None


def make_notifier(
    channel: Channel,
    environment: Mapping[str, str],
    *,
    folder: Path | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Notifier:
    """Make the notifier of a channel; ``folder`` is the project's, for its functions.

    Raises
    ------
    DeliveryFailed
        If a variable that the channel names is not set here, or a notifier is not installed.
    """
    variables = _Variables(channel, environment)
    match channel.kind:
        case "webhook":
            return WebhookNotifier(
                channel.name,
                variables.need("url_env"),
                secret=variables.may("secret_env"),
                timeout_s=timeout_s,
            )
        case "slack":
            return SlackNotifier(channel.name, variables.need("url_env"), timeout_s=timeout_s)
        case "email":
            return EmailNotifier(
                channel.name,
                variables.need("url_env"),
                sender=channel.options["sender"],
                to=channel.options["to"],
                timeout_s=timeout_s,
            )
        case "pagerduty":
            return PagerDutyNotifier(
                channel.name,
                variables.need("key_env"),
                url=variables.may("url_env"),
                timeout_s=timeout_s,
            )
        case "function":
            function = channel.options["function"]
            return FunctionNotifier(channel.name, folder, function, timeout_s=timeout_s)
        case "plugin":
            function = installed_function(channel.name, channel.options["plugin"])
            return FunctionNotifier(channel.name, folder, function, timeout_s=timeout_s)
        case _:
            return LogNotifier(channel.name)
