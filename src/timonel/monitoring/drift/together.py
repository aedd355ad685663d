"""Whether logged rows differ from those a version learned from in all columns together.

Rows are read, not counts, and a classifier is fitted: on request only, and at most 5,000 rows a
side, spread evenly over the time that is asked for. Where requests carry units, one row of each.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from sqlalchemy import Engine, select

from timonel.errors import Phrase, TimonelError
from timonel.events.frames import NO_INPUTS
from timonel.project.model import Model, Task
from timonel.registry.catalogue import ModelVersion
from timonel.schema.features import Category, Feature, Text, Timestamp
from timonel.stats.multivariate.domain import (
    FEWEST_ROWS,
    MOST_ROWS,
    Columns,
    Separation,
    tell_apart,
)
from timonel.stats.profiles.cells import Kind
from timonel.store.engine import reading
from timonel.store.tables import predictions
from timonel.training.digests import data_digest
from timonel.training.split import split_rows
from timonel.training.table import Table, read_table

N_SLICES = 50
_NONE = NO_INPUTS.decode()
_FEW_LOGGED = (
    "{n} logged rows of different units in this time, at least {needed} are needed",
    "{n} filas registradas de unidades distintas en ese tiempo; se necesitan al menos {needed}",
)
_FEW_LEARNED = (
    "{n} rows of the source to compare with, at least {needed} are needed",
    "{n} filas de la fuente con que comparar; se necesitan al menos {needed}",
)
_UNREADABLE = (
    "the rows it learned from cannot be read: {why}",
    "no se pueden leer las filas de las que aprendió: {why}",
)
_MOMENTS_ALONE = Phrase(
    "the model is asked moments alone, which move on by nature",
    "al modelo solo se le preguntan momentos, que avanzan por naturaleza",
)


@dataclass(frozen=True, slots=True)
class Together:
    """What a look at all columns together came to.

    Parameters
    ----------
    start_us, end_us : int
        The stretch of time that the logged rows are of.
    found : Separation or None
        None: it cannot be said, and ``reason`` says why.
    as_trained : bool
        Whether the source is still what the version learned from; else its rows as they are now
        stand for the reference.
    """

    model: str
    version: str
    start_us: int
    end_us: int
    found: Separation | None
    reason: Phrase | None = None
    as_trained: bool = True

    @property
    def state(self) -> str:
        """Give what can be said: "unknown", "alike" or "told_apart"."""
        if self.found is None:
            return "unknown"
        return "told_apart" if self.found.found else "alike"

    def document(self) -> dict[str, Any]:
        """Give it for JSON."""
        reason = self.reason
        return {
            "model": self.model,
            "version": self.version,
            "window_start": self.start_us,
            "window_end": self.end_us,
            "state": self.state,
            "reason": None if reason is None else {"en": str(reason), "es": reason.es},
            "reference_as_trained": self.as_trained,
            **({} if self.found is None else self.found.document()),
        }


def look_together(
    engine: Engine,
    project: str,
    model: Model,
    version: ModelVersion,
    *,
    start_us: int,
    end_us: int,
    timezone: str,
    seed: int = 0,
) -> Together:
    """Compare the logged rows of a stretch of time with the rows that a version learned from.

    Parameters
    ----------
    model : Model
        Its source is read again.
    start_us, end_us : int
        Event time, the end not included. Requests of all versions count: inputs are asked about,
        not answers.
    seed : int
        The same rows and seed give the same figures.
    """
    said, as_trained = _compared(
        engine, project, model, version, start_us, end_us, timezone=timezone, seed=seed
    )
    found, reason = (None, said) if isinstance(said, Phrase) else (said, None)
    return Together(
        version.model, version.version, start_us, end_us, found, reason, as_trained=as_trained
    )


def _compared(
    engine: Engine,
    project: str,
    model: Model,
    version: ModelVersion,
    start_us: int,
    end_us: int,
    *,
    timezone: str,
    seed: int,
) -> tuple[Separation | Phrase, bool]:
    """Give what was found, or why nothing can be; and whether the source is what was learned."""
    kinds = {feature.name: _kind_of(feature) for feature in model.schema}
    if set(kinds.values()) == {"timestamp"}:
        return _MOMENTS_ALONE, True
    logged = _logged(engine, project, version.model, start_us, end_us)
    if len(logged) < FEWEST_ROWS:
        return _few(_FEW_LOGGED, len(logged)), True
    try:
        table = read_table(model, timezone)
    except TimonelError as error:
        why = Phrase(error.message("en"), error.message("es"))
        return Phrase(*_UNREADABLE, why=why), True
    as_trained = data_digest(table, model.schema.names) == version.data_digest
    split_seed = int(version.lineage.get("seed", model.seed))
    learned = _learned(table, model, split_seed, np.random.default_rng(seed))
    if len(learned) < FEWEST_ROWS:
        return _few(_FEW_LEARNED, len(learned)), as_trained
    before = dict(zip(model.schema.names, zip(*learned, strict=True), strict=True))
    return tell_apart(before, _columns(logged, kinds), kinds, seed=seed), as_trained


def _few(texts: tuple[str, str], n: int) -> Phrase:
    return Phrase(*texts, n=n, needed=FEWEST_ROWS)


def _learned(
    table: Table, model: Model, seed: int, rng: np.random.Generator
) -> list[tuple[Any, ...]]:
    """Give rows of the training part, one of each group, drawn where they are too many."""
    classes = model.task != Task.REGRESSION
    places = split_rows(table, classes=classes, rng=np.random.default_rng(seed)).train
    if table.group is not None:
        first: dict[Any, int] = {}
        for place in rng.permutation(places).tolist():
            first.setdefault(table.group[place], place)
        places = np.array(sorted(first.values()), np.int64)
    if len(places) > MOST_ROWS:
        places = np.sort(rng.choice(places, MOST_ROWS, replace=False))
    return table.take(places.tolist())


def _logged(
    engine: Engine, project: str, model: str, start_us: int, end_us: int
) -> list[dict[str, Any]]:
    """Read logged inputs, one row of each unit, as many of each slice of the time."""
    rows: list[dict[str, Any]] = []
    units: set[str] = set()
    for document, unit in _pages(engine, project, model, start_us, end_us):
        if unit is not None and unit in units:
            continue
        if unit is not None:
            units.add(unit)
        read = json.loads(document)
        if isinstance(read, dict):
            rows.append(read)
    return rows


def _pages(
    engine: Engine, project: str, model: str, start_us: int, end_us: int
) -> Iterator[tuple[str, str | None]]:
    """Read at most 5,000 rows: what quiet slices leave, those with more may give."""
    bounds = np.linspace(start_us, end_us, N_SLICES + 1).astype(np.int64).tolist()
    taken = dict.fromkeys(pairwise(bounds), 0)
    left, full = MOST_ROWS, list(taken)
    while full and left >= len(full):
        share = left // len(full)
        for since, until in full.copy():
            page = _page(engine, project, model, since, until, taken[since, until], share)
            yield from page
            left -= len(page)
            taken[since, until] += len(page)
            if len(page) < share:
                full.remove((since, until))


def _page(
    engine: Engine, project: str, model: str, since: int, until: int, offset: int, limit: int
) -> list[tuple[str, str | None]]:
    p = predictions.c
    query = (
        select(p.features, p.unit_id)
        .where(p.project == project, p.model == model, p.at >= since, p.at < until)
        .where(p.features != _NONE)
        .order_by(p.at, p.prediction_id)
        .offset(offset)
        .limit(limit)
    )
    with reading(engine) as connection:
        return [(str(features), unit) for features, unit in connection.execute(query)]


def _columns(rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, Kind]) -> Columns:
    """Give logged rows by column; a value of another kind than declared counts as missing."""
    return {name: [_fitting(row.get(name), kind) for row in rows] for name, kind in kinds.items()}


def _fitting(value: Any, kind: Kind) -> Any:
    wanted = str if kind in ("category", "text") else int | float
    return value if isinstance(value, wanted) else None


def _kind_of(feature: Feature) -> Kind:
    if isinstance(feature, Text):
        return "text"
    if isinstance(feature, Category):
        return "category"
    return "timestamp" if isinstance(feature, Timestamp) else "number"
