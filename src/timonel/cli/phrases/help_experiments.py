"""What `timonel experiment --help` says, in Spanish, by what it says in English."""

EXPERIMENT_HELP_ES: dict[str, str] = {
    "Experiments: two versions (or a version and the rules) compared on real traffic.": (
        "Experimentos: dos versiones (o una versión y las reglas) comparadas con tráfico real."
    ),
    "List experiments with what their last look says.": (
        "Lista los experimentos con lo que dice su última mirada."
    ),
    "Make a draft; nothing happens to traffic until it is started.": (
        "Hace un borrador; nada cambia en el tráfico hasta que se inicia."
    ),
    "Name of the experiment.": "Nombre del experimento.",
    "A version such as 1.0.0, rules, or external.": (
        "Una versión, por ejemplo 1.0.0, rules (las reglas) o external (actúa otro)."
    ),
    "A version such as 1.1.0, rules, or external.": (
        "Una versión, por ejemplo 1.1.0, rules (las reglas) o external (actúa otro)."
    ),
    "File of the units to assign at once, in mode outside.": (
        "Archivo de las unidades que se asignan de una vez, en modo outside."
    ),
    "Column that holds the units' ids; default unit_id.": (
        "Columna con los identificadores de las unidades; si falta, unit_id."
    ),
    "Column of that file: exact shares within each of its values.": (
        "Columna de ese archivo: partes exactas dentro de cada uno de sus valores."
    ),
    "Of that assignment; drawn and shown by default.": (
        "Semilla de esa asignación; si falta, se sortea y se muestra."
    ),
    "Write the assignment of a list of units, for whoever acts on it.": (
        "Escribe la asignación de una lista de unidades, para quien actúa."
    ),
    "CSV file to write: each unit and its arm.": (
        "Archivo CSV que se escribe: cada unidad y su variante."
    ),
    "Record what came of units; twice the same changes nothing.": (
        "Registra qué pasó con las unidades; repetirlo no cambia nada."
    ),
    "A further arm, with THOMPSON. May be repeated.": (
        "Otra variante, con THOMPSON. Se puede repetir."
    ),
    "Percent that every arm keeps, with THOMPSON; default 5.": (
        "Porcentaje que conserva cada variante, con THOMPSON; si falta, 5."
    ),
    "How long shares stay at least, with THOMPSON; default 24.": (
        "Horas que duran las partes al menos, con THOMPSON; si falta, 24."
    ),
    "Hours that answers share their weather for, in mode shadow: 24, 168.": (
        "Horas en que las respuestas comparten circunstancias, en modo shadow: 24, 168."
    ),
    "Cost of a piece left over, in pairs of forecasts: gives metric cost.": (
        "Costo de una pieza que sobra, en pares de pronósticos: da la métrica cost."
    ),
    "Cost of a piece that is short, beside --holding.": (
        "Costo de una pieza que falta, junto a --holding."
    ),
    "How long clicks on a list count, in mode interleave; default 30.": (
        "Cuánto tiempo cuentan los clics en una lista, en modo interleave; si falta, 30."
    ),
    "Different for each list that is shown.": "Distinto para cada lista que se muestra.",
    "The control's items, best first: a,b,c.": (
        "Los elementos del control, el mejor primero: a,b,c."
    ),
    "The treatment's items, best first: b,d,a.": (
        "Los elementos del tratamiento, el mejor primero: b,d,a."
    ),
    "Whom clicks belong to; default: the request.": (
        "De quién son los clics; si falta, de la petición."
    ),
    "The most items to show.": "Cuántos elementos mostrar a lo más.",
    "Make one list of two rankings by team draft, and log whose each item is.": (
        "Forma una lista con dos órdenes, por turnos de equipos, y registra de quién es cada uno."
    ),
    "Items of that list.": "Elementos de esa lista.",
    "Tell which items of a list were clicked; twice the same changes nothing.": (
        "Dice qué elementos de una lista recibieron clics; repetirlo no cambia nada."
    ),
    "With --unit.": "Con --unit.",
    "One unit, in the place of a file.": "Una unidad, en lugar de un archivo.",
    "A further metric, in mode outside or of pairs of forecasts. May be repeated.": (
        "Otra métrica, en modo outside o de pares de pronósticos. Se puede repetir."
    ),
    "Of a metric of yours, in mode outside.": "De una métrica suya, en modo outside.",
    "Its model; the only one by default.": "Su modelo; si falta, el único.",
    "split; ramp: the share grows while nothing speaks against it; shadow: the treatment answers "
    "unheard; outside: someone else acts; interleave: two rankings become one list, and clicks "
    "choose.": (
        "split (dividir); ramp: la parte crece mientras nada habla en contra; shadow: el "
        "tratamiento responde sin ser oído; outside: actúa otro; interleave: dos órdenes forman "
        "una lista y los clics eligen."
    ),
    "Percent for the treatment.": "Porcentaje para el tratamiento.",
    "RANDOM_50_50, WEIGHT_BASED, ROUND_ROBIN, TIME_BASED, THOMPSON.": (
        "RANDOM_50_50, WEIGHT_BASED, ROUND_ROBIN, TIME_BASED o THOMPSON."
    ),
    "unit (unit_id or key of the request), request, or block.": (
        "unit (unit_id o clave de la petición), request (cada petición) o block (bloque)."
    ),
    "Length of a block of TIME_BASED; default 1.": "Horas de un bloque de TIME_BASED; si falta, 1.",
    "With an end: group-sequential bounds.": "Con un final: límites secuenciales por grupos.",
    "Units in all, as planned.": "Unidades en total, según el plan.",
    "Default: correct, or absolute_error. Mode outside: revenue, or revenue/orders.": (
        "Si falta: correct, o absolute_error. En modo outside: revenue, o revenue/orders."
    ),
    "How much worse still passes; 0 asks for better.": (
        "Cuánto peor se acepta todavía; 0 exige que sea mejor."
    ),
    "For all looks together.": "Para todas las miradas juntas.",
    "Percent kept on the rules.": "Porcentaje que se queda con las reglas.",
    "NAME:0-0.5: a part of the units.": "NOMBRE:0-0.5: una parte de las unidades.",
    "fallback, error, slow, slow:MILLISECONDS, or METRIC:bad of what you record as 1 and 0; with "
    "@RATIO. METRIC:lower or METRIC:higher; with @MARGIN. May be repeated.": (
        "fallback, error, slow, slow:MILISEGUNDOS, o MÉTRICA:bad de lo que registra como 1 y 0; "
        "con @RAZÓN. MÉTRICA:lower (menos es mejor) o MÉTRICA:higher (más es mejor); con @MARGEN. "
        "Se puede repetir."
    ),
    "Column of that file: what was known of each unit before (CUPED).": (
        "Columna de ese archivo: lo que se sabía de cada unidad antes (CUPED)."
    ),
    "Percent of the control's values; the goal above counts as that.": (
        "Porcentaje de los valores del control; el objetivo por encima cuenta como ese."
    ),
    "'age >= 18': rows that take part. May be repeated.": (
        "'edad >= 18': filas que participan. Se puede repetir."
    ),
    "Percent of a ramp's step. May be repeated.": (
        "Porcentaje de un paso de la rampa. Se puede repetir."
    ),
    "The least a step lasts; default 1.": "Lo menos que dura un paso, en horas; si falta, 1.",
    "The least labelled units of the treatment in a step under 5 %; 4 times as many from 5 %, "
    "10 from 25 %, 30 from 50 %: more find smaller harm, and take longer. Default 100.": (
        "Las unidades con resultado que el tratamiento necesita al menos en un paso de menos de "
        "5 %; 4 veces más desde 5 %, 10 desde 25 %, 30 desde 50 %: con más se ve un daño menor, y "
        "tarda más. Si falta, 100."
    ),
    "Let a draft assign traffic.": "Inicia un borrador: asigna tráfico.",
    "Let the control answer everything for a while.": "Por un tiempo, el control responde todo.",
    "Assign again, with the shares from before the pause.": (
        "Asigna de nuevo, con las partes de antes de la pausa."
    ),
    "End an experiment for good, or drop a draft; the champion answers everything.": (
        "Termina un experimento o descarta un borrador; la versión en producción responde todo."
    ),
    "Grow the treatment's share; a unit that has it keeps it.": (
        "Aumenta la parte del tratamiento; quien lo tiene lo conserva."
    ),
    "For the treatment.": "Para el tratamiento.",
    "Show an experiment: its arms, its last look, and what was done with it.": (
        "Muestra un experimento: sus variantes, su última mirada y lo que se hizo con él."
    ),
    "Judge what is known now; the look is stored, and a ramp follows it.": (
        "Juzga lo que se sabe ahora; la mirada se guarda, y una rampa la sigue."
    ),
    "dynamic-prices, churn-alert or demand-forecast; fills in the rest.": (
        "dynamic-prices, churn-alert o demand-forecast; completa lo demás."
    ),
    "Days from the start on which outcomes are known; 30, 60 or 90.": (
        "Días desde el inicio en que se conocen los resultados; 30, 60 o 90."
    ),
    "What is expected, and why; kept with the design.": (
        "Qué se espera y por qué; se guarda con el diseño."
    ),
    "Report an experiment as Markdown, by its last look.": (
        "Informe de un experimento en Markdown, según su última mirada."
    ),
    "Folder (made if missing) or .md file; default: the terminal.": (
        "Carpeta (se crea si falta) o archivo .md; si falta, la terminal."
    ),
    "Judge past looks again, bit for bit; ends with 1 where something differs.": (
        "Juzga de nuevo las miradas pasadas, bit a bit; termina con 1 si algo difiere."
    ),
    "Only so many of the newest looks.": "Solo tantas de las miradas más nuevas.",
    "Count the sums again from the log, too.": "Cuenta también las sumas de nuevo, del registro.",
    "Say how many units an experiment needs, and how many days by this log's own traffic.": (
        "Dice cuántas unidades necesita un experimento, y cuántos días con el tráfico del registro."
    ),
    "A version or rules; default: what answers now.": (
        "Una versión o rules; por omisión, lo que responde hoy."
    ),
    "Improvement to find, absolute: 0.02 is 2 points. May be repeated.": (
        "Mejora que se quiere encontrar, absoluta: 0.02 son 2 puntos. Puede repetirse."
    ),
    "unit (unit_id or key of the request), or request.": (
        "unit (unit_id o clave de la petición), o request."
    ),
    "Chance of finding the effect.": "Probabilidad de encontrar el efecto.",
    "The control's metric, in the place of the log's.": (
        "La métrica del control, en lugar de la del registro."
    ),
    "Standard deviation of one unit, likewise.": "Desviación estándar de una unidad, igualmente.",
    "Units a day, likewise.": "Unidades al día, igualmente.",
    "Label delay, likewise.": "Demora de los resultados, igualmente.",
    "Also draw the power as SVG here.": "Dibuja además la potencia como SVG aquí.",
    "Play experiments without a difference on this log, and count false decisions.": (
        "Juega experimentos sin diferencia sobre este registro, y cuenta las decisiones erradas."
    ),
    "Random assignments.": "Asignaciones al azar.",
    "About so many labelled answers; of more, some units.": (
        "Unas tantas respuestas con resultado; si hay más, parte de las unidades."
    ),
    "The same seed, the same runs.": "La misma semilla, las mismas corridas.",
}
