"""The sentences of retraining that people read, in English and Spanish; equal keys and fields."""

STATES: dict[str, dict[str, str]] = {
    "promoted": {
        "en": "**{name} is in production**: it passed all gates, and the policy promotes by "
        "itself. {n_current} of {n_live} running servers use it.",
        "es": "**{name} está en producción**: pasó todas las compuertas y la política promueve "
        "por sí sola. {n_current} de {n_live} servidores en marcha lo usan.",
    },
    "pending": {
        "en": "**{name} waits for a person**: {why_text} "
        "`timonel promote {model} {version}` puts it into production.",
        "es": "**{name} espera a una persona**: {why_text} "
        "`timonel promote {model} {version}` la pone en producción.",
    },
    "failed_gates": {
        "en": "**{name} was refused**: {reason}. {champion_text}",
        "es": "**{name} fue rechazada**: {reason}. {champion_text}",
    },
    "undecided": {
        "en": "**Undecided**: {reason}. {champion_text} {name} stays in validation.",
        "es": "**Sin decidir**: {reason}. {champion_text} {name} queda en validación.",
    },
    "taken_back": {
        "en": "**{name} was promoted and taken back since**; its stage is {stage}.",
        "es": "**{name} fue promovida y retirada después**; su etapa es {stage}.",
    },
    "same": {
        "en": "**Nothing new**: the same data, code and recipe gave {name} before (stage {stage}).",
        "es": "**Nada nuevo**: los mismos datos, código y receta ya dieron {name} (etapa {stage}).",
    },
    "not_enough": {
        "en": "**Not enough**: {found} of {needed} labelled rows. Nothing was trained.",
        "es": "**No alcanza**: {found} de {needed} filas con su resultado. No se entrenó nada.",
    },
    "not_enough_new": {
        "en": "**Not enough**: {found} of {needed} labelled rows since the last comparison; each "
        "row judges once. Nothing was trained.",
        "es": "**No alcanza**: {found} de {needed} filas con su resultado desde la última "
        "comparación; cada fila juzga una vez. No se entrenó nada.",
    },
    "one_class": {
        "en": "**One class only**: all {found} labelled rows say {label}. Nothing was trained; see "
        "whether the other outcomes are reported.",
        "es": "**Una sola clase**: las {found} filas con resultado dicen {label}. No se entrenó "
        "nada; revise si se informan los otros resultados.",
    },
}

WHY = {
    "approval": {
        "en": 'it passed all gates, and the policy says approval="manual".',
        "es": 'pasó todas las compuertas y la política dice approval="manual".',
    },
    "source_down": {
        "en": "its own source did not answer, so it learned from the log alone; that is never "
        "promoted by itself.",
        "es": "su propia fuente no respondió, así que aprendió solo del registro; eso nunca se "
        "promueve por sí solo.",
    },
    "champion_changed": {
        "en": "another version was put into production while it was made.",
        "es": "otra versión pasó a producción mientras se hacía.",
    },
}

LINES = {
    "title": {"en": "# Retraining of {model}", "es": "# Reentrenamiento de {model}"},
    "started": {"en": "Started by: {trigger}.", "es": "Iniciado por: {trigger}."},
    "data": {"en": "## Data", "es": "## Datos"},
    "log": {
        "en": "- Log: {rows} answers with their truth; {wrong} of them had been answered otherwise "
        "and are learned from too. {too_young} answers were too young (label cut-off: "
        "{delay}).",
        "es": "- Registro: {rows} respuestas con su resultado; {wrong} se habían respondido de "
        "otra manera y también se aprende de ellas. {too_young} eran demasiado recientes (corte "
        "de etiquetas: {delay}).",
    },
    "dropped": {
        "en": "- Left out, as serving would: {dropped}.",
        "es": "- Fuera, como lo haría el servicio: {dropped}.",
    },
    "original": {
        "en": "- Original set: {n} rows.",
        "es": "- Conjunto original: {n} filas.",
    },
    "down": {
        "en": "- **The original source did not answer**: {detail} The log alone was used.",
        "es": "- **La fuente original no respondió**: {detail} Se usó solo el registro.",
    },
    "loss": {
        "en": "- A confirmed loss of performance since {since}: {n} rows to learn from are of the "
        "world since then.",
        "es": "- Pérdida de desempeño confirmada desde {since}: {n} filas para aprender son del "
        "mundo desde entonces.",
    },
    "mixture_log": {
        "en": "- Learned from the log alone, {n} rows ({why}).",
        "es": "- Se aprendió solo del registro, {n} filas ({why}).",
    },
    "mixture_both": {
        "en": "- Learned from the original set and the log, each logged row {copies} times: {n} "
        "rows ({why}).",
        "es": "- Se aprendió del conjunto original y del registro, cada fila registrada {copies} "
        "veces: {n} filas ({why}).",
    },
    "gates": {"en": "## Gates", "es": "## Compuertas"},
    "holdout": {
        "en": "{n} newest answers, never trained on, the same for all. Look {look} since the last "
        "promotion, alpha {alpha:.4f}.",
        "es": "{n} respuestas más nuevas, nunca usadas para entrenar, las mismas para todos. "
        "Mirada {look} desde la última promoción, alfa {alpha:.4f}.",
    },
    "gates_head": {
        "en": "| gate | verdict | found |",
        "es": "| compuerta | veredicto | hallazgo |",
    },
    "to_decide": {
        "en": "About {n} units would decide.",
        "es": "Unas {n} unidades decidirían.",
    },
    "champion_stays": {
        "en": "{champion} stays in production.",
        "es": "{champion} sigue en producción.",
    },
    "nobody_stays": {
        "en": "Rules or the baseline go on answering.",
        "es": "Siguen respondiendo las reglas o la línea base.",
    },
}

TRIGGERS = {
    "hand": {"en": "a person", "es": "una persona"},
    "cron": {"en": "the schedule", "es": "el horario"},
    "loss": {"en": "a confirmed loss of performance", "es": "una pérdida de desempeño confirmada"},
    "labels": {"en": "new labels", "es": "etiquetas nuevas"},
    "age": {"en": "the age of the version", "es": "la edad de la versión"},
}

GATES = {
    "beats_baseline": {
        "en": "better than the baseline",
        "es": "mejor que la línea base",
    },
    "beats_rules": {"en": "better than the rules", "es": "mejor que las reglas"},
    "min_accuracy": {"en": "least accuracy", "es": "exactitud mínima"},
    "parity": {"en": "compiled as trained", "es": "compilado como entrenado"},
    "schema": {"en": "schema unchanged", "es": "esquema sin cambios"},
    "champion": {"en": "not worse than the champion", "es": "no peor que el campeón"},
    "anchor": {"en": "not worse than the anchor", "es": "no peor que el ancla"},
}

FOUND = {
    "few": {
        "en": "{n} units; at least 200 are needed",
        "es": "{n} unidades; se necesitan al menos 200",
    },
    "paired": {
        "en": "differs by {difference:+.4f}, between {lower:+.4f} and {upper:+.4f}, on {n} units",
        "es": "difiere en {difference:+.4f}, entre {lower:+.4f} y {upper:+.4f}, en {n} unidades",
    },
    "better": {"en": ": better", "es": ": mejor"},
    "gain": {
        "en": "gain {mean:.4f}, at least {lower:.4f}, on {n} rows",
        "es": "ganancia {mean:.4f}, al menos {lower:.4f}, en {n} filas",
    },
    "bar": {
        "en": "accuracy {value:.4f}, the policy asks for {bar:g}",
        "es": "exactitud {value:.4f}, la política pide {bar:g}",
    },
    "bar_but_better": {
        "en": "accuracy {value:.4f}, the policy asks for {bar:g}; yet better than the champion, so "
        "a person decides",
        "es": "exactitud {value:.4f}, la política pide {bar:g}; pero mejor que el campeón, así que "
        "decide una persona",
    },
    "parity": {
        "en": "largest difference {max_difference:.1e}",
        "es": "mayor diferencia {max_difference:.1e}",
    },
    "native": {"en": "answers as trained", "es": "responde tal como se entrenó"},
    "same_schema": {"en": "as the champion's", "es": "igual al del campeón"},
    "other_schema": {
        "en": "it is not the champion's: the two cannot be compared on logged rows",
        "es": "no es el del campeón: no se pueden comparar con las filas registradas",
    },
    "unusable": {
        "en": "it could not answer the holdout ({reason})",
        "es": "no pudo responder las filas reservadas ({reason})",
    },
}

VERDICTS = {
    "PASS": {"en": "passed", "es": "pasó"},
    "FAIL": {"en": "failed", "es": "falló"},
    "UNDECIDED": {"en": "undecided", "es": "sin decidir"},
}
