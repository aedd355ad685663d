"""A worker that kills itself at a given moment of a retraining (importable by name)."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from timonel.app import open_app
from timonel.jobs.executors import LocalExecutor
from timonel.jobs.runner import JobRunner
from timonel.retraining.pipeline import retrain_kind


def work_until(folder: Path, url: str, moment: str) -> None:
    """Work on one job.

    ``moment`` is "after <step>" (it was just recorded), "registered" (and not yet recorded),
    "promoted" (and not yet recorded) or "never".
    """
    app = open_app(folder, database_url=url)
    parts = replace(app.retraining.parts, executor=LocalExecutor)
    if moment == "promoted":
        parts = replace(parts, await_generation=_die_waiting)
    if moment == "registered":
        event.listen(Engine, "before_cursor_execute", _die_before_comparisons)
    kind = retrain_kind(parts)

    def report(what: str, facts: dict[str, Any]) -> None:
        if what == "step_finished" and moment == f"after {facts['step']}":
            _die()

    runner = JobRunner(app.jobs, {kind.name: kind}, f"worker {moment}", report)
    runner.run_one()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_waiting() -> tuple[int, int]:
    _die()
    return 0, 0


def _die_before_comparisons(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
    if statement.startswith("INSERT INTO comparisons"):
        _die()
