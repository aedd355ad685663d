"""``durability="synced"``: who left while the answer waited for the disk is not answered.

Real sockets and real syncs; the disk is only made to wait until the test lets it go on.
"""

import json
import os
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest
from tests.http import protocols

from timonel.events import spool
from timonel.serving.config import WorkerConfig
from timonel.testing.builders import open_registry
from timonel.testing.listening import Listening, Worker
from timonel.testing.serving import ROW

PREDICT = "/v1/models/churn/predict"
WAIT_S = 20.0


class SlowDisk:
    """Holds syncs back: those of the event loop's thread, and those of the syncing thread."""

    def __init__(self) -> None:
        self.alone, self.grouped = threading.Event(), threading.Event()
        self.reached, self.reached_grouped = threading.Event(), threading.Event()
        self._events = (self.alone, self.grouped, self.reached, self.reached_grouped)

    def sync(self, fd: int) -> None:
        grouped = threading.current_thread().name == "spool-sync"
        (self.reached_grouped if grouped else self.reached).set()
        assert (self.grouped if grouped else self.alone).wait(WAIT_S)
        os.fsync(fd)

    def hold(self, server: Listening) -> None:
        """Begin to hold syncs back, once a first answer has put the spool's own files on disk."""
        for event in self._events:
            event.set()
        with connect(server) as first:
            ask(first)
            assert status_of(first) == 200
        for event in self._events:
            event.clear()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    slow = SlowDisk()
    monkeypatch.setattr(spool, "_datasync", slow.sync)
    return slow


@pytest.fixture
def config(tmp_path: Path) -> Iterator[WorkerConfig]:
    url = f"sqlite:///{tmp_path / 'timonel.db'}"
    with open_registry(url) as (_, registry):
        world = protocols.open_world(tmp_path, url, registry)
        yield world.config(durability="synced")


def connect(server: Listening) -> socket.socket:
    """Give a connection that the server has accepted."""
    made = socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), WAIT_S)
    made.sendall(b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
    assert status_of(made) == 200
    return made


def ask(connection: socket.socket) -> None:
    body = json.dumps({"inputs": ROW}).encode()
    head = f"POST {PREDICT} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)


def status_of(connection: socket.socket) -> int:
    with HTTPResponse(connection) as response:
        response.begin()
        response.read()
        return response.status


def counted(server: Listening) -> dict[str, float]:
    """Give how many requests for predictions ended with which status."""
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    head = 'timonel_requests_total{route="predict",status="'
    found = [line.removeprefix(head) for line in lines if line.startswith(head)]
    return {line.partition('"')[0]: float(line.rpartition(" ")[2]) for line in found}


def test_who_leaves_while_the_loop_itself_syncs(config: WorkerConfig, disk: SlowDisk) -> None:
    with Listening(Worker(config)) as server:
        disk.hold(server)
        disk.grouped.set()
        leaves, stays = connect(server), connect(server)
        ask(leaves)
        assert disk.reached.wait(WAIT_S)
        leaves.close()
        disk.alone.set()
        ask(stays)
        assert status_of(stays) == 200
        stays.close()
        assert counted(server) == {"499": 1.0, "200": 2.0}
    # what was logged before anyone knew that nobody listens stays logged: it was decided
    assert len(protocols.predictions(config)) == 3


def test_who_leaves_while_a_group_is_synced(config: WorkerConfig, disk: SlowDisk) -> None:
    with Listening(Worker(config)) as server:
        disk.hold(server)
        first, leaves, stays = (connect(server) for _ in range(3))
        ask(first)
        assert disk.reached.wait(WAIT_S)  # the loop is held up: the next two come at once
        ask(leaves)
        ask(stays)
        disk.alone.set()
        assert status_of(first) == 200
        assert disk.reached_grouped.wait(WAIT_S)
        leaves.close()
        connect(server).close()  # answered after the server heard of it
        disk.grouped.set()
        assert status_of(stays) == 200
        assert counted(server) == {"499": 1.0, "200": 3.0}
        first.close()
        stays.close()
    assert len(protocols.predictions(config)) == 4
