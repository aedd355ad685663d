"""The sentences of the pages, in English and Spanish; equal keys and fields (tested)."""

from typing import Any

from timonel.dashboard.language import Language

TEXTS: dict[str, dict[Language, str]] = {
    "overview": {"en": "Overview", "es": "Panorama"},
    "page_title": {"en": "{project} · Timonel", "es": "{project} · Timonel"},
    "skip": {"en": "Skip to content", "es": "Ir al contenido"},
    "api": {"en": "API", "es": "API"},
    "language": {"en": "Language", "es": "Idioma"},
    "theme": {"en": "Theme", "es": "Tema"},
    "theme_auto": {"en": "Auto", "es": "Auto"},
    "theme_light": {"en": "Light", "es": "Claro"},
    "theme_dark": {"en": "Dark", "es": "Oscuro"},
    "copy": {"en": "Copy", "es": "Copiar"},
    "copied": {"en": "Copied", "es": "Copiado"},
    "stale": {
        "en": "Could not update. What you see is of {at}.",
        "es": "No se pudo actualizar. Lo que ve es de {at}.",
    },
    "as_of": {"en": "As of {at} ({zone})", "es": "Al {at} ({zone})"},
    "clock_rate": {
        "en": "Simulated time, {rate} times as fast as a clock.",
        "es": "Tiempo simulado, {rate} veces más rápido que un reloj.",
    },
    # the sentence of state
    "no_models": {"en": "No model is declared yet", "es": "Todavía no hay modelos declarados"},
    "serving_0": {
        "en": "No model is in production yet",
        "es": "Todavía no hay modelos en producción",
    },
    "serving_down": {"en": "Nothing is serving", "es": "Nada está en servicio"},
    "serving_1": {"en": "1 model serving", "es": "1 modelo en servicio"},
    "serving_n": {"en": "{n} models serving", "es": "{n} modelos en servicio"},
    "needs_0": {"en": "nothing needs you", "es": "nada requiere su atención"},
    "needs_1": {"en": "1 thing needs you", "es": "1 asunto requiere su atención"},
    "needs_n": {"en": "{n} things need you", "es": "{n} asuntos requieren su atención"},
    "needs_title": {"en": "Needs you", "es": "Requiere su atención"},
    # needs
    "need_first_version": {
        "en": "{model} has no version in production: {source} answer in its place.",
        "es": "{model} no tiene versión en producción: responde {source} en su lugar.",
    },
    "need_first_rules": {"en": "its rules", "es": "sus reglas"},
    "need_pending": {
        "en": "{model} {version} waits for your decision; {champion} is in production.",
        "es": "{model} {version} espera su decisión; {champion} está en producción.",
    },
    "need_failed": {
        "en": "{model} {version} failed and is not used.",
        "es": "{model} {version} falló y no se usa.",
    },
    "need_alert": {
        "en": "{severity}: {title}. {seen}",
        "es": "{severity}: {title}. {seen}",
    },
    "need_alerts_more": {"en": "{n} more alerts are firing.", "es": "Hay {n} alertas más activas."},
    "need_retraining": {
        "en": "The last retraining of {model} failed.",
        "es": "El último reentrenamiento de {model} falló.",
    },
    "need_fallback": {
        "en": "{share} of the answers of {model} in the last 24 h came from its fallback.",
        "es": "{share} de las respuestas de {model} en las últimas 24 h vinieron del respaldo.",
    },
    "need_quality": {
        "en": "{model} is surely below its minimum: {found} at best, {expected} asked.",
        "es": "{model} está sin duda bajo su mínimo: {found} en el mejor caso, se pide {expected}.",
    },
    "need_health": {"en": "{what}", "es": "{what}"},
    "need_parked": {
        "en": "{n} outcomes of {model} name a prediction that has not been found.",
        "es": "{n} resultados de {model} nombran una predicción que no se ha encontrado.",
    },
    # cards
    "task_binary": {"en": "yes or no", "es": "sí o no"},
    "task_multiclass": {"en": "one of several classes", "es": "una de varias clases"},
    "task_regression": {"en": "a number", "es": "un número"},
    "predicts": {"en": "predicts {target}: {task}", "es": "predice {target}: {task}"},
    "in_production": {"en": "in production since {at}", "es": "en producción desde {at}"},
    "no_version": {"en": "no version in production", "es": "sin versión en producción"},
    "answered_by_rules": {
        "en": "its rules answer",
        "es": "responden sus reglas",
    },
    "answered_by_baseline": {
        "en": "its baseline answers",
        "es": "responde su línea base",
    },
    "loading_failed": {"en": "Loading failed", "es": "No se pudo cargar"},
    "quality": {"en": "Quality", "es": "Calidad"},
    "quality_of_version": {"en": "of {version}, last 7 days", "es": "de {version}, últimos 7 días"},
    "quality_of_all": {"en": "of all answers, last 7 days", "es": "de todas, últimos 7 días"},
    "accuracy": {"en": "accuracy", "es": "exactitud"},
    "mean_absolute_error": {"en": "mean absolute error", "es": "error absoluto medio"},
    "interval": {
        "en": "95% interval {low} to {high}, {n} labels",
        "es": "intervalo del 95\u202f% de {low} a {high}, {n} etiquetas",
    },
    "not_enough": {
        "en": "not enough data yet ({n} of {needed} labels)",
        "es": "aún no hay datos suficientes ({n} de {needed} etiquetas)",
    },
    "so_far": {
        "en": "so far {value} ({low} to {high})",
        "es": "hasta ahora {value} ({low} a {high})",
    },
    "unknown": {"en": "unknown", "es": "desconocida"},
    "unknown_no_predictions": {
        "en": "nothing was predicted in the last 7 days",
        "es": "no hubo predicciones en los últimos 7 días",
    },
    "unknown_no_labels": {
        "en": "no outcome has been joined to these predictions yet",
        "es": "aún no se unió ningún resultado a estas predicciones",
    },
    "unknown_one_label": {
        "en": "one outcome has no interval",
        "es": "un solo resultado no tiene intervalo",
    },
    "quality_chart": {
        "en": "Quality of {model} over time",
        "es": "Calidad de {model} en el tiempo",
    },
    "quality_chart_desc": {
        "en": "{metric} by time of prediction, last {value} with 95% intervals; hollow: fewer than "
        "{needed} labels",
        "es": "{metric} por momento de la predicción, última {value} con intervalos del 95\u202f%; "
        "huecos: menos de {needed} etiquetas",
    },
    "quality_hover": {
        "en": "{at}: {value} ({low} to {high}), {n} labels",
        "es": "{at}: {value} ({low} a {high}), {n} etiquetas",
    },
    "minimum": {"en": "min. {value}", "es": "mín. {value}"},
    "last_7_days": {"en": "last 7 days", "es": "últimos 7 días"},
    "by_source": {"en": "Who answered, and how well", "es": "Quién respondió, y qué tan bien"},
    "by_class": {"en": "How well, closer", "es": "Qué tan bien, más de cerca"},
    "measure_precision": {"en": "precision", "es": "precisión"},
    "measure_recall": {"en": "recall", "es": "exhaustividad"},
    "measure_f1": {"en": "F1", "es": "F1"},
    "measure_macro_f1": {"en": "macro F1", "es": "F1 macro"},
    "measure_rmse": {"en": "RMSE", "es": "RMSE"},
    "measure_r2": {"en": "R2", "es": "R2"},
    "measure_mean_error": {"en": "mean error", "es": "error medio"},
    "col_metric": {"en": "Metric", "es": "Métrica"},
    "col_value": {"en": "Value", "es": "Valor"},
    "source_model": {"en": "model", "es": "modelo"},
    "source_rules": {"en": "rules", "es": "reglas"},
    "source_baseline": {"en": "baseline", "es": "línea base"},
    "source_external": {"en": "outside", "es": "externo"},
    "col_answered_by": {"en": "Answered by", "es": "Respondió"},
    "col_answers": {"en": "Answers", "es": "Respuestas"},
    "col_labels": {"en": "Labels", "es": "Etiquetas"},
    "col_interval": {"en": "95% interval", "es": "Intervalo 95\u202f%"},
    "col_time": {"en": "Time", "es": "Momento"},
    "col_version": {"en": "Version", "es": "Versión"},
    "col_stage": {"en": "Stage", "es": "Etapa"},
    "col_holdout": {"en": "On its holdout", "es": "En su prueba"},
    "col_created": {"en": "Trained", "es": "Entrenada"},
    "col_by": {"en": "By", "es": "Por"},
    "show_data": {"en": "Show as a table", "es": "Ver como tabla"},
    "predictions": {"en": "Predictions", "es": "Predicciones"},
    "last_hour": {"en": "in the last hour", "es": "en la última hora"},
    "per_minute": {
        "en": "Predictions per minute of {model}",
        "es": "Predicciones por minuto de {model}",
    },
    "per_minute_desc": {
        "en": "last hour, at most {most} in a minute, mean answer in {latency} ms",
        "es": "última hora, a lo más {most} en un minuto, respuesta media en {latency} ms",
    },
    "per_minute_note": {
        "en": "per minute, at most {most}; answered in {latency} ms on average",
        "es": "por minuto, a lo más {most}; respondidas en {latency} ms en promedio",
    },
    "none_last_hour": {
        "en": "none in the last hour",
        "es": "ninguna en la última hora",
    },
    "fallback": {"en": "Fallback", "es": "Respaldo"},
    "fallback_of": {"en": "of {n} answers, last 24 h", "es": "de {n} respuestas, últimas 24 h"},
    "fallback_none": {
        "en": "The model answered all of them itself.",
        "es": "El modelo las respondió todas.",
    },
    "fallback_unknown": {
        "en": "nothing was predicted in the last 24 h",
        "es": "no hubo predicciones en las últimas 24 h",
    },
    "fallback_chart": {
        "en": "Fallback answers of {model} by reason",
        "es": "Respuestas de respaldo de {model} por motivo",
    },
    "fallback_chart_desc": {"en": "share of all answers, last 24 h", "es": "parte del total, 24 h"},
    "reason_no_version": {"en": "no version", "es": "sin versión"},
    "reason_model_error": {"en": "model error", "es": "error del modelo"},
    "reason_timeout": {"en": "timeout", "es": "fuera de plazo"},
    "reason_breaker_open": {"en": "breaker open", "es": "cortado por fallas"},
    "reason_overload": {"en": "overload", "es": "sobrecarga"},
    "reason_low_confidence": {"en": "low confidence", "es": "poca confianza"},
    "reason_invalid_output": {"en": "invalid output", "es": "salida inválida"},
    "reason_server_away": {"en": "server away", "es": "servidor ausente"},
    "reason_lookup_absent": {"en": "entity not found", "es": "entidad no encontrada"},
    "reason_lookup_late": {"en": "look-up late", "es": "búsqueda fuera de plazo"},
    "reason_lookup_stale": {"en": "looked-up data too old", "es": "datos buscados muy antiguos"},
    "reason_lookup_failed": {"en": "look-up failed", "es": "búsqueda fallida"},
    "drift": {"en": "Drift", "es": "Deriva"},
    "drift_of": {"en": "against what {version} learned", "es": "contra lo que aprendió {version}"},
    "drift_ok": {"en": "none found", "es": "no se encontró"},
    "drift_warning": {"en": "warning", "es": "advertencia"},
    "drift_alert": {"en": "confirmed", "es": "confirmada"},
    "drift_not_enough": {"en": "not enough data yet", "es": "aún no hay datos suficientes"},
    "drift_unknown": {"en": "unknown", "es": "desconocida"},
    "drift_no_version": {
        "en": "no version in production to compare with",
        "es": "no hay versión en producción con qué comparar",
    },
    "drift_not_judged": {
        "en": "no window of {version} has been judged yet",
        "es": "aún no se juzga ninguna ventana de {version}",
    },
    "drift_window": {
        "en": "newest window: {start} to {end}, {n} rows",
        "es": "última ventana: {start} a {end}, {n} filas",
    },
    "drift_column": {"en": "{column} by {effect}", "es": "{column} en {effect}"},
    "subject_score": {"en": "the answers' score", "es": "el puntaje de las respuestas"},
    "subject_prediction": {"en": "the answers", "es": "las respuestas"},
    "drift_more": {"en": "and {n} more", "es": "y {n} más"},
    "retraining": {"en": "Retraining", "es": "Reentrenamiento"},
    "retraining_none": {"en": "none so far", "es": "ninguno hasta ahora"},
    "retraining_waits": {"en": "waits for a worker since {at}", "es": "espera turno desde {at}"},
    "retraining_at": {
        "en": "step {k} of {n}: {step}; since {at}",
        "es": "paso {k} de {n}: {step}; desde {at}",
    },
    "retraining_starts": {"en": "Starts on: {causes}.", "es": "Comienza por: {causes}."},
    "cause_loss": {"en": "a confirmed loss", "es": "una pérdida confirmada"},
    "cause_cron": {"en": "schedule {cron}", "es": "horario {cron}"},
    "cause_labels": {"en": "{n} new outcomes", "es": "{n} resultados nuevos"},
    "cause_age": {"en": "a version older than {age}", "es": "una versión de más de {age}"},
    "cause_hand": {"en": "your request alone", "es": "solo a pedido suyo"},
    "job_queued": {"en": "queued", "es": "en espera"},
    "job_running": {"en": "running", "es": "en curso"},
    "job_succeeded": {"en": "ended", "es": "terminado"},
    "job_failed": {"en": "failed", "es": "fallido"},
    "job_cancelled": {"en": "cancelled", "es": "cancelado"},
    "retraining_fetch": {"en": "reading the data", "es": "lee los datos"},
    "retraining_prepare": {"en": "preparing the rows", "es": "prepara las filas"},
    "retraining_train": {"en": "training", "es": "entrena"},
    "retraining_validate": {"en": "passing the gates", "es": "pasa las compuertas"},
    "retraining_deploy": {"en": "deploying", "es": "despliega"},
    "versions": {"en": "Versions", "es": "Versiones"},
    "versions_none": {"en": "No version has been trained yet.", "es": "Aún no hay versiones."},
    "versions_more": {"en": "and {n} older ones", "es": "y {n} anteriores"},
    "stage_training": {"en": "training", "es": "entrenamiento"},
    "stage_validation": {"en": "validation", "es": "validación"},
    "stage_production": {"en": "production", "es": "producción"},
    "stage_archived": {"en": "archived", "es": "archivada"},
    "stage_failed": {"en": "failed", "es": "fallida"},
    # the loop
    "loop": {"en": "The loop", "es": "El ciclo"},
    "loop_desc": {
        "en": "train, register, serve, test, monitor, retrain",
        "es": "entrenar, registrar, servir, probar, vigilar, reentrenar",
    },
    "loop_train": {"en": "Train", "es": "Entrenar"},
    "loop_register": {"en": "Register", "es": "Registrar"},
    "loop_serve": {"en": "Serve", "es": "Servir"},
    "loop_test": {"en": "Test", "es": "Probar"},
    "loop_monitor": {"en": "Monitor", "es": "Vigilar"},
    "loop_retrain": {"en": "Retrain", "es": "Reentrenar"},
    "unit_trained": {"en": "versions trained", "es": "versiones entrenadas"},
    "unit_production": {"en": "in production", "es": "en producción"},
    "unit_predictions": {"en": "predictions, 24 h", "es": "predicciones, 24 h"},
    "unit_experiment": {"en": "experiment running", "es": "experimento en curso"},
    "unit_experiments": {"en": "experiments running", "es": "experimentos en curso"},
    "unit_windows": {"en": "windows, no alert", "es": "ventanas, sin alertas"},
    "unit_windows_1": {"en": "windows, {firing} alert", "es": "ventanas, {firing} alerta"},
    "unit_windows_n": {"en": "windows, {firing} alerts", "es": "ventanas, {firing} alertas"},
    "unit_retrainings": {"en": "begun in 7 days", "es": "iniciados en 7 d"},
    "unit_retraining_now": {"en": "begun, one now", "es": "iniciados, uno ahora"},
    "loop_monitor_hover": {
        "en": "Last 7 days: {windows} windows judged, {labels} labels joined; alerts firing: "
        "{firing}",
        "es": "Últimos 7 días: {windows} ventanas juzgadas, {labels} etiquetas unidas; alertas "
        "activas: {firing}",
    },
    # health
    "health": {"en": "Health", "es": "Salud"},
    "state_HEALTHY": {"en": "healthy", "es": "bien"},
    "state_DEGRADED": {"en": "degraded", "es": "con problemas"},
    "state_UNHEALTHY": {"en": "unhealthy", "es": "mal"},
    "state_UNKNOWN": {"en": "unknown", "es": "desconocido"},
    "check_database": {"en": "Database", "es": "Base de datos"},
    "check_model": {"en": "Models", "es": "Modelos"},
    "check_predictions": {"en": "Predictions", "es": "Predicciones"},
    "check_fallback": {"en": "Fallback", "es": "Respaldo"},
    "check_spool": {"en": "Spool", "es": "Cola"},
    "why_reachable": {"en": "answers", "es": "responde"},
    "why_unreachable": {"en": "does not answer", "es": "no responde"},
    "why_database_unreachable": {
        "en": "the database does not answer",
        "es": "la base de datos no responde",
    },
    "why_no_live_worker": {
        "en": "no predict worker is alive: nobody answers",
        "es": "ningún proceso de predicción vive: nadie responde",
    },
    "why_no_models": {"en": "none declared", "es": "ninguno declarado"},
    "why_without_version": {
        "en": "some have no version in production",
        "es": "algunos no tienen versión en producción",
    },
    "why_no_worker_seen": {
        "en": "no predict worker has reported yet",
        "es": "ningún proceso de predicción se ha reportado",
    },
    "why_reloading": {
        "en": "workers are loading a new version",
        "es": "los procesos cargan una versión nueva",
    },
    "why_serving": {"en": "all in production", "es": "todos en producción"},
    "why_no_predictions": {"en": "none asked for", "es": "nadie las ha pedido"},
    "why_arriving": {"en": "arriving", "es": "llegan"},
    "why_high": {"en": "over 10% of the answers", "es": "más del 10\u202f% de las respuestas"},
    "why_raised": {"en": "over 5% of the answers", "es": "más del 5\u202f% de las respuestas"},
    "why_low": {
        "en": "at most 5%, not counting before a version",
        "es": "a lo más 5\u202f%, sin contar antes de una versión",
    },
    "why_no_drainer_seen": {"en": "nothing drains it yet", "es": "nadie la vacía todavía"},
    "why_no_live_drainer": {"en": "its drainer has stopped", "es": "quien la vacía se detuvo"},
    "why_far_behind": {"en": "over 5 minutes behind", "es": "más de 5 minutos de atraso"},
    "why_behind": {"en": "over 30 seconds behind", "es": "más de 30 segundos de atraso"},
    "why_drained": {"en": "drained", "es": "al día"},
    # first steps
    "first_steps": {"en": "First steps", "es": "Primeros pasos"},
    "step_done": {"en": "done", "es": "hecho"},
    "step_open": {"en": "to do", "es": "por hacer"},
    "step_declare": {
        "en": "Make a project from a file of data",
        "es": "Cree un proyecto a partir de un archivo de datos",
    },
    "step_train": {"en": "Put a model into production", "es": "Ponga un modelo en producción"},
    "step_predict": {"en": "Ask for a prediction", "es": "Pida una predicción"},
    "step_outcome": {"en": "Send what really happened", "es": "Envíe lo que ocurrió en realidad"},
    # a page that cannot be made
    "failed_title": {
        "en": "The overview could not be loaded",
        "es": "No se pudo cargar el panorama",
    },
}


def say(lang: Language, key: str, **fields: Any) -> str:
    """Give a sentence in a language, its ``{fields}`` filled.

    Raises
    ------
    KeyError
        If there is no such sentence, or a field is missing: a defect, found by the tests.
    """
    return TEXTS[key][lang].format(**fields)
