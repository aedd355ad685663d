"""A brought ONNX graph: read without the library that made it, and served as it is.

There is no original to hold it against: it is the model. What is checked is that it answers, with
probabilities where the task has classes, and that a row alone and among others is answered alike.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from timonel.errors import Phrase, closest
from timonel.runtime.compile import Compiled
from timonel.runtime.featuriser import Featuriser, FloatMatrix, Value
from timonel.runtime.graphs import FedGraph
from timonel.runtime.parity import TOLERANCE
from timonel.schema.features import Category, Text
from timonel.schema.schema import Schema
from timonel.training.bring.classes import named_classes
from timonel.training.bring.errors import FeaturesDiffer, NotAModel
from timonel.training.bring.inputs import Inputs
from timonel.training.bring.orders import Orders
from timonel.training.bring.translate import plan_of
from timonel.wire.answer import Label

ARTIFACT = "brought.onnx"
_TYPES = {1: "float32", 11: "float64", 7: "int64", 6: "int32", 9: "bool", 8: "string"}
_ALONE = 50


class Graph(NamedTuple):
    """A graph whose inputs and output are understood.

    Parameters
    ----------
    data : bytes
        Without a ``ZipMap``: its probabilities are a plain tensor.
    inputs : list of (name, type, number of columns or 0, flat)
    output : str
    labels : list of label, or None
        The classes that a node of it names.
    """

    data: bytes
    inputs: list[tuple[str, str, int, bool]]
    output: str
    labels: list[Label] | None
    has_labels: bool


def read_graph(model: Any, orders: Orders) -> Graph:
    """Understand the inputs and outputs of a loaded graph.

    Raises
    ------
    NotAModel
        If an input has another shape than rows by columns, or no output is a tensor of numbers.
    """
    graph = model.graph
    labels = _labels(graph)
    _without_zipmap(graph)
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [_input(value, orders) for value in graph.input if value.name not in constants]
    numbers = [
        value.name for value in graph.output if value.type.tensor_type.elem_type in (1, 10, 11)
    ]
    if not inputs or not numbers:
        raise _strange(orders, Phrase("no output of numbers", "ninguna salida numérica"))
    likely = [name for name in numbers if "prob" in name.lower()]
    has_labels = len(graph.output) > len(numbers)
    output = (likely or numbers)[-1]
    return Graph(model.SerializeToString(), inputs, output, labels, has_labels)


def _input(value: Any, orders: Orders) -> tuple[str, str, int, bool]:
    tensor = value.type.tensor_type
    kind = _TYPES.get(tensor.elem_type)
    dims = [dim.dim_value for dim in tensor.shape.dim]
    if kind is None or len(dims) not in (1, 2) or dims[0] > 1:
        raise _strange(
            orders,
            Phrase(
                "an input {name!r} of shape {dims}",
                "una entrada {name!r} de forma {dims}",
                name=value.name,
                dims=str(dims),
            ),
        )
    return value.name, kind, dims[1] if len(dims) == 2 else 1, len(dims) == 1


def _labels(graph: Any) -> list[Label] | None:
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name.startswith("classlabels_") and attribute.strings:
                return [word.decode() for word in attribute.strings]
            if attribute.name.startswith("classlabels_") and attribute.ints:
                return [int(number) for number in attribute.ints]
    return None


def _without_zipmap(graph: Any) -> None:
    from onnx import TensorProto, helper

    for node in [node for node in graph.node if node.op_type == "ZipMap"]:
        for at, value in enumerate(graph.output):
            if value.name == node.output[0]:
                plain = helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, None)
                graph.output[at].CopyFrom(plain)
        graph.node.remove(node)


def _strange(orders: Orders, found: Phrase) -> NotAModel:
    return NotAModel(
        path=orders.given,
        model=orders.model,
        found=found,
        expected=Phrase(
            "a graph from rows of features to probabilities or one number",
            "un grafo de filas de variables a probabilidades o un número",
        ),
        mend_en="Export the fitted model itself (scikit-learn: skl2onnx.to_onnx(model, X[:1])).",
        mend_es="Exporte el modelo ajustado (scikit-learn: skl2onnx.to_onnx(model, X[:1])).",
    )


def feeds_of(graph: Graph, schema: Schema, orders: Orders) -> tuple[list[dict[str, Any]], Inputs]:
    """Say which features each input of a graph takes: by order for one matrix, else by name.

    Raises
    ------
    FeaturesDiffer
        If the numbers of columns, or the names, are not those of the schema.
    """
    names = list(schema.names)
    if len(graph.inputs) == 1 and graph.inputs[0][2] != 1:
        name, kind, n, flat = graph.inputs[0]
        if n not in (0, len(names)):
            raise FeaturesDiffer(
                path=orders.given,
                model=orders.model,
                found=Phrase("it takes {n} columns", "toma {n} columnas", n=n),
                expected=Phrase(
                    "{n}, one for each feature of the schema",
                    "{n}, una por cada variable del esquema",
                    n=len(names),
                ),
                names=Phrase("columns without names", "columnas sin nombre"),
            )
        places = list(range(len(names)))
        _require_kinds(schema, places, kind, orders)
        feeds = [{"name": name, "type": kind, "inputs": places, "flat": flat}]
        return feeds, Inputs(names, places, ["number"] * len(names), False, [])
    at = {name: i for i, name in enumerate(names)} | {
        name.replace(" ", "_"): i for i, name in enumerate(names)
    }
    absent = [name for name, *_ in graph.inputs if name not in at]
    used = {at[name] for name, *_ in graph.inputs if name in at}
    unused = [name for i, name in enumerate(names) if i not in used]
    if absent:
        raise FeaturesDiffer(
            path=orders.given,
            model=orders.model,
            found=Phrase(
                "it needs {names}, not in the schema",
                "necesita {names}, que no están en el esquema",
                names=", ".join(map(repr, absent[:8])),
            ),
            expected=Phrase(
                "the schema's: {known}",
                "las del esquema: {known}",
                known=closest(absent[0], unused or names),
            ),
            names=", ".join(name for name, *_ in graph.inputs),
        )
    feeds = []
    for name, kind, _, flat in graph.inputs:
        _require_kinds(schema, [at[name]], kind, orders)
        feeds.append({"name": name, "type": kind, "inputs": [at[name]], "flat": flat})
    return feeds, Inputs(names, sorted(used), ["number"] * len(used), True, unused)


def _require_kinds(schema: Schema, places: Sequence[int], kind: str, orders: Orders) -> None:
    features = list(schema)
    for at in places:
        feature = features[at]
        words = isinstance(feature, Category | Text)
        if words == (kind == "string"):
            continue
        form = "Number" if words else "Category"
        raise NotAModel(
            path=orders.given,
            model=orders.model,
            found=Phrase(
                "{name!r} declared as {declared}",
                "{name!r} declarada como {declared}",
                name=feature.name,
                declared=type(feature).__name__,
            ),
            expected=Phrase("words", "palabras")
            if kind == "string"
            else Phrase("numbers", "números"),
            mend_en=f"Declare it in model.py as the graph takes it: {form}({feature.name!r}, ...).",
            mend_es=f"Declárela en model.py como la toma el grafo: {form}({feature.name!r}, ...).",
        )


class AskedGraph:
    """A graph in the form in which brought models are asked."""

    def __init__(self, fed: FedGraph, inputs: Inputs, nothing: Featuriser) -> None:
        self.fed = fed
        self.inputs = inputs
        self._nothing = nothing

    def __call__(self, table: Sequence[Sequence[Value]]) -> FloatMatrix:
        """Give its outputs."""
        return np.array(self.fed.rows(self._nothing, table))


def open_graph(
    orders: Orders, schema: Schema, graph: Graph, feeds: list[dict[str, Any]], inputs: Inputs
) -> tuple[AskedGraph, dict[str, Any], list[Label] | None]:
    """Run a graph once, and name what it gives.

    Returns
    -------
    asked : AskedGraph
    member : dict
        Of the plan.
    classes : list of label, or None

    Raises
    ------
    NotAModel, ClassesDiffer
        If its outputs are not what the task has.
    """
    plan = plan_of([], schema, timezone=orders.timezone)
    member = {"artifact": ARTIFACT, "weight": 1.0, "link": "identity", "output": graph.output}
    nothing = Featuriser.from_plan(plan)
    asked = AskedGraph(FedGraph(feeds, member, graph.data), inputs, nothing)
    width = len(asked(orders.clean[:1])[0])
    if orders.task == "regression":
        if width != 1 or graph.has_labels:
            raise _strange(orders, Phrase("a classifier", "un clasificador"))
        return asked, member, None
    if width == 1:
        member["single"] = True
        asked = AskedGraph(FedGraph(feeds, member, graph.data), inputs, nothing)
        width = 2
    labels = graph.labels or list(range(width))
    classes = named_classes(labels if len(labels) == width else list(range(width)), orders)
    with np.errstate(all="ignore"):
        outputs = asked(orders.clean)
    finite = outputs[np.isfinite(outputs).all(axis=1)]
    sums = finite.sum(axis=1)
    if len(finite) and ((finite < -1e-4).any() or (np.abs(sums - 1.0) > 1e-4).any()):
        raise _strange(
            orders, Phrase("outputs that are no probabilities", "salidas que no son probabilidades")
        )
    return asked, member, classes


def compiled_graph(
    asked: AskedGraph,
    graph: Graph,
    member: dict[str, Any],
    feeds: list[dict[str, Any]],
    plan: dict[str, Any],
    table: list[list[Value]],
) -> Compiled:
    """Give a graph as what serves, with what was compared: rows alone against rows together."""
    together = asked(table)
    alone = np.vstack([asked([row]) for row in table[-_ALONE:]])
    scale = np.maximum(1.0, np.abs(alone))
    difference = float(np.max(np.abs(together[-_ALONE:] - alone) / scale))
    verdict = {
        "summary": f"onnx as brought: {len(table)} rows answered, alone and together alike",
        "summary_es": f"onnx tal como se trajo: {len(table)} filas, solas y juntas dicen lo mismo",
        "way": "brought",
        "passed": difference <= TOLERANCE,
        "rows": len(table),
        "max_difference": difference,
        "labels_equal": True,
        "ties": 0,
        "tolerance": TOLERANCE,
        "refused": [],
    }
    plan = {**plan, "feeds": feeds, "members": [member]}
    return Compiled("onnx", plan, {ARTIFACT: graph.data}, verdict, asked.fed)
