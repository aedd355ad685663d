"""What the registry refuses, and the way out."""

from typing import Any

from timonel.errors import Conflict, Corrupt, InvalidInput, NotFound, Text, closest


class UnknownModel(NotFound):
    """A model name that is neither declared nor registered."""

    code = "unknown_model"
    texts = {
        "en": Text(
            "Cannot find model {model}: the models here are {known_text}.",
            "Use one of these names; `timonel versions` lists them with their versions.",
        ),
        "es": Text(
            "No se encuentra el modelo {model}: los modelos aquí son {known_text}.",
            "Use uno de esos nombres; `timonel versions` los lista con sus versiones.",
        ),
    }

    def __init__(self, *, model: str, known: list[str], **_: Any) -> None:
        super().__init__(model=model, known=known, known_text=closest(model, known))


class UnknownVersion(NotFound):
    """A version, alias or stage that the model has not got."""

    code = "unknown_version"
    texts = {
        "en": Text(
            "Cannot find version {version} of model {model}: it has {known_text}.",
            "Use one of these; `timonel versions {model}` shows them with their stages.",
        ),
        "es": Text(
            "No se encuentra la versión {version} del modelo {model}: tiene {known_text}.",
            "Use una de esas; `timonel versions {model}` las muestra con sus etapas.",
        ),
    }

    def __init__(self, *, model: str, version: str, known: list[str], **_: Any) -> None:
        super().__init__(
            model=model, version=version, known=known, known_text=closest(version, known)
        )


class UnknownStage(InvalidInput):
    """A word that names no stage."""

    code = "unknown_stage"
    texts = {
        "en": Text(
            "Cannot list versions in stage {stage}: the stages are {known_text}.",
            "Use one of these, or leave the stage out.",
        ),
        "es": Text(
            "No se pueden listar las versiones en la etapa {stage}: las etapas son {known_text}.",
            "Use una de esas, u omita la etapa.",
        ),
    }

    def __init__(self, *, stage: str, known: list[str], **_: Any) -> None:
        super().__init__(stage=stage, known=known, known_text=closest(stage, known))


class InvalidReference(InvalidInput):
    """Text that names no version."""

    code = "invalid_reference"
    texts = {
        "en": Text(
            "Cannot read {reference} as a model version: expected name, name@1.2.0, "
            "name@champion or models:/name@champion.",
            "Write it in one of these forms.",
        ),
        "es": Text(
            "No se puede leer {reference} como versión de un modelo: se esperaba nombre, "
            "nombre@1.2.0, nombre@champion o models:/nombre@champion.",
            "Escríbala en una de esas formas.",
        ),
    }


class InvalidVersion(InvalidInput):
    """Text that is no ``major.minor.patch``."""

    code = "invalid_version"
    texts = {
        "en": Text(
            "Cannot read {found} as a version: expected major.minor.patch, such as 1.4.0.",
            "Write three whole numbers with points between them.",
        ),
        "es": Text(
            "No se puede leer {found} como versión: se esperaba mayor.menor.parche, como 1.4.0.",
            "Escriba tres números enteros separados por puntos.",
        ),
    }


class IllegalTransition(Conflict):
    """A stage that cannot be reached from where the version is."""

    code = "illegal_transition"
    texts = {
        "en": Text(
            "Cannot move {model}@{version} to {to_stage}: its stage is {from_stage}, "
            "expected {expected}.",
            "{way_out}",
        ),
        "es": Text(
            "No se puede pasar {model}@{version} a {to_stage}: su etapa es {from_stage}, "
            "se esperaba {expected}.",
            "{way_out_es}",
        ),
    }


class ChampionChanged(Conflict):
    """Another transition was first: the champion is not the one this was decided against."""

    code = "champion_changed"
    texts = {
        "en": Text(
            "Cannot put {model}@{version} into production: the champion is {found_en} now, it was "
            "{expected_en} when this was decided.",
            "Look at `timonel versions {model}` and repeat it if it is still what you want.",
        ),
        "es": Text(
            "No se puede poner {model}@{version} en producción: el campeón ahora es {found_es}, "
            "era {expected_es} cuando esto se decidió.",
            "Vea `timonel versions {model}` y repítalo si todavía es lo que quiere.",
        ),
    }

    def __init__(
        self, *, model: str, version: str, found: str | None, expected: str | None, **_: Any
    ) -> None:
        super().__init__(
            model=model,
            version=version,
            found=found,
            expected=expected,
            found_en=found or "no version",
            expected_en=expected or "no version",
            found_es=found or "ninguna versión",
            expected_es=expected or "ninguna versión",
        )


class NeverInProduction(Conflict):
    """A rollback to a version that has not answered before."""

    code = "never_in_production"
    texts = {
        "en": Text(
            "Cannot roll back model {model} to {version}: it has not been in production; "
            "{known_text} have.",
            "Roll back to one of those; a version in validation goes there by `timonel promote`.",
        ),
        "es": Text(
            "No se puede revertir el modelo {model} a {version}: no ha estado en producción; "
            "sí han estado {known_text}.",
            "Revierta a una de esas; una versión en validación llega con `timonel promote`.",
        ),
    }

    def __init__(self, *, model: str, version: str, known: list[str], **_: Any) -> None:
        super().__init__(
            model=model, version=version, known=known, known_text=closest(version, known)
        )


class NothingToRollBackTo(Conflict):
    """No earlier version has been in production."""

    code = "nothing_to_roll_back_to"
    texts = {
        "en": Text(
            "Cannot roll back model {model}: no other version has been in production.",
            "Promote another version with `timonel promote`, or archive the champion: "
            "the rules answer then.",
        ),
        "es": Text(
            "No se puede revertir el modelo {model}: ninguna otra versión ha estado en producción.",
            "Promueva otra versión con `timonel promote`, o archive el campeón: entonces "
            "responden las reglas.",
        ),
    }


class RegistryBusy(Conflict):
    """Others changed the same rows at the same moment, again and again."""

    code = "registry_busy"
    texts = {
        "en": Text(
            "Cannot change model {model} in the registry: {attempts} attempt(s) met others "
            "changing it at the same moment.",
            "Repeat the command.",
        ),
        "es": Text(
            "No se puede cambiar el modelo {model} en el registro: {attempts} intento(s) "
            "coincidieron con otros que lo cambiaban en el mismo momento.",
            "Repita el comando.",
        ),
    }


class OtherProject(InvalidInput):
    """A manifest that was made for another project."""

    code = "other_project"
    texts = {
        "en": Text(
            "Cannot enter {model} in project {project}: its manifest is of project {found}.",
            "Run the command in the folder of project {found}, or train the model in this one.",
        ),
        "es": Text(
            "No se puede inscribir {model} en el proyecto {project}: su manifiesto es del proyecto "
            "{found}.",
            "Ejecute el comando en la carpeta del proyecto {found}, o entrene el modelo en este.",
        ),
    }


class HistoryDamaged(Corrupt):
    """The chain of transitions does not hold: something was edited, removed or reordered."""

    code = "history_damaged"
    texts = {
        "en": Text(
            "Cannot trust the history of project {project}: {n_faults} of {n} transitions are "
            "damaged ({summary}).",
            "Compare the tables with a backup made before the change; the registry goes on "
            "working meanwhile.",
        ),
        "es": Text(
            "No se puede confiar en la historia del proyecto {project}: {n_faults} de {n} "
            "transiciones están dañadas ({summary}).",
            "Compare las tablas con un respaldo anterior al cambio; el registro sigue "
            "funcionando mientras tanto.",
        ),
    }


class ArtifactMissing(Corrupt):
    """The artifact store has not got the bytes that a version names."""

    code = "artifact_missing"
    texts = {
        "en": Text(
            "Cannot read artifact {sha256}: there is no such file in {root}.",
            "Restore the artifacts folder from a backup, or train the version again.",
        ),
        "es": Text(
            "No se puede leer el artefacto {sha256}: no existe ese archivo en {root}.",
            "Restaure la carpeta de artefactos desde un respaldo, o entrene la versión de nuevo.",
        ),
    }


class ArtifactCorrupt(Corrupt):
    """The bytes on disk are not those that were stored."""

    code = "artifact_corrupt"
    texts = {
        "en": Text(
            "Cannot use artifact {sha256}: its {size} bytes in {root} have the sha256 {found}.",
            "Restore the file from a backup, or train the version again.",
        ),
        "es": Text(
            "No se puede usar el artefacto {sha256}: sus {size} bytes en {root} tienen el sha256 "
            "{found}.",
            "Restaure el archivo desde un respaldo, o entrene la versión de nuevo.",
        ),
    }


class AmbiguousModel(InvalidInput):
    """A command that needs one model was given none, and the project has not just one."""

    code = "ambiguous_model"
    texts = {
        "en": Text(
            "Cannot tell which model is meant: none was named, and the project declares {known}.",
            "Name it: `--model NAME`.",
        ),
        "es": Text(
            "No se sabe qué modelo se quiere: no se nombró ninguno y el proyecto declara {known}.",
            "Nómbrelo: `--model NOMBRE`.",
        ),
    }
