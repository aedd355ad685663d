"""Rows that came as columns or records of another protocol, as the rows of a model.

What other protocols cannot say in our form is settled here, once for all of them: NaN is a missing
value where the feature may be missing; an empty text is one where the feature is no free text.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from timonel.schema.features import Feature, Text, Timestamp
from timonel.schema.validation import DECLINED, FieldError, Row, RowDecoder
from timonel.serving.protocols.tensors import is_nan
from timonel.serving.routes.requests import PredictRequest
from timonel.wire.strict_json import JsonObject

_DECLINED = (msgspec.ValidationError, *DECLINED)


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
    return [None if _is_missing(feature, one) else one for one in values]


def tidy_records(decoder: RowDecoder, records: Sequence[Any]) -> list[Any]:
    """Give records with None for what is missing; what is no record stays as it is."""
    may = {feature.name: feature for feature in decoder.schema if not feature.required}
    return [
        _tidy_record(may, one) if isinstance(one, Mapping) and not _twice(one) else one
        for one in records
    ]


def _tidy_record(may: Mapping[str, Feature], record: Mapping[str, Any]) -> Mapping[str, Any]:
    astray = [
        name for name, value in record.items() if name in may and _is_missing(may[name], value)
    ]
    return {**record, **dict.fromkeys(astray)} if astray else record


def _is_missing(feature: Feature | None, value: Any) -> bool:
    if isinstance(value, str):
        no_text = value == "" and not isinstance(feature, Text)
        return no_text or (value == "NaT" and isinstance(feature, Timestamp))  # as pandas says it
    return is_nan(value)


def _twice(record: Mapping[str, Any]) -> bool:
    return isinstance(record, JsonObject) and bool(record.duplicates)


def _row(decoder: RowDecoder, record: Mapping[str, Any], place: int) -> Row | list[FieldError]:
    if _twice(record):
        return decoder.check(record, place)
    # the quick way as for our own JSON; that knows no NaN, so floats are looked at again
    try:
        row = decoder.quick(msgspec.convert(record, decoder.row_type))
        if all(math.isfinite(value) for value in row.values if value.__class__ is float):
            return row
    except _DECLINED:
        pass
    return decoder.check(record, place)
