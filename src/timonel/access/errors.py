"""What is refused of who asks, and of the keys themselves."""

from timonel.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    Text,
    TooMany,
    Unauthorized,
    closest,
)


class KeyRequired(Unauthorized):
    """A peer that must show a key sent none."""

    code = "key_required"
    texts = {
        "en": Text(
            "Cannot answer a request of this origin without a key: found {found}, expected a key.",
            "Send `Authorization: Bearer KEY`; `timonel key create NAME` on the server makes one.",
        ),
        "es": Text(
            "No se responde sin clave a una petición de este origen: hay {found}, se esperaba una "
            "clave.",
            "Envíe `Authorization: Bearer CLAVE`; `timonel key create NOMBRE` en el servidor crea "
            "una.",
        ),
    }


class UnknownKey(Unauthorized):
    """The key shown is none of this server's: never made, or revoked."""

    code = "unknown_key"
    texts = {
        "en": Text(
            "Cannot accept the key: found one that this server does not know, expected one of its "
            "own that was not revoked.",
            "Check it against `timonel key list`, or make another: `timonel key create NAME`.",
        ),
        "es": Text(
            "No se puede aceptar la clave: este servidor no la conoce, se esperaba una suya que "
            "no esté revocada.",
            "Compárela con `timonel key list`, o cree otra: `timonel key create NOMBRE`.",
        ),
    }


class KeyExpired(Unauthorized):
    """The key shown was good until a moment that has passed."""

    code = "key_expired"
    texts = {
        "en": Text(
            "Cannot accept the key {key}: it expired at {found}, expected one still in force.",
            "Make another with `timonel key create NAME` and put it in this one's place.",
        ),
        "es": Text(
            "No se puede aceptar la clave {key}: venció el {found}, se esperaba una vigente.",
            "Cree otra con `timonel key create NOMBRE` y póngala en lugar de esta.",
        ),
    }


class NoKeySet(Forbidden):
    """A peer that must show a key asks a server that has none."""

    code = "no_key_set"
    texts = {
        "en": Text(
            "Cannot answer a request that is not plainly local: found {found}, expected a "
            "loopback peer, a local Host and no forwarding headers.",
            "Make a key on the server (`timonel key create NAME`) and send it as "
            "`Authorization: Bearer KEY`, or ask http://127.0.0.1 directly.",
        ),
        "es": Text(
            "No se responde a una petición que no es claramente local: hay {found}, se esperaba "
            "un origen loopback, un Host local y ningún encabezado de reenvío.",
            "Cree una clave en el servidor (`timonel key create NOMBRE`) y envíela como "
            "`Authorization: Bearer CLAVE`, o consulte http://127.0.0.1 directamente.",
        ),
    }


class ForeignOrigin(Forbidden):
    """A browser page of another site asks for a change."""

    code = "foreign_origin"
    texts = {
        "en": Text(
            "Cannot accept a request that a page of another site makes: found the origin "
            "{found}, expected {expected}.",
            "Use this server's own pages, or send a key: `Authorization: Bearer KEY`.",
        ),
        "es": Text(
            "No se acepta una petición que hace la página de otro sitio: hay el origen {found}, "
            "se esperaba {expected}.",
            "Use las páginas de este servidor, o envíe una clave: `Authorization: Bearer CLAVE`.",
        ),
    }


class NotGranted(Forbidden):
    """A known key asks for what neither its role nor its scopes allow."""

    code = "not_granted"
    texts = {
        "en": Text(
            "Cannot {method} {path} with the key {key}: found the role {role} with the scopes "
            "{scopes}, expected the scope {scope} (the role {expected_role} has it).",
            "Ask an admin for a key that may: `timonel key create NAME --role {least_role} "
            "--scope {scope}`.",
        ),
        "es": Text(
            "No se puede hacer {method} {path} con la clave {key}: tiene el rol {role} con los "
            "alcances {scopes}, se esperaba el alcance {scope} (el rol {expected_role} lo tiene).",
            "Pida a un administrador una clave que pueda: `timonel key create NOMBRE --role "
            "{least_role} --scope {scope}`.",
        ),
    }


class ModelNotGranted(Forbidden):
    """A key that is for some models asks about another one, or about all of them."""

    code = "model_not_granted"
    texts = {
        "en": Text(
            "Cannot ask about {asked} with the key {key}: it is for {models} only.",
            "Ask an admin for a key that may: `timonel key create NAME`, with `--model` for each "
            "model, or without it for all.",
        ),
        "es": Text(
            "No se puede consultar {asked} con la clave {key}: es solo para {models}.",
            "Pida a un administrador una clave que pueda: `timonel key create NOMBRE`, con "
            "`--model` por cada modelo, o sin él para todos.",
        ),
    }


class UnlistedRoute(NotFound):
    """A path that no key is given access to, because no route has it."""

    code = "unlisted_route"
    texts = {
        "en": Text(
            "Cannot find {path}: no route that keys may ask has this path.",
            "See docs/reference/routes.md, or /docs on the server, for all routes.",
        ),
        "es": Text(
            "No se encuentra {path}: ninguna ruta que se consulte con clave tiene ese camino.",
            "Vea docs/reference/routes.md, o /docs en el servidor, para todas las rutas.",
        ),
    }


class RateExceeded(TooMany):
    """A key asks more often than it may."""

    code = "rate_exceeded"
    texts = {
        "en": Text(
            "Cannot answer more requests of the key {key} now: expected at most {rate}.",
            "Repeat it after {retry_after_s} s, or ask an admin for a key with another `--rate`.",
        ),
        "es": Text(
            "No se responden más peticiones de la clave {key} por ahora: se esperaban {rate} como "
            "máximo.",
            "Repítala después de {retry_after_s} s, o pida a un administrador una clave con otro "
            "`--rate`.",
        ),
    }


class InvalidKey(InvalidInput):
    """A key that is to be made breaks a rule."""

    code = "invalid_key"
    texts = {
        "en": Text(
            "Cannot make the key: found {found} as its {field}, expected {expected}.",
            "See `timonel key create --help`, or docs/security.md for roles and scopes.",
        ),
        "es": Text(
            "No se puede crear la clave: hay {found} en {field}, se esperaba {expected}.",
            "Vea `timonel key create --help`, o docs/security.md para roles y alcances.",
        ),
    }


class KeyExists(Conflict):
    """A name that some key has, or had."""

    code = "key_exists"
    texts = {
        "en": Text(
            "Cannot make the key {key}: found one of this name, made by {by}; expected a new "
            "name, because histories name keys.",
            "Choose another, such as {free}; `timonel key list --all` shows all.",
        ),
        "es": Text(
            "No se puede crear la clave {key}: ya hay una con ese nombre, creada por {by}; se "
            "esperaba uno nuevo, porque las historias nombran claves.",
            "Elija otro, como {free}; `timonel key list --all` muestra todas.",
        ),
    }


class TooManyKeys(Conflict):
    """More keys in force than every worker should keep."""

    code = "too_many_keys"
    texts = {
        "en": Text(
            "Cannot make another key: found {found} in force, expected fewer than {limit}.",
            "Revoke those nobody uses: `timonel key list`, `timonel key revoke NAME`.",
        ),
        "es": Text(
            "No se puede crear otra clave: hay {found} vigentes, se esperaban menos de {limit}.",
            "Revoque las que nadie usa: `timonel key list`, `timonel key revoke NOMBRE`.",
        ),
    }


class KeyNotFound(NotFound):
    """A name that no key has."""

    code = "key_not_found"
    texts = {
        "en": Text(
            "Cannot find the key {key}: expected one of {shown}.",
            "`timonel key list --all` shows all keys.",
        ),
        "es": Text(
            "No se encuentra la clave {key}: se esperaba una de {shown}.",
            "`timonel key list --all` muestra todas las claves.",
        ),
    }

    def __init__(self, *, key: str, known: list[str], **context: object) -> None:
        context.pop("shown", None)
        super().__init__(key=key, known=known, shown=closest(key, known), **context)
