"""A month is read as columns and once a run; whoever checks, and since when, says the same."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from timonel.monitoring.checks import Checks
from timonel.project.model import Watch
from timonel.store.engine import make_engine
from timonel.store.reads_series import LabelledHours, VersionHours
from timonel.store.tables_loop import verdicts, window_figures
from timonel.testing.events import PROJECT
from timonel.testing.monitored import City, usual

HOURS = st.dictionaries(st.integers(0, 40), st.integers(-5, 9), max_size=20)
STRETCHES = st.lists(st.tuples(st.integers(-3, 45), st.integers(0, 9)), max_size=8)


@given(HOURS, STRETCHES)
@settings(max_examples=100, deadline=None)
def test_labels_of_stretches_are_those_of_their_hours(
    labels: dict[int, int], stretches: list[tuple[int, int]]
) -> None:
    hours = sorted(labels)
    n = np.array([labels[hour] for hour in hours], np.int64)
    month = LabelledHours(np.array(hours, np.int64), n, (n * 0.1).astype(np.float64))
    starts = np.array([start for start, _ in stretches], np.int64)
    found = month.within_each(starts, starts + np.array([h for _, h in stretches], np.int64))
    for (start, length), n_found, total in zip(
        stretches, *map(np.ndarray.tolist, found), strict=True
    ):
        mine = [labels[hour] for hour in range(start, start + length) if hour in labels]
        assert n_found == sum(mine)
        assert total == pytest.approx(sum(each * 0.1 for each in mine))
        if len(mine) == 1:
            assert total == mine[0] * 0.1


def test_rows_are_counted_of_all_and_of_one_version() -> None:
    answered = (("p", "1"), ("q", "2"), ("p", "1"), ("p", ""))
    month = VersionHours(np.array([3, 3, 4, 9]), np.array([5, 7, 1, 2]), answered)
    assert [column.tolist() for column in month.in_all()] == [[3, 4, 9], [12, 1, 2]]
    assert [column.tolist() for column in month.of("p", "1")] == [[3, 4], [5, 1]]
    assert [column.tolist() for column in month.since(4).in_all()] == [[4, 9], [1, 2]]
    assert [len(column) for column in month.since(10).in_all()] == [0, 0]


def older(rng: np.random.Generator, n: int) -> dict[str, Any]:
    columns = usual(rng, n)
    return {**columns, "age": columns["age"] + 5.0}


def told(url: str, folder: Path, *, anew: bool) -> tuple[list[Any], list[Any]]:
    """Follow a model for some hours; give what is kept of it, and what was raised."""
    engine = make_engine(url)
    one = City(engine, folder, seed=5, watch=Watch(season=False, window="1h"))
    start = one.bench.clock.now_us()
    waiting = []
    for hour in range(9):
        if anew:  # as after a crash, or by whoever takes the lease over
            one.checks = Checks(engine, PROJECT, one.bench.clock, one.registry, one.signals.append)
        if hour == 5:  # rows of the first hour that come late
            late = [
                one.events.prediction(at=start + n, features=b'{"age":40,"visits":4,"plan":"gold"}')
                for n in range(30)
            ]
            one.bench.write(*late)
        waiting.append(one.ask(300, older if hour in (3, 4, 7) else None))
        if hour in (2, 3, 6):
            one.tell(waiting[0 if hour == 6 else hour - 2], 0.6)
        one.end_hour()
    v, f = verdicts.c, window_figures.c
    watched = ("feature_drift", "prediction_drift", "performance")
    figures = (v.statistic, v.p_value, v.effect, v.facts)
    with engine.connect() as connection:
        kept = [
            *connection.execute(
                select(v.version, v.monitor, v.subject, v.window_start, v.state, v.n, *figures)
                .where(v.monitor.in_(watched))
                .order_by(v.monitor, v.subject, v.window_start)
            ).all(),
            *connection.execute(
                select(f.window_start, f.dispersions, f.effects, f.found).order_by(f.window_start)
            ).all(),
        ]
    engine.dispose()
    raised = [(s.kind, s.condition, s.monitor, s.column) for s in one.signals]
    return kept, [one for one in raised if one[2] in watched]


def test_whoever_begins_anew_each_hour_says_what_a_checker_of_days_says(
    prepared_sqlite: Path, tmp_path: Path
) -> None:
    said = []
    for anew in (False, True):
        folder = tmp_path / str(anew)
        folder.mkdir()
        url = f"sqlite:///{shutil.copy(prepared_sqlite, folder / 'timonel.db')}"
        said.append(told(url, folder, anew=anew))
    (kept, raised), (kept_anew, raised_anew) = said
    assert {row[4] for row in kept if len(row) > 4} >= {"ok", "alert", "warning"}
    assert any('"revised":true' in row[-1] for row in kept)
    assert kept_anew == kept
    assert raised_anew == raised
