"""What can go wrong between a client and its server."""

from typing import Any

from timonel.errors import Text, TimonelError, Unavailable


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
