"""Fitting a featuriser plan: from training rows, a schema and an encoding to JSON.

Only the training part is seen: medians, means, vocabularies never come from the holdout.
"""

from collections import Counter
from collections.abc import Sequence
from math import log
from statistics import median
from typing import Any

import numpy as np

from timonel.project.recipes import Recipe
from timonel.runtime.featuriser import FORMAT, Featuriser, Value
from timonel.runtime.text import terms
from timonel.schema.features import Category, Feature, Flag, Number, Text
from timonel.schema.schema import Schema

WIDEST_LINEAR, WIDEST_TREES = 20_000, 300
LINEAR = frozenset({"logistic", "ridge", "kmeans"})  # k-means decides by linear functions
_WIDEST_DENSE = 2_000
Rows = Sequence[Sequence[Value]]


def fit_plan(schema: Schema, rows: Rows, recipe: Recipe, timezone: str) -> dict[str, Any]:
    """Fit the steps that turn rows into the recipe's matrix.

    Parameters
    ----------
    schema : Schema
    rows : sequence, shape (n_rows, n_features)
        Training rows, validated.
    recipe : Recipe
        Of a resolved name (not ``automatic``).
    timezone : str
        In which months, weekdays and hours are read.

    Returns
    -------
    dict
        As `timonel.runtime.featuriser` executes it.
    """
    linear = bool(LINEAR & {recipe.name, recipe.parameters.get("of")})
    steps: list[dict[str, Any]] = []
    for at, feature in enumerate(schema):
        column = [row[at] for row in rows]
        steps += [{**step, "input": at} for step in _steps(feature, column, recipe, linear=linear)]
    return {
        "format": FORMAT,
        "timezone": timezone,
        "n_inputs": len(schema),
        "precision": "float64" if linear else "float32",
        "steps": steps,
    }


def _steps(
    feature: Feature, column: Sequence[Any], recipe: Recipe, *, linear: bool
) -> list[dict[str, Any]]:
    present = [value for value in column if value is not None]
    some_missing = len(present) < len(column)
    keep = recipe.native_missing
    if isinstance(feature, Number):
        steps = [_number(present, scaled=recipe.encoding == "scaled", keep_missing=keep)]
    elif isinstance(feature, Flag):
        usual = float(2 * sum(present) > len(present))
        steps = [{"kind": "flag", "fill": None if keep else usual}]
    elif isinstance(feature, Category):
        return [_category(feature, present, recipe, some_missing=some_missing)]
    elif isinstance(feature, Text):
        return [_tfidf(present, linear=linear)]
    else:
        steps = [
            {
                "kind": "calendar",
                "parts": ["month", "weekday", "hour"],
                "onehot": linear,
                "fill": None if keep else 0.0,
            }
        ]
    if some_missing and not keep:
        steps.append({"kind": "missing"})
    return steps


def _number(present: Sequence[float], *, scaled: bool, keep_missing: bool) -> dict[str, Any]:
    middle = float(median(present)) if present else 0.0
    step: dict[str, Any] = {"kind": "number", "fill": None if keep_missing else middle}
    if scaled and present:
        numbers = np.array(present, dtype=np.float64)
        spread = float(numbers.std())
        step |= {"mean": float(numbers.mean()), "scale": spread if spread > 0 else 1.0}
    return step


def _category(
    feature: Category, present: Sequence[str], recipe: Recipe, *, some_missing: bool
) -> dict[str, Any]:
    step = {"values": list(feature.values), "fold": feature.case_insensitive}
    if recipe.encoding == "ordinal":
        other = None if recipe.native_missing else -1.0
        return {"kind": "ordinal", **step, "other": other}
    unseen = not set(feature.values).issuperset(present)
    return {"kind": "onehot", **step, "missing": some_missing, "unseen": unseen}


def _tfidf(texts: Sequence[str], *, linear: bool) -> dict[str, Any]:
    """Choose a vocabulary and its weights as ``TfidfVectorizer(min_df=2, max_features=...)``."""
    n_max = 2 if linear else 1
    in_documents: Counter[str] = Counter()
    in_all: Counter[str] = Counter()
    for text in texts:
        found = terms(text, n_max)
        in_all.update(found)
        in_documents.update(set(found))
    usual = [term for term, n in in_documents.items() if n >= 2]
    usual.sort(key=lambda term: (-in_all[term], term))
    vocabulary = sorted(usual[: WIDEST_LINEAR if linear else WIDEST_TREES])
    n = len(texts)
    idf = [log((1 + n) / (1 + in_documents[term])) + 1.0 for term in vocabulary]
    return {
        "kind": "tfidf",
        "vocabulary": vocabulary,
        "idf": idf,
        "n_max": n_max,
        "sublinear": linear,
    }


def matrix_of(featuriser: Featuriser, rows: Rows) -> Any:
    """Give the matrix an estimator is trained on: dense, or sparse where text makes it wide.

    Returns
    -------
    ndarray or scipy.sparse.csr_array, shape (n_rows, n_columns)
    """
    if featuriser.n_columns <= _WIDEST_DENSE:
        return featuriser.rows(rows)
    from scipy.sparse import csr_array, hstack

    at_column: list[int] = []
    weights: list[float] = []
    starts = [0]
    for values in rows:
        for column, weight in featuriser.text_row(values):
            at_column.append(column - featuriser.n_dense)
            weights.append(weight)
        starts.append(len(at_column))
    width = featuriser.n_columns - featuriser.n_dense
    text = csr_array((weights, at_column, starts), shape=(len(rows), width), dtype=np.float64)
    return hstack([csr_array(featuriser.dense_rows(rows)), text], format="csr")
