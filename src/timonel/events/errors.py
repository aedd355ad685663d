"""What can go wrong between an answer and its row."""

from timonel.errors import Corrupt, InvalidInput, NotFound, Text, TooLarge, Unavailable


class SpoolFull(Unavailable):
    """The spool took nothing of this frame: its bound is reached, or the disk refuses."""

    code = "spool_full"
    texts = {
        "en": Text(
            "Cannot log an event in the spool {folder}: {found}, expected {expected}.",
            "See that the drainer reaches the database (`timonel doctor`) and that the disk has "
            "room; or raise TIMONEL_SPOOL_MAX_MB.",
        ),
        "es": Text(
            "No se puede registrar un evento en la cola {folder}: {found}, se esperaba {expected}.",
            "Revise que el vaciado llegue a la base de datos (`timonel doctor`) y que haya espacio "
            "en disco; o aumente TIMONEL_SPOOL_MAX_MB.",
        ),
    }


class FrameTooLarge(TooLarge):
    """One event has more bytes than a frame can hold."""

    code = "frame_too_large"
    texts = {
        "en": Text(
            "Cannot log an event of {found} bytes: a frame holds at most {expected}.",
            "Send smaller rows.",
        ),
        "es": Text(
            "No se puede registrar un evento de {found} bytes: cabe un máximo de {expected}.",
            "Envíe filas más pequeñas.",
        ),
    }


class NotASegment(Corrupt):
    """A file named as a spool segment does not begin as one."""

    code = "not_a_segment"
    texts = {
        "en": Text(
            "Cannot read the spool segment {path}: found {found}, expected {expected}.",
            "Its bytes are kept under `rejected` beside it; nothing else is held up.",
        ),
        "es": Text(
            "No se puede leer el segmento {path}: hay {found}, se esperaba {expected}.",
            "Sus bytes quedan en `rejected`, en la misma carpeta; nada más se detiene.",
        ),
    }


class UnusableMapping(InvalidInput):
    """The columns named for an outcome file are not in it, or say nothing."""

    code = "unusable_mapping"
    texts = {
        "en": Text(
            "Cannot import outcomes for {model}: found {found}, expected {expected}.",
            "Name the columns: `--key` or `--prediction-id`, `--value`, and `--time` if there is "
            "one; `--as-of 2026-12-31` gives all rows one.",
        ),
        "es": Text(
            "No se pueden importar resultados de {model}: hay {found}, se esperaba {expected}.",
            "Nombre las columnas: `--key` o `--prediction-id`, `--value`, y `--time` si existe; "
            "`--as-of 2026-12-31` da una a todas las filas.",
        ),
    }


class UndatedTruths(InvalidInput):
    """Rows without a time stand as they did before, and their keys were predicted again since."""

    code = "undated_truths"
    texts = {
        "en": Text(
            "Cannot tell whose truth {found} of {of} rows are (key {key}, for one): they were "
            "imported before and stand unchanged, but their keys were predicted again since. "
            "Nothing was imported.",
            "If the file holds a new truth, say when it held: `--as-of 2026-12-31`, or `--time "
            "COLUMN`. If it is the old one, there is nothing to import: leave these rows out.",
        ),
        "es": Text(
            "No se sabe de qué predicción son {found} de {of} filas (llave {key}, por ejemplo): ya "
            "se importaron y están iguales, pero sus llaves se predijeron de nuevo desde entonces. "
            "No se importó nada.",
            "Si el archivo trae un resultado nuevo, diga de cuándo es: `--as-of 2026-12-31`, o "
            "`--time COLUMNA`. Si es el anterior, no hay nada que importar: quite esas filas.",
        ),
    }


class NoOutcomeSource(InvalidInput):
    """A model does not declare where its truths land."""

    code = "no_outcome_source"
    texts = {
        "en": Text(
            "Cannot fetch outcomes of {model}: it does not say where they land.",
            'Declare it: `Outcome(key="...", source=Sql("select ...", url="env:NAME"), time="...")`'
            ", or import a file with `timonel outcome import`.",
        ),
        "es": Text(
            "No se pueden traer resultados de {model}: no dice dónde quedan.",
            'Declárelo: `Outcome(key="...", source=Sql("select ...", url="env:NOMBRE"), '
            'time="...")`, o importe un archivo con `timonel outcome import`.',
        ),
    }


class PullStopped(Unavailable):
    """Fetching outcomes took too long."""

    code = "pull_stopped"
    texts = {
        "en": Text(
            "Fetching the outcomes of {model} was stopped: its source had not been read and "
            "entered after {limit_s:g} s.",
            "Let the query give less (`where fecha > current_date - 60`), or raise the setting "
            "`training_timeout_s`.",
        ),
        "es": Text(
            "Se detuvo la lectura de resultados de {model}: a los {limit_s:g} s su fuente no se "
            "había leído y guardado.",
            "Haga que la consulta entregue menos (`where fecha > current_date - 60`), o aumente "
            "el ajuste `training_timeout_s`.",
        ),
    }


class UnknownOutcome(NotFound):
    """No stored outcome has this id."""

    code = "unknown_outcome"
    texts = {
        "en": Text(
            "Cannot find the outcome {outcome_id}: it is not in the database.",
            "Use an id of `outcome_ids`; one that was just accepted is stored within seconds, so "
            "repeat the request then.",
        ),
        "es": Text(
            "No se encuentra el resultado {outcome_id}: no está en la base de datos.",
            "Use un id de `outcome_ids`; uno recién aceptado se guarda en segundos: repita la "
            "petición entonces.",
        ),
    }


class UnknownMetric(NotFound):
    """Nothing was ever recorded under this name."""

    code = "unknown_metric"
    texts = {
        "en": Text(
            "Cannot find the metric {metric}: the project has recorded {known}.",
            "Use one of those names; what `timonel.metrics.record` takes is stored within seconds "
            "where a server or `timonel up` runs.",
        ),
        "es": Text(
            "No se encuentra la métrica {metric}: el proyecto ha anotado {known}.",
            "Use uno de esos nombres; lo que `timonel.metrics.record` toma se guarda en segundos "
            "donde corre un servidor o `timonel up`.",
        ),
    }
