"""What can be wrong with a load test."""

from timonel.errors import ProjectFault, Text, Unavailable


class WouldBeLogged(ProjectFault):
    """A load test of a running server without consent: its predictions are real there."""

    code = "load_would_be_logged"
    texts = {
        "en": Text(
            "Cannot load-test {url}: it would log every prediction as a real one, and its checks "
            "would count them.",
            "Leave out `--url` to measure a temporary server with a log of its own, or add "
            "`--logged` if that is what you want; they are then marked unit_id = {unit}.",
        ),
        "es": Text(
            "No se puede someter a carga {url}: registraría cada predicción como real, y sus "
            "controles las contarían.",
            "Quite `--url` para medir un servidor temporal con registro propio, o agregue "
            "`--logged` si es lo que quiere; quedan marcadas con unit_id = {unit}.",
        ),
    }


class TemporaryServerFailed(Unavailable):
    """The temporary server of a load test did not start."""

    code = "temporary_server_failed"
    texts = {
        "en": Text(
            "Cannot start a temporary server for the load test. It said: {found}",
            "Mend what it says; `timonel doctor` checks the project.",
        ),
        "es": Text(
            "No se puede iniciar un servidor temporal para la prueba de carga. Dijo: {found}",
            "Corrija lo que dice; `timonel doctor` revisa el proyecto.",
        ),
    }


class NotMeasurable(Unavailable):
    """No answer of the load test was a good one."""

    code = "load_not_measurable"
    texts = {
        "en": Text(
            "Cannot measure {url}: none of its answers was a prediction, but {found}.",
            "Ask it for one row first: `timonel predict MODEL sample_request.json`.",
        ),
        "es": Text(
            "No se puede medir {url}: ninguna de sus respuestas fue una predicción, sino {found}.",
            "Pídale primero una fila: `timonel predict MODELO sample_request.json`.",
        ),
    }
