"""The thread that delivers what waits, when the server is back."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from timonel.client.core import Failure, Reply, Send
from timonel.client.queue import Batch, Parcel, Queue

Exchange = Callable[[Send], Reply | Failure]

_FIRST_S, _LONGEST_S = 0.5, 30.0
# the request is wrong, not what is in it: it waits for a key, a model, a route
_NOT_THE_ROW = frozenset((401, 403, 404, 405, 408, 429))
_log = logging.getLogger("timonel.client")


class Courier:
    """Delivers a queue in the background; a second delivery of anything counts once.

    Parameters
    ----------
    queue : Queue
    exchange : callable
        Sends one request; used by one thread at a time.
    timeout_s : float
    """

    def __init__(self, queue: Queue, exchange: Exchange, timeout_s: float) -> None:
        self._queue = queue
        self._exchange = exchange
        self._timeout_s = timeout_s
        self._delivering = threading.Lock()
        self._stop = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self.trouble: str | None = None

    def start(self) -> None:
        """Begin to deliver; does nothing while it does (after a fork it begins anew)."""
        with self._starting:
            if self._stop.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._run, name="timonel-courier", daemon=True)
            self._thread.start()

    def deliver(self) -> int:
        """Deliver what can be delivered now; give how many still wait."""
        passed: set[str] = set()
        with self._delivering:
            while (batch := self._queue.take(passed)) is not None:
                if not self._deliver(batch):
                    break
        return self._queue.waiting()

    def stop(self) -> None:
        """End the thread; what it is delivering ends first."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(self._timeout_s + 1.0)

    def _run(self) -> None:
        pause_s = _FIRST_S
        while not self._stop.is_set():
            try:
                left = self.deliver() if self._queue.waiting() else 0
            except Exception as error:  # noqa: BLE001 - what waits, waits on; it is told
                left = 1
                self._say(f"{type(error).__name__}: {error}")
            pause_s = min(pause_s * 2, _LONGEST_S) if left else _FIRST_S
            self._stop.wait(pause_s)

    def _deliver(self, batch: Batch) -> bool:
        """Deliver a batch; False where the server is away, and others need not be tried."""
        refused: list[tuple[Parcel, dict[str, Any]]] = []
        try:
            for page in _pages(batch.parcels):
                trouble, away = self._page(page, refused)
                if trouble is not None:
                    self._say(trouble)
                    batch.keep()
                    return not away
        except BaseException:
            batch.keep()
            raise
        batch.done(refused)
        self.trouble = None
        for parcel, problem in refused:
            _log.error("the server refused %s: %s", parcel.path, problem.get("detail", problem))
        return True

    def _page(
        self, page: list[Parcel], refused: list[tuple[Parcel, dict[str, Any]]]
    ) -> tuple[str | None, bool]:
        """Deliver parcels of one place: all at once, and where one is refused, one by one."""
        body = {page[0].name: [parcel.body for parcel in page]}
        found = self._exchange(Send("POST", page[0].path, body, self._timeout_s))
        if isinstance(found, Failure):
            return found.cause, True
        if found.status < 300:
            return None, False
        if found.status >= 500 or found.status in _NOT_THE_ROW:
            return f"status {found.status}: {found.document}"[:300], found.status >= 500
        if len(page) == 1:
            problem = found.document
            refused.append((page[0], problem if isinstance(problem, dict) else {"detail": problem}))
            return None, False
        for parcel in page:
            trouble, away = self._page([parcel], refused)
            if trouble is not None:
                return trouble, away
        return None, False

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            _log.warning("answers wait for their delivery: %s", trouble)
        self.trouble = trouble


def _pages(parcels: Sequence[Parcel]) -> Iterator[list[Parcel]]:
    by_place: dict[tuple[str, str], list[Parcel]] = {}
    for parcel in parcels:
        by_place.setdefault((parcel.path, parcel.name), []).append(parcel)
    yield from by_place.values()
