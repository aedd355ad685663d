"""The sentences of the command line, in English and Spanish; equal keys and fields (tested)."""

from timonel.cli.phrases.alerts import ALERT_TEXTS
from timonel.cli.phrases.bench import BENCH_TEXTS
from timonel.cli.phrases.drift import DRIFT_TEXTS
from timonel.cli.phrases.experiments import EXPERIMENT_TEXTS
from timonel.cli.phrases.explain import EXPLAIN_TEXTS
from timonel.cli.phrases.keys import KEY_TEXTS
from timonel.cli.phrases.metrics import METRIC_TEXTS
from timonel.cli.phrases.performance import PERFORMANCE_TEXTS
from timonel.cli.phrases.register import REGISTER_TEXTS
from timonel.cli.phrases.retrain import RETRAIN_TEXTS

TEXTS: dict[str, dict[str, str]] = {
    "serving_at": {
        "en": "Timonel serves {project} at {url}",
        "es": "Timonel sirve {project} en {url}",
    },
    "addresses": {
        "en": "  overview   {url}/ui/\n  API        {url}/docs\n  predict    POST {url}/v1/models/"
        "{model}/predict",
        "es": "  panorama   {url}/ui/\n  API        {url}/docs\n  predecir   POST {url}/v1/models/"
        "{model}/predict",
    },
    "addresses_predict": {
        "en": "  predict    POST {url}/v1/models/{model}/predict\n  ready      {url}/readyz",
        "es": "  predecir   POST {url}/v1/models/{model}/predict\n  listo      {url}/readyz",
    },
    "nothing_declared": {
        "en": "  no model is declared in this database yet: start `timonel up`, or `timonel serve` "
        "with role all or control, where the project's code is; it is served within a second",
        "es": "  aún no hay modelos declarados en esta base de datos: inicie `timonel up`, o "
        "`timonel serve` con rol all o control, donde esté el código del proyecto; se sirve en un "
        "segundo",
    },
    "stop_hint": {
        "en": "Ctrl-C stops it; what was acknowledged is kept.",
        "es": "Ctrl-C lo detiene; lo que se confirmó queda guardado.",
    },
    "logs_in": {
        "en": "Log lines are in {folder}",
        "es": "Los registros están en {folder}",
    },
    "path_hint": {
        "en": 'To use `timonel` in this shell:  export PATH="{folder}:$PATH"',
        "es": 'Para usar `timonel` en esta consola:  export PATH="{folder}:$PATH"',
    },
    "stopped": {
        "en": "Stopped. Everything acknowledged is in the database.",
        "es": "Detenido. Todo lo confirmado está en la base de datos.",
    },
    "stopped_lag": {
        "en": "Stopped with {bytes} bytes still in the spool; the next start stores them.",
        "es": "Detenido con {bytes} bytes aún en la cola; el próximo inicio los guarda.",
    },
    "declared": {
        "en": "Declared: {models}",
        "es": "Declarado: {models}",
    },
    "training_first": {
        "en": "{model} has no version yet: training the first one; until then rules or the "
        "baseline answer (no_version).",
        "es": "{model} aún no tiene versión: se entrena la primera; mientras tanto responden las "
        "reglas o la línea base (no_version).",
    },
    "training": {"en": "Training {model} ...", "es": "Entrenando {model} ..."},
    "training_failed": {
        "en": "Training {model} failed; rules or the baseline go on answering.",
        "es": "El entrenamiento de {model} falló; siguen respondiendo las reglas o la línea base.",
    },
    "trained": {
        "en": "{version} trained on {n_train} rows, measured on {n_test} rows it never saw: "
        "{metric} {value} [{lower}, {upper}] (95 %); baseline {baseline}.",
        "es": "{version} entrenado con {n_train} filas, medido en {n_test} filas que nunca vio: "
        "{metric} {value} [{lower}, {upper}] (95 %); línea base {baseline}.",
    },
    "trained_rules": {
        "en": "The rules reach {metric} {value} on the same rows.",
        "es": "Las reglas alcanzan {metric} {value} en las mismas filas.",
    },
    "trained_compiled": {
        "en": "Compiled as {predictor}; parity: {parity}.",
        "es": "Compilado como {predictor}; paridad: {parity}.",
    },
    "promoted": {
        "en": "{version} is in production ({reason}).",
        "es": "{version} está en producción ({reason}).",
    },
    "not_promoted": {
        "en": "{version} is not in production: {reason}. `timonel promote {model} {number}` "
        "promotes it.",
        "es": "{version} no está en producción: {reason}. `timonel promote {model} {number}` lo "
        "promueve.",
    },
    "by_hand": {"en": "by hand", "es": "a mano"},
    "reloaded": {
        "en": "{current} of {live} running servers use it now.",
        "es": "{current} de {live} servidores en marcha ya lo usan.",
    },
    "rolled_back": {
        "en": "{model} is back on {version}.",
        "es": "{model} volvió a {version}.",
    },
    "no_versions": {
        "en": "No versions yet. `timonel train {model}` makes the first one.",
        "es": "Aún no hay versiones. `timonel train {model}` crea la primera.",
    },
    "versions_headings": {
        "en": "version|stage|alias|metric|value|baseline|trained on|serves as|created|by",
        "es": "versión|etapa|alias|métrica|valor|línea base|filas|sirve como|creada|por",
    },
    "history_headings": {
        "en": "when|version|from|to|who|why",
        "es": "cuándo|versión|desde|hacia|quién|por qué",
    },
    "imported": {
        "en": "{total} rows read: {joined} joined, {revised} revised, {identical} already known, "
        "{early} early (wait for their prediction), {unknown} of unknown predictions, {invalid} "
        "unusable.",
        "es": "{total} filas leídas: {joined} unidas, {revised} corregidas, {identical} ya "
        "conocidas, {early} anticipadas (esperan su predicción), {unknown} de predicciones "
        "desconocidas, {invalid} no utilizables.",
    },
    "imported_rejected": {
        "en": "Those not used are in {file}, each with its reason.",
        "es": "Las no usadas están en {file}, cada una con su motivo.",
    },
    "predicted": {
        "en": "{n} rows answered ({model_n} by the model, {fallback_n} by rules or baseline), "
        "{errors} refused; written to {file}, logged in {project}.",
        "es": "{n} filas respondidas ({model_n} por el modelo, {fallback_n} por reglas o línea "
        "base), {errors} rechazadas; escrito en {file}, registrado en {project}.",
    },
    "migrated": {
        "en": "The database is at this release's schema.",
        "es": "La base de datos está en el esquema de esta versión.",
    },
    "worker_started": {
        "en": "Worker of {project}: trainings, retrainings, checks, alerts, late outcomes.",
        "es": "Trabajador de {project}: entrenamientos, reentrenamientos, chequeos, alertas, "
        "resultados tardíos.",
    },
    "matured": {
        "en": "{model}: {n} predictions without an outcome matured to {value}.",
        "es": "{model}: {n} predicciones sin resultado maduraron a {value}.",
    },
    "init_next": {
        "en": "Next:\n  cd {folder}\n  timonel up",
        "es": "Ahora:\n  cd {folder}\n  timonel up",
    },
    "ask_date": {
        "en": "Column {column}: is {sample} day/month (d) or month/day (m)? ",
        "es": "Columna {column}: ¿{sample} es día/mes (d) o mes/día (m)? ",
    },
    "doctor_ok": {"en": "ok", "es": "bien"},
    "doctor_warning": {"en": "warning", "es": "aviso"},
    "doctor_failed": {"en": "FAILED", "es": "FALLA"},
    "demo_start": {
        "en": "The demo: a simulated city asks for ambulances; the model says whether the nearest "
        "one will be a good assignment. Folder: {folder}",
        "es": "La demostración: una ciudad simulada pide ambulancias; el modelo dice si la más "
        "cercana será una buena asignación. Carpeta: {folder}",
    },
    **ALERT_TEXTS,
    **BENCH_TEXTS,
    **RETRAIN_TEXTS,
    **DRIFT_TEXTS,
    **EXPLAIN_TEXTS,
    **PERFORMANCE_TEXTS,
    **METRIC_TEXTS,
    **EXPERIMENT_TEXTS,
    **KEY_TEXTS,
    **REGISTER_TEXTS,
}
