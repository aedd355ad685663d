"""What the control routes refuse beyond what the concepts refuse themselves."""

from typing import Any

from timonel.errors import (
    InvalidInput,
    MalformedInput,
    NotFound,
    Text,
    Unavailable,
    summary_of,
)


class UnknownRoute(NotFound):
    """No route has this path."""

    code = "unknown_route"
    texts = {
        "en": Text(
            "Cannot find {path}: no route of this server has this path.",
            "See `GET /v1` for where to begin, or /docs for all routes.",
        ),
        "es": Text(
            "No se encuentra {path}: ninguna ruta de este servidor tiene ese camino.",
            "Vea `GET /v1` para comenzar, o /docs para todas las rutas.",
        ),
    }


class MalformedUrl(MalformedInput):
    """A path or query with characters that no name here has."""

    code = "malformed_url"
    texts = {
        "en": Text(
            "Cannot read the address: found {found}, expected printable characters.",
            "Write names as `GET /v1/models` lists them.",
        ),
        "es": Text(
            "No se puede leer la dirección: hay {found}, se esperaban caracteres imprimibles.",
            "Escriba los nombres como los lista `GET /v1/models`.",
        ),
    }


class InvalidParameters(InvalidInput):
    """Path, query or body fields that break the form of a route; all of them are listed.

    ``errors`` in the context is a list of ``{"field", "found", "expected"}``.
    """

    code = "invalid_parameters"
    texts = {
        "en": Text(
            "Cannot use {count} field(s) of the request. {summary}",
            "See the route in /docs for the form of each field.",
        ),
        "es": Text(
            "No se pueden usar {count} campo(s) de la petición. {summary}",
            "Vea la forma de cada campo de la ruta en /docs.",
        ),
    }

    def __init__(self, *, errors: list[dict[str, Any]], **context: Any) -> None:
        context.pop("count", None)
        context.pop("summary", None)
        super().__init__(count=len(errors), summary=summary_of(errors), errors=errors, **context)


class UnknownPrediction(NotFound):
    """No stored prediction has this id."""

    code = "unknown_prediction"
    texts = {
        "en": Text(
            "Cannot find the prediction {prediction_id}: it is not in the database.",
            "Use the `prediction_id` of an answer; one that was just given is stored within "
            "seconds, so repeat the request then.",
        ),
        "es": Text(
            "No se encuentra la predicción {prediction_id}: no está en la base de datos.",
            "Use el `prediction_id` de una respuesta; una recién dada se guarda en segundos: "
            "repita la petición entonces.",
        ),
    }


class NoRules(NotFound):
    """A model is declared without rules."""

    code = "no_rules"
    texts = {
        "en": Text(
            "Cannot give the rules of model {model}: found none, expected the declaration to name "
            "them.",
            'Declare `fallback="rules:function"`; until then its baseline stands in.',
        ),
        "es": Text(
            "No se pueden dar las reglas del modelo {model}: no hay, se esperaba que la "
            "declaración las nombre.",
            'Declare `fallback="rules:funcion"`; entretanto responde su valor base.',
        ),
    }


class NotInProduction(NotFound):
    """A model without a champion was asked for it."""

    code = "not_in_production"
    texts = {
        "en": Text(
            "Cannot show what serves {model}: no version of it is in production.",
            "Run `timonel train {model}`, or `timonel promote {model} VERSION`; until then its "
            "rules or baseline answer.",
        ),
        "es": Text(
            "No se puede mostrar qué sirve a {model}: ninguna versión está en producción.",
            "Ejecute `timonel train {model}`, o `timonel promote {model} VERSIÓN`; mientras tanto "
            "responden sus reglas o su línea base.",
        ),
    }


class NotAnsweredHere(Unavailable):
    """A predict route reached the control process, which does not answer it."""

    code = "not_answered_here"
    texts = {
        "en": Text(
            "Cannot answer POST {path}: this process has the role control.",
            "Send it to a server with the role predict or all (`timonel serve`).",
        ),
        "es": Text(
            "No se puede responder POST {path}: este proceso tiene el rol control.",
            "Envíelo a un servidor con rol predict o all (`timonel serve`).",
        ),
    }
