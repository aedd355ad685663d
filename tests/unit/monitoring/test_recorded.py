"""What the project records: statistics of the last hour, anomalies of minutes, and their end."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select

from timonel.events.errors import UnknownMetric
from timonel.events.frames import MetricFrame
from timonel.events.recorded.naming import DROPPED
from timonel.monitoring.series.recorded import (
    KEPT_MIN,
    MINUTE_US,
    find_recorded,
    read_recorded,
    remove_old,
)
from timonel.monitoring.series.recorded_check import RecordedWatch
from timonel.signals import Condition, Kind, Signal
from timonel.stats.series.sketch import WIDEST, Sketch
from timonel.store.engine import make_engine
from timonel.store.tables_loop import metric_cells
from timonel.testing.events import PROJECT, START_US, Bench

START = START_US // MINUTE_US
NAME = "translation_latency_ms"


class Translator:
    """Minutes of a metric, drained for real, and looks at them."""

    def __init__(self, url: str, folder: Path) -> None:
        self.engine = make_engine(url)
        self.bench = Bench(self.engine, folder / "spool")
        self.rng = np.random.default_rng(5)
        self.signals: list[Signal] = []
        self.watch = RecordedWatch(self.engine, PROJECT, self.signals.append)
        self.now = START

    def minutes(self, n_minutes: int, factor: float = 1.0, n: int = 20) -> list[float]:
        frames, values = [], []
        for minute in range(self.now, self.now + n_minutes):
            drawn = (self.rng.gamma(4.0, 5.0, n) * factor).round(3).tolist()
            values += drawn
            frames.append(frame_of(minute, drawn))
        self.bench.write(*frames)
        self.now += n_minutes
        self.bench.clock.advance(self.now * 60 + 3 - self.bench.clock.now_us() / 1e6)
        self.bench.drainer().drain_once()
        return values

    def look(self) -> list[Signal]:
        before = len(self.signals)
        self.watch.check(self.now * MINUTE_US)
        return self.signals[before:]


def frame_of(minute: int, values: Sequence[float], name: str = NAME) -> MetricFrame:
    sketch = Sketch.of(values)
    return MetricFrame(
        id=bytes(16),
        at=minute * MINUTE_US,
        name=name,
        labels={} if name == DROPPED else {"lang": "es"},
        n=sketch.n,
        sum_q=str(sketch.sums.q),
        sum_q2=str(sketch.sums.q2),
        low=sketch.low,
        high=sketch.high,
        counts=dict(sketch.counts),
    )


@pytest.fixture
def translator(database: str, tmp_path: Path) -> Iterator[Translator]:
    one = Translator(database, tmp_path)
    yield one
    one.engine.dispose()


def test_the_last_hour_and_what_is_out_of_it(translator: Translator) -> None:
    translator.minutes(180)
    last = translator.minutes(60)
    now_us = translator.now * MINUTE_US - 1  # within the last of them
    (one,) = read_recorded(translator.engine, PROJECT, now_us)
    document = one.document()
    assert (document["name"], document["labels"]) == (NAME, {"lang": "es"})
    assert document["n"] == len(last) == 1200
    assert document["mean"] == pytest.approx(np.mean(last))
    assert document["std"] == pytest.approx(np.std(last, ddof=1))
    assert (document["min"], document["max"]) == (min(last), max(last))
    for name, p in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        assert document[name] == pytest.approx(np.quantile(last, p), rel=WIDEST)
    later = now_us + 61 * MINUTE_US
    (quiet,) = find_recorded(translator.engine, PROJECT, later, NAME)
    assert quiet.document() | {"n": 0, "mean": None, "p95": None} == quiet.document()
    with pytest.raises(UnknownMetric, match=NAME):
        find_recorded(translator.engine, PROJECT, now_us, "latency")

    calm = translator.look()
    assert [(s.kind, s.condition) for s in calm] == [(Kind.METRIC_ANOMALY, Condition.CLEAR)]
    assert translator.look() == []  # the same minute is not judged twice
    translator.minutes(3, factor=4.0)
    (told,) = translator.look()
    assert told.condition is Condition.HOLDS
    assert told.column == f'{NAME}{{lang="es"}}'
    assert told.facts["minutes_out"] == 3
    assert told.facts["usual"] == pytest.approx(20.0, rel=0.1)
    (one,) = read_recorded(translator.engine, PROJECT, translator.now * MINUTE_US)
    assert one.document()["state"] == "alert"
    translator.minutes(5)
    assert [s.condition for s in translator.look()] == [Condition.CLEAR]
    # nothing comes any more: nothing can be said, and nothing that was open is closed
    translator.minutes(5, n=2)
    assert [s.condition for s in translator.look()] == [Condition.UNKNOWN]


def test_drops_are_shown_and_not_judged_and_old_minutes_go(translator: Translator) -> None:
    translator.minutes(120)
    translator.bench.write(
        *(frame_of(translator.now - back, [1.0] * 20, DROPPED) for back in range(1, 90))
    )
    translator.bench.drainer(name="drainer-1").drain_once()
    now_us = translator.now * MINUTE_US
    assert [s.column for s in translator.look()] == [f'{NAME}{{lang="es"}}']
    assert len(read_recorded(translator.engine, PROJECT, now_us)) == 2
    translator.now += KEPT_MIN - 60
    removed = remove_old(translator.engine, PROJECT, translator.now * MINUTE_US)
    assert removed == 60 + 29
    with translator.engine.connect() as connection:
        oldest = connection.scalar(select(func.min(metric_cells.c.minute)))
    assert oldest == translator.now - KEPT_MIN
