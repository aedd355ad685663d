"""Logged rows against those of the source: told apart, alike, or why nobody can say."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from timonel.monitoring.drift.together import Together, look_together
from timonel.project.model import Model
from timonel.store.engine import make_engine
from timonel.store.tables import metadata
from timonel.testing.events import PROJECT
from timonel.testing.monitored import HOUR_S, SCHEMA, START_H, City, usual
from timonel.training.digests import data_digest
from timonel.training.table import read_table

HOUR_US = HOUR_S * 1_000_000
Rows = dict[str, Any]


def frame(n: int = 2_000) -> pl.DataFrame:
    columns = usual(np.random.default_rng(1), n)
    return pl.DataFrame({**columns, "leaves": ["no", "yes"] * (n // 2)})


def model_of(source: Callable[[], pl.DataFrame], **more: Any) -> Model:
    return Model(name="churn", task="binary", target="leaves", schema=SCHEMA, source=source, **more)


def bound(rng: np.random.Generator, n: int) -> Rows:
    """Give rows whose older people visit more, each column as it always was."""
    columns = usual(rng, n)
    by_age = np.argsort(np.argsort(columns["age"] + rng.normal(0, 5, n)))
    return {**columns, "visits": np.sort(columns["visits"])[by_age]}


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """Give three hours: of rows as ever, of columns bound together, and of a single unit."""
    folder = tmp_path_factory.mktemp("together")
    engine = make_engine(f"sqlite:///{folder / 'timonel.db'}")
    metadata.create_all(engine)
    city = City(engine, folder, seed=3)
    city.ask(1_000)
    city.end_hour()
    city.ask(1_000, bound)
    city.end_hour()
    city.ask(1_000, unit="the one")
    city.end_hour()
    yield city
    engine.dispose()


def look(city: City, model: Model, first: int, hours: int = 1, **changes: Any) -> Together:
    version = replace(city.registry.get("churn", city.version), **changes)
    start = (START_H + first) * HOUR_US
    end = start + hours * HOUR_US
    return look_together(
        city.engine, PROJECT, model, version, start_us=start, end_us=end, timezone="UTC"
    )


def test_columns_bound_together_are_told_apart_and_named(city: City) -> None:
    model = model_of(frame)
    found = look(city, model, 1)
    assert found.state == "told_apart"
    assert found.found is not None
    assert {one.column for one in found.found.columns[:2]} == {"age", "visits"}
    assert not found.as_trained  # the version was not trained on this source
    document = found.document()
    assert (document["state"], document["reason"]) == ("told_apart", None)
    assert document["n"] == 1_000


def test_rows_as_ever_are_alike(city: City) -> None:
    model = model_of(frame)
    digest = data_digest(read_table(model, "UTC"), SCHEMA.names)
    found = look(city, model, 0, data_digest=digest)
    assert (found.state, found.as_trained) == ("alike", True)


def test_a_burst_is_read_whole_and_a_unit_once(city: City) -> None:
    """In 40 hours the three that were asked fill 4 of 50 slices."""
    found = look(city, model_of(frame), -37, 40)
    assert found.found is not None
    assert found.found.n == 2_001


def odd() -> pl.DataFrame:
    return frame().drop("visits")


@pytest.mark.parametrize(
    ("model", "first", "en", "es"),
    [
        (model_of(frame), 2, "1 logged rows", "1 filas registradas"),
        (model_of(frame), 9, "0 logged rows", "0 filas registradas"),
        (model_of(lambda: frame(150)), 0, "of the source to compare", "de la fuente con que"),
        (model_of(odd), 0, "cannot be read: ", "no se pueden leer las filas"),
    ],
)
def test_what_cannot_be_said_has_a_reason(
    city: City, model: Model, first: int, en: str, es: str
) -> None:
    found = look(city, model, first)
    assert found.state == "unknown"
    assert found.reason is not None
    assert en in found.reason
    assert es in found.reason.es
    assert found.document()["reason"]["es"] == found.reason.es


def test_of_a_group_in_the_source_one_row_counts(city: City) -> None:
    def grouped() -> pl.DataFrame:
        return frame().with_columns(pl.Series("house", [k // 4 for k in range(2_000)]))

    found = look(city, model_of(grouped, group="house"), 0)
    assert found.found is not None
    assert found.found.n_reference == pytest.approx(400, abs=5)  # 80 % of 500 houses


def test_values_of_another_kind_count_as_missing(city: City) -> None:
    def words(rng: np.random.Generator, n: int) -> Rows:
        return {**usual(rng, n), "visits": ["many"] * n}

    city.ask(300, words)
    city.end_hour()
    found = look(city, model_of(frame), 3)
    assert found.found is not None
    assert found.found.columns[0].column == "visits"
