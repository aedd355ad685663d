"""Keeps a claimed job's lease while it is worked on, and pulls the leash when it is to stop."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from timonel.errors import TimonelError
from timonel.jobs.errors import LeaseLost
from timonel.jobs.job import Claim, Standing
from timonel.jobs.queue import JobQueue
from timonel.jobs.steps import Leash, Step, WorkerStopping, reason_to_stop, timed_out

_BEATS_A_LEASE = 5
_LOOK_S = 0.25  # how soon the end of a step's time, or of the worker, is seen


class LeaseKeeper:
    """A thread that beats; a context around the work on one job.

    Parameters
    ----------
    queue : JobQueue
    claim : Claim
    leash : Leash
    stop : threading.Event or None
        Set when the worker is to end.
    on_overdue : callable
        Told of a step that has used up its time and that nothing can stop; called again until it
        does not raise a ``TimonelError``.
    """

    def __init__(
        self,
        queue: JobQueue,
        claim: Claim,
        leash: Leash,
        stop: threading.Event | None,
        on_overdue: Callable[[TimonelError], None],
    ) -> None:
        self._queue = queue
        self._claim = claim
        self._leash = leash
        self._stop = stop
        self._on_overdue = on_overdue
        self._done = threading.Event()
        self._step: tuple[Step, float] | None = None
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def watch(self, step: Step | None) -> None:
        """Measure a step's time from now on; None: between steps."""
        self._step = None if step is None else (step, time.monotonic())

    def _keep(self) -> None:
        interval = self._claim.lease_s / _BEATS_A_LEASE
        held_at = time.monotonic()
        beat_at = held_at + interval
        while not self._done.wait(min(_LOOK_S, interval)):
            now = time.monotonic()
            if self._stop is not None and self._stop.is_set():
                self._leash.pull(WorkerStopping())
            if self._end_overdue(now):
                return
            if now < beat_at:
                continue
            beat_at = now + interval
            standing = self._beat()
            if standing is not None:
                held_at = now
                reason = reason_to_stop(standing, self._claim)
                if reason is not None:
                    self._leash.pull(reason)
            if standing is Standing.LOST:
                return
            if now - held_at > self._claim.lease_s:
                lost = LeaseLost(job_id=self._claim.job.job_id, worker_id=self._claim.worker_id)
                self._leash.pull(lost)

    def _beat(self) -> Standing | None:
        try:
            return self._queue.standing(self._claim, extend=True)
        except TimonelError:  # no answer for a while is not the end; the lease's end is
            return None

    def _end_overdue(self, now: float) -> bool:
        watched = self._step
        if watched is None:
            return False
        step, began = watched
        if step.timeout_s is None or now - began <= step.timeout_s:
            return False
        error = timed_out(step, self._claim)
        self._leash.pull(error)
        if step.isolated:  # its process is killed, and the runner says why
            return False
        try:
            self._on_overdue(error)
        except TimonelError:
            return False
        return True
