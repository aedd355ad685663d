"""Rows to hold a brought model against: of the user's sample, or drawn from the schema."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from timonel.errors import Phrase
from timonel.project.model import Model
from timonel.project.scaffold import source_for
from timonel.project.sources import read_rows
from timonel.runtime.featuriser import Value
from timonel.schema.features import Category, Feature, Flag, Number, Text
from timonel.schema.schema import Schema
from timonel.training.bring.errors import UnusableSample
from timonel.training.errors import UnusableData
from timonel.training.table import Table, clean_table

_SPRING = 1_768_478_400_000_000  # 2026-01-15 12:00 UTC
_WIDE = (0.0, 1.0, -1.0, 10.0, 100.0, 1000.0)


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of the user's, validated as requests would be.

    Parameters
    ----------
    table : Table
        Its target is empty where the file has none.
    has_target : bool
    """

    table: Table
    has_target: bool
    notes: list[str] = field(default_factory=list)


def read_sample(path: Path, model: Model, timezone: str) -> Sample:
    """Read a sample file and validate every row of it.

    Raises
    ------
    UnusableSample
        If it lacks a feature, or no row is valid.
    ProjectFault
        If it cannot be read at all.
    """
    source = source_for(path)
    raw, _ = source.load()
    has_target = model.target in raw.frame.columns
    try:
        frame = read_rows(source, model.schema, model.target if has_target else None)
        if not has_target:  # rows are validated together with their target
            frame = frame.with_columns(pl.lit(0.0).alias(model.target))
        missing = [f.name for f in model.schema if not f.required and f.name not in frame.columns]
        frame = frame.with_columns(pl.lit(None).alias(name) for name in missing)
        table = clean_table(frame, _untimed(model), timezone)
    except UnusableData as error:
        raise UnusableSample(
            sample=str(path),
            model=model.name,
            found=error.context["found"],
            expected=error.context["expected"],
        ) from error
    if not len(table):
        dropped = ", ".join(f"{n} {reason}" for reason, n in table.dropped.items())
        raise UnusableSample(
            sample=str(path),
            model=model.name,
            found=Phrase(
                "none of {n} rows valid ({dropped})",
                "ninguna de {n} filas válida ({dropped})",
                n=table.n_read,
                dropped=dropped,
            ),
            expected=Phrase("rows that fit the schema", "filas que calcen con el esquema"),
        )
    return Sample(table, has_target)


def _untimed(model: Model) -> Model:
    from dataclasses import replace

    return replace(model, time=None, group=None)


def drawn_rows(schema: Schema, rng: np.random.Generator, n: int = 400) -> list[tuple[Value, ...]]:
    """Draw rows that a schema allows; optional values are missing in a tenth of them."""
    columns = [[_drawn(feature, rng) for _ in range(n)] for feature in schema]
    return [
        tuple(
            None if not feature.required and rng.random() < 0.1 else column[at]
            for feature, column in zip(schema, columns, strict=True)
        )
        for at in range(n)
    ]


def _drawn(feature: Feature, rng: np.random.Generator) -> Any:
    if isinstance(feature, Number):
        number = _number(feature, rng)
        return round(number) if feature.integer else number
    if isinstance(feature, Category):
        return feature.values[int(rng.integers(len(feature.values)))]
    if isinstance(feature, Flag):
        return bool(rng.random() < 0.5)
    if isinstance(feature, Text):
        return "a text / un texto"
    return _SPRING + int(rng.integers(366)) * 86_400_000_000


def _number(feature: Number, rng: np.random.Generator) -> float:
    low, high = feature.ge, feature.le
    if low is not None and high is not None:
        number = float(rng.uniform(low, high))
    else:
        size = abs(_WIDE[int(rng.integers(len(_WIDE)))] * rng.normal())
        if low is not None:
            number = low + size
        elif high is not None:
            number = high - size
        else:
            number = size * (1.0 if rng.random() < 0.5 else -1.0)
    if feature.integer:
        number = float(round(number))
        number = number if low is None else max(number, np.ceil(low))
        number = number if high is None else min(number, np.floor(high))
    return float(number)
