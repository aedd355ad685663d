import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from timonel.clock import AffineClock
from timonel.events.accumulators import default_accumulators
from timonel.events.drain import Drainer
from timonel.registry.registry import Registry
from timonel.serving.processes.errors import PortBusy, RemoteHostRefused, StateInUse
from timonel.serving.processes.notices import Notice, text_of
from timonel.serving.supervisor import ServeConfig, Supervisor
from timonel.settings import Settings
from timonel.store.control import live_processes
from timonel.testing.builders import PROJECT, make_manifest, open_registry

LIMIT_S = 180.0


class Running:
    """A supervisor used as a library, in a thread of this process."""

    def __init__(self, folder: Path, url: str, engine: Engine, **settings: Any) -> None:
        chosen: dict[str, Any] = {"port": 0, "role": "predict", "native_processes": 0} | settings
        config = ServeConfig(
            folder=folder,
            project=PROJECT,
            database_url=url,
            state=folder,
            settings=Settings(**chosen),
        )
        self.notices: list[tuple[str, Mapping[str, Any]]] = []
        self.supervisor = Supervisor(
            config,
            lambda folders, drainer_id: Drainer(
                engine,
                project=PROJECT,
                folders=folders,
                drainer_id=drainer_id,
                accumulators=default_accumulators(engine, PROJECT),
                clock=AffineClock(),
            ),
            lambda kind, facts: self.notices.append((kind, facts)),
        )
        self.left: int | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.left = self.supervisor.run()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.supervisor.stop()
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.notices if kind != Notice.LOG]


def until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.01)


@contextmanager
def running(folder: Path, url: str, engine: Engine, **settings: Any) -> Iterator[Running]:
    server = Running(folder, url, engine, **settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def prepared(sqlite_database: str) -> Iterator[tuple[Engine, Registry]]:
    with open_registry(sqlite_database) as (engine, registry):
        registry.declare(make_manifest())
        yield engine, registry


def test_it_serves_reports_and_stops(
    tmp_path: Path, sqlite_database: str, prepared: tuple[Engine, Registry]
) -> None:
    engine, _ = prepared
    with running(tmp_path, sqlite_database, engine, workers=2) as server:
        assert server.supervisor.ready.wait(LIMIT_S)
        url = server.supervisor.url
        assert httpx.get(f"{url}/readyz").json()["status"] == "ready"
        answer = httpx.post(f"{url}/v1/models/churn/predict", json={"inputs": {"visits": 1}})
        assert answer.json()["source"] == "baseline"
        until(lambda: len(live_processes(engine, PROJECT)) == 2)
        said = httpx.get(f"{url}/v1/models")
        assert (said.status_code, said.json()["code"]) == (404, "route_not_here")
    assert server.left == 0
    assert server.kinds() == [Notice.LISTENING, Notice.READY, Notice.STOPPING, Notice.STOPPED]
    assert live_processes(engine, PROJECT) == []
    for kind, facts in server.notices:
        assert text_of(kind, facts) != text_of(kind, facts, "es") or kind == Notice.LOG
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/livez")


def test_a_second_supervisor_is_refused_before_it_starts_anything(
    tmp_path: Path, sqlite_database: str, prepared: tuple[Engine, Registry]
) -> None:
    engine, _ = prepared
    with running(tmp_path, sqlite_database, engine) as server:
        assert server.supervisor.ready.wait(LIMIT_S)
        with pytest.raises(StateInUse):
            Running(tmp_path, sqlite_database, engine).supervisor.run()
        other = tmp_path / "other"
        port = int(server.supervisor.url.rpartition(":")[2])
        second = Running(other, sqlite_database, engine, port=port)
        with pytest.raises(PortBusy):
            second.supervisor.run()
        assert not second.notices
        assert httpx.get(f"{server.supervisor.url}/livez").status_code == 200


def test_a_remote_host_is_refused_without_a_key(
    tmp_path: Path, sqlite_database: str, prepared: tuple[Engine, Registry]
) -> None:
    engine, _ = prepared
    for settings in ({}, {"allow_remote": True}, {"admin_key": "k" * 32}):
        server = Running(tmp_path, sqlite_database, engine, host="0.0.0.0", **settings)
        with pytest.raises(RemoteHostRefused):
            server.supervisor.run()


def test_without_a_control_process_yet_its_routes_say_so(
    tmp_path: Path, sqlite_database: str, prepared: tuple[Engine, Registry]
) -> None:
    engine, _ = prepared
    # the folder holds no project, so the control process ends again and again
    with running(tmp_path, sqlite_database, engine, role="all") as server:
        assert server.supervisor.ready.wait(LIMIT_S)
        until(lambda: Notice.WORKER_DIED in server.kinds())
        url = server.supervisor.url
        said = httpx.get(f"{url}/v1/models", headers={"Accept-Language": "es"})
        assert (said.status_code, said.json()["code"]) == (503, "control_unavailable")
        answer = httpx.post(f"{url}/v1/models/churn/predict", json={"inputs": {"visits": 1}})
        assert answer.status_code == 200
    facts = next(facts for kind, facts in server.notices if kind == Notice.WORKER_DIED)
    assert facts["process"] == "control"
    assert "timonel.toml" in facts["cause"]


def test_a_worker_that_cannot_start_is_told_with_its_reason(
    tmp_path: Path, sqlite_database: str, prepared: tuple[Engine, Registry]
) -> None:
    engine, _ = prepared
    (tmp_path / "spool" / "slot-0").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics").mkdir()  # where its counters should be is a folder
    with running(tmp_path, sqlite_database, engine) as server:
        until(lambda: Notice.CRASH_LOOP in server.kinds())
        assert not server.supervisor.ready.is_set()
        (tmp_path / "run" / "metrics").rmdir()
        assert server.supervisor.ready.wait(LIMIT_S)
    facts = next(facts for kind, facts in server.notices if kind == Notice.CRASH_LOOP)
    assert "IsADirectoryError" in facts["cause"]


def test_a_second_stop_hastens_the_first(
    tmp_path: Path, sqlite_database: str, prepared: tuple[Engine, Registry]
) -> None:
    engine, _ = prepared
    server = Running(tmp_path, sqlite_database, engine)
    server.start()
    assert server.supervisor.ready.wait(LIMIT_S)
    host, port = server.supervisor.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as half:
        # a request that never ends would be waited for
        half.sendall(b"POST /v1/models/churn/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n")
        half.sendall(b"\r\n{")
        time.sleep(0.2)
        server.supervisor.stop()
        until(lambda: Notice.STOPPING in server.kinds())
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 60.0


def test_slots_of_dead_workers_are_drained(
    tmp_path: Path, sqlite_database: str, prepared: tuple[Engine, Registry]
) -> None:
    engine, _ = prepared
    with running(tmp_path, sqlite_database, engine) as server:
        assert server.supervisor.ready.wait(LIMIT_S)
        url = f"{server.supervisor.url}/v1/models/churn/predict"
        for _ in range(5):
            assert httpx.post(url, json={"inputs": {"visits": 1}}).status_code == 200
        (tmp_path / "spool" / "slot-0").rename(tmp_path / "spool" / "slot-7")
        (tmp_path / "spool" / "slot-0").mkdir()
    with running(tmp_path, sqlite_database, engine) as server:
        assert server.supervisor.ready.wait(LIMIT_S)
    assert server.left == 0
    assert not list((tmp_path / "spool").glob("slot-*/*.spool"))
