"""A fitted pipeline becomes a featuriser plan and the estimator at its end."""

from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from timonel.runtime.ensembles import full_name
from timonel.runtime.featuriser import FORMAT
from timonel.schema.features import Category, Feature, Text, Timestamp
from timonel.schema.schema import Schema
from timonel.training.bring.inputs import Inputs
from timonel.training.bring.symbols import Arithmetic, Column, NotTranslatable, Raw, Term, steps_of
from timonel.training.bring.transformers import transformed

_THRESHOLDS = frozenset({"FixedThresholdClassifier", "TunedThresholdClassifierCV"})


class Translated(NamedTuple):
    """What a pipeline is made of: the steps of a plan, and the estimator that sees its columns."""

    steps: list[dict[str, Any]]
    estimator: Any


def translate(estimator: Any, inputs: Inputs, schema: Schema) -> Translated:
    """Take a fitted pipeline apart.

    Raises
    ------
    NotTranslatable
        Naming the transformer that has no step of ours.
    KindClash
        If a feature is words to the schema and numbers to the model, or the other way round.
    """
    features = list(schema)
    columns: list[Column] = [_start(at, features[at]) for at in inputs.positions]
    final = _inner(estimator)
    while type(final).__name__ == "Pipeline" and full_name(final).startswith("sklearn."):
        for _, part in final.steps[:-1]:
            columns = transformed(part, columns)
        final = _inner(final.steps[-1][1])
    order = sorted(range(len(columns)), key=lambda at: isinstance(columns[at], Term))
    if order != list(range(len(columns))):
        final = _reordered(final, order)
        columns = [columns[at] for at in order]
    return Translated(steps_of(columns), final)


def _inner(estimator: Any) -> Any:
    """Look through what only moves the threshold of a decision: probabilities stay the same."""
    while type(estimator).__name__ in _THRESHOLDS and hasattr(estimator, "estimator_"):
        estimator = estimator.estimator_
    return estimator


def plan_of(steps: list[dict[str, Any]], schema: Schema, *, timezone: str) -> dict[str, Any]:
    """Make a plan of steps; in float64, as the pipeline itself computes."""
    return {
        "format": FORMAT,
        "timezone": timezone,
        "n_inputs": len(schema),
        "precision": "float64",
        "steps": steps,
    }


def _start(at: int, feature: Feature) -> Column:
    if at < 0:
        return Arithmetic(0, (("mul", float("nan")),))  # a column that no transformer looks at
    if isinstance(feature, Timestamp):
        raise NotTranslatable("a timestamp among the features")
    return Raw(at) if isinstance(feature, Category | Text) else Arithmetic(at)


def _reordered(estimator: Any, order: list[int]) -> Any:
    """Give a linear estimator its columns in another order: texts stand last in a plan."""
    if not hasattr(estimator, "coef_"):
        raise NotTranslatable("a text before other columns of an estimator that is not linear")
    moved = deepcopy(estimator)
    moved.coef_ = np.asarray(estimator.coef_)[..., order]
    return moved
