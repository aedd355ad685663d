from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from timonel.simulate.city import INPUTS, City, CitySettings, Drift, haversine_km
from timonel.simulate.crews import Crew, adequacy
from timonel.simulate.history import START, history
from timonel.simulate.rhythm import PEAK_CALL_FACTOR, call_factor, traffic_factor

START_US = round(START.timestamp() * 1e6)


def mean(table: pl.DataFrame, column: str) -> float:
    return float(table[column].to_numpy().mean())


@pytest.fixture(scope="module")
def past() -> pl.DataFrame:
    return history(6000, seed=5)


@pytest.fixture(scope="module")
def usual() -> pl.DataFrame:
    return history(2500, seed=6)


def test_the_same_seed_gives_the_same_rows() -> None:
    assert history(300, seed=9).equals(history(300, seed=9))
    assert not history(300, seed=9).equals(history(300, seed=10))


def test_the_plan_of_the_city_is_the_same_under_every_seed() -> None:
    places = [
        [
            (ambulance["latitude"], ambulance["longitude"])
            for ambulance in city.request(city.next_call())["available_ambulances"]
        ]
        for city in (City(np.random.default_rng(seed), START_US) for seed in (1, 2))
    ]
    at_home = set(places[0]) & set(places[1])
    assert len(at_home) > 10


def test_a_row_has_the_thirteen_inputs_in_their_ranges(past: pl.DataFrame) -> None:
    assert past.columns == ["dispatch_id", "requested_at", *INPUTS, "was_optimal"]
    assert past["dispatch_id"].n_unique() == past.height
    assert past.null_count().sum_horizontal().item() == 0
    assert past["requested_at"].is_sorted()
    assert past["requested_at"][0] >= START
    assert past["nearest_ambulance_distance_km"].is_between(0, 15).all()
    assert past["ambulances_busy_percentage"].is_between(0, 1).all()
    assert past["severity_level"].is_between(1, 5).all()
    assert (
        past["paramedics_senior_count"] + past["paramedics_junior_count"]
        == past["paramedics_available_count"]
    ).all()
    local = past["requested_at"].dt.convert_time_zone("America/Santiago")
    assert (local.dt.hour() == past["hour_of_day"]).all()
    assert (local.dt.weekday() - 1 == past["day_of_week"]).all()
    assert ((past["day_of_week"] >= 5).cast(pl.Int64) == past["is_weekend"]).all()


def test_calls_follow_the_day_and_the_declared_rate(past: pl.DataFrame) -> None:
    hours = (past["requested_at"][-1] - past["requested_at"][0]) / timedelta(hours=1)
    mean_factor = np.mean([call_factor(h + 0.5, d) for h in range(24) for d in range(7)])
    expected = hours * CitySettings().calls_per_hour * mean_factor
    assert past.height == pytest.approx(expected, rel=0.06)
    by_hour = past.group_by("hour_of_day").len().sort("hour_of_day")["len"].to_list()
    assert by_hour[4] < by_hour[12] / 2
    assert by_hour[4] < by_hour[19] / 2


def test_no_factor_exceeds_the_peak_that_thinning_assumes() -> None:
    factors = [call_factor(h / 4, d) for h in range(96) for d in range(7)]
    assert 0 < min(factors) < max(factors) <= PEAK_CALL_FACTOR


def test_traffic_is_free_at_night_and_thick_on_a_working_evening() -> None:
    assert traffic_factor(3.0, 1) == pytest.approx(1.0, abs=0.01)
    assert traffic_factor(18.6, 1) > 1.8
    assert traffic_factor(18.6, 6) < 1.4


def test_distance_costs_and_most_assignments_are_optimal(past: pl.DataFrame) -> None:
    near = past.filter(pl.col("nearest_ambulance_distance_km") < 1.5)
    far = past.filter(pl.col("nearest_ambulance_distance_km") > 5.0)
    assert mean(near, "was_optimal") > 0.85
    assert mean(far, "was_optimal") < 0.35
    assert 0.6 < mean(past, "was_optimal") < 0.75


def test_the_truth_comes_minutes_to_hours_later() -> None:
    city = City(np.random.default_rng(3), START_US)
    delays = []
    for _ in range(500):
        call = city.next_call()
        delays.append((city.carry_out(call, city.decide(call)).known_at_us - call.at_us) / 60e6)
    low, middle, high = np.quantile(delays, [0.01, 0.5, 1.0])
    assert low > 15
    assert 40 < middle < 90
    assert 120 < high < 10 * 60


def test_a_smaller_fleet_is_farther_away_and_busier(usual: pl.DataFrame) -> None:
    smaller = history(2500, seed=6, drift=Drift(fleet_share=0.6))
    for name in ("nearest_ambulance_distance_km", "ambulances_busy_percentage"):
        assert mean(smaller, name) > mean(usual, name) * 1.15


def test_miles_change_the_report_and_nothing_else() -> None:
    usual, miles = history(400, seed=6), history(400, seed=6, drift=Drift(miles=True))
    assert miles["was_optimal"].equals(usual["was_optimal"])
    ratio = usual["nearest_ambulance_distance_km"] / miles["nearest_ambulance_distance_km"]
    assert ratio.median() == pytest.approx(1.609344, rel=1e-3)


def test_road_works_make_good_assignments_rarer(usual: pl.DataFrame) -> None:
    works = history(2500, seed=6, drift=Drift(road_works=0.25))
    assert mean(works, "was_optimal") < mean(usual, "was_optimal") - 0.15


def test_a_drift_can_begin_while_the_city_runs() -> None:
    city = City(np.random.default_rng(3), START_US)
    city.drift = Drift(fleet_share=0.5)
    call = city.next_call()
    assert call.inputs["available_ambulances_count"] <= 23


@pytest.mark.parametrize(
    ("severity", "crew", "expected"),
    [
        (5, Crew((1, 2), (1,), 1), 0.985),
        (5, Crew((1,), (1, 2), 1), 0.985 * 0.25),
        (5, Crew((1, 2), (1,), None), 0.985 * 0.3),
        (3, Crew((), (1,), None), 0.985 * 0.2),
        (3, Crew((4, 5), (), None), 0.985),
    ],
)
def test_adequacy_of_a_crew(severity: int, crew: Crew, expected: float) -> None:
    assert adequacy(severity, crew) == pytest.approx(expected)


def test_haversine_on_arcs_whose_length_is_known() -> None:
    km = haversine_km(0.0, 0.0, np.array([0.0, 90.0, 0.0, 0.0]), np.array([1.0, 0.0, 180.0, 0.0]))
    arcs = 6371.0 * np.pi * np.array([1 / 180, 1 / 2, 1.0, 0.0])
    assert km == pytest.approx(arcs, rel=1e-12)


def test_start_is_the_event_time_given() -> None:
    late = datetime(2026, 7, 1, 12, tzinfo=UTC)
    first = City(np.random.default_rng(1), round(late.timestamp() * 1e6)).next_call()
    assert 0 <= first.at_us / 1e6 - late.timestamp() < 3600
