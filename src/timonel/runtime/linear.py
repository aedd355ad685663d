"""Closed forms in float64: logistic (two or more classes), least squares, and k-means.

One row and many rows add the same numbers in the same order, so they agree to the last bit.
"""

from collections.abc import Sequence
from math import exp, inf, isfinite, nan
from typing import Any, Literal

import numpy as np

from timonel.runtime.featuriser import Featuriser, FloatMatrix, Value

Link = Literal["identity", "sigmoid", "softmax"]
_LARGEST_EXPONENT = 709.0


def sigmoid(margin: float) -> list[float]:
    """Give the probabilities of the two classes; no overflow at any margin."""
    if margin >= 0:
        positive = 1.0 / (1.0 + exp(-margin))
        return [1.0 - positive, positive]
    odds = exp(margin)
    positive = odds / (1.0 + odds)
    return [1.0 - positive, positive]


def softmax(margins: Sequence[float]) -> list[float]:
    """Give the probabilities of all classes; no overflow at any margin."""
    highest = max(margins)
    odds = [exp(margin - highest) for margin in margins]
    total = sum(odds)
    return [odd / total for odd in odds]


def apply_link(link: str, margins: list[float]) -> list[float]:
    """Turn margins into outputs: probabilities, or the value itself."""
    if link == "sigmoid":
        return sigmoid(margins[0])
    if link == "softmax":
        return softmax(margins)
    if link == "exp":
        return [exp(margin) if margin < _LARGEST_EXPONENT else inf for margin in margins]
    return margins


def apply_link_many(link: str, table: list[list[float]]) -> list[list[float]]:
    """Turn the margins of many rows into outputs, bit for bit as ``apply_link`` does each."""
    if link == "identity":
        return table
    if link == "sigmoid":
        return [sigmoid(margins[0]) for margins in table]
    return [apply_link(link, margins) for margins in table]


class LinearForm:
    """``intercept + coef . x`` and a link.

    Parameters
    ----------
    coef : sequence, shape (n_outputs, n_columns)
    intercept : sequence, shape (n_outputs,)
    link : {"identity", "sigmoid", "softmax"}
    """

    __slots__ = ("_by_column", "_by_output", "_intercept", "_link")

    def __init__(
        self, coef: Sequence[Sequence[float]], intercept: Sequence[float], link: Link
    ) -> None:
        self._by_output = [[float(weight) for weight in weights] for weights in coef]
        self._by_column = list(zip(*self._by_output, strict=True))
        self._intercept = [float(value) for value in intercept]
        self._link = link

    @classmethod
    def from_plan(cls, form: dict[str, Any]) -> "LinearForm":
        """Read the ``linear`` entry of a plan."""
        return cls(form["coef"], form["intercept"], form["link"])

    def row(self, featuriser: Featuriser, values: Sequence[Value]) -> list[float]:
        """Give the outputs of one row."""
        dense = featuriser.dense_row(values)
        margins = []
        for weights, margin in zip(self._by_output, self._intercept, strict=True):
            for weight, number in zip(weights, dense, strict=False):  # the text part follows
                margin += weight * number
            margins.append(margin)
        return self._finish(margins, featuriser.text_row(values))

    def rows(self, featuriser: Featuriser, table: Sequence[Sequence[Value]]) -> list[list[float]]:
        """Give the outputs of many rows."""
        dense = featuriser.dense_rows(table)
        margins = np.tile(np.array(self._intercept), (len(table), 1))
        with np.errstate(over="ignore", invalid="ignore"):  # not finite: refused as no answer
            for column in range(featuriser.n_dense):
                margins += dense[:, column, None] * np.array(self._by_column[column])
        if featuriser.n_columns == featuriser.n_dense:
            return apply_link_many(self._link, margins.tolist())
        return [
            self._finish(row, featuriser.text_row(values))
            for row, values in zip(margins.tolist(), table, strict=True)
        ]

    def outputs(self, matrix: FloatMatrix) -> FloatMatrix:
        """Give the outputs of rows that are featurised already, shape (n_rows, n_outputs)."""
        margins = matrix @ np.array(self._by_output).T + np.array(self._intercept)
        return np.array(apply_link_many(self._link, margins.tolist()))

    def _finish(self, margins: list[float], text: list[tuple[int, float]]) -> list[float]:
        for column, weight in text:
            for output, coefficient in enumerate(self._by_column[column]):
                margins[output] += coefficient * weight
        return apply_link(self._link, margins)


class ClusterForm:
    """The nearest of some centres, and what is answered there.

    The nearest centre ``c`` of ``x`` is that of the greatest ``2 c . x - |c|^2``, as the ``|x|^2``
    of the distance is the same for all of them; of equal ones it is the first.

    Parameters
    ----------
    centers : sequence, shape (n_clusters, n_columns)
    values : sequence, shape (n_clusters, n_outputs)
    """

    __slots__ = ("_nearness", "_values")

    def __init__(
        self, centers: Sequence[Sequence[float]], values: Sequence[Sequence[float]]
    ) -> None:
        points = np.array(centers, dtype=np.float64)
        lengths = -np.sum(points * points, axis=1)
        self._nearness = LinearForm((2.0 * points).tolist(), lengths.tolist(), "identity")
        self._values = [[float(value) for value in outputs] for outputs in values]

    @classmethod
    def from_plan(cls, form: dict[str, Any]) -> "ClusterForm":
        """Read the ``clusters`` entry of a plan."""
        return cls(form["centers"], form["values"])

    def row(self, featuriser: Featuriser, values: Sequence[Value]) -> list[float]:
        """Give the outputs of one row."""
        return self._answer(self._nearness.row(featuriser, values))

    def rows(self, featuriser: Featuriser, table: Sequence[Sequence[Value]]) -> list[list[float]]:
        """Give the outputs of many rows."""
        return [self._answer(nearness) for nearness in self._nearness.rows(featuriser, table)]

    def outputs(self, matrix: FloatMatrix) -> FloatMatrix:
        """Give the outputs of rows that are featurised already, shape (n_rows, n_outputs)."""
        return np.array([self._answer(near) for near in self._nearness.outputs(matrix).tolist()])

    def _answer(self, nearness: list[float]) -> list[float]:
        if not isfinite(sum(nearness)):  # an input beyond all bounds is near nothing
            return [nan] * len(self._values[0])
        return list(self._values[nearness.index(max(nearness))])
