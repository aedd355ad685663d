"""Drives a simulated city against a running server over real HTTP, and keeps its own record."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, NamedTuple

import httpx

from timonel.clock import AffineClock
from timonel.simulate.city import Call, City
from timonel.simulate.record import Acknowledged, Record, Reported
from timonel.wire.ids import IdSource, id_text

_OUTCOMES_A_REQUEST = 100
_PAGE = 1000
_LATE_US = 6 * 3_600_000_000
_CONTROL_WAIT_S = 20.0
_CONTROL_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficOptions:
    """How hard the city may press the server.

    Parameters
    ----------
    concurrency : int
        Requests on their way at once.
    most_per_s : float
        Predictions per second at most, whatever the city's clock says.
    attempts : int
        Of one prediction, all with the same id, before it is left in doubt.
    longest_pause_s : float
        Between two attempts; the first pause is .1 s, each is twice the one before.
    """

    model: str = "dispatch"
    concurrency: int = 8
    most_per_s: float = 250.0
    timeout_s: float = 5.0
    attempts: int = 4
    longest_pause_s: float = 1.0
    key: str | None = None


class _Due(NamedTuple):
    """A truth on its way: when it is known, and of which prediction."""

    known_at_us: int
    prediction_id: str
    key: str
    value: int


class Traffic:
    """One client of one model: calls become predictions, truths become outcomes when they are due.

    Parameters
    ----------
    http : httpx.AsyncClient
        Made by ``connect``: one pool, kept alive.
    city : City
    clock : AffineClock or None
        Calls wait for their event time on it. None: the city's time is all there is, and it runs
        as fast as answers come; a truth is due when the city has lived past its moment.
    record : Record or None
        Goes on with an earlier one.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        city: City,
        *,
        clock: AffineClock | None = None,
        options: TrafficOptions | None = None,
        record: Record | None = None,
    ) -> None:
        self.city = city
        self.record = record or Record()
        self.options = options or TrafficOptions()
        self._http = http
        self._clock = clock
        self.phase = ""
        """Of the story: what is asked from now on is kept under it."""
        self._ids = IdSource()
        self._due: list[_Due] = []
        self._slots = asyncio.Semaphore(self.options.concurrency)
        self._next_send = 0.0

    @property
    def n_due(self) -> int:
        """How many truths have not been told to the server yet."""
        return len(self._due)

    async def run(self, n_calls: int | None, stop: asyncio.Event) -> None:
        """Send so many calls (None: until ``stop``), and outcomes as they fall due.

        Ends with every request answered or given up; truths that are not due yet stay for the
        next ``run`` or for ``tell_all``. After ``stop`` nothing new is sent.
        """
        async with asyncio.TaskGroup() as group:
            sent = 0
            while (n_calls is None or sent < n_calls) and not stop.is_set():
                call = self.city.next_call()
                truth = self.city.carry_out(call, self.city.decide(call))
                if not await self._wait_until(call.at_us, stop):
                    break
                await self._slots.acquire()
                self._next_send = time.monotonic() + 1.0 / self.options.most_per_s
                group.create_task(self._predict(call, truth.was_optimal, truth.known_at_us))
                sent += 1

    async def tell_all(self, stop: asyncio.Event) -> None:
        """Let the city's time pass until every truth is known, and tell them all."""
        while self._due and not stop.is_set():
            if self._clock is not None and not await self._pause(self._due[0].known_at_us, stop):
                return
            await self._tell_due(self._due[0].known_at_us)

    async def _wait_until(self, at_us: int, stop: asyncio.Event) -> bool:
        """Tell what falls due before a call, at its time; False if stopped meanwhile."""
        while self._due and self._due[0].known_at_us <= at_us:
            due_us = self._due[0].known_at_us
            if not await self._pause(due_us, stop):
                return False
            # Without a clock, batch: one request for all that is due by this call.
            await self._tell_due(due_us if self._clock else at_us)
        return await self._pause(at_us, stop)

    async def _pause(self, at_us: int, stop: asyncio.Event) -> bool:
        while not stop.is_set():
            wait_s = self._next_send - time.monotonic()
            if self._clock is not None:
                event_s = (at_us - self._clock.now_us()) / 1e6
                wait_s = max(wait_s, event_s / self._clock.rate)
            if wait_s <= 0:
                return True
            try:
                await asyncio.wait_for(stop.wait(), wait_s)
            except TimeoutError:
                continue
        return False

    async def _predict(self, call: Call, truth: int, known_at_us: int) -> None:
        try:
            prediction_id = id_text(self._ids.next())
            body = {
                "inputs": {**call.inputs, "dispatch_id": call.dispatch_id},
                "prediction_id": prediction_id,
            }
            began, phase = time.monotonic(), self.phase
            answer = await self._post("predict", body)
            if answer is None:
                self.record.in_doubt[prediction_id] = call.dispatch_id
            elif answer.is_success:
                self._acknowledge(prediction_id, call, answer.json(), began, phase)
                heappush(self._due, _Due(known_at_us, prediction_id, call.dispatch_id, truth))
            else:
                self.record.refused.append(f"{answer.status_code} {answer.text[:300]}")
        finally:
            self._slots.release()

    def _acknowledge(
        self, sent_id: str, call: Call, answer: dict[str, Any], began: float, phase: str
    ) -> None:
        prediction_id = answer["prediction_id"]
        if prediction_id != sent_id:  # the server counts it under another id: that is ours now
            self.record.in_doubt[sent_id] = call.dispatch_id
        entry = Acknowledged(
            key=call.dispatch_id,
            prediction=int(answer["prediction"]),
            source=answer["source"],
            reason=answer["reason"],
            version=answer["version"],
            seconds=time.monotonic() - began,
            phase=phase,
            asked_s=began,
        )
        self.record.acknowledge(prediction_id, entry)

    async def _post(self, verb: str, body: dict[str, Any]) -> httpx.Response | None:
        """Post until it is answered; None where every attempt failed or met an unready server."""
        path = f"/v1/models/{self.options.model}/{verb}"
        for attempt in range(self.options.attempts):
            try:
                response = await self._http.post(path, json=body)
            except httpx.TransportError:
                response = None
            if response is not None and response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return response
            await asyncio.sleep(min(0.1 * 2**attempt, self.options.longest_pause_s))
        return None

    async def _tell_due(self, until_us: int) -> None:
        """Send the truths known by then, in a few requests; what is not accepted stays due."""
        batch: list[_Due] = []
        while self._due and self._due[0].known_at_us <= until_us:
            batch.append(heappop(self._due))
            if len(batch) == _OUTCOMES_A_REQUEST:
                await self._tell(batch)
                batch = []
        if batch:
            await self._tell(batch)

    async def _tell(self, batch: list[_Due]) -> None:
        now_us = None if self._clock is None else self._clock.now_us()
        entries = [_outcome(due, now_us) for due in batch]
        response = await self._post("outcomes", {"outcomes": entries})
        if response is None:
            # Told again later, with the same value: an outcome that did arrive is not revised.
            for due in batch:
                heappush(self._due, due._replace(known_at_us=due.known_at_us + 60_000_000))
            return
        if not response.is_success:
            self.record.refused.append(f"{response.status_code} {response.text[:300]}")
            return
        for due, outcome_id in zip(batch, response.json()["outcome_ids"], strict=True):
            self.record.told(due.prediction_id, due.value, outcome_id)


def _outcome(due: _Due, now_us: int | None) -> dict[str, Any]:
    """Name the prediction by its id or, every other time, by the dispatch's own key.

    A key is looked for among the predictions of the model's horizon alone: what is told late,
    after an outage on a quick clock, is named by the id.
    """
    late = now_us is not None and now_us - due.known_at_us > _LATE_US
    if late or due.known_at_us % 2:
        return {"prediction_id": due.prediction_id, "value": due.value}
    return {"key": due.key, "value": due.value}


@asynccontextmanager
async def connect(base_url: str, options: TrafficOptions) -> AsyncIterator[httpx.AsyncClient]:
    """Open the pool that a ``Traffic`` sends through; nothing of the environment's proxies."""
    headers = {"authorization": f"Bearer {options.key}"} if options.key else {}
    limits = httpx.Limits(
        max_connections=options.concurrency, max_keepalive_connections=options.concurrency
    )
    async with httpx.AsyncClient(
        base_url=base_url,
        headers=headers,
        timeout=options.timeout_s,
        limits=limits,
        trust_env=False,
    ) as http:
        yield http


async def fetch(http: httpx.AsyncClient, path: str) -> httpx.Response:
    """Get a control route; while it is not up yet (503, no connection) ask again, for a while.

    Returns
    -------
    httpx.Response
        The first answer other than 503, or the last 503.

    Raises
    ------
    httpx.TransportError
        If there was no connection to the end.
    """
    deadline = time.monotonic() + _CONTROL_WAIT_S
    while True:
        late = time.monotonic() > deadline
        try:
            response = await http.get(path)
        except httpx.TransportError:
            if late:
                raise
        else:
            if late or response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return response
        await asyncio.sleep(_CONTROL_POLL_S)


async def reported_predictions(http: httpx.AsyncClient, model: str) -> list[Reported]:
    """Page through every prediction that the server lists for a model, newest first."""
    found: list[Reported] = []
    following: str | None = f"/v1/models/{model}/predictions?limit={_PAGE}"
    while following is not None:
        response = await fetch(http, following)
        response.raise_for_status()
        page = response.json()
        found += [_reported(row) for row in page["predictions"]]
        following = page["next"]
    return found


def _reported(row: dict[str, Any]) -> Reported:
    truth = row["outcome"]
    return Reported(row["prediction_id"], row["key"], None if truth is None else truth["value"])
