"""Golden values of scales and ticks."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonel.charts.scale import Linear, round_ticks, time_ticks

SANTIAGO = ZoneInfo("America/Santiago")


def us(*moment: int, zone: ZoneInfo | None = None) -> int:
    return round(datetime(*moment, tzinfo=zone or UTC).timestamp() * 1e6)  # type: ignore[misc,arg-type]


def test_linear_maps_ends_and_inside() -> None:
    y = Linear(0.8, 1.0, 180, 20)
    assert (y(0.8), y(1.0)) == (180, 20)
    assert y(0.9) == pytest.approx(100)


def test_linear_of_one_point_is_the_middle() -> None:
    assert Linear(3, 3, 0, 10)(3) == 5


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.81, 0.93, (0.8, 0.825, 0.85, 0.875, 0.9, 0.925, 0.95)),
        (0, 17, (0, 5, 10, 15, 20)),
        (0, 1, (0, 0.25, 0.5, 0.75, 1)),
        (0.5, 0.5, (0.45, 0.475, 0.5, 0.525, 0.55)),
        (0, 0, (-1, -0.5, 0, 0.5, 1)),
        (-3, 4, (-5, -2.5, 0, 2.5, 5)),
        (1_234_567, 1_400_000, (1_200_000, 1_250_000, 1_300_000, 1_350_000, 1_400_000)),
        (0.0012, 0.0047, (0.001, 0.002, 0.003, 0.004, 0.005)),
    ],
)
def test_round_ticks_golden(low: float, high: float, ticks: tuple[float, ...]) -> None:
    assert round_ticks(low, high) == ticks


@given(
    st.floats(-1e9, 1e9, allow_nan=False),
    st.floats(1e-6, 1e9, allow_nan=False),
)
def test_round_ticks_cover_the_range_evenly(low: float, span: float) -> None:
    high = low + span
    ticks = round_ticks(low, high)
    step = ticks[1] - ticks[0]
    assert 5 <= len(ticks) <= 13
    assert ticks[0] <= low + 1e-6 * step + 1e-6
    assert ticks[-1] >= high - 1e-6 * step - 1e-6
    assert all(b > a for a, b in pairwise(ticks))


def test_hours_of_a_day() -> None:
    start, end = us(2026, 1, 10, 9, 20, zone=SANTIAGO), us(2026, 1, 10, 18, 50, zone=SANTIAGO)
    found = [tick.local.strftime("%H:%M") for tick in time_ticks(start, end, SANTIAGO)]
    assert found == ["10:00", "12:00", "14:00", "16:00", "18:00"]


def test_midnight_is_a_day() -> None:
    start, end = us(2026, 1, 10, 14, zone=SANTIAGO), us(2026, 1, 11, 12, zone=SANTIAGO)
    ticks = time_ticks(start, end, SANTIAGO)
    assert [(t.local.strftime("%d %H"), t.is_day) for t in ticks] == [
        ("10 18", False),
        ("11 00", True),
        ("11 06", False),
        ("11 12", False),
    ]


def test_days_begin_at_local_midnight_across_a_change_of_clocks() -> None:
    # on 2026-04-05 Santiago goes from UTC-3 to UTC-4
    start, end = us(2026, 4, 3, 12, zone=SANTIAGO), us(2026, 4, 7, 12, zone=SANTIAGO)
    ticks = time_ticks(start, end, SANTIAGO)
    assert [t.local.strftime("%d %H:%M") for t in ticks] == [
        f"0{day} 00:00" for day in (4, 5, 6, 7)
    ]
    assert ticks[1].at_us - ticks[0].at_us == 25 * 3600 * 10**6


def test_a_skipped_midnight_is_not_shown_as_another_hour() -> None:
    # on 2026-09-06 Santiago has no 00:00
    start, end = us(2026, 9, 5, 12, zone=SANTIAGO), us(2026, 9, 6, 12, zone=SANTIAGO)
    hours = [t.local.strftime("%d %H") for t in time_ticks(start, end, SANTIAGO)]
    assert hours == ["05 12", "05 18", "06 06", "06 12"]


@pytest.mark.parametrize("days", [0, 0.01, 0.3, 1, 3, 8, 40, 200, 900, 5000])
def test_never_too_many_ticks(days: float) -> None:
    start = us(2026, 1, 1)
    ticks = time_ticks(start, start + round(days * 86_400e6), SANTIAGO, at_most=6)
    assert len(ticks) <= 6
    assert all(start <= t.at_us <= start + days * 86_400e6 for t in ticks)
