"""What experiments refuse, and the way out."""

from typing import Any

from timonel.errors import Conflict, InvalidInput, NotFound, Text, closest


class UnknownExperiment(NotFound):
    """A name that no experiment of the project has."""

    code = "unknown_experiment"
    texts = {
        "en": Text(
            "Cannot find experiment {experiment}: the experiments here are {known_text}.",
            "Use one of these names; `timonel experiment list` shows them with their states.",
        ),
        "es": Text(
            "No se encuentra el experimento {experiment}: los que hay son {known_text}.",
            "Use uno de esos nombres; `timonel experiment list` los muestra con su estado.",
        ),
    }

    def __init__(self, *, experiment: str, known: list[str], **_: Any) -> None:
        super().__init__(
            experiment=experiment[:64], known=known, known_text=closest(experiment[:64], known)
        )


class InvalidDesign(InvalidInput):
    """A design that cannot be run, or a setting that would not be honoured."""

    code = "invalid_experiment"
    texts = {
        "en": Text(
            "Cannot create experiment {experiment}: {field} is {found}, expected {expected}.",
            "Correct {field} and create it again; `timonel experiment create --help` explains it.",
        ),
        "es": Text(
            "No se puede crear el experimento {experiment}: {field} es {found}, se esperaba "
            "{expected}.",
            "Corrija {field} y créelo de nuevo; `timonel experiment create --help` lo explica.",
        ),
    }


class InvalidPlan(InvalidInput):
    """A number for a plan that no experiment can have."""

    code = "invalid_plan"
    texts = {
        "en": Text(
            "Cannot plan an experiment on {model}: {field} is {found}, expected {expected}.",
            "Correct {field}; `timonel experiment plan --help` explains it.",
        ),
        "es": Text(
            "No se puede planear un experimento de {model}: {field} es {found}, se esperaba "
            "{expected}.",
            "Corrija {field}; `timonel experiment plan --help` lo explica.",
        ),
    }


class ExperimentExists(Conflict):
    """A second experiment of one name."""

    code = "experiment_exists"
    texts = {
        "en": Text(
            "Cannot create experiment {experiment}: one of that name is {state}.",
            "Choose another name; an experiment's name stands in the log for good.",
        ),
        "es": Text(
            "No se puede crear el experimento {experiment}: hay uno con ese nombre, en estado "
            "{state}.",
            "Elija otro nombre; el nombre de un experimento queda en el registro para siempre.",
        ),
    }


class IllegalMove(Conflict):
    """A change that the experiment's state does not allow."""

    code = "experiment_state"
    texts = {
        "en": Text(
            "Cannot {action} experiment {experiment}: its state is {state}, expected {expected}.",
            "{way_out}",
        ),
        "es": Text(
            "No se puede ({action}) el experimento {experiment}: su estado es {state}, se esperaba "
            "{expected}.",
            "{way_out}",
        ),
    }


class UnitsOverlap(Conflict):
    """Two experiments that would take the same units."""

    code = "experiments_overlap"
    texts = {
        "en": Text(
            "Cannot start experiment {experiment}: {other} is running on model {model} and may "
            "take the same units.",
            "Stop {other}, or give both a part of one namespace: "
            "`--namespace NAME:0-0.5` and `--namespace NAME:0.5-1`.",
        ),
        "es": Text(
            "No se puede iniciar el experimento {experiment}: {other} está corriendo en el modelo "
            "{model} y podría tomar las mismas unidades.",
            "Detenga {other}, o dé a ambos una parte de un mismo espacio: "
            "`--namespace NOMBRE:0-0.5` y `--namespace NOMBRE:0.5-1`.",
        ),
    }


class SharesShrink(Conflict):
    """Shares that would take units back from a treatment within a ramp."""

    code = "shares_shrink"
    texts = {
        "en": Text(
            "Cannot set the shares of experiment {experiment} to {found}: a treatment's share "
            "only grows while it runs, and now it is {expected}.",
            "To take a treatment back, stop the experiment: "
            "`timonel experiment stop {experiment}`.",
        ),
        "es": Text(
            "No se pueden fijar las partes del experimento {experiment} en {found}: la parte de "
            "una variante solo crece mientras corre, y ahora es {expected}.",
            "Para retirar una variante, detenga el experimento: "
            "`timonel experiment stop {experiment}`.",
        ),
    }


class ExperimentBusy(Conflict):
    """Someone else changed the experiment meanwhile."""

    code = "experiment_busy"
    texts = {
        "en": Text(
            "Cannot {action} experiment {experiment}: it was changed by someone else meanwhile.",
            "Look at it again (`timonel experiment show {experiment}`) and repeat if still wanted.",
        ),
        "es": Text(
            "No se puede ({action}) el experimento {experiment}: otra persona lo cambió "
            "entretanto.",
            "Mírelo de nuevo (`timonel experiment show {experiment}`) y repita si aún corresponde.",
        ),
    }


class NotOutside(Conflict):
    """A unit given to an experiment whose units come with predictions."""

    code = "experiment_not_outside"
    texts = {
        "en": Text(
            "Cannot take units of experiment {experiment} by this route: its mode is {mode}, and "
            "its units come with predictions.",
            "Ask for predictions with `unit_id`, or create an experiment with `--mode outside`.",
        ),
        "es": Text(
            "No se pueden recibir unidades del experimento {experiment} por esta ruta: su modo es "
            "{mode}, y sus unidades llegan con las predicciones.",
            "Pida predicciones con `unit_id`, o cree un experimento con `--mode outside`.",
        ),
    }


class NotAssigning(Conflict):
    """A unit of an experiment that has not begun, is paused or has ended."""

    code = "experiment_not_assigning"
    texts = {
        "en": Text(
            "Cannot take units of experiment {experiment}: its state is {state}.",
            "Act as you would without the experiment; `timonel experiment start {experiment}` or "
            "`resume` lets it assign.",
        ),
        "es": Text(
            "No se pueden recibir unidades del experimento {experiment}: su estado es {state}.",
            "Actúe como lo haría sin el experimento; `timonel experiment start {experiment}` o "
            "`resume` hacen que asigne.",
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


class UndeclaredMetric(InvalidInput):
    """A value of a metric that the design does not name."""

    code = "undeclared_metric"
    texts = {
        "en": Text(
            "Cannot record {metric}: experiment {experiment} was declared with {declared}.",
            "Use one of these names. A metric chosen after the fact proves nothing: declare it in "
            "a new experiment (`--metric`, `--also`).",
        ),
        "es": Text(
            "No se puede registrar {metric}: el experimento {experiment} se declaró con "
            "{declared}.",
            "Use uno de esos nombres. Una métrica elegida después no prueba nada: declárela en un "
            "experimento nuevo (`--metric`, `--also`).",
        ),
    }
