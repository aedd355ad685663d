"""Traffic against a peer that speaks the wire contract and can be told to misbehave.

The peer is no stand-in for the server (the end-to-end tests use the real one): a correct server
cannot be made to lose or double a prediction, and the count must notice one that does.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from timonel.clock import AffineClock
from timonel.simulate.city import City
from timonel.simulate.history import START
from timonel.simulate.traffic import Traffic, TrafficOptions, reported_predictions
from timonel.wire.ids import IdSource, id_text

START_US = round(START.timestamp() * 1e6)


class Peer:
    """Answers as the contract says, except for the n-th predict requests that a fault names."""

    def __init__(self, faults: dict[int, str] | None = None) -> None:
        self.log: list[tuple[str, str]] = []
        self.outcomes: dict[str, dict[str, Any]] = {}
        self.requests = Counter[str]()
        self._faults = faults or {}
        self._ids = IdSource()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        verb = request.url.path.rsplit("/", 1)[-1]
        self.requests[verb] += 1
        if request.method == "GET":
            return self._get(request)
        body = json.loads(request.content)
        return self._predict(body, request) if verb == "predict" else self._tell(body)

    def _predict(self, body: dict[str, Any], request: httpx.Request) -> httpx.Response:
        fault = self._faults.get(self.requests["predict"])
        sent, key = body["prediction_id"], body["inputs"]["dispatch_id"]
        if fault == "unready":
            return httpx.Response(503)
        if fault == "refuse":
            return httpx.Response(422, json={"detail": "no"})
        if fault != "forget" and (sent, key) not in self.log:
            self.log.append((sent, key))
        if fault == "double":
            self.log.append((id_text(self._ids.next()), key))
        if fault == "cut":
            message = "the answer never came"
            raise httpx.ReadError(message, request=request)
        answer = {"prediction_id": sent, "prediction": 1, "source": "model", "reason": "assigned",
                  "version": "1.0.0"}  # fmt: skip
        return httpx.Response(200, json=answer)

    def _tell(self, body: dict[str, Any]) -> httpx.Response:
        if self._faults.get(-self.requests["outcomes"]) == "unready":
            return httpx.Response(503)
        ids = [id_text(self._ids.next()) for _ in body["outcomes"]]
        self.outcomes |= dict(zip(ids, body["outcomes"], strict=True))
        return httpx.Response(202, json={"outcome_ids": ids})

    def _get(self, request: httpx.Request) -> httpx.Response:
        after, limit = int(request.url.params.get("after", 0)), 7
        truths = {o.get("prediction_id", o.get("key")): o["value"] for o in self.outcomes.values()}
        rows = [
            {"prediction_id": i, "key": k, "outcome": self._truth(truths.get(i, truths.get(k)))}
            for i, k in self.log[after : after + limit]
        ]
        more = f"{request.url.path}?after={after + limit}"
        following = more if after + limit < len(self.log) else None
        return httpx.Response(200, json={"predictions": rows, "next": following})

    def _truth(self, value: int | None) -> dict[str, int] | None:
        if value is None or self._faults.get(0) == "never join":
            return None
        return {"value": value, "revision": 1}


def traffic_to(
    peer: Callable[[httpx.Request], httpx.Response], clock: AffineClock | None = None
) -> tuple[Traffic, httpx.AsyncClient]:
    http = httpx.AsyncClient(transport=httpx.MockTransport(peer), base_url="http://peer")
    start = START_US if clock is None else clock.now_us()
    options = TrafficOptions(most_per_s=5000.0, attempts=2)
    return Traffic(http, City(np.random.default_rng(1), start), clock=clock, options=options), http


async def test_every_call_is_answered_and_every_truth_told_once() -> None:
    peer = Peer()
    traffic, http = traffic_to(peer)
    async with http:
        await traffic.run(150, asyncio.Event())
        assert 0 < traffic.n_due < 150  # reports take the city about an hour
        await traffic.tell_all(asyncio.Event())
        record = traffic.record
        assert len(record.acknowledged) == record.n_outcomes == len(peer.outcomes) == 150
        assert record.compare(await reported_predictions(http, "dispatch")) == ([], [], [], [])
    named = Counter(frozenset(outcome) - {"value"} for outcome in peer.outcomes.values())
    assert min(named[frozenset({"key"})], named[frozenset({"prediction_id"})]) > 40
    assert peer.requests["outcomes"] < 150


async def test_a_retry_after_a_cut_or_an_unready_server_is_not_counted_twice() -> None:
    peer = Peer({5: "cut", 9: "unready"})
    traffic, http = traffic_to(peer)
    async with http:
        await traffic.run(20, asyncio.Event())
        assert peer.requests["predict"] == 22
        assert not traffic.record.in_doubt
        tally = traffic.record.compare(await reported_predictions(http, "dispatch"))
        assert tally == ([], [], [], [])


async def test_a_server_that_forgets_or_doubles_is_found_out() -> None:
    peer = Peer({5: "forget", 9: "double"})
    traffic, http = traffic_to(peer)
    async with http:
        await traffic.run(20, asyncio.Event())
        tally = traffic.record.compare(await reported_predictions(http, "dispatch"))
    assert (len(tally.lost), len(tally.duplicated), len(tally.strange)) == (1, 1, 0)


async def test_a_server_that_does_not_join_is_found_out() -> None:
    peer = Peer({0: "never join"})
    traffic, http = traffic_to(peer)
    async with http:
        await traffic.run(20, asyncio.Event())
        await traffic.tell_all(asyncio.Event())
        tally = traffic.record.compare(await reported_predictions(http, "dispatch"))
    assert (len(tally.lost), len(tally.unjoined)) == (0, 20)


async def test_what_is_asked_is_kept_under_the_phase_of_its_asking() -> None:
    traffic, http = traffic_to(Peer())
    async with http:
        for phase in ("before", "after"):
            traffic.phase = phase
            await traffic.run(5, asyncio.Event())
    assert [e.phase for e in traffic.record.acknowledged.values()] == ["before"] * 5 + ["after"] * 5


async def test_what_is_never_answered_is_in_doubt_and_what_is_refused_is_kept() -> None:
    peer = Peer({1: "refuse", 2: "cut", 3: "cut"})
    traffic, http = traffic_to(peer)
    async with http:
        await traffic.run(1, asyncio.Event())
        await traffic.run(1, asyncio.Event())
    assert traffic.record.refused == ['422 {"detail":"no"}']
    assert len(traffic.record.in_doubt) == 1
    assert not traffic.record.acknowledged


async def test_an_outcome_that_was_not_accepted_is_told_again() -> None:
    peer = Peer({-1: "unready", -2: "unready"})
    traffic, http = traffic_to(peer)
    async with http:
        await traffic.run(10, asyncio.Event())
        await traffic.tell_all(asyncio.Event())
    assert len(peer.outcomes) == traffic.record.n_outcomes == 10


async def test_on_a_clock_calls_wait_for_their_time_and_stop_ends_it() -> None:
    clock = AffineClock(real_us=AffineClock().now_us(), event_us=START_US, rate=20_000.0)
    traffic, http = traffic_to(Peer(), clock)
    stop = asyncio.Event()
    async with http, asyncio.timeout(20):
        await traffic.run(60, stop)
        # sixty calls are about two hours of the city
        assert traffic.city.next_call().at_us / 1e6 > START_US / 1e6 + 2400
        assert clock.now_us() / 1e6 > START_US / 1e6 + 2400
        running = asyncio.create_task(traffic.run(None, stop))
        while len(traffic.record.acknowledged) < 70:
            await asyncio.sleep(0.01)
        stop.set()
        await running
    assert len(traffic.record.acknowledged) >= 70


async def test_an_odd_answer_is_an_error_not_a_silence() -> None:
    traffic, http = traffic_to(lambda _: httpx.Response(200, json={}))
    async with http:
        with pytest.raises(ExceptionGroup) as caught:
            await traffic.run(1, asyncio.Event())
    assert caught.group_contains(KeyError)
