"""What a host knows beside its workers' counters, written again and again for scrapers.

Any worker that is scraped adds this text to its own: all of them say the same. The spools' lag,
memory and disk are of this host, and measured also while the database is away. What is read from it
is left out once it is older than a minute, but for the project's own counters: they do not go back.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import Engine

from timonel.clock import AffineClock
from timonel.errors import TimonelError
from timonel.events.lag import SpoolLag
from timonel.events.recorded.counting import read_totals
from timonel.serving.processes.scraped import (
    host_exposition,
    lag_exposition,
    recorded_exposition,
    watched_exposition,
)
from timonel.store.control import HostReading, read_clock
from timonel.store.engine import reading
from timonel.store.reads_windows import read_alert_counts, read_last_drift, read_waiting_messages

LOOK_S = 2.0  # how late a scraper sees what was drained and what waits
WATCHED_S = 15.0  # the same for drift and alerts, which change by the hour and the minute
STALE_S = 60.0

_log = logging.getLogger("timonel.serving")


class Exposing:
    """Writes the text in a thread of its own.

    Parameters
    ----------
    engine : Engine
    project : str
    owner : str
        Prefix of the drainers of this host: the project's own metrics are those that they stored.
    folders : sequence of Path
        The spools of this host.
    file : Path
    measure : callable
        Measures memory and disk.
    """

    def __init__(
        self,
        engine: Engine,
        project: str,
        owner: str,
        folders: Sequence[Path],
        file: Path,
        measure: Callable[[], Sequence[HostReading]],
    ) -> None:
        self._engine = engine
        self._project = project
        self._owner = owner
        self._file = file
        self._measure = measure
        self._lag = SpoolLag(folders, project)
        self._clock: AffineClock | None = None
        self._recorded = ""
        self._watched = ""
        self._watched_at = -STALE_S
        self._failing = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="exposing", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Write once more, then end; a second call does nothing."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def look(self) -> None:
        """Read what is known now, and write it."""
        try:
            self._read()
            self._failing = False
        except TimonelError as error:  # the database is away, which others say louder
            if not self._failing:
                _log.warning("drift and alerts are not exposed meanwhile: %s", error)
            self._failing = True
        if time.monotonic() - self._watched_at > STALE_S:
            self._watched = ""
        hidden = self._file.with_suffix(".tmp")
        here = lag_exposition(self._lag.look(), self._clock) + host_exposition(self._measure())
        hidden.write_text(here + self._watched + self._recorded, "utf-8")
        hidden.replace(self._file)

    def _read(self) -> None:
        self._clock = read_clock(self._engine, self._project)
        with reading(self._engine) as connection:
            self._lag.learn(connection)
            self._recorded = recorded_exposition(
                read_totals(connection, self._project, self._owner)
            )
            if time.monotonic() - self._watched_at > WATCHED_S:
                self._watched = watched_exposition(
                    read_last_drift(connection, self._project),
                    read_alert_counts(connection, self._project),
                    read_waiting_messages(connection, self._project),
                )
                self._watched_at = time.monotonic()

    def _run(self) -> None:
        last_round = False
        while not last_round:
            last_round = self._ending.wait(LOOK_S)
            try:
                self.look()
            except Exception:  # noqa: BLE001 - a scrape without this is better than none
                _log.exception("what scrapers read could not be written")
