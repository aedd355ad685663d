"""What the database is told of the processes of one host."""

import os
import socket
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Engine

from timonel.serving.processes.children import State
from timonel.store.control import ProcessReport, forget_process, report_processes


class ProcessReports:
    """Stores which processes answer, with which generation, and takes the others off the list.

    Parameters
    ----------
    engine : Engine
    project : str
    owner : str
        Names the state folder among all hosts (``owner_name``).
    """

    def __init__(self, engine: Engine, project: str, owner: str) -> None:
        self._engine = engine
        self._project = project
        self._owner = owner
        self._reported: set[str] = set()

    def __call__(self, states: Sequence[State]) -> None:
        """Store the states of now."""
        answering = {f"{self._owner}-{state.name}": state for state in states if state.ready}
        if answering:
            reports = [
                ProcessReport(process_id, state.role, state.generation, pid=state.pid)
                for process_id, state in answering.items()
            ]
            report_processes(self._engine, self._project, reports)
        for process_id in self._reported - set(answering):
            forget_process(self._engine, self._project, process_id)
        self._reported = set(answering)


def owner_name(state: Path) -> str:
    """Name this state folder among all hosts; the same at each start."""
    return f"{socket.gethostname()[:32]}-{sha256(os.fsencode(state)).hexdigest()[:8]}"
