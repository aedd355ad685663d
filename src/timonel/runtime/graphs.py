"""ONNX graphs in service: one session a member, float32 in, margins or probabilities out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from timonel.runtime.featuriser import Featuriser, FloatMatrix, Value
from timonel.runtime.linear import apply_link

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


class OnnxScores:
    """The weighted mean of its members' outputs; usually there is one member.

    Parameters
    ----------
    members : list of dict
        ``weight`` (they sum to 1), ``link`` (identity, sigmoid, softmax, exp), ``output`` (name).
    graphs : list of bytes
        The members' graphs; input ``x`` float32, shape (n_rows, n_columns).
    """

    __slots__ = ("_members",)

    def __init__(self, members: Sequence[dict[str, Any]], graphs: Sequence[bytes]) -> None:
        self._members = []
        for member, graph in zip(members, graphs, strict=True):
            opened = session(graph)
            self._members.append(
                (
                    opened.run,
                    [member["output"]],
                    opened.get_inputs()[0].name,
                    member["link"],
                    float(member["weight"]),
                )
            )

    def row(self, featuriser: Featuriser, values: Sequence[Value]) -> list[float]:
        """Give the outputs of one row."""
        matrix = np.frombuffer(featuriser.row32(values), dtype=np.float32).reshape(1, -1)
        if len(self._members) == 1:
            run, names, feed, link, _ = self._members[0]
            return apply_link(link, run(names, {feed: matrix})[0][0].tolist())
        return self._mixed(matrix)[0]

    def rows(self, featuriser: Featuriser, table: Sequence[Sequence[Value]]) -> list[list[float]]:
        """Give the outputs of many rows."""
        found: list[list[float]] = []
        for start in range(0, len(table), _CHUNK):
            matrix = featuriser.rows(table[start : start + _CHUNK]).astype(np.float32)
            found.extend(self._mixed(matrix))
        return found

    def outputs(self, matrix: FloatMatrix) -> FloatMatrix:
        """Give the outputs of rows that are featurised already, shape (n_rows, n_outputs)."""
        return np.array(self._mixed(matrix.astype(np.float32)))

    def _mixed(self, matrix: NDArray[np.float32]) -> list[list[float]]:
        mixed: list[list[float]] = []
        for run, names, feed, link, weight in self._members:
            outputs = [apply_link(link, row) for row in run(names, {feed: matrix})[0].tolist()]
            if len(self._members) == 1:
                return outputs
            if not mixed:
                mixed = [[weight * value for value in row] for row in outputs]
            else:
                for total, row in zip(mixed, outputs, strict=True):
                    for at, value in enumerate(row):
                        total[at] += weight * value
        return mixed
