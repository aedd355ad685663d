"""The commands of a server's children, made from its configuration."""

from dataclasses import dataclass
from pathlib import Path

from timonel.access.callers import digest_of
from timonel.serving.config import ControlConfig, PoolConfig, WorkerConfig, encode
from timonel.serving.processes.children import Command, python
from timonel.serving.processes.slots import StateFolder
from timonel.settings import Settings

_SECRETS = {"database_url", "admin_key"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeConfig:
    """What one server is to serve, and from where.

    Parameters
    ----------
    folder : Path
        The project's folder, absolute; read by the control process alone.
    project : str
    database_url : str
    state : Path
        Folder of artifacts, spools and sockets, absolute; it outlives the process.
    settings : Settings
        Host, port, number of workers, role and limits.
    """

    folder: Path
    project: str
    database_url: str
    state: Path
    settings: Settings


def worker_command(
    config: ServeConfig,
    index: int,
    listener: int,
    *,
    control_socket: Path | None,
    native_socket: Path | None,
) -> Command:
    """Give the command of one predict worker; ``listener`` is an inherited file descriptor."""
    orders = worker_orders(
        config, index, control_socket=control_socket, native_socket=native_socket
    )
    heartbeat = StateFolder(config.state).heartbeat(index)
    return Command(
        name=f"worker-{index}",
        role="predict",
        argv=python("timonel.serving.worker", str(listener), str(heartbeat)),
        orders=encode(orders),
        fds=(listener,),
        heartbeat=heartbeat,
    )


def worker_orders(
    config: ServeConfig, index: int, *, control_socket: Path | None, native_socket: Path | None
) -> WorkerConfig:
    """Give what a process that answers has to know: a worker, or one that embeds us."""
    places, settings = StateFolder(config.state), config.settings
    key = settings.admin_key
    return WorkerConfig(
        project=config.project,
        database_url=config.database_url,
        artifacts=places.artifacts,
        spool=places.slot(index),
        slot=places.metrics,
        slot_index=index,
        key_usage=places.key_usage,
        exposed=places.exposition,
        control_socket=control_socket,
        native_socket=native_socket,
        role=settings.role,
        durability=settings.durability,
        spool_max_bytes=settings.spool_max_mb << 20,
        spool_full=settings.spool_full,
        max_body_bytes=settings.max_body_kb << 10,
        max_rows=settings.max_rows,
        admin_key_sha256=None if key is None else digest_of(key.encode()).hex(),
        language=settings.language,
        cors_origins=settings.cors_origins,
        root_path=settings.root_path,
        log_format=settings.log_lines,
        log_level=settings.log_level,
    )


def control_command(config: ServeConfig, socket: Path, url: str) -> Command:
    """Give the command of the control process."""
    given = config.settings.model_dump(mode="json", exclude_unset=True, exclude=_SECRETS)
    document = ControlConfig(folder=config.folder, socket=socket, url=url, settings=given)
    environment = [("TIMONEL_DATABASE_URL", config.database_url)]
    if config.settings.admin_key is not None:
        environment.append(("TIMONEL_ADMIN_KEY", config.settings.admin_key))
    return Command(
        name="control",
        role="control",
        argv=python("timonel.http.control", encode(document).decode()),
        environment=tuple(environment),
    )


def pool_command(config: ServeConfig, listener: int) -> Command:
    """Give the command of the native pool; ``listener`` is an inherited file descriptor."""
    orders = PoolConfig(
        project=config.project,
        database_url=config.database_url,
        artifacts=StateFolder(config.state).artifacts,
        processes=config.settings.native_processes,
    )
    return Command(
        name="native",
        role="native",
        argv=python("timonel.serving.native_pool", str(listener)),
        orders=encode(orders),
        fds=(listener,),
    )
