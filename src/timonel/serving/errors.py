"""What can keep the hot path from answering."""

from timonel.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    ProjectFault,
    Text,
    Unavailable,
)


class NotServable(Unavailable):
    """A model that has neither a version in production, nor rules, nor a baseline that answers."""

    code = "not_servable"
    texts = {
        "en": Text(
            "Cannot predict with model {model}: {why}, and it has no rules and no baseline to "
            "fall back on.",
            'Run `timonel train {model}`, or declare rules: `fallback="rules:function"`.',
        ),
        "es": Text(
            "No se puede predecir con el modelo {model}: {why_es}, y no tiene reglas ni valor "
            "base de respaldo.",
            'Ejecute `timonel train {model}`, o declare reglas: `fallback="rules:function"`.',
        ),
    }


class Overloaded(Unavailable):
    """More requests at once than this worker takes."""

    code = "overloaded"
    texts = {
        "en": Text(
            "Cannot take the request: {found} are being answered, expected at most {limit} at "
            "once.",
            "Repeat it after `Retry-After` seconds; add workers (`timonel serve --workers N`).",
        ),
        "es": Text(
            "No se puede recibir la petición: se están respondiendo {found}, se esperaban {limit} "
            "a la vez como máximo.",
            "Repítala tras los segundos de `Retry-After`; agregue procesos "
            "(`timonel serve --workers N`).",
        ),
    }


class NotReady(Unavailable):
    """The worker has not read yet what to serve, or is stopping."""

    code = "not_ready"
    texts = {
        "en": Text(
            "Cannot answer yet: {found}, expected the models of project {project}.",
            "Repeat it in a second; `GET /readyz` says when. `timonel doctor` tries each part.",
        ),
        "es": Text(
            "Aún no se puede responder: {found}, se esperaban los modelos del proyecto {project}.",
            "Repita en un segundo; `GET /readyz` dice cuándo. `timonel doctor` prueba cada parte.",
        ),
    }


class RouteNotHere(NotFound):
    """A route that this role does not answer."""

    code = "route_not_here"
    texts = {
        "en": Text(
            "Cannot answer {path}: this server has role predict and answers {answered}.",
            "Ask a server with `--role control` or `--role all`.",
        ),
        "es": Text(
            "No se puede responder {path}: este servidor tiene el rol predict y responde "
            "{answered}.",
            "Consulte un servidor con `--role control` o `--role all`.",
        ),
    }


class InvalidOutcome(InvalidInput):
    """One or more outcomes break the form; all faults are listed."""

    code = "invalid_outcome"
    texts = {
        "en": Text(
            "Cannot take the outcomes of model {model}: {count} field(s) do not fit. {summary}",
            'Send {{"prediction_id": "...", "value": ...}} or {{"key": "...", "value": ...}}, '
            "and where known `at`, in ISO 8601.",
        ),
        "es": Text(
            "No se pueden recibir los resultados del modelo {model}: {count} campo(s) no cumplen. "
            "{summary}",
            'Envíe {{"prediction_id": "...", "value": ...}} o {{"key": "...", "value": ...}}, '
            "y si se conoce `at`, en ISO 8601.",
        ),
    }


class InvalidRecord(InvalidInput):
    """One or more predictions made elsewhere break the form; all faults are listed."""

    code = "invalid_record"
    texts = {
        "en": Text(
            "Cannot record the predictions of model {model}: {count} field(s) do not fit. "
            "{summary}",
            'Send {{"prediction": ..., "inputs": {{...}}, "version": "..."}}, and where known '
            "`at`, in ISO 8601, and a `prediction_id` of your own.",
        ),
        "es": Text(
            "No se pueden registrar las predicciones del modelo {model}: {count} campo(s) no "
            "cumplen. {summary}",
            'Envíe {{"prediction": ..., "inputs": {{...}}, "version": "..."}} y, si se conocen, '
            "`at`, en ISO 8601, y un `prediction_id` propio.",
        ),
    }


class RulesFailed(ProjectFault):
    """The rules raised an error, or answered what is no answer of the model."""

    code = "rules_failed"
    texts = {
        "en": Text(
            "Cannot use the rules {function} of model {model}: found {found}, expected {expected}.",
            "Correct rules.py and run `timonel up` again; the baseline answers meanwhile.",
        ),
        "es": Text(
            "No se pueden usar las reglas {function} del modelo {model}: hay {found}, se esperaba "
            "{expected}.",
            "Corrija rules.py y ejecute `timonel up`; entretanto responde el valor base.",
        ),
    }


class NoLookup(NotFound):
    """A request for an entity of a model that finds no rows by itself."""

    code = "no_lookup"
    texts = {
        "en": Text(
            "Cannot find the row of an entity: model {model} declares no lookup.",
            'Declare it: `lookup=Sql("select ... where customer_id = :id", max_age="1d")`, or send '
            "the row to POST /v1/models/{model}/predict.",
        ),
        "es": Text(
            "No se puede hallar la fila de una entidad: el modelo {model} no declara lookup.",
            'Declárelo: `lookup=Sql("select ... where cliente_id = :id", max_age="1d")`, o envíe '
            "la fila a POST /v1/models/{model}/predict.",
        ),
    }


class LookupUnusable(ProjectFault):
    """A look-up whose database, or whose answer, cannot be used; the rules answer meanwhile."""

    code = "lookup_unusable"
    texts = {
        "en": Text(
            "Cannot look a row up: found {found}, expected {expected}.",
            "Correct the `lookup` of the model (its query or its url) and run `timonel up` again.",
        ),
        "es": Text(
            "No se puede buscar una fila: hay {found}, se esperaba {expected}.",
            "Corrija el `lookup` del modelo (su consulta o su url) y ejecute `timonel up`.",
        ),
    }


class ArmNotLoaded(Unavailable):
    """An experiment's arm whose version this worker could not load."""

    code = "arm_not_loaded"
    texts = {
        "en": Text(
            "Cannot run experiment {experiment} here: version {version} of its arm {arm} is not "
            "loaded.",
            "The fault of that version is listed by /readyz; the champion answers meanwhile, "
            "outside of the experiment.",
        ),
        "es": Text(
            "No se puede correr aquí el experimento {experiment}: la versión {version} de su "
            "variante {arm} no está cargada.",
            "La falla de esa versión está en /readyz; entretanto responde la versión en "
            "producción, fuera del experimento.",
        ),
    }


class AnsweredElsewhere(Conflict):
    """A recorded answer of a model outside of Timonel: there is nothing here to explain it by."""

    code = "answered_elsewhere"
    texts = {
        "en": Text(
            "Cannot explain prediction {prediction_id}: a model outside of Timonel gave it, and it "
            "was only recorded here.",
            "Explain it where it was made, or bring the model: `timonel register {model} "
            "--artifact FILE`.",
        ),
        "es": Text(
            "No se puede explicar la predicción {prediction_id}: la dio un modelo fuera de Timonel "
            "y aquí solo se registró.",
            "Explíquela donde se hizo, o traiga el modelo: `timonel register {model} "
            "--artifact ARCHIVO`.",
        ),
    }


class NotTheLoggedAnswer(Conflict):
    """A version that, asked again, does not say what was logged."""

    code = "not_the_logged_answer"
    texts = {
        "en": Text(
            "Cannot explain prediction {prediction_id} of model {model}: asked again the answer is "
            "{found}, logged was {expected}.",
            "It was answered by rules or a declaration that changed since, or elsewhere with other "
            "arithmetic; its row can be explained as of now: `POST /v1/models/{model}/explain`.",
        ),
        "es": Text(
            "No se puede explicar la predicción {prediction_id} del modelo {model}: al preguntar "
            "de nuevo se responde {found}, se registró {expected}.",
            "La respondieron reglas o una declaración que cambiaron, u otra aritmética; su fila se "
            "puede explicar como hoy: `POST /v1/models/{model}/explain`.",
        ),
    }
