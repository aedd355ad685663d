"""``python -m timonel.training.bring.child ORDERS REPLY``: reads a model file, away from all else.

The only process in which a pickle that a user trusts is read. It gets orders in a file, writes
artifacts and its reply into a folder, and ends; the model itself never leaves it.
"""

import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from timonel.errors import Phrase, TimonelError
from timonel.runtime.compile import Compiled, compile_estimator, estimator_outputs
from timonel.runtime.errors import UntrustedArtifact
from timonel.runtime.explain.stored import ARTIFACT as EXPLANATION
from timonel.runtime.explain.stored import of_rows
from timonel.runtime.featuriser import Featuriser, FloatMatrix
from timonel.runtime.native import dump, library_versions
from timonel.runtime.outputs import winner
from timonel.runtime.parity import Rows, judge
from timonel.schema.features import Text
from timonel.schema.schema import Schema
from timonel.training.bring.classes import classes_of, describe, is_classifier, label
from timonel.training.bring.errors import CannotAnswer, CannotServe, NotAModel
from timonel.training.bring.inputs import Original, inputs_of
from timonel.training.bring.loading import libraries, load
from timonel.training.bring.onnx_graphs import compiled_graph, feeds_of, open_graph, read_graph
from timonel.training.bring.orders import Description, Orders, Reply, Said, Table, fault_of
from timonel.training.bring.probing import Refusals, answers, refusals_of
from timonel.training.bring.symbols import KindClash, NotTranslatable, Unencoded
from timonel.training.bring.translate import Translated, plan_of, translate


def main() -> None:
    """Do what is ordered; an error of ours becomes part of the reply."""
    orders = msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=Orders)
    if orders.allow_pickle and orders.project:
        sys.path.append(orders.project)  # classes of the user's own, beside model.py
    os.dup2(2, 1)  # what a model prints is not ours
    warnings.simplefilter("ignore")
    try:
        reply = bring(orders)
    except TimonelError as error:
        reply = Reply(fault=fault_of(error))
    Path(sys.argv[2]).write_bytes(msgspec.msgpack.encode(reply))


def bring(orders: Orders) -> Reply:
    """Read a model and turn it into what serves.

    Raises
    ------
    TimonelError
        One of `timonel.training.bring.errors`.
    """
    if orders.form == "onnx":
        return _bring_graph(orders)
    estimator = load(orders)
    classifier = is_classifier(estimator, orders)
    if orders.schema is None:
        return Reply(description=describe(estimator, orders, classifier=classifier))
    schema = Schema.from_json(orders.schema)
    classes = classes_of(estimator, orders) if classifier else None
    inputs = inputs_of(estimator, schema, orders)
    original = Original(estimator, inputs, classifier)
    findings = _unused(inputs.unused)
    translated, why = _translated(original, schema, orders)
    orders = _with_texts(orders, schema, translated)
    refusals = refusals_of(original, schema, [*orders.clean], orders)
    findings += _refused(refusals, schema)
    rows = _rows(orders, refusals)
    served = _Served(orders, schema, original, refusals.steps(schema, orders.model), rows)
    compiled = served.compiled(translated, why)
    findings += _labels(original, rows, classes, compiled)
    answerable = [row for row in orders.sample if refusals.allow(row)]
    return Reply(
        kind=compiled.kind,
        plan=compiled.plan,
        verdict=compiled.verdict,
        batch=compiled.batch,
        artifacts=_written(compiled.artifacts, Path(orders.folder)),
        classes=classes,
        estimator=_chain(estimator),
        libraries=libraries(),
        clean=rows.clean,
        dirty=rows.dirty,
        outputs=_outputs(compiled, original, rows.clean + rows.dirty),
        answerable=[refusals.allow(row) for row in orders.sample],
        sample_outputs=_outputs(compiled, original, answerable),
        findings=findings,
    )


def _bring_graph(orders: Orders) -> Reply:
    graph = read_graph(load(orders), orders)
    if orders.schema is None:
        names = [name for name, _, n, _ in graph.inputs if n == 1]
        kinds = {name: kind for name, kind, _, _ in graph.inputs}
        said: list[tuple[str, str, list[str]]] = [
            (n, "category" if kinds[n] == "string" else "number", []) for n in names
        ]
        task = "regression" if not graph.has_labels else "binary"
        return Reply(description=Description("ONNX", task, said, graph.labels))
    schema = Schema.from_json(orders.schema)
    feeds, inputs = feeds_of(graph, schema, orders)
    asked, member, classes = open_graph(orders, schema, graph, feeds, inputs)
    refusals = refusals_of(asked, schema, [*orders.clean], orders)
    rows = _rows(orders, refusals)
    steps = refusals.steps(schema, orders.model)
    plan = plan_of(steps, schema, timezone=orders.timezone)
    table = rows.clean + rows.dirty
    compiled = compiled_graph(asked, graph, member, feeds, plan, table)
    answerable = [row for row in orders.sample if refusals.allow(row)]
    return Reply(
        kind="onnx",
        plan=compiled.plan,
        verdict=compiled.verdict,
        artifacts=_written(compiled.artifacts | _explained(rows), Path(orders.folder)),
        classes=classes,
        estimator="ONNX",
        libraries=libraries(),
        clean=rows.clean,
        dirty=rows.dirty,
        outputs=asked(table).tolist(),
        answerable=[refusals.allow(row) for row in orders.sample],
        sample_outputs=asked(answerable).tolist() if answerable else [],
        findings=[*_unused(inputs.unused), *_refused(refusals, schema)],
    )


class _Served:
    """The ways from a model to what serves it, each held against the model itself."""

    def __init__(
        self,
        orders: Orders,
        schema: Schema,
        original: Original,
        refused: list[dict[str, Any]],
        rows: Rows,
    ) -> None:
        self._orders = orders
        self._schema = schema
        self._original = original
        self._refused = refused
        self._rows = rows

    def compiled(self, translated: Translated | None, why: str) -> Compiled:
        """Compile, else run the estimator behind our featuriser, else run the whole as it is."""
        if translated is None:
            return self._whole([{"way": "translation", "why": why}])
        plan = self._plan(translated.steps)
        compiled = compile_estimator(
            translated.estimator,
            plan,
            self._rows,
            classifier=self._original.classifier,
            outputs=self._original,
        )
        if compiled.scores is not None:
            return compiled
        refused = list(compiled.verdict["refused"])
        verdict = judge(
            Featuriser.from_plan(plan),
            _Estimator(translated.estimator, self._original.classifier),
            self._rows,
            self._original,
            lambda matrix: matrix,
            classifier=self._original.classifier,
        )
        if not verdict.passed:
            return self._whole([*refused, {"way": "translation", "why": str(verdict.why)}])
        return self._native(
            translated.estimator, plan, verdict.to_json(way="native", refused=refused), None
        )

    def _plan(self, steps: list[dict[str, Any]]) -> dict[str, Any]:
        return plan_of([*self._refused, *steps], self._schema, timezone=self._orders.timezone)

    def _whole(self, refused: list[dict[str, str]]) -> Compiled:
        """Serve the model as it came: its own library sees the rows as a DataFrame."""
        frame = self._original.inputs.document()
        n = len(self._rows.clean) + len(self._rows.dirty)
        verdict = {
            "summary": f"native: the whole model, as it was brought ({refused[0]['why']})",
            "summary_es": f"native: el modelo entero, tal como se trajo ({refused[0]['why']})",
            "way": "native",
            "passed": True,
            "rows": n,
            "max_difference": 0.0,
            "labels_equal": True,
            "ties": 0,
            "refused": refused,
        }
        return self._native(self._original.estimator, self._plan([]), verdict, frame)

    def _native(
        self, estimator: Any, plan: dict[str, Any], verdict: dict[str, Any], frame: Any
    ) -> Compiled:
        orders = self._orders
        try:
            artifacts = dump(estimator, model=orders.model, allow_pickle=orders.native_pickle)
        except UntrustedArtifact as error:
            why = verdict["refused"][0]["why"] if verdict["refused"] else verdict["summary"]
            raise CannotServe(
                path=orders.given, model=orders.model, why=why, found=error.context["found"]
            ) from error
        native = {
            "artifact": next(iter(artifacts)),
            "allow_pickle": orders.native_pickle,
            "libraries": library_versions(),
            **({"frame": frame} if frame is not None else {}),
        }
        artifacts |= _explained(self._rows)
        return Compiled("native", {**plan, "native": native}, artifacts, verdict)


def _explained(rows: Rows) -> dict[str, bytes]:
    return {EXPLANATION: of_rows(rows.clean).encode()}


class _Estimator:
    """An estimator in the form that the parity gate asks."""

    def __init__(self, estimator: Any, classifier: bool) -> None:
        self._estimator = estimator
        self._classifier = classifier

    def row(self, featuriser: Featuriser, values: Sequence[Any]) -> list[float]:
        return self.rows(featuriser, [values])[0]

    def rows(self, featuriser: Featuriser, table: Sequence[Sequence[Any]]) -> list[list[float]]:
        return self.outputs(featuriser.rows(table)).tolist()  # type: ignore[no-any-return]

    def outputs(self, matrix: FloatMatrix) -> FloatMatrix:
        return estimator_outputs(self._estimator, matrix, classifier=self._classifier)


def _translated(
    original: Original, schema: Schema, orders: Orders
) -> tuple[Translated | None, str]:
    try:
        return translate(original.estimator, original.inputs, schema), ""
    except NotTranslatable as error:
        return None, str(error)
    except KindClash as clash:
        if isinstance(clash, Unencoded) and any(answers(original, [r]) for r in orders.clean[:20]):
            return None, f"{type(original.estimator).__name__} encodes words itself"
        feature = list(schema)[clash.input]
        kind = type(feature).__name__
        if clash.words:
            expected = Phrase("words ({shown})", "palabras ({shown})", shown=clash.shown)
            form = f"Category({feature.name!r}, [...])"
        else:
            expected = Phrase("numbers ({shown})", "números ({shown})", shown=clash.shown)
            form = f"Number({feature.name!r})"
        raise NotAModel(
            path=orders.given,
            model=orders.model,
            found=Phrase(
                "{name!r} declared as {kind}",
                "{name!r} declarada como {kind}",
                name=feature.name,
                kind=kind,
            ),
            expected=expected,
            mend_en=f"Declare it in model.py as the model was fitted: {form}.",
            mend_es=f"Declárela en model.py como en el ajuste del modelo: {form}.",
        ) from clash


# --- rows


def _with_texts(orders: Orders, schema: Schema, translated: Translated | None) -> Orders:
    """Give drawn rows texts of words that the model knows: nobody can draw them from a schema."""
    if not orders.drawn or translated is None:
        return orders
    vocabularies = {
        step["input"]: step["vocabulary"] for step in translated.steps if step["kind"] == "tfidf"
    }
    rng = np.random.default_rng(0)

    def filled(table: Table) -> Table:
        rows = [list(row) for row in table]
        for at, words in vocabularies.items():
            if not isinstance(list(schema)[at], Text):
                continue
            for row in rows:
                if row[at]:
                    chosen = rng.integers(len(words), size=int(rng.integers(1, 25)))
                    row[at] = " ".join(words[i] for i in chosen)
        return rows

    return msgspec.structs.replace(orders, clean=filled(orders.clean), dirty=filled(orders.dirty))


def _rows(orders: Orders, refusals: Refusals) -> Rows:
    pairs = [
        (clean, dirty)
        for clean, dirty in zip(orders.clean, orders.dirty, strict=True)
        if refusals.allow(clean)
    ]
    if not pairs:
        raise CannotAnswer(
            path=orders.given,
            model=orders.model,
            found=Phrase("no answer for any row", "ninguna respuesta"),
            expected=Phrase("finite numbers", "números finitos"),
        )
    clean = [list(row) for row, _ in pairs]
    return Rows(clean, refusals.mended([list(row) for _, row in pairs], clean))


def _outputs(compiled: Compiled, original: Original, table: Table) -> list[list[float]]:
    if not table:
        return []
    if compiled.scores is None:
        found: list[list[float]] = original(table).tolist()
        return found
    return compiled.scores.rows(Featuriser.from_plan(compiled.plan), table)


def _written(artifacts: dict[str, bytes], folder: Path) -> list[str]:
    for name, data in artifacts.items():
        (folder / name).write_bytes(data)
    return list(artifacts)


# --- findings


def _unused(names: list[str]) -> list[Said]:
    if not names:
        return []
    shown = ", ".join(names[:12])
    return [
        Said(
            f"The model does not look at these features of the schema: {shown}.",
            f"El modelo no mira estas variables del esquema: {shown}.",
        )
    ]


def _refused(refusals: Refusals, schema: Schema) -> list[Said]:
    steps = refusals.steps(schema, "")
    missing = ", ".join(step["name"] for step in steps if step["missing"])
    words = ", ".join(step["name"] for step in steps if step["values"] is not None)
    found = []
    if missing:
        found.append(
            Said(
                f"The model cannot answer without {missing}, which the schema allows to be "
                "missing: such rows go to the rules. `required=True` refuses them at the door.",
                f"El modelo no puede responder sin {missing}, y el esquema permite que falten: "
                "esas filas van a las reglas. `required=True` las rechaza en la entrada.",
            )
        )
    if words:
        found.append(
            Said(
                f"The model refuses words that it was not taught in {words}, which the schema "
                "lets through: such rows go to the rules.",
                f"El modelo rechaza palabras que no conoce en {words}, y el esquema las deja "
                "pasar: esas filas van a las reglas.",
            )
        )
    return found


def _labels(
    original: Original, rows: Rows, classes: list[Any] | None, compiled: Compiled
) -> list[Said]:
    """Say where the model's own ``predict`` is not its most probable class."""
    own = getattr(original.estimator, "classes_", None)
    if classes is None or own is None or "predict" not in dir(original.estimator):
        return []
    table = rows.clean + rows.dirty
    probable = [winner(row) for row in _outputs(compiled, original, table)]
    said = original.labels(table)
    names = [label(one) for one in own]
    n = sum(label(one) != names[at] for one, at in zip(said, probable, strict=True))
    if not n:
        return []
    return [
        Said(
            f"In {n} of {len(table)} rows predict() of the model is not its most probable class "
            "(a tuned threshold?); Timonel answers the most probable one.",
            f"En {n} de {len(table)} filas predict() del modelo no es su clase más probable "
            "(¿un umbral ajustado?); Timonel responde la más probable.",
        )
    ]


def _chain(estimator: Any) -> str:
    if type(estimator).__name__ == "Pipeline":
        return " > ".join(
            part if isinstance(part, str) else _chain(part) for _, part in estimator.steps
        )
    return type(estimator).__name__


if __name__ == "__main__":
    main()
