"""The sentences of `timonel retrain` and `timonel jobs`, in English and Spanish."""

RETRAIN_TEXTS: dict[str, dict[str, str]] = {
    "retrain_started": {
        "en": "Retraining of {model} entered as job {job_id}. A worker does it (`timonel up` has "
        "one); follow it with `timonel jobs show {job_id}`.",
        "es": "Reentrenamiento de {model} registrado como trabajo {job_id}. Lo hace un proceso de "
        "trabajo (`timonel up` tiene uno); sígalo con `timonel jobs show {job_id}`.",
    },
    "check_would": {
        "en": "{model}: a request would start a retraining now.",
        "es": "{model}: una solicitud iniciaría ahora un reentrenamiento.",
    },
    "check_would_not": {
        "en": "{model}: a request would be refused now.",
        "es": "{model}: una solicitud sería rechazada ahora.",
    },
    "check_itself": {
        "en": "By itself it would start now: {trigger}.",
        "es": "Por sí solo se iniciaría ahora: {trigger}.",
    },
    "check_not_itself": {
        "en": "By itself it would not start now.",
        "es": "Por sí solo no se iniciaría ahora.",
    },
    "check_headings": {
        "en": "trigger|holds|enabled|found",
        "es": "disparador|se cumple|activo|hallazgo",
    },
    "check_loss": {"en": "loss of performance", "es": "pérdida de desempeño"},
    "check_labels": {"en": "new labels", "es": "etiquetas nuevas"},
    "check_age": {"en": "age", "es": "edad"},
    "check_cron": {"en": "schedule", "es": "horario"},
    "check_drift": {"en": "drift (only warns)", "es": "deriva (solo avisa)"},
    "check_found_loss": {
        "en": "since {since}, {n} labels, {effect:+.3f}",
        "es": "desde {since}, {n} etiquetas, {effect:+.3f}",
    },
    "check_found_labels": {"en": "{n} of {needed}", "es": "{n} de {needed}"},
    "check_found_age": {"en": "{age_h} h of {max_age_h} h", "es": "{age_h} h de {max_age_h} h"},
    "check_found_cron": {"en": "{cron}, next {next_at}", "es": "{cron}, próximo {next_at}"},
    "check_found_drift": {"en": "{n_columns} columns", "es": "{n_columns} columnas"},
    "check_active_job": {
        "en": "Obstacle: job {job_id} is active.",
        "es": "Obstáculo: el trabajo {job_id} está activo.",
    },
    "check_cooldown": {
        "en": "Obstacle: cooling down until {until} (by hand it starts all the same).",
        "es": "Obstáculo: en enfriamiento hasta {until} (a mano se inicia igual).",
    },
    "check_not_enough": {
        "en": "Obstacle: {found} of {needed} labelled answers that have judged no version yet.",
        "es": "Obstáculo: {found} de {needed} respuestas con resultado que aún no juzgan una "
        "versión.",
    },
    "yes": {"en": "yes", "es": "sí"},
    "no": {"en": "no", "es": "no"},
    "no_jobs": {"en": "No jobs.", "es": "Sin trabajos."},
    "jobs_headings": {
        "en": "job|kind|model|state|asked by|when|what came of it",
        "es": "trabajo|tipo|modelo|estado|pedido por|cuándo|qué resultó",
    },
    "job_title": {
        "en": "Job {job_id}: {kind} {model}  [{state}]",
        "es": "Trabajo {job_id}: {kind} {model}  [{state}]",
    },
    "job_asked": {
        "en": "  asked by {who} at {when}, attempt {attempts} of {max_attempts}",
        "es": "  pedido por {who} el {when}, intento {attempts} de {max_attempts}",
    },
    "job_step": {"en": "  {step:<9} {state}", "es": "  {step:<9} {state}"},
    "job_error": {"en": "  {detail}\n  -> {remedy}", "es": "  {detail}\n  -> {remedy}"},
    "job_state_queued": {"en": "waiting", "es": "en espera"},
    "job_state_running": {"en": "running", "es": "en curso"},
    "job_state_succeeded": {"en": "done", "es": "terminado"},
    "job_state_done": {"en": "done", "es": "terminado"},
    "job_state_failed": {"en": "failed", "es": "falló"},
    "job_state_cancelled": {"en": "cancelled", "es": "cancelado"},
    "job_cancelled": {
        "en": "Job {job_id}: {state}.",
        "es": "Trabajo {job_id}: {state}.",
    },
    "job_cancelling": {
        "en": "Job {job_id} stops at its next step.",
        "es": "El trabajo {job_id} se detiene en su próximo paso.",
    },
    "work_started": {
        "en": "{kind} of {model} began (job {job_id}).",
        "es": "{kind} de {model} comenzó (trabajo {job_id}).",
    },
    "work_succeeded": {"en": "{sentence}", "es": "{sentence}"},
    "work_failed": {
        "en": "{kind} of {model} failed (job {job_id}); the version in production goes on.",
        "es": "{kind} de {model} falló (trabajo {job_id}); la versión en producción sigue.",
    },
    "work_cancelled": {
        "en": "{kind} of {model} was cancelled (job {job_id}).",
        "es": "{kind} de {model} fue cancelado (trabajo {job_id}).",
    },
}
