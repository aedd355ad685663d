"""What a transition does, between the raise of the generation and the commit."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
from sqlalchemy import Connection

from timonel.registry import catalogue
from timonel.registry.catalogue import ModelVersion
from timonel.registry.errors import ChampionChanged, NeverInProduction, UnknownVersion
from timonel.registry.ledger import Ledger
from timonel.registry.manifest import ServingManifest, decode_manifest
from timonel.registry.versions import (
    CHALLENGER,
    CHAMPION,
    Origin,
    Stage,
    Step,
    check_transition,
    next_version,
)
from timonel.store.tables import model_versions


def enter(
    ledger: Ledger,
    manifest: ServingManifest,
    values: Mapping[str, Any],
    at_least: Step,
    gates: object,
) -> ModelVersion:
    """Enter a version under the next number, or find it there."""
    connection, project, model = ledger.connection, ledger.project, manifest.model
    same = same_training(connection, manifest, values["version_hash"])
    if same is not None:
        return same
    latest = catalogue.latest_version(connection, project, model)
    origin = Origin(values["schema_digest"], values["recipe_digest"], values["data_digest"])
    number = next_version(
        latest.semver if latest else None, latest.origin if latest else None, origin, at_least
    )
    version = str(number)
    numbered = msgspec.structs.replace(manifest, version=version)
    champion = catalogue.aliased(connection, project, model, CHAMPION)
    ledger.add(
        {
            **values,
            **number._asdict(),
            "version": version,
            "parent": champion or (latest.version if latest else None),
            "digest": numbered.digest(),
            "manifest": numbered.encode().decode(),
            "created_by": ledger.who,
            "created_at": ledger.at,
        }
    )
    ledger.record(model, version, "", Stage.TRAINING)
    if values["stage"] != Stage.TRAINING:
        ledger.record(model, version, Stage.TRAINING, values["stage"], gates)
    return present(connection, project, model, version)


def move(
    ledger: Ledger, version: ModelVersion, to_stage: Stage, gates: object = None
) -> ModelVersion:
    """Move a version to any stage but production."""
    model, number = version.model, version.version
    from_stage = present(ledger.connection, ledger.project, model, number).stage
    check_transition(model, number, from_stage, to_stage)
    ledger.move(model, number, from_stage, to_stage, gates)
    ledger.drop_aliases(model, number)
    return present(ledger.connection, ledger.project, model, number)


def install(
    ledger: Ledger,
    version: ModelVersion,
    expected: str | None,
    gates: object = None,
    *,
    rollback: bool = False,
) -> ModelVersion:
    """Put a version into production in the champion's place, if that is still the expected one."""
    connection, project = ledger.connection, ledger.project
    model, number = version.model, version.version
    champion = catalogue.aliased(connection, project, model, CHAMPION)
    if champion != expected:
        raise ChampionChanged(model=model, version=number, found=champion, expected=expected)
    stage = present(connection, project, model, number).stage
    deployed = ledger.deployments(model)
    if rollback and stage is not Stage.PRODUCTION and number not in deployed:
        known = [name for name in dict.fromkeys(deployed) if name != champion]
        raise NeverInProduction(model=model, version=number, known=known)
    check_transition(model, number, stage, Stage.PRODUCTION, rollback=rollback)
    if champion is not None:
        ledger.move(model, champion, Stage.PRODUCTION, Stage.ARCHIVED)
    ledger.move(model, number, stage, Stage.PRODUCTION, gates)
    ledger.crown(model, number)
    return present(connection, project, model, number)


def challenge(ledger: Ledger, version: ModelVersion) -> ModelVersion:
    """Let the alias ``challenger`` name a version in validation."""
    model, number = version.model, version.version
    found = present(ledger.connection, ledger.project, model, number)
    if found.stage is not Stage.VALIDATION:
        check_transition(model, number, found.stage, Stage.PRODUCTION)
    ledger.point(model, CHALLENGER, number)
    ledger.record(model, number, found.stage, found.stage, {"alias": CHALLENGER})
    return present(ledger.connection, ledger.project, model, number)


def same_training(
    connection: Connection, manifest: ServingManifest, version_hash: str
) -> ModelVersion | None:
    """Find a version of the same training with the same declaration around it."""
    row = model_versions.c
    where = [row.model == manifest.model, row.version_hash == version_hash]
    for version in catalogue.version_page(connection, manifest.project, where):
        text = catalogue.manifest_text(connection, manifest.project, version.model, version.version)
        if text and _declared_part(decode_manifest(text)) == _declared_part(manifest):
            return replace(version, already_registered=True)
    return None


def present(connection: Connection, project: str, model: str, version: str) -> ModelVersion:
    """Read a version as it stands in this transaction."""
    found = catalogue.one_version(connection, project, model, version)
    if found is None:  # no code of ours deletes a version
        raise UnknownVersion(model=model, version=version, known=[])
    return found


def _declared_part(manifest: ServingManifest) -> tuple[object, ...]:
    # what a declaration may change without training: the same training with other rules or
    # another deadline answers differently, so it is another version
    return (
        manifest.schema,
        manifest.timezone,
        manifest.positive,
        manifest.rules,
        manifest.policy,
        manifest.outcome,
    )
