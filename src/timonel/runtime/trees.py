"""Tree ensembles as one plain value, and that value as an ONNX graph.

The public converters go through float32 in ways that move rows to the other side of a split (a
threshold rounded up, an imputed median rounded away). Here a threshold is rounded *towards* the
branch that keeps every float32 input on its side, so that a graph decides exactly as the
estimator does on the same float32 numbers; only the sums of leaves differ, by rounding.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

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
    """

    feature: Sequence[int]
    threshold: Sequence[float]
    left: Sequence[int]
    right: Sequence[int]
    missing_left: Sequence[bool]
    leaves: dict[int, list[tuple[int, float]]]


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Trees that are added up: ``base + sum of leaves``, then a link.

    Parameters
    ----------
    trees : sequence of Tree
    base : sequence of float
        Start of each output.
    link : {"identity", "sigmoid", "softmax"}
    strict : bool
        XGBoost's ``<`` instead of ``<=``.
    """

    trees: Sequence[Tree]
    base: Sequence[float]
    link: str
    strict: bool = False

    def split_points(self) -> Iterator[tuple[int, float]]:
        """Go through (column, threshold as the graph holds it) of every inner node."""
        for tree in self.trees:
            for column, threshold in zip(tree.feature, tree.threshold, strict=True):
                if column >= 0:
                    yield column, threshold_f32(threshold, strict=self.strict)


def threshold_f32(threshold: float, *, strict: bool) -> float:
    """Round a threshold to the float32 that puts every float32 ``x`` on the same side.

    ``x <= t`` keeps its answer when ``t`` is rounded down, ``x < t`` when it is rounded up.

    Examples
    --------
    >>> threshold_f32(0.1, strict=False) <= 0.1 <= threshold_f32(0.1, strict=True)
    True
    """
    with np.errstate(over="ignore"):  # LightGBM's "all but NaN" is float64's largest number
        rounded = np.float32(threshold)
    if strict and float(rounded) < threshold:
        rounded = np.nextafter(rounded, np.float32(np.inf))
    elif not strict and float(rounded) > threshold:
        rounded = np.nextafter(rounded, np.float32(-np.inf))
    return float(rounded)


@dataclass(slots=True)
class _Attributes:
    """The node lists of a ``TreeEnsembleRegressor`` while they are gathered."""

    nodes: dict[str, list[Any]] = field(
        default_factory=lambda: {
            "nodes_treeids": [],
            "nodes_nodeids": [],
            "nodes_featureids": [],
            "nodes_values": [],
            "nodes_modes": [],
            "nodes_truenodeids": [],
            "nodes_falsenodeids": [],
            "nodes_missing_value_tracks_true": [],
            "target_treeids": [],
            "target_nodeids": [],
            "target_ids": [],
            "target_weights": [],
        }
    )

    def add(self, **values: Any) -> None:
        for name, value in values.items():
            self.nodes[name].append(value)


def graph(ensemble: Ensemble, n_columns: int) -> bytes:
    """Write an ensemble as an ONNX graph: input ``x`` (n, n_columns), output ``y`` (n, outputs).

    The link is not part of the graph: it is applied in float64 by the predictor.
    """
    from onnx import TensorProto, helper

    gathered = _Attributes()
    for tree_id, tree in enumerate(ensemble.trees):
        _add_tree(gathered, tree_id, tree, strict=ensemble.strict)
    attributes: dict[str, Any] = dict(gathered.nodes)
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=len(ensemble.base),
        base_values=[float(value) for value in ensemble.base],
        aggregate_function="SUM",
        post_transform="NONE",
        **attributes,
    )
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


def _add_tree(attributes: _Attributes, tree_id: int, tree: Tree, *, strict: bool) -> None:
    mode = "BRANCH_LT" if strict else "BRANCH_LEQ"
    for at in range(len(tree.feature)):
        leaf = tree.feature[at] < 0
        attributes.add(
            nodes_treeids=tree_id,
            nodes_nodeids=at,
            nodes_featureids=0 if leaf else int(tree.feature[at]),
            nodes_values=0.0 if leaf else threshold_f32(tree.threshold[at], strict=strict),
            nodes_modes="LEAF" if leaf else mode,
            nodes_truenodeids=0 if leaf else int(tree.left[at]),
            nodes_falsenodeids=0 if leaf else int(tree.right[at]),
            nodes_missing_value_tracks_true=0 if leaf else int(tree.missing_left[at]),
        )
        for output, weight in tree.leaves.get(at, ()) if leaf else ():
            attributes.add(
                target_treeids=tree_id,
                target_nodeids=at,
                target_ids=output,
                target_weights=float(weight),
            )


def single_output_leaves(
    feature: Sequence[int], value: Callable[[int], float], output: int = 0
) -> Any:
    """Give the ``leaves`` of a tree that adds ``value(node)`` to one output."""
    return {at: [(output, value(at))] for at, column in enumerate(feature) if column < 0}
