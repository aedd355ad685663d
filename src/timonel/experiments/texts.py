"""What a look says, as a sentence in both languages."""

from msgspec import UnsetType

from timonel.errors import Phrase, figure
from timonel.experiments.judging.look import (
    ArmReport,
    GoalReport,
    Look,
    MetricReport,
    Rule,
    ShadowReport,
    Unsaid,
    Verdict,
)

_RULES: dict[Rule, tuple[str, str]] = {
    Rule.NO_DATA: ("nothing has been drained yet", "aún no hay datos"),
    Rule.TOO_FEW: (
        "fewer than 50 labelled units in both arms together",
        "menos de 50 unidades con resultado entre ambas variantes",
    ),
    Rule.TOO_FEW_EVENTS: (
        "fewer than 5 events of one kind (right and wrong, yes and no)",
        "menos de 5 eventos de una clase (acierto y error, sí y no)",
    ),
    Rule.NOTHING_TO_COMPARE: (
        "there is no effect to tell: an arm has no outcome yet, or all outcomes are the same",
        "no hay efecto que decir: una variante aún no tiene resultados, o todos son iguales",
    ),
    Rule.NOT_YET: (
        "the interval still holds no difference",
        "el intervalo aún contiene la igualdad",
    ),
    Rule.IMMATURE: (
        "the labels so far would decide, but it is not known yet how long labels take",
        "los resultados de hoy decidirían, pero aún no se sabe cuánto tardan en llegar",
    ),
    Rule.OUTCOMES_MISSING: (
        "the outcomes so far would decide, but on no day have 95 % of each arm's units one",
        "los resultados de hoy decidirían, pero en ningún día los tiene el 95 % de cada variante",
    ),
    Rule.IMMATURE_PAIRS: (
        "it is not known yet how long labels take; pairs count once theirs have had their time",
        "aún no se sabe cuánto tardan los resultados; un par cuenta cuando los suyos ya llegaron",
    ),
    Rule.MATURE_DISAGREES: (
        "labels so far and mature exposures lie on different sides",
        "los resultados de hoy y las exposiciones maduras apuntan a lados distintos",
    ),
    Rule.GOAL_BETTER: ("the interval lies above no difference", "el intervalo excluye la igualdad"),
    Rule.GOAL_NOT_WORSE: (
        "it is shown not to be worse than the margin allows",
        "se mostró que no es peor que el margen",
    ),
    Rule.GOAL_HARM: ("the goal is shown to be worse", "se mostró que el objetivo empeora"),
    Rule.GUARDRAIL_HARM: (
        "{guardrail} is shown to be worse than tolerated",
        "se mostró que {guardrail} está peor que lo tolerado",
    ),
    Rule.PAIRS_BETTER: (
        "of the pairs (requests, or units by all of theirs) that one of the two won, it won more",
        "de los pares (peticiones, o unidades por todas las suyas) que ganó una de las dos, ganó "
        "más",
    ),
    Rule.PAIRS_WORSE: (
        "of the pairs (requests, or units by all of theirs) that one of the two won, it won fewer",
        "de los pares (peticiones, o unidades por todas las suyas) que ganó una de las dos, ganó "
        "menos",
    ),
    Rule.PAIRS_MISSING: (
        "the pairs would decide, but it did not answer more than 5 % of what it was asked, "
        "which may be what it would be wrong about",
        "los pares decidirían, pero no respondió a más del 5 % de lo que se le preguntó, "
        "y puede ser justo en lo que se equivocaría",
    ),
    Rule.SHARES_DIFFER: (
        "units did not come in the shares that were asked for (sample ratio mismatch)",
        "las unidades no llegaron en las partes pedidas (desajuste de proporciones)",
    ),
    Rule.UNIT_IN_TWO_ARMS: (
        "a unit was seen in two arms of one phase",
        "una unidad apareció en dos variantes de una fase",
    ),
    Rule.DELAYS_DIFFER: (
        "labels of one class arrive later in one arm; no estimate survives that",
        "los resultados de una clase llegan más tarde en una variante; nada corrige eso",
    ),
    Rule.TIME_IS_UP: (
        "the planned time is over without a decision",
        "el plazo terminó sin decisión",
    ),
    Rule.TOO_FEW_BLOCKS: (
        "fewer than 20 blocks of time; the block is the unit",
        "menos de 20 bloques de tiempo; la unidad es el bloque",
    ),
    Rule.BANDIT_FOLLOWS: (
        "shares follow each arm's chance of being the best; no arm is shown to be better by that",
        "las partes siguen la probabilidad de cada variante de ser la mejor; eso no prueba nada",
    ),
    Rule.BANDIT_HOLDS: (
        "shares stay: of no ended batch have 95 % of each arm's units an outcome",
        "las partes quedan: en ningún lote cerrado lo tiene el 95 % de cada variante",
    ),
    Rule.NO_COMPARISON: (
        "no unit whose window has ended clicked more of one ranking's items than of the other's",
        "ninguna unidad con ventana cerrada eligió más elementos de un orden que del otro",
    ),
    Rule.RANKING_BETTER: (
        "of the units that clicked more of one ranking's items, more chose its items",
        "de las unidades que eligieron más de un orden que del otro, más eligieron los suyos",
    ),
    Rule.LOSS_SMALLER: (
        "on the same requests its loss is shown to be smaller",
        "en las mismas peticiones se mostró que su pérdida es menor",
    ),
    Rule.LOSS_LARGER: (
        "on the same requests its loss is shown to be larger",
        "en las mismas peticiones se mostró que su pérdida es mayor",
    ),
    Rule.TOO_FEW_PERIODS: (
        "fewer than 20 periods whose truths are all known, or fewer than 20 units",
        "menos de 20 períodos con todos sus resultados, o menos de 20 unidades",
    ),
    Rule.RANKING_WORSE: (
        "of the units that clicked more of one ranking's items, fewer chose its items",
        "de las unidades que eligieron más de un orden que del otro, menos eligieron los suyos",
    ),
}
_VERDICTS: dict[Verdict, tuple[str, str]] = {
    Verdict.PROMOTE: ("promote {arm}", "promover {arm}"),
    Verdict.ROLL_BACK: ("take {arm} back", "retirar {arm}"),
    Verdict.CONTINUE: ("continue", "continuar"),
    Verdict.INCONCLUSIVE_STOP: ("stop: undecided", "detener: sin decisión"),
    Verdict.INVALID: ("invalid: decide nothing by it", "no válido: no decida con esto"),
}
_UNSAID: dict[Unsaid, tuple[str, str]] = {
    Unsaid.NOT_RECORDED: ("it was recorded of no unit", "no se registró de ninguna unidad"),
    Unsaid.ARM_EMPTY: (
        "it was recorded of no unit of one arm",
        "no se registró de ninguna unidad de una variante",
    ),
    Unsaid.NO_SPREAD: (
        "all of its values are the same, or there are too few",
        "todos sus valores son iguales, o hay muy pocos",
    ),
    Unsaid.NO_CAP: (
        "the control has too few values to fix its cap",
        "el control tiene muy pocos valores para fijar su tope",
    ),
    Unsaid.CAP_PENDING: (
        "its cap is chosen, and units are still being counted under it: look again",
        "su tope está elegido y aún se cuentan unidades bajo él: mire otra vez",
    ),
    Unsaid.NO_PAIR: (
        "of no pair the truths have had their time",
        "de ningún par llegaron ya todos los resultados",
    ),
    Unsaid.FEW_PERIODS: (
        "fewer than 20 periods whose truths are all known, or fewer than 20 units",
        "menos de 20 períodos con todos sus resultados, o menos de 20 unidades",
    ),
}


SILENT = Phrase(
    "too little is recorded of it since the shares were set to speak of harm",
    "desde que se fijaron las partes se ha registrado muy poco para hablar de daño",
)


def unsaid(reason: Unsaid) -> Phrase:
    """Say why a metric has no effect."""
    return Phrase(*_UNSAID[reason])


def rule_text(look: Look) -> Phrase:
    """Say the reason of a look's verdict."""
    return Phrase(*_RULES[look.rule], guardrail=_heaviest(look))


def sentence(look: Look) -> Phrase:
    """Say a look's verdict and its reason."""
    what = Phrase(*_VERDICTS[look.verdict], arm=_about(look))
    return Phrase("{what}: {why}", "{what}: {why}", what=what, why=rule_text(look))


def _about(look: Look) -> str:
    return look.arm or (look.goals[0].arm if look.goals else "-")


def _heaviest(look: Look) -> str:
    """Name the guardrail of an arm that has the largest share of the evidence of harm."""
    arm = _about(look)
    mine = {name: e for name, e in look.guardrails.items() if name.startswith(f"{arm}:")}
    return max(mine, key=lambda name: mine[name]).partition(":")[2] if mine else "-"


def youngest_of(arm: ArmReport, look: Look) -> Phrase | None:
    """Say how old an arm's youngest mature label is, by the end of its day of exposure.

    None where that was not asked for.
    """
    hours = arm.mature_label_age_h
    if isinstance(hours, UnsetType):
        return None
    if hours is not None:
        return Phrase("{hours} h", "{hours} h", hours=hours)
    if look.mature_after_h is None:
        return Phrase(
            "unknown: of no day is it known that nearly all labels have come",
            "se desconoce: de ningún día se sabe que ya llegaron casi todos los resultados",
        )
    return Phrase(
        "unknown: it has no label of a day whose labels have had their time",
        "se desconoce: no tiene resultados de un día cuyos resultados ya debían llegar",
    )


def effect_of(goal: GoalReport | MetricReport) -> Phrase:
    """Say an effect with its interval; "cannot say" where there is none."""
    if goal.effect is None:
        return Phrase("cannot say yet", "aún no se puede decir")
    e, low, high = (
        "-" if one is None else figure(one, "+.4f") for one in (goal.effect, goal.lower, goal.upper)
    )
    return Phrase("{e} [{low}, {high}]", "{e} [{low}, {high}]", e=e, low=low, high=high)


def paired_of(shadow: ShadowReport) -> Phrase:
    """Say how many requests have two answers, and what became of the others."""
    return Phrase(
        "{share} of {n} requests were paired: {answered} answered, {dropped} not asked (too many "
        "at a time), {late} late, {invalid} gave no valid answer, {failed} failed, {missing} "
        "unknown yet or lost",
        "{share} de {n} peticiones en pares: {answered} respondidas, {dropped} sin preguntar "
        "(demasiadas a la vez), {late} tarde, {invalid} sin respuesta válida, {failed} fallaron, "
        "{missing} aún sin saber o perdidas",
        share=figure(shadow.paired, ".1%"),
        n=shadow.asked + shadow.dropped,
        answered=shadow.answered,
        dropped=shadow.dropped,
        late=shadow.late,
        invalid=shadow.invalid,
        failed=shadow.failed,
        missing=shadow.missing,
    )


def expected_in(look: Look) -> Phrase:
    """Say how long a decision may take yet."""
    if look.expected_days is None:
        return Phrase("it cannot be said when", "no se puede decir cuándo")
    days = figure(look.expected_days, ".1f")
    if look.goal is None or look.goal.effect is None:
        return Phrase(
            "the planned end is in {days} days", "el fin planeado es en {days} días", days=days
        )
    if look.engine == "group_sequential":
        return Phrase(
            "in about {days} more days, if today's effect stays; by the planned end at the latest",
            "en unos {days} días más, si el efecto de hoy sigue; a más tardar, en el fin planeado",
            days=days,
        )
    return Phrase(
        "about {days} more days, if today's effect stays",
        "unos {days} días más, si el efecto de hoy se mantiene",
        days=days,
    )
