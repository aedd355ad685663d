"""What keeps a fitted model from being brought into a project."""

from timonel.errors import ProjectFault, Text, TooLarge


class UnreadableModel(ProjectFault):
    """The file is no model of a form that is read here, or is damaged."""

    code = "unreadable_model_file"
    texts = {
        "en": Text(
            "Cannot read {path} as {form}: {found}.",
            "Save the model again and bring that file: skops, ONNX, XGBoost .json/.ubj, LightGBM "
            ".txt, an MLflow folder, or a pickle with --allow-pickle.",
        ),
        "es": Text(
            "No se puede leer {path} como {form}: {found}.",
            "Guarde el modelo de nuevo y traiga ese archivo: skops, ONNX, XGBoost .json/.ubj, "
            "LightGBM .txt, una carpeta de MLflow, o un pickle con --allow-pickle.",
        ),
    }


class ServiceNotUsable(ProjectFault):
    """A service that does not answer ordinary rows of the model."""

    code = "service_not_usable"
    texts = {
        "en": Text(
            "Cannot use {url} in the form {form}: {found}",
            "Start the service and try `curl`; name its form with --form (timonel, mlflow, "
            "inference), its classes with --classes, its key with --key-env.",
        ),
        "es": Text(
            "No se puede usar {url} en la forma {form}: {found}",
            "Inicie el servicio y pruebe con `curl`; indique su forma con --form (timonel, "
            "mlflow, inference), sus clases con --classes, su clave con --key-env.",
        ),
    }


class ModelFileTooLarge(TooLarge):
    """The file is larger than any model that could be served."""

    code = "model_file_too_large"
    texts = {
        "en": Text(
            "Cannot bring {path}: it has {found}, at most {expected} are read.",
            "Save the fitted model alone, without its training data.",
        ),
        "es": Text(
            "No se puede traer {path}: tiene {found} y se leen a lo más {expected}.",
            "Guarde solo el modelo ajustado, sin sus datos de entrenamiento.",
        ),
    }


class PickleNotAllowed(ProjectFault):
    """A pickle was given without saying that it may be read."""

    code = "pickle_not_allowed"
    texts = {
        "en": Text(
            "Cannot bring {path}: it is a pickle, and reading a pickle runs whatever code its "
            "maker put into it.",
            "If you trust who made it, repeat with --allow-pickle: it is read once, in a separate "
            "process, and converted. Or save it as "
            "`skops.io.dump(model, 'model.skops')` and bring that.",
        ),
        "es": Text(
            "No se puede traer {path}: es un pickle, y leer un pickle ejecuta cualquier código "
            "que su autor haya puesto en él.",
            "Si confía en quien lo hizo, repita con --allow-pickle: se lee una vez, en un proceso "
            "aparte, y se convierte. O guárdelo con "
            "`skops.io.dump(model, 'model.skops')` y traiga ese archivo.",
        ),
    }


class NeedsModule(ProjectFault):
    """Reading the model needs a module that is not installed."""

    code = "model_needs_module"
    texts = {
        "en": Text(
            "Cannot read {path}: it needs the module {module}, which is not installed here.",
            "{mend_en}",
        ),
        "es": Text(
            "No se puede leer {path}: necesita el módulo {module}, que no está instalado aquí.",
            "{mend_es}",
        ),
    }


class MadeWithOther(ProjectFault):
    """The model was saved by another minor version of its library."""

    code = "made_with_other_version"
    texts = {
        "en": Text(
            "Cannot bring {path}: it was saved with {library} {found}, here is {expected}; read "
            "by another version it may answer something else without saying so.",
            "Run `pip install '{library}=={found}'` here, or load and save the model again with "
            "{library} {expected}.",
        ),
        "es": Text(
            "No se puede traer {path}: se guardó con {library} {found} y aquí está {expected}; "
            "leído con otra versión podría responder otra cosa sin decirlo.",
            "Ejecute `pip install '{library}=={found}'` aquí, o cargue y guarde el modelo de "
            "nuevo con {library} {expected}.",
        ),
    }


class NotAModel(ProjectFault):
    """What the file holds cannot predict what the declaration asks for."""

    code = "not_a_model"
    texts = {
        "en": Text(
            "Cannot use {path} as model {model}: found {found}, expected {expected}.",
            "{mend_en}",
        ),
        "es": Text(
            "No se puede usar {path} como modelo {model}: hay {found}, se esperaba {expected}.",
            "{mend_es}",
        ),
    }


class FeaturesDiffer(ProjectFault):
    """The model's features are not those of the schema."""

    code = "features_differ"
    texts = {
        "en": Text(
            "Cannot use {path} as model {model}: {found}, expected {expected}.",
            "Name the features in model.py as the model does (it was fitted on: {names}), or bring "
            "the model that was fitted on these.",
        ),
        "es": Text(
            "No se puede usar {path} como modelo {model}: {found}, se esperaba {expected}.",
            "Nombre las variables en model.py como el modelo (se ajustó con: {names}), o traiga "
            "el modelo que se ajustó con estas.",
        ),
    }


class ClassesDiffer(ProjectFault):
    """The model's classes are not those of the declaration."""

    code = "classes_differ"
    texts = {
        "en": Text(
            "Cannot use {path} as model {model}: found {found}, expected {expected}.",
            "Correct `task` or `positive` in model.py, or name the model's classes in its order: "
            "`--classes NO,YES`.",
        ),
        "es": Text(
            "No se puede usar {path} como modelo {model}: hay {found}, se esperaba {expected}.",
            "Corrija `task` o `positive` en model.py, o nombre las clases en el orden del modelo: "
            "`--classes NO,YES`.",
        ),
    }


class CannotAnswer(ProjectFault):
    """The model raised, or gave no numbers, for ordinary rows."""

    code = "model_cannot_answer"
    texts = {
        "en": Text(
            "Cannot use {path} as model {model}: for rows that the schema allows it gave {found}, "
            "expected {expected}.",
            "Compare the kinds of the features in model.py with what the model was fitted on, or "
            "give rows it knows with --sample.",
        ),
        "es": Text(
            "No se puede usar {path} como modelo {model}: con filas que el esquema permite dio "
            "{found}, se esperaba {expected}.",
            "Compare los tipos de las variables en model.py con los datos del ajuste, o entregue "
            "filas conocidas con --sample.",
        ),
    }


class CannotServe(ProjectFault):
    """The model neither compiles nor may be run by its own library."""

    code = "model_cannot_be_served"
    texts = {
        "en": Text(
            "Cannot serve {path} as model {model}: it does not compile ({why}), and natively it "
            "cannot run: it holds {found}.",
            "Build it from scikit-learn, XGBoost and LightGBM classes, or declare "
            "`allow_pickle=True` on the model and repeat with --allow-pickle.",
        ),
        "es": Text(
            "No se puede servir {path} como modelo {model}: no se compila ({why}), y tampoco puede "
            "correr con su biblioteca: contiene {found}.",
            "Constrúyalo con clases de scikit-learn, XGBoost y LightGBM, o declare "
            "`allow_pickle=True` en el modelo y repita con --allow-pickle.",
        ),
    }


class ReadingFailed(ProjectFault):
    """The separate process that reads the model ended without a result."""

    code = "model_reading_failed"
    texts = {
        "en": Text(
            "Cannot bring {path}: the process that reads it {found}, expected {expected}.",
            "Try to load the file and predict one row in Python, in this environment; a large "
            "model may need more time: --time-limit SECONDS.",
        ),
        "es": Text(
            "No se puede traer {path}: el proceso que lo lee {found}, se esperaba {expected}.",
            "Pruebe cargar el archivo y predecir una fila en Python, en este entorno; un modelo "
            "grande puede necesitar más tiempo: --time-limit SEGUNDOS.",
        ),
    }


class UnusableSample(ProjectFault):
    """The sample holds no row that the schema accepts."""

    code = "unusable_sample"
    texts = {
        "en": Text(
            "Cannot use the sample {sample} for model {model}: {found}, expected {expected}.",
            "Correct the schema in model.py or the file; the sample must look like the rows that "
            "will be asked for.",
        ),
        "es": Text(
            "No se puede usar la muestra {sample} para el modelo {model}: {found}, se esperaba "
            "{expected}.",
            "Corrija el esquema en model.py o el archivo; la muestra debe parecerse a las filas "
            "que se consultarán.",
        ),
    }


class NotDeclaredYet(ProjectFault):
    """The project does not declare the model that a file is brought for."""

    code = "model_not_declared_yet"
    texts = {
        "en": Text(
            "Cannot bring {path} as {model}: the project does not declare it; it declares {known}.",
            "Put this into model.py, correct it, and repeat (or let `timonel init --from "
            "SAMPLE.csv --target COLUMN` write it):\n\n{declaration}",
        ),
        "es": Text(
            "No se puede traer {path} como {model}: el proyecto no lo declara; declara {known}.",
            "Ponga esto en model.py, corríjalo y repita (o deje que `timonel init --from "
            "MUESTRA.csv --target COLUMNA` lo escriba):\n\n{declaration}",
        ),
    }
