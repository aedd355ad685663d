"""What Prometheus reads of a real server with two workers, whichever of them it asks.

Counters are the sum of both, and never go back: not from scrape to scrape, not over the kill -9 and
the restart of a worker, not over a restart of the whole server.
"""

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from timonel.serving.metrics import Family, Totals, read_slots
from timonel.serving.processes.liveness import Heartbeat
from timonel.serving.processes.notices import Notice
from timonel.serving.processes.slots import StateFolder
from timonel.testing.builders import PROJECT, open_registry
from timonel.testing.server import Server, ServerPlan
from timonel.testing.serving import ROW, declared_manifest, make_rules

LIMIT_S = 120.0
RULES = """
from timonel import Answer, metrics

def stay(row):
    metrics.record("waiting_visits", row["visits"], port=row["port"])
    metrics.record("not so", row["visits"])  # breaks nothing
    return Answer(0, 0.2)
"""
RECORDED = "timonel_metric_waiting_visits_count"
COUNTING = ("_total", "_count", "_sum", "_bucket")

Sample = tuple[str, frozenset[tuple[str, str]]]


class Scraper:
    """Reads the server as Prometheus does, a new connection each time, and keeps what was read."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = connecting()
        self.read: list[dict[Sample, float]] = []

    def scrape(self) -> dict[Sample, float]:
        answer = self.client.get(f"{self.url}/metrics")
        assert answer.status_code == 200
        found = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.name.endswith(COUNTING)
        }
        self.read.append(found)
        return found

    def total(self, name: str) -> float:
        return sum(value for (sample, _), value in self.scrape().items() if sample == name)

    def wait_for(self, name: str, value: float) -> None:
        until(lambda: self.total(name) >= value)
        assert self.total(name) == value

    def assert_monotone(self) -> None:
        highest: dict[Sample, float] = {}
        for scrape in self.read:
            assert highest.keys() <= scrape.keys()
            back = {k: (highest[k], scrape[k]) for k in highest if scrape[k] < highest[k]}
            assert not back
            highest = scrape


class Callers:
    """Clients that ask until told to stop; a request that got no answer was sent all the same."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/v1/models/churn/predict"
        self.client = connecting()
        self.heard: Counter[str] = Counter()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on) for _ in range(4)]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def ask(self) -> None:
        try:
            answer = self.client.post(self.url, json={"inputs": ROW})
        except httpx.TransportError:
            self.heard["nothing"] += 1
        else:
            self.heard[str(answer.status_code)] += 1

    def _ask_on(self) -> None:
        while not self._stopping.is_set():
            self.ask()


def connecting() -> httpx.Client:
    """Make a client that connects for each request: then any worker may answer it."""
    return httpx.Client(headers={"connection": "close"}, verify=False)


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


def answered_by(state: Path) -> list[int]:
    """Give how many predictions each worker's own slot has counted."""
    return [
        sum(one.n for one in Totals.of([reading]).family(Family.PREDICTIONS))
        for reading in read_slots(StateFolder(state).metrics)
    ]


@pytest.mark.slow
def test_either_worker_gives_the_sum_and_no_counter_goes_back(
    tmp_path: Path, sqlite_database: str
) -> None:
    with open_registry(sqlite_database) as (_, registry):
        registry.declare(declared_manifest(rules=make_rules(RULES)))
    settings = {"port": 0, "workers": 2, "role": "predict", "native_processes": 0}
    plan = ServerPlan(
        state=tmp_path, database_url=sqlite_database, project=PROJECT, settings=settings
    )
    with Server(plan) as server:
        scraper, callers = Scraper(server.url), Callers(server.url)
        while sum(callers.heard.values()) < 100 or 0 in answered_by(tmp_path):
            callers.ask()
            scraper.scrape()
        assert set(callers.heard) == {"200"}
        n = callers.heard["200"]
        assert len(answered_by(tmp_path)) == 2
        for _ in range(8):
            assert scraper.total("timonel_predictions_total") == n
            assert scraper.total("timonel_prediction_latency_seconds_count") == n
        scraper.wait_for(RECORDED, n)
        scraper.wait_for("timonel_metric_dropped_values_count", n)
        assert_shared(server, tmp_path)
        with callers:
            for index in (0, 1):  # so that each is once the only one to be asked
                strike(server, scraper, index)
        n_sent, n_heard = sum(callers.heard.values()), callers.heard["200"]
        assert n_heard > n
        total = scraper.total("timonel_predictions_total")
        assert n_heard <= total <= n_sent
        assert server.terminate() == 0
        server.start()
        assert scraper.total("timonel_predictions_total") == total
        assert n <= scraper.total(RECORDED) <= total
        callers.ask()
        scraper.wait_for("timonel_predictions_total", total + 1)
    scraper.assert_monotone()


def assert_shared(server: Server, state: Path) -> None:
    """Open connections all at once, and see how many each worker has of them."""
    place = urlsplit(server.url)
    address = (place.hostname or "", place.port or 0)
    with contextlib.ExitStack() as stack:
        for _ in range(24):
            stack.enter_context(socket.create_connection(address, timeout=LIMIT_S))
        beats = [Heartbeat(StateFolder(state).heartbeat(index)) for index in (0, 1)]
        until(lambda: sum(beat.read().connections for beat in beats) >= 24)
        assert min(beat.read().connections for beat in beats) >= 6


def strike(server: Server, scraper: Scraper, index: int) -> None:
    """Kill a worker, scrape the other meanwhile, and wait until it is back."""
    victim = server.worker_pids()[index]
    n_ready = len(server.of(Notice.WORKER_DIED))
    server.kill([victim])
    while server.worker_pids()[index] in (0, victim):
        scraper.scrape()
    until(lambda: len(server.of(Notice.WORKER_DIED)) > n_ready)
    for _ in range(10):
        scraper.scrape()
