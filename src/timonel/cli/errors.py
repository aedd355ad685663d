"""What can be wrong with what a command was given."""

from timonel.errors import MalformedInput, ProjectFault, Text, Unavailable


class UnreadableRequest(MalformedInput):
    """A JSON file that is no request."""

    code = "unreadable_request"
    texts = {
        "en": Text(
            "Cannot send {path}: {found}.",
            'It must hold JSON of the form {{"inputs": {{...}}}} or {{"inputs": [...]}}, as the '
            "project's sample_request.json does.",
        ),
        "es": Text(
            "No se puede enviar {path}: {found}.",
            'Debe contener JSON de la forma {{"inputs": {{...}}}} o {{"inputs": [...]}}, como '
            "sample_request.json del proyecto.",
        ),
    }


class InvalidUsage(MalformedInput):
    """Arguments that a command does not have or understand."""

    code = "invalid_usage"
    texts = {
        "en": Text(
            "Cannot run {command}: {found}",
            "`{command} --help` shows its arguments and options.",
        ),
        "es": Text(
            "No se puede ejecutar {command}: {found}",
            "`{command} --help` muestra sus argumentos y opciones.",
        ),
    }


class InstallNeeded(ProjectFault):
    """A command that needs what only the full installation brings."""

    code = "install_needed"
    texts = {
        "en": Text(
            "Cannot run this command here: it needs {module}, found only what serving needs "
            "({found}).",
            "Run it where the full product is installed, or install that here: "
            "`pip uninstall timonel-serve`, then `pip install timonel`.",
        ),
        "es": Text(
            "No se puede ejecutar aquí este comando: necesita {module}, y solo hay lo necesario "
            "para servir ({found}).",
            "Ejecútelo donde esté instalado el producto completo, o instálelo aquí: "
            "`pip uninstall timonel-serve` y luego `pip install timonel`.",
        ),
    }


class SystemRefused(ProjectFault):
    """The operating system did not let a command read or write what it has to."""

    code = "system_refused"
    texts = {
        "en": Text(
            "Cannot use {path}: found {found}.",
            "Check that it may be read and written there and that the disk has room; then run the "
            "command again.",
        ),
        "es": Text(
            "No se puede usar {path}: hay {found}.",
            "Revise que ahí se pueda leer y escribir, y que el disco tenga espacio; luego repita "
            "el comando.",
        ),
    }


class UnexpectedStop(Unavailable):
    """A defect of ours in a command: its traceback is printed beside it."""

    code = "unexpected_stop"
    texts = {
        "en": Text(
            "Cannot finish the command: an unexpected failure, {found}.",
            "Run it again; if it fails again, report the traceback printed above.",
        ),
        "es": Text(
            "No se puede terminar el comando: una falla inesperada, {found}.",
            "Repítalo; si vuelve a fallar, informe la traza impresa arriba.",
        ),
    }
