"""The serving half of the composition root: what a host needs to answer, and nothing to train.

It imports no table library, no training library and no web framework, so it runs where only
``timonel-serve`` is installed. ``timonel.app`` adds the rest.
"""

import getpass
import socket
from collections.abc import Container, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from timonel.access.book import KeyBook, stored_gate
from timonel.access.gate import Gate
from timonel.access.usage import KeyUsage
from timonel.clock import AffineClock
from timonel.events.accumulators import Accumulator, default_accumulators
from timonel.events.drain import Drainer
from timonel.experiments.counting.cells import ExperimentCells
from timonel.project.config import ProjectConfig, read_settings
from timonel.registry.artifacts import ArtifactStore
from timonel.registry.registry import Registry
from timonel.serving.embedding.keeper import Keeper
from timonel.serving.processes.children import Command, python
from timonel.serving.processes.launch import ServeConfig
from timonel.serving.processes.notices import OnNotice
from timonel.serving.processes.ports import is_loopback
from timonel.serving.processes.slots import StateFolder
from timonel.serving.supervisor import Supervisor
from timonel.settings import Settings
from timonel.store.control import await_generation, ensure_project, read_clock
from timonel.store.engine import make_engine
from timonel.store.migrate import require_current, upgrade


class Host:
    """A project's database, artifacts and processes; its Python is never imported.

    Parameters
    ----------
    folder : Path
        The project's folder (it holds ``timonel.toml``).
    config : ProjectConfig
        What ``timonel.toml`` says.
    settings : Settings
    """

    def __init__(self, folder: Path, config: ProjectConfig, settings: Settings) -> None:
        self.folder = folder
        self.config = config
        self.settings = settings
        self.state = folder / settings.state
        self.artifacts = ArtifactStore(self.state / "artifacts")

    @property
    def name(self) -> str:
        """The project's name, as every row carries it."""
        return self.config.name

    @property
    def database_url(self) -> str:
        """The database: the one of the settings, else SQLite in the state folder."""
        return self.settings.database_url or f"sqlite:///{self.state.resolve()}/timonel.db"

    @cached_property
    def engine(self) -> Engine:
        """The connection pool; made at first use."""
        if self.settings.database_url is None:
            self.state.mkdir(parents=True, exist_ok=True)
        return make_engine(self.database_url)

    @property
    def clock(self) -> AffineClock:
        """The event clock, as the database has it now."""
        return read_clock(self.engine, self.name)

    @cached_property
    def registry(self) -> Registry:
        """The versions and their history."""
        return Registry(self.engine, self.name, self.clock)

    @cached_property
    def keys(self) -> KeyBook:
        """The keys by which others ask."""
        return KeyBook(self.engine, self.name)

    def gate(self, origins: Container[bytes]) -> Gate:
        """Make the gate of an application that no predict worker stands before."""
        usage = KeyUsage(StateFolder(self.state).key_usage)
        return stored_gate(self.keys, self.settings.admin_key, usage, origins)

    def learned(self, model: str) -> dict[str, Any]:
        """Say how the data were read that the champion learned from; {} where nobody knows."""
        champion = self.registry.champion(model)
        data = champion.lineage.get("data", {}) if champion is not None else {}
        return dict(data.get("source", {}))

    def make_first_key(self, *, who: str) -> str | None:
        """Make an admin key where others are to reach a server that has none; give its secret."""
        settings = self.settings
        if is_loopback(settings.host) or not settings.allow_remote or settings.admin_key:
            return None
        return self.keys.create_first(who=who)

    def prepare(self, *, clock: AffineClock | None = None) -> None:
        """Bring the database to this release's schema and make the project's row (``up`` only)."""
        self.state.mkdir(parents=True, exist_ok=True)
        upgrade(self.engine)
        ensure_project(self.engine, self.name, self.config.timezone, clock)

    def require_prepared(self) -> None:
        """Refuse a database of another schema, with the command that mends it."""
        require_current(self.engine)
        ensure_project(self.engine, self.name, self.config.timezone, None)

    def await_generation(self, timeout_s: float = 5.0) -> tuple[int, int]:
        """Wait until every live server runs the present generation; give (current, live)."""
        return await_generation(self.engine, self.name, timeout_s=timeout_s)

    def drainer(self, folders: Sequence[Path], drainer_id: str) -> Drainer:
        """Make the drainer of some spool folders."""
        return Drainer(
            self.engine,
            project=self.name,
            folders=list(folders),
            drainer_id=drainer_id,
            accumulators=self._accumulators(),
            clock=self.clock,
        )

    def _accumulators(self) -> list[Accumulator]:
        """Make the sums that every drainer keeps."""
        usual = default_accumulators(self.engine, self.name)
        return [*usual, ExperimentCells(self.name)]

    def supervisor(self, on_event: OnNotice, *, with_worker: bool = False) -> Supervisor:
        """Make the supervisor of ``serve`` and ``up`` (the latter with a worker beside it)."""
        companions = [self._worker()] if with_worker else []
        return Supervisor(self._serve_config(), self.drainer, on_event, companions)

    def keeper(self, on_event: OnNotice, *, with_worker: bool) -> Keeper:
        """Make what drains and controls for processes that answer inside another application."""
        companions = [self._worker()] if with_worker else []
        return Keeper(self._serve_config(), self.drainer, on_event, companions)

    def _serve_config(self) -> ServeConfig:
        return ServeConfig(
            folder=self.folder.resolve(),
            project=self.name,
            database_url=self.database_url,
            state=self.state.resolve(),
            settings=self.settings,
        )

    def _worker(self) -> Command:
        folder = str(self.folder.resolve())
        argv = python("timonel.cli.main", "worker", "-C", folder, "--attached")
        return Command(name="worker", role="worker", argv=argv)


def open_host(folder: Path, **overrides: Any) -> Host:
    """Open a project folder to serve it; see ``timonel.app.open_app`` for what it takes."""
    config, settings = read_settings(folder, overrides)
    return Host(folder, config, settings)


def host_name() -> str:
    """Give the name of this machine and process for history rows: ``user@host``."""
    return f"{getpass.getuser()}@{socket.gethostname()}"
