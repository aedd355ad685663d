"""The fourth step: candidate, champion and anchor answer the same holdout, and the gates decide."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from timonel.jobs.steps import StepContext
from timonel.registry.catalogue import ModelVersion
from timonel.registry.manifest import ServingManifest, decode_manifest
from timonel.registry.versions import Stage
from timonel.retraining.judging import comparisons
from timonel.retraining.judging.comparisons import DECIDED_BY, Look
from timonel.retraining.judging.gates import (
    Gate,
    Judgement,
    gates_of_training,
    paired_gate,
    parity_gate,
    schema_gate,
    unusable_gate,
)
from timonel.retraining.learning import isolated
from timonel.retraining.parts import Parts
from timonel.stats.gates import Verdict, alpha_for_look
from timonel.stats.profiles.profile import Profile
from timonel.store.engine import reading

WHO = "retraining"
JOB_TAG = "job"
Json = dict[str, Any]
Isolate = Callable[[Callable[[Json], Json], Json], Json]


@dataclass(frozen=True, slots=True)
class _Candidate:
    document: Json
    manifest: ServingManifest


def validate(parts: Parts, context: StepContext, isolate: Isolate) -> Json:
    """Judge the candidate, enter it into the registry with its gates, and record the look."""
    fetched, prepared = context.outputs["fetch"], context.outputs["prepare"]
    model, job = context.job.model, context.job.job_id
    document = msgspec.json.decode(parts.artifacts.get(context.outputs["train"]["candidate"]))
    candidate = _Candidate(document, decode_manifest(document["manifest"]))
    champion = _version(parts, model, fetched["champion"])
    anchor = _anchor(parts, model, champion)
    look = Look(1, alpha_for_look(1))
    if champion is not None:
        with reading(parts.engine) as connection:
            look = comparisons.next_look(connection, parts.name, champion)
    judgement, left = _judge(parts, isolate, candidate, champion, anchor, prepared["holdout"], look)
    context.check()
    gates = {
        "decided_by": DECIDED_BY,
        "verdict": str(judgement.verdict),
        "better": judgement.better,
        "look": look.number,
        "alpha": look.alpha,
        "job": job,
        "gates": [gate.document() for gate in judgement.gates],
    }
    version = _register(parts, candidate, judgement, gates, job, context.job.requested_by)
    if version.tags.get(JOB_TAG) != job:
        ended = {"state": "same", "version": version.version, "stage": version.stage}
        return {"ended": ended, "left": left}
    output = {
        "version": version.version,
        "champion": fetched["champion"],
        "anchor": None if anchor is None else anchor.version,
        "reason": judgement.reason,
        "n_holdout": prepared["n_holdout"],
        "left": left,
        **gates,
    }
    if champion is None:
        return output
    with context.transaction() as connection:
        comparisons.record(
            connection,
            parts.name,
            model,
            candidate=version.version,
            champion=champion.version,
            look=look,
            verdict=str(judgement.verdict),
            newest_row_at=prepared["holdout_until"],
            facts={"job": job, "gates": gates["gates"]},
            at=parts.now_us(),
        )
        context.complete(output)
    return output


def _version(parts: Parts, model: str, number: str | None) -> ModelVersion | None:
    return None if number is None else parts.registry.get(model, number)


def _anchor(parts: Parts, model: str, champion: ModelVersion | None) -> ModelVersion | None:
    """Give the anchor where it is another version than the champion, and comparable with it."""
    if champion is None:
        return None
    found = _version(parts, model, comparisons.anchor_of(parts.registry.history(model)))
    if found is None or found.version == champion.version or found.stage is Stage.FAILED:
        return None
    return found if found.schema_digest == champion.schema_digest else None


def _judge(
    parts: Parts,
    isolate: Isolate,
    candidate: _Candidate,
    champion: ModelVersion | None,
    anchor: ModelVersion | None,
    holdout: str,
    look: Look,
) -> tuple[Judgement, list[str]]:
    """Judge by the gates; give also the artifacts that were made for it alone."""
    manifest, document = candidate.manifest, candidate.document
    gates = gates_of_training(document["checks"], document["metrics"])
    gates.append(parity_gate(manifest.predictor, manifest.parity))
    if champion is None:
        return Judgement(tuple(gates)), []
    same = schema_gate(document["schema_digest"], champion.schema_digest)
    gates.append(same)
    if same.verdict is not Verdict.PASS:
        return Judgement(tuple(gates)), []
    others = {"champion": champion} | ({} if anchor is None else {"anchor": anchor})
    texts = {"candidate": document["manifest"].encode()}
    for name, version in others.items():
        texts[name] = parts.registry.manifest(version.model, version.version).encode()
    manifests = {name: parts.artifacts.put(text).sha256 for name, text in texts.items()}
    answered = isolate(
        isolated.answer_holdout,
        {"holdout": holdout, "manifests": manifests},
    )
    found = msgspec.json.decode(parts.artifacts.get(answered["losses"]))
    gates += [_against(name, manifest.task, found, answered["unusable"], look) for name in others]
    return Judgement(tuple(gates)).settled(), [*manifests.values(), answered["losses"]]


def _against(name: str, task: str, found: Json, unusable: dict[str, str], look: Look) -> Gate:
    for one in ("candidate", name):
        if one in unusable:
            return unusable_gate(name, unusable[one])
    losses = found["losses"]
    return paired_gate(
        name, task, found["unit"], losses["candidate"], losses[name], alpha=look.alpha
    )


def _register(
    parts: Parts,
    candidate: _Candidate,
    judgement: Judgement,
    gates: Json,
    job: str,
    requested_by: str,
) -> ModelVersion:
    document = candidate.document
    if document["profile"] is not None:
        profile = Profile.from_json(document["profile"])
        parts.registry.keep_profile(candidate.manifest.model, profile)
    failed = judgement.verdict is Verdict.FAIL
    return parts.registry.register(
        candidate.manifest,
        schema_digest=document["schema_digest"],
        recipe_digest=document["recipe_digest"],
        data_digest=document["data_digest"],
        version_hash=document["version_hash"],
        metrics=document["metrics"],
        lineage=document["lineage"],
        who=f"{WHO} ({requested_by})"[:128],
        reason=f"retrained: {judgement.verdict}: {judgement.reason}"[:2000],
        gates=gates,
        tags={JOB_TAG: job},
        stage=Stage.FAILED if failed else Stage.VALIDATION,
    )
