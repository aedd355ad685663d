"""How a model service is asked, and how its answers are read: three forms.

``timonel``: ``{"inputs": [{...}]}`` and ``{"predictions": [...]}``, as our own servers speak.
``mlflow``: ``{"dataframe_split": ...}`` and ``{"predictions": [...]}`` (MLflow scoring, 2.0).
``inference``: one tensor a feature and ``{"outputs": [...]}`` (Open Inference Protocol V2, JSON).

An answer a row may be a class or a value, a list of probabilities in the order of the classes, or
an object with ``prediction`` and where known ``score`` and ``probabilities``. Whatever else comes
back is an `InvalidOutput`, never a guess.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from timonel.registry.manifest import ServingManifest
from timonel.runtime.errors import InvalidOutput
from timonel.runtime.outputs import AnswerMaker
from timonel.wire.answer import Answer, Label

FORMS = ("timonel", "mlflow", "inference")
SINGLE = "label"
SCORE = "score"
"""A single number a row is the probability of the positive class (found out at registration)."""

Document = dict[str, Any]
_PROBABILITIES = ("probabilities", "predict_proba", "probability")
_PREDICTIONS = ("prediction", "predict", "label", "output_label", "predictions")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def request_of(form: str, kinds: dict[str, str], rows: Sequence[Document]) -> bytes:
    """Write the body that asks for some rows.

    Parameters
    ----------
    form : {"timonel", "mlflow", "inference"}
    kinds : dict of str to str
        Kind of each feature, by name and in schema order.
    rows : sequence of dict
        JSON-safe values by name.
    """
    if form == "mlflow":
        table = [[row[name] for name in kinds] for row in rows]
        return _encode({"dataframe_split": {"columns": list(kinds), "data": table}})
    if form == "inference":
        return _encode({"inputs": [_tensor(name, kind, rows) for name, kind in kinds.items()]})
    return _encode({"inputs": list(rows)})


def _tensor(name: str, kind: str, rows: Sequence[Document]) -> Document:
    datatype = {"number": "FP64", "flag": "BOOL"}.get(kind, "BYTES")
    data = [row[name] for row in rows]
    return {"name": name, "shape": [len(rows), 1], "datatype": datatype, "data": data}


class AnswerReader:
    """Reads a service's answers in the words of a model's task.

    Parameters
    ----------
    manifest : ServingManifest
        Task, classes and positive class.
    form : str
    single : {"label", "score"}
        What a single value a row of a classification is.
    """

    def __init__(self, manifest: ServingManifest, form: str, single: str) -> None:
        self._model = manifest.model
        self._form = form
        self._regression = manifest.task == "regression"
        self._single = single
        self._maker = AnswerMaker.of(manifest)
        classes: Sequence[Label] = manifest.classes or ()
        # 1, 1.0 and "1" are one class: services in other languages know no difference
        self._classes: dict[Any, Label] = {str(label): label for label in classes}
        self._classes |= {label: label for label in classes}
        self._n_classes = len(classes)
        positive = manifest.classes[-1] if manifest.classes else None
        if manifest.positive is not None:
            positive = manifest.positive
        self._positive_first = bool(classes) and positive == classes[0]

    def read(self, body: bytes, n: int) -> list[Answer]:
        """Read the answers of ``n`` rows, in order.

        Raises
        ------
        InvalidOutput
            If they are not as many, or one is no answer.
        """
        try:
            document = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._invalid("no JSON", "JSON") from None
        items = self._tensors(document, n) if self._form == "inference" else None
        if items is None:
            items = document.get("predictions") if isinstance(document, dict) else document
        if not isinstance(items, list) or len(items) != n:
            found = f"{len(items)} answers" if isinstance(items, list) else "no list of answers"
            raise self._invalid(found, f"{n} answers")
        return [self._answer(item) for item in items]

    def _answer(self, item: Any) -> Answer:
        if isinstance(item, dict):
            return self._named(item)
        if isinstance(item, list):
            if len(item) == 1 and (self._regression or self._n_classes != 1):
                return self._answer(item[0])
            return self._maker([self._number(value) for value in item])
        if self._regression:
            return self._maker([self._number(item)])
        if self._single == SCORE:
            score = self._number(item)
            pair = [score, 1.0 - score] if self._positive_first else [1.0 - score, score]
            return self._maker(pair)
        return Answer(self._label(item))

    def _named(self, item: Document) -> Answer:
        given = item.get("probabilities")
        if isinstance(given, dict) and not self._regression:
            names = list(dict.fromkeys(map(str, self._classes)))
            if set(given) == set(names):
                answer = self._maker([self._number(given[name]) for name in names])
                if "prediction" in item and self._label(item["prediction"]) != answer.prediction:
                    return answer._replace(prediction=self._label(item["prediction"]))
                return answer
        if "prediction" not in item:
            raise self._invalid(f"an object with {', '.join(item)[:60]}", "its prediction")
        if self._regression:
            return self._maker([self._number(item["prediction"])])
        score = item.get("score")
        share = None if score is None else self._share(score)
        return Answer(self._label(item["prediction"]), share)

    def _tensors(self, document: Any, n: int) -> list[Any] | None:
        outputs = document.get("outputs") if isinstance(document, dict) else None
        if not isinstance(outputs, list) or not all(isinstance(one, dict) for one in outputs):
            raise self._invalid("no outputs", "a list of output tensors")
        named = {str(one.get("name")): one for one in outputs}
        wanted = (*(() if self._regression else _PROBABILITIES), *_PREDICTIONS)
        chosen = next((named[name] for name in wanted if name in named), None)
        if chosen is None and len(outputs) == 1:
            chosen = outputs[0]
        if chosen is None:
            raise self._invalid(f"the outputs {', '.join(named)[:80]}", "probabilities or predict")
        data, shape = chosen.get("data"), chosen.get("shape")
        width = shape[1] if isinstance(shape, list) and len(shape) == 2 else 1
        if not isinstance(data, list) or not isinstance(width, int) or width < 1:
            raise self._invalid("a tensor without data", "data and shape")
        if len(data) == n and width > 1:  # nested lists, a row each
            return data
        if len(data) != n * width:
            raise self._invalid(f"{len(data)} values", f"{n} rows of {width}")
        if width == 1:
            return data
        return [data[at : at + width] for at in range(0, len(data), width)]

    def _label(self, value: Any) -> Label:
        try:
            return self._classes[value] if value in self._classes else self._classes[str(value)]
        except (KeyError, TypeError):
            known = ", ".join(dict.fromkeys(map(str, self._classes)))[:100]
            raise self._invalid(f"the class {str(value)[:40]!r}", f"one of {known}") from None

    def _number(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._invalid(f"{str(value)[:40]!r}", "a number")
        try:
            return float(value)
        except OverflowError:
            raise self._invalid("a number beyond all bounds", "a finite number") from None

    def _share(self, value: Any) -> float:
        share = self._number(value)
        if not 0.0 <= share <= 1.0:
            raise self._invalid(f"the score {share:g}", "a number in [0, 1]")
        return share

    def _invalid(self, found: str, expected: str) -> InvalidOutput:
        return InvalidOutput(model=self._model, found=found, expected=expected)
