"""What the supervisor tells its children at their start, as JSON."""

from pathlib import Path
from typing import Any, TypeVar

import msgspec

_Config = TypeVar("_Config", bound=msgspec.Struct)


def encode(config: msgspec.Struct) -> bytes:
    """Give one line of JSON."""
    return msgspec.json.encode(config, enc_hook=str)


def decode(document: bytes | str, kind: type[_Config]) -> _Config:
    """Read a configuration back; raises ``msgspec.ValidationError`` on another form."""
    return msgspec.json.decode(document, type=kind, dec_hook=lambda wanted, value: wanted(value))


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Plain values only: a worker reads no environment and no project."""

    project: str
    database_url: str  # sqlite:////abs/path or postgresql://...
    artifacts: Path
    spool: Path  # this worker's slot folder
    slot: Path  # the mmap file of metrics slots
    slot_index: int
    key_usage: Path  # the mmap file of what is left of each key's rate
    exposed: Path | None = None  # what the host knows beside the counters, as text to scrape
    control_socket: Path | None  # where non-predict routes are forwarded; None in role predict
    native_socket: Path | None  # the host's pool for models that are not compiled
    role: str
    durability: str = "written"
    spool_max_bytes: int = 1 << 30
    spool_full: str = "refuse"
    max_body_bytes: int = 1 << 20
    max_rows: int = 10_000
    admin_key_sha256: str | None = None
    language: str | None = None
    cors_origins: tuple[str, ...] = ()
    root_path: str = ""  # where a proxy shows this server, if it does not take that off
    log_format: str = "text"
    log_level: str = "info"


class ControlConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The one argument of ``python -m timonel.http.control``.

    Database URL and keys are not in it: a command line is readable by every user of the machine.
    They come by the environment (``TIMONEL_DATABASE_URL``, ``TIMONEL_ADMIN_KEY``), where
    ``Settings`` finds them; the end of its standard input says that the supervisor is gone
    (``timonel.serving.processes.liveness.end_with_parent``).
    """

    folder: Path  # the project's
    socket: Path  # where to answer
    url: str  # where the server listens, for links
    settings: dict[str, Any] = {}  # overrides for ``open_app``, without secrets


class PoolConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The orders of the native pool."""

    project: str
    database_url: str
    artifacts: Path
    processes: int
