"""What can be wrong with a request in the form of another protocol."""

from timonel.errors import Conflict, InvalidInput, NotFound, Text


class InvalidTensor(InvalidInput):
    """A tensor whose name, shape, datatype or data do not fit each other or the schema."""

    code = "invalid_tensor"
    texts = {
        "en": Text(
            "Cannot use the tensor {tensor}: found {found}, expected {expected}.",
            "`GET /v2/models/MODEL` lists each tensor with its datatype and shape.",
        ),
        "es": Text(
            "No se puede usar el tensor {tensor}: hay {found}, se esperaba {expected}.",
            "`GET /v2/models/MODELO` da el tipo y la forma de cada tensor.",
        ),
    }


class InvalidTable(InvalidInput):
    """Columns and rows, in JSON or CSV, that do not fit each other."""

    code = "invalid_table"
    texts = {
        "en": Text(
            "Cannot read the table at {place}: found {found}, expected {expected}.",
            "Send it as pandas writes it: `to_dict(orient='split')`, `to_dict(orient='records')`, "
            "or `to_csv(index=False)`.",
        ),
        "es": Text(
            "No se puede leer la tabla en {place}: hay {found}, se esperaba {expected}.",
            "Envíela como la escribe pandas: `to_dict(orient='split')`, "
            "`to_dict(orient='records')` o `to_csv(index=False)`.",
        ),
    }


class VersionNotLoaded(NotFound):
    """A version that this server does not keep loaded."""

    code = "version_not_loaded"
    texts = {
        "en": Text(
            "Cannot answer by version {version} of model {model}: expected one that is loaded: "
            "{loaded}.",
            "Leave the version out, or bring it into production: `timonel promote`.",
        ),
        "es": Text(
            "No se puede responder con la versión {version} del modelo {model}: se esperaba una "
            "cargada: {loaded}.",
            "Omita la versión, o llévela a producción: `timonel promote`.",
        ),
    }


class RepositoryIsGoverned(Conflict):
    """A client asks to load or unload what only transitions of the registry change."""

    code = "repository_is_governed"
    texts = {
        "en": Text(
            "Cannot {action} model {model} by this route: what is served follows the registry, "
            "so that each change has an author, a reason and a history.",
            "Use `timonel promote` or `timonel rollback`; every process follows within a second.",
        ),
        "es": Text(
            "No se puede {action_es} el modelo {model} por esta ruta: lo que se sirve sigue al "
            "registro, para que cada cambio tenga autor, motivo e historia.",
            "Use `timonel promote` o `timonel rollback`; todos los procesos lo siguen en menos de "
            "un segundo.",
        ),
    }


class ModelNotNamed(InvalidInput):
    """A request that names no model, or two, where the project has several."""

    code = "model_not_named"
    texts = {
        "en": Text(
            "Cannot tell which model is asked: found {found}, expected one of {known}.",
            "Name it once: `POST /invocations/MODEL`, or `POST /invocations?model=MODEL`.",
        ),
        "es": Text(
            "No se sabe a qué modelo se consulta: hay {found}, se esperaba uno de {known}.",
            "Nómbrelo una vez: `POST /invocations/MODELO`, o `POST /invocations?model=MODELO`.",
        ),
    }


class UnknownProtocolRoute(NotFound):
    """A path under a protocol's root that the protocol, or this server, does not have."""

    code = "unknown_protocol_route"
    texts = {
        "en": Text(
            "Cannot answer {path}: found no such route, expected one of {routes}.",
            "docs/protocols.md shows each with an example.",
        ),
        "es": Text(
            "No se puede responder {path}: no hay tal ruta, se esperaba una de {routes}.",
            "docs/protocols.md muestra cada una con un ejemplo.",
        ),
    }
