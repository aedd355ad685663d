"""Truths that are fetched by themselves: one scheduled job a model that declares where they land.

A run reads the whole source in a process of its own, which may hang or die: the job is tried again,
and a truth that was entered before changes nothing. One that failed for good is an alert.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from timonel.events.errors import PullStopped
from timonel.events.importing.texts import Fate, counted
from timonel.jobs.endings import failure_of, last_ended
from timonel.jobs.errors import UnknownSchedule
from timonel.jobs.executors import Executor, ProcessExecutor
from timonel.jobs.job import Job, Json, one_per_model
from timonel.jobs.queue import JobQueue
from timonel.jobs.schedule import Scheduler
from timonel.jobs.steps import JobKind, Step, StepContext, run_apart
from timonel.project.model import Model
from timonel.signals import RaiseSignal

KIND = "pull_outcomes"
MONITOR = "outcomes"
FUNCTION = "timonel.pulling:pull"
_PREFIX = "outcomes-"


def result_sentence(result: Json, lang: str) -> str:
    """Say in one line what a run's result is."""
    counts = {fate: result.get(str(fate), 0) for fate in Fate}
    return "; ".join(part.strip() for part in counted(result["rows"], counts, lang))


class Pulls:
    """Starts pulls when they come due, does them, and tells when one has failed.

    Parameters
    ----------
    queue : JobQueue
    scheduler : Scheduler
    models : callable
        The declarations by name.
    folder : Path
        The project's; the process that reads opens it.
    raise_signal : callable
    timeout_s : float
        The longest that a run may take.
    executor : callable
        Gives what runs the reading.
    """

    def __init__(
        self,
        queue: JobQueue,
        scheduler: Scheduler,
        models: Callable[[], Mapping[str, Model]],
        folder: Path,
        raise_signal: RaiseSignal,
        *,
        timeout_s: float,
        executor: Callable[[], Executor] = ProcessExecutor,
    ) -> None:
        self._queue = queue
        self._scheduler = scheduler
        self._models = models
        self._folder = folder
        self._raise_signal = raise_signal
        self._timeout_s = timeout_s
        self._executor = executor

    def consider(self) -> None:
        """Bring the schedules to what the models declare, and say how the last runs ended."""
        declared = {m.name: m for m in self._models().values() if m.outcome.source is not None}
        known = {one.name for one in self._scheduler.list() if one.kind == KIND}
        for name, model in declared.items():
            self._scheduler.put(_PREFIX + name, model.outcome.schedule, KIND, name)
            self._signal(name)
        for name in known - {_PREFIX + model for model in declared}:
            try:
                self._scheduler.remove(name)
            except UnknownSchedule:  # another worker was first
                continue

    def start(self, model: str, *, who: str) -> Job:
        """Enter a run now.

        Raises
        ------
        JobActive
            If one of this model has not ended.
        """
        return self._queue.submit(
            KIND, model=model, unique_key=one_per_model(KIND, model), requested_by=who
        )

    def kind(self) -> JobKind:
        """Make the kind of job that fetches the truths of a model."""
        return JobKind(KIND, (Step("pull", self._pull),))

    def _pull(self, context: StepContext) -> Json:
        model, limit_s = context.job.model, self._timeout_s
        database = context.engine.url.render_as_string(hide_password=False)
        payload = {"folder": str(self._folder), "database": database, "model": model}
        late = PullStopped(model=model, limit_s=limit_s)
        executor = self._executor()
        return run_apart(context, executor, FUNCTION, payload, limit_s=limit_s, too_long=late)

    def _signal(self, model: str) -> None:
        last = last_ended(self._queue.list(model=model, kind=KIND, limit=5))
        if last is not None:
            self._raise_signal(failure_of(last, MONITOR))
