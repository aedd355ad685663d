"""The demo, apart from its command: a city lives against a server, and what happens is told.

``once`` tells one story to its end and counts; ``live`` goes on until it is stopped.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import httpx
import numpy as np

from timonel.app import App
from timonel.clock import AffineClock
from timonel.simulate.city import City, Drift
from timonel.simulate.errors import DemoServerNotReady
from timonel.simulate.record import Choice, Record, Tally
from timonel.simulate.result import (
    DemoResult,
    Told,
    accounting,
    accuracy,
    alert_document,
    iso,
    job_document,
    latency_ms,
    version_document,
)
from timonel.simulate.story import Scene, Story, spare
from timonel.simulate.texts import Language, Timeline
from timonel.simulate.traffic import Traffic, TrafficOptions, connect, fetch, reported_predictions
from timonel.simulate.witness import Herald

Say = Callable[[str], None]
Value = TypeVar("Value")

ONCE_RATE = 17_280.0
"""Event seconds a second of ``once``: a day of the city in five seconds."""

LIVING_RATE = 1_440.0
"""Event seconds a second of a living demo: a day of the city in a minute."""

ONCE_BEGINS_US = round(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp() * 1e6)
"""Where the city of ``once`` begins, whatever the hour outside: a Monday, nine in the morning."""

_POLL_S = 0.2
_KEPT_WHILE_LIVING = 50_000
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What a demo is asked to do.

    Parameters
    ----------
    seed : int
        Of the city; not 42, which is the seed of the history that the example trains on.
    ready_wait_s, settle_s : float
        The longest waits: for the server, for the log and the joins at the end.
    """

    seed: int = 7
    ready_wait_s: float = 30.0
    settle_s: float = 30.0
    lang: Language = "en"
    traffic: TrafficOptions = field(
        default_factory=lambda: TrafficOptions(attempts=24, timeout_s=2.5)
    )


@dataclass(frozen=True, slots=True)
class WorldEvent:
    """A change of the living city: after how many of its days, how, and the line that tells it."""

    day: float
    drift: Drift
    key: str


WORLD_EVENTS = (
    WorldEvent(3, Drift(road_works=0.4), "works_begin"),
    WorldEvent(12, Drift(road_works=0.4, miles=True), "miles_begin"),
    WorldEvent(24, Drift(), "usual_again"),
    WorldEvent(36, Drift(road_works=0.4, fleet_share=0.7), "strike_begins"),
)
"""What befalls a living city, again from the beginning after the last."""
WORLD_DAYS = 48


def once_clock() -> AffineClock:
    """Make the event clock of ``once``, beginning now."""
    return AffineClock(time.time_ns() // 1000, ONCE_BEGINS_US, ONCE_RATE)


def living_clock() -> AffineClock:
    """Make the event clock of a living demo: it begins with the present moment."""
    now_us = time.time_ns() // 1000
    return AffineClock(now_us, now_us, LIVING_RATE)


def once(
    app: App,
    base_url: str,
    options: DemoOptions | None = None,
    *,
    say: Say = lambda _: None,
    stop: Event | None = None,
) -> DemoResult:
    """Tell the story to its end and count what happened.

    Parameters
    ----------
    app : App
        Of a project made by ``copy_for_demo``, with ``once_clock`` as its clock.
    base_url : str
        Of its running server.
    say : callable
        Receives each line of the timeline as it happens.
    stop : threading.Event or None
        Set from outside, it ends the run early; what was sent is still counted.

    Raises
    ------
    DemoServerNotReady
        If the server does not get ready in time.
    """
    chosen = options or DemoOptions()
    timeline = _timeline(app, chosen, say)
    return asyncio.run(_followed(stop, lambda halt: _once(app, base_url, chosen, timeline, halt)))


def live(
    app: App,
    base_url: str,
    stop: Event,
    options: DemoOptions | None = None,
    *,
    say: Say = lambda _: None,
) -> Record:
    """Let the city live until ``stop`` is set; say what happens, and a line each city day.

    Returns
    -------
    Record
        The client's account of the last calls, with counts of all.

    Raises
    ------
    DemoServerNotReady
        If the server does not get ready in time.
    """
    chosen = options or DemoOptions()
    timeline = _timeline(app, chosen, say)
    return asyncio.run(_followed(stop, lambda halt: _live(app, base_url, chosen, timeline, halt)))


async def _followed(
    stop: Event | None, body: Callable[[asyncio.Event], Coroutine[Any, Any, Value]]
) -> Value:
    """Run a coroutine with an asyncio event that follows a threading one."""
    halt = asyncio.Event()

    async def follow(source: Event) -> None:
        while not source.is_set():
            await asyncio.sleep(_POLL_S)
        halt.set()

    follower = asyncio.create_task(follow(stop)) if stop is not None else None
    try:
        return await body(halt)
    finally:
        if follower is not None:
            follower.cancel()
            with suppress(asyncio.CancelledError):
                await follower


def _timeline(app: App, options: DemoOptions, say: Say) -> Timeline:
    return Timeline(options.lang, app.clock, ZoneInfo(app.config.timezone), say)


def _city(options: DemoOptions, start_us: int) -> City:
    # The prefix makes keys of this run its own: a database may hold earlier runs of the same seed.
    prefix = f"c{options.seed}-{time.time_ns() // 1_000_000:x}"
    return City(np.random.default_rng(options.seed), start_us, prefix=prefix)


async def _once(
    app: App, base_url: str, options: DemoOptions, timeline: Timeline, halt: asyncio.Event
) -> DemoResult:
    clock = app.clock
    async with connect(base_url, options.traffic) as http, spare(base_url) as control:
        await _ready(http, base_url, options.ready_wait_s, halt)
        city = _city(options, clock.now_us())
        timeline.say(
            "city",
            ambulances=city.settings.n_ambulances,
            seed=options.seed,
            day_s=86_400.0 / clock.rate,
        )
        traffic = Traffic(http, city, clock=clock, options=options.traffic)
        herald = Herald(app, options.traffic.model, timeline)
        scene = Scene(app, control, traffic, herald, timeline, halt)
        told = await Story(scene).tell()
        tally = await _settle(control, options, traffic.record, city.prefix)
        n_joined = traffic.record.n_outcomes - len(tally.unjoined) - len(tally.lost)
        accounting(traffic.record, tally, n_joined, told)
        timeline.say("count", n=traffic.record.n_predictions, joined=n_joined,
                     lost=len(tally.lost), duplicated=len(tally.duplicated))  # fmt: skip
        versions = await _versions(control, options.traffic.model)
    return _result(traffic.record, tally, told, herald, versions, n_joined, timeline)


def _result(
    record: Record,
    tally: Tally,
    told: Told,
    herald: Herald,
    versions: list[dict[str, Any]],
    n_joined: int,
    timeline: Timeline,
) -> DemoResult:
    retrainings = [job for job in herald.sight.jobs if job.kind == "retrain"]
    of_it = [job for job in retrainings if job.result.get("version") == told.promoted]
    decisive = (of_it or retrainings)[-1:]
    seconds = time.monotonic() - timeline.began
    return DemoResult(
        versions=[version_document(version) for version in versions],
        predictions=record.n_predictions,
        answered_by_model=record.answered_by("model"),
        answered_by_rules=record.answered_by("rules"),
        answered_by_baseline=record.answered_by("baseline"),
        refused=len(record.refused),
        in_doubt=len(record.in_doubt),
        outcomes_sent=record.n_outcomes,
        outcomes_joined=n_joined,
        drift_detected_at=iso(told.drift_detected_at),
        alerts=[alert_document(alert) for alert in herald.sight.alerts],
        retraining=job_document(decisive[0], timeline.clock.rate) if decisive else None,
        promoted=told.promoted,
        accuracy_before=accuracy(record, told.before),
        accuracy_during_drift=accuracy(record, told.during),
        accuracy_after=accuracy(record, told.after),
        accuracy_rules=accuracy(record, Choice("rules")),
        accuracy_baseline=None if told.before is None else record.commonest_outcome(told.before),
        model_failure=told.model_failure,
        rollback=told.rollback,
        lost=len(tally.lost),
        duplicated=len(tally.duplicated),
        strange=len(tally.strange),
        missing_arcs=[{"arc": arc.arc, "reason": arc.reason} for arc in told.missing],
        latency_ms=latency_ms(record, "model"),
        city_days=round(seconds * timeline.clock.rate / 86_400, 1),
        seconds=round(seconds, 3),
        timeline=timeline.lines,
    )


async def _live(
    app: App, base_url: str, options: DemoOptions, timeline: Timeline, halt: asyncio.Event
) -> Record:
    clock = app.clock
    async with connect(base_url, options.traffic) as http:
        await _ready(http, base_url, options.ready_wait_s, halt)
        city = _city(options, clock.now_us())
        day_s = 86_400.0 / clock.rate
        timeline.say("city", ambulances=city.settings.n_ambulances, seed=options.seed, day_s=day_s)
        record = Record(most=_KEPT_WHILE_LIVING)
        traffic = Traffic(http, city, clock=clock, options=options.traffic, record=record)
        herald = Herald(app, options.traffic.model, timeline)
        async with asyncio.TaskGroup() as group:
            group.create_task(herald.watch(halt))
            group.create_task(_days(traffic, timeline, day_s, halt))
            group.create_task(_befall(city, clock, timeline, halt))
            await traffic.run(None, halt)
        return record


async def _befall(city: City, clock: AffineClock, timeline: Timeline, halt: asyncio.Event) -> None:
    """Let the world's events come, each on its day, over and over."""
    began = clock.now_us()
    turn = 0
    while True:
        for event in WORLD_EVENTS:
            due_us = began + round((turn * WORLD_DAYS + event.day) * _DAY_US)
            while clock.now_us() < due_us:
                wait_s = (due_us - clock.now_us()) / 1e6 / clock.rate
                if await _halted(halt, max(wait_s, 0.01)):
                    return
            city.drift = event.drift
            timeline.say(event.key)
        turn += 1


async def _days(traffic: Traffic, timeline: Timeline, day_s: float, halt: asyncio.Event) -> None:
    """Say a line each day of the city, of that day's calls."""
    record, day, before = traffic.record, 0, 0
    traffic.phase = "day-0"
    while not await _halted(halt, max(day_s, 5.0)):
        label = f"day-{day}"
        right = accuracy(record, Choice("model", phases=(label,)))
        n, day = record.n_predictions - before, day + 1
        before = record.n_predictions
        traffic.phase = f"day-{day}"
        if right is None:
            timeline.say("day_unknown", n=n)
        else:
            found = {name: right[name] for name in ("value", "low", "high")}
            timeline.say("day", n=n, **found)


async def _halted(halt: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(halt.wait(), seconds)
    return halt.is_set()


async def _ready(
    http: httpx.AsyncClient, base_url: str, wait_s: float, halt: asyncio.Event
) -> None:
    deadline = time.monotonic() + wait_s
    found = "none"
    while time.monotonic() < deadline and not halt.is_set():
        try:
            response = await http.get("/readyz")
        except httpx.TransportError as error:
            found = type(error).__name__
        else:
            if response.is_success:
                return
            found = str(response.status_code)
        await asyncio.sleep(_POLL_S)
    if not halt.is_set():
        raise DemoServerNotReady(url=base_url, seconds=wait_s, found=found)


async def _versions(http: httpx.AsyncClient, model: str) -> list[dict[str, Any]]:
    response = await fetch(http, f"/v1/models/{model}/versions")
    versions: list[dict[str, Any]] = response.json()["versions"] if response.is_success else []
    return versions


async def _settle(
    http: httpx.AsyncClient, options: DemoOptions, record: Record, prefix: str
) -> Tally:
    """Ask until everything is in the log and joined, or the wait is over."""
    deadline = time.monotonic() + options.settle_s
    while True:
        listed = await reported_predictions(http, options.traffic.model)
        tally = record.compare(
            row
            for row in listed
            if row.prediction_id in record.acknowledged or (row.key or "").startswith(prefix)
        )
        if time.monotonic() > deadline or not (tally.lost or tally.unjoined):
            return tally
        await asyncio.sleep(_POLL_S)
