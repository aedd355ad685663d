"""ONNX graphs in service: one session a member, float32 in, margins or probabilities out.

`OnnxScores` runs the graphs that we write; `FedGraph` runs one that a user brought, with inputs of
its own names and types.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from timonel.runtime.featuriser import Featuriser, FloatMatrix, Value
from timonel.runtime.linear import apply_link, apply_link_many, sigmoid

_CHUNK = 4096


def session(graph: bytes) -> Any:
    """Open a graph with one thread and no spinning: workers share cores with each other."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def runner(opened: Any) -> Any:
    """Give what runs a session: ``(names, feeds, None) -> outputs``.

    ``InferenceSession.run`` looks through the names of its inputs anew at every call, in Python,
    which takes three times what a graph of 100 trees does. The binding below it checks what it is
    given too; a release of onnxruntime without it gets the public way.
    """
    return getattr(getattr(opened, "_sess", None), "run", opened.run)


class OnnxScores:
    """The weighted mean of its members' outputs, or a linear model over them; usually one member.

    Parameters
    ----------
    members : list of dict
        ``weight`` (they sum to 1), ``link`` (identity, sigmoid, softmax, exp), ``output`` (name);
        ``cuts`` where the graph counts ranks (`timonel.runtime.trees.Ensemble.ranked`);
        ``calibration`` (of `calibrated`) where it was calibrated by sigmoids.
    graphs : list of bytes
        The members' graphs; input ``x`` float32, shape (n_rows, n_columns).
    final : dict or None
        The model over the members (stacking): ``coef``, ``intercept``, ``link``; ``skip``: how
        many first outputs of each member it does not see.
    """

    __slots__ = ("_alone", "_final", "_is_sigmoid", "_link", "_members", "_plain", "_wide")

    def __init__(
        self,
        members: Sequence[dict[str, Any]],
        graphs: Sequence[bytes],
        final: dict[str, Any] | None = None,
    ) -> None:
        self._wide = any("cuts" in member for member in members)
        self._final = final
        self._members = []
        for member, graph in zip(members, graphs, strict=True):
            opened = session(graph)
            self._members.append(
                (
                    runner(opened),
                    [member["output"]],
                    opened.get_inputs()[0].name,
                    member["link"],
                    float(member["weight"]),
                    member.get("cuts"),
                    member.get("calibration"),
                )
            )
        self._plain = len(members) == 1 and final is None and "calibration" not in members[0]
        self._alone, self._link = self._members[0][:3], self._members[0][3]
        self._is_sigmoid = self._link == "sigmoid"

    def row(self, featuriser: Featuriser, values: Sequence[Value]) -> list[float]:
        """Give the outputs of one row."""
        if self._wide:
            return self._row_of_ranks(featuriser.row(values))
        matrix = np.frombuffer(featuriser.row32(values), dtype=np.float32).reshape(1, -1)
        if self._plain:
            run, names, feed = self._alone
            margins = run(names, {feed: matrix}, None)[0][0].tolist()
            return sigmoid(margins[0]) if self._is_sigmoid else apply_link(self._link, margins)
        return self._mixed(matrix)[0]

    def rows(self, featuriser: Featuriser, table: Sequence[Sequence[Value]]) -> list[list[float]]:
        """Give the outputs of many rows."""
        found: list[list[float]] = []
        for start in range(0, len(table), _CHUNK):
            found.extend(self._mixed(featuriser.rows(table[start : start + _CHUNK])))
        return found

    def outputs(self, matrix: FloatMatrix) -> FloatMatrix:
        """Give the outputs of rows that are featurised already, shape (n_rows, n_outputs)."""
        return np.array(self._mixed(matrix))

    def _row_of_ranks(self, row: list[float]) -> list[float]:
        run, names, feed, link, _, cuts, _ = self._members[0]
        if not self._plain or cuts is None:
            return self._mixed(np.array([row]))[0]
        ranks = array(
            "f", [x if x != x else bisect_left(own, x) for own, x in zip(cuts, row, strict=True)]
        )
        matrix = np.frombuffer(ranks, dtype=np.float32).reshape(1, -1)
        return apply_link(link, run(names, {feed: matrix}, None)[0][0].tolist())

    def _mixed(self, matrix: FloatMatrix | NDArray[np.float32]) -> list[list[float]]:
        said = []
        for run, names, feed, link, _, cuts, calibration in self._members:
            fed = _float32(matrix) if cuts is None else _ranks(matrix, cuts)
            margins = run(names, {feed: fed}, None)[0].tolist()
            if calibration is None:
                said.append(apply_link_many(link, margins))
            else:
                said.append([calibrated(calibration, link, row) for row in margins])
        if self._final is not None:
            return [stacked(self._final, parts) for parts in zip(*said, strict=True)]
        if len(said) == 1:
            return said[0]
        weights = [member[4] for member in self._members]
        return [mean_of(weights, parts) for parts in zip(*said, strict=True)]


def mean_of(weights: Sequence[float], parts: Sequence[Sequence[float]]) -> list[float]:
    """Give the weighted mean of the members' outputs; the weights sum to 1."""
    total = [0.0] * len(parts[0])
    for weight, row in zip(weights, parts, strict=True):
        for at, value in enumerate(row):
            total[at] += weight * value
    return total


def calibrated(calibration: dict[str, Any], link: str, margins: list[float]) -> list[float]:
    """Apply sigmoids to a member's scores, one a class, and make them sum to 1 again.

    Parameters
    ----------
    calibration : dict
        ``on``: "margin" or "probability", what the sigmoids were fitted on; ``slope`` and
        ``offset``, one a class (one alone for two classes): ``1 / (1 + exp(slope x + offset))``.
    link : str
        Of the member.
    margins : list of float
    """
    scores = margins if calibration["on"] == "margin" else apply_link(link, margins)
    slopes, offsets = calibration["slope"], calibration["offset"]
    if len(slopes) == 1:
        return sigmoid(-(slopes[0] * scores[-1] + offsets[0]))
    shares = [
        sigmoid(-(slope * score + offset))[1]
        for slope, score, offset in zip(slopes, scores, offsets, strict=True)
    ]
    total = sum(shares)
    return [share / total if total else 1.0 / len(shares) for share in shares]


def stacked(final: dict[str, Any], parts: Sequence[Sequence[float]]) -> list[float]:
    """Ask the linear model over the members' outputs."""
    seen = [value for part in parts for value in part[final["skip"] :]]
    margins = [
        intercept + sum(weight * value for weight, value in zip(weights, seen, strict=True))
        for weights, intercept in zip(final["coef"], final["intercept"], strict=True)
    ]
    return apply_link(final["link"], margins)


def _float32(matrix: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # beyond float32's range: infinite, as for a row alone
        return matrix.astype(np.float32)


def _ranks(matrix: NDArray[Any], cuts: list[list[float]]) -> NDArray[np.float32]:
    ranks = np.empty(matrix.shape, dtype=np.float32)
    for at, own in enumerate(cuts):
        column = matrix[:, at]
        ranks[:, at] = np.where(np.isnan(column), np.nan, np.searchsorted(own, column))
    return ranks


class FedGraph:
    """A graph that was made elsewhere, fed with the values of the schema themselves.

    Parameters
    ----------
    feeds : list of dict
        For each input of the graph its ``name``, its ``type`` (float32, float64, int64, bool or
        string) and ``inputs``, the positions in the schema of its columns. A missing number is
        NaN, a missing word is "".
    member : dict
        ``output`` (name) and ``single``: one column that is the probability of the second class.
    graph : bytes
    """

    __slots__ = ("_feeds", "_output", "_run", "_single")

    def __init__(
        self, feeds: Sequence[dict[str, Any]], member: dict[str, Any], graph: bytes
    ) -> None:
        self._run = session(graph).run
        self._feeds = [
            (feed["name"], feed["type"], list(feed["inputs"]), bool(feed["flat"])) for feed in feeds
        ]
        self._output = [member["output"]]
        self._single = bool(member.get("single"))

    def row(self, featuriser: Featuriser, values: Sequence[Value]) -> list[float]:
        """Give the outputs of one row."""
        return self.rows(featuriser, [values])[0]

    def rows(self, featuriser: Featuriser, table: Sequence[Sequence[Value]]) -> list[list[float]]:
        """Give the outputs of many rows."""
        found: list[list[float]] = []
        for start in range(0, len(table), _CHUNK):
            part = table[start : start + _CHUNK]
            featuriser.rows(part)  # refuses what the graph cannot answer
            fed = {
                name: _fed(kind, [[row[at] for at in places] for row in part], flat=flat)
                for name, kind, places, flat in self._feeds
            }
            outputs = np.asarray(self._run(self._output, fed)[0], dtype=np.float64)
            outputs = outputs.reshape(len(part), -1)
            if self._single:
                outputs = np.hstack([1.0 - outputs, outputs])
            found.extend(outputs.tolist())
        return found


def _fed(kind: str, values: list[list[Any]], *, flat: bool) -> NDArray[Any]:
    if kind == "string":
        matrix = np.array([["" if v is None else str(v) for v in row] for row in values], object)
    else:
        dtype = np.dtype(kind)
        missing = float("nan") if dtype.kind == "f" else 0
        matrix = np.array([[missing if v is None else v for v in row] for row in values], dtype)
    return matrix[:, 0] if flat else matrix
