"""Signals with defaults, a book on a fresh database, and an HTTP receiver that misbehaves."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from typing import Any

from sqlalchemy import Engine

from timonel.alerts.book import AlertBook
from timonel.clock import AffineClock
from timonel.signals import Condition, Kind, Severity, Signal
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.store.migrate import upgrade

PROJECT = "harbour"
MINUTE = 60_000_000
START = 1_760_000_000_000_000


def make_signal(minute: float = 0, condition: str = "holds", **changes: Any) -> Signal:
    """Make a signal so many minutes after the start; drift of one column unless told otherwise."""
    values: dict[str, Any] = {
        "kind": Kind.DRIFT_DETECTED,
        "severity": Severity.HIGH,
        "model": "churn",
        "version": "1.0.0",
        "monitor": "feature_drift",
        "column": "visits",
        "facts": {"effect": 0.21, "n": 1200},
    }
    return Signal(
        condition=Condition(condition), at=START + round(minute * MINUTE), **values | changes
    )


def take_at_barrier(url: str, barrier: Barrier, results: "Queue[list[int]]") -> None:
    """Tell of two columns five times each, at the same moment as others; put the alerts' numbers.

    It is importable by name, for processes.
    """
    engine = make_engine(url)
    book = AlertBook(engine, PROJECT, AffineClock())
    barrier.wait(60)
    signals = [
        make_signal(minute, column=column) for column in ("visits", "age") for minute in range(5)
    ]
    results.put([alert.alert_id for signal in signals if (alert := book.take(signal))])
    engine.dispose()


@contextmanager
def open_book(url: str) -> Iterator[tuple[Engine, AlertBook]]:
    """Open the book of a project on a fresh, empty database."""
    engine = make_engine(url)
    try:
        upgrade(engine)
        ensure_project(engine, PROJECT, "America/Santiago")
        yield engine, AlertBook(engine, PROJECT, AffineClock())
    finally:
        engine.dispose()


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What a receiver answers next, and what it got.

    Parameters
    ----------
    url : str
    answers : list of int
        Statuses, the first first; 200 when used up. 0 answers nothing until the end.
    headers : dict
        Sent with each answer.
    received : list of Received
    """

    url: str = ""
    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)


@contextmanager
def open_receiver() -> Iterator[Receiver]:
    """Run a real HTTP receiver on a free port."""
    receiver, ended = Receiver(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(self.path, headers, body))
            status = receiver.answers.pop(0) if receiver.answers else 200
            if status == 0:
                ended.wait(30)
                return
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/alerts"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
