"""Which feature of the schema each input of a model is, and the frames that it is asked with."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from timonel.errors import Phrase, closest
from timonel.runtime.compile import estimator_outputs
from timonel.runtime.featuriser import FloatMatrix, Value
from timonel.runtime.native import frame_of
from timonel.schema.features import Category, Text, Timestamp
from timonel.schema.schema import Schema
from timonel.training.bring.errors import FeaturesDiffer, NotAModel
from timonel.training.bring.orders import Orders
from timonel.training.bring.transformers import chosen

_UNNAMED = re.compile(r"Column_\d+")


@dataclass(frozen=True, slots=True)
class Inputs:
    """The columns that a model takes.

    Parameters
    ----------
    names : list of str
        As the model knows them; of the schema where it was fitted on an array.
    positions : list of int
        Where each stands in the schema; -1: the model does not look at it.
    kinds : list of {"number", "word"}
    named : bool
        Whether it was fitted on a DataFrame.
    unused : list of str
        Features of the schema that the model does not take.
    """

    names: list[str]
    positions: list[int]
    kinds: list[str]
    named: bool
    unused: list[str]

    def document(self) -> dict[str, Any]:
        """Give the form of `timonel.runtime.native.frame_of`."""
        names = self.names if self.named else None
        return {"names": names, "kinds": self.kinds, "inputs": self.positions}


@dataclass(frozen=True, slots=True)
class Original:
    """The model as it was brought, asked in its own way: what everything is held against."""

    estimator: Any
    inputs: Inputs
    classifier: bool

    def __call__(self, table: Sequence[Sequence[Value]]) -> FloatMatrix:
        """Give its probabilities, or one column of values."""
        frame = frame_of(self.inputs.document(), table)
        return estimator_outputs(self.estimator, frame, classifier=self.classifier)

    def labels(self, table: Sequence[Sequence[Value]]) -> list[Any]:
        """Give what its ``predict`` says."""
        frame = frame_of(self.inputs.document(), table)
        return list(np.asarray(self.estimator.predict(frame)).ravel())


def names_of(estimator: Any) -> list[str] | None:
    """Give the names of the columns that a model was fitted on; None for an array."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None and hasattr(estimator, "booster_"):
        found = list(estimator.booster_.feature_name())
        return None if all(_UNNAMED.fullmatch(name) for name in found) else found
    return None if names is None else [str(name) for name in names]


def inputs_of(estimator: Any, schema: Schema, orders: Orders) -> Inputs:
    """Match a model's inputs with the schema's features.

    Raises
    ------
    FeaturesDiffer
        If the model needs what the schema has not, or takes another number of columns.
    NotAModel
        If the schema has timestamps: no model is asked with them as they come.
    """
    names = names_of(estimator)
    if names is None:
        names, positions = _by_order(estimator, schema, orders), list(range(len(schema)))
        return Inputs(names, positions, _kinds(schema, positions, orders), False, [])
    places = {name: at for at, name in enumerate(schema.names)}
    spaced = {name.replace(" ", "_"): at for name, at in places.items()}
    found = [places.get(name, spaced.get(name, -1)) for name in names]
    needed = _needed(estimator, len(names))
    absent = [names[i] for i in needed if found[i] < 0]
    unused = [name for name, at in places.items() if at not in found]
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
                known=closest(absent[0], unused or list(places)),
            ),
            names=", ".join(names[:40]),
        )
    positions = [at if i in needed else -1 for i, at in enumerate(found)]
    taken = set(positions)
    unused = [name for name, at in places.items() if at not in taken]
    return Inputs(names, positions, _kinds(schema, positions, orders), True, unused)


def _by_order(estimator: Any, schema: Schema, orders: Orders) -> list[str]:
    n = getattr(estimator, "n_features_in_", None)
    if n is not None and int(n) != len(schema):
        raise FeaturesDiffer(
            path=orders.given,
            model=orders.model,
            found=Phrase(
                "it takes {n} columns without names", "toma {n} columnas sin nombre", n=int(n)
            ),
            expected=Phrase(
                "{n}, one for each feature of the schema",
                "{n}, una por cada variable del esquema",
                n=len(schema),
            ),
            names=Phrase("columns without names", "columnas sin nombre"),
        )
    return list(schema.names)


def _needed(estimator: Any, n: int) -> set[int]:
    """Find the columns that are looked at: a ColumnTransformer may drop some."""
    first = estimator
    while type(first).__name__ == "Pipeline":
        first = first.steps[0][1]
    if type(first).__name__ != "ColumnTransformer":
        return set(range(n))
    return {
        at
        for _, part, columns in first.transformers_
        if not (isinstance(part, str) and part == "drop")
        for at in chosen(first, columns)
    }


def _kinds(schema: Schema, positions: Sequence[int], orders: Orders) -> list[str]:
    features = list(schema)
    moments = [f.name for f in features if isinstance(f, Timestamp)]
    if any(at >= 0 and features[at].name in moments for at in positions):
        raise NotAModel(
            path=orders.given,
            model=orders.model,
            found=Phrase("the timestamp {name}", "la fecha {name}", name=moments[0]),
            expected=Phrase("numbers, categories and texts", "números, categorías y textos"),
            mend_en="Declare the numbers that the model takes (hour, weekday) instead of a date.",
            mend_es="Declare los números que el modelo toma (hora, día) en vez de una fecha.",
        )
    return [
        "word" if at >= 0 and isinstance(features[at], Category | Text) else "number"
        for at in positions
    ]
