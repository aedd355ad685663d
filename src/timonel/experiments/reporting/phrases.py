"""The words of a report, in English and Spanish."""

from timonel.errors import Phrase

_TEXTS: dict[str, tuple[str, str]] = {
    "title": ("Experiment {name}", "Experimento {name}"),
    "as_of": (
        "By look {number}, of {at} ({zone}). Nothing in here was judged anew.",
        "Según la mirada {number}, del {at} ({zone}). Aquí nada se juzgó de nuevo.",
    ),
    "unknown": ("unknown: {reason}", "se desconoce: {reason}"),
    "unknown_as_said": ("unknown", "se desconoce"),
    "none": ("none", "ninguno"),
    "verdict": ("Verdict", "Veredicto"),
    "rule": ("rule", "regla"),
    "engine": ("engine", "método"),
    "confidence_sequence": (
        "confidence sequence: valid at every look",
        "secuencia de confianza: válida en cada mirada",
    ),
    "group_sequential": (
        "group-sequential bounds until a fixed end",
        "límites secuenciales por grupos hasta un final fijo",
    ),
    "guarded_ramp": ("guarded ramp", "rampa vigilada"),
    "paired": ("pairs of answers to the same request", "pares de respuestas a la misma petición"),
    "period": ("period", "período"),
    "period_is": (
        "{days} days: pairs are clustered by it, and by unit",
        "{days} días: los pares se agrupan por él y por unidad",
    ),
    "paired_units": (
        "Of pairs by {unit} whose truths have had their time the treatment had the better sum in "
        "{treatment}, the control in {control}, and {tied} were tied.",
        "De los pares por {unit} cuyos resultados ya llegaron, el tratamiento tuvo mejor suma en "
        "{treatment}, el control en {control} y {tied} empataron.",
    ),
    "paired_periods": ("Periods whose truths are all known: {n}.", "Períodos completos: {n}."),
    "alpha": (
        "{alpha} for all looks together",
        "{alpha} para todas las miradas juntas",
    ),
    "expected": ("decision", "decisión"),
    "ended_as": ("ended as", "terminó como"),
    "design": ("Design", "Diseño"),
    "item": ("item", "dato"),
    "value": ("value", "valor"),
    "hypothesis": ("hypothesis", "hipótesis"),
    "no_hypothesis": ("none was given", "no se indicó"),
    "state": ("state", "estado"),
    "mode": ("mode", "modo"),
    "model": ("model", "modelo"),
    "arms": ("arms", "variantes"),
    "arm_asked": ("{arm} ({answers}), {share} asked", "{arm} ({answers}), {share} pedido"),
    "unit": ("unit", "unidad"),
    "goal": ("goal", "objetivo"),
    "more": ("{metric}, more is better", "{metric}, más es mejor"),
    "less": ("{metric}, less is better", "{metric}, menos es mejor"),
    "also": ("also recorded", "también se registra"),
    "also_compared": ("also compared", "también se compara"),
    "strategy": ("strategy", "estrategia"),
    "only": ("only", "solo"),
    "namespace": ("namespace", "espacio"),
    "holdout": ("holdout", "reserva"),
    "steps": ("steps", "pasos"),
    "block": ("block", "bloque"),
    "costs": ("costs of a piece", "costos de una pieza"),
    "costs_are": (
        "{holding} left over, {shortage} short; the stock of a period is what was forecast for it",
        "{holding} si sobra, {shortage} si falta; lo almacenado en un período es lo pronosticado",
    ),
    "margin": ("margin", "margen"),
    "planned": ("planned units", "unidades planeadas"),
    "days": ("planned days", "días planeados"),
    "guardrails": ("Guardrails", "Límites de daño"),
    "created": ("created", "creado"),
    "started": ("started", "iniciado"),
    "ended": ("ended", "terminado"),
    "by": ("{at}, by {who}", "{at}, por {who}"),
    "not_started": ("it was not started", "no se ha iniciado"),
    "not_ended": ("it has not ended", "no ha terminado"),
    "list": ("list of units", "lista de unidades"),
    "list_of": (
        "{n} of {source}, by column {key}, block {block}",
        "{n} de {source}, por columna {key}, bloque {block}",
    ),
    "seed": ("seed", "semilla"),
    "data_hash": ("SHA-256 of the list", "SHA-256 de la lista"),
    "counts": ("Counts", "Conteos"),
    "arm": ("arm", "variante"),
    "units": ("units", "unidades"),
    "share": ("share", "parte"),
    "labelled": ("with an outcome", "con resultado"),
    "mean": ("mean of {metric}", "media de {metric}"),
    "interval_95": ("95 % interval", "intervalo del 95 %"),
    "no_outcome": ("no outcome yet", "aún sin resultados"),
    "answers": ("Answers", "Respuestas"),
    "failed": ("model failed, late or invalid", "el modelo falló, tardó o no fue válido"),
    "fell_back": ("answered by rules", "respondidas por reglas"),
    "p95": ("95 % within, ms", "el 95 % en, ms"),
    "few_answers": ("fewer than 20 answers", "menos de 20 respuestas"),
    "as_recorded": (
        "These means are as recorded; effects are of values under the cap.",
        "Estas medias son las registradas; los efectos son de valores bajo el tope.",
    ),
    "srm": ("Sample ratio", "Proporción de las variantes"),
    "srm_ok": (
        "Units came in the shares that were asked for, as far as can be seen: e = {e} "
        "(alarm at 20, nothing is decided at 100), chi-square p = {p} (shown, not used).",
        "Las unidades llegaron en las partes pedidas, hasta donde se ve: e = {e} "
        "(alarma en 20, nada se decide en 100), p de chi-cuadrado = {p} (se muestra, no se usa).",
    ),
    "srm_alarm": (
        "Units did **not** come in the shares that were asked for: e = {e} (alarm at 20, nothing "
        "is decided at 100), chi-square p = {p} (shown, not used).",
        "Las unidades **no** llegaron en las partes pedidas: e = {e} (alarma en 20, nada se decide "
        "en 100), p de chi-cuadrado = {p} (se muestra, no se usa).",
    ),
    "few_units": ("fewer than 10 units", "menos de 10 unidades"),
    "leaks": (
        "Units seen in two arms: {n}.",
        "Unidades vistas en dos variantes: {n}.",
    ),
    "maturity": ("Maturity", "Madurez"),
    "mature": (
        "95 % of labels come within {hours} h; {n} labels are of younger exposures (immature).",
        "El 95 % de los resultados llega en {hours} h; {n} son de exposiciones más nuevas "
        "(inmaduras).",
    ),
    "youngest": (
        "Age of each arm's youngest mature label, from the end of its day of exposure: {ages}.",
        "Edad del resultado maduro más nuevo de cada variante, desde el fin del día de su "
        "exposición: {ages}.",
    ),
    "immature_units": (
        "{n} of {of} units are immature: they have no outcome yet, which is not 0.",
        "{n} de {of} unidades están inmaduras: aún no tienen resultado, que no es 0.",
    ),
    "delay": (
        "how long labels take is known once three days agree",
        "cuánto tardan los resultados se sabe cuando tres días coinciden",
    ),
    "effect": ("Effect", "Efecto"),
    "treatment": ("treatment", "tratamiento"),
    "effect_on": ("effect on {metric}", "efecto en {metric}"),
    "interval": ("interval at {level}", "intervalo al {level}"),
    "interval_own": ("interval", "intervalo"),
    "smallest_p": ("smallest p", "menor p"),
    "e": ("e", "e"),
    "lift": ("of the control's mean", "de la media del control"),
    "mature_effect": ("by mature units alone", "solo por unidades maduras"),
    "no_mature": (
        "not enough mature outcomes",
        "no hay suficientes resultados maduros",
    ),
    "metrics": ("All metrics", "Todas las métricas"),
    "metric": ("metric", "métrica"),
    "role": ("role", "papel"),
    "goal_role": ("goal", "objetivo"),
    "secondary_role": ("secondary", "secundaria"),
    "n_pairs": ("pairs", "pares"),
    "n_units": ("units with a value", "unidades con valor"),
    "control": ("control", "control"),
    "adjusted_p": ("adjusted p (Holm)", "p ajustado (Holm)"),
    "template": ("template", "plantilla"),
    "horizon": ("horizon", "horizonte"),
    "horizon_is": (
        "day {days}, for all units alike, whatever was done to them (intention to treat)",
        "día {days}, igual para todas, se les haya hecho lo que sea (intención de tratar)",
    ),
    "parts": ("By what was known before", "Según lo que se sabía antes"),
    "part": ("part", "parte"),
    "parts_note": (
        "Equal parts of the list by {column}. They say where an effect may be; the goal decides. "
        "The adjusted p is over all parts.",
        "Partes iguales de la lista según {column}. Dicen dónde puede haber efecto; decide el "
        "objetivo. El p ajustado es sobre todas las partes.",
    ),
    "metrics_note": (
        "Only the goal decides. Another metric differs where its adjusted p is at most {alpha}: "
        "among all metrics and arms that errs in at most {share} of experiments, at all looks "
        "together. Intervals are each metric's own.",
        "Solo el objetivo decide. Otra métrica difiere si su p ajustado es a lo más {alpha}: entre "
        "todas las métricas y variantes eso yerra en a lo más {share} de los experimentos, con "
        "todas las miradas. Los intervalos son de cada métrica.",
    ),
    "guardrail_role": ("guardrail", "límite"),
    "not_adjusted": ("weighed as a guardrail", "se pesa como límite"),
    "guarded": ("guardrail", "límite"),
    "guarded_event": ("{event}, {ratio} times is tolerated", "{event}, se tolera {ratio} veces"),
    "guarded_recorded": (
        "{event}, recorded as 1 and 0; {ratio} times is tolerated",
        "{event}, registrado como 1 y 0; se tolera {ratio} veces",
    ),
    "guarded_more": (
        "{metric} may not fall by more than {margin}",
        "{metric} no puede bajar más de {margin}",
    ),
    "guarded_less": (
        "{metric} may not rise by more than {margin}",
        "{metric} no puede subir más de {margin}",
    ),
    "cap": ("cap of the goal", "tope del objetivo"),
    "cap_is": (
        "{cap}: {share} of the control's first {n} values; fixed then, higher values count as it",
        "{cap}: {share} de los primeros {n} valores del control; fijado entonces, los mayores "
        "cuentan como ese",
    ),
    "adjusted": (
        "Adjusted by {column}, known before of every unit (CUPED): theta {theta}, which takes out "
        "{share} of the variance. The relative effect is of the control's unadjusted mean.",
        "Ajustado por {column}, conocida antes de cada unidad (CUPED): theta {theta}, que quita "
        "{share} de la varianza. El efecto relativo es de la media del control sin ajustar.",
    ),
    "effect_note": (
        "The interval and p hold at every look, however often one looks.",
        "El intervalo y p valen en cada mirada, por muchas que sean.",
    ),
    "guardrail": ("guardrail", "límite"),
    "evidence_of_harm": ("evidence of harm (e)", "evidencia de daño (e)"),
    "harm_together": (
        "Together e = {e}; it is taken back at 100.",
        "Juntas e = {e}; se retira en 100.",
    ),
    "cost": ("Cost of the decision", "Costo de la decisión"),
    "cost_keep": (
        "Keeping the control loses {keep} of {metric} a unit on average, choosing {arm} loses "
        "{choose}: every size of the effect weighed by its chance after these data. This is no "
        "stopping rule.",
        "Quedarse con el control pierde {keep} de {metric} por unidad en promedio, elegir {arm} "
        "pierde {choose}: cada tamaño del efecto pesado por su probabilidad con estos datos. No es "
        "una regla para detener.",
    ),
    "cost_so_far": (
        "By the estimate, the {n} units of {arm} have done worse so far by {each} each: about "
        "{total} in all.",
        "Según la estimación, a las {n} unidades de {arm} les ha ido peor por {each} cada una: "
        "unos {total} en total.",
    ),
    "corrections": ("Corrections", "Correcciones"),
    "corrected": (
        "Outcomes corrected by a later one: {n}; the earlier ones were taken back.",
        "Resultados corregidos por uno posterior: {n}; los anteriores se retiraron.",
    ),
    "interleaving": (
        "two rankings in one list by team draft; which wins the units that chose",
        "dos órdenes en una lista por turnos; cuál gana las unidades que eligieron",
    ),
    "window": ("window", "ventana"),
    "window_is": (
        "{minutes} min after the hour of a unit's first list; later clicks are not counted",
        "{minutes} min tras la hora de la primera lista de una unidad; los clics posteriores no "
        "se cuentan",
    ),
    "comparisons": ("Comparisons", "Comparaciones"),
    "won_by_treatment": ("won by the treatment", "ganadas por el tratamiento"),
    "won_by_control": ("won by the control", "ganadas por el control"),
    "won_by_tied": ("tied: as many clicks for each", "empatadas: igual número de clics"),
    "without_click": ("without a click that counts", "sin clics que cuenten"),
    "over": ("all whose window has ended", "todas las de ventana cerrada"),
    "window_open": ("window still open: not counted yet", "ventana abierta: aún no se cuentan"),
    "comparisons_note": (
        "A unit is one comparison, however many lists it was shown, and wins for the ranking of "
        "which it clicked more. Ties and units without a click say nothing about which is better.",
        "Una unidad es una comparación, por muchas listas que haya visto, y gana el orden del que "
        "eligió más. Los empates y las unidades sin clics no dicen cuál es mejor.",
    ),
    "preference": ("Preference", "Preferencia"),
    "won_share": (
        "share of the won comparisons that the treatment won",
        "parte de las comparaciones ganadas que ganó el tratamiento",
    ),
    "preference_note": (
        "The interval holds with {level} at every look, however often one looks, and leaves 0.5 "
        "out exactly where e reaches {e}. It says which ranking wins more units, not what that is "
        "worth: for clicks or sales a unit, run a split.",
        "El intervalo vale con {level} en cada mirada, por muchas que sean, y excluye 0.5 justo "
        "cuando e llega a {e}. Dice qué orden gana más unidades, no cuánto vale eso: para clics o "
        "ventas por unidad, haga un experimento split.",
    ),
    "thompson": (
        "Thompson sampling in batches: shares follow each arm's chance of being the best",
        "muestreo de Thompson por lotes: las partes siguen la probabilidad de ser la mejor",
    ),
    "no_claim": (
        "A bandit makes no claim that an arm is better: there is no p, no e and no verdict to "
        "promote, since shares that follow outcomes break what such a claim stands on. To show "
        "it, run a split.",
        "Un bandit no afirma que una variante sea mejor: no hay p, ni e, ni veredicto de "
        "promover, pues las partes siguen a los resultados y eso rompe su base. Para mostrarlo, "
        "haga un experimento split.",
    ),
    "batches": ("Batches", "Lotes"),
    "batching": ("batches", "lotes"),
    "batches_of": (
        "of {hours} h or more; every arm keeps {floor}",
        "de {hours} h o más; cada variante conserva {floor}",
    ),
    "means": ("What each arm is worth", "Cuánto vale cada variante"),
    "chance_of_best": ("chance of being the best", "probabilidad de ser la mejor"),
    "next_share": ("share that follows", "parte que sigue"),
    "shares_stay": ("stays", "queda igual"),
    "means_note": (
        "By the {n} batches that are whole: means are weighted by all units of a batch, so an arm "
        "that had more of good times is not taken for better. The intervals are of one look, not "
        "of all of them together: whoever looks often will see some that leave the truth out.",
        "Según los {n} lotes completos: las medias se pesan por todas las unidades del lote, así "
        "una variante con más de los buenos tiempos no pasa por mejor. Los intervalos son de una "
        "mirada, no de todas juntas: quien mira a menudo verá algunos que dejan fuera la verdad.",
    ),
    "batches_counted": (
        "Whole batches, which count: {n}; batches that wait for outcomes: {waiting}. The next "
        "begins when the running one is old enough and has {least} units.",
        "Lotes completos, que cuentan: {n}; lotes que esperan resultados: {waiting}. El siguiente "
        "comienza cuando el actual es bastante antiguo y tiene {least} unidades.",
    ),
    "batch": ("batch", "lote"),
    "began": ("began", "comenzó"),
    "shares_of": ("shares asked: {arms}", "partes pedidas: {arms}"),
    "units_of": ("units: {arms}", "unidades: {arms}"),
    "labelled_of": ("with an outcome: {arms}", "con resultado: {arms}"),
    "batch_state": ("state", "estado"),
    "batch_counted": ("counted", "contado"),
    "batch_waits": (
        "waits: under 95 % of some arm's units have an outcome",
        "espera: menos del 95 % de alguna variante tiene resultado",
    ),
    "batch_running": ("running", "en curso"),
    "batches_before": (
        "{n} earlier batches are not shown; the means hold them.",
        "{n} lotes anteriores no se muestran; las medias los incluyen.",
    ),
    "batch_srm_ok": (
        "Units came in the shares that each batch asked for, as far as can be seen: e = {e} "
        "(from 100 on the shares stay).",
        "Las unidades llegaron en las partes que pedía cada lote, hasta donde se ve: e = {e} "
        "(desde 100 las partes quedan).",
    ),
    "batch_srm_alarm": (
        "Units did **not** come in the shares that the batches asked for: e = {e} (from 100 on "
        "the shares stay).",
        "Las unidades **no** llegaron en las partes que pedían los lotes: e = {e} (desde "
        "100 las partes quedan).",
    ),
    "history": ("History", "Historia"),
    "when": ("when", "cuándo"),
    "action": ("action", "acción"),
    "who": ("who", "quién"),
    "why": ("reason", "motivo"),
}


def engine(name: str) -> Phrase:
    """Say by what was judged; an engine without words has its name."""
    return phrase(name) if name in _TEXTS else Phrase(name, name)


def phrase(key: str, /, **facts: object) -> Phrase:
    """Give a report's words in both languages, with the facts filled in."""
    en, es = _TEXTS[key]
    return Phrase(en, es, **facts)
