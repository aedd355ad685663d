"""The sentences of `timonel performance`, in English and Spanish."""

PERFORMANCE_TEXTS: dict[str, dict[str, str]] = {
    "performance_none": {
        "en": "{model}: nothing was judged yet. `timonel up` or `timonel worker` estimates a "
        "window when an hour of traffic is complete, and measures it when its outcomes come.",
        "es": "{model}: aún no se juzga nada. `timonel up` o `timonel worker` estima una ventana "
        "cuando se completa una hora de tráfico, y la mide cuando llegan sus resultados.",
    },
    "performance_title": {
        "en": "{model}: {metric}, {baseline} on its holdout; worse than {limit} is a loss",
        "es": "{model}: {metric}, {baseline} en su prueba; peor que {limit} es una pérdida",
    },
    "performance_headings": {
        "en": "from|to|answers|estimated|state|realised|outcomes|scores hold|note",
        "es": "desde|hasta|respuestas|estimado|estado|realizado|resultados|puntajes valen|nota",
    },
    "performance_looks": {
        "en": "The newest word of each look at the outcomes:",
        "es": "Lo último que dijo cada mirada a los resultados:",
    },
    "performance_look_headings": {
        "en": "look|until|value|outcomes|state|note",
        "es": "mirada|hasta|valor|resultados|estado|nota",
    },
    "performance_look_prediction": {
        "en": "by time of prediction",
        "es": "por hora de la predicción",
    },
    "performance_look_arrival": {
        "en": "by arrival of the outcome",
        "es": "por llegada del resultado",
    },
    "performance_look_since_deploy": {"en": "since the deploy", "es": "desde el despliegue"},
    "performance_look_stream": {
        "en": "errors one after the other",
        "es": "errores uno tras otro",
    },
    "performance_blind": {
        "en": "Estimates follow the scores: none of them sees concept drift. That the scores still "
        "hold is known only once outcomes come.",
        "es": "Las estimaciones siguen a los puntajes: ninguna ve la deriva de concepto. Que los "
        "puntajes aún valen se sabe solo cuando llegan los resultados.",
    },
}
