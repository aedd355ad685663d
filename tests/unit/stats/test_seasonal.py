"""What is usual at an hour, and what is not: false episodes and incidents in drawn traffic."""

import numpy as np
import pytest

from timonel.stats.series.seasonal import (
    Anomaly,
    Baseline,
    Season,
    Side,
    count_floor,
    judge,
    share_floor,
)

DAY = 1440


def traffic(seed: int, days: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Draw answers a minute: a daily wave, quiet weekends, half hours of 8 % more or less."""
    rng = np.random.default_rng(seed)
    minute = np.arange(days * DAY)
    hour, weekend = minute % DAY / 60, minute // DAY % 7 >= 5
    rate = (20 + 80 * np.exp(-(((hour - 13) / 4) ** 2))) * np.where(weekend, 0.4, 1.0)
    wander = rng.lognormal(0.0, 0.08, len(minute) // 30 + 1).repeat(30)[: len(minute)]
    return rng.poisson(rate * wander).astype(np.int64)


def looks(values: dict[int, float], baseline: Baseline, minutes: range) -> list[Anomaly]:
    found = []
    for end in minutes:
        newest = [
            (m, values[m], count_floor(usual.centre))
            for m in range(end - 4, end + 1)
            if (usual := baseline.at(m)) is not None
        ]
        found.append(judge(baseline, newest, Side.BOTH))
    return found


def test_four_weeks_of_ordinary_traffic_raise_no_episode_in_four_days() -> None:
    n = traffic(1, 32)
    values = {m: float(v) for m, v in enumerate(n)}
    for day in (28, 29, 30, 31):  # a Monday to a Thursday
        past = {m: values[m] for m in range((day - 28) * DAY, day * DAY)}
        baseline = Baseline.of(past)
        assert baseline.season is Season.WEEK
        found = looks(values, baseline, range(day * DAY, (day + 1) * DAY, 3))
        assert not any(one.found for one in found)


@pytest.mark.parametrize("factor", [0.2, 3.0])
def test_an_incident_of_ten_minutes_is_found_within_five(factor: float) -> None:
    n = traffic(2, 29)
    values = {m: float(v) for m, v in enumerate(n)}
    baseline = Baseline.of({m: values[m] for m in range(28 * DAY)})
    for hour in (9, 12, 15):
        start = 28 * DAY + hour * 60
        during = values | {m: round(values[m] * factor) for m in range(start, start + 10)}
        found = [one.found for one in looks(during, baseline, range(start - 1, start + 20))]
        assert found.index(True) <= 5
        assert not found[-1]


def test_few_days_are_one_season_and_few_minutes_none() -> None:
    day = {m: 10.0 + m % 3 for m in range(DAY)}
    assert Baseline.of(day).season is Season.NONE
    assert Baseline.of(dict.fromkeys(range(4 * DAY), 1.0)).season is Season.DAY
    assert Baseline.of({}).at(0) is None
    assert Baseline.of(dict.fromkeys(range(59), 1.0)).at(5) is None
    assert judge(Baseline.of({}), [(0, 5.0, 1.0)], Side.HIGH) == Anomaly(0, 0)


def test_two_minutes_are_no_episode_and_the_wrong_side_is_none() -> None:
    baseline = Baseline.of({m: 10.0 + m % 3 for m in range(DAY)})
    calm, high = [(m, 11.0, 1.0) for m in range(3)], [(m, 99.0, 1.0) for m in range(3, 6)]
    assert not judge(baseline, calm + high[:2], Side.HIGH).found
    assert judge(baseline, calm[:2] + high, Side.HIGH).found
    assert not judge(baseline, calm[:2] + high, Side.LOW).found
    assert judge(baseline, calm[:2] + high, Side.HIGH).z == pytest.approx(88 / 1.4826)


def test_floors_are_those_of_chance() -> None:
    assert share_floor(0.02, 100) == pytest.approx(0.014)
    assert share_floor(0.0, 100) > 0.009  # one in a hundred is no anomaly where there were none
    assert count_floor(0.0) == 1.0
    assert count_floor(400.0) == 20.0
