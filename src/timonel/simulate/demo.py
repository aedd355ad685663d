"""The demo, apart from its command: a city lives against a server, and what happened is counted.

Everything here is a client. It needs a base URL and believes only its own record.
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

from timonel.clock import AffineClock
from timonel.simulate.city import City
from timonel.simulate.errors import DemoServerNotReady
from timonel.simulate.record import Record, Tally
from timonel.simulate.result import DemoResult, accuracy, latency_ms, result
from timonel.simulate.texts import line
from timonel.simulate.traffic import (
    Traffic,
    TrafficOptions,
    connect,
    fetch,
    joined_outcomes,
    reported_predictions,
)

Say = Callable[[str], None]
Value = TypeVar("Value")

LIVING_RATE = 240.0
"""Event seconds a second of a living demo: a call about every 0.6 s, a day in six minutes."""

ONCE_BEGINS_US = round(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp() * 1e6)
"""Where the city of ``once`` begins, whatever the hour outside: a Monday, nine in the morning."""

_POLL_S = 0.2
_LOADED_WAIT_S = 5.0
_KEPT_WHILE_LIVING = 20_000  # the last four hours or so of watching


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What a demo is asked to do.

    Parameters
    ----------
    seed : int
        Of the city; not 42, which is the seed of the history that the example trains on.
    calls : int
        Calls of ``once`` after there is a version.
    early_calls : int
        Calls of ``once`` sent at once, before it waits for a version.
    ready_wait_s, version_wait_s, settle_s : float
        The longest waits: for the server, for a version in production, for the log and the joins.
    lang : str
        Of the timeline.
    """

    seed: int = 7
    calls: int = 400
    early_calls: int = 40
    ready_wait_s: float = 30.0
    version_wait_s: float = 120.0
    settle_s: float = 30.0
    lang: str = "en"
    traffic: TrafficOptions = field(default_factory=TrafficOptions)


class Timeline:
    """Lines said so far, each with the second at which it was said."""

    def __init__(self, lang: str, say: Say) -> None:
        self.began = time.monotonic()
        self.lines: list[str] = []
        self.lang = lang
        self._say = say

    def say(self, key: str, **facts: object) -> None:
        """Say a line of the catalogue, now."""
        text = f"{time.monotonic() - self.began:6.1f} s  {line(key, self.lang, **facts)}"
        self.lines.append(text)
        self._say(text)


def once(
    base_url: str,
    options: DemoOptions | None = None,
    *,
    say: Say = lambda _: None,
    stop: Event | None = None,
) -> DemoResult:
    """Run the demo to its end and count what happened.

    Some calls are sent at once, whoever answers them; then, when a version is in production, the
    rest, as fast as the server answers, with outcomes as the city's own time passes them.

    Parameters
    ----------
    base_url : str
        Of a running server whose project is ``examples/dispatch``.
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
    timeline = Timeline(chosen.lang, say)
    return asyncio.run(_followed(stop, lambda halt: _once(base_url, chosen, timeline, halt)))


def live(
    base_url: str,
    clock: AffineClock,
    stop: Event,
    options: DemoOptions | None = None,
    *,
    say: Say = lambda _: None,
) -> Record:
    """Let the city live on an event clock until ``stop`` is set; say a line each city hour.

    Parameters
    ----------
    clock : AffineClock
        The server's own (``LIVING_RATE`` is a good rate).

    Returns
    -------
    Record
        The client's account of the last 20,000 calls, with counts of all.

    Raises
    ------
    DemoServerNotReady
        If the server does not get ready in time.
    """
    chosen = options or DemoOptions()
    timeline = Timeline(chosen.lang, say)
    return asyncio.run(_followed(stop, lambda halt: _live(base_url, clock, chosen, timeline, halt)))


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


def _city(options: DemoOptions, start_us: int) -> City:
    # The prefix makes keys of this run its own: a database may hold earlier runs of the same seed.
    prefix = f"c{options.seed}-{time.time_ns() // 1_000_000:x}"
    return City(np.random.default_rng(options.seed), start_us, prefix=prefix)


async def _once(
    base_url: str, options: DemoOptions, timeline: Timeline, halt: asyncio.Event
) -> DemoResult:
    async with connect(base_url, options.traffic) as http:
        await _ready(http, base_url, options.ready_wait_s, halt)
        city = _city(options, ONCE_BEGINS_US)
        timeline.say("city", ambulances=city.settings.n_ambulances, seed=options.seed)
        traffic = Traffic(http, city, options=options.traffic)
        record = traffic.record
        if options.early_calls:
            await traffic.run(options.early_calls, halt)
            timeline.say("early", n=record.n_predictions, **_sources(record))
        await _champion(http, options, timeline, halt)
        await _main_traffic(traffic, options, timeline, halt)
        n_joined, tally = await _settle(http, options, record, city.prefix)
        timeline.say("outcomes", joined=n_joined, sent=record.n_outcomes)
        _say_accuracy(record, timeline)
        timeline.say("count", lost=len(tally.lost), doubled=len(tally.doubled))
        versions = await _versions(http, _model(options))
    return result(
        record,
        tally,
        versions=versions,
        n_joined=n_joined,
        seconds=time.monotonic() - timeline.began,
        timeline=timeline.lines,
    )


async def _main_traffic(
    traffic: Traffic, options: DemoOptions, timeline: Timeline, halt: asyncio.Event
) -> None:
    record = traffic.record
    began, before = time.monotonic(), _sources(record)
    await traffic.run(options.calls, halt)
    waits = latency_ms(record, "model")
    timeline.say(
        "traffic" if waits else "traffic_without_model",
        n=record.n_predictions - sum(before.values()),
        seconds=time.monotonic() - began,
        p50_ms=waits["p50"] if waits else None,
        p99_ms=waits["p99"] if waits else None,
        **{source: n - before[source] for source, n in _sources(record).items()},
    )
    with suppress(TimeoutError):
        async with asyncio.timeout(options.settle_s):
            await traffic.tell_all(halt)


async def _live(
    base_url: str,
    clock: AffineClock,
    options: DemoOptions,
    timeline: Timeline,
    halt: asyncio.Event,
) -> Record:
    async with connect(base_url, options.traffic) as http:
        await _ready(http, base_url, options.ready_wait_s, halt)
        city = _city(options, clock.now_us())
        timeline.say("city", ambulances=city.settings.n_ambulances, seed=options.seed)
        record = Record(most=_KEPT_WHILE_LIVING)
        traffic = Traffic(http, city, clock=clock, options=options.traffic, record=record)
        async with asyncio.TaskGroup() as group:
            group.create_task(_hours(traffic.record, clock, city, timeline, halt))
            await traffic.run(None, halt)
        return traffic.record


async def _hours(
    record: Record, clock: AffineClock, city: City, timeline: Timeline, halt: asyncio.Event
) -> None:
    """Say a line each hour of the city, at most one each five seconds."""
    every_s = max(3600.0 / clock.rate, 5.0)
    zone = ZoneInfo(city.settings.timezone)
    while not halt.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(halt.wait(), every_s)
            return
        right = accuracy(record, "model")
        timeline.say(
            "hour",
            time=datetime.fromtimestamp(clock.now_us() / 1e6, zone).strftime("%Y-%m-%d %H:%M"),
            n=record.n_predictions,
            outcomes=record.n_outcomes,
            accuracy=f"{right['value']:.1%} [{right['low']:.1%}, {right['high']:.1%}]"
            if right
            else "-",
            **_sources(record),
        )


async def _ready(
    http: httpx.AsyncClient, base_url: str, wait_s: float, halt: asyncio.Event
) -> None:
    deadline = time.monotonic() + wait_s
    found = "none"
    while time.monotonic() < deadline and not halt.is_set():
        try:
            response = await http.get("/readyz")
            if response.is_success:  # the control routes come up after the predict workers
                response = await http.get("/v1")
        except httpx.TransportError as error:
            found = type(error).__name__
        else:
            if response.is_success:
                return
            found = str(response.status_code)
        await asyncio.sleep(_POLL_S)
    if not halt.is_set():
        raise DemoServerNotReady(url=base_url, seconds=wait_s, found=found)


async def _champion(
    http: httpx.AsyncClient, options: DemoOptions, timeline: Timeline, halt: asyncio.Event
) -> None:
    deadline = time.monotonic() + options.version_wait_s
    while time.monotonic() < deadline and not halt.is_set():
        for version in await _versions(http, _model(options)):
            if version["stage"] == "production":
                timeline.say("champion", version=f"{_model(options)}@{version['version']}")
                await _loaded(http, halt)
                return
        await asyncio.sleep(_POLL_S)
    timeline.say("no_champion", seconds=options.version_wait_s)


async def _loaded(http: httpx.AsyncClient, halt: asyncio.Event) -> None:
    """Wait until no worker is behind, so that the same seed is answered by the same version."""
    deadline = time.monotonic() + _LOADED_WAIT_S
    while time.monotonic() < deadline and not halt.is_set():
        health = (await fetch(http, "/health")).json()
        if health["checks"]["model"].get("n_behind") == 0:
            return
        await asyncio.sleep(_POLL_S)


async def _versions(http: httpx.AsyncClient, model: str) -> list[dict[str, Any]]:
    response = await fetch(http, f"/v1/models/{model}/versions")
    versions: list[dict[str, Any]] = response.json()["versions"] if response.is_success else []
    return versions


async def _settle(
    http: httpx.AsyncClient, options: DemoOptions, record: Record, prefix: str
) -> tuple[int, Tally]:
    """Ask until everything is in the log and joined, or the wait is over."""
    deadline = time.monotonic() + options.settle_s
    waiting = {e.outcome_id for e in record.acknowledged.values() if e.outcome_id is not None}
    n_sent = len(waiting)
    while True:
        waiting -= await joined_outcomes(http, sorted(waiting))
        listed = await reported_predictions(http, _model(options))
        tally = record.compare(
            row
            for row in listed
            if row.prediction_id in record.acknowledged or (row.key or "").startswith(prefix)
        )
        if time.monotonic() > deadline or not (waiting or tally.lost):
            return n_sent - len(waiting), tally
        await asyncio.sleep(_POLL_S)


def _say_accuracy(record: Record, timeline: Timeline) -> None:
    right = accuracy(record, "model")
    if right is not None:
        timeline.say("accuracy", **right, baseline=record.commonest_outcome("model"))


def _sources(record: Record) -> dict[str, int]:
    return {source: record.answered_by(source) for source in ("model", "rules", "baseline")}


def _model(options: DemoOptions) -> str:
    return options.traffic.model
