"""The lines that a demo prints, in English and Spanish."""

TEXTS: dict[str, dict[str, str]] = {
    "city": {
        "en": "A city of {ambulances} ambulances begins to call (seed {seed}).",
        "es": "Una ciudad con {ambulances} ambulancias comienza a llamar (semilla {seed}).",
    },
    "early": {
        "en": "{n} calls before there is a version: {rules} answered by the rules, {baseline} by "
        "the baseline, {model} by a model.",
        "es": "{n} llamadas antes de que haya una versión: {rules} respondidas por las reglas, "
        "{baseline} por la línea base, {model} por un modelo.",
    },
    "champion": {
        "en": "{version} is in production.",
        "es": "{version} está en producción.",
    },
    "no_champion": {
        "en": "No version went into production within {seconds:.0f} s; the rules go on answering.",
        "es": "Ninguna versión entró en producción en {seconds:.0f} s; las reglas siguen "
        "respondiendo.",
    },
    "traffic": {
        "en": "{n} calls answered in {seconds:.1f} s: {model} by the model, {rules} by the rules; "
        "half of them within {p50_ms:.1f} ms, 99 of 100 within {p99_ms:.1f} ms.",
        "es": "{n} llamadas respondidas en {seconds:.1f} s: {model} por el modelo, {rules} por las "
        "reglas; la mitad en menos de {p50_ms:.1f} ms, 99 de 100 en menos de {p99_ms:.1f} ms.",
    },
    "traffic_without_model": {
        "en": "{n} calls answered in {seconds:.1f} s, none by a model: {rules} by the rules, "
        "{baseline} by the baseline.",
        "es": "{n} llamadas respondidas en {seconds:.1f} s, ninguna por un modelo: {rules} por las "
        "reglas, {baseline} por la línea base.",
    },
    "outcomes": {
        "en": "{joined} of {sent} outcomes have found their prediction.",
        "es": "{joined} de {sent} resultados encontraron su predicción.",
    },
    "accuracy": {
        "en": "The model was right in {value:.1%} [{low:.1%}, {high:.1%}] of {n} calls; always "
        "saying the commoner answer: {baseline:.1%}.",
        "es": "El modelo acertó en {value:.1%} [{low:.1%}, {high:.1%}] de {n} llamadas; responder "
        "siempre lo más común: {baseline:.1%}.",
    },
    "count": {
        "en": "Counted from outside: {lost} predictions lost, {doubled} doubled.",
        "es": "Contado desde afuera: {lost} predicciones perdidas, {doubled} duplicadas.",
    },
    "hour": {
        "en": "{time} in the city: {n} calls so far, {model} by the model, {rules} by the rules, "
        "{outcomes} outcomes, accuracy {accuracy}.",
        "es": "{time} en la ciudad: {n} llamadas hasta ahora, {model} por el modelo, {rules} por "
        "las reglas, {outcomes} resultados, exactitud {accuracy}.",
    },
}


def line(key: str, lang: str, **facts: object) -> str:
    """Give one line with its facts filled in."""
    return TEXTS[key][lang].format(**facts)
