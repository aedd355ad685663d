"""What can stop a demo."""

from timonel.errors import NotFound, Text, Unavailable


class DemoServerNotReady(Unavailable):
    """The server that the demo was pointed at does not answer."""

    code = "demo_server_not_ready"
    texts = {
        "en": Text(
            "Cannot run the demo: {url} was not ready within {seconds:g} s (last answer: {found}).",
            "Look at the server's own lines, or run `timonel doctor`.",
        ),
        "es": Text(
            "No se puede ejecutar la demostración: {url} no estuvo listo en {seconds:g} s (última "
            "respuesta: {found}).",
            "Revise las líneas del propio servidor o ejecute `timonel doctor`.",
        ),
    }


class UnknownExample(NotFound):
    """No example project of that name is installed."""

    code = "unknown_example"
    texts = {
        "en": Text(
            "Cannot find the example project {name}: looked in {folders}.",
            "Install the `timonel` package again, or run from a copy of its repository.",
        ),
        "es": Text(
            "No se encuentra el proyecto de ejemplo {name}: se buscó en {folders}.",
            "Reinstale el paquete `timonel` o ejecute desde una copia de su repositorio.",
        ),
    }
