"""What alerts say, in Spanish; the same facts as in English (tested)."""

from timonel.alerts.phrases.form import Phrases
from timonel.signals import Kind

_UNUSUAL = (
    "{series} de {model} no es como a esta hora otros días",
    "{series} es {observed}, lo usual es {usual} (a {z} dispersiones, en {minutes_out} de los "
    "últimos 5 minutos).",
    "Alrededor de {usual}, como en las mismas horas de antes.",
)
"""Of an anomaly: title, what was seen, what was expected."""

PHRASES: dict[Kind, Phrases] = {
    Kind.DRIFT_DETECTED: Phrases(
        title=(
            "Simulacro: deriva de {column} en {model} ({simulated})",
            "Deriva de concepto: las respuestas de {model} valen menos ({concept})",
            "Deriva en {column} de {model}",
            "Deriva en lo que se pregunta a {model}",
            "Deriva en lo que se pregunta a un modelo",
        ),
        seen=(
            "`timonel drift simulate` ({simulated}) movió {column} en {effect} en {n} filas "
            "reservadas al entrenar. No se tocó ninguna petición.",
            "En {n} resultados {concept} es {realised}; los puntajes prometían {estimate} "
            "[{lower}, {upper}] (p = {p_value}).",
            "En el flujo de resultados los errores subieron de {before:%} a {after:%} ({concept}).",
            "Los errores subieron en el flujo de resultados ({concept}).",
            "Respecto de su referencia, {column} se movió en {effect} ({test}, p = {p_value}) en "
            "{n} filas. Parece {looks_like}.",
            "Respecto de su referencia, {column} se movió en {effect} ({test}, p = {p_value}) en "
            "{n} filas.",
            "Respecto de su referencia, {column} se movió en {effect} en {n} filas.",
            "{column} ya no se distribuye como en su referencia.",
            "Lo que llega ya no se distribuye como en su referencia.",
        ),
        expected=(
            "Resultados que cumplan lo que prometen los puntajes: {concept} a lo más {floor} peor.",
            "Un efecto de a lo más {floor}, o uno que el azar explique.",
            "La distribución de los datos con que se entrenó la versión.",
        ),
        steps=(
            "Nada anda mal: resuelva esta alerta ({simulated}). En serio haría:",
            "Pregunte a quien entrega {column} si cambió su origen, unidad o codificación: una "
            "falla en los datos se corrige allí, no entrenando.",
            "Vea en qué ventanas, y si las entradas también se movieron: "
            "`timonel performance {model}` ({concept}).",
            "Vea si las respuestas por {column} empeoraron: `timonel drift {model}`. La sola "
            "deriva de las entradas no es motivo para reentrenar.",
            "Si el mundo cambió y las respuestas sufren, ejecute `timonel retrain {model}`.",
            "Si no hay nada malo, resuelva la alerta y diga por qué.",
        ),
    ),
    Kind.PERFORMANCE_DEGRADATION: Phrases(
        title=(
            "{model} parece responder peor que antes ({metric} estimado en {estimate})",
            "{model} responde peor que antes",
            "Un modelo responde peor que antes",
        ),
        seen=(
            "{metric} se estima en {estimate} [{lower}, {upper}] en {n} respuestas cuyos "
            "resultados no han llegado; era {baseline} en filas que la versión nunca vio. Nada "
            "está confirmado.",
            "{metric} es {value} [{lower}, {upper}] en {n} resultados; era {baseline} en filas "
            "que la versión nunca vio.",
            "{metric} es {value} en {n} resultados; era {baseline} en filas que la versión nunca "
            "vio.",
            "{metric} es {value}.",
            "Los resultados contradicen las respuestas más a menudo que antes.",
        ),
        expected=(
            "{metric} a no más de {threshold} de {baseline}.",
            "La calidad que tenía la versión al entrenarse.",
        ),
        steps=(
            "Una estimación de {estimate} sigue a los puntajes: espere los resultados, o "
            "apúrelos, antes de reentrenar. Vea `timonel performance {model}`.",
            "Vea si las entradas derivan al mismo tiempo: `timonel alerts list --model {model}`.",
            "Si comenzó con una versión nueva, vuelva atrás: `timonel rollback {model}`.",
            "Si no, entrene con lo ocurrido desde entonces: `timonel retrain {model}`.",
            "Compruebe que los resultados mismos sean correctos antes de actuar.",
        ),
    ),
    Kind.SERVICE_DOWN: Phrases(
        title=(
            "{model} no está en servicio",
            "El servicio no está sano: {dimension}",
            "El servicio no responde",
        ),
        seen=("{dimension}: {reason}.", "{reason}.", "El servicio no está sano."),
        expected=("Cada parte del servicio responde.",),
        steps=(
            "Vea qué funciona y qué no: `timonel doctor`, o `GET /health`.",
            "Lea el registro de `timonel serve`, e inícielo de nuevo si terminó.",
        ),
    ),
    Kind.HIGH_FALLBACK_RATE: Phrases(
        title=(
            _UNUSUAL[0],
            "Las reglas responden por {model} demasiado a menudo",
            "Las reglas responden demasiado a menudo",
        ),
        seen=(
            _UNUSUAL[1],
            "Reglas o línea base respondieron {n_fallback} de {n} predicciones ({rate:%}): "
            "{reasons}.",
            "Reglas o línea base respondieron {n_fallback} de {n} predicciones ({rate:%}).",
            "Reglas o línea base respondieron {rate:%} de las predicciones.",
            "Reglas o línea base responden en lugar del modelo.",
        ),
        expected=(_UNUSUAL[2], "A lo más {threshold:%}.", "El modelo responde casi siempre."),
        steps=(
            "Vea los motivos: timeout pide más tiempo o procesos, low_confidence otro modelo, "
            "model_error el registro.",
            "Si comenzó con una versión nueva, vuelva atrás: `timonel rollback {model}`.",
        ),
    ),
    Kind.LOW_CONFIDENCE: Phrases(
        title=(_UNUSUAL[0], "{model} duda demasiado a menudo", "Un modelo duda demasiado a menudo"),
        seen=(
            _UNUSUAL[1],
            "La confianza media de {n} respuestas es {value}.",
            "{rate:%} de {n} respuestas fueron de baja confianza.",
            "Los puntajes están más cerca del azar que antes.",
        ),
        expected=(
            _UNUSUAL[2],
            "Al menos {threshold}.",
            "La confianza que tenía la versión al entrenarse.",
        ),
        steps=(
            "Vea si las entradas derivan: `timonel drift {model}`.",
            "Cuando haya resultados, compare su exactitud con la del entrenamiento.",
        ),
    ),
    Kind.DATA_QUALITY: Phrases(
        title=(
            "Datos malos en {column} de {model}",
            "Llegan filas fuera de lo común a {model} ({n_outliers} de {n})",
            "{model} se declara con otro esquema que el que aprendió {trained}",
            "Se envían datos malos a {model}",
            "Llegan datos malos",
        ),
        seen=(
            "{rate:%} de {n} filas no cumplen una regla de {column}: {reason}.",
            "{n_outliers} de {n} filas se salen de lo común ({rate:%}; de las ordinarias, "
            "{usual:%}), sobre todo por: {columns}.",
            "{trained} se entrenó con otro esquema. Campos que difieren: {differs}.",
            "Se rechazaron {n_refused} de {n} filas ({rate:%}), por campo: {fields}.",
            "Se rechazaron {n_refused} de {n} filas ({rate:%}).",
            "{reason}.",
            "Hay filas que no cumplen las reglas del esquema.",
        ),
        expected=(
            "A lo más {threshold:%}.",
            "El esquema con que se entrenó {trained}.",
            "Filas que respetan el esquema declarado.",
        ),
        steps=(
            "Las peticiones se miden con el esquema de {trained} hasta que sirva otra versión: "
            "`timonel train {model}`. `timonel doctor` dice qué difiere.",
            "Vea qué tienen de malo: los errores de las peticiones rechazadas nombran el campo, el "
            "valor y lo esperado; `timonel drift {model}` las cuenta por campo ({fields}).",
            "Mire filas así de ese tiempo: vea si {columns} llegó en otra unidad, otro orden u "
            "otra codificación, o de otra fuente.",
            "Pregunte a quien entrega {column} qué cambió.",
            "Si los valores nuevos son correctos, corrija el esquema en model.py y reentrene.",
        ),
    ),
    Kind.MEMORY_USAGE: Phrases(
        title=(
            "El proceso {process} de {host} usa demasiada memoria",
            "Falta memoria en {host}",
            "Un proceso usa demasiada memoria",
        ),
        seen=(
            "{process} (proceso {pid}) usa {used_mb} MB.",
            "En {host} se usan {used_mb} de {total_mb} MB.",
            "Falta memoria.",
        ),
        expected=("A lo más {allowed_mb} MB.", "Un uso de memoria que se mantiene parejo."),
        steps=(
            "Si `kill {restarted}` la libera, el proceso crece con el tiempo: se inicia de "
            "nuevo y las predicciones en cola se conservan.",
            "Baje `workers` o `native_processes`, o dé más memoria al equipo.",
            "Si tanto es lo habitual, suba `memory_mb` (de un proceso) o `memory_share` (del "
            "equipo) en timonel.toml.",
        ),
    ),
    Kind.DISK_FULL: Phrases(
        title=("El disco de {host} está casi lleno", "Un disco está casi lleno"),
        seen=("Quedan libres {free_mb} de {total_mb} MB.", "Queda poco libre."),
        expected=("Al menos 2 GB libres, o un décimo de un disco más chico.",),
        steps=(
            "Libere o agregue espacio: sin él las predicciones se rechazan o se responden sin "
            "registro (`spool_full`).",
            "Vea qué lo ocupa: `timonel doctor`, y `du -sh` en la carpeta de estado.",
        ),
    ),
    Kind.DATABASE_ERROR: Phrases(
        title=("La base de datos no responde como debe",),
        seen=(
            "No se pudo leer por {away_s} s, hasta ahora.",
            "{dimension}: {reason}.",
            "{reason}.",
            "Fallan lecturas o escrituras de la base de datos.",
        ),
        expected=("Una base de datos que se pueda leer y escribir.",),
        steps=(
            "Revísela con `timonel doctor`: dirección, permisos, espacio en disco.",
            "Las predicciones siguen y esperan en la cola; vea que su disco tenga espacio.",
        ),
    ),
    Kind.NO_DATA: Phrases(
        title=(_UNUSUAL[0], "Nadie pregunta a {model}", "Sin tráfico"),
        seen=(
            _UNUSUAL[1],
            "Ninguna predicción en {minutes} minutos.",
            "No llegó ninguna predicción.",
        ),
        expected=(
            _UNUSUAL[2],
            "Unas {usual_per_minute} por minuto, como es usual a esta hora.",
            "Tráfico como de costumbre.",
        ),
        steps=(
            "Compruebe que quienes llaman funcionan y alcanzan este servidor: `GET /readyz` desde "
            "su lado.",
            "Si el silencio es intencional, silencie esta alerta por lo que dure.",
        ),
    ),
    Kind.SLOW_RESPONSE: Phrases(
        title=(_UNUSUAL[0], "{model} responde lento", "Las respuestas son lentas"),
        seen=(
            _UNUSUAL[1],
            "{metric} es {value} ms en {n} respuestas.",
            "Las respuestas tardan {value} ms.",
            "Lento.",
        ),
        expected=(
            _UNUSUAL[2],
            "A lo más {threshold} ms.",
            "Respuestas tan rápidas como de costumbre.",
        ),
        steps=(
            "Vea si el equipo está ocupado con otra cosa.",
            "Suba `workers`, o compare con la versión anterior: `timonel versions {model}`.",
        ),
    ),
    Kind.EXPERIMENT_HARM: Phrases(
        title=("Un experimento daña a {model}", "Un experimento hace daño"),
        seen=(
            "{metric} es {value} frente a {baseline}, en {n} unidades.",
            "La variante es peor que el control.",
        ),
        expected=("Ninguna pérdida mayor que {threshold}.", "Una variante que no haga daño."),
        steps=("Detenga el experimento; luego vea qué difiere.",),
    ),
    Kind.JOB_FAILED: Phrases(
        title=(
            "Falló el trabajo {job_kind} de {model}",
            "Falló el trabajo {job_kind}",
            "Falló un trabajo",
        ),
        seen=(
            "El paso {step} terminó con: {error}",
            "Terminó con: {error}",
            "No llegó a su fin.",
        ),
        expected=("Un trabajo que termine bien; mientras tanto el campeón sigue sirviendo.",),
        steps=(
            "{remedy}",
            "Vea cada paso con `timonel jobs show {job_id}`.",
            "Corregida la causa, inícielo de nuevo; los pasos terminados no se repiten.",
        ),
    ),
    Kind.APPROVAL_PENDING: Phrases(
        title=(
            "{model}@{candidate} espera a una persona",
            "Una versión reentrenada de {model} espera a una persona",
            "Una versión reentrenada espera a una persona",
        ),
        seen=("{why}", "Fue reentrenada, y no se promueve por sí sola."),
        expected=("Que alguien la ponga en producción, o la archive.",),
        steps=(
            "Lea lo que se halló: `timonel jobs show {job_id}`.",
            "Póngala en producción: `timonel promote {model} {candidate}`.",
            "Déjela como está: el próximo reentrenamiento toma su lugar, y este aviso termina.",
        ),
    ),
    Kind.METRIC_ANOMALY: Phrases(
        title=(
            "{series} no es como era a esta hora",
            "Una métrica del proyecto no es como era",
        ),
        seen=(
            "Su media es {observed} por minuto, y suele ser {usual} (a {z} desviaciones, en "
            "{minutes_out} de los últimos 5 minutos).",
            "Sus minutos más nuevos no son como los anteriores.",
        ),
        expected=(_UNUSUAL[2], "Valores como en las mismas horas de antes."),
        steps=(
            "Vea cómo está ahora: `timonel metrics`.",
            "Pregunte qué cambió a quien mantiene el código que la anota.",
            "Si no hay nada malo, cierre la alerta y diga por qué.",
        ),
    ),
    Kind.CHECK_FAILED: Phrases(
        title=(
            "Falla la revisión {monitor} de {model}",
            "Falla la revisión {monitor}",
            "Falla una revisión",
        ),
        seen=("Terminó con: {error}", "{reason}.", "No llegó a un veredicto."),
        expected=("Un veredicto; hasta entonces nadie vigila esto.",),
        steps=(
            "{remedy}",
            "Lea el registro del trabajador; las demás revisiones siguen.",
        ),
    ),
    Kind.NOTIFIER_FAILED: Phrases(
        title=("El canal {channel} no entrega", "Un canal no entrega"),
        seen=(
            "Fallaron {attempts} intentos; el último: {error}. Esperan {waiting} mensajes.",
            "El último intento falló: {error}.",
            "Los mensajes no llegan.",
        ),
        expected=("Todo mensaje llega; ninguno se pierde, esperan en la bandeja de salida.",),
        steps=(
            "Revise el receptor y la variable de entorno que contiene su dirección.",
            "Ejecute `timonel alerts channel test {channel}`: si resulta, se envía lo que espera.",
        ),
    ),
}
