"""Versions and stages: what the next version is called, and where a version may go. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from timonel.registry.errors import IllegalTransition, InvalidReference, InvalidVersion

CHAMPION = "champion"
CHALLENGER = "challenger"
PREVIOUS = "previous"
ALIASES = (CHAMPION, CHALLENGER, PREVIOUS)

_SEMVER = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})", re.ASCII)
_REFERENCE = re.compile(
    r"(?:models:/)?(?P<model>[a-z][a-z0-9_-]{0,62})(?:[@/](?P<version>[A-Za-z0-9.]+))?", re.ASCII
)


class Stage(StrEnum):
    """Where a version stands in its life."""

    TRAINING = "training"
    VALIDATION = "validation"
    PRODUCTION = "production"
    ARCHIVED = "archived"
    FAILED = "failed"


class Step(StrEnum):
    """Which of the three numbers rises."""

    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"


class SemVer(NamedTuple):
    """``major.minor.patch``, ordered as numbers."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> "SemVer":
        """Read ``"1.4.0"``.

        Raises
        ------
        InvalidVersion
            If the text is anything else (no ``v``, no leading zeros, no suffixes).
        """
        match = _SEMVER.fullmatch(text)
        if match is None:
            raise InvalidVersion(found=text)
        return cls(*map(int, match.groups()))

    def raised(self, step: Step) -> "SemVer":
        """Give the next version by a step; the numbers after it begin at 0 again."""
        if step is Step.MAJOR:
            return SemVer(self.major + 1, 0, 0)
        if step is Step.MINOR:
            return SemVer(self.major, self.minor + 1, 0)
        return SemVer(self.major, self.minor, self.patch + 1)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


FIRST = SemVer(1, 0, 0)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a version was made of, as hashes."""

    schema_digest: str  # of schema and target
    recipe_digest: str  # of recipe, features and parameters
    data_digest: str


def step_between(before: Origin, after: Origin) -> Step:
    """Tell how big a change is: schema or target is major, recipe minor, data alone a patch."""
    if before.schema_digest != after.schema_digest:
        return Step.MAJOR
    if before.recipe_digest != after.recipe_digest:
        return Step.MINOR
    return Step.PATCH


def next_version(
    latest: SemVer | None, before: Origin | None, after: Origin, at_least: Step = Step.PATCH
) -> SemVer:
    """Name the next version of a model.

    Parameters
    ----------
    latest, before : SemVer and Origin, or None
        The greatest version so far and what it was made of; None for the first.
    after : Origin
        What the new one is made of.
    at_least : Step
        The computed step may be overridden upwards.
    """
    if latest is None or before is None:
        return FIRST
    order = list(Step)
    return latest.raised(max(step_between(before, after), at_least, key=order.index))


_WAYS = {
    Stage.TRAINING: (Stage.VALIDATION, Stage.FAILED, Stage.ARCHIVED),
    Stage.VALIDATION: (Stage.PRODUCTION, Stage.FAILED, Stage.ARCHIVED),
    Stage.PRODUCTION: (Stage.ARCHIVED, Stage.FAILED),
    Stage.ARCHIVED: (Stage.PRODUCTION, Stage.FAILED),
    Stage.FAILED: (Stage.VALIDATION, Stage.ARCHIVED),
}

_WAY_OUT = {
    Stage.TRAINING: (
        "Wait until its training ends; it goes to validation then.",
        "Espere a que termine su entrenamiento; entonces pasa a validación.",
    ),
    Stage.VALIDATION: (
        "Run `timonel promote {model}@{version}` to put it into production.",
        "Ejecute `timonel promote {model}@{version}` para ponerla en producción.",
    ),
    Stage.PRODUCTION: (
        "It answers already; `timonel rollback {model}` takes it back.",
        "Ya está respondiendo; `timonel rollback {model}` la retira.",
    ),
    Stage.ARCHIVED: (
        "Run `timonel rollback {model} --to {version}` if it was in production before, or "
        "`timonel train {model}` for a new version.",
        "Ejecute `timonel rollback {model} --to {version}` si antes estuvo en producción, o "
        "`timonel train {model}` para una versión nueva.",
    ),
    Stage.FAILED: (
        "See its reasons in `timonel versions {model}`, correct them and run "
        "`timonel train {model}`.",
        "Vea sus motivos en `timonel versions {model}`, corríjalos y ejecute "
        "`timonel train {model}`.",
    ),
}


def check_transition(
    model: str, version: str, from_stage: Stage, to_stage: Stage, *, rollback: bool = False
) -> None:
    """Refuse a move that is not on the way ``training -> validation -> production -> archived``.

    An archived version returns to production by a rollback only: it was judged before.

    Raises
    ------
    IllegalTransition
        With the way out.
    """
    legal = to_stage in _WAYS[from_stage]
    if from_stage is Stage.ARCHIVED and to_stage is Stage.PRODUCTION:
        legal = rollback
    if legal:
        return
    sources = [stage for stage, ways in _WAYS.items() if to_stage in ways]
    if to_stage is Stage.PRODUCTION and not rollback:
        sources.remove(Stage.ARCHIVED)
    english, spanish = _WAY_OUT[from_stage]
    raise IllegalTransition(
        model=model,
        version=version,
        from_stage=str(from_stage),
        to_stage=str(to_stage),
        expected=" or ".join(sources),
        way_out=english.format(model=model, version=version),
        way_out_es=spanish.format(model=model, version=version),
    )


def deployment_stack(deployments: Sequence[str]) -> list[str]:
    """Reduce the versions put into production, oldest first, to those a rollback goes back over.

    A promotion adds a version on top; a return to one that is still there takes away what lay
    above it, so that rolling back twice goes two versions back and never returns to the bad one.

    Examples
    --------
    >>> deployment_stack(["1.0.0", "1.0.1", "1.1.0", "1.0.1"])
    ['1.0.0', '1.0.1']
    """
    stack: list[str] = []
    for version in deployments:
        if version in stack:
            del stack[stack.index(version) + 1 :]
        else:
            stack.append(version)
    return stack


class Reference(NamedTuple):
    """A model and, where given, its version, alias or stage."""

    model: str
    version: str | None


def parse_reference(text: str) -> Reference:
    """Read ``name``, ``name@1.2.0``, ``name@champion``, ``models:/name@champion`` and such.

    Raises
    ------
    InvalidReference
        If the text is none of these.
    """
    match = _REFERENCE.fullmatch(text.strip())
    if match is None:
        raise InvalidReference(reference=text)
    return Reference(match["model"], match["version"])
