"""From a fitted estimator to a form that serves without its library.

The ways, in order: a linear closed form; trees read by us into ONNX (also weighted votes of
several); the public converter on whatever else; native. A way counts only if it passes the parity
gate (`timonel.runtime.parity`); what was refused, and why, is kept with the version.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timonel.runtime.ensembles import NotCompilable, full_name, read_ensemble
from timonel.runtime.featuriser import Featuriser, FloatMatrix, Value
from timonel.runtime.graphs import OnnxScores
from timonel.runtime.linear import LinearForm
from timonel.runtime.parity import Rows, Verdict, judge
from timonel.runtime.predictors import Scores
from timonel.runtime.trees import OPSET, OPSET_ML, graph

_LOGISTIC = frozenset({"LogisticRegression", "LogisticRegressionCV"})
_LEAST_SQUARES = frozenset(
    {"Ridge", "RidgeCV", "LinearRegression", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV"}
)
_VOTES = frozenset({"VotingClassifier", "VotingRegressor"})
_MAX_GRAPH_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Compiled:
    """What serving needs of one way.

    Parameters
    ----------
    kind : {"linear", "onnx", "native"}
    plan : dict
        The featuriser plan, with the form's own entries.
    artifacts : dict of str to bytes
    verdict : dict
        Of the parity gate: way, rows, largest difference, labels, and what was refused before.
    scores : Scores or None
        None: native.
    """

    kind: str
    plan: dict[str, Any]
    artifacts: dict[str, bytes] = field(default_factory=dict)
    verdict: dict[str, Any] = field(default_factory=dict)
    scores: Scores | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    way: str
    kind: str
    plan: dict[str, Any]
    artifacts: dict[str, bytes]
    scores: Scores
    split_points: NDArray[np.float64] | None = None


def estimator_outputs(estimator: Any, matrix: Any, *, classifier: bool) -> FloatMatrix:
    """Give what the estimator itself says: probabilities, or one column of values."""
    if classifier:
        return np.asarray(estimator.predict_proba(matrix), dtype=np.float64)
    return np.asarray(estimator.predict(matrix), dtype=np.float64).reshape(-1, 1)


def compile_estimator(
    estimator: Any,
    plan: dict[str, Any],
    rows: Rows,
    *,
    classifier: bool,
    outputs: Callable[[Sequence[Sequence[Value]]], FloatMatrix] | None = None,
) -> Compiled:
    """Compile by the first way that passes the parity gate, else say that it is native.

    Parameters
    ----------
    estimator : fitted estimator
    plan : dict
        The featuriser plan that it was trained with.
    rows : Rows
        Clean and dirty rows to compare on.
    classifier : bool
    outputs : callable or None
        What the estimator says of rows of values; None: its ``predict_proba`` (or ``predict``)
        on the featurised matrix.

    Returns
    -------
    Compiled
        With kind ``native`` (and no artifacts) where no way passed.
    """
    featuriser = Featuriser.from_plan(plan)

    def of_matrix(matrix: Any) -> FloatMatrix:
        return estimator_outputs(estimator, matrix, classifier=classifier)

    def of_table(table: Sequence[Sequence[Value]]) -> FloatMatrix:
        return outputs(table) if outputs else of_matrix(featuriser.rows(table))

    refused: list[dict[str, str]] = []
    verdict = Verdict()
    for way, make in _ways(estimator, plan, featuriser, classifier=classifier):
        try:
            candidate = make()
        except NotCompilable as error:
            refused.append({"way": way, "why": str(error)})
            continue
        verdict = judge(
            Featuriser.from_plan(candidate.plan),
            candidate.scores,
            rows,
            of_table,
            of_matrix,
            classifier=classifier,
            split_points=candidate.split_points,
        )
        if verdict.passed:
            return Compiled(
                candidate.kind,
                candidate.plan,
                candidate.artifacts,
                verdict.to_json(way=way, refused=refused),
                candidate.scores,
            )
        refused.append({"way": way, "why": str(verdict.why)})
    return Compiled("native", plan, {}, verdict.to_json(way="native", refused=refused))


def _ways(
    estimator: Any, plan: dict[str, Any], featuriser: Featuriser, *, classifier: bool
) -> Iterator[tuple[str, Callable[[], _Candidate]]]:
    yield "linear", lambda: _linear(estimator, plan)
    if any(step["kind"] == "tfidf" for step in plan["steps"]) and featuriser.n_columns > 5000:
        return  # a dense row of that width is slower than the native estimator
    yield "trees", lambda: _trees(estimator, plan, featuriser.n_columns)
    yield (
        "converter",
        lambda: _converted(estimator, plan, featuriser.n_columns, classifier=classifier),
    )


def _linear(estimator: Any, plan: dict[str, Any]) -> _Candidate:
    name = type(estimator).__name__
    if not full_name(estimator).startswith("sklearn.") or name not in _LOGISTIC | _LEAST_SQUARES:
        raise NotCompilable(f"{full_name(estimator)} is not linear")
    coef = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    intercept = np.atleast_1d(np.asarray(estimator.intercept_, dtype=np.float64))
    intercept = np.broadcast_to(intercept, (len(coef),))
    link = "identity"
    if name in _LOGISTIC:
        link = "sigmoid" if len(coef) == 1 else "softmax"
    form = {"coef": coef.tolist(), "intercept": intercept.tolist(), "link": link}
    # in float64, whatever the estimator was trained on: there are no splits to miss
    full = {**plan, "precision": "float64", "linear": form}
    return _Candidate("linear", "linear", full, {}, LinearForm.from_plan(form))


def _trees(estimator: Any, plan: dict[str, Any], n_columns: int) -> _Candidate:
    members = []
    artifacts: dict[str, bytes] = {}
    points = []
    for at, (weight, member) in enumerate(_members(estimator, 1.0)):
        ensemble = read_ensemble(member)
        name = f"member-{at}.onnx"
        entry = {"artifact": name, "weight": weight, "link": ensemble.link, "output": "y"}
        # inputs that were rounded to float32, in training too, need no ranks
        double = ensemble.double and plan["precision"] == "float64"
        points.append(ensemble.split_points(double=double))
        if double:
            ensemble, entry["cuts"] = ensemble.ranked(n_columns)
        artifacts[name] = graph(ensemble, n_columns)
        if len(artifacts[name]) > _MAX_GRAPH_BYTES:
            raise NotCompilable(f"the graph of {full_name(member)} is over 256 MiB")
        members.append(entry)
    scores = OnnxScores(members, list(artifacts.values()))
    return _Candidate(
        "trees", "onnx", {**plan, "members": members}, artifacts, scores, np.vstack(points)
    )


def _members(estimator: Any, weight: float) -> Iterator[tuple[float, Any]]:
    """Take a soft vote apart into its weighted members; anything else is its own one member."""
    if type(estimator).__name__ not in _VOTES or not full_name(estimator).startswith("sklearn."):
        yield weight, estimator
        return
    if getattr(estimator, "voting", "soft") != "soft":
        raise NotCompilable("a hard vote gives no probabilities")
    fitted = estimator.estimators_
    weights = np.ones(len(fitted)) if estimator.weights is None else np.asarray(estimator.weights)
    for share, member in zip(weights / weights.sum(), fitted, strict=True):
        yield from _members(member, weight * float(share))


def _converted(
    estimator: Any, plan: dict[str, Any], n_columns: int, *, classifier: bool
) -> _Candidate:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    try:
        converted = convert_sklearn(
            estimator,
            initial_types=[("x", FloatTensorType([None, n_columns]))],
            options={id(estimator): {"zipmap": False}} if classifier else None,
            target_opset={"": OPSET, "ai.onnx.ml": OPSET_ML},
        )
        data: bytes = converted.SerializeToString(deterministic=True)
        member = {
            "artifact": "member-0.onnx",
            "weight": 1.0,
            "link": "identity",
            "output": converted.graph.output[-1].name,
        }
        scores = OnnxScores([member], [data])
    except Exception as error:
        first_line = str(error).strip().splitlines()[:1]
        raise NotCompilable(f"the converter failed: {type(error).__name__} {first_line}") from error
    plan = {**plan, "members": [member]}
    return _Candidate("converter", "onnx", plan, {"member-0.onnx": data}, scores)
