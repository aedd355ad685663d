"""Anomalies in the minutes that the drain keeps: found once, told, and over by themselves."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert

from timonel.monitoring.series.anomaly_check import AnomalyWatch
from timonel.monitoring.watched import Watched
from timonel.registry.manifest import WatchPlan
from timonel.signals import Condition, Kind, Signal
from timonel.store.engine import make_engine
from timonel.store.tables import minute_windows
from timonel.testing.events import PROJECT

START = 29_000_000 - 29_000_000 % 1440
DAYS = 4


class Minutes:
    """Four days of minutes in the database, and looks at the ones that follow."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self.rng = np.random.default_rng(7)
        self.signals: list[Signal] = []
        self.now = START
        self.watch = AnomalyWatch()
        self.write(DAYS * 1440)

    def write(self, n_minutes: int, *, slower: float = 1.0, timeouts: float = 0.0) -> None:
        rows = []
        for minute in range(self.now, self.now + n_minutes):
            n = int(self.rng.poisson(60))
            late = int(self.rng.binomial(n, max(timeouts, 0.01)))
            rows += [
                self._row(minute, n - late, "assigned", slower),
                self._row(minute, late, "timeout", 1),
            ]
        with self.engine.begin() as connection:
            connection.execute(insert(minute_windows), [row for row in rows if row["n"]])
        self.now += n_minutes

    def _row(self, minute: int, n: int, reason: str, slower: float) -> dict[str, Any]:
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
            plan=WatchPlan(),
            champion=None,
            profile_of=lambda _: None,
            raise_signal=self.signals.append,
            now_us=self.now * 60_000_000,
        )
        self.watch.check(watched, self.now)
        return {signal.column: signal.condition for signal in self.signals[before:]}


@pytest.fixture
def minutes(database: str, tmp_path: Path) -> Iterator[Minutes]:
    one = Minutes(database)
    yield one
    one.engine.dispose()


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


def test_silence_is_a_fall_of_volume_and_says_nothing_of_the_rest(minutes: Minutes) -> None:
    minutes.now += 5
    found = minutes.look()
    assert found["volume"] is Condition.HOLDS
    assert {found[name] for name in found if name != "volume"} == {Condition.UNKNOWN}
