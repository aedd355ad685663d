"""What can go wrong between an artifact and an answer."""

from timonel.errors import Conflict, Corrupt, ProjectFault, Text, TimonelError, Unavailable


class InvalidOutput(TimonelError):
    """A model gave something that is no answer: NaN, infinite, or no distribution over classes."""

    code = "invalid_output"
    texts = {
        "en": Text(
            "Cannot use the output of model {model}: found {found}, expected {expected}.",
            "The fallback answers meanwhile; train again and compare, or roll back "
            "(`timonel rollback {model}`).",
        ),
        "es": Text(
            "No se puede usar la salida del modelo {model}: hay {found}, se esperaba {expected}.",
            "Mientras tanto responde el respaldo; entrene de nuevo y compare, o vuelva a la "
            "versión anterior (`timonel rollback {model}`).",
        ),
    }


class RowRefused(InvalidOutput):
    """A row that the model cannot answer by its nature; the next one it may: no broken model."""

    code = "row_refused_by_model"
    texts = {
        "en": Text(
            "Model {model} cannot answer this row: found {found}, expected {expected}.",
            "The fallback answers such rows. Declare the feature `required=True` (or its words, "
            'with unseen="reject") to refuse them at the door, or fit the model with an imputer.',
        ),
        "es": Text(
            "El modelo {model} no puede responder esta fila: hay {found}, se esperaba {expected}.",
            "El respaldo responde esas filas. Declare la variable con `required=True` (o sus "
            'palabras, con unseen="reject") para rechazarlas en la entrada, o ajuste el modelo '
            "con un imputador.",
        ),
    }


class InvalidService(ProjectFault):
    """An address or a form by which no model service can be asked."""

    code = "invalid_service"
    texts = {
        "en": Text(
            "Cannot use the model service: found {found}, expected {expected}.",
            "Register it as `timonel register MODEL --artifact http://HOST:PORT/PATH "
            "--form timonel|mlflow|inference`.",
        ),
        "es": Text(
            "No se puede usar el servicio de modelo: hay {found}, se esperaba {expected}.",
            "Regístrelo con `timonel register MODELO --artifact http://HOST:PUERTO/RUTA "
            "--form timonel|mlflow|inference`.",
        ),
    }


class ServiceFailed(Unavailable):
    """A model service that did not answer a request as it should."""

    code = "service_failed"
    texts = {
        "en": Text(
            "Cannot get an answer of {url}: found {found}, expected status 200.",
            "The fallback answers meanwhile; look at the service, or register another address.",
        ),
        "es": Text(
            "No se obtiene respuesta de {url}: hay {found}, se esperaba el estado 200.",
            "Mientras tanto responde el respaldo; revise el servicio o registre otra dirección.",
        ),
    }


class ArtifactMismatch(Corrupt):
    """An artifact's bytes do not have the hash that the manifest names."""

    code = "artifact_mismatch"
    texts = {
        "en": Text(
            "Cannot load artifact {name} of model {model}: its sha256 is {found}, the manifest "
            "says {expected}.",
            "Restore the artifact folder from a backup, or train the version again.",
        ),
        "es": Text(
            "No se puede cargar el artefacto {name} del modelo {model}: su sha256 es {found} y el "
            "manifiesto dice {expected}.",
            "Restaure la carpeta de artefactos desde un respaldo, o entrene la versión de nuevo.",
        ),
    }


class UnreadablePlan(Corrupt):
    """A plan or artifact of a form that this release does not read."""

    code = "unreadable_plan"
    texts = {
        "en": Text(
            "Cannot read the {object} of model {model}: found {found}, expected {expected}.",
            "Use the Timonel release that wrote it, or train the version again with this one.",
        ),
        "es": Text(
            "No se puede leer {object} del modelo {model}: hay {found}, se esperaba {expected}.",
            "Use la versión de Timonel que lo escribió, o entrene de nuevo con esta.",
        ),
    }


class SelfTestFailed(Corrupt):
    """A loaded model does not give the outputs that were stored with it."""

    code = "self_test_failed"
    texts = {
        "en": Text(
            "Cannot serve {model}@{version}: self-test row {row} gave {found}, expected "
            "{expected}.",
            "Check that onnxruntime and numpy are the versions of the lock file, or train again; "
            "the version in service stays.",
        ),
        "es": Text(
            "No se puede servir {model}@{version}: la fila de prueba {row} dio {found}, se "
            "esperaba {expected}.",
            "Revise que onnxruntime y numpy sean las versiones del archivo de bloqueo, o entrene "
            "de nuevo; la versión en servicio se mantiene.",
        ),
    }


class NotInThisProcess(TimonelError):
    """A native model asked of a process that only serves compiled ones."""

    code = "native_not_in_process"
    texts = {
        "en": Text(
            "Cannot load model {model} here: it is not compiled and runs only in the native pool.",
            "Serve it from a full installation (`pip install timonel`, not `timonel-serve`) with "
            "TIMONEL_NATIVE_PROCESSES set to 1 or more, or train it with a recipe that compiles.",
        ),
        "es": Text(
            "No se puede cargar aquí el modelo {model}: no está compilado y solo corre en el grupo "
            "de procesos nativos.",
            "Sírvalo desde una instalación completa (`pip install timonel`, no `timonel-serve`) "
            "con TIMONEL_NATIVE_PROCESSES en 1 o más, o entrénelo con una receta que compile.",
        ),
    }


class UntrustedArtifact(ProjectFault):
    """A native artifact that holds types outside the reviewed list."""

    code = "untrusted_artifact"
    texts = {
        "en": Text(
            "Cannot load the artifact of model {model}: it holds types that are not on the "
            "reviewed list: {found}.",
            "Build the estimator from scikit-learn, XGBoost and LightGBM classes, or declare "
            "`allow_pickle=True` on the model if you trust whoever writes the artifacts.",
        ),
        "es": Text(
            "No se puede cargar el artefacto del modelo {model}: contiene tipos fuera de la lista "
            "revisada: {found}.",
            "Construya el estimador con clases de scikit-learn, XGBoost y LightGBM, o declare "
            "`allow_pickle=True` en el modelo si confía en quien escribe los artefactos.",
        ),
    }


class OtherLibrary(Corrupt):
    """A native artifact made with another minor version of its library."""

    code = "other_library_version"
    texts = {
        "en": Text(
            "Cannot load the artifact of model {model}: made with {library} {found}, here is "
            "{expected}.",
            "Install {library} {found}, or train the version again.",
        ),
        "es": Text(
            "No se puede cargar el artefacto del modelo {model}: se hizo con {library} {found} y "
            "aquí está {expected}.",
            "Instale {library} {found}, o entrene la versión de nuevo.",
        ),
    }


class NotAdditive(Corrupt):
    """Contributions that do not add up to the answer they are to explain."""

    code = "explanation_not_additive"
    texts = {
        "en": Text(
            "Cannot explain this answer of model {model}: base and contributions give {found}, "
            "the model gives {expected}.",
            "Train the version again; until then its answers stand, but not this explanation.",
        ),
        "es": Text(
            "No se puede explicar esta respuesta del modelo {model}: base y contribuciones dan "
            "{found}, el modelo da {expected}.",
            "Entrene la versión de nuevo; hasta entonces valen sus respuestas, no esta "
            "explicación.",
        ),
    }


class NoExplanation(Conflict):
    """A version with which nothing was stored to explain its answers."""

    code = "explanation_not_stored"
    texts = {
        "en": Text(
            "Cannot explain answers of {model}@{version}: nothing was stored with it to do so.",
            "Run `timonel train {model}`: versions of this release can be explained, but not "
            "services that are asked over HTTP.",
        ),
        "es": Text(
            "No se pueden explicar las respuestas de {model}@{version}: no se guardó nada para "
            "ello.",
            "Ejecute `timonel train {model}`: las versiones de esta entrega se pueden explicar, "
            "pero no los servicios consultados por HTTP.",
        ),
    }
