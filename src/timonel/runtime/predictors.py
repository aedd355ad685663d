"""Compiled models in service: from validated values to an `Answer`, without training libraries.

``linear`` and ``clusters`` are closed forms in float64, ``onnx`` one or several estimator-only
graphs in float32; onnxruntime is imported only where a graph is loaded. A row alone and the same
row among many give the same answer.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from timonel.registry.manifest import ServingManifest
from timonel.runtime.errors import (
    ArtifactMismatch,
    InvalidOutput,
    NotInThisProcess,
    SelfTestFailed,
    UnreadablePlan,
)
from timonel.runtime.featuriser import Featuriser, Value
from timonel.runtime.linear import ClusterForm, LinearForm
from timonel.runtime.outputs import AnswerMaker
from timonel.wire.answer import Answer

PLAN_ARTIFACT = "plan.json"
ROW_TOLERANCE = 1e-5
ArtifactGetter = Callable[[str], bytes]


class Predictor(Protocol):
    """A loaded model. Thread safe; values are validated and in schema order.

    Raises `InvalidOutput` when what the model gives is no answer.
    """

    def predict_row(self, values: Sequence[Value]) -> Answer:
        """Answer for one row."""
        ...

    def predict_rows(self, table: Sequence[Sequence[Value]]) -> list[Answer]:
        """Answer for many rows, in order."""
        ...


class Scores(Protocol):
    """The arithmetic of a compiled model: probabilities (classification) or one value."""

    def row(self, featuriser: Featuriser, values: Sequence[Value]) -> list[float]:
        """Give the outputs of one row."""
        ...

    def rows(self, featuriser: Featuriser, table: Sequence[Sequence[Value]]) -> list[list[float]]:
        """Give the outputs of many rows, in order."""
        ...


class CompiledPredictor:
    """A featuriser, a compiled form and the way its outputs become answers."""

    __slots__ = ("_answer", "_featuriser", "_scores")

    def __init__(self, featuriser: Featuriser, scores: Scores, answer: AnswerMaker) -> None:
        self._featuriser = featuriser
        self._scores = scores
        self._answer = answer

    def predict_row(self, values: Sequence[Value]) -> Answer:
        """Answer for one row."""
        return self._answer(self._scores.row(self._featuriser, values))

    def predict_rows(self, table: Sequence[Sequence[Value]]) -> list[Answer]:
        """Answer for many rows, in order."""
        if not table:
            return []
        return self._answer.many(self._scores.rows(self._featuriser, table))


def read_artifact(manifest: ServingManifest, name: str, artifact: ArtifactGetter) -> bytes:
    """Get an artifact's bytes by its name in the manifest, and check their hash.

    Parameters
    ----------
    manifest : ServingManifest
    name : str
        As in ``manifest.artifacts``.
    artifact : callable
        From sha256 (hex) to bytes, as ``ArtifactStore.get``.

    Raises
    ------
    ArtifactMismatch
        If the bytes are not those that the manifest names.
    """
    reference = manifest.artifacts[name]
    data = artifact(reference.sha256)
    found = sha256(data).hexdigest()
    if found != reference.sha256:
        raise ArtifactMismatch(
            name=name, model=manifest.model, found=found, expected=reference.sha256
        )
    return data


def read_plan(manifest: ServingManifest, artifact: ArtifactGetter) -> dict[str, Any]:
    """Give the manifest's plan; a large one (text vocabularies) stands in an artifact."""
    plan = manifest.plan
    if plan is None:
        raise UnreadablePlan(
            object="plan", model=manifest.model, found="none", expected="a featuriser plan"
        )
    if "artifact" in plan:
        loaded: dict[str, Any] = msgspec.json.decode(
            read_artifact(manifest, plan["artifact"], artifact)
        )
        return loaded
    return plan


def load_predictor(manifest: ServingManifest, artifact: ArtifactGetter) -> Predictor:
    """Load what a manifest describes, with every artifact's hash checked.

    Parameters
    ----------
    manifest : ServingManifest
        Of kind ``linear``, ``clusters`` or ``onnx``.
    artifact : callable
        From sha256 (hex) to bytes, as ``ArtifactStore.get``.

    Raises
    ------
    ArtifactMismatch, UnreadablePlan
        If an artifact or the plan is not what it should be.
    NotInThisProcess
        For a ``native`` manifest: those run in the native pool. For ``http``: elsewhere.
    """
    if manifest.predictor in ("native", "http"):
        raise NotInThisProcess(model=manifest.model)
    plan = read_plan(manifest, artifact)
    if manifest.predictor == "linear":
        return compiled_predictor(manifest, plan, LinearForm.from_plan(plan["linear"]))
    if manifest.predictor == "clusters":
        return compiled_predictor(manifest, plan, ClusterForm.from_plan(plan["clusters"]))
    if manifest.predictor == "onnx":
        from timonel.runtime.graphs import FedGraph, OnnxScores

        graphs = [read_artifact(manifest, m["artifact"], artifact) for m in plan["members"]]
        if "feeds" in plan:
            fed = FedGraph(plan["feeds"], plan["members"][0], graphs[0])
            return compiled_predictor(manifest, plan, fed)
        scores = OnnxScores(plan["members"], graphs, plan.get("final"))
        return compiled_predictor(manifest, plan, scores)
    raise UnreadablePlan(
        object="manifest",
        model=manifest.model,
        found=f"predictor {manifest.predictor!r}",
        expected="linear, clusters, onnx or native",
    )


def compiled_predictor(
    manifest: ServingManifest, plan: dict[str, Any], scores: Scores
) -> CompiledPredictor:
    """Join a plan's featuriser, a compiled form and the answers of the manifest's task."""
    return CompiledPredictor(Featuriser.from_plan(plan), scores, AnswerMaker.of(manifest))


def self_test(manifest: ServingManifest, predictor: Predictor) -> None:
    """Predict the manifest's stored rows and compare with the stored outputs.

    Raises
    ------
    SelfTestFailed
        At the first row whose prediction or score differs; a score may be off by 1e-5, a value by
        1e-5 of the largest stored one.
    """
    stored = manifest.self_test
    scale = 1.0
    if manifest.task == "regression":
        scale = max((abs(float(value)) for value in stored.predictions), default=1.0)
    try:
        answers = predictor.predict_rows(stored.rows)
    except InvalidOutput as error:
        raise SelfTestFailed(
            model=manifest.model,
            version=manifest.version,
            row=0,
            found=error.message(),
            expected="an answer",
        ) from error
    for at, (answer, prediction, score) in enumerate(
        zip(answers, stored.predictions, stored.scores, strict=True)
    ):
        if manifest.task == "regression":
            same = _near(answer.prediction, prediction, scale)
        else:
            same = answer.prediction == prediction and _near(answer.score, score, scale)
        if not same:
            raise SelfTestFailed(
                model=manifest.model,
                version=manifest.version,
                row=at,
                found=f"{answer.prediction!r} ({answer.score})",
                expected=f"{prediction!r} ({score})",
            )


def _near(found: object, expected: object, scale: float) -> bool:
    if not isinstance(found, int | float) or not isinstance(expected, int | float):
        return found == expected
    return abs(found - expected) <= ROW_TOLERANCE * scale
