"""What alerts and their channels refuse, and the way out."""

from typing import Any

from timonel.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Phrase,
    Text,
    Unavailable,
    closest,
)


class UnknownAlert(NotFound):
    """No alert has this number."""

    code = "unknown_alert"
    texts = {
        "en": Text(
            "Cannot find alert {alert_id}: this project has no alert of this number.",
            "`timonel alerts list --state all` lists them with their numbers.",
        ),
        "es": Text(
            "No se encuentra la alerta {alert_id}: este proyecto no tiene una con ese número.",
            "`timonel alerts list --state all` las lista con sus números.",
        ),
    }


class AlertChanged(Conflict):
    """The alert is not as it was seen: somebody, or time, was first."""

    code = "alert_changed"
    texts = {
        "en": Text(
            "Cannot {action_en} alert {alert_id}: it is {state_en} since {at}, changed by {who_en}"
            "{note_text}.",
            "Look at it with `timonel alerts show {alert_id}`, and decide again if need be.",
        ),
        "es": Text(
            "No se puede {action_es} la alerta {alert_id}: está {state_es} desde {at}, la cambió "
            "{who_es}{note_text}.",
            "Véala con `timonel alerts show {alert_id}` y decida de nuevo si hace falta.",
        ),
    }

    def __init__(
        self, *, alert_id: int, action: str, state: str, at: str, who: str, note: str, **_: Any
    ) -> None:
        super().__init__(
            alert_id=alert_id,
            action=action,
            state=state,
            at=at,
            who=who,
            note=note,
            action_en=action,
            action_es=_ACTIONS[action],
            state_en=state,
            state_es=_STATES.get(state, state),
            who_en=who or "itself",
            who_es=who or "el propio sistema",
            note_text=f' ("{note}")' if note else "",
        )


_STATES = {
    "pending": "pendiente",
    "firing": "activa",
    "acknowledged": "tomada",
    "resolved": "resuelta",
}
_ACTIONS = {"acknowledge": "tomar", "resolve": "resolver", "silence": "silenciar"}


class AlertPending(Conflict):
    """A pending alert has called nobody, so nobody can acknowledge it."""

    code = "alert_pending"
    texts = {
        "en": Text(
            "Cannot acknowledge alert {alert_id}: it is pending, expected firing.",
            "Wait until it fires or ends by itself, or run `timonel alerts resolve {alert_id}`.",
        ),
        "es": Text(
            "No se puede tomar la alerta {alert_id}: está pendiente, se esperaba activa.",
            "Espere a que se active o termine sola, o ejecute `timonel alerts resolve {alert_id}`.",
        ),
    }


class InvalidDuration(InvalidInput):
    """Text that is no duration."""

    code = "invalid_duration"
    texts = {
        "en": Text(
            "Cannot read {found} as a duration: expected a number and m, h or d, such as 24h.",
            "Write for example 30m, 24h or 7d.",
        ),
        "es": Text(
            "No se puede leer {found} como duración: se esperaba un número y m, h o d, como 24h.",
            "Escriba por ejemplo 30m, 24h o 7d.",
        ),
    }


class UnknownChannel(NotFound):
    """No channel has this name."""

    code = "unknown_channel"
    texts = {
        "en": Text(
            "Cannot find the channel {channel}: the channels are {known_text}.",
            "Use one of these, or add it with `timonel alerts channel add`.",
        ),
        "es": Text(
            "No se encuentra el canal {channel}: los canales son {known_text}.",
            "Use uno de esos, o agréguelo con `timonel alerts channel add`.",
        ),
    }

    def __init__(self, *, channel: str, known: list[str], **_: Any) -> None:
        super().__init__(channel=channel, known=known, known_text=closest(channel, known))


class ChannelExists(Conflict):
    """The name of a channel is taken."""

    code = "channel_exists"
    texts = {
        "en": Text(
            "Cannot add the channel {channel}: there is one of this name, of kind {kind}.",
            "Choose another name, or run `timonel alerts channel remove {channel}` first.",
        ),
        "es": Text(
            "No se puede agregar el canal {channel}: ya hay uno con ese nombre, de tipo {kind}.",
            "Elija otro nombre, o ejecute antes `timonel alerts channel remove {channel}`.",
        ),
    }


class InvalidChannel(InvalidInput):
    """A channel's options that cannot work; what was given is not repeated, it may be a secret."""

    code = "invalid_channel"
    texts = {
        "en": Text(
            "Cannot add the channel {channel}: its {option} is not usable, expected {expected_en}.",
            "Correct {option}. An address or a secret is given by the name of an environment "
            "variable that holds it, for example `--url-env ALERTS_URL`.",
        ),
        "es": Text(
            "No se puede agregar el canal {channel}: su {option} no es utilizable, se esperaba "
            "{expected_es}.",
            "Corrija {option}. Una dirección o un secreto se da por el nombre de una variable de "
            "entorno que lo contiene, por ejemplo `--url-env ALERTS_URL`.",
        ),
    }


class DeliveryFailed(Unavailable):
    """A message did not reach its channel; it is kept and tried again.

    ``retry_after_s`` in the context: how long the receiver asked to be left alone, or None.
    """

    code = "delivery_failed"
    texts = {
        "en": Text(
            "Cannot deliver to the channel {channel}: {found}.",
            "Mend the receiver (the function, or the variable that names it), then run "
            "`timonel alerts channel test {channel}`; messages wait in the outbox meanwhile.",
        ),
        "es": Text(
            "No se puede entregar al canal {channel}: {found}.",
            "Repare el receptor (la función, o la variable que lo indica) y ejecute "
            "`timonel alerts channel test {channel}`; los mensajes esperan mientras tanto.",
        ),
    }

    def __init__(
        self, *, channel: str, found: Phrase, retry_after_s: float | None = None, **_: Any
    ) -> None:
        super().__init__(channel=channel, found=found, retry_after_s=retry_after_s)
