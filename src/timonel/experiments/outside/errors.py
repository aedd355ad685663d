"""What is refused of outcomes that are recorded of units, and the way out."""

from timonel.errors import Conflict, InvalidInput, Text


class HorizonNotOver(Conflict):
    """Outcomes that cannot be known yet: who has not left may still do so."""

    code = "horizon_not_over"
    texts = {
        "en": Text(
            "Cannot record outcomes of experiment {experiment}: they are those of day {days}, "
            "which is {until}.",
            "Record them from then on; nothing of this was counted.",
        ),
        "es": Text(
            "No se pueden registrar resultados del experimento {experiment}: son los del día "
            "{days}, que es el {until}.",
            "Regístrelos desde entonces; nada de esto se contó.",
        ),
    }


class UnitNotAssigned(InvalidInput):
    """A unit that is in no arm; it is never counted for the control."""

    code = "unit_not_assigned"
    texts = {
        "en": Text(
            "Cannot count unit {unit}: it is in no arm of experiment {experiment}.",
            "Ask for its arm first (POST /v1/experiments/{experiment}/assign); a unit that does "
            "not meet the experiment's conditions or list takes no part in it.",
        ),
        "es": Text(
            "No se puede contar la unidad {unit}: no está en ninguna variante del experimento "
            "{experiment}.",
            "Pida primero su variante (POST /v1/experiments/{experiment}/assign); una unidad que "
            "no cumple las condiciones o no está en la lista no participa.",
        ),
    }


class NotAnswered(InvalidInput):
    """A value of a unit that no answer of ours exposed to an arm."""

    code = "unit_not_answered"
    texts = {
        "en": Text(
            "Cannot record outcomes of unit {unit}: no answer of experiment {experiment} was given "
            "to it.",
            "Record what came of units that predictions named (`unit_id`, or the model's key) "
            "since the experiment began; an answer counts some seconds after it was given.",
        ),
        "es": Text(
            "No se pueden registrar resultados de la unidad {unit}: no recibió ninguna respuesta "
            "del experimento {experiment}.",
            "Registre lo que pasó con unidades que las predicciones nombraron (`unit_id`, o la "
            "clave del modelo) desde que comenzó; una respuesta cuenta unos segundos después.",
        ),
    }


class NotYesOrNo(InvalidInput):
    """A number for what either happened or did not."""

    code = "not_yes_or_no"
    texts = {
        "en": Text(
            "Cannot record {metric} of unit {unit}: found {found}, expected 1 where it happened "
            "and 0 where it did not.",
            "Send 1 or 0; a number that may be any is guarded as {metric}:lower or "
            "{metric}:higher. Nothing of this was counted.",
        ),
        "es": Text(
            "No se puede registrar {metric} de la unidad {unit}: es {found}, se esperaba 1 si "
            "ocurrió y 0 si no.",
            "Envíe 1 o 0; un número cualquiera se vigila como {metric}:lower o {metric}:higher. "
            "Nada de esto se contó.",
        ),
    }


class UndeclaredMetric(InvalidInput):
    """A value of a metric that the design does not name."""

    code = "undeclared_metric"
    texts = {
        "en": Text(
            "Cannot record {metric}: experiment {experiment} was declared with {declared}.",
            "Use one of these names. A metric chosen after the fact proves nothing: declare it in "
            "a new experiment (`--metric`, `--also`, `--guardrail`).",
        ),
        "es": Text(
            "No se puede registrar {metric}: el experimento {experiment} se declaró con "
            "{declared}.",
            "Use uno de esos nombres. Una métrica elegida después no prueba nada: declárela en un "
            "experimento nuevo (`--metric`, `--also`, `--guardrail`).",
        ),
    }


class UnusableOutcomeFile(InvalidInput):
    """A file of outcomes without a column that says whose or what."""

    code = "unusable_outcome_file"
    texts = {
        "en": Text(
            "Cannot record outcomes for experiment {experiment} from {path}: found columns "
            "{found}, expected {expected}.",
            "Name the column of the units with `--key-column`; a column of values has the name of "
            "a metric of the experiment (`timonel experiment show {experiment}`).",
        ),
        "es": Text(
            "No se pueden registrar resultados del experimento {experiment} desde {path}: hay "
            "columnas {found}, se esperaba {expected}.",
            "Nombre la columna de las unidades con `--key-column`; una columna de valores lleva el "
            "nombre de una métrica del experimento (`timonel experiment show {experiment}`).",
        ),
    }
