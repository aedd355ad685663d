"""The sentences of `timonel experiment`, in English and Spanish."""

EXPERIMENT_TEXTS: dict[str, dict[str, str]] = {
    "no_experiments": {
        "en": "No experiments. `timonel experiment create --help` shows how to begin one.",
        "es": "Sin experimentos. `timonel experiment create --help` muestra cómo comenzar uno.",
    },
    "experiments_headings": {
        "en": "name|model|state|shares|answers|effect|what the last look says",
        "es": "nombre|modelo|estado|partes|respuestas|efecto|qué dice la última mirada",
    },
    "arms_headings": {
        "en": "arm|units|answers|labelled|{metric}|95 %|fallback|ms|confidence",
        "es": "variante|unidades|respuestas|con resultado|{metric}|95 %|reglas|ms|confianza",
    },
    "answered_headings": {
        "en": "arm|answers|model failed|rules|95 % within, ms",
        "es": "variante|respuestas|falló el modelo|reglas|el 95 % en, ms",
    },
    "experiment_created": {
        "en": "{name} is a draft: {shares} of model {model}, by {unit}, goal {metric}.\n"
        "Start it: timonel experiment start {name}",
        "es": "{name} es un borrador: {shares} del modelo {model}, por {unit}, objetivo {metric}.\n"
        "Para iniciarlo: timonel experiment start {name}",
    },
    "experiment_not_sticky": {
        "en": "Request-level, not sticky: who asks again may get the other arm.",
        "es": "Por petición, no por unidad: quien vuelve a pedir puede recibir la otra variante.",
    },
    "experiment_started": {
        "en": "{name} assigns traffic now: {shares}. It is looked at {every}.",
        "es": "{name} ya asigna tráfico: {shares}. Se mira {every}.",
    },
    "experiment_every_ramp": {"en": "every 5 seconds", "es": "cada 5 segundos"},
    "experiment_every": {"en": "once a minute", "es": "una vez por minuto"},
    "experiment_paused": {
        "en": "{name} is paused: the champion answers, and no unit is counted.",
        "es": "{name} está en pausa: responde la versión en producción y no se cuenta nadie.",
    },
    "experiment_resumed": {
        "en": "{name} assigns again, as phase {phase}: {shares}.",
        "es": "{name} asigna de nuevo, como fase {phase}: {shares}.",
    },
    "experiment_stopped": {
        "en": "{name} has ended ({verdict}). Labels that come yet are still counted.",
        "es": "{name} terminó ({verdict}). Los resultados que falten se siguen contando.",
    },
    "experiment_dropped": {
        "en": "{name} was dropped before it began; its name stays taken.",
        "es": "{name} se descartó antes de comenzar; su nombre queda ocupado.",
    },
    "experiment_share": {
        "en": "{name}: {shares}, as phase {phase}.",
        "es": "{name}: {shares}, como fase {phase}.",
    },
    "experiment_reloaded": {
        "en": "{current} of {live} processes follow already.",
        "es": "{current} de {live} procesos ya lo siguen.",
    },
    "experiment_title": {
        "en": "{name}  [{state}]  model {model}, {mode}, by {unit}",
        "es": "{name}  [{state}]  modelo {model}, {mode}, por {unit}",
    },
    "experiment_times": {
        "en": "  dates     created {created}, started {started}, ended {ended} ({zone})",
        "es": "  fechas    creado {created}, iniciado {started}, terminado {ended} ({zone})",
    },
    "experiment_ended_as": {
        "en": "  ended as  {verdict}",
        "es": "  terminó   {verdict}",
    },
    "experiment_days": {
        "en": "  days      {days}, as planned",
        "es": "  días      {days} planeados",
    },
    "experiment_period": {
        "en": "  period    {days} days: pairs are clustered by it, and by unit",
        "es": "  período   {days} días: los pares se agrupan por él y por unidad",
    },
    "experiment_block": {
        "en": "  block     {hours} h: the block is the unit",
        "es": "  bloque    {hours} h: la unidad es el bloque",
    },
    "experiment_window": {
        "en": "  window    {minutes} min after the hour of a unit's first list",
        "es": "  ventana   {minutes} min tras la hora de la primera lista de una unidad",
    },
    "experiment_batch": {
        "en": "  batches   of {hours} h or more",
        "es": "  lotes     de {hours} h o más",
    },
    "experiment_costs": {
        "en": "  costs     {holding} a piece left over, {shortage} a piece short",
        "es": "  costos    {holding} por pieza que sobra, {shortage} por pieza que falta",
    },
    "experiment_listed": {
        "en": "  list      {n} units of {source} ({counts}), by column {column}, block {block}, "
        "covariate {covariate}, seed {seed}\n            sha256 {sha256}",
        "es": "  lista     {n} unidades de {source} ({counts}), por columna {column}, "
        "bloque {block}, covariable {covariate}, semilla {seed}\n            sha256 {sha256}",
    },
    "experiment_cap": {
        "en": "  cap       {cap}: {share} of {n} values of the control; higher ones count as it",
        "es": "  tope      {cap}: {share} de {n} valores del control; los mayores cuentan como ese",
    },
    "experiment_no_cap": {
        "en": "  cap       {share} of the control: fixed once it has {least} values; before, the "
        "goal is not compared",
        "es": "  tope      {share} del control: se fija cuando tenga {least} valores; antes no se "
        "compara el objetivo",
    },
    "units_missing": {
        "en": "it says how --units FILE is assigned, and no file was given",
        "es": "dice cómo se asigna --units ARCHIVO, y no se dio ningún archivo",
    },
    "units_written": {
        "en": "{n} units and their arms: {path}",
        "es": "{n} unidades y sus variantes: {path}",
    },
    "clicks": {
        "en": "{counted} clicks credited, {nobody} on items of neither, {late} too late, "
        "{repeated} known already.",
        "es": "{counted} clics acreditados, {nobody} en elementos de ninguno, {late} tardíos, "
        "{repeated} ya conocidos.",
    },
    "experiment_batches": {
        "en": "  batches   {n} whole, {waiting} wait for outcomes; every arm keeps {floor}. "
        "Means are weighted over batches, intervals are of one look.",
        "es": "  lotes     {n} completos, {waiting} esperan resultados; cada variante conserva "
        "{floor}. Las medias se ponderan por lote, los intervalos son de una mirada.",
    },
    "experiment_best": {
        "en": "  best      by chance: {chances}; the next shares. It proves nothing: to show that "
        "an arm is better, run a split.",
        "es": "  mejor     por probabilidad: {chances}; las partes siguientes. No prueba nada: "
        "para mostrar que una variante es mejor, haga un split.",
    },
    "experiment_comparisons": {
        "en": "  comparisons: {treatment} won by treatment, {control} by control, {tied} tied; of "
        "{units} units whose window has ended. {immature} are still open.",
        "es": "  comparaciones: {treatment} ganadas por treatment, {control} por control, {tied} "
        "empatadas; de {units} unidades con ventana cerrada. {immature} siguen abiertas.",
    },
    "experiment_won": {
        "en": "  share of won comparisons that treatment won: {share} [{low}, {high}] (1/2: no "
        "difference; bounds hold at every look), e {e}, p {p}",
        "es": "  parte de las comparaciones ganadas que ganó treatment: {share} [{low}, {high}] "
        "(1/2: sin diferencia; vale en toda mirada), e {e}, p {p}",
    },
    "record_what": {
        "en": "give --file FILE, or --unit ID with METRIC=VALUE",
        "es": "indique --file ARCHIVO, o --unit ID con MÉTRICA=VALOR",
    },
    "record_pair": {
        "en": "{found}: expected METRIC=NUMBER, each metric once, such as revenue=12990",
        "es": "{found}: se esperaba MÉTRICA=NÚMERO, cada métrica una vez, como revenue=12990",
    },
    "record_unit": {
        "en": "{unit}: {new} new, {corrected} corrected.",
        "es": "{unit}: {new} nuevos, {corrected} corregidos.",
    },
    "record_file": {
        "en": "{n} rows read: {new} values new, {corrected} corrected, {same} known already, "
        "{empty} cells without a value (unknown, not 0)",
        "es": "{n} filas leídas: {new} valores nuevos, {corrected} corregidos, {same} ya "
        "conocidos, {empty} celdas sin valor (desconocido, no 0)",
    },
    "record_unread": {
        "en": "  columns that are no metric of it: {columns}",
        "es": "  columnas que no son métrica suya: {columns}",
    },
    "record_refused": {
        "en": "  {n} rows refused, nothing of them counted; with reasons: {path}",
        "es": "  {n} filas rechazadas, nada de ellas contado; con motivos: {path}",
    },
    "record_row": {"en": "    line {line}: {reason}", "es": "    línea {line}: {reason}"},
    "experiment_no_look": {"en": "  no look yet", "es": "  aún sin mirada"},
    "experiment_says": {"en": "  {sentence}", "es": "  {sentence}"},
    "experiment_effect": {
        "en": "  effect    {effect} on {metric} ({side}); e = {e}, smallest p = {p}",
        "es": "  efecto    {effect} en {metric} ({side}); e = {e}, menor p = {p}",
    },
    "compared_headings": {
        "en": "metric|arm|{n}|control|treatment|effect|smallest p|adjusted (Holm)",
        "es": "métrica|variante|{n}|control|tratamiento|efecto|menor p|ajustado (Holm)",
    },
    "compared_units": {"en": "units", "es": "unidades"},
    "compared_pairs": {"en": "pairs", "es": "pares"},
    "parts_headings": {
        "en": "part|{column}|units|control|treatment|effect|adjusted (Holm)",
        "es": "parte|{column}|unidades|control|tratamiento|efecto|ajustado (Holm)",
    },
    "experiment_horizon": {
        "en": "  horizon   outcomes are those of day {days}; none is recorded before",
        "es": "  horizonte los resultados son los del día {days}; antes no se registra ninguno",
    },
    "metric_unknown": {"en": "unknown: {reason}", "es": "se desconoce: {reason}"},
    "experiment_more": {"en": "more is better", "es": "más es mejor"},
    "experiment_less": {"en": "less is better", "es": "menos es mejor"},
    "experiment_rule": {
        "en": "  rule      {engine}, alpha {alpha} for all looks together; shares e = {srm}",
        "es": "  regla     {engine}, alfa {alpha} para todas las miradas; partes e = {srm}",
    },
    "experiment_youngest": {
        "en": "            youngest mature label of {arm}: {age}",
        "es": "            resultado maduro más nuevo de {arm}: {age}",
    },
    "experiment_mature": {
        "en": "  labels    95 % come within {hours} h; {n} labels are of younger exposures",
        "es": "  datos     95 % llega en {hours} h; {n} resultados son de exposiciones más nuevas",
    },
    "experiment_paired": {
        "en": "  pairs     {paired}",
        "es": "  pares     {paired}",
    },
    "experiment_without_outcome": {
        "en": "  outcomes  {n} units have none yet",
        "es": "  resultados  {n} unidades aún no tienen",
    },
    "experiment_immature": {
        "en": "  labels    it is not known yet how long they take",
        "es": "  datos     aún no se sabe cuánto tardan",
    },
    "experiment_win": {
        "en": "  for orientation, not for stopping: chance to win {chance}",
        "es": "  orientación, no regla para detener: probabilidad de ganar {chance}",
    },
    "experiment_expected": {"en": "  decision  {expected}", "es": "  decisión  {expected}"},
    "experiment_guardrail": {
        "en": "  guardrail {name}: e = {e}",
        "es": "  límite    {name}: e = {e}",
    },
    "experiment_silent": {
        "en": "  guardrail {name}: unknown: {reason}",
        "es": "  límite    {name}: se desconoce: {reason}",
    },
    "experiment_ramp_e": {
        "en": "  harm      e = {e} of 100",
        "es": "  daño      e = {e} de 100",
    },
    "experiment_history": {"en": "  history", "es": "  historia"},
    "report_written": {"en": "Report: {path}", "es": "Informe: {path}"},
    "replay_same": {
        "en": "{n} looks, all the same.",
        "es": "{n} miradas, todas iguales.",
    },
    "replay_some": {
        "en": "{n} looks: {same} the same, {differ} differ.",
        "es": "{n} miradas: {same} iguales, {differ} distintas.",
    },
    "replay_differs": {
        "en": "  look {look}  {field}: stored {stored}, recomputed {recomputed}",
        "es": "  mirada {look}  {field}: guardado {stored}, recalculado {recomputed}",
    },
    "replay_more": {
        "en": "  and {n} more values; --json names them all",
        "es": "  y {n} valores más; --json los nombra todos",
    },
    "replay_unsaid": {
        "en": "  look {looks}  cannot say: {reason}",
        "es": "  mirada {looks}  no se puede decir: {reason}",
    },
    "replay_log_same": {
        "en": "{n} sums, counted again from the log ({answers} answers, {labels} labels): "
        "all the same.",
        "es": "{n} sumas, contadas de nuevo del registro ({answers} respuestas, "
        "{labels} resultados): todas iguales.",
    },
    "replay_log_differs": {
        "en": "{n} sums, counted again from the log: {different} differ.",
        "es": "{n} sumas, contadas de nuevo del registro: {different} distintas.",
    },
    "replay_log_unsaid": {
        "en": "Sums against the log: cannot say, {reason}.",
        "es": "Sumas contra el registro: no se puede decir, {reason}.",
    },
    "replay_cell": {
        "en": "  {arm}, phase {phase}, {metric}: stored of {stored}, counted of {counted}",
        "es": "  {arm}, fase {phase}, {metric}: guardada de {stored}, contada de {counted}",
    },
    "plan_title": {
        "en": "{model}: {metric} by {unit}, {share} to the treatment; {engine}, alpha {alpha}, "
        "power {power}",
        "es": "{model}: {metric} por {unit}, {share} al tratamiento; {engine}, alfa {alpha}, "
        "potencia {power}",
    },
    "plan_rate": {
        "en": "  a day      {value}  ({note})",
        "es": "  al día     {value}  ({note})",
    },
    "plan_baseline": {
        "en": "  baseline   {value}  ({note})",
        "es": "  línea base {value}  ({note})",
    },
    "plan_sd": {
        "en": "  deviation  {value}  ({note})",
        "es": "  desviación {value}  ({note})",
    },
    "plan_delay": {
        "en": "  label delay in days  {value}  ({note})",
        "es": "  demora de resultados en días  {value}  ({note})",
    },
    "plan_unknown": {"en": "unknown", "es": "desconocido"},
    "plan_measured": {"en": "measured", "es": "medido"},
    "plan_headings": {
        "en": "effect|control|treatment|in all|days of traffic|days to a decision|",
        "es": "efecto|control|tratamiento|en total|días de tráfico|días hasta decidir|",
    },
    "plan_extrapolated": {
        "en": "  ~ beyond the days that the log has: if new units go on coming as last week",
        "es": "  ~ más allá de los días del registro: si llegan unidades nuevas como la última "
        "semana",
    },
    "plan_power": {
        "en": "Chance of finding an effect with {n} in all:",
        "es": "Probabilidad de encontrar un efecto con {n} en total:",
    },
    "plan_next": {
        "en": "Next: timonel experiment create NAME --model {model} --control {control} "
        "--treatment VERSION --planned {n}",
        "es": "Siguiente: timonel experiment create NOMBRE --model {model} --control {control} "
        "--treatment VERSION --planned {n}",
    },
    "aa_title": {
        "en": "{model}: {runs} random assignments (seed {seed}) of {rows} of {of} labelled "
        "answers, {units} units, one look a day for {days} days",
        "es": "{model}: {runs} asignaciones al azar (semilla {seed}) de {rows} de {of} respuestas "
        "con resultado, {units} unidades, una mirada al día por {days} días",
    },
    "aa_wrong": {
        "en": "  decided wrongly           {share}  (alpha {alpha})",
        "es": "  decididas por error       {share}  (alfa {alpha})",
    },
    "aa_naive": {
        "en": "  p < {alpha} at a daily look  {share}  (the usual test, peeked at)",
        "es": "  p < {alpha} algún día        {share}  (la prueba usual, mirada a diario)",
    },
    "aa_invalid": {
        "en": "  called invalid            {share}  (shares, units in two arms, label delays)",
        "es": "  declaradas no válidas     {share}  (partes, unidades en dos variantes, demoras)",
    },
    "aa_mature": {
        "en": "  it was known how long labels take from day {day} on; before, nothing is promoted",
        "es": "  se supo cuánto tardan los resultados desde el día {day}; antes nada se promueve",
    },
    "aa_never_mature": {
        "en": "  it was never known how long labels take: no run could have promoted anything",
        "es": "  nunca se supo cuánto tardan los resultados: nada se podía promover",
    },
    "aa_unsaid": {
        "en": "{model}: cannot say, {reason}.",
        "es": "{model}: no se puede decir, {reason}.",
    },
}
