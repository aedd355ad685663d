"""From a declaration or a training to what serving reads: manifests, artifacts, registry."""

from typing import Any, Protocol

from timonel.errors import Phrase, TimonelError, joined
from timonel.project.model import Model, Task
from timonel.registry.manifest import Baseline, ServingManifest
from timonel.registry.registry import ModelVersion, Registry
from timonel.registry.versions import Stage
from timonel.training.assemble import (
    lookup_plan,
    outcome_plan,
    serving_policy,
    watch_plan,
)
from timonel.training.evaluate import baseline_of
from timonel.training.rules import verify_rules
from timonel.training.table import class_list, read_table
from timonel.training.train import TrainedVersion
from timonel.wire.rules import RulesSource

__all__ = ["declaration_manifest", "first_baseline", "may_promote", "publish", "verify_rules"]


class Artifacts(Protocol):
    """Where bytes are kept by their hash."""

    def put(self, data: bytes) -> object:
        """Store bytes; storing them again changes nothing."""
        ...


def declaration_manifest(
    model: Model,
    *,
    project: str,
    timezone: str,
    rules: RulesSource | None,
    baseline: Baseline | None = None,
) -> ServingManifest:
    """Make the manifest of a model without a version: its schema, rules, baseline and policy.

    The rules are tried first.

    Raises
    ------
    UnusableRules
        If the rules could not answer in service.
    """
    if rules is not None:
        verify_rules(rules, model.schema, task=str(model.task), timezone=timezone)
    return ServingManifest(
        project=project,
        model=model.name,
        version="",
        task=str(model.task),
        target=model.target,
        schema=model.schema.to_json(),
        timezone=timezone,
        positive=model.positive,
        target_range=model.target_range,
        rules=rules,
        baseline=baseline,
        policy=serving_policy(model),
        outcome=outcome_plan(model),
        watch=watch_plan(model),
        lookup=lookup_plan(model),
    )


def publish(
    trained: TrainedVersion,
    registry: Registry,
    artifacts: Artifacts,
    *,
    who: str,
    reason: str = "trained",
) -> ModelVersion:
    """Store a training's artifacts and enter it into the registry under its next number.

    The stage is validation; a version that failed a gate is entered too, with its gates in the
    history, and is not promoted by itself.
    """
    for data in trained.artifacts.values():
        artifacts.put(data)
    if trained.profile is not None:
        registry.keep_profile(trained.manifest.model, trained.profile)
    return registry.register(
        trained.manifest,
        schema_digest=trained.schema_digest,
        recipe_digest=trained.recipe_digest,
        data_digest=trained.data_digest,
        version_hash=trained.version_hash,
        metrics=trained.metrics,
        lineage=trained.lineage | {"serving": _serving(trained.manifest)},
        gates=[gate.document() for gate in trained.checks],
        who=who,
        reason=reason,
        stage=Stage.VALIDATION,
    )


def may_promote(
    trained: TrainedVersion, version: ModelVersion, champion: ModelVersion | None
) -> tuple[bool, Phrase]:
    """Say whether a training's version may go into production by itself, and why."""
    if champion is not None and champion.version == version.version:
        return False, Phrase(
            "it is already in production: same data, code, recipe and seed",
            "ya está en producción: mismos datos, código, receta y semilla",
        )
    failed = trained.failed_gates
    if failed:
        return False, Phrase(
            "gates not passed: {failed}",
            "compuertas no pasadas: {failed}",
            failed=joined(failed),
        )
    if champion is not None:
        return False, Phrase(
            "{champion} is in production; compare them and promote by hand",
            "{champion} está en producción; compárelas y promueva a mano",
            champion=champion,
        )
    return True, Phrase(
        "first version, better than the baseline on its holdout",
        "primera versión, mejor que la línea base en sus filas reservadas",
    )


def _serving(manifest: ServingManifest) -> dict[str, Any]:
    """Say what answers for a version, and what the parity gate found of it."""
    return {"predictor": manifest.predictor, "parity": manifest.parity}


def first_baseline(model: Model, *, timezone: str) -> Baseline | None:
    """Read a model's data for the answer that needs no training.

    Returns
    -------
    Baseline or None
        None where the data cannot be read or hold no label: nothing honest can be answered then,
        and the training says why.
    """
    try:
        target = read_table(model, timezone).target
    except TimonelError:
        return None
    if not target:
        return None
    if model.task == Task.REGRESSION:
        return baseline_of(target, None, None)
    classes = class_list(target)
    positive = None
    if model.task == Task.BINARY:
        positive = model.positive if model.positive in classes else classes[-1]
    return baseline_of(target, classes, positive)
