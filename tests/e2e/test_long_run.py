"""Seven weeks of a city in a few minutes: two drifts, a broken model, and kill -9 of everything.

Afterwards the sums of the store are counted again from the raw rows, by other code than the
drain's, and the log of what the system did is held against what should have happened. The seed is
``TIMONEL_LONG_RUN_SEED``; what is asserted must hold for all of them.
"""

import asyncio
import json
import os
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import select

from timonel.app import App, open_app
from timonel.clock import AffineClock
from timonel.events.accumulators import LATENCY_EDGES_US
from timonel.simulate.city import City, Drift
from timonel.simulate.demo import ONCE_BEGINS_US
from timonel.simulate.examples import copy_for_demo
from timonel.simulate.failure import break_champion, mend
from timonel.simulate.record import Choice, Record, Tally
from timonel.simulate.traffic import Traffic, TrafficOptions, connect, reported_predictions
from timonel.simulate.witness import Sight, look
from timonel.stats.profiles.profile import Profile
from timonel.store.engine import reading
from timonel.store.tables import minute_windows, performance_cells, predictions, truths
from timonel.store.tables_loop import column_windows
from timonel.testing.server import Up, free_port

pytestmark = pytest.mark.interop

SEED = int(os.environ.get("TIMONEL_LONG_RUN_SEED", "11"))
DAY_S = 5.0
DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
DAYS = 49
BROKEN, WORKS, KILLED, MILES = 4, 9, 24, 30
"""The days on which something happens."""

REPAIRED_WITHIN = 12
"""Days that the loop may take from a drift to a version that is right again."""


@dataclass
class Lived:
    """What seven weeks left behind."""

    app: App
    record: Record
    tally: Tally
    sight: Sight
    began_us: int
    mended_us: int
    n_killed: int

    def day(self, at_us: int) -> float:
        return (at_us - self.began_us) / DAY_US


class Weeks:
    """Lives through the weeks against a running server."""

    def __init__(self, app: App, server: Up) -> None:
        self.app, self.server = app, server
        self.clock = app.clock
        self.began_us = self.clock.now_us()
        self.mended_us = 0
        self.n_killed = 0

    async def live(self) -> tuple[Record, Tally]:
        options = TrafficOptions(attempts=60, timeout_s=2.5)
        city = City(np.random.default_rng(SEED), self.clock.now_us(), prefix=f"long{SEED}")
        async with connect(self.server.url, options) as http:
            traffic = Traffic(http, city, clock=self.clock, options=options)
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                running = group.create_task(traffic.run(None, stop))
                await self.events(city, traffic)
                stop.set()
                await running
            await traffic.tell_all(asyncio.Event())
            tally = await self.settled(http, traffic.record)
        return traffic.record, tally

    async def events(self, city: City, traffic: Traffic) -> None:
        await self.until(lambda: look(self.app, "dispatch").champion() is not None, 90)
        await self.at(BROKEN)
        traffic.phase = "broken"
        damage = await asyncio.to_thread(break_champion, self.app, "dispatch")
        assert damage.files
        try:
            await self.until(lambda: "HIGH_FALLBACK_RATE" in firing(self.app), 40)
        finally:
            await asyncio.to_thread(mend, damage)
        self.mended_us = self.clock.now_us()
        traffic.phase = ""
        await self.at(WORKS)
        traffic.phase, city.drift = "works", Drift(road_works=0.4)
        await self.at(KILLED - 5)
        traffic.phase = "works repaired"
        await self.at(KILLED)
        self.n_killed = await asyncio.to_thread(self.server.kill_all)
        await asyncio.to_thread(self.server.start)
        await self.at(MILES)
        traffic.phase, city.drift = "miles", Drift(road_works=0.4, miles=True)
        await self.at(DAYS - 6)
        traffic.phase = "miles repaired"
        await self.at(DAYS)

    async def at(self, day: float) -> None:
        due_us = self.began_us + round(day * DAY_US)
        while self.clock.now_us() < due_us:
            await asyncio.sleep(min(0.5, (due_us - self.clock.now_us()) / 1e6 / self.clock.rate))

    async def until(self, found: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not await asyncio.to_thread(found):
            assert time.monotonic() < deadline, self.server.log()
            await asyncio.sleep(0.2)

    async def settled(self, http: httpx.AsyncClient, record: Record) -> Tally:
        """Wait until the log holds what was acknowledged, and the alerts of the end are over."""
        deadline = time.monotonic() + 240
        while True:
            tally = record.compare(await reported_predictions(http, "dispatch"))
            done = not (tally.lost or tally.unjoined)
            if done or time.monotonic() > deadline:
                return tally
            await asyncio.sleep(0.5)


def firing(app: App) -> set[str]:
    return {str(alert.kind) for alert in look(app, "dispatch").alerts if alert.fired_at}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("weeks") / "dispatch"
    copy_for_demo(folder)
    app = open_app(folder)
    now_us = time.time_ns() // 1000
    app.prepare(clock=AffineClock(now_us, ONCE_BEGINS_US, 86_400 / DAY_S))
    server = Up(folder, free_port())
    server.start()
    weeks = Weeks(app, server)
    try:
        record, tally = asyncio.run(weeks.live())
        sight = look(app, "dispatch")
    finally:
        server.stop()
    yield Lived(app, record, tally, sight, weeks.began_us, weeks.mended_us, weeks.n_killed)
    app.engine.dispose()


# -- what the client says


def test_nothing_was_lost_duplicated_or_left_in_doubt(lived: Lived) -> None:
    assert lived.n_killed >= 5  # the supervisor, two predict workers, control, the worker
    assert lived.tally == ([], [], [], [])
    assert (lived.record.refused, len(lived.record.in_doubt)) == ([], 0)
    assert lived.record.n_outcomes == lived.record.n_predictions > 20_000


def test_each_drift_hurt_and_each_was_repaired(lived: Lived) -> None:
    quiet = lived.record.accuracy(Choice("model", "1.0.0", ("",)))
    assert quiet is not None
    assert quiet.low > 0.86
    for drift in ("works", "miles"):
        repaired = lived.record.accuracy(Choice("model", phases=(f"{drift} repaired",)))
        found = [
            lived.record.accuracy(Choice("model", version, (drift,)))
            for version in {entry.version for entry in lived.record.chosen(Choice("model"))}
        ]
        worst = min((one for one in found if one is not None), key=lambda one: one.high)
        assert repaired is not None
        assert worst.high < quiet.low - 0.03
        assert repaired.low > worst.high


# -- what the system says that it did


def test_versions_went_into_production_as_they_should(lived: Lived) -> None:
    lived.app.registry.verify_history()
    went = [link for link in lived.sight.links if link.to_stage == "production"]
    assert went[0].version == "1.0.0"
    assert {link.who for link in went[1:]} == {"retraining"}
    for begins in (WORKS, MILES):
        days = [lived.day(link.at) for link in went[1:]]
        assert any(begins < day < begins + REPAIRED_WITHIN for day in days), days


def test_retrainings_began_by_a_loss_alone_and_came_to_an_end(lived: Lived) -> None:
    jobs = lived.sight.jobs
    assert {(job.kind, job.trigger) for job in jobs} == {("retrain", "loss")}
    assert all(job.state == "succeeded" for job in jobs[:-1])
    assert jobs[-1].state in ("succeeded", "running", "queued")
    ends = Counter(job.outcome for job in jobs)
    assert set(ends) <= {"promoted", "undecided", "failed_gates", "not_enough_new", "running"}
    assert ends["promoted"] >= 2
    began = [lived.day(job.created_at) for job in jobs]
    assert min(began) > WORKS
    assert len(jobs) <= 12, began


def test_alerts_are_those_of_what_happened(lived: Lived) -> None:
    fired = [alert for alert in lived.sight.alerts if alert.fired_at is not None]
    by_kind: dict[str, list[float]] = defaultdict(list)
    for alert in fired:
        by_kind[str(alert.kind)].append(lived.day(alert.fired_at or 0))
    # half a second in which the machine does something else is a silence of hours in this city
    by_kind.pop("NO_DATA", [])
    down = by_kind.pop("SERVICE_DOWN", [])
    assert all(BROKEN <= day < BROKEN + 2 or KILLED <= day < KILLED + 3 for day in down), down
    assert set(by_kind) == {"HIGH_FALLBACK_RATE", "PERFORMANCE_DEGRADATION", "DRIFT_DETECTED"}
    mended = lived.day(lived.mended_us)
    assert all(BROKEN <= day < mended + 2 for day in by_kind["HIGH_FALLBACK_RATE"])
    losses = by_kind["PERFORMANCE_DEGRADATION"]
    assert min(losses) > WORKS
    for begins in (WORKS, MILES):
        assert any(begins < day < begins + REPAIRED_WITHIN for day in losses), losses
    assert min(by_kind["DRIFT_DETECTED"]) > WORKS


def test_alerts_resolved_themselves(lived: Lived) -> None:
    for alert in lived.sight.alerts:
        assert alert.resolved_by is None
        recent = lived.day(alert.last_seen_at) > DAYS - 4
        assert not alert.active or recent, alert


# -- what the store says, counted again


def rows_of(lived: Lived) -> list[Any]:
    p = predictions.c
    with reading(lived.app.engine) as connection:
        return list(connection.execute(select(predictions).where(p.model == "dispatch")))


def test_minute_windows_equal_a_recount(lived: Lived) -> None:
    counted: dict[Any, list[Any]] = defaultdict(lambda: [0, 0, Counter(), 0, 0, 0])
    for row in rows_of(lived):
        minute = (row.version, row.variant, row.source, row.reason, row.at // 60_000_000)
        sums = counted[minute]
        sums[0] += 1
        sums[1] += row.latency_us
        sums[2][bisect_left(LATENCY_EDGES_US, row.latency_us)] += 1
        if row.probabilities:
            q = round(Fraction(max(json.loads(row.probabilities).values())) * 10**6)
            sums[3:] = [sums[3] + 1, sums[4] + q, sums[5] + q * q]
    stored: dict[Any, list[Any]] = defaultdict(lambda: [0, 0, Counter(), 0, 0, 0])
    with reading(lived.app.engine) as connection:
        for row in connection.execute(select(minute_windows)):
            sums = stored[row.version, row.variant, row.source, row.reason, row.minute]
            sums[0] += row.n
            sums[1] += row.latency_sum_us
            bins = json.loads(row.latency_histogram)
            sums[2].update({at: n for at, n in enumerate(bins) if n})
            sums[3] += row.confidence_n
            sums[4] += int(row.confidence_q)
            sums[5] += int(row.confidence_q2)
    assert len(stored) > 10_000
    assert dict(stored) == dict(counted)


def test_performance_cells_equal_a_recount(lived: Lived) -> None:
    with reading(lived.app.engine) as connection:
        known = {
            row.prediction_id: (json.loads(row.value), row.arrived_at)
            for row in connection.execute(select(truths))
        }
        cells = list(connection.execute(select(performance_cells)))
    counted: dict[Any, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows_of(lived):
        truth, arrived_at = known[row.prediction_id]
        right = int(json.loads(row.prediction) == truth)
        place = (row.version, row.variant, row.source, row.at // HOUR_US, arrived_at // HOUR_US)
        sums = counted[place]
        sums[:] = [sums[0] + 1, sums[1] + right * 10**6, sums[2] + right * 10**12]
    stored: dict[Any, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in cells:
        if row.metric != "correct":  # the pairs of truth and answer
            continue
        place = (row.version, row.variant, row.source, row.exposure_hour, row.arrival_hour)
        sums = stored[place]
        sums[:] = [sums[0] + row.n, sums[1] + int(row.sum_q), sums[2] + int(row.sum_q2)]
    assert dict(stored) == dict(counted)


def test_column_windows_equal_a_recount(lived: Lived) -> None:
    registry = lived.app.registry
    profile_ids = {
        version.version: registry.manifest("dispatch", version.version).profile
        for version in registry.versions("dispatch")
    }
    by_hour: dict[Any, list[Any]] = defaultdict(list)
    for row in rows_of(lived):
        if row.version:
            place = (profile_ids[row.version], row.version, row.variant, row.at // HOUR_US)
            by_hour[place].append(row)
    with reading(lived.app.engine) as connection:
        windows = list(connection.execute(select(column_windows)))
    stored: dict[Any, Any] = {}
    n_by_rules = 0
    for row in windows:
        counts = {"n": row.n, **json.loads(row.counts)}
        if not row.version:
            n_by_rules += row.n
            continue
        place = (row.profile_id, row.version, row.variant, row.hour)
        profile = cells_of(lived, row.profile_id).with_counts(counts)
        stored[place] = stored[place] + profile if place in stored else profile
    assert set(stored) == set(by_hour)
    for place, rows in by_hour.items():
        counted = cells_of(lived, place[0]).empty_like().update(columns_of(rows))
        assert stored[place].counts() == counted.counts(), place
    # what rules answered in a model's place is counted on the champion's profile
    in_its_place = sum(row.reason == "model_error" for row in rows_of(lived))
    early = sum(row.reason == "no_version" for row in rows_of(lived))
    assert in_its_place <= n_by_rules <= in_its_place + early


def cells_of(lived: Lived, profile_id: str) -> Profile:
    profile = lived.app.registry.profile(profile_id)
    assert profile is not None
    return profile


def columns_of(rows: list[Any]) -> dict[str, list[Any]]:
    features = [json.loads(row.features) for row in rows]
    columns: dict[str, list[Any]] = {name: [one[name] for one in features] for name in features[0]}
    columns["@score"] = [row.score for row in rows]
    columns["@prediction"] = [str(json.loads(row.prediction)) for row in rows]
    return columns
