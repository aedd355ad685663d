"""Training rows, cleaned exactly as a request would be: what serving refuses, training leaves out.

A row is left out, and counted by reason, where its target is missing or one of its values breaks
the schema. Nothing is repaired or invented.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from timonel.errors import closest
from timonel.project.model import Model, Task
from timonel.project.sources import read_rows
from timonel.runtime.featuriser import Value
from timonel.schema.features import Category, Feature, Number, Text, Timestamp
from timonel.schema.validation_fields import Fault, reader_of
from timonel.training.errors import UnusableData
from timonel.wire.answer import Label

LARGEST = float(np.finfo(np.float32).max)
_MISSING_WORDS = frozenset({"", "nan", "NaN", "null", "None", "NA", "N/A"})


@dataclass(frozen=True, slots=True)
class Table:
    """Clean rows in the order of the source.

    Parameters
    ----------
    values : list of tuple
        Validated, in schema order.
    target : list
        Labels, or floats for a regression.
    time, group : list or None
        What the split goes by, where the model declares it.
    n_read : int
    dropped : dict of str to int
        Rows left out, by reason (``target_missing``, ``target_out_of_range``,
        ``out_of_range:Age``); a row counts once, for the first reason in schema order.
    """

    values: list[tuple[Value, ...]]
    target: list[Any]
    time: list[Any] | None
    group: list[Any] | None
    n_read: int
    dropped: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Sequence[int]) -> list[tuple[Value, ...]]:
        """Give the values of some rows."""
        return [self.values[row] for row in rows]


def read_table(model: Model, timezone: str) -> Table:
    """Read a model's source and validate every row of it.

    Raises
    ------
    ProjectFault
        If the source cannot be read, or ``clean_table`` refuses what it gives.
    """
    others = [name for name in (model.time, model.group) if name is not None]
    frame = read_rows(model.source, model.schema, model.target, others)
    return clean_table(frame, model, timezone)


def clean_table(frame: pl.DataFrame, model: Model, timezone: str) -> Table:
    """Validate every row of a frame against the model's schema.

    Raises
    ------
    UnusableData
        If a column of the schema, the target, ``time`` or ``group`` is not there, or the target
        is of a kind that the task cannot have.
    """
    _require_columns(frame, model)
    zone = ZoneInfo(timezone)
    n = frame.height
    reasons: list[str | None] = [None] * n
    target = _target(frame[model.target], model)
    _mark(reasons, _target_faults(target, model.target_range))
    columns: list[list[Any]] = []
    for feature in model.schema:
        values, faults = _column(frame[feature.name], feature, zone)
        columns.append(values)
        _mark(reasons, faults)
    time = group = None
    if model.time is not None:
        time = _times(frame[model.time], zone)
        _mark(reasons, [("time_missing" if value is None else None) for value in time])
    if model.group is not None:
        group = frame[model.group].to_list()
        _mark(reasons, [("group_missing" if value is None else None) for value in group])
    kept = [row for row in range(n) if reasons[row] is None]
    rows = list(zip(*columns, strict=True))
    return Table(
        [rows[i] for i in kept],
        [target[i] for i in kept],
        None if time is None else [time[i] for i in kept],
        None if group is None else [group[i] for i in kept],
        n,
        dict(sorted(Counter(reason for reason in reasons if reason).items())),
    )


def _mark(reasons: list[str | None], found: Sequence[str | None]) -> None:
    for row, reason in enumerate(found):
        if reason is not None and reasons[row] is None:
            reasons[row] = reason


def _require_columns(frame: pl.DataFrame, model: Model) -> None:
    wanted = [*model.schema.names, model.target, model.time, model.group]
    absent = [name for name in wanted if name is not None and name not in frame.columns]
    if absent:
        raise UnusableData(
            model=model.name,
            found=f"data without the column(s) {', '.join(map(repr, absent))}",
            expected=f"them beside {closest(absent[0], frame.columns)}",
            mend_en="Correct the names in the schema, target, time or group, or the source.",
            mend_es="Corrija los nombres en el esquema, target, time o group, o la fuente.",
        )


def _column(
    series: pl.Series, feature: Feature, zone: ZoneInfo
) -> tuple[list[Any], list[str | None]]:
    """Read one column: values, and for each the reason why its row is left out (or None)."""
    if isinstance(feature, Number) and series.dtype.is_numeric() and not series.dtype.is_decimal():
        return _numbers(series, feature)
    reader = reader_of(feature, zone)
    prepare = _preparation(feature)
    known: dict[Any, tuple[Any, str | None]] = {}
    values: list[Any] = []
    faults: list[str | None] = []
    for raw in series.to_list():
        found = known.get(raw) if not isinstance(raw, float) else None
        if found is None:
            found = _read(prepare(raw), feature, reader.read)
            if len(known) < 100_000 and not isinstance(raw, bool | float):
                known[raw] = found  # True and 1 would be the same key
        values.append(found[0])
        faults.append(found[1])
    return values, faults


def _read(value: Any, feature: Feature, read: Callable[[Any], Value]) -> tuple[Value, str | None]:
    if value is None:
        return None, f"missing:{feature.name}" if feature.required else None
    try:
        return read(value), None
    except Fault as fault:
        return None, f"{fault.code}:{feature.name}"


def _preparation(feature: Feature) -> Callable[[Any], Any]:
    """Give what turns a column's raw value into what a request would send for it."""
    if isinstance(feature, Number):
        return _as_number
    if isinstance(feature, Category):
        return _as_word
    if isinstance(feature, Text):
        return lambda value: value if value is None or isinstance(value, str) else str(value)
    if isinstance(feature, Timestamp):
        return lambda value: None if value == "" else value
    return lambda value: None if isinstance(value, str) and not value.strip() else value


def _as_number(value: Any) -> Any:
    if isinstance(value, bool | Decimal):
        return float(value)
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, str):
        if value.strip() in _MISSING_WORDS:
            return None
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _as_word(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return str(int(value)) if value.is_integer() else str(value)
    return str(value)


def _numbers(series: pl.Series, feature: Number) -> tuple[list[Any], list[str | None]]:
    numbers = series.cast(pl.Float64).to_numpy()
    low = -LARGEST if feature.ge is None else feature.ge
    high = LARGEST if feature.le is None else feature.le
    missing = np.isnan(numbers)
    with np.errstate(invalid="ignore"):
        outside = ~missing & ~((numbers >= low) & (numbers <= high))
        broken = np.zeros_like(missing)
        if feature.integer:
            broken = ~missing & ~outside & (numbers != np.floor(numbers))
    whole = feature.integer
    values: list[Any] = [
        None if bad else (int(number) if whole else number)
        for number, bad in zip(numbers.tolist(), missing | outside | broken, strict=True)
    ]
    faults: list[str | None] = [None] * len(values)
    for rows, reason in ((outside, "out_of_range"), (broken, "not_whole")):
        for row in np.flatnonzero(rows):
            faults[row] = f"{reason}:{feature.name}"
    if feature.required:
        for row in np.flatnonzero(missing):
            faults[row] = f"missing:{feature.name}"
    return values, faults


def _target(series: pl.Series, model: Model) -> list[Any]:
    if model.task == Task.REGRESSION:
        return _target_numbers(series, model)
    if series.dtype == pl.Boolean or series.dtype.is_integer():
        return series.to_list()
    if series.dtype.is_float() or series.dtype.is_decimal():
        numbers = [None if x is None or math.isnan(x) else float(x) for x in series.to_list()]
        whole = all(x is None or x.is_integer() for x in numbers)
        return [x if x is None else int(x) if whole else str(x) for x in numbers]
    return [None if x is None or str(x) in _MISSING_WORDS else str(x) for x in series.to_list()]


def _target_numbers(series: pl.Series, model: Model) -> list[Any]:
    numbers: list[float | None] = []
    for raw in series.to_list():
        value = _as_number(raw)
        if value is not None and not isinstance(value, int | float):
            raise UnusableData(
                model=model.name,
                found=f"the target {model.target} = {str(raw)[:40]!r}",
                expected="numbers (the task is regression)",
                mend_en="Correct the column, or declare task='binary' or 'multiclass'.",
                mend_es="Corrija la columna, o declare task='binary' o 'multiclass'.",
            )
        finite = value is not None and math.isfinite(value)
        numbers.append(float(cast("float", value)) if finite else None)
    return numbers


def _target_faults(
    target: Sequence[Any], bounds: tuple[float | None, float | None] | None
) -> list[str | None]:
    low, high = bounds or (None, None)
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    return [
        "target_missing"
        if value is None
        else "target_out_of_range"
        if bounds is not None and not low <= value <= high
        else None
        for value in target
    ]


def _times(series: pl.Series, zone: ZoneInfo) -> list[Any]:
    if series.dtype.is_numeric():
        return [None if x is None or x != x else x for x in series.to_list()]
    read = reader_of(Timestamp("time"), zone).read
    known: dict[Any, int | None] = {}
    found: list[int | None] = []
    for raw in series.to_list():
        if raw not in known:
            known[raw] = _moment(raw, read)
        found.append(known[raw])
    return found


def _moment(raw: Any, read: Callable[[Any], Value]) -> int | None:
    if not isinstance(raw, str | date | datetime):
        return None
    try:
        return cast("int", read(raw))
    except Fault:
        return None


def class_list(labels: Sequence[Label]) -> list[Label]:
    """List the classes in order; labels of one column are of one kind."""
    return sorted(set(labels), key=lambda label: (isinstance(label, str), label))
