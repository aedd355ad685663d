"""What can be wrong with a project: its folder, its Python, its settings.

Errors of tables and files of data are in ``timonel.project.reading.errors``.
"""

from timonel.errors import Conflict, NotFound, ProjectFault, Text


class NoProject(ProjectFault):
    """The folder holds no ``timonel.toml``."""

    code = "no_project"
    texts = {
        "en": Text(
            "Cannot open a project in {folder}: there is no timonel.toml.",
            "Go to the project's folder, or make one: `timonel init --from FILE --target COLUMN`.",
        ),
        "es": Text(
            "No se puede abrir un proyecto en {folder}: no hay timonel.toml.",
            "Vaya a la carpeta del proyecto, o cree uno: "
            "`timonel init --from ARCHIVO --target COLUMNA`.",
        ),
    }


class InvalidConfig(ProjectFault):
    """``timonel.toml`` cannot be read, or an entry of it cannot be used."""

    code = "invalid_config"
    texts = {
        "en": Text(
            "Cannot use {file}: {entry} is {found}; expected {expected}.",
            "Correct that line and run the command again.",
        ),
        "es": Text(
            "No se puede usar {file}: {entry} es {found}; se esperaba {expected}.",
            "Corrija esa línea y repita el comando.",
        ),
    }


class InvalidSetting(ProjectFault):
    """A setting of the environment or the command line that cannot be used."""

    code = "invalid_setting"
    texts = {
        "en": Text(
            "Cannot use the setting {name}: found {found}, expected {expected}.",
            "Correct the option, the variable {variable} or the line in timonel.toml that gives "
            "it, and run the command again.",
        ),
        "es": Text(
            "No se puede usar el ajuste {name}: hay {found}, se esperaba {expected}.",
            "Corrija la opción, la variable {variable} o la línea de timonel.toml que lo da, y "
            "repita el comando.",
        ),
    }


class UnknownSetting(ProjectFault):
    """``timonel.toml`` has an entry that does not exist."""

    code = "unknown_setting"
    texts = {
        "en": Text(
            "Cannot use {file}: there is no entry {entry}; known are {known}.",
            "Correct its name, or delete the line.",
        ),
        "es": Text(
            "No se puede usar {file}: no existe la entrada {entry}; las conocidas son {known}.",
            "Corrija el nombre, o borre la línea.",
        ),
    }


class BrokenModule(ProjectFault):
    """A Python file of the project cannot be imported."""

    code = "broken_module"
    texts = {
        "en": Text(
            "Cannot load the project: {file}, line {line}: {found}.",
            "Correct that line and run the command again; `python '{file}'` shows the same error.",
        ),
        "es": Text(
            "No se puede cargar el proyecto: {file}, línea {line}: {found}.",
            "Corrija esa línea y repita el comando; `python '{file}'` muestra el mismo error.",
        ),
    }


class MissingModule(ProjectFault):
    """``timonel.toml`` names a Python file that is not there."""

    code = "missing_module"
    texts = {
        "en": Text(
            "Cannot load the project: timonel.toml names the module {module}, but {file} does "
            "not exist; there are {known}.",
            "Create the file, or correct `models = [...]` in timonel.toml.",
        ),
        "es": Text(
            "No se puede cargar el proyecto: timonel.toml nombra el módulo {module}, pero {file} "
            "no existe; hay {known}.",
            "Cree el archivo, o corrija `models = [...]` en timonel.toml.",
        ),
    }


class NoModel(ProjectFault):
    """The project's modules declare no model."""

    code = "no_model"
    texts = {
        "en": Text(
            "Cannot load the project: {files} declares no timonel.Model at its top level.",
            "Write `churn = Model(name=..., ...)` there; `timonel init --from FILE --target "
            "COLUMN` writes one to begin with.",
        ),
        "es": Text(
            "No se puede cargar el proyecto: {files} no declara ningún timonel.Model en su primer "
            "nivel.",
            "Escriba ahí `churn = Model(name=..., ...)`; `timonel init --from ARCHIVO --target "
            "COLUMNA` escribe uno para comenzar.",
        ),
    }


class DuplicateModel(ProjectFault):
    """Two models of one project have the same name."""

    code = "duplicate_model"
    texts = {
        "en": Text(
            "Cannot load the project: the model name {model} is declared twice, in {files}.",
            "Give one of them another name.",
        ),
        "es": Text(
            "No se puede cargar el proyecto: el nombre de modelo {model} está declarado dos "
            "veces, en {files}.",
            "Dé otro nombre a uno de los dos.",
        ),
    }


class UndeclaredModel(NotFound):
    """A name that the project does not declare."""

    code = "undeclared_model"
    texts = {
        "en": Text(
            "This project declares no model {model}; it declares {known}.",
            "Correct the name, or declare the model in the project's Python file.",
        ),
        "es": Text(
            "Este proyecto no declara un modelo {model}; declara {known}.",
            "Corrija el nombre, o declare el modelo en el archivo Python del proyecto.",
        ),
    }


class MissingRules(ProjectFault):
    """A fallback names a rules module or function that is not there."""

    code = "missing_rules"
    texts = {
        "en": Text(
            "Cannot use fallback={fallback!r} of model {model}: {file} has no function "
            "{function}; it has {known}.",
            "Write `def {function}(row): ...` in {file}, or correct the name, or set "
            "fallback=None.",
        ),
        "es": Text(
            "No se puede usar fallback={fallback!r} del modelo {model}: {file} no tiene la función "
            "{function}; tiene {known}.",
            "Escriba `def {function}(row): ...` en {file}, o corrija el nombre, o ponga "
            "fallback=None.",
        ),
    }


class ProjectProblems(ProjectFault):
    """Everything that keeps a project from being run, in one list.

    ``problems`` in the context is a list of ``{"code", "message", "remedy"}``.
    """

    code = "project_problems"
    texts = {
        "en": Text("Cannot run the project in {folder}: {summary_en}", "{remedies_en}"),
        "es": Text("No se puede usar el proyecto en {folder}: {summary_es}", "{remedies_es}"),
    }

    @classmethod
    def of(cls, folder: str, faults: list[ProjectFault]) -> "ProjectProblems":
        """Join faults into one error that keeps each message and remedy."""
        return cls(
            folder=folder,
            summary_en=" ".join(fault.message("en") for fault in faults),
            summary_es=" ".join(fault.message("es") for fault in faults),
            remedies_en=" ".join(dict.fromkeys(fault.remedy("en") for fault in faults)),
            remedies_es=" ".join(dict.fromkeys(fault.remedy("es") for fault in faults)),
            problems=[
                {"code": f.code, "message": f.message("en"), "remedy": f.remedy("en")}
                for f in faults
            ],
        )


class ProjectExists(Conflict):
    """``init`` would overwrite files."""

    code = "project_exists"
    texts = {
        "en": Text(
            "Cannot make a project in {folder}: it already holds {found}.",
            "Name another folder (`timonel init ... --folder FOLDER`), or move those files away.",
        ),
        "es": Text(
            "No se puede crear un proyecto en {folder}: ya contiene {found}.",
            "Nombre otra carpeta (`timonel init ... --folder CARPETA`), o mueva esos archivos.",
        ),
    }
