"""Validated rows between the steps: as Parquet in the artifact store, as frames for training.

Values are stored as they were validated (moments as microseconds, labels as JSON), so what a step
reads is what the step before it wrote, in another process or after a crash.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import polars as pl

from timonel.events.plans import Plan, Problem
from timonel.project.model import Model, Task
from timonel.retraining.learning.log import LabelledRow
from timonel.schema.features import Feature, Flag, Number, Timestamp
from timonel.schema.schema import Schema
from timonel.training.table import Table, clean_table

TARGET, AT, UNIT, ID = "=target", "=at", "=unit", "=id"
PART = "=part"
_PLACE = "=place"


class Bytes(Protocol):
    """Where bytes are kept by their hash."""

    def put(self, data: bytes) -> Any:
        """Store bytes; storing them again changes nothing."""
        ...

    def get(self, sha256: str) -> bytes:
        """Give the bytes of a hash."""
        ...


@dataclass(frozen=True, slots=True)
class Rows:
    """Validated rows with their truth; ``at``, ``unit`` and ``id`` say which answer they are of."""

    values: list[tuple[Any, ...]]
    target: list[Any]
    at: list[int]
    unit: list[str]
    id: list[str]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, places: Sequence[int]) -> "Rows":
        """Give some of the rows, in the given order, repeated where a place is."""
        return Rows(*([column[i] for i in places] for column in self._columns()))

    def __add__(self, other: "Rows") -> "Rows":
        pairs = zip(self._columns(), other._columns(), strict=True)
        return Rows(*(mine + theirs for mine, theirs in pairs))

    def _columns(self) -> tuple[list[Any], ...]:
        return (self.values, self.target, self.at, self.unit, self.id)

    def table(self, *others: "Rows") -> Table:
        """Give them for training, followed by others; ``time`` is the number of the part."""
        parts = (self, *others)
        times = [number for number, part in enumerate(parts) for _ in range(len(part))]
        values = [row for part in parts for row in part.values]
        target = [label for part in parts for label in part.target]
        return Table(values, target, times, None, len(values))


NONE = Rows([], [], [], [], [])


def rows_of_log(
    found: Sequence[LabelledRow], model: Model, plan: Plan, timezone: str
) -> tuple[Rows, dict[str, int]]:
    """Validate logged rows against the model as it is declared now.

    Returns
    -------
    rows : Rows
        Oldest first.
    dropped : dict of str to int
        Rows left out, by reason, as in training.
    """
    if not found:
        return NONE, {}
    truths = [plan.read(json.loads(row.truth)) for row in found]
    target = [None if isinstance(truth, Problem) else truth for truth in truths]
    served = [json.loads(row.features) for row in found]
    columns = {f.name: _series(f, [row.get(f.name) for row in served]) for f in model.schema}
    frame = pl.DataFrame(list(columns.values())).with_columns(
        labels(target, model, model.target), pl.Series(_PLACE, range(len(found)))
    )
    table = clean_table(frame, replace(model, time=None, group=_PLACE), timezone)
    chosen = [found[place] for place in table.group or ()]
    rows = Rows(
        table.values,
        table.target,
        [row.at for row in chosen],
        [row.unit for row in chosen],
        [str(row.prediction_id) for row in chosen],
    )
    return rows, table.dropped


def rows_of_table(table: Table) -> Rows:
    """Give the rows of the original set, which are of no answer."""
    n = len(table)
    return Rows(table.values, table.target, [0] * n, [""] * n, [""] * n)


def store(rows: Rows, schema: Schema, artifacts: Bytes) -> str:
    """Write rows as an artifact; give its sha256."""
    columns: list[pl.Series] = [
        _series(feature, [row[at] for row in rows.values]) for at, feature in enumerate(schema)
    ]
    columns += [
        pl.Series(TARGET, [json.dumps(label) for label in rows.target], pl.String),
        pl.Series(AT, rows.at, pl.Int64),
        pl.Series(UNIT, rows.unit, pl.String),
        pl.Series(ID, rows.id, pl.String),
    ]
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer, compression="zstd")
    return str(artifacts.put(buffer.getvalue()).sha256)


def load(sha256: str, schema: Schema, artifacts: Bytes) -> Rows:
    """Read rows back."""
    frame = pl.read_parquet(io.BytesIO(artifacts.get(sha256)))
    columns = [_values(feature, frame[feature.name]) for feature in schema]
    return Rows(
        list(zip(*columns, strict=True)),
        [json.loads(text) for text in frame[TARGET].to_list()],
        frame[AT].to_list(),
        frame[UNIT].to_list(),
        frame[ID].to_list(),
    )


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model's source made of rows at hand: the holdout is the later part."""

    model: Model
    train: Rows
    holdout: Rows
    description: dict[str, Any]

    def read(self) -> pl.DataFrame:
        """Give the frame that training reads."""
        schema = self.model.schema
        values = self.train.values + self.holdout.values
        columns: list[pl.Series] = []
        for at, feature in enumerate(schema):
            series = _series(feature, [row[at] for row in values])
            if isinstance(feature, Timestamp):
                series = series.cast(pl.Datetime("us", "UTC"))
            columns.append(series)
        target = self.train.target + self.holdout.target
        parts = [0] * len(self.train) + [1] * len(self.holdout)
        return pl.DataFrame(
            [*columns, labels(target, self.model, self.model.target), pl.Series(PART, parts)]
        )

    def describe(self) -> dict[str, Any]:
        """Say for lineage what the rows are."""
        return self.description

    def as_model(self) -> Model:
        """Give the model with these rows as its source, held out as they were split here."""
        return replace(self.model, source=self, time=PART, group=None)


def labels(target: Sequence[Any], model: Model, name: str) -> pl.Series:
    """Make the column of a target, of one type."""
    if model.task == Task.REGRESSION:
        return pl.Series(name, target, pl.Float64)
    known = [label for label in target if label is not None]
    if known and all(isinstance(label, bool) for label in known):
        return pl.Series(name, target, pl.Boolean)
    if all(isinstance(label, int) and not isinstance(label, bool) for label in known):
        return pl.Series(name, target, pl.Int64)
    return pl.Series(name, [None if v is None else str(v) for v in target], pl.String)


def _series(feature: Feature, values: list[Any]) -> pl.Series:
    if isinstance(feature, Number):
        return pl.Series(feature.name, values, pl.Float64, strict=False)
    if isinstance(feature, Flag):
        return pl.Series(feature.name, values, pl.Boolean, strict=False)
    if isinstance(feature, Timestamp) and not any(isinstance(v, str) for v in values):
        return pl.Series(feature.name, values, pl.Int64)
    return pl.Series(feature.name, [None if v is None else str(v) for v in values], pl.String)


def _values(feature: Feature, series: pl.Series) -> list[Any]:
    if isinstance(feature, Number) and feature.integer:
        return [None if value is None else int(value) for value in series.to_list()]
    return series.to_list()
