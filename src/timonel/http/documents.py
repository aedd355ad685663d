"""What the control routes answer: the concepts' values as JSON documents, times in ISO 8601."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from timonel.monitoring.health import Health
from timonel.monitoring.performance import Group, Performance, Quality, fallback
from timonel.registry.catalogue import Declaration, ModelVersion
from timonel.registry.history import Transition
from timonel.registry.manifest import ServingManifest, decode_manifest
from timonel.schema.example import example_row
from timonel.schema.schema import Schema
from timonel.store.reads import OutcomeRow, PredictionRow

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(at_us: int | None) -> str | None:
    """Write microseconds since the epoch as ISO 8601 in UTC."""
    if at_us is None:
        return None
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat().replace("+00:00", "Z")


def example_request(manifest: ServingManifest) -> dict[str, Any]:
    """Give a body that the model's predict route accepts."""
    row = example_row(Schema.from_json(manifest.schema))
    if manifest.outcome.key is not None:
        row[manifest.outcome.key] = "A-1"
    return {"inputs": row}


def declaration_document(
    declared: Declaration, champion: ModelVersion | None, stages: dict[str, int]
) -> dict[str, Any]:
    """Describe a model: what it answers, what it needs, and which version serves."""
    manifest = decode_manifest(declared.manifest)
    plan, policy = manifest.outcome, manifest.policy
    return {
        "name": manifest.model,
        "task": manifest.task,
        "target": manifest.target,
        "target_range": manifest.target_range,
        "declared_at": iso(declared.declared_at),
        "digest": declared.digest,
        "schema": manifest.schema,
        "example": example_request(manifest),
        "fallback": f"rules:{manifest.rules.function}" if manifest.rules else "baseline",
        "outcome": {
            "key": plan.key,
            "horizon_s": plan.horizon_s,
            "absent": plan.absent,
        },
        "policy": {"deadline_ms": policy.deadline_ms, "low_confidence": policy.low_confidence},
        "champion": champion.document() if champion is not None else None,
        "n_versions": stages,
        "links": model_links(manifest.model),
    }


def model_links(model: str) -> dict[str, str]:
    """Give where to go on from a model."""
    here = f"/v1/models/{model}"
    names = ("predict", "outcomes", "versions", "production", "history", "predictions")
    watched = ("performance", "drift", "windows")
    return {"self": here, **{name: f"{here}/{name}" for name in (*names, *watched)}}


def transition_document(row: Transition) -> dict[str, Any]:
    """Describe one line of the history."""
    return {
        "seq": row.seq,
        "model": row.model,
        "version": row.version,
        "from_stage": row.from_stage or None,
        "to_stage": row.to_stage,
        "who": row.who,
        "reason": row.reason,
        "gates": msgspec.json.decode(row.gates),
        "at": iso(row.at),
        "hash": row.hash,
    }


def prediction_document(row: PredictionRow) -> dict[str, Any]:
    """Describe a logged prediction, and its truth where it has come."""
    truth = None
    if row.outcome is not None:
        truth = {
            "value": msgspec.json.decode(row.outcome),
            "revision": row.outcome_revision,
            "arrived_at": iso(row.outcome_at),
        }
    return {
        "prediction_id": str(row.prediction_id),
        "at": iso(row.at),
        "model": row.model,
        "version": row.version,
        "variant": row.variant,
        "source": row.source,
        "reason": row.reason,
        "key": row.key,
        "unit_id": row.unit_id,
        "prediction": msgspec.json.decode(row.prediction),
        "score": row.score,
        "probabilities": _decoded(row.probabilities),
        "explanation": row.explanation,
        "latency_ms": row.latency_us / 1000 if row.latency_us else None,  # 0: nobody measured it
        "data_age_s": None if row.data_age_ms is None else row.data_age_ms / 1000,
        "inputs": msgspec.json.decode(row.features),
        "outcome": truth,
    }


def outcome_document(row: OutcomeRow) -> dict[str, Any]:
    """Describe a reported truth and what became of it."""
    return {
        "outcome_id": str(row.outcome_id),
        "model": row.model,
        "prediction_id": str(row.prediction_id) if row.prediction_id else None,
        "key": row.key,
        "observed_at": iso(row.observed_at),
        "arrived_at": iso(row.arrived_at),
        "value": msgspec.json.decode(row.value),
        "origin": row.origin,
        "state": row.state,
        "revision": row.revision,
        "joined_at": iso(row.joined_at),
    }


def performance_document(performance: Performance) -> dict[str, Any]:
    """Describe how good a model's answers were; what is unknown is null, with a reason."""
    n, n_fallback, reasons = fallback(performance.answered)
    return {
        "model": performance.model,
        "since": iso(performance.since_us),
        "until": iso(performance.until_us),
        "n_answered": n,
        "n_fallback": n_fallback,
        "fallback_rate": n_fallback / n if n else None,
        "fallback_reasons": reasons,
        "by": "arrival" if performance.by_arrival else "prediction",
        "overall": {
            **_quality(performance.overall),
            "further": [measure.document() for measure in performance.measures],
            "confusion": performance.confusion,
        },
        "by_version": [_group(group) for group in performance.groups],
        "by_variant": [
            {"variant": group.variant, **_group(group)} for group in performance.variants
        ],
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "version": group.version or None,
        "source": group.source,
        "n_answered": group.n_answered,
        **_quality(group.quality),
        "further": [measure.document() for measure in group.measures],
    }


def _quality(quality: Quality) -> dict[str, Any]:
    interval = quality.interval
    return {
        "metric": quality.metric,
        "value": interval.estimate if interval else None,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "confidence": interval.confidence if interval else None,
        "n_labels": quality.n_labels,
        "n_needed": quality.n_needed,
        "enough": quality.enough,
        "reason": str(quality.unknown) if quality.unknown else None,
        "baseline": quality.holdout.document(),
    }


def health_document(health: Health) -> dict[str, Any]:
    """Describe every dimension; unknown ones say why."""
    counts: dict[str, int] = {}
    for check in health.checks:
        counts[check.state.lower()] = counts.get(check.state.lower(), 0) + 1
    return {
        "status": str(health.state),
        "at": iso(health.at_us),
        "checks": {
            check.name: {"status": str(check.state), "reason": check.reason, **check.facts}
            for check in health.checks
        },
        "summary": counts,
    }


def _decoded(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)
