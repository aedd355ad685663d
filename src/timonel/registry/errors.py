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


class InvalidBump(InvalidInput):
    """A smaller step than what changed asks for."""

    code = "invalid_bump"
    texts = {
        "en": Text(
            "Cannot make this a {asked} version of {model}: {because}, which is {computed}.",
            "Leave the step out, or ask for {computed} or more.",
        ),
        "es": Text(
            "No se puede hacer de esta una versión {asked} de {model}: {because_es}, lo que es "
            "{computed}.",
            "Omita el paso, o pida {computed} o más.",
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
            "Cannot promote {model}@{version}: the champion is {found} now, it was {expected} "
            "when this was decided.",
            "Look at `timonel versions {model}` and, if {version} is still better, promote it "
            "again.",
        ),
        "es": Text(
            "No se puede promover {model}@{version}: el campeón ahora es {found}, era {expected} "
            "cuando esto se decidió.",
            "Vea `timonel versions {model}` y, si {version} sigue siendo mejor, promuévala de "
            "nuevo.",
        ),
    }


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
    """Others registered at the same moment, again and again."""

    code = "registry_busy"
    texts = {
        "en": Text(
            "Cannot register a version of {model}: {attempts} attempts met others doing the same.",
            "Repeat the command.",
        ),
        "es": Text(
            "No se puede registrar una versión de {model}: {attempts} intentos coincidieron con "
            "otros que hacían lo mismo.",
            "Repita el comando.",
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
