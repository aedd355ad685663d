"""The sentences of `timonel drift`, in English and Spanish."""

DRIFT_TEXTS: dict[str, dict[str, str]] = {
    "drift_none": {
        "en": "{model}: no window was judged yet. Windows are judged by `timonel up` or `timonel "
        "worker` when an hour of traffic is complete.",
        "es": "{model}: aún no se juzga ninguna ventana. Las juzga `timonel up` o `timonel worker` "
        "cuando se completa una hora de tráfico.",
    },
    "drift_window": {
        "en": "{model} {start} to {end}: {state}, {n} rows against {version}",
        "es": "{model} {start} a {end}: {state}, {n} filas frente a {version}",
    },
    "drift_reason": {"en": "  {reason}", "es": "  {reason}"},
    "drift_quiet": {
        "en": "  No column drifted ({n} looked at).",
        "es": "  Ninguna columna derivó ({n} revisadas).",
    },
    "drift_headings": {
        "en": "column|state|effect|p|test|note",
        "es": "columna|estado|efecto|p|prueba|nota",
    },
    "drift_column": {
        "en": "{model}: {column}, by windows as they were judged",
        "es": "{model}: {column}, por ventanas según se juzgaron",
    },
    "drift_column_headings": {
        "en": "from|to|state|rows|effect|counts from|p|test",
        "es": "desde|hasta|estado|filas|efecto|cuenta desde|p|prueba",
    },
    "drift_deployed": {"en": "{version} into production", "es": "{version} a producción"},
    "drift_unknown_words": {
        "en": "  {column}: of a text's words {before} → {now} % are new to the reference",
        "es": "  {column}: de las palabras de un texto, {before} → {now} % son nuevas para la "
        "referencia",
    },
    "drift_words_more": {
        "en": "  {column}: in more texts: {words}",
        "es": "  {column}: en más textos: {words}",
    },
    "drift_words_fewer": {
        "en": "  {column}: in fewer texts: {words}",
        "es": "  {column}: en menos textos: {words}",
    },
    "parts": {
        "en": "  Were it for the mix of their values alone, {metric} would change by: {columns}",
        "es": "  Solo por la mezcla de sus valores, {metric} cambiaría en: {columns}",
    },
    "parts_accuracy": {"en": "accuracy (points)", "es": "la exactitud (puntos)"},
    "parts_mae": {"en": "the mean absolute error", "es": "el error absoluto medio"},
    "parts_not_measured": {"en": "(cannot say)", "es": "(no se puede decir)"},
    "parts_too_few": {
        "en": "(cannot say: values the holdout hardly held)",
        "es": "(no se puede decir: valores que la reserva apenas tenía)",
    },
    "parts_measured": {
        "en": "  Measured by the truths of that time: {change} against the holdout (n = {n})",
        "es": "  Medido con la verdad de ese tiempo: {change} frente a la reserva (n = {n})",
    },
    "parts_estimated": {
        "en": "  Estimated without truths for that time: {change} against the holdout (n = {n})",
        "es": "  Estimado sin verdad para ese tiempo: {change} frente a la reserva (n = {n})",
    },
    "together": {
        "en": "All columns together: {state}. AUC {auc} [{lower}, {upper}], p = {p}; {n} logged "
        "rows against {n_reference} of the source.",
        "es": "Todas las columnas juntas: {state}. AUC {auc} [{lower}, {upper}], p = {p}; {n} "
        "filas registradas frente a {n_reference} de la fuente.",
    },
    "together_told_apart": {
        "en": "these rows can be told from those it learned from",
        "es": "estas filas se distinguen de aquellas de las que aprendió",
    },
    "together_alike": {
        "en": "no difference is seen between these rows and those it learned from",
        "es": "no se ve diferencia entre estas filas y aquellas de las que aprendió",
    },
    "together_columns": {
        "en": "  By which (AUC lost without them): {columns}",
        "es": "  Por cuáles (AUC que se pierde sin ellas): {columns}",
    },
    "together_unknown": {
        "en": "All columns together: cannot say: {reason}.",
        "es": "Todas las columnas juntas: no se puede decir: {reason}.",
    },
    "together_other_source": {
        "en": "  The source is not (or no longer) all that this version learned from: its rows as "
        "they are now stand for the reference.",
        "es": "  La fuente no es (o ya no es) todo aquello de lo que esta versión aprendió: sus "
        "filas de ahora hacen de referencia.",
    },
    "drift_explained": {
        "en": "  What may matter most (drift x importance): {columns}",
        "es": "  Lo que más puede importar (deriva x importancia): {columns}",
    },
    "drift_importance_unknown": {"en": "(importance unknown)", "es": "(importancia desconocida)"},
    "drift_quality": {
        "en": "  Input values: {level}, {share} % sound ({usual} % in the reference)",
        "es": "  Valores de entrada: {level}, {share} % sanos ({usual} % en la referencia)",
    },
    "drift_repeats": {
        "en": "  Rows that repeat another exactly: {share} % [{low}, {high}] ({usual} % of as many "
        "it learned from)",
        "es": "  Filas que repiten otra exactamente: {share} % [{low}, {high}] ({usual} % de otras "
        "tantas de las que aprendió)",
    },
    "drift_repeats_alone": {
        "en": "  Rows that repeat another exactly: {share} % [{low}, {high}]",
        "es": "  Filas que repiten otra exactamente: {share} % [{low}, {high}]",
    },
    "drift_refused": {
        "en": "  Refused rows: {n} ({share} %)",
        "es": "  Filas rechazadas: {n} ({share} %)",
    },
    "drift_refused_by": {
        "en": "  Refused rows: {n} ({share} %), by field: {fields}",
        "es": "  Filas rechazadas: {n} ({share} %), por campo: {fields}",
    },
    "drift_outliers": {
        "en": "  Rows that stand out: {n}, {rate} % [{lower}, {upper}] ({usual} % of ordinary "
        "rows){by}",
        "es": "  Filas fuera de lo común: {n}, {rate} % [{lower}, {upper}] ({usual} % de las "
        "ordinarias){by}",
    },
    "drift_outliers_few": {
        "en": "  Rows that stand out: not enough rows to say",
        "es": "  Filas fuera de lo común: no alcanzan las filas para decirlo",
    },
    "drift_outliers_unknown": {
        "en": "  Rows that stand out: its version cannot tell them; train a new one",
        "es": "  Filas fuera de lo común: su versión no sabe reconocerlas; entrene una nueva",
    },
    "quality_EXCELLENT": {"en": "excellent", "es": "excelentes"},
    "quality_GOOD": {"en": "good", "es": "buenos"},
    "quality_ACCEPTABLE": {"en": "acceptable", "es": "aceptables"},
    "quality_POOR": {"en": "poor", "es": "malos"},
    "drift_looks_like": {"en": "looks like {like}", "es": "parece {like}"},
    "drift_no_reference": {
        "en": "its version has no reference profile; train a new one",
        "es": "su versión no tiene perfil de referencia; entrene una nueva",
    },
    "drift_not_enough": {
        "en": "not enough: {n} of {needed} rows",
        "es": "no alcanza: {n} de {needed} filas",
    },
    "drift_few_units": {
        "en": "not enough: these rows are of as few as {n} units, {needed} are needed",
        "es": "no alcanza: estas filas son de apenas {n} unidades, se necesitan {needed}",
    },
    "drift_normal": {
        "en": "{model}: {start} to {end} is normal; later windows of the same hours and days are "
        "held against it, too.",
        "es": "{model}: {start} a {end} es normal; las ventanas posteriores de las mismas horas y "
        "días también se comparan con ello.",
    },
    "simulated": {
        "en": "{version}: drift of intensity {intensity} in {n} rows held back at training",
        "es": "{version}: deriva de intensidad {intensity} en {n} filas reservadas al entrenar",
    },
    "simulated_seen": {
        "en": "  The source has changed since training: some of these rows may have been learned.",
        "es": "  La fuente cambió desde el entrenamiento: puede haber aprendido algunas filas.",
    },
    "simulated_false": {
        "en": "  Before anything was done to them, the rule already finds: {columns}",
        "es": "  Antes de tocarlas, la regla ya encuentra: {columns}",
    },
    "simulated_kind": {"en": "kind", "es": "tipo"},
    "simulated_headings": {
        "en": "columns found|rows refused",
        "es": "columnas halladas|filas rechazadas",
    },
    "drift_held_week": {
        "en": "may be the season: less than a week of traffic",
        "es": "puede ser la estación: menos de una semana de tráfico",
    },
    "drift_held_season": {
        "en": "may be the season: the last whole week does not show it",
        "es": "puede ser la estación: la última semana completa no lo muestra",
    },
    "verdict_ok": {"en": "ok", "es": "bien"},
    "verdict_warning": {"en": "warning", "es": "aviso"},
    "verdict_alert": {"en": "alert", "es": "alerta"},
    "verdict_not_enough": {"en": "not enough data", "es": "datos insuficientes"},
    "verdict_unknown": {"en": "unknown", "es": "desconocido"},
}
