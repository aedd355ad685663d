"""The sentences of `timonel register`, in English and Spanish."""

REGISTER_TEXTS: dict[str, dict[str, str]] = {
    "register_pickle": {
        "en": "A pickle runs its maker's code while it is read: here that happens once, in that "
        "process.",
        "es": "Un pickle ejecuta el código de su autor al leerse: aquí ocurre una sola vez, en ese "
        "proceso.",
    },
    "registered": {
        "en": "{version} registered: {estimator}, brought from {file}.",
        "es": "{version} registrado: {estimator}, traído de {file}.",
    },
    "register_compiled": {
        "en": "Compiled ({predictor}): it serves without its library. Parity with the original: "
        "{parity}.",
        "es": "Compilado ({predictor}): sirve sin su biblioteca. Paridad con el original: "
        "{parity}.",
    },
    "register_native": {
        "en": "Not compiled: it runs in the pool of native processes (TIMONEL_NATIVE_PROCESSES, "
        "1 or more). {parity}.",
        "es": "Sin compilar: corre en el grupo de procesos nativos (TIMONEL_NATIVE_PROCESSES, 1 o "
        "más). {parity}.",
    },
    "register_service": {
        "en": "Not ours to run: each answer is asked of the service, with the model's deadline and "
        "rules when it fails. Parity {parity}.",
        "es": "No corre aquí: cada respuesta se pide al servicio, con el plazo del modelo y las "
        "reglas si falla. Paridad: {parity}.",
    },
    "register_unmeasured": {
        "en": "Quality unknown: it was brought fitted, no holdout was measured.",
        "es": "Calidad desconocida: llegó ajustado, no se midió en datos reservados.",
    },
    "register_on_sample": {
        "en": "On the sample ({n} rows, it may have been fitted on them): {metric} {value}; "
        "baseline {baseline}.",
        "es": "En la muestra ({n} filas, puede haberse ajustado con ellas): {metric} {value}; "
        "línea base {baseline}.",
    },
    "register_known": {
        "en": "{version} is this same file, registered before.",
        "es": "{version} es este mismo archivo, registrado antes.",
    },
    "register_not_promoted": {
        "en": "{version} is in validation, not in production: nothing measured says that it is "
        "good. `timonel promote {version}` puts it into production.",
        "es": "{version} está en validación, no en producción: ninguna medición dice que sea "
        "bueno. `timonel promote {version}` lo pone en producción.",
    },
    "register_reason": {
        "en": "by hand; no holdout was measured",
        "es": "a mano; no se midió en datos reservados",
    },
}
