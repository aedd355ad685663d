"""Tree ensembles as one plain value, and that value as an ONNX graph.

The public converters go through float32 in ways that move rows to the other side of a split (a
threshold rounded up, an imputed median rounded away). Here a threshold is rounded *towards* the
branch that keeps every float32 input on its side, so that a graph decides exactly as the
estimator does on the same float32 numbers; only the sums of leaves differ, by rounding.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET = 17
OPSET_ML = 3  # fixed per release: graphs of one release load in all its workers


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree in arrays, all of length n_nodes; node 0 is the root.

    Parameters
    ----------
    feature : sequence of int
        Column that the node looks at; -1 for a leaf.
    threshold : sequence of float
        A row goes left if ``x <= threshold`` (``x < threshold`` where ``Ensemble.strict``).
    left, right : sequence of int
    missing_left : sequence of bool
        Where a NaN goes.
    leaves : dict of int to list of (output, weight)
        What each leaf adds.
    cover : sequence of float
        How much of the training part came to each node, as the library weighs it (rows, or their
        Hessians); () where nothing is known. Only explanations look at it.
    """

    feature: Sequence[int]
    threshold: Sequence[float]
    left: Sequence[int]
    right: Sequence[int]
    missing_left: Sequence[bool]
    leaves: dict[int, list[tuple[int, float]]]
    cover: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Trees that are added up: ``base + sum of leaves``, then a link.

    Parameters
    ----------
    trees : sequence of Tree
    base : sequence of float
        Start of each output.
    link : {"identity", "sigmoid", "softmax", "exp"}
    strict : bool
        XGBoost's ``<`` instead of ``<=``.
    double : bool
        The estimator compares in float64, as LightGBM and histogram boosting do; the others
        round their inputs to float32 first.
    """

    trees: Sequence[Tree]
    base: Sequence[float]
    link: str
    strict: bool = False
    double: bool = False

    def ranked(self, n_columns: int) -> tuple["Ensemble", list[list[float]]]:
        """Give the same trees over ranks, and the cuts of each column that ranks count.

        With ``rank(x)`` the number of cuts below ``x``, ``x <= cut[k]`` is ``rank(x) <= k``: small
        whole numbers, so that a graph in float32 decides as float64 does.
        """
        found: list[set[float]] = [set() for _ in range(n_columns)]
        for tree in self.trees:
            for column, threshold in zip(tree.feature, tree.threshold, strict=True):
                if column >= 0 and isfinite(threshold):
                    found[column].add(float(threshold))
        cuts = [sorted(column) for column in found]
        trees = [
            replace(
                tree,
                threshold=[
                    float(bisect_left(cuts[column], threshold)) if column >= 0 else 0.0
                    for column, threshold in zip(tree.feature, tree.threshold, strict=True)
                ],
            )
            for tree in self.trees
        ]
        return replace(self, trees=trees), cuts

    def split_points(self, *, double: bool = False) -> NDArray[np.float64]:
        """Give (column, threshold) of every inner node, shape (n, 2).

        The threshold is that of the estimator (``double``), or as a float32 graph holds it.
        """
        found = [np.zeros((0, 2))]
        for tree in self.trees:
            feature = np.asarray(tree.feature)
            inner = feature >= 0
            points = np.asarray(tree.threshold, dtype=np.float64)[inner]
            if not double:
                points = thresholds_f32(points, strict=self.strict).astype(np.float64)
            found.append(np.column_stack([feature[inner], points]))
        return np.vstack(found)


def thresholds_f32(thresholds: NDArray[np.float64], *, strict: bool) -> NDArray[np.float32]:
    """Round thresholds to the float32 that puts every float32 ``x`` on the same side.

    ``x <= t`` keeps its answer when ``t`` is rounded down, ``x < t`` when it is rounded up.

    Examples
    --------
    >>> t = np.array([0.1])
    >>> bool(thresholds_f32(t, strict=False) <= t), bool(t <= thresholds_f32(t, strict=True))
    (True, True)
    """
    with np.errstate(over="ignore"):  # LightGBM's "all but NaN" is float64's largest number
        rounded = thresholds.astype(np.float32)
        back = rounded.astype(np.float64)
        if strict:
            return np.where(back < thresholds, np.nextafter(rounded, np.float32(np.inf)), rounded)
        return np.where(back > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)


@dataclass(slots=True)
class _Attributes:
    """The node lists of a ``TreeEnsembleRegressor`` while they are gathered."""

    nodes: dict[str, list[Any]] = field(default_factory=dict)

    def extend(self, **values: Iterable[Any]) -> None:
        for name, found in values.items():
            self.nodes.setdefault(name, []).extend(found)


def graph(ensemble: Ensemble, n_columns: int) -> bytes:
    """Write an ensemble as an ONNX graph: input ``x`` (n, n_columns), output ``y`` (n, outputs).

    The link is not part of the graph: it is applied in float64 by the predictor.
    """
    from onnx import TensorProto, helper

    gathered = _Attributes()
    for tree_id, tree in enumerate(ensemble.trees):
        _add_tree(gathered, tree_id, tree, strict=ensemble.strict)
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=len(ensemble.base),
        base_values=[float(value) for value in ensemble.base],
        aggregate_function="SUM",
        post_transform="NONE",
    )
    # not by make_node: it looks at every one of a forest's million numbers several times
    node.attribute.extend(_attribute(name, values) for name, values in gathered.nodes.items())
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, n_columns])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, len(ensemble.base)])]
    model = helper.make_model(
        helper.make_graph([node], "trees", inputs, outputs),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", OPSET_ML)],
        ir_version=8,
        producer_name="timonel",
    )
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def linear_graph(form: dict[str, Any], n_columns: int) -> bytes:
    """Write a linear form as an ONNX graph of its margins, for a member among others.

    Input ``x`` (n, n_columns), output ``y`` (n, outputs), both float32; the link is not part of it.
    """
    from onnx import TensorProto, helper, numpy_helper

    weights = np.array(form["coef"], dtype=np.float32).T.copy()
    start = np.array(form["intercept"], dtype=np.float32)
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"])]
    width = len(form["intercept"])
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "linear",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, n_columns])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, width])],
            [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(start, "b")],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
        producer_name="timonel",
    )
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _attribute(name: str, values: list[Any]) -> Any:
    from onnx import AttributeProto

    made = AttributeProto(name=name)
    if name == "nodes_modes":
        made.type = AttributeProto.STRINGS
        made.strings.extend(value.encode() for value in values)
    elif name in {"nodes_values", "target_weights"}:
        made.type = AttributeProto.FLOATS
        made.floats.extend(values)
    else:
        made.type = AttributeProto.INTS
        made.ints.extend(values)
    return made


def _add_tree(attributes: _Attributes, tree_id: int, tree: Tree, *, strict: bool) -> None:
    feature = np.asarray(tree.feature)
    n = len(feature)
    leaf = feature < 0
    thresholds = np.where(leaf, 0.0, np.asarray(tree.threshold, dtype=np.float64))
    attributes.extend(
        nodes_treeids=[tree_id] * n,
        nodes_nodeids=range(n),
        nodes_featureids=np.where(leaf, 0, feature).tolist(),
        nodes_values=thresholds_f32(thresholds, strict=strict).tolist(),
        nodes_modes=np.where(leaf, "LEAF", "BRANCH_LT" if strict else "BRANCH_LEQ").tolist(),
        nodes_truenodeids=np.where(leaf, 0, np.asarray(tree.left)).tolist(),
        nodes_falsenodeids=np.where(leaf, 0, np.asarray(tree.right)).tolist(),
        nodes_missing_value_tracks_true=np.where(leaf, 0, np.asarray(tree.missing_left)).tolist(),
    )
    weights = [(at, output, w) for at, found in tree.leaves.items() for output, w in found]
    nodes, outputs, values = zip(*weights, strict=True)
    attributes.extend(
        target_treeids=[tree_id] * len(weights),
        target_nodeids=nodes,
        target_ids=outputs,
        target_weights=values,
    )


def single_output_leaves(
    feature: Sequence[int], value: Callable[[int], float], output: int = 0
) -> Any:
    """Give the ``leaves`` of a tree that adds ``value(node)`` to one output."""
    return {at: [(output, value(at))] for at, column in enumerate(feature) if column < 0}
