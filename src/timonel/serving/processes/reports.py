"""What the database is told of the processes of one host."""

import os
import socket
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from time import monotonic

from sqlalchemy import Engine

from timonel.access.book import KeyBook
from timonel.access.usage import KeyUsage
from timonel.serving.processes.children import State
from timonel.store.control import (
    HostReading,
    ProcessReport,
    forget_process,
    report_processes,
    report_readings,
)

USES_S = 5.0  # how late the last use of a key, and what was measured, is known


class ProcessReports:
    """Stores which processes answer, with which generation, and takes the others off the list.

    Parameters
    ----------
    engine : Engine
    project : str
    owner : str
        Names the state folder among all hosts (``owner_name``).
    usage : KeyUsage
        What is known here of keys; when each was used last is stored along, every five seconds.
    measure : callable
        Measures memory and disk; stored along too.
    """

    def __init__(
        self,
        engine: Engine,
        project: str,
        owner: str,
        usage: KeyUsage,
        measure: Callable[[], Sequence[HostReading]],
    ) -> None:
        self._engine = engine
        self._project = project
        self._owner = owner
        self._reported: set[str] = set()
        self._keys = KeyBook(engine, project)
        self._usage = usage
        self._uses: dict[bytes, int] = {}
        self._uses_told_at = 0.0
        self._measure = measure

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
        if not states or monotonic() - self._uses_told_at > USES_S:
            self._report_uses()
            readings = self._measure() if states else ()
            report_readings(self._engine, self._project, self._owner, readings)

    def _report_uses(self) -> None:
        uses = self._usage.last_uses()
        if uses != self._uses:
            self._keys.note_uses(uses)
        self._uses, self._uses_told_at = uses, monotonic()


def owner_name(state: Path) -> str:
    """Name this state folder among all hosts; the same at each start."""
    return f"{socket.gethostname()[:32]}-{sha256(os.fsencode(state)).hexdigest()[:8]}"
