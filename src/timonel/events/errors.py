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
            "Cannot import outcomes for {model}: found columns {found}, expected {expected}.",
            "Name the columns: `--key` or `--prediction-id`, `--value`, and `--time` if there is "
            "one.",
        ),
        "es": Text(
            "No se pueden importar resultados de {model}: hay columnas {found}, se esperaba "
            "{expected}.",
            "Nombre las columnas: `--key` o `--prediction-id`, `--value`, y `--time` si existe.",
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
