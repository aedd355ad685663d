"""The worker: first trainings, jobs, checks, and the chores that keep the event log whole.

It never drains a spool and holds nothing of its own: it may be killed and started at any time, and
several may run side by side.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from timonel.app import App, Published, host_name
from timonel.errors import TimonelError
from timonel.events.outcomes import adopt_parked, expire_parked, mature_absent
from timonel.jobs.runner import JobRunner
from timonel.monitoring.series.recorded import remove_old
from timonel.registry.manifest import decode_manifest
from timonel.serving.processes.memory import WORKER, measure_host, this_process
from timonel.store.control import report_readings
from timonel.wire.errors import UnexpectedFailure

DELIVER_EVERY_S = 1.0
DELIVERY_GRACE_S = 2.0
RETRY_FIRST_S = 60.0
RETRY_MOST_S = 3600.0
TIDY_EVERY_S = 3600.0
DAY_US = 86_400_000_000

_log = logging.getLogger(__name__)

Report = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Retry:
    """When a failed first training is tried again (seconds of the monotonic clock)."""

    at: float
    wait_s: float

    def later(self, now: float) -> "Retry":
        """Give the next try, twice as far away, at most an hour."""
        wait_s = min(self.wait_s * 2, RETRY_MOST_S)
        return Retry(now + wait_s, wait_s)


class Worker:
    """Does what is due, again and again, and reports what it did.

    Parameters
    ----------
    app : App
    report : callable
        ``(kind, facts)``: "training", "trained", "training_failed", "matured", "checked",
        "chore_failed", and what ``JobRunner`` reports.
    """

    def __init__(self, app: App, report: Report) -> None:
        self._app = app
        self._report = report
        self._retries: dict[str, Retry] = {}
        self._matured_until: dict[str, int] = {}
        self._tidy_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set; one failing chore never stops the others."""
        jobs = threading.Thread(target=self._jobs().run, args=(stop,), name="jobs")
        jobs.start()
        # a thread of its own: a dead receiver may take its ten seconds
        deliveries = threading.Thread(target=self._deliver, args=(stop,), daemon=True)
        deliveries.start()
        while not stop.is_set():
            self.turn()
            stop.wait(self._app.settings.checks_every_s)
        jobs.join()
        deliveries.join(DELIVERY_GRACE_S)

    def turn(self) -> None:
        """Do everything that is due now."""
        for name in self._untrained():
            self._train_first(name)
        self._attempt("adopt_parked", self._adopt)
        self._attempt("expire_parked", self._expire)
        self._attempt("mature_absent", self._mature)
        self._attempt("memory", self._measure)
        self._attempt("checks", self._check)
        self._attempt("experiments", self._look)
        self._attempt("outcomes", self._pull)
        self._attempt("schedules", self._schedule)
        self._attempt("retraining", self._retrain)
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_EVERY_S
            self._attempt("leftovers", self._tidy)

    def _untrained(self) -> list[str]:
        now = time.monotonic()
        try:
            registered = {version.model for version in self._app.registry.versions()}
            declared = self._app.project.models
        except TimonelError as error:
            self._report("chore_failed", {"chore": "read_project", "error": error})
            return []
        return [
            name
            for name in declared
            if name not in registered and now >= self._retries.get(name, Retry(0.0, 0.0)).at
        ]

    def _train_first(self, name: str) -> None:
        self._report("training", {"model": name})
        try:
            published = self._app.train(name, who=f"{host_name()} (first version)")
        except Exception as failure:  # noqa: BLE001 - a defect in one model's training is told
            error = as_error(failure)
            now = time.monotonic()
            before = self._retries.get(name, Retry(now, RETRY_FIRST_S / 2))
            self._retries[name] = before.later(now)
            self._report("training_failed", {"model": name, "error": error})
        else:
            self._report_trained(published)

    def _report_trained(self, published: Published) -> None:
        self._retries.pop(published.version.model, None)
        self._report("trained", {"published": published})

    def _attempt(self, chore: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as failure:  # noqa: BLE001 - one chore never stops the others
            self._report("chore_failed", {"chore": chore, "error": as_error(failure)})

    def _adopt(self) -> None:
        adopt_parked(self._app.engine, self._app.name, self._app.clock)

    def _expire(self) -> None:
        expire_parked(self._app.engine, self._app.name, self._app.clock)

    def _jobs(self) -> JobRunner:
        worker_id = f"{host_name()}:{os.getpid()}"
        return JobRunner(self._app.jobs, self._app.job_kinds(), worker_id, self._report)

    def _deliver(self, stop: threading.Event) -> None:
        while not stop.wait(DELIVER_EVERY_S):
            self._attempt("alerts", self._deliver_due)

    def _deliver_due(self) -> None:
        self._app.deliver_alerts()  # a channel that failed has raised its own alert

    def _schedule(self) -> None:
        self._app.scheduler.tick()

    def _pull(self) -> None:
        self._app.pulls.consider()

    def _retrain(self) -> None:
        self._app.retraining.consider()

    def _tidy(self) -> None:
        self._app.retraining.remove_leftovers()
        remove_old(self._app.engine, self._app.name, self._app.clock.now_us())

    def _measure(self) -> None:
        app = self._app
        readings = measure_host(this_process(WORKER), (), state=app.state, settings=app.settings)
        report_readings(app.engine, app.name, f"{host_name()[:50]}:{os.getpid()}", readings)

    def _check(self) -> None:
        self._app.checks.run()  # what failed has said so, as a signal

    def _look(self) -> None:
        experiments = self._app.experiments
        for name in experiments.due(self._app.clock.now_us()):
            self._attempt(f"experiment {name}", partial(self._look_at, name))

    def _look_at(self, name: str) -> None:
        look = self._app.experiments.look(name)
        self._report("looked", {"experiment": name, "look": look})

    def _mature(self) -> None:
        for row in self._app.registry.declarations():
            plan = decode_manifest(row.manifest).outcome
            if plan.absent is None:
                continue
            n = mature_absent(
                self._app.engine,
                self._app.name,
                row.model,
                plan,
                self._app.clock,
                after_us=self._matured_until.get(row.model, 0),
            )
            # The next turn looks back a day beyond the horizon only; the first looked at all.
            due = self._app.clock.now_us() - plan.horizon_s * 1_000_000
            self._matured_until[row.model] = due - DAY_US if n == 0 else 0
            if n:
                self._report("matured", {"model": row.model, "n": n, "value": plan.absent})


def as_error(failure: Exception) -> TimonelError:
    """Give an error as it is; a defect of ours is logged and told by the id of its log entry."""
    if isinstance(failure, TimonelError):
        return failure
    error_id = uuid4().hex[:12]
    _log.error("unexpected failure %s", error_id, exc_info=failure)
    return UnexpectedFailure(error_id=error_id)
