"""Drainers in threads: they outlive a database that is away, and at the end say what is left."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from timonel.events.intake import lag_bytes
from timonel.serving.processes.notices import Notice, OnNotice


class Drained(Protocol):
    """What one round of a drainer did; of it only the rest matters here."""

    @property
    def lag_bytes(self) -> int:
        """Bytes of its spools that no transaction holds yet."""
        ...


class SpoolDrainer(Protocol):
    """Carries the frames of some spools into the database, each exactly once.

    Both methods are called from one thread at a time, may raise when the database is away, and
    may then be called again: what is committed is not repeated. ``failure`` is read by others.
    """

    failure: str | None
    """Why ``run`` makes no progress at the moment; None: it does."""

    def drain_once(self) -> Drained:
        """Drain what is there now."""
        ...

    def run(self, stop: threading.Event) -> None:
        """Drain until told to stop."""
        ...


DrainerFactory = Callable[[Sequence[Path], str], SpoolDrainer]


class DrainerThreads:
    """One drainer for every two workers, each in its thread, over all slots.

    Parameters
    ----------
    factory : callable
        Makes a drainer from its spool folders and its id.
    slots : sequence of Path
        Spool folders of living and of earlier workers.
    n_workers : int
    owner : str
        Prefix of the drainers' ids; the same at each start from the same state folder.
    notify : callable
    """

    def __init__(
        self,
        factory: DrainerFactory,
        slots: Sequence[Path],
        *,
        n_workers: int,
        owner: str,
        notify: OnNotice,
    ) -> None:
        n_drainers = (n_workers + 1) // 2
        self._factory = factory
        self._parts = {
            f"{owner}-{index}": list(slots[index::n_drainers]) for index in range(n_drainers)
        }
        self._notify = notify
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._running: dict[str, SpoolDrainer] = {}
        self._left: dict[str, int] = {}
        self._give_up = threading.Event()
        self._told: dict[str, str | None] = {}

    def start(self) -> None:
        """Begin to drain; a second call does nothing."""
        if self._threads:
            return
        for drainer_id, folders in self._parts.items():
            thread = threading.Thread(
                target=self._drain_on, args=(folders, drainer_id), name=drainer_id, daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def check(self) -> None:
        """Tell of drainers that make no progress; once for each failure."""
        for drainer_id, drainer in list(self._running.items()):
            failure = drainer.failure
            if failure is not None and self._told.get(drainer_id) is None:
                self._fail(drainer_id, failure)
            self._told[drainer_id] = failure

    def finish(self, timeout_s: float, hastened: Callable[[], bool]) -> int:
        """Drain what is left, until nothing is, the time is up, or there is no time.

        Returns
        -------
        int
            Bytes that remain in the spools, 0 when all is in the database.
        """
        self.start()
        self._stop.set()
        until = time.monotonic() + timeout_s
        while any(thread.is_alive() for thread in self._threads):
            if time.monotonic() > until or hastened():
                self._give_up.set()
                break
            time.sleep(0.01)
        # a drainer that is still in a transaction leaves it undone, and the frames where they are
        return sum(
            self._left.get(drainer_id, lag_bytes(folders, {}))
            for drainer_id, folders in self._parts.items()
        )

    def _drain_on(self, folders: list[Path], drainer_id: str) -> None:
        """Drain until told to stop, and then to the end; the thread's work."""
        pause_s = 0.2
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                drainer = self._factory(folders, drainer_id)
                self._running[drainer_id] = drainer
                drainer.run(self._stop)
            except Exception as error:  # noqa: BLE001 - predictions wait in the spool, we try again
                self._fail(drainer_id, _say(error))
            pause_s = 0.2 if time.monotonic() - began > 10.0 else min(pause_s * 2, 5.0)
            self._stop.wait(pause_s)
        while True:
            try:
                left = self._factory(folders, drainer_id).drain_once().lag_bytes
            except Exception as error:  # noqa: BLE001 - the database may be back before the limit
                left = lag_bytes(folders, {})
                self._fail(drainer_id, _say(error))
            self._left[drainer_id] = left
            if not left or self._give_up.wait(0.2):
                return

    def _fail(self, drainer_id: str, reason: str) -> None:
        self._notify(Notice.DRAIN_FAILED, {"drainer": drainer_id, "reason": reason})


def _say(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"[:300]
