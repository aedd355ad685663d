"""What serving will read of a training: the manifest, its artifacts, and its self-test."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec

from timonel.project.durations import duration
from timonel.project.model import Model
from timonel.registry.manifest import (
    ArtifactRef,
    Baseline,
    LookupPlan,
    OutcomePlan,
    SelfTest,
    ServingManifest,
    ServingPolicy,
    WatchPlan,
)
from timonel.runtime.compile import Compiled
from timonel.runtime.featuriser import Featuriser
from timonel.runtime.native import NativePredictor, dump, library_versions
from timonel.runtime.outputs import AnswerMaker
from timonel.runtime.parity import Rows
from timonel.runtime.predictors import PLAN_ARTIFACT, Predictor, compiled_predictor
from timonel.stats.multivariate.row_outliers import RowOutliers
from timonel.stats.profiles.profile import Profile
from timonel.wire.answer import Label
from timonel.wire.rules import RulesSource

_LARGEST_INLINE_PLAN = 64 << 10
_SELF_TEST_ROWS = 32


@dataclass(frozen=True, slots=True)
class Fitted:
    """What fitting gave: the estimator, its featuriser, and what the training part holds."""

    estimator: Any
    plan: dict[str, Any]
    featuriser: Featuriser
    classes: list[Label] | None
    positive: Label | None
    baseline: Baseline
    warnings: list[str]
    seconds: float


def assemble(
    model: Model,
    compiled: Compiled,
    fitted: Fitted,
    *,
    project: str,
    timezone: str,
    rules: RulesSource | None,
) -> tuple[ServingManifest, dict[str, bytes], Predictor]:
    """Give the manifest (without self-test), its artifacts, and the predictor they make."""
    plan, artifacts = compiled.plan, dict(compiled.artifacts)
    if compiled.scores is None:
        dumped = dump(fitted.estimator, model=model.name, allow_pickle=model.allow_pickle)
        artifacts |= dumped
        native = {
            "artifact": next(iter(dumped)),
            "allow_pickle": model.allow_pickle,
            "libraries": library_versions(),
        }
        plan = {**plan, "native": native}
    manifest, artifacts = manifest_of(
        model,
        Compiled(compiled.kind, plan, artifacts, compiled.verdict, batch=compiled.batch),
        classes=fitted.classes,
        positive=fitted.positive,
        baseline=fitted.baseline,
        project=project,
        timezone=timezone,
        rules=rules,
    )
    predictor: Predictor
    if compiled.scores is None:
        predictor = NativePredictor(
            fitted.featuriser,
            fitted.estimator,
            AnswerMaker.of(manifest),
            classifier=fitted.classes is not None,
        )
    else:
        predictor = compiled_predictor(manifest, plan, compiled.scores)
    return manifest, artifacts, predictor


def manifest_of(
    model: Model,
    served: Compiled,
    *,
    classes: list[Label] | None,
    positive: Label | None,
    baseline: Baseline | None,
    project: str,
    timezone: str,
    rules: RulesSource | None,
) -> tuple[ServingManifest, dict[str, bytes]]:
    """Give the manifest (without self-test) of what serves, and its artifacts.

    A large plan (text vocabularies) becomes an artifact of its own.
    """
    artifacts = dict(served.artifacts)
    inline = {**served.plan, "model": model.name}
    encoded = msgspec.json.encode(inline, order="deterministic")
    if len(encoded) > _LARGEST_INLINE_PLAN:
        artifacts[PLAN_ARTIFACT] = encoded
        inline = {"artifact": PLAN_ARTIFACT}
    manifest = ServingManifest(
        project=project,
        model=model.name,
        version="",
        task=str(model.task),
        target=model.target,
        schema=model.schema.to_json(),
        timezone=timezone,
        classes=classes,
        positive=positive,
        target_range=model.target_range,
        predictor=served.kind,
        plan=inline,
        artifacts={
            name: ArtifactRef(sha256(data).hexdigest(), len(data))
            for name, data in artifacts.items()
        },
        baseline=baseline,
        rules=rules,
        policy=serving_policy(model),
        outcome=outcome_plan(model),
        watch=watch_plan(model),
        parity=served.verdict,
        batch=served.batch,
    )
    return manifest, artifacts


def serving_policy(model: Model) -> ServingPolicy:
    """Give the part of a model's policy that the hot path needs."""
    policy = model.policy
    batching = policy.batching
    return ServingPolicy(
        policy.deadline_ms,
        policy.low_confidence,
        0 if batching is None else batching.max_rows,
        0.0 if batching is None else batching.wait_ms,
        policy.overload,
    )


def outcome_plan(model: Model) -> OutcomePlan:
    """Give how a model's outcomes find their predictions."""
    horizon = int(duration(model.outcome.horizon).total_seconds())
    return OutcomePlan(model.outcome.key, horizon, model.outcome.absent)


def lookup_plan(model: Model) -> LookupPlan | None:
    """Give how serving finds a row of the model by its entity; None where it cannot."""
    lookup = model.lookup
    if lookup is None:
        return None
    max_age_s = 0.0 if lookup.max_age is None else duration(lookup.max_age).total_seconds()
    return LookupPlan(lookup.query, lookup.served_url(), max_age_s, model.policy.lookup_ms)


def watch_plan(model: Model) -> WatchPlan:
    """Give how a model's traffic is watched."""
    watch = model.policy.watch
    return WatchPlan(
        window_h=watch.window_h,
        season=watch.season,
        floor=watch.floor,
        floors=dict(watch.floors),
        accuracy_loss=watch.accuracy_loss,
        error_rise=watch.error_rise,
        losses=dict(watch.losses),
        min_labels=watch.min_labels,
        fallback_rate=watch.fallback_rate,
        refused_rate=watch.refused_rate,
        outliers=watch.outliers,
        rule=watch.rule,
        rules=dict(watch.rules),
        detector=watch.detector,
        anomalies=watch.anomalies,
        latency_ms=watch.latency_ms,
    )


def outliers_of(
    model: Model,
    profile: Profile,
    learned: Sequence[Sequence[Any]],
    held: Sequence[Sequence[Any]],
) -> dict[str, Any] | None:
    """Give what tells rows that stand out; None where nobody asks, or it cannot be known."""
    if model.policy.watch.outliers is None:
        return None
    found = RowOutliers.fit(profile, learned, held)
    return None if found is None else found.to_json()


def self_test_of(predictor: Predictor, rows: Rows) -> SelfTest:
    """Store rows with their answers."""
    chosen = rows.clean[: _SELF_TEST_ROWS // 2] + rows.dirty[: _SELF_TEST_ROWS // 2]
    kept = [list(row) for row in chosen]
    answers = predictor.predict_rows(kept)
    return SelfTest(kept, [a.prediction for a in answers], [a.score for a in answers])
