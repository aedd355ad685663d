"""What a scraper of two workers reads of drift, alerts and the spools, which no worker counts."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from timonel.alerts.book import AlertBook
from timonel.events.segments import HEADER
from timonel.monitoring.history import drift_windows
from timonel.serving.metrics import Family, Totals, read_slots
from timonel.serving.processes.slots import StateFolder
from timonel.store.engine import make_engine
from timonel.testing.events import PROJECT
from timonel.testing.monitored import City, usual
from timonel.testing.server import Server, ServerPlan

LIMIT_S = 60.0
Labels = frozenset[tuple[str, str]]


def scraped(client: httpx.Client, url: str) -> dict[str, dict[Labels, float]]:
    """Read the server once, each time by a new connection, whichever worker takes it."""
    text = client.get(f"{url}/metrics").text
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    return {
        sample.name: {
            frozenset(one.labels.items()): one.value
            for one in family.samples
            if one.name == sample.name
        }
        for family in families
        for sample in family.samples
    }


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)


def watched(database: str, folder: Path) -> tuple[str, dict[Labels, float]]:
    """Let a model drift until it alerts; give its version and the effects of its last window."""
    engine = make_engine(database)
    city = City(engine, folder, seed=3)
    book = AlertBook(engine, PROJECT, city.bench.clock)
    for _ in range(3):
        city.ask(1000, lambda rng, n: {**usual(rng, n), "age": rng.normal(50, 10, n).round(2)})
        for signal in city.end_hour():
            book.hear(signal)
    (newest,) = drift_windows(engine, PROJECT, "churn", 1)
    engine.dispose()
    effects = {
        frozenset(
            {
                "model": "churn",
                "version": city.version,
                "monitor": column.monitor,
                "column": column.subject,
            }.items()
        ): column.effect
        for column in newest.columns
        if column.effect is not None
    }
    assert len(effects) >= 4
    return city.version, effects


def test_any_of_two_workers_gives_drift_alerts_and_the_lag_of_the_spools(
    tmp_path: Path, sqlite_database: str
) -> None:
    version, effects = watched(sqlite_database, tmp_path / "watched")
    settings = {"port": 0, "workers": 2, "role": "predict", "native_processes": 0}
    state = tmp_path / "state"
    plan = ServerPlan(state=state, database_url=sqlite_database, project=PROJECT, settings=settings)
    headers = {"connection": "close"}
    with Server(plan) as server, httpx.Client(headers=headers, trust_env=False) as client:
        until(lambda: "timonel_drift_effect" in scraped(client, server.url))
        readings = [scraped(client, server.url) for _ in range(8)]
        for read in readings:
            assert read["timonel_drift_effect"] == effects
            states = {
                dict(labels)["column"]: value
                for labels, value in read["timonel_drift_state"].items()
            }
            assert (states["age"], states["visits"]) == (2, 0)
            whole = {"model": "churn", "version": version, "state": "alert"}
            assert read["timonel_drift_window_state"] == {frozenset(whole.items()): 1}
            firing = {
                "model": "churn",
                "type": "DRIFT_DETECTED",
                "severity": "MEDIUM",
                "state": "firing",
            }
            n_firing = read["timonel_alerts"][frozenset(firing.items())]
            assert n_firing == sum(value == 2 for value in states.values())
            assert sum(read["timonel_alerts_fired_total"].values()) == n_firing
        assert_lag(client, server.url, state, Path(sqlite_database.removeprefix("sqlite:///")))


def assert_lag(client: httpx.Client, url: str, state: Path, database: Path) -> None:
    """Keep the drainer out of the database: what waits is said, and gone when it is let in."""

    def lag() -> tuple[float, float]:
        read = scraped(client, url)
        return (
            read["timonel_spool_undrained_bytes"][frozenset()],
            read["timonel_spool_oldest_undrained_seconds"][frozenset()],
        )

    def answered() -> list[int]:
        return [
            sum(one.n for one in Totals.of([reading]).family(Family.PREDICTIONS))
            for reading in read_slots(StateFolder(state).metrics)
        ]

    assert lag() == (0, 0)
    held = sqlite3.connect(database, isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    inputs = {"inputs": {"age": 40.0, "visits": 4, "plan": "gold"}}
    while len(answered()) < 2 or 0 in answered():
        assert client.post(f"{url}/v1/models/churn/predict", json=inputs).status_code == 200
    waiting = sum(
        segment.stat().st_size - HEADER.size for segment in (state / "spool").glob("slot-*/*.spool")
    )
    until(lambda: lag()[0] == waiting)
    age_s = lag()[1]
    assert 0 < age_s <= time.monotonic() - began
    held.rollback()
    held.close()
    until(lambda: lag() == (0, 0))
