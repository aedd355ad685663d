"""The sentences of `timonel bench`, in English and Spanish."""

BENCH_TEXTS: dict[str, dict[str, str]] = {
    "bench_temporary": {
        "en": "{model} on a temporary server (one worker, a database and log of its own, removed "
        "afterwards): {rows} different rows, {concurrency} connections, at most {seconds:g} s.",
        "es": "{model} en un servidor temporal (un proceso, base y registro propios, que se "
        "eliminan): {rows} filas distintas, {concurrency} conexiones, {seconds:g} s como máximo.",
    },
    "bench_running": {
        "en": "{model} at {url}; its log keeps these predictions, marked unit_id = {unit}: {rows} "
        "different rows, {concurrency} connections, at most {seconds:g} s.",
        "es": "{model} en {url}; su registro guarda estas predicciones, marcadas con unit_id = "
        "{unit}: {rows} filas distintas, {concurrency} conexiones, {seconds:g} s como máximo.",
    },
    "bench_latency": {
        "en": "  latency     p50 {p50_ms} ms, p95 {p95_ms} ms, p99 {p99_ms} ms",
        "es": "  latencia    p50 {p50_ms} ms, p95 {p95_ms} ms, p99 {p99_ms} ms",
    },
    "bench_answers": {
        "en": "  answers     {n} in {elapsed_s} s: {per_s} a second, {failed} failed",
        "es": "  respuestas  {n} en {elapsed_s} s: {per_s} por segundo, {failed} fallidas",
    },
    "bench_fallback": {
        "en": "  answered by the model {model_rate:.1%}, by rules {rules_rate:.1%}, by the "
        "baseline {baseline_rate:.1%}",
        "es": "  respondió el modelo {model_rate:.1%}, las reglas {rules_rate:.1%}, el valor base "
        "{baseline_rate:.1%}",
    },
    "bench_cpu": {
        "en": "  CPU         {worker_us} us an answer in the worker; {server_us} us with the drain "
        "into the database",
        "es": "  CPU         {worker_us} us por respuesta en el proceso; {server_us} us con el "
        "volcado a la base de datos",
    },
    "bench_cpu_unknown": {
        "en": "  CPU         unknown: {reason}",
        "es": "  CPU         desconocida: {reason}",
    },
    "bench_one_row": {
        "en": "  One row only: real rows differ more. `--rows FILE` takes yours.",
        "es": "  Una sola fila: las reales varían más. `--rows ARCHIVO` toma las suyas.",
    },
}
