"""Keeping the snapshot in step with the database: a thread that polls one number."""

import logging
import threading
import time
from collections.abc import Callable

from timonel.serving.versions.arms import with_experiments
from timonel.serving.versions.snapshot import Loader, Snapshot
from timonel.store.lean import LeanStore

POLL_S = 0.2
RETRY_S = 5.0  # a version that failed to load may be whole by then: a copy that was under way
_log = logging.getLogger("timonel.serving")


class Reloader:
    """Polls the generation every 200 ms and swaps the snapshot when it changed.

    ``current`` is None until the first snapshot is made; reading it is safe from any thread.
    While the database cannot be reached the last snapshot serves on.

    Parameters
    ----------
    store : LeanStore
    loader : Loader
    project : str
    on_change : callable
        Called in the polling thread with each new snapshot, after the swap.
    """

    def __init__(
        self, store: LeanStore, loader: Loader, project: str, on_change: Callable[[Snapshot], None]
    ) -> None:
        self._store = store
        self._loader = loader
        self._project = project
        self._on_change = on_change
        self._stop = threading.Event()
        self._first = threading.Event()
        self._retry_at = 0.0
        self._thread = threading.Thread(target=self._run, name="reload", daemon=True)
        self.current: Snapshot | None = None
        self.trouble: str | None = None
        self.seen_at = 0.0  # real time of the last successful read

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def wait_first(self, timeout_s: float) -> bool:
        """Wait for the first snapshot, or for the first failure to make one."""
        self._first.wait(timeout_s)
        return self.current is not None

    def stop(self) -> None:
        """End the thread and close the store."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(5.0)
        self._store.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - serving goes on with what it has
                self._note(f"{type(error).__name__}: {error}")
            else:
                self._note(None)
            self._first.set()
            self._stop.wait(POLL_S)

    def _look(self) -> None:
        generation = self._store.generation(self._project)
        self.seen_at = time.time()
        before = self.current
        if before is not None and before.generation == generation and not self._again(before):
            return
        rows = self._store.serving_rows(self._project)
        experiments = self._store.experiment_rows(self._project)
        clock = self._store.clock(self._project)
        keys = self._store.key_rows(self._project)
        # Rows read after the number may be newer than it: the next poll then reads them once more.
        snapshot = with_experiments(
            self._loader.build(generation, rows, clock, before, keys), experiments
        )
        self._retry_at = time.monotonic() + RETRY_S
        self.current = snapshot
        for fault in snapshot.faults:
            if before is None or fault not in before.faults:
                _log.error(
                    "cannot serve %s %s@%s: %s",
                    fault.alias,
                    fault.model,
                    fault.version,
                    fault.reason,
                    extra={"model": fault.model, "version": fault.version},
                )
        _log.info("serving generation %d", generation, extra={"generation": generation})
        self._on_change(snapshot)

    def _again(self, before: Snapshot) -> bool:
        return bool(before.faults) and time.monotonic() >= self._retry_at

    def _note(self, trouble: str | None) -> None:
        if trouble is not None and trouble != self.trouble:
            _log.warning("cannot read what to serve: %s", trouble)
        self.trouble = trouble
