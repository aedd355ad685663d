"""Looks at all columns together on request: at once (a command), or as a durable job (over HTTP).

A job compares the stretch of time that was asked about, whenever a worker comes to it. Its result
is what was found, as JSON; nothing of it is kept beside the job.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Engine

from timonel.errors import Phrase
from timonel.jobs.job import Job, one_per_model
from timonel.jobs.queue import JobQueue
from timonel.jobs.steps import JobKind, Step, StepContext
from timonel.monitoring.drift.errors import NothingToCompare
from timonel.monitoring.drift.together import Together, look_together
from timonel.monitoring.history import JudgedWindow, drift_windows
from timonel.project.model import Model
from timonel.registry.catalogue import ModelVersion
from timonel.registry.registry import Registry

KIND = "drift_multivariate"
LONGEST_S = 600.0
_NO_VERSION = Phrase("no version is in production", "no hay versión en producción")
_NO_WINDOW = Phrase("no window was judged yet", "aún no se juzga ninguna ventana")


class Asked(NamedTuple):
    """The version in production, and the stretch of the windows that are asked about."""

    version: ModelVersion
    start_us: int
    end_us: int


class RowLooks:
    """Compares logged rows of a project's models with those that their champions learned from.

    Parameters
    ----------
    engine : Engine
    project : str
    registry : Registry
    queue : JobQueue
    model : callable
        Gives a declared model by its name.
    timezone : str
        IANA zone of the project.
    """

    def __init__(
        self,
        engine: Engine,
        project: str,
        registry: Registry,
        queue: JobQueue,
        *,
        model: Callable[[str], Model],
        timezone: str,
    ) -> None:
        self._engine = engine
        self._project = project
        self._registry = registry
        self._queue = queue
        self._model = model
        self._timezone = timezone

    def now(self, model: str, windows: Sequence[JudgedWindow], *, seed: int = 0) -> Together:
        """Compare the rows of windows, which takes seconds."""
        asked = self._asked(model, windows)
        if isinstance(asked, Phrase):
            return Together(model, "", 0, 0, None, asked)
        return self._look(asked, seed)

    def start(self, model: str, *, last: int, seed: int, who: str) -> Job:
        """Enter a job that compares the rows of the windows that are the last now.

        Raises
        ------
        UnknownModel
        NothingToCompare
            If no version is in production, or no window was judged.
        JobActive
            If one of this model has not ended.
        """
        name = self._registry.declaration(model).model
        asked = self._asked(name, drift_windows(self._engine, self._project, name, last))
        if isinstance(asked, Phrase):
            raise NothingToCompare(model=name, why=asked)
        return self._queue.submit(
            KIND,
            model=name,
            payload={
                "version": asked.version.version,
                "window_start": asked.start_us,
                "window_end": asked.end_us,
                "seed": seed,
            },
            unique_key=one_per_model(KIND, name),
            requested_by=who,
        )

    def jobs(self, model: str, limit: int) -> list[Job]:
        """List the jobs of a model, the newest first."""
        return self._queue.list(model=model, kind=KIND, limit=limit)

    def kind(self) -> JobKind:
        """Give the kind of job that such a look is."""
        return JobKind(KIND, (Step("compare", self._run, timeout_s=LONGEST_S),))

    def _run(self, context: StepContext) -> dict[str, Any]:
        given, name = context.payload, context.job.model
        version = self._registry.get(name, given["version"])
        asked = Asked(version, given["window_start"], given["window_end"])
        return self._look(asked, given["seed"]).document()

    def _asked(self, model: str, windows: Sequence[JudgedWindow]) -> Asked | Phrase:
        version = self._registry.champion(model)
        if version is None:
            return _NO_VERSION
        if not windows:
            return _NO_WINDOW
        return Asked(
            version,
            min(window.whole.start_us for window in windows),
            max(window.whole.end_us for window in windows),
        )

    def _look(self, asked: Asked, seed: int) -> Together:
        return look_together(
            self._engine,
            self._project,
            self._model(asked.version.model),
            asked.version,
            start_us=asked.start_us,
            end_us=asked.end_us,
            timezone=self._timezone,
            seed=seed,
        )
