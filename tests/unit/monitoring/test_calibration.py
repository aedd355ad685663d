"""Quiet windows teach their slot; loud ones do not; days and weeks are the zone's own."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import Engine

from timonel.monitoring.drift.calibration import (
    Calibration,
    Figures,
    Found,
    Past,
    SlotBy,
    Stretch,
    mark_normal,
    read_normal,
)
from timonel.monitoring.history import drift_windows
from timonel.monitoring.windows import (
    HourlyCounts,
    JudgedHours,
    Window,
    due,
    local_grid,
    local_time,
    nominal_span,
)
from timonel.project.model import Watch
from timonel.signals import Condition, Kind
from timonel.store.engine import make_engine, reading
from timonel.testing.events import PROJECT
from timonel.testing.monitored import City, usual

SANTIAGO = ZoneInfo("America/Santiago")


@pytest.fixture
def engine(sqlite_database: str) -> Iterator[Engine]:
    engine = make_engine(sqlite_database)
    yield engine
    engine.dispose()


def test_local_days_and_weeks_meet_without_a_gap_through_both_changes() -> None:
    for zone, lengths in (
        (SANTIAGO, {23, 24, 25}),
        (ZoneInfo("Asia/Kolkata"), {24}),
        (ZoneInfo("UTC"), {24}),
    ):
        grid = local_grid(zone)
        first = 490_000
        days = sorted({grid(hour, 24) for hour in range(first, first + 24 * 400)})
        assert all(a[1] == b[0] for a, b in pairwise(days))
        assert {end - start for start, end in days} == lengths
        assert all(grid(h, 24)[0] <= h < grid(h, 24)[1] for h in range(first, first + 200))
        weeks = {grid(hour, 168) for hour in range(first, first + 24 * 400)}
        assert {local_time(start, zone).weekday() for start, _ in weeks} == {0}
        assert {nominal_span(Window(*week, 0)) for week in weeks} == {168}
        assert {nominal_span(Window(*day, 0)) for day in days} == {24}
    assert nominal_span(Window(0, 2, 0)) is None
    assert nominal_span(Window(0, 1, 0)) == 1
    # half an hour of Kolkata's midnight belongs to the day before
    assert (
        local_time(
            local_grid(ZoneInfo("Asia/Kolkata"))(first, 24)[0], ZoneInfo("Asia/Kolkata")
        ).hour
        == 0
    )


def test_windows_of_local_days_cover_every_row() -> None:
    hours = HourlyCounts.of(dict.fromkeys(range(490000, 490000 + 24 * 300), 100))
    found = due(
        hours, JudgedHours.of([]), 490_000 + 24 * 300, window_h=24, grid=local_grid(SANTIAGO)
    )
    assert all(a.end_h == b.start_h for a, b in pairwise(found))
    assert {window.n for window in found[1:]} == {2300, 2400, 2500}  # rows begin within a day


def past_of(engine: Engine, windows: list[Figures], normal: list[Stretch]) -> Past:
    effects = {w.start_h: [{"ks": 0.01}] for w in windows}
    return Past(engine, PROJECT, "churn", "p", 1, ("x",), windows, normal, effects)


def test_what_alerted_and_what_led_to_it_is_not_quiet(engine: Engine) -> None:
    calm, warned = Found(), Found(warned=["x"])
    alerted = Found(warned=["x"], alerted=["x"])
    found = [calm, calm, calm, calm, warned, alerted, calm, calm, calm]
    windows = [
        Figures(h, h + 1, np.array([9.0 if f.warned else 1.0]), f) for h, f in enumerate(found)
    ]
    every = SlotBy(None, 1)
    scale = past_of(engine, windows, []).scales(Window(9, 10, 1), every)["x"]
    assert (scale.phi, scale.n_windows) == (1.0, 7)
    called_normal = past_of(engine, windows, [Stretch(4, 6)]).scales(Window(9, 10, 1), every)["x"]
    assert called_normal.n_windows == 9
    assert called_normal.phi > 1.5
    # a warning of the last two windows waits for what follows; later it is a part of the season
    at_once = past_of(engine, windows[:5], []).scales(Window(5, 6, 1), every)["x"]
    assert at_once.n_windows == 4
    assert past_of(engine, windows[:3], []).scales(Window(3, 4, 1), every) == {}


def test_a_stretch_is_kept_as_whole_hours_within_it(engine: Engine) -> None:
    hour = 3_600_000_000
    with engine.begin() as connection:
        for _ in range(2):  # again changes nothing
            mark_normal(
                connection,
                PROJECT,
                "churn",
                start_us=10 * hour + 1,
                end_us=20 * hour + 5,
                who="ana",
                note="Fiestas Patrias",
                at_us=1,
            )
    with reading(engine) as connection:
        assert read_normal(connection, PROJECT, "churn") == [Stretch(11, 20)]
    assert Calibration(engine, PROJECT, "churn", None).scales(Window(0, 2, 9), "p", ("x",)) == {}


@pytest.mark.slow
def test_a_night_that_four_weeks_taught_is_silent_and_a_stranger_night_alerts(
    engine: Engine, tmp_path: Path
) -> None:
    def night(rng: np.random.Generator, n: int, more: float = 4.0) -> dict[str, Any]:
        columns = usual(rng, n)
        return columns | {"age": columns["age"] + more}

    def stranger(rng: np.random.Generator, n: int) -> dict[str, Any]:
        return night(rng, n, 12.0)

    def whole_week(rng: np.random.Generator, n: int) -> dict[str, Any]:
        dark, light = night(rng, 4 * n // 9), usual(rng, n - 4 * n // 9)
        return {name: np.concatenate([dark[name], light[name]]) for name in dark}

    one = City(engine, tmp_path, seed=3, watch=Watch(season=True, window="1h"))
    one.deploy("2", draw=whole_week)
    raised: list[list[str]] = []
    for week in range(5):
        found = []
        for n, draw in ((300, night), (300, night), (750, usual)):
            one.ask(n, stranger if week == 4 and draw is night else draw)
            found += [
                s.column
                for s in one.end_hour()
                if s.kind is Kind.DRIFT_DETECTED and s.condition is Condition.HOLDS
            ]
        raised.append(found)
        one.end_hour(165)
    assert raised[:4] == [[]] * 4
    assert "age" in raised[4]
    windows = drift_windows(engine, PROJECT, "churn", 15)[::-1]
    ages = [next(c for c in w.columns if c.subject == "age") for w in windows]
    assert any(c.found for c in ages[:12])  # a night surprises until it is known
    assert [w.whole.facts["calibrated"] for w in windows[11:13]] == [0, 5]
    assert windows[12].whole.facts["quiet_windows"] == 4
    assert ages[12].facts["phi"] > 1.5
    assert ages[12].facts["floor"] > 0.1  # beyond what nights do
    # a new version does not begin anew: what came before is tested against its reference
    one.deploy("3", draw=whole_week)
    one.ask(300, night)
    one.end_hour()
    newest = drift_windows(engine, PROJECT, "churn", 1)[0]
    assert newest.whole.facts["calibrated"] == 0  # judged before the past is learned
    one.end_hour(167)
    one.ask(300, night)
    one.end_hour()
    newest = drift_windows(engine, PROJECT, "churn", 1)[0]
    assert newest.whole.version == one.version
    assert newest.whole.facts["calibrated"] == 3  # features; the answers were another model's


def test_many_rows_of_few_units_are_said_to_be_few(engine: Engine, tmp_path: Path) -> None:
    one = City(engine, tmp_path, seed=4, watch=Watch(season=False, window="1h"))
    for n in (100, 300, 600):
        one.ask(n, unit=None)
    one.end_hour()
    one.ask(1000, unit="the only one")
    one.end_hour()
    newest, first = drift_windows(engine, PROJECT, "churn", 2)
    assert (str(newest.whole.state), newest.whole.facts["reason"]) == (
        "not_enough",
        "not enough: 1 units of 200",
    )
    assert newest.whole.facts["rows_a_unit"] == 1000.0
    assert "rows_a_unit" not in first.whole.facts
