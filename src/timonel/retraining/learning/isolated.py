"""What runs in a process of its own: the project's code, which may raise, hang or take it along.

Each function takes and gives plain JSON; rows, models and answers travel as artifacts, by hash.
Doing one again gives the same hashes.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from timonel.errors import TimonelError
from timonel.project.model import Model, Task
from timonel.project.project import load_project
from timonel.registry.artifacts import ArtifactStore
from timonel.registry.manifest import ServingManifest, decode_manifest
from timonel.retraining.learning.frames import Prepared, Rows, load, rows_of_table, store
from timonel.retraining.learning.mixture import Mixture, best, inner_holdout, read_mixture
from timonel.retraining.learning.trial import losses_of
from timonel.runtime.native import NativePredictor
from timonel.runtime.predictors import Predictor, load_predictor
from timonel.stats.profiles.profile import Profile
from timonel.training.table import class_list, read_table
from timonel.training.train import TrainedVersion, train
from timonel.wire.problem import problem

Json = dict[str, Any]


def read_original(payload: Json) -> Json:
    """Read the model's own source; give the artifact of its rows, or say why there are none.

    Parameters
    ----------
    payload : dict
        ``folder``, ``model``, ``timezone``, ``artifacts`` (the store's root).
    """
    model, artifacts = _model(payload), ArtifactStore(Path(payload["artifacts"]))
    try:
        table = read_table(model, payload["timezone"])
    except TimonelError as error:
        return {"down": said(error)}
    describe = getattr(model.source, "describe", None)
    return {
        "rows": store(rows_of_table(table), model.schema, artifacts),
        "n": len(table),
        "n_read": table.n_read,
        "dropped": table.dropped,
        "source": describe() if callable(describe) else {"kind": "function"},
        "classes": None if model.task == Task.REGRESSION else class_list(table.target),
    }


def train_candidate(payload: Json) -> Json:
    """Choose the mixture, train on it, and keep what came of it as artifacts.

    Parameters
    ----------
    payload : dict
        As of ``read_original``, and ``learn`` and ``holdout`` (artifacts of logged rows),
        ``original`` (artifact or None), ``ways`` (mixtures), ``description``.

    Raises
    ------
    ProjectFault
        If it cannot be trained.
    """
    model, artifacts = _model(payload), ArtifactStore(Path(payload["artifacts"]))
    schema, zone = model.schema, payload["timezone"]
    learn = load(payload["learn"], schema, artifacts)
    holdout = load(payload["holdout"], schema, artifacts)
    name = payload["original"]
    original = load(name, schema, artifacts) if name else None
    ways = tuple(read_mixture(way) for way in payload["ways"])
    way, tried = _choose(model, ways, learn, original, zone)
    rows = mixed(way, learn, original)
    description = {
        **payload["description"],
        "mixture": {"chosen": way.document(), "tried": tried},
        "rows": len(rows),
    }
    prepared = Prepared(model, rows, holdout, description)
    trained = train(
        prepared.as_model(),
        project=payload["project"],
        timezone=zone,
        rules=load_project(Path(payload["folder"])).rules_source(model),
        champion=Profile.from_json(payload["profile"]) if payload["profile"] else None,
    )
    for data in trained.artifacts.values():
        artifacts.put(data)
    document = msgspec.json.encode(_document(trained, description), order="deterministic")
    return {
        "candidate": artifacts.put(document).sha256,
        "n_train": len(rows),
        "n_holdout": len(holdout),
        "mixture": description["mixture"],
        "main": trained.report.main.document() | {"name": trained.report.main.name},
        "baseline": trained.report.baseline,
        "rules": trained.report.rules,
        "version_hash": trained.version_hash,
    }


def answer_holdout(payload: Json) -> Json:
    """Let versions answer the holdout; give for each the losses, row by row, as one artifact.

    Parameters
    ----------
    payload : dict
        As of ``read_original``, and ``holdout`` and ``manifests`` (name to artifact).
    """
    model, artifacts = _model(payload), ArtifactStore(Path(payload["artifacts"]))
    rows = load(payload["holdout"], model.schema, artifacts)
    losses: Json = {}
    unusable: dict[str, str] = {}
    for name, sha256 in payload["manifests"].items():
        manifest = decode_manifest(artifacts.get(sha256))
        try:
            losses[name] = _losses(manifest, artifacts, rows)
        except TimonelError as error:
            unusable[name] = error.message()
    document = {"unit": rows.unit, "losses": losses}
    return {
        "losses": artifacts.put(msgspec.json.encode(document)).sha256,
        "n": len(rows),
        "unusable": unusable,
    }


def mixed(way: Mixture, learn: Rows, original: Rows | None) -> Rows:
    """Put a training set together."""
    recent = learn.take([i for i, at in enumerate(learn.at) if at >= way.since_us])
    logged = recent.take([i for _ in range(way.copies) for i in range(len(recent))])
    return logged if original is None or not way.original else original + logged


def _choose(
    model: Model, ways: tuple[Mixture, ...], learn: Rows, original: Rows | None, zone: str
) -> tuple[Mixture, list[Json]]:
    recent = [i for i, at in enumerate(learn.at) if at >= ways[0].since_us]
    n_inner = inner_holdout(len(recent))
    if len(ways) < 2 or not n_inner:
        return ways[0], []
    inner = learn.take(recent[-n_inner:])
    before = learn.take(range(len(learn) - n_inner))
    losses = [losses_of(model, mixed(way, before, original), inner, zone) for way in ways]
    if any(loss is None for loss in losses):
        return ways[0], []
    means = [float(np.mean(loss)) for loss in losses if loss is not None]
    tried = [
        {"name": way.name, "loss": round(mean, 6), "n": n_inner}
        for way, mean in zip(ways, means, strict=True)
    ]
    return best(ways, means), tried


def _losses(manifest: ServingManifest, artifacts: ArtifactStore, rows: Rows) -> list[float]:
    predictor: Predictor
    if manifest.predictor == "native":
        predictor = NativePredictor.load(manifest, artifacts.get)
    else:
        predictor = load_predictor(manifest, artifacts.get)
    answers = predictor.predict_rows(rows.values)
    if manifest.task == Task.REGRESSION:
        return [
            abs(float(answer.prediction) - float(truth))
            for answer, truth in zip(answers, rows.target, strict=True)
        ]
    return [
        float(not _same(answer.prediction, truth))
        for answer, truth in zip(answers, rows.target, strict=True)
    ]


def _same(prediction: Any, truth: Any) -> bool:
    return bool(prediction == truth) or str(prediction) == str(truth)


def _document(trained: TrainedVersion, description: Json) -> Json:
    return {
        "manifest": trained.manifest.encode().decode(),
        "metrics": trained.metrics,
        "lineage": {**trained.lineage, "retraining": description},
        "schema_digest": trained.schema_digest,
        "recipe_digest": trained.recipe_digest,
        "data_digest": trained.data_digest,
        "version_hash": trained.version_hash,
        "profile": None if trained.profile is None else trained.profile.to_json(),
        "checks": [gate.document() for gate in trained.checks],
        "advice": [{"en": said.en, "es": said.es} for said in trained.report.findings],
    }


def _model(payload: Json) -> Model:
    return load_project(Path(payload["folder"])).model(payload["model"])


def said(error: TimonelError) -> Json:
    """Give an error for lineage and report: its code, and what it says in both languages."""
    document = problem(error)
    return {
        "code": document["code"],
        "detail": {lang: error.message(lang) for lang in ("en", "es")},
    }
