"""What experiments refuse, and the way out."""

from typing import Any

from timonel.errors import Conflict, InvalidInput, NotFound, Phrase, Text, closest


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


class NotRandomised(InvalidInput):
    """Arms that follow the clock, and not chance: whatever differs between times is theirs."""

    code = "not_randomised"
    texts = {
        "en": Text(
            "Cannot create experiment {experiment}: {found} is not randomised: {why}.",
            "Use `--strategy TIME_BASED`, which draws the arm of each block of time by chance "
            "(`--block-hours 1` or more), for at least {least} blocks; or let units be drawn "
            "(`--strategy RANDOM_50_50`).",
        ),
        "es": Text(
            "No se puede crear el experimento {experiment}: {found} no es al azar: {why}.",
            "Use `--strategy TIME_BASED`, que sortea la variante de cada bloque de tiempo "
            "(`--block-hours 1` o más), con al menos {least} bloques; o sortee las unidades "
            "(`--strategy RANDOM_50_50`).",
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


class PowerUnknown(InvalidInput):
    """A chart of the power, where a number is unknown that it follows from."""

    code = "power_unknown"
    texts = {
        "en": Text(
            "Cannot draw the power of an experiment on {model}: {why}.",
            "Give the number that is unknown; the plan without its chart says which.",
        ),
        "es": Text(
            "No se puede dibujar la potencia de un experimento de {model}: {why}.",
            "Indique el número desconocido; el plan sin gráfico dice cuál es.",
        ),
    }


class LatencyUnknown(Conflict):
    """The start of an experiment whose threshold of "slow" nothing is known of."""

    code = "experiment_latency_unknown"
    texts = {
        "en": Text(
            "Cannot start experiment {experiment}: its guardrail slow is held against the latency "
            "of the control's day before, in which {version} gave fewer than {least} answers.",
            "Start it when the control has answered for a while; or drop it (`timonel experiment "
            "stop {experiment}`) and create another with `--guardrail slow:MILLISECONDS`.",
        ),
        "es": Text(
            "No se puede iniciar el experimento {experiment}: su límite slow se mide contra la "
            "latencia del control en el día anterior, del que {version} tiene menos de {least} "
            "respuestas.",
            "Inícielo cuando el control haya respondido un tiempo; o descártelo (`timonel "
            "experiment stop {experiment}`) y cree otro con `--guardrail slow:MILISEGUNDOS`.",
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


# with the article that a language puts before "experiment"
_DOING: dict[str, Phrase] = {
    "create": Phrase("create", "crear el"),
    "assign": Phrase("assign the list of", "asignar la lista del"),
    "start": Phrase("start", "iniciar el"),
    "pause": Phrase("pause", "pausar el"),
    "resume": Phrase("resume", "reanudar el"),
    "stop": Phrase("stop", "detener el"),
    "set": Phrase("set the shares of", "cambiar las partes del"),
}


class IllegalMove(Conflict):
    """A change that the experiment's state does not allow."""

    code = "experiment_state"
    texts = {
        "en": Text(
            "Cannot {doing} experiment {experiment}: its state is {state}, expected {expected}.",
            "{way_out}",
        ),
        "es": Text(
            "No se puede {doing} experimento {experiment}: su estado es {state}, se esperaba "
            "{expected}.",
            "{way_out}",
        ),
    }

    def __init__(self, *, action: str, **facts: Any) -> None:
        super().__init__(**{"action": action, "doing": _DOING[action], **facts})


# by state
WAYS_OUT: dict[str, Phrase] = {
    "draft": Phrase(
        "Start it first: `timonel experiment start NAME`; `stop NAME` drops it.",
        "Inícielo primero: `timonel experiment start NOMBRE`; `stop NOMBRE` lo descarta.",
    ),
    "active": Phrase(
        "It is running; `timonel experiment pause NAME` or `stop NAME`.",
        "Está corriendo; `timonel experiment pause NOMBRE` o `stop NOMBRE`.",
    ),
    "paused": Phrase(
        "Resume it first: `timonel experiment resume NAME`.",
        "Reanúdelo primero: `timonel experiment resume NOMBRE`.",
    ),
    "completed": Phrase(
        "It has ended for good; create a new one under another name.",
        "Terminó definitivamente; cree uno nuevo con otro nombre.",
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
            "Cannot {doing} experiment {experiment}: it was changed by someone else meanwhile.",
            "Look at it again (`timonel experiment show {experiment}`) and repeat if still wanted.",
        ),
        "es": Text(
            "No se puede {doing} experimento {experiment}: otra persona lo cambió entretanto.",
            "Mírelo de nuevo (`timonel experiment show {experiment}`) y repita si aún corresponde.",
        ),
    }

    def __init__(self, *, action: str, **facts: Any) -> None:
        super().__init__(**{"action": action, "doing": _DOING[action], **facts})


class NotOutside(Conflict):
    """A unit given to an experiment whose units come with predictions."""

    code = "experiment_not_outside"
    texts = {
        "en": Text(
            "Cannot take units of experiment {experiment} by this route: its mode is {mode}, "
            "expected outside.",
            "Its units come with predictions (`unit_id`) or interleaved lists. To record what came "
            "of them, create one that guards it (`--guardrail churned:bad`), or `--mode outside`.",
        ),
        "es": Text(
            "No se pueden recibir unidades del experimento {experiment} por esta ruta: su modo es "
            "{mode}, se esperaba outside.",
            "Sus unidades llegan con las predicciones (`unit_id`) o con listas intercaladas. Para "
            "registrar lo que pasó con ellas, cree uno que lo vigile (`--guardrail churned:bad`), "
            "o con `--mode outside`.",
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


class UnusableUnits(InvalidInput):
    """A file of units in which a row names none, or one that stood before."""

    code = "unusable_units"
    texts = {
        "en": Text(
            "Cannot take the units of {path}: {n} of its rows cannot be used. {found}.",
            "Correct these lines and create the experiment again: each unit once, with an id of 1 "
            "to 256 characters and every named column filled. Nothing was assigned.",
        ),
        "es": Text(
            "No se pueden tomar las unidades de {path}: {n} de sus filas no sirven. {found}.",
            "Corrija esas líneas y cree el experimento de nuevo: cada unidad una vez, con un "
            "identificador de 1 a 256 caracteres y con valor en cada columna nombrada. No se "
            "asignó nada.",
        ),
    }


class ListIsFixed(Conflict):
    """A change that would give a listed unit another arm, or let others in."""

    code = "experiment_list_fixed"
    texts = {
        "en": Text(
            "Cannot change the shares of experiment {experiment}: its units were assigned as one "
            "list of {n}.",
            "Stop it and create a new one from a file; the letters that were sent cannot be "
            "unsent.",
        ),
        "es": Text(
            "No se pueden cambiar las partes del experimento {experiment}: sus unidades se "
            "asignaron como una lista de {n}.",
            "Deténgalo y cree uno nuevo desde un archivo; las cartas enviadas ya no vuelven.",
        ),
    }


class NoList(NotFound):
    """The list of an experiment whose units come one by one."""

    code = "experiment_has_no_list"
    texts = {
        "en": Text(
            "Cannot write the units of experiment {experiment}: it has no list, its units are "
            "assigned when they are first seen.",
            "Create an experiment with `--mode outside --units FILE` to assign a list at once.",
        ),
        "es": Text(
            "No se pueden escribir las unidades del experimento {experiment}: no tiene lista, sus "
            "unidades se asignan al verlas por primera vez.",
            "Cree un experimento con `--mode outside --units ARCHIVO` para asignar una lista de "
            "una vez.",
        ),
    }


class ListIsThere(Conflict):
    """A second list of units for one experiment."""

    code = "experiment_has_list"
    texts = {
        "en": Text(
            "Cannot assign a list of units to experiment {experiment}: it has one of {n} units, "
            "drawn by seed {seed}.",
            "Create another experiment for other units; a list that may be drawn until it pleases "
            "is no random one.",
        ),
        "es": Text(
            "No se puede asignar una lista de unidades al experimento {experiment}: ya tiene una "
            "de {n} unidades, sorteada con la semilla {seed}.",
            "Cree otro experimento para otras unidades; una lista que se sortea hasta que guste "
            "no es aleatoria.",
        ),
    }


class ListMissing(Conflict):
    """The start of an experiment whose units are not assigned yet."""

    code = "experiment_awaits_units"
    texts = {
        "en": Text(
            "Cannot start experiment {experiment}: found no list of units, and its template or "
            "horizon is about one that is assigned before the start.",
            "Send the list (POST /v1/experiments/{experiment}/units), then start it.",
        ),
        "es": Text(
            "No se puede iniciar el experimento {experiment}: no tiene una lista de unidades, y su "
            "plantilla u horizonte es de una asignada antes del inicio.",
            "Envíe la lista (POST /v1/experiments/{experiment}/units) y luego inícielo.",
        ),
    }


class NotDraft(Conflict):
    """A list of units for an experiment that has begun."""

    code = "experiment_not_draft"
    texts = {
        "en": Text(
            "Cannot assign a list of units to experiment {experiment}: its state is {state}, "
            "expected draft.",
            "Create a new experiment and assign its list before it starts.",
        ),
        "es": Text(
            "No se puede asignar una lista de unidades al experimento {experiment}: su estado es "
            "{state}, se esperaba draft (borrador).",
            "Cree un experimento nuevo y asigne su lista antes de iniciarlo.",
        ),
    }


class SharesFollow(Conflict):
    """Shares that a person would set in the place of a bandit."""

    code = "experiment_shares_follow"
    texts = {
        "en": Text(
            "Cannot set the shares of experiment {experiment}: its strategy is THOMPSON, which "
            "sets them batch by batch.",
            "Pause or stop it (`timonel experiment stop {experiment}`), or compare by a split.",
        ),
        "es": Text(
            "No se pueden fijar las partes del experimento {experiment}: su estrategia es "
            "THOMPSON, que las fija lote a lote.",
            "Páuselo o deténgalo (`timonel experiment stop {experiment}`), o compare con un split.",
        ),
    }
