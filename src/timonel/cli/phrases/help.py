"""What `--help` says, in Spanish, by what it says in English (tested: none is missing or idle)."""

from timonel.cli.phrases.help_experiments import EXPERIMENT_HELP_ES

HELP_ES: dict[str, str] = {
    **EXPERIMENT_HELP_ES,
    # the command, and what all of them share
    "Run machine-learning models in production as one honest closed loop.": (
        "Modelos de aprendizaje automático en producción, como un solo ciclo cerrado y honesto."
    ),
    "Print the version.": "Muestra la versión.",
    "Show this message and exit.": "Muestra esta ayuda y termina.",
    "Project folder (holds timonel.toml).": "Carpeta del proyecto (la de timonel.toml).",
    "Print one JSON document, for scripts.": "Escribe un documento JSON, para programas.",
    "Name for the history; default user@host.": (
        "Nombre para el historial; si falta, usuario@equipo."
    ),
    "Name of a declared model.": "Nombre de un modelo declarado.",
    "Only this model's.": "Solo lo de este modelo.",
    # data
    "Write a project from a table: schema, model, rules to edit; says what it decided and why.": (
        "Escribe un proyecto a partir de una tabla: esquema, modelo y reglas para editar; dice qué "
        "decidió y por qué."
    ),
    "CSV, xlsx or Parquet file, or a database URL.": (
        "Archivo CSV, xlsx o Parquet, o la URL de una base de datos."
    ),
    "The column to predict.": "La columna que se predice.",
    "Where to write; default ./<file's name>.": (
        "Dónde escribir; si falta, ./<nombre del archivo>."
    ),
    "What to read from a database.": "Qué leer de una base de datos.",
    "The model's name.": "El nombre del modelo.",
    "Such as cp1252.": "Por ejemplo cp1252.",
    "Such as ';'.": "Por ejemplo ';'.",
    "'.' or ','.": "'.' o ','.",
    "Such as '.'.": "Por ejemplo '.'.",
    "Of an xlsx file; default the first.": "De un archivo xlsx; si falta, la primera.",
    "How a date is written, such as alta=%d/%m/%Y.": (
        "Cómo se escribe una fecha, por ejemplo alta=%d/%m/%Y."
    ),
    "number, text, category, flag or date.": (
        "number (número), text (texto), category (categoría), flag (sí o no) o date (fecha)."
    ),
    "A word that means missing.": "Una palabra que significa que falta el valor.",
    "A column to leave out.": "Una columna que se deja fuera.",
    "A column to use though it looks suspicious.": (
        "Una columna que se usa aunque parezca sospechosa."
    ),
    "IANA name; default the host's.": "Nombre IANA; si falta, el del equipo.",
    "Ask the running server for every row of a file; each answer is logged as any other.": (
        "Consulta al servidor en marcha por cada fila de un archivo; cada respuesta se registra "
        "como cualquier otra."
    ),
    "Name of a model.": "Nombre de un modelo.",
    "CSV, xlsx or Parquet file, or a JSON request.": (
        "Archivo CSV, xlsx o Parquet, o una petición JSON."
    ),
    "Default: FILE.predictions.csv.": "Si falta: ARCHIVO.predictions.csv.",
    "The server; default the project's.": "El servidor; si falta, el del proyecto.",
    "API key.": "Clave de la API.",
    # outcomes, the database
    "What turned out to be true.": "Lo que resultó ser cierto.",
    "Fetch what was true from where the model says it lands, now; the worker does so by itself.": (
        "Trae los resultados de donde el modelo dice que quedan, ahora; el proceso worker lo hace "
        "por su cuenta."
    ),
    "Tell what was true, from a file; importing it twice changes nothing.": (
        "Informa lo que fue cierto, desde un archivo; importarlo dos veces no cambia nada."
    ),
    "CSV, xlsx or Parquet file.": "Archivo CSV, xlsx o Parquet.",
    "Column that holds the key sent with the requests.": (
        "Columna con la llave que se envió en las peticiones."
    ),
    "Column that holds prediction ids.": "Columna con los identificadores de predicción.",
    "Column that holds the truth; default the model's target.": (
        "Columna con la verdad; si falta, el objetivo del modelo."
    ),
    "When all rows held, for example 2026-12-31.": (
        "De cuándo son todas las filas, por ejemplo 2026-12-31."
    ),
    "Column that says when it held; default: now.": (
        "Columna que dice cuándo fue cierto; si falta: ahora."
    ),
    "Whose outcomes; default the project's only model.": (
        "De qué modelo; si falta, el único del proyecto."
    ),
    "Where rows that cannot be used are written.": (
        "Dónde se escriben las filas que no se pueden usar."
    ),
    "Say what became of an outcome.": "Dice qué fue de un resultado.",
    "As the server answered it.": "Tal como lo respondió el servidor.",
    "The database.": "La base de datos.",
    "Bring the database to this release's schema.": (
        "Lleva la base de datos al esquema de esta versión de Timonel."
    ),
    # processes
    "Run everything on this machine: server, drainers, worker; trains a first version.": (
        "Ejecuta todo en esta máquina: servidor, vaciado de colas y proceso de trabajo; entrena la "
        "primera versión."
    ),
    "Serve predictions (and control routes); the database must be at this release's schema.\n\n"
    "Role predict serves what others have published: it declares nothing, reads no project code, "
    "and\nis all that the serving-only install (timonel-serve) runs.": (
        "Sirve predicciones (y rutas de control); la base de datos debe tener el esquema de esta "
        "versión de Timonel.\n\nEl rol predict sirve lo que otros publicaron: no declara nada, no "
        "lee código del proyecto, y\nes todo lo que ejecuta la instalación solo para servir "
        "(timonel-serve)."
    ),
    "Load-test a model, on a temporary server unless told otherwise: nothing enters its log.\n\n"
    "A running server logs whatever it answers. So --url also asks for --logged, and those\n"
    "predictions are sent without the model's key and marked unit_id = timonel-bench.": (
        "Prueba la carga de un modelo, en un servidor temporal si no se dice otra cosa: nada entra "
        "en su registro.\n\nUn servidor en marcha registra todo lo que responde. Por eso --url "
        "pide también --logged, y esas\npredicciones se envían sin la llave del modelo y marcadas "
        "unit_id = timonel-bench."
    ),
    "CSV, xlsx, Parquet or JSON request; default one row by the schema.": (
        "CSV, xlsx, Parquet o petición JSON; si falta, una fila según el esquema."
    ),
    "How many requests at most.": "Cuántas peticiones como máximo.",
    "How long at most.": "Cuánto tiempo como máximo.",
    "Connections at once.": "Conexiones simultáneas.",
    "A running server; default a temporary one.": (
        "Un servidor en marcha; si falta, uno temporal."
    ),
    "With --url: its log may keep the predictions.": (
        "Con --url: su registro puede guardar las predicciones."
    ),
    "Run trainings and chores against the project's database, beside any number of servers.": (
        "Ejecuta entrenamientos y tareas sobre la base de datos del proyecto, junto a cualquier "
        "número de servidores."
    ),
    "Check installation, project, sources, database, artifacts, spool and port.": (
        "Revisa instalación, proyecto, fuentes, base de datos, artefactos, cola y puerto."
    ),
    "Address to listen on; default 127.0.0.1.": "Dirección en que escucha; si falta, 127.0.0.1.",
    "Port to listen on; default 8000, 0: any free one.": (
        "Puerto en que escucha; si falta, 8000; 0: cualquiera libre."
    ),
    "Predict workers; default 1.": "Procesos que predicen; si falta, 1.",
    "predict, control or all.": "predict (predicción), control o all (todo).",
    "End with the process that started it.": "Termina con el proceso que lo inició.",
    # versions
    "Train a version, measure it on rows it never saw, and register it.": (
        "Entrena una versión, la mide en filas que nunca vio y la registra."
    ),
    "Random seed; default the model's.": "Semilla del azar; si falta, la del modelo.",
    "Promote a first version that passes its gates.": (
        "Promueve una primera versión que cumpla sus condiciones."
    ),
    "List versions with their stage, aliases and measured quality.": (
        "Lista las versiones con su etapa, alias y calidad medida."
    ),
    "Only those in this stage.": "Solo las que están en esta etapa.",
    "Every transition instead.": "En cambio, todas las transiciones.",
    "Put a version into production; running servers follow within a second.": (
        "Pone una versión en producción; los servidores en marcha la siguen en un segundo."
    ),
    "Version, such as 1.2.0 (or MODEL@1.2.0 in one word).": (
        "Versión, por ejemplo 1.2.0 (o MODELO@1.2.0 en una palabra)."
    ),
    "Why; kept in the history.": "Por qué; queda en el historial.",
    "Go back to the previous version (or to a named one); no retraining.": (
        "Vuelve a la versión anterior (o a una nombrada); sin reentrenar."
    ),
    "Version; default the previous one.": "Versión; si falta, la anterior.",
    "Bring a fitted model as a version: read once, compiled, compared with the original.": (
        "Trae un modelo ya ajustado como versión: se lee una vez, se compila y se compara con el "
        "original."
    ),
    "The fitted model: .skops, .onnx, XGBoost .json/.ubj, LightGBM .txt, an MLflow folder, a "
    "pickle, or the http:// address of a service.": (
        "El modelo ajustado: .skops, .onnx, .json/.ubj de XGBoost, .txt de LightGBM, una carpeta "
        "de MLflow, un pickle, o la dirección http:// de un servicio."
    ),
    "Variable that holds a service's key (Bearer).": (
        "Variable que contiene la clave de un servicio (Bearer)."
    ),
    "How a service is asked: timonel, mlflow or inference.": (
        "Cómo se consulta un servicio: timonel, mlflow o inference."
    ),
    "A table of rows as they will be asked for (CSV, xlsx, Parquet).": (
        "Una tabla de filas como las que se consultarán (CSV, xlsx, Parquet)."
    ),
    "You trust who made the pickle: reading it runs code.": (
        "Usted confía en quien hizo el pickle: leerlo ejecuta código."
    ),
    "Names of its classes in its order: NO,YES.": "Nombres de sus clases, en su orden: NO,SI.",
    "Put it into production, though nothing was measured.": (
        "Lo pone en producción, aunque nada se haya medido."
    ),
    "Seconds to read and convert it.": "Segundos para leerlo y convertirlo.",
    # retraining, jobs, drift
    "Retrain a model on its logged answers and their truths; gates decide what serves.": (
        "Reentrena un modelo con sus respuestas registradas y sus verdades; unas condiciones "
        "deciden qué se sirve."
    ),
    "Only say what would happen, and why.": "Solo dice qué pasaría, y por qué.",
    "Stay until it ends; do it here if no worker does.": (
        "Espera a que termine; lo hace aquí si ningún proceso de trabajo lo hace."
    ),
    "Work that lasts: retrainings, and what became of them.": (
        "Trabajos largos: reentrenamientos, y qué resultó de ellos."
    ),
    "queued, running, succeeded, failed or cancelled.": (
        "queued (en espera), running (en curso), succeeded (terminado), failed (falló) o cancelled "
        "(cancelado)."
    ),
    "The most that are shown.": "Cuántos se muestran como máximo.",
    "List jobs, the newest first.": "Lista los trabajos, los más nuevos primero.",
    "Show a job, its steps, and its report.": "Muestra un trabajo, sus pasos y su informe.",
    "Id of the job.": "Identificador del trabajo.",
    "Stop a job: at once if it waits, at its next step if it runs.": (
        "Detiene un trabajo: de inmediato si espera, en su próximo paso si está en curso."
    ),
    "Say what each feature adds to the answers to rows; nothing is logged.": (
        "Dice qué suma cada variable a las respuestas de unas filas; no se registra nada."
    ),
    "One row: '{\"FIELD\": VALUE, ...}'.": "Una fila: '{\"CAMPO\": VALOR, ...}'.",
    "JSON: a row, or a list of rows.": "JSON: una fila, o una lista de filas.",
    "Show how far inputs and answers are from what the version learned from.": (
        "Muestra cuánto se alejan entradas y respuestas de aquello de lo que aprendió la versión."
    ),
    "A declared model; default all.": "Un modelo declarado; si falta, todos.",
    "A recorded metric; default all.": "Una métrica anotada; si falta, todas.",
    "Show what the project records (timonel.metrics.record): statistics of the last hour.": (
        "Muestra lo que anota el proyecto (timonel.metrics.record): estadísticas de la última hora."
    ),
    "How many windows.": "Cuántas ventanas.",
    "Ask a classifier whether rows of these windows differ in all columns together.": (
        "Pregunta a un clasificador si las filas de estas ventanas difieren en todas las columnas "
        "juntas."
    ),
    "Of the classifier and its test.": "Del clasificador y de su prueba.",
    "Days of figures by class.": "Días de las cifras por clase.",
    "Figures by class of truths that came then.": (
        "Cifras por clase de los resultados que llegaron entonces."
    ),
    "How far inputs and answers are from what a version learned from. Without a command: show.": (
        "Cuánto se alejan entradas y respuestas de aquello de lo que aprendió una versión. Sin un "
        "comando: show."
    ),
    "Call a stretch of time normal: its windows teach their slot, whatever was found in them.": (
        "Declara normal un tramo de tiempo: sus ventanas enseñan a su franja, sea lo que sea que "
        "se halló en ellas."
    ),
    "A declared model.": "Un modelo declarado.",
    "The first moment, local time.": "El primer momento, en hora local.",
    "The end, itself not included.": "El fin, que no se incluye.",
    "Why.": "Por qué.",
    "A column as the schema names it; @score or @prediction.": (
        "Una columna como la nombra el esquema; @score o @prediction."
    ),
    "Follow one column over windows, with the versions that came into production between.": (
        "Seguir una columna por ventanas, con las versiones que entraron en producción entremedio."
    ),
    "Inject drift into held-back rows; report what the rule finds and what answers lose.": (
        "Inyecta deriva en filas reservadas; informa qué halla la regla y qué pierden las "
        "respuestas."
    ),
    "feature_shift, missing_values, label_imbalance, unit_change, combined.": (
        "feature_shift (corrimiento), missing_values (faltantes), label_imbalance (desbalance), "
        "unit_change (otra unidad) o combined (todo junto)."
    ),
    "All kinds, one after the other.": "Todas las clases, una tras otra.",
    "How much, more than 0, at most 1.": "Cuánto: más de 0, a lo más 1.",
    "Tell the alert channels, marked as simulated.": (
        "Avisa a los canales de alertas, marcado como simulado."
    ),
    "Default: the one in production.": "Si falta: la que está en producción.",
    "The newest version in this stage.": "La versión más nueva en esta etapa.",
    "Random seed.": "Semilla del azar.",
    "Where files go; default reports/ of the project.": (
        "Dónde quedan los archivos; si falta, reports/ del proyecto."
    ),
    "Columns that did not move, too.": "También las columnas que no se movieron.",
    # performance
    "Show how good answers were: estimated before their truths, realised once these come.": (
        "Muestra qué tan buenas fueron las respuestas: estimado antes de los resultados, realizado "
        "cuando llegan."
    ),
    # alerts
    "Say what an alert was worth: `alerts statistics` judges its rule by that.": (
        "Dice qué valió una alerta: `alerts statistics` juzga su regla por eso."
    ),
    "useful or false_alarm.": "useful (útil) o false_alarm (falsa alarma).",
    "Variable that holds PagerDuty's routing key.": (
        "Variable que contiene la clave de ruta de PagerDuty."
    ),
    "E-mail: the address that it is sent from.": "Correo: la dirección desde la que se envía.",
    "E-mail: who gets it, separated by commas.": "Correo: quién lo recibe, separados por comas.",
    "A notifier that an installed package offers, by its name.": (
        "Un notificador que ofrece un paquete instalado, por su nombre."
    ),
    "A function of the project: handlers:on_alert.": (
        "Una función del proyecto: handlers:on_alert."
    ),
    "Only what fired so long ago and nobody acknowledged: 30m, 2h.": (
        "Solo lo que se activó hace tanto y nadie tomó: 30m, 2h."
    ),
    "Alerts: what is wrong, who works on it, and who is told.": (
        "Alertas: qué está mal, quién se ocupa y a quién se avisa."
    ),
    "List alerts, newest first; by default those firing or acknowledged.": (
        "Lista las alertas, las más nuevas primero; si no se pide otra cosa, las activas o "
        "reconocidas."
    ),
    "Active: firing or acknowledged.": "active: activas o reconocidas.",
    "The most alerts.": "Cuántas alertas como máximo.",
    "Show an alert: what was seen and expected, what to do, its history and its messages.": (
        "Muestra una alerta: qué se vio y qué se esperaba, qué hacer, su historia y sus mensajes."
    ),
    "Number of the alert.": "Número de la alerta.",
    "Acknowledge a firing alert: you work on it, and it is not repeated.": (
        "Reconoce una alerta activa: usted se ocupa de ella, y no se repite."
    ),
    "What you are doing about it.": "Qué está haciendo al respecto.",
    "Refuse if the alert has changed since this revision.": (
        "Se niega si la alerta cambió desde esta revisión."
    ),
    "Resolve an alert by hand, saying what it was.": (
        "Resuelve una alerta a mano, diciendo qué fue."
    ),
    "What it was; kept in its history.": "Qué fue; queda en su historia.",
    "Tell nobody of an alert for a time (of the project's clock); its state goes on.": (
        "No avisa a nadie de una alerta por un tiempo (del reloj del proyecto); su estado sigue."
    ),
    "How long: 30m, 24h, 7d.": "Por cuánto tiempo: 30m, 24h, 7d.",
    "Why; kept in its history.": "Por qué; queda en su historia.",
    "Sum up: how many alerts fired, and how long they took.": (
        "Resume: cuántas alertas se activaron y cuánto tardaron."
    ),
    "Days of alerts.": "Días de alertas.",
    "Where alerts are sent.": "Adónde se envían las alertas.",
    "Add a channel; addresses and secrets are named by their variables, never given.": (
        "Agrega un canal; direcciones y secretos se nombran por sus variables, nunca se escriben."
    ),
    "Name of the channel.": "Nombre del canal.",
    "What it leads to.": "Adónde lleva.",
    "Variable of the environment that holds the address.": (
        "Variable de entorno que contiene la dirección."
    ),
    "Variable that holds the key of a webhook's signature.": (
        "Variable que contiene la clave con que se firma un webhook."
    ),
    "The least severity it is told of.": "La menor gravedad de la que se le avisa.",
    "Language of its messages.": "Idioma de sus mensajes.",
    "List the channels.": "Lista los canales.",
    "Send a test message now, with this shell's variables; what failed there is tried again.": (
        "Envía ahora un mensaje de prueba, con las variables de esta consola; lo que allí falló se "
        "intenta otra vez."
    ),
    "Remove a channel; messages that wait for it are given up.": (
        "Quita un canal; los mensajes que lo esperan se abandonan."
    ),
    # the demo
    "Serve the example `dispatch` to a simulated city, and count what happens from outside.": (
        "Sirve el ejemplo `dispatch` a una ciudad simulada, y cuenta desde afuera lo que pasa."
    ),
    "Run through it once and stop.": "Lo recorre una vez y se detiene.",
    "Seed of the city; not that of its history.": "Semilla de la ciudad; no la de su historia.",
    "Port; default 8000, with --once any free one.": (
        "Puerto; si falta, 8000; con --once, cualquiera libre."
    ),
    "Predict workers.": "Procesos que predicen.",
    "Keep the demo's project in this new folder.": (
        "Conserva el proyecto de la demostración en esta carpeta nueva."
    ),
    # keys
    "Keys: who may ask the server, and what.": "Claves: quién puede consultar, y qué.",
    "Make a key and show it, once; running servers know it within a second.": (
        "Crea una clave y la muestra una sola vez; los servidores la conocen en un segundo."
    ),
    "List keys: what each may, who made it, and when it was used last.": (
        "Lista las claves: qué puede cada una, quién la creó y cuándo se usó por última vez."
    ),
    "Take a key out of force, for ever, in every process within a second.": (
        "Revoca una clave para siempre, en todos los procesos en menos de un segundo."
    ),
    "Name of the key, as histories show it.": "Nombre de la clave, como la muestra el historial.",
    "What its holder is.": "Qué es quien la tiene.",
    "The only thing it may do; repeatable. None: all its role may.": (
        "Lo único que puede hacer; se puede repetir. Sin ella: todo lo de su rol."
    ),
    "The only model it is for; repeatable. None: all.": (
        "El único modelo para el que vale; se puede repetir. Sin él: todos."
    ),
    "After how long: 90d, 12h. None: never.": "Después de cuánto: 90d, 12h. Sin él: nunca.",
    "Most requests on each host: 100/s, 600/min, 5000/h.": (
        "Máximo de peticiones en cada equipo: 100/s, 600/min, 5000/h."
    ),
    "Expired and revoked ones too.": "También las vencidas y las revocadas.",
}
"""Commands, arguments and options."""

PANELS_ES = {
    "ARGUMENTS_PANEL_TITLE": "Argumentos",
    "OPTIONS_PANEL_TITLE": "Opciones",
    "COMMANDS_PANEL_TITLE": "Comandos",
    "ERRORS_PANEL_TITLE": "Error",
    "DEFAULT_STRING": "[por omisión: {}]",
    "REQUIRED_LONG_STRING": "[obligatorio]",
    "RICH_HELP": "Pruebe [blue]'{command_path} {help_option}'[/] para ver la ayuda.",
}
"""The words around them, by Typer's own names for these."""
