"""The sentences of `timonel explain`, in English and Spanish."""

EXPLAIN_TEXTS: dict[str, dict[str, str]] = {
    "explained_answer": {
        "en": "{name} answers {prediction} (score {score})",
        "es": "{name} responde {prediction} (puntaje {score})",
    },
    "explained_by_rules": {
        "en": "  answered by its rules ({reason}); the lines that ran:",
        "es": "  respondieron sus reglas ({reason}); las líneas que corrieron:",
    },
    "explained_by_baseline": {
        "en": "  answered by the baseline ({reason}): no feature was looked at",
        "es": "  respondió la línea base ({reason}): no se miró ninguna variable",
    },
    "explained_scale": {
        "en": "  in {scale}: usually {base}, here {total}; the difference, by feature:",
        "es": "  en {scale}: normalmente {base}, aquí {total}; la diferencia, por variable:",
    },
    "explained_headings": {"en": "feature|value|adds|error", "es": "variable|valor|suma|error"},
    "scale_log_odds": {"en": "log-odds", "es": "logaritmo de la razón de chances"},
    "scale_margin": {"en": "margin before softmax", "es": "margen antes de softmax"},
    "scale_log": {"en": "logarithm of the value", "es": "logaritmo del valor"},
    "scale_probability": {"en": "probability", "es": "probabilidad"},
    "scale_value": {"en": "units of the target", "es": "unidades del objetivo"},
}
