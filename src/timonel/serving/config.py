"""What the supervisor tells a predict worker at its start (one JSON argument)."""

from pathlib import Path

import msgspec


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Plain values only: a worker reads no environment and no project."""

    project: str
    database_url: str  # sqlite:////abs/path or postgresql://...
    artifacts: Path
    spool: Path  # this worker's slot folder
    slot: Path  # the mmap file of metrics slots
    slot_index: int
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
