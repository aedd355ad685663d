"""What the protocols need of the application, and what they all ask of it."""

from typing import Protocol

from timonel.errors import Phrase
from timonel.serving.protocols.errors import VersionNotLoaded
from timonel.serving.versions.snapshot import DECLARATION, ServedModel, ServedVersion, Snapshot


class Served(Protocol):
    """What is served at the moment. One event loop."""

    def snapshot(self) -> Snapshot:
        """Give the present snapshot; raises ``NotReady`` where there is none to serve."""
        ...

    def model(self, name: str) -> tuple[Snapshot, ServedModel]:
        """Give a model with its snapshot; raises ``NotReady`` or ``UnknownModel``."""
        ...


def loaded_of(model: ServedModel) -> dict[str, ServedVersion]:
    """Give the numbered versions that are loaded, champion first."""
    return {version.version: version for alias, version in model.versions() if alias != DECLARATION}


def pinned_of(model: ServedModel, version: str | None) -> ServedVersion | None:
    """Give the version that a request names; None where it names none.

    Raises
    ------
    VersionNotLoaded
        If it is neither the champion, nor the previous one, nor the challenger.
    """
    if version is None:
        return None
    loaded = loaded_of(model)
    if version not in loaded:
        raise VersionNotLoaded(
            model=model.name,
            version=version[:64],
            loaded=", ".join(loaded) or Phrase("none", "ninguna"),
        )
    return loaded[version]


def can_answer(version: ServedVersion | None) -> bool:
    """Tell whether model, rules or baseline of a version can answer."""
    return version is not None and (
        version.has_predictor or version.rules is not None or version.baseline is not None
    )
