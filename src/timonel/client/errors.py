"""What can go wrong between a client and its server."""

from typing import Any

from timonel.errors import ProjectFault, Text, TimonelError, Unavailable


class ServerUnreachable(Unavailable):
    """No attempt to reach the server got an answer."""

    code = "server_unreachable"
    texts = {
        "en": Text(
            "Cannot reach the server at {url}: {cause}.",
            "Start it with `timonel up`, or correct the address.",
        ),
        "es": Text(
            "No se puede alcanzar el servidor en {url}: {cause}.",
            "Inícielo con `timonel up`, o corrija la dirección.",
        ),
    }


class RequestRefused(TimonelError):
    """The server refused a request; ``problem`` is its problem document."""

    code = "request_refused"
    texts = {
        "en": Text("The server refused the request ({status}): {detail}", "{advice}"),
        "es": Text("El servidor rechazó la solicitud ({status}): {detail}", "{advice}"),
    }

    @property
    def problem(self) -> dict[str, Any]:
        """The server's problem document."""
        document: dict[str, Any] = self.context["problem"]
        return document


class RulesUnusable(ProjectFault):
    """Rules that a client was given cannot be used, or did not answer a row."""

    code = "rules_unusable"
    texts = {
        "en": Text(
            "Cannot answer by the local rules {rules}: found {found}, expected {expected}.",
            "Give `rules=` a function (row) -> Answer, a text FILE.py:function, a mapping of "
            'models to either, or "server".',
        ),
        "es": Text(
            "No se puede responder con las reglas locales {rules}: hay {found}, se esperaba "
            "{expected}.",
            "Dé a `rules=` una función (row) -> Answer, un texto ARCHIVO.py:función, un mapa de "
            'modelos a uno de ellos, o "server".',
        ),
    }


class QueueFull(Unavailable):
    """No more answers may wait for their delivery."""

    code = "queue_full"
    texts = {
        "en": Text(
            "Cannot keep the answer for its later delivery: {found} wait in {queue}, expected "
            "fewer than {limit}.",
            'Bring the server back, raise `max_queued`, or take `when_full="answer"`, which '
            "answers without logging and says so.",
        ),
        "es": Text(
            "No se puede guardar la respuesta para entregarla después: {found} esperan en "
            "{queue}, se esperaban menos de {limit}.",
            'Recupere el servidor, aumente `max_queued`, o use `when_full="answer"`, que responde '
            "sin registrar y lo dice.",
        ),
    }


class QueueUnusable(Unavailable):
    """The folder of answers that wait cannot be written or read."""

    code = "queue_unusable"
    texts = {
        "en": Text(
            "Cannot keep answers in {folder}: {found}, expected a folder that this user may write.",
            "Correct the folder or its permissions, make room, or give another `queue=`.",
        ),
        "es": Text(
            "No se pueden guardar respuestas en {folder}: {found}, se esperaba una carpeta donde "
            "este usuario pueda escribir.",
            "Corrija la carpeta o sus permisos, libere espacio, o dé otra `queue=`.",
        ),
    }
