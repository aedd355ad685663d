"""What watches the models and mends them, for the Overview: drift, alerts, retraining."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select

from timonel.alerts.alert import Alert, State, rank
from timonel.alerts.rows import Choice
from timonel.experiments.design import State as Stage
from timonel.jobs.job import ENDED, Job, JobState, StepState
from timonel.monitoring.drift_check import ANSWERS, FEATURES
from timonel.monitoring.verdicts import Verdict, VerdictState, read_verdicts
from timonel.retraining.pipeline import KIND, STEPS
from timonel.store.engine import reading
from timonel.store.reads_windows import HOUR_US
from timonel.store.tables_experiments import experiments
from timonel.store.tables_loop import jobs, verdicts

if TYPE_CHECKING:
    from timonel.app import App

LOOP_DAYS = 7
_LOOK_BACK_US = 35 * 24 * HOUR_US
_MOST_ALERTS = 200


@dataclass(frozen=True, slots=True)
class Drift:
    """The newest judged window of a version; ``columns`` are those that drifted, worst first."""

    state: VerdictState
    start_us: int
    end_us: int
    n: int
    n_columns: int
    columns: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Retraining:
    """The newest retraining of a model, and the step it is at while it runs."""

    job: Job
    step: str | None
    n_done: int

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.job.state not in ENDED

    @property
    def n_steps(self) -> int:
        """How many steps there are."""
        return len(STEPS)


@dataclass(frozen=True, slots=True)
class Counts:
    """What the loop did in the last days: windows judged, alerts firing, retrainings begun.

    ``experiments`` are the names of those that run now.
    """

    n_windows: int
    n_firing: int
    n_retrainings: int
    n_running: int
    experiments: tuple[str, ...]


def read_drift(app: "App", model: str, version: str, now_us: int) -> Drift | None:
    """Read what the newest window of a version showed; None before one is judged."""
    with reading(app.engine) as connection:

        def of(monitor: str, since_us: int, subject: str | None = None) -> list[Verdict]:
            return read_verdicts(
                connection,
                app.name,
                model,
                monitor,
                since_us=since_us,
                versions=[version],
                subject=subject,
            )

        windows = of(FEATURES, now_us - _LOOK_BACK_US, "")
        if not windows:
            return None
        newest = windows[0]
        columns = [
            verdict
            for monitor in (FEATURES, ANSWERS)
            for verdict in of(monitor, newest.start_us)
            if verdict.subject and verdict.start_us == newest.start_us
        ]
    found = sorted((v for v in columns if v.found), key=lambda v: -(v.effect or 0.0))
    return Drift(newest.state, newest.start_us, newest.end_us, newest.n, len(columns), tuple(found))


def read_retraining(app: "App", model: str) -> Retraining | None:
    """Read a model's newest retraining; None where there was none."""
    found = app.jobs.list(model=model, kind=KIND, limit=1)
    if not found:
        return None
    job = found[0]
    steps = [] if job.state in ENDED else app.jobs.steps(job.job_id)
    running = [step.step for step in steps if step.state is StepState.RUNNING]
    n_done = sum(step.state is StepState.DONE for step in steps)
    return Retraining(job, running[-1] if running else None, n_done)


def read_firing(app: "App") -> tuple[Alert, ...]:
    """Read the alerts that nobody has taken, the most urgent first."""
    found = app.alerts.list(Choice(states=(State.FIRING,), limit=_MOST_ALERTS))
    return tuple(sorted(found, key=lambda alert: (-rank(alert.severity), -alert.alert_id)))


def read_counts(app: "App", firing: Sequence[Alert], now_us: int) -> Counts:
    """Count what the loop did in the last days of event time."""
    since_us = now_us - LOOP_DAYS * 24 * HOUR_US
    with reading(app.engine) as connection:
        return Counts(
            n_windows=_windows(connection, app.name, since_us),
            n_firing=len(firing),
            n_retrainings=_retrainings(connection, app.name, since_us, None),
            n_running=_retrainings(connection, app.name, 0, JobState.RUNNING),
            experiments=_experiments(connection, app.name),
        )


def _experiments(connection: Connection, project: str) -> tuple[str, ...]:
    e = experiments.c
    active = str(Stage.ACTIVE)
    query = select(e.name).where(e.project == project, e.state == active).order_by(e.name)
    return tuple(connection.scalars(query))


def _windows(connection: Connection, project: str, since_us: int) -> int:
    v = verdicts.c
    query = select(func.count()).where(
        v.project == project, v.monitor == FEATURES, v.subject == "", v.window_end > since_us
    )
    return int(connection.scalar(query) or 0)


def _retrainings(
    connection: Connection, project: str, since_us: int, state: JobState | None
) -> int:
    j = jobs.c
    query = select(func.count()).where(
        j.project == project, j.kind == KIND, j.created_at >= since_us
    )
    if state is not None:
        query = query.where(j.state == str(state))
    return int(connection.scalar(query) or 0)
