"""A row that a schema accepts, made from the schema alone: for documentation and first requests."""

from typing import Any

from timonel.schema.features import Category, Feature, Flag, Number, Text, Timestamp
from timonel.schema.schema import Schema


def example_row(schema: Schema) -> dict[str, Any]:
    """Give one JSON-safe row, every feature filled, the same for the same schema.

    Examples
    --------
    >>> example_row(Schema(Number("age", ge=18, le=80), Category("city", ["Arica", "Talca"])))
    {'age': 49, 'city': 'Arica'}
    """
    return {feature.name: _example(feature) for feature in schema}


def _example(feature: Feature) -> Any:
    match feature:
        case Number():
            return _number(feature)
        case Category():
            return feature.values[0]
        case Flag():
            return True
        case Timestamp():
            return "2026-03-14T15:30:00"
        case Text():
            return "text"[: feature.max_length]
    return None


def _number(feature: Number) -> float:
    low, high = feature.ge, feature.le
    if low is not None and high is not None:
        middle = (low + high) / 2
    elif low is not None:
        middle = low + 1
    else:
        middle = 1.0 if high is None else min(1.0, high)
    # a round number reads better, where it is still inside
    for digits in range(7):
        rounded = round(middle, digits)
        if (low is None or rounded >= low) and (high is None or rounded <= high):
            return int(rounded) if digits == 0 or feature.integer else rounded
    return middle
