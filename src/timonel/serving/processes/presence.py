"""Telling the database which processes serve, and which generation each runs."""

import threading
from collections.abc import Callable, Sequence

from timonel.serving.processes.children import State
from timonel.serving.processes.notices import Notice, OnNotice

RENEW_S = 1.0


class Presence:
    """Writes states in a thread of its own, so that a slow database never delays the watch.

    Parameters
    ----------
    write : callable
        Stores the states of all children; may raise when the database is away.
    notify : callable
    """

    def __init__(self, write: Callable[[Sequence[State]], None], notify: OnNotice) -> None:
        self._write = write
        self._notify = notify
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._latest: tuple[State, ...] = ()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def update(self, states: Sequence[State]) -> None:
        """Take note of the present states; a change is written at once, the rest each second."""
        latest = tuple(states)
        if latest != self._latest:
            self._latest = latest
            self._wake.set()

    def stop(self, timeout_s: float) -> None:
        """Write what was noted last, then end."""
        self._ending.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        failing = False
        last_round = False
        while not last_round:
            self._wake.wait(RENEW_S)
            self._wake.clear()
            last_round = self._ending.is_set()
            latest = self._latest
            try:
                self._write(latest)
            except Exception as error:  # noqa: BLE001 - serving goes on without the database
                if not failing:
                    reason = f"{type(error).__name__}: {error}"
                    self._notify(Notice.REPORT_FAILED, {"reason": reason})
                failing = True
                self._ending.wait(RENEW_S)
            else:
                failing = False
