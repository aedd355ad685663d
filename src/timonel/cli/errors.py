"""What can be wrong with what a command was given."""

from timonel.errors import MalformedInput, Text


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
