"""The parts that a retraining works with; ``app`` joins them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from timonel.jobs.executors import Executor, ProcessExecutor
from timonel.project.model import Model
from timonel.registry.artifacts import ArtifactStore
from timonel.registry.registry import Registry
from timonel.signals import RaiseSignal


@dataclass(frozen=True, slots=True)
class Parts:
    """What a retraining reads and changes.

    Parameters
    ----------
    folder : Path
        The project's; the isolated process imports its Python from there.
    model, models : callable
        The declarations, one or all by name; they import the project's modules at first use.
    now_us : callable
        Event time.
    timeout_s : float
        How long the project's code may run in a step.
    executor : callable
        Gives what runs the project's code; one in this process cannot be stopped.
    await_generation : callable
        Waits until all live servers run the present generation; gives (current, live).
    """

    engine: Engine
    name: str
    timezone: str
    folder: Path
    registry: Registry
    artifacts: ArtifactStore
    model: Callable[[str], Model]
    models: Callable[[], Mapping[str, Model]]
    now_us: Callable[[], int]
    raise_signal: RaiseSignal
    await_generation: Callable[[], tuple[int, int]]
    timeout_s: float
    executor: Callable[[], Executor] = ProcessExecutor
