"""What can be wrong with a request before any model is asked."""

from typing import Any

from timonel.errors import (
    InvalidInput,
    MalformedInput,
    NotAllowed,
    Text,
    TooLarge,
    Unavailable,
    UnsupportedForm,
)


class MalformedBody(MalformedInput):
    """The body is not JSON."""

    code = "malformed_body"
    texts = {
        "en": Text(
            "Cannot read the body as JSON: found {found}, expected {expected}.",
            "Send one JSON object in UTF-8; `python -m json.tool < FILE` shows where it breaks.",
        ),
        "es": Text(
            "No se puede leer el cuerpo como JSON: hay {found}, se esperaba {expected}.",
            "Envíe un objeto JSON en UTF-8; `python -m json.tool < ARCHIVO` muestra dónde falla.",
        ),
    }


class InvalidRequest(InvalidInput):
    """JSON whose frame (not its rows) breaks the form of the route."""

    code = "invalid_request"
    texts = {
        "en": Text(
            "Cannot use the request's field {field}: found {found}, expected {expected}.",
            "See `POST {route}` in /docs for the form; a minimal body is {example}.",
        ),
        "es": Text(
            "No se puede usar el campo {field} de la petición: hay {found}, se esperaba "
            "{expected}.",
            "Vea la forma de `POST {route}` en /docs; un cuerpo mínimo es {example}.",
        ),
    }


class BodyTooLarge(TooLarge):
    """More bytes than the limit, as sent or once decompressed."""

    code = "body_too_large"
    texts = {
        "en": Text(
            "Cannot read the body: found more than {limit} bytes, expected at most {limit}.",
            "Send fewer rows per request, or raise the setting `{setting}`.",
        ),
        "es": Text(
            "No se puede leer el cuerpo: hay más de {limit} bytes, se esperaban {limit} como "
            "máximo.",
            "Envíe menos filas por petición, o aumente el ajuste `{setting}`.",
        ),
    }

    def __init__(self, *, limit: int, setting: str = "max_body_kb", **_: Any) -> None:
        super().__init__(limit=limit, setting=setting)


class HeadTooLarge(TooLarge):
    """Headers and address of a request of more bytes than the limit (HTTP 431)."""

    code = "head_too_large"
    texts = {
        "en": Text(
            "Cannot read the request: found headers of more than {limit} bytes, expected at most "
            "{limit}.",
            "Send what is large in the body; look for cookies that a proxy adds.",
        ),
        "es": Text(
            "No se puede leer la petición: hay encabezados de más de {limit} bytes, se esperaban "
            "{limit} como máximo.",
            "Envíe lo grande en el cuerpo; busque cookies que agregue un proxy.",
        ),
    }


class TooManyRows(TooLarge):
    """More rows than the limit in one request."""

    code = "too_many_rows"
    texts = {
        "en": Text(
            "Cannot take {found} rows in one request: expected at most {limit}.",
            "Split them, raise the setting `max_rows`, or use `timonel predict MODEL FILE`.",
        ),
        "es": Text(
            "No se pueden recibir {found} filas en una petición: se esperaban {limit} como máximo.",
            "Divídalas, aumente el ajuste `max_rows`, o use `timonel predict MODELO ARCHIVO`.",
        ),
    }


class UnsupportedMediaType(UnsupportedForm):
    """A body that is not JSON by its own header."""

    code = "unsupported_media_type"
    texts = {
        "en": Text(
            "Cannot read a body of this type: found {found}, expected {expected}.",
            "Send the header `Content-Type: application/json` (and gzip as the only encoding).",
        ),
        "es": Text(
            "No se puede leer un cuerpo de este tipo: hay {found}, se esperaba {expected}.",
            "Envíe el encabezado `Content-Type: application/json` (y gzip como única compresión).",
        ),
    }


class MethodNotAllowed(NotAllowed):
    """A known route asked with another method."""

    code = "method_not_allowed"
    texts = {
        "en": Text(
            "Cannot {method} {path}: expected {allowed}.",
            "Repeat the request with the method {allowed}.",
        ),
        "es": Text(
            "No se puede hacer {method} {path}: se esperaba {allowed}.",
            "Repita la petición con el método {allowed}.",
        ),
    }


class UnexpectedFailure(Unavailable):
    """A defect of ours: logged under an id, told without its inside."""

    code = "unexpected_failure"
    texts = {
        "en": Text(
            "Cannot answer this request: an unexpected failure was logged as {error_id}.",
            "Repeat the request; if it fails again, report the log entry {error_id}.",
        ),
        "es": Text(
            "No se puede responder esta petición: una falla inesperada se registró como "
            "{error_id}.",
            "Repita la petición; si vuelve a fallar, informe la entrada {error_id} del registro.",
        ),
    }
