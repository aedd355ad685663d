"""Anomalies in the minutes that the drain keeps: found once, told, and over by themselves."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, insert
from tests.databases import postgres_with_the_slow

from timonel.monitoring.quality_check import QualityWatch
from timonel.monitoring.series.anomaly_check import (
    LOOK_BACK_MIN,
    SERIES,
    AnomalyWatch,
    learn_usual,
)
from timonel.monitoring.watched import Watched
from timonel.registry.manifest import WatchPlan
from timonel.signals import Condition, Kind, Signal
from timonel.stats.series.seasonal import OF_LAST, Baseline
from timonel.store.engine import make_engine
from timonel.store.reads_series import (
    MinuteSums,
    Presence,
    read_minute_sums,
    read_presence,
    read_reasons,
)
from timonel.store.tables import minute_windows
from timonel.store.tables_loop import refusal_windows
from timonel.testing.events import PROJECT

START = 29_000_000 - 29_000_000 % 1440
DAYS = 4


class Minutes:
    """Minutes in the database, and looks at the ones that follow."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self.rng = np.random.default_rng(7)
        self.signals: list[Signal] = []
        self.now = START
        self.watch = AnomalyWatch()
        self.plan = WatchPlan()

    def write(self, n_minutes: int, *, slower: float = 1.0, timeouts: float = 0.0) -> None:
        rows = []
        for minute in range(self.now, self.now + n_minutes):
            n = int(self.rng.poisson(60))
            late = int(self.rng.binomial(n, max(timeouts, 0.01)))
            rows += [
                self.row(minute, n - late, "assigned", slower),
                self.row(minute, late, "timeout", 1),
            ]
        with self.engine.begin() as connection:
            connection.execute(insert(minute_windows), [row for row in rows if row["n"]])
        self.now += n_minutes

    def row(self, minute: int, n: int, reason: str, slower: float) -> dict[str, Any]:
        latency = float(self.rng.gamma(max(n, 1) * 4.0, 5_000.0)) * slower
        confidence = self.rng.normal(0.8, 0.1 / max(n, 1) ** 0.5) * n
        return {
            "project": PROJECT,
            "model": "churn",
            "version": "1.0.0",
            "variant": "",
            "source": "model" if reason == "assigned" else "rules",
            "reason": reason,
            "minute": minute,
            "drainer_id": "d",
            "n": n,
            "latency_sum_us": round(latency) if n else 0,
            "latency_histogram": "[]",
            "confidence_n": n if reason == "assigned" else 0,
            "confidence_q": str(round(confidence * 1e6)) if reason == "assigned" else "0",
            "confidence_q2": "0",
        }

    def look(self) -> dict[str, Condition]:
        before = len(self.signals)
        watched = Watched(
            engine=self.engine,
            project=PROJECT,
            model="churn",
            task="binary",
            plan=self.plan,
            champion=None,
            profile_of=lambda _: None,
            raise_signal=self.signals.append,
            now_us=self.now * 60_000_000,
        )
        self.watch.check(watched, self.now)
        series = [signal for signal in self.signals[before:] if signal.column]
        return {signal.column: signal.condition for signal in series}


@pytest.fixture
def empty_minutes(database: str, tmp_path: Path) -> Iterator[Minutes]:
    one = Minutes(database)
    yield one
    one.engine.dispose()


@pytest.fixture
def minutes(empty_minutes: Minutes) -> Minutes:
    empty_minutes.write(DAYS * 1440)
    return empty_minutes


def test_what_is_out_is_told_with_its_kind_and_ends(minutes: Minutes) -> None:
    calm = {"latency_ms", "error_rate", "fallback_rate", "confidence", "volume"}
    assert minutes.look() == dict.fromkeys(calm, Condition.CLEAR)
    minutes.write(3, slower=3.0, timeouts=0.3)
    found = {name for name, condition in minutes.look().items() if condition is Condition.HOLDS}
    assert found == {"latency_ms", "error_rate", "fallback_rate"}
    slow = next(s for s in minutes.signals if s.condition is Condition.HOLDS)
    assert (slow.kind, slow.column) == (Kind.SLOW_RESPONSE, "latency_ms")
    assert slow.facts["usual"] == pytest.approx(20.0, rel=0.1)
    assert slow.facts["observed"] > 40.0
    assert slow.facts["season"] == "hour_of_day"
    minutes.write(5)
    assert set(minutes.look().values()) == {Condition.CLEAR}


def test_a_plain_z_score_needs_one_minute(minutes: Minutes) -> None:
    minutes.plan = WatchPlan(anomalies="z_score")
    minutes.write(1, slower=3.0)
    assert minutes.look()["latency_ms"] is Condition.HOLDS
    slow = next(s for s in minutes.signals if s.condition is Condition.HOLDS)
    assert slow.facts["usual"] == pytest.approx(20.0, rel=0.1)
    assert slow.facts["z"] > 3.0
    minutes.write(1)
    assert minutes.look()["latency_ms"] is Condition.CLEAR
    minutes.plan = WatchPlan()
    minutes.write(1, slower=3.0)
    assert minutes.look()["latency_ms"] is Condition.CLEAR  # the other rule wants three of five


def test_what_takes_longer_than_may_ever_be_is_told_whatever_is_usual(minutes: Minutes) -> None:
    minutes.write(9000, slower=400.0)  # a week of 8 s: usual by now

    def told() -> list[Signal]:
        minutes.signals.clear()
        minutes.look()
        return [s for s in minutes.signals if s.monitor == "latency"]

    (slow,) = told()
    assert (slow.kind, slow.condition, slow.column) == (Kind.SLOW_RESPONSE, Condition.HOLDS, "")
    assert slow.facts["value"] == pytest.approx(8000, rel=0.1)
    usual = next(s for s in minutes.signals if s.column == "latency_ms")
    assert usual.condition is Condition.CLEAR
    minutes.write(5, slower=220.0)  # 4.4 s: below the limit, above what clears
    assert [s.condition for s in told()] == [Condition.UNKNOWN]
    minutes.write(5)
    assert [s.condition for s in told()] == [Condition.CLEAR]


def test_silence_is_a_fall_of_volume_and_says_nothing_of_the_rest(minutes: Minutes) -> None:
    minutes.now += 5
    found = minutes.look()
    assert found["volume"] is Condition.HOLDS
    assert {found[name] for name in found if name != "volume"} == {Condition.UNKNOWN}


def learned_of_all(engine: Engine, hour: int) -> dict[str, Baseline]:
    """Learn from every minute of four weeks, whatever its slot."""
    until = hour * 60 - OF_LAST
    with engine.connect() as connection:
        past = read_minute_sums(connection, PROJECT, "churn", until - LOOK_BACK_MIN, until)
    by_minute = {one.minute: one for one in past}
    learned = {}
    for name, series in SERIES.items():
        values = {}
        for minute in range(min(by_minute, default=until), until):
            one = by_minute.get(minute) or MinuteSums(minute, 0, 0, 0, 0, 0, 0.0)
            if (value := series.value(one)) is not None:
                values[minute] = value
        if values:
            learned[name] = Baseline.of(values)
    return learned


@postgres_with_the_slow
@pytest.mark.parametrize(
    ("days", "per_minute"),
    [
        (0.01, 60),
        (0.5, 12),
        (2.9, 9),
        (3.1, 11),
        (6, 14),
        (13.9, 10),
        (14.1, 3),
        (27, 12),
        (40, 12),
    ],
)
def test_slots_alone_teach_what_all_minutes_would(
    empty_minutes: Minutes, days: float, per_minute: int
) -> None:
    one, rng = empty_minutes, np.random.default_rng(round(days * 100))
    hour = one.now // 60 + 24 * 50
    start = hour * 60 - round(days * 1440)
    near = hour * 60 - 70 - 1440 * np.arange(40)  # the slots' own minutes, day for day
    some = rng.choice(np.arange(start, hour * 60), min(1_500, hour * 60 - start), replace=False)
    every = {*some.tolist(), *(m + k for m in near.tolist() for k in range(0, 80, 3))}
    rows = []
    for minute in sorted(m for m in every if start <= m < hour * 60):
        n = int(rng.poisson(per_minute))
        late = int(rng.binomial(n, 0.1))
        rows += [one.row(minute, n - late, "assigned", 1), one.row(minute, late, "timeout", 1)]
    with one.engine.begin() as connection:
        connection.execute(insert(minute_windows), [row for row in rows if row["n"]])
        found = learn_usual(connection, PROJECT, "churn", hour)
    whole = learned_of_all(one.engine, hour)
    assert found.keys() == whole.keys() != set()
    for name, baseline in whole.items():
        assert found[name].season is baseline.season
        for minute in range(hour * 60 - 60, hour * 60 + 60):
            assert found[name].at(minute) == baseline.at(minute)


def test_a_week_of_presence_is_one_row(empty_minutes: Minutes) -> None:
    one = empty_minutes
    since, until = one.now, one.now + 500
    with one.engine.begin() as connection:
        assert read_presence(connection, PROJECT, "churn", since, until) is None
        rows = [one.row(since + at, 5, "assigned", 1) for at in (-3, 0, 1, 40, 300, 500)]
        rows += [one.row(since + 40, 2, "timeout", 1)]
        connection.execute(insert(minute_windows), rows)
        refusals = [
            (PROJECT, "churn", code, since + at, drainer, 3, "{}")
            for code, at, drainer in (
                ("invalid_row", 200, "d"),
                ("invalid_row", 200, "e"),
                ("overloaded", 250, "d"),  # no row was at fault
            )
        ]
        names = [column.name for column in refusal_windows.c]
        connection.execute(
            insert(refusal_windows), [dict(zip(names, row, strict=True)) for row in refusals]
        )
        found = read_presence(connection, PROJECT, "churn", since, until)
        answered = read_reasons(connection, PROJECT, "churn", since, until)
        for at in (1, 40, 41, 120, 200, 300):
            first = read_presence(connection, PROJECT, "churn", since, since + at)
            second = read_presence(connection, PROJECT, "churn", since + at, until)
            assert first is not None
            assert second is not None
            assert first.followed_by(second) == found
    present = sorted({row.minute for row in answered} | {since + 200})
    longest = max(b - a - 1 for a, b in pairwise(present))
    assert found == (sum(row.n for row in answered) + 6, since, since + 300, longest)
    assert longest == 159


def test_a_week_is_known_hour_by_hour_and_late_rows_within_a_day(empty_minutes: Minutes) -> None:
    one, rng = empty_minutes, np.random.default_rng(3)
    quality, began = QualityWatch(), one.now // 60

    def asked(hour: int) -> Presence | None:
        with one.engine.begin() as connection:
            minutes = rng.choice(60, rng.integers(0, 8), replace=False).tolist()
            rows = [one.row(60 * hour + at, 3, "assigned", 1) for at in minutes]
            if rows:
                connection.execute(insert(minute_windows), rows)
            return quality.asked(connection, PROJECT, "churn", 60 * hour + 60)

    def whole(hour: int) -> Presence | None:
        with one.engine.begin() as connection:
            since, until = 60 * (hour - 167), 60 * hour + 60
            return read_presence(connection, PROJECT, "churn", since, until)

    end = began + 240
    for hour in range(began, end):
        assert asked(hour) == whole(hour)
    with one.engine.begin() as connection:  # a row that comes days late
        connection.execute(insert(minute_windows), one.row(60 * (end - 80), 9, "low", 1))
    seen = [asked(hour) == whole(hour) for hour in range(end, end + 24)]
    assert not seen[0]
    assert seen[-1]
