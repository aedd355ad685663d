"""From a fitted estimator to a form that serves without its library.

The ways, in order: a closed form (linear, or clusters); trees read by us into ONNX (also several of
them, mixed by a vote, by sigmoid calibration or by a linear model on top); the public converter on
whatever else; native. A way counts only if it passes the parity gate
(`timonel.runtime.parity`); what was refused, and why, is kept with the version.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timonel.registry.manifest import BatchWay
from timonel.runtime.boosters import ARTIFACT as BOOSTER
from timonel.runtime.boosters import FROM_ROWS, BoosterScores, booster_of
from timonel.runtime.ensembles import NotCompilable, full_name, read_ensemble
from timonel.runtime.explain.stored import ARTIFACT as EXPLANATION
from timonel.runtime.explain.stored import Stored, of_linear, of_rows, of_trees
from timonel.runtime.featuriser import Featuriser, FloatMatrix, Value
from timonel.runtime.graphs import OnnxScores
from timonel.runtime.linear import ClusterForm, LinearForm
from timonel.runtime.parity import Rows, Verdict, judge
from timonel.runtime.predictors import Scores
from timonel.runtime.trees import OPSET, OPSET_ML, Ensemble, graph, linear_graph

_LOGISTIC = frozenset({"LogisticRegression", "LogisticRegressionCV"})
_LEAST_SQUARES = frozenset(
    {"Ridge", "RidgeCV", "LinearRegression", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV"}
)
_CLUSTERS = "timonel.training.estimators.ClusterMeans"
_MIXED = frozenset({"VotingClassifier", "VotingRegressor", "CalibratedClassifierCV"})
_STACKS = frozenset({"StackingClassifier", "StackingRegressor"})
_MAX_GRAPH_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Compiled:
    """What serving needs of one way.

    Parameters
    ----------
    kind : {"linear", "clusters", "onnx", "native"}
    plan : dict
        The featuriser plan, with the form's own entries.
    artifacts : dict of str to bytes
    verdict : dict
        Of the parity gate: way, rows, largest difference, labels, and what was refused before.
    scores : Scores or None
        None: native.
    batch : BatchWay or None
        Where the model's own library answers many rows sooner.
    """

    kind: str
    plan: dict[str, Any]
    artifacts: dict[str, bytes] = field(default_factory=dict)
    verdict: dict[str, Any] = field(default_factory=dict)
    scores: Scores | None = None
    batch: BatchWay | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    way: str
    kind: str
    plan: dict[str, Any]
    artifacts: dict[str, bytes]
    scores: Scores
    split_points: NDArray[np.float64] | None = None
    explained: Stored | None = None


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
        With kind ``native`` where no way passed. Among its artifacts is what explains answers
        (`timonel.runtime.explain.stored`).
    """
    featuriser = Featuriser.from_plan(plan)

    def of_matrix(matrix: Any) -> FloatMatrix:
        return estimator_outputs(estimator, matrix, classifier=classifier)

    def of_table(table: Sequence[Sequence[Value]]) -> FloatMatrix:
        return outputs(table) if outputs else of_matrix(featuriser.rows(table))

    def judged(scores: Any, candidate: _Candidate) -> Verdict:
        return judge(
            Featuriser.from_plan(candidate.plan),
            scores,
            rows,
            of_table,
            of_matrix,
            classifier=classifier,
            split_points=candidate.split_points,
        )

    refused: list[dict[str, str]] = []
    verdict = Verdict()
    for way, make in _ways(estimator, plan, featuriser, rows, classifier=classifier):
        try:
            candidate = make()
        except NotCompilable as error:
            refused.append({"way": way, "why": str(error)})
            continue
        verdict = judged(candidate.scores, candidate)
        if verdict.passed:
            explained = candidate.explained or of_rows(rows.clean)
            artifacts = {**candidate.artifacts, EXPLANATION: explained.encode()}
            batch, booster = _batch_way(estimator, candidate, judged)
            return Compiled(
                candidate.kind,
                candidate.plan,
                artifacts | booster,
                verdict.to_json(way=way, refused=refused),
                candidate.scores,
                batch,
            )
        refused.append({"way": way, "why": str(verdict.why)})
    kept = {EXPLANATION: of_rows(rows.clean).encode()}
    return Compiled("native", plan, kept, verdict.to_json(way="native", refused=refused))


def _batch_way(
    estimator: Any, candidate: _Candidate, judged: Callable[[Any, _Candidate], Verdict]
) -> tuple[BatchWay | None, dict[str, bytes]]:
    """Give how large batches are answered sooner, and its artifact; nothing where they are not."""
    if candidate.way != "trees" or not isinstance(candidate.scores, OnnxScores):
        return None, {}
    data = booster_of(estimator)
    if data is None:
        return None, {}
    link = candidate.plan["members"][0]["link"]
    booster = BoosterScores(data, link)
    verdict = judged(booster, candidate)
    if not verdict.passed or verdict.max_difference is None:
        return None, {}
    return BatchWay(BOOSTER, link, FROM_ROWS, verdict.max_difference), {BOOSTER: data}


def _ways(
    estimator: Any, plan: dict[str, Any], featuriser: Featuriser, rows: Rows, *, classifier: bool
) -> Iterator[tuple[str, Callable[[], _Candidate]]]:
    if full_name(estimator) == _CLUSTERS:
        yield "clusters", lambda: _clusters(estimator, plan)
        return
    yield "linear", lambda: _linear(estimator, plan, rows)
    if any(step["kind"] == "tfidf" for step in plan["steps"]) and featuriser.n_columns > 5000:
        return  # a dense row of that width is slower than the native estimator
    yield "trees", lambda: _trees(estimator, plan, featuriser.n_columns)
    yield (
        "converter",
        lambda: _converted(estimator, plan, featuriser.n_columns, classifier=classifier),
    )


def _linear(estimator: Any, plan: dict[str, Any], rows: Rows) -> _Candidate:
    form = _linear_form(estimator)
    # in float64, whatever the estimator was trained on: there are no splits to miss
    full = {**plan, "precision": "float64", "linear": form}
    explained = of_linear(Featuriser.from_plan(full), rows.clean)
    scores = LinearForm.from_plan(form)
    return _Candidate("linear", "linear", full, {}, scores, explained=explained)


def _linear_form(estimator: Any) -> dict[str, Any]:
    name = type(estimator).__name__
    if not full_name(estimator).startswith("sklearn.") or name not in _LOGISTIC | _LEAST_SQUARES:
        raise NotCompilable(f"{full_name(estimator)} is not linear")
    coef = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    intercept = np.atleast_1d(np.asarray(estimator.intercept_, dtype=np.float64))
    intercept = np.broadcast_to(intercept, (len(coef),))
    link = "identity"
    if name in _LOGISTIC:
        link = "sigmoid" if len(coef) == 1 else "softmax"
    return {"coef": coef.tolist(), "intercept": intercept.tolist(), "link": link}


def _clusters(estimator: Any, plan: dict[str, Any]) -> _Candidate:
    centers = np.asarray(estimator.clusters.cluster_centers_, dtype=np.float64)
    form = {"centers": centers.tolist(), "values": estimator.values.tolist()}
    full = {**plan, "precision": "float64", "clusters": form}
    return _Candidate("clusters", "clusters", full, {}, ClusterForm.from_plan(form))


def _trees(estimator: Any, plan: dict[str, Any], n_columns: int) -> _Candidate:
    members = []
    artifacts: dict[str, bytes] = {}
    points = [np.zeros((0, 2))]
    read: list[tuple[float, Ensemble]] = []
    final, parts = _parts_of(estimator)
    for at, part in enumerate(parts):
        name = f"member-{at}.onnx"
        entry: dict[str, Any] = {"artifact": name, "weight": part.weight, "output": "y"}
        if part.calibration is not None:
            entry["calibration"] = part.calibration
        if _is_linear(part.estimator):
            form = _linear_form(part.estimator)
            entry["link"] = form["link"]
            artifacts[name] = linear_graph(form, n_columns)
        else:
            ensemble = read_ensemble(part.estimator)
            read.append((part.weight, ensemble))
            entry["link"] = ensemble.link
            # inputs that were rounded to float32, in training too, need no ranks
            double = ensemble.double and plan["precision"] == "float64"
            points.append(ensemble.split_points(double=double))
            if double:
                ensemble, entry["cuts"] = ensemble.ranked(n_columns)
            artifacts[name] = graph(ensemble, n_columns)
        if len(artifacts[name]) > _MAX_GRAPH_BYTES:
            raise NotCompilable(f"the graph of {full_name(part.estimator)} is over 256 MiB")
        members.append(entry)
    full = {**plan, "members": members} | ({} if final is None else {"final": final})
    scores = OnnxScores(members, list(artifacts.values()), final)
    sums = final is None and len(read) == len(parts) and not any(p.calibration for p in parts)
    explained = of_trees(read) if sums else None
    return _Candidate("trees", "onnx", full, artifacts, scores, np.vstack(points), explained)


@dataclass(frozen=True, slots=True)
class _Part:
    """One estimator among those whose outputs are mixed."""

    weight: float
    estimator: Any
    calibration: dict[str, Any] | None = None


def _is_linear(estimator: Any) -> bool:
    return type(estimator).__name__ in _LOGISTIC | _LEAST_SQUARES


def _parts_of(estimator: Any) -> tuple[dict[str, Any] | None, list[_Part]]:
    """Take a stack apart into the model on top and its parts; others have parts only."""
    if type(estimator).__name__ not in _STACKS or not full_name(estimator).startswith("sklearn."):
        return None, list(_mixed(estimator, 1.0))
    if estimator.passthrough:
        raise NotCompilable("stacking with `passthrough`")
    usual = "predict_proba" if hasattr(estimator, "classes_") else "predict"
    if set(estimator.stack_method_) != {usual}:
        raise NotCompilable(f"stacking by {', '.join(sorted(set(estimator.stack_method_)))}")
    final = _linear_form(estimator.final_estimator_)
    # of two probabilities that sum to 1 the model on top sees the second
    final["skip"] = int(len(getattr(estimator, "classes_", ())) == 2)
    fitted = estimator.estimators_
    return final, [_Part(1.0 / len(fitted), member) for member in fitted]


def _mixed(estimator: Any, weight: float) -> Iterator[_Part]:
    """Take votes and calibrations apart; anything else is its own one part."""
    name = type(estimator).__name__
    if not full_name(estimator).startswith("sklearn.") or name not in _MIXED:
        yield _Part(weight, estimator)
    elif name == "CalibratedClassifierCV":
        fitted = estimator.calibrated_classifiers_
        for one in fitted:
            yield _Part(weight / len(fitted), one.estimator, _sigmoids(one))
    else:
        if getattr(estimator, "voting", "soft") != "soft":
            raise NotCompilable("a hard vote gives no probabilities")
        fitted = estimator.estimators_
        given = estimator.weights
        weights = np.ones(len(fitted)) if given is None else np.asarray(given)
        for share, member in zip(weights / weights.sum(), fitted, strict=True):
            yield from _mixed(member, weight * float(share))


def _sigmoids(calibrated: Any) -> dict[str, Any]:
    if calibrated.method != "sigmoid":
        raise NotCompilable(f"{calibrated.method} calibration: only sigmoids are smooth enough")
    margins = hasattr(calibrated.estimator, "decision_function")
    return {
        "on": "margin" if margins else "probability",
        "slope": [float(one.a_) for one in calibrated.calibrators],
        "offset": [float(one.b_) for one in calibrated.calibrators],
    }


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
