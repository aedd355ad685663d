"""Rows that came as columns or records of another protocol, as the rows of a model.

What other protocols cannot say in our form is settled here, once for all of them: NaN is a missing
value where the feature may be missing; an empty text is one where the feature is no free text.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from timonel.schema.features import Text
from timonel.schema.validation import FieldError, Row, RowDecoder
from timonel.serving.protocols.tensors import is_nan
from timonel.serving.routes.requests import PredictRequest
from timonel.wire.strict_json import JsonObject

_DECLINED = (msgspec.ValidationError, OverflowError)


def request_of(
    decoder: RowDecoder, records: Iterable[Mapping[str, Any]], unit_id: str | None = None
) -> PredictRequest:
    """Validate records (field to value) as one request; the errors of a row stand in its place."""
    rows = [_row(decoder, record, place) for place, record in enumerate(records)]
    return PredictRequest(rows, len(rows) == 1, unit_id)


def records_of(
    decoder: RowDecoder, names: Sequence[str], columns: Sequence[list[Any]]
) -> list[dict[str, Any]]:
    """Turn columns of one length into records, with missing values as None."""
    tidied = [tidy(decoder, name, values) for name, values in zip(names, columns, strict=True)]
    return [dict(zip(names, row, strict=True)) for row in zip(*tidied, strict=True)]


def tidy(decoder: RowDecoder, name: str, values: list[Any]) -> list[Any]:
    """Give a column's values with None for those that are missing."""
    feature = decoder.schema[name] if name in decoder.names else None
    if feature is not None and feature.required:
        return values
    empty = not isinstance(feature, Text)
    return [None if is_nan(one) or (empty and one == "") else one for one in values]


def tidy_record(decoder: RowDecoder, record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a record with None for NaN where the feature may be missing."""
    astray = [name for name, value in record.items() if is_nan(value)]
    if not astray or _twice(record):
        return record
    may = {feature.name for feature in decoder.schema if not feature.required}
    return {**record, **{name: None for name in astray if name in may}}


def _twice(record: Mapping[str, Any]) -> bool:
    return isinstance(record, JsonObject) and bool(record.duplicates)


def _row(decoder: RowDecoder, record: Mapping[str, Any], place: int) -> Row | list[FieldError]:
    if _twice(record):
        return decoder.check(record, place)
    # the quick way as for our own JSON; that knows no NaN, so floats are looked at again
    try:
        row = decoder.quick(msgspec.convert(record, decoder.row_type))
    except _DECLINED:
        row = None
    if row is not None and all(
        math.isfinite(value) for value in row.values if value.__class__ is float
    ):
        return row
    return decoder.check(record, place)
