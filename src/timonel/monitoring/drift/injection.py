"""Drift made on purpose, in real rows: pure; the generator comes in.

Intensity is a share in (0, 1]; what it means depends on the kind:

- ``feature_shift``: numbers move by so many standard deviations, kept within their declared limits;
  of words and flags, half as large a share of the rows takes another value;
- ``missing_values``: so many values of every column are gone;
- ``label_imbalance``: so many rows of every class but one are gone (the rarest one stays; of a
  regression, those under the median are gone);
- ``unit_change``: numbers are multiplied, in turn, by ``1 + i/3`` and ``1 - 4i/15`` (1.10 and .92
  at .3): a scale that was set up anew;
- ``combined``: the first three together.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from timonel.schema.features import Category, Feature, Flag, Number
from timonel.schema.schema import Schema

Row = Sequence[Any]


class InjectedKind(StrEnum):
    """What is done to the rows."""

    FEATURE_SHIFT = "feature_shift"
    MISSING_VALUES = "missing_values"
    LABEL_IMBALANCE = "label_imbalance"
    UNIT_CHANGE = "unit_change"
    COMBINED = "combined"


class Rows(NamedTuple):
    """Rows in schema order with their truths."""

    values: Sequence[Row]
    target: Sequence[Any]


Columns = dict[str, list[Any]]


def inject(
    rows: Rows,
    schema: Schema,
    kind: InjectedKind,
    intensity: float,
    rng: np.random.Generator,
    *,
    classifier: bool,
) -> Rows:
    """Give rows with drift of a kind in them; what came in is left as it is.

    Parameters
    ----------
    rows : Rows
        Real ones, validated.
    intensity : float
        In (0, 1].
    classifier : bool
        Whether the target is a class.

    Raises
    ------
    ValueError
        If the intensity is outside (0, 1].
    """
    if not 0.0 < intensity <= 1.0:
        message = f"an intensity of {intensity}, expected more than 0 and at most 1"
        raise ValueError(message)
    if kind in (InjectedKind.LABEL_IMBALANCE, InjectedKind.COMBINED):
        kept = _kept(rows.target, intensity, rng, classifier=classifier)
        rows = Rows([rows.values[i] for i in kept], [rows.target[i] for i in kept])
    columns = {
        name: list(values)
        for name, values in zip(schema.names, zip(*rows.values, strict=True), strict=True)
    }
    if kind in (InjectedKind.FEATURE_SHIFT, InjectedKind.COMBINED):
        _each(columns, schema, lambda f, v: _shifted(f, v, intensity, rng))
    if kind is InjectedKind.UNIT_CHANGE:
        _rescale(columns, schema, intensity)
    if kind in (InjectedKind.MISSING_VALUES, InjectedKind.COMBINED):
        _each(columns, schema, lambda _, v: _holed(v, intensity, rng))
    return Rows(list(zip(*columns.values(), strict=True)), rows.target)


def _each(
    columns: Columns, schema: Schema, change: Callable[[Feature, list[Any]], list[Any]]
) -> None:
    for feature in schema:
        columns[feature.name] = change(feature, columns[feature.name])


def _kept(
    target: Sequence[Any], intensity: float, rng: np.random.Generator, *, classifier: bool
) -> list[int]:
    if classifier:
        counts = Counter(target)
        favoured = min(counts, key=lambda label: (counts[label], str(label)))
        stays = [label == favoured for label in target]
    else:
        middle = float(np.median(target))
        stays = [value >= middle for value in target]
    drawn = rng.random(len(target)) >= intensity
    return [at for at, stay in enumerate(stays) if stay or drawn[at]]


def _shifted(
    feature: Feature, values: list[Any], intensity: float, rng: np.random.Generator
) -> list[Any]:
    if isinstance(feature, Number):
        spread = _spread(values)
        return [None if v is None else _within(feature, v + intensity * spread) for v in values]
    if not isinstance(feature, Category | Flag):
        return values
    known = sorted({v for v in values if v is not None}, key=str)
    if len(known) < 2:
        return values
    moved = rng.random(len(values)) < intensity / 2
    other = rng.integers(1, len(known), len(values))
    return [
        known[(known.index(v) + int(step)) % len(known)] if move and v is not None else v
        for v, move, step in zip(values, moved, other, strict=True)
    ]


def _rescale(columns: Columns, schema: Schema, intensity: float) -> None:
    factors = (1 + intensity / 3, 1 - 4 * intensity / 15)
    numbers = [feature for feature in schema if isinstance(feature, Number)]
    for at, feature in enumerate(numbers):
        factor = factors[at % 2]
        columns[feature.name] = [
            None if v is None else _within(feature, v * factor) for v in columns[feature.name]
        ]


def _holed(values: list[Any], intensity: float, rng: np.random.Generator) -> list[Any]:
    gone = rng.random(len(values)) < intensity
    return [None if hole else value for value, hole in zip(values, gone, strict=True)]


def _spread(values: Sequence[Any]) -> float:
    there = [value for value in values if value is not None]
    return float(np.std(there)) if there else 0.0


def _within(feature: Number, value: float) -> float | int:
    """Keep a number as a request may have it: within its limits, and whole where it must be."""
    low = -np.inf if feature.ge is None else feature.ge
    high = np.inf if feature.le is None else feature.le
    kept = min(max(value, low), high)
    return round(kept) if feature.integer else float(kept)
