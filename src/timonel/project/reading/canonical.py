"""The canonical column of each kind, so that equal tables are equal frames."""

import json

import polars as pl

_EXACT = 2.0**53  # beyond it a float no longer holds every whole number


def canonical(column: pl.Series) -> pl.Series:
    """Bring a column of any type to Int64, Float64, Boolean, Datetime("us") or trimmed String.

    Text loses outer white space and becomes NFC with plain line ends; empty text is missing. NaN
    and infinities are missing.
    """
    dtype = column.dtype
    if dtype == pl.String:
        return _text(column)
    if dtype == pl.Boolean:
        return column
    if dtype.is_numeric():
        return _number(column)
    if dtype.is_temporal() and dtype != pl.Time:
        return _moment(column)
    if dtype.is_nested() or dtype in (pl.Object, pl.Binary):
        values = [None if v is None else json.dumps(_plain(v), default=str) for v in column]
        return pl.Series(column.name, values, dtype=pl.String)
    return _text(column.cast(pl.String))


def _number(column: pl.Series) -> pl.Series:
    if column.dtype.is_integer():
        whole = column.cast(pl.Int64, strict=False)
        return whole if whole.null_count() == column.null_count() else column.cast(pl.String)
    if column.dtype == pl.Float32:
        column = column.cast(pl.String)  # by its shortest writing: 0.1f is 0.1
    return whole_if_whole(column.cast(pl.Float64))


def _moment(column: pl.Series) -> pl.Series:
    dtype = column.dtype
    if isinstance(dtype, pl.Duration):
        return whole_if_whole(column.dt.total_microseconds() / 1_000_000)
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is not None:
            column = column.dt.convert_time_zone("UTC")
        return column.dt.cast_time_unit("us")
    return column.cast(pl.Datetime("us"))


def whole_if_whole(column: pl.Series) -> pl.Series:
    """Give Int64 when every number is whole, else Float64; what is not finite becomes missing."""
    if column.dtype == pl.Int64:
        return column
    finite = column.is_finite()
    if not finite.all():
        column = pl.select(pl.when(finite).then(column).alias(column.name))[column.name]
    present = column.drop_nulls()
    if len(present) and (present.floor() == present).all() and (present.abs() < _EXACT).all():
        return column.cast(pl.Int64)
    return column


def _text(column: pl.Series) -> pl.Series:
    text = column.str.replace_all("\r\n", "\n", literal=True).str.strip_chars().str.normalize("NFC")
    return pl.select(pl.when(text != "").then(text).alias(column.name))[column.name]


def _plain(value: object) -> object:
    return value.to_list() if isinstance(value, pl.Series) else value
