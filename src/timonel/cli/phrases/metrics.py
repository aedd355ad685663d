"""The sentences of `timonel metrics`, in English and Spanish."""

METRIC_TEXTS: dict[str, dict[str, str]] = {
    "metrics_none": {
        "en": "Nothing was recorded yet: call `timonel.metrics.record(name, value)` in rules, "
        "training code or scripts of the project. A running `timonel up` or `serve` stores it.",
        "es": "Aún no se anota nada: llame a `timonel.metrics.record(nombre, valor)` en reglas, "
        "código de entrenamiento o programas del proyecto. Lo guarda un `timonel up` o `serve` "
        "en marcha.",
    },
    "metrics_title": {
        "en": "What the project recorded in the last 60 minutes",
        "es": "Lo que anotó el proyecto en los últimos 60 minutos",
    },
    "metrics_headings": {
        "en": "metric|n|mean|std|min|p50|p95|p99|max|state",
        "es": "métrica|n|media|desv.|mín.|p50|p95|p99|máx.|estado",
    },
    "metrics_note": {
        "en": "Sums and extremes are exact; p50, p95 and p99 are within {error} % of a value.",
        "es": "Sumas y extremos son exactos; p50, p95 y p99 están a {error} % o menos de un valor.",
    },
}
