"""The parts that a retraining works with; ``app`` joins them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from timonel.project.project import Project
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
    project : callable
        The declarations as they are now; imports the project's modules at the first call.
    now_us : callable
        Event time.
    timeout_s : float
        How long the project's code may run in a step.
    await_generation : callable
        Waits until all live servers run the present generation; gives (current, live).
    """

    engine: Engine
    name: str
    timezone: str
    folder: Path
    registry: Registry
    artifacts: ArtifactStore
    project: Callable[[], Project]
    now_us: Callable[[], int]
    raise_signal: RaiseSignal
    await_generation: Callable[[], tuple[int, int]]
    timeout_s: float
