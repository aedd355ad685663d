"""What a process is told from outside: environment variables and the project's ``timonel.toml``."""

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^/\s,*]+)$")]


class Settings(BaseSettings):
    """Settings of a running Timonel; every field is an environment variable ``TIMONEL_<NAME>``.

    Precedence: command-line option, environment, ``[settings]`` in ``timonel.toml``, default here.
    """

    model_config = SettingsConfigDict(env_prefix="TIMONEL_", extra="forbid")

    database_url: str | None = Field(
        None, description="SQLAlchemy URL; none: SQLite in the project's .timonel folder."
    )
    state: Path = Field(
        Path(".timonel"), description="Folder of database, artifacts and spools, under the project."
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0: any free one.")
    workers: int = Field(1, ge=1, le=64, description="Predict workers.")
    role: Literal["predict", "control", "all"] = Field(
        "all", description="What this server answers."
    )
    durability: Literal["written", "synced"] = Field(
        "written",
        description="When a prediction is acknowledged: written to the spool (synced every 50 ms), "
        "or synced to disk.",
    )
    spool_max_mb: int = Field(
        1024, ge=1, description="Undrained bytes kept before `spool_full` acts."
    )
    spool_full: Literal["answer", "refuse"] = Field(
        "refuse",
        description="When the spool cannot be written: answer unlogged and say so, or 503.",
    )
    max_body_kb: int = Field(1024, ge=1, description="Largest request body.")
    max_file_mb: int = Field(
        64, ge=1, description="Largest CSV file in a request, where a route takes one."
    )
    max_rows: int = Field(10_000, ge=1, description="Most rows in one request.")
    native_processes: int = Field(
        1, ge=0, description="Processes for models that are not compiled."
    )
    memory_mb: int = Field(
        2048,
        ge=64,
        description="Memory that a process which answers may use; over it MEMORY_USAGE is alerted.",
    )
    memory_share: float = Field(
        0.9,
        gt=0,
        le=1,
        description="Share of the machine's memory, or of the cgroup's limit, that may be in use; "
        "over it MEMORY_USAGE is alerted.",
    )
    checks_every_s: float = Field(
        5.0, gt=0, description="How often the worker looks at windows, schedules and triggers."
    )
    training_timeout_s: float = Field(
        3600.0, gt=0, description="Longest time that the project's code may run in a retraining."
    )
    admin_key: str | None = Field(
        None,
        repr=False,
        description="A key with the role admin, beside those of `timonel key create`.",
    )
    allow_remote: bool = Field(
        False, description="Listen on an address that is not loopback (a key is asked there)."
    )
    public_url: str | None = Field(None, description="Address of the pages, for links in messages.")
    language: Literal["en", "es"] | None = Field(
        None, description="Language of texts; none: by the reader's browser or locale."
    )
    cors_origins: Annotated[tuple[Origin, ...], NoDecode] = Field(
        (),
        description="Sites whose pages may read answers and send requests, as "
        "`https://app.example`; `*`: any, with a key. In the environment separated by commas.",
    )
    api_title: str | None = Field(
        None, description="Title of the OpenAPI document; none: the project's name."
    )
    api_version: str | None = Field(
        None, description="Version of the OpenAPI document; none: Timonel's."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Log level."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Log lines for people, or one JSON object a line on standard error."
    )
    log_to: Literal["stderr", "stdout", "files"] = Field(
        "stderr",
        description="Where log lines go. On `stdout` and in `files` they are JSON, and sentences "
        "for people go to standard error.",
    )
    log_folder: Path = Field(
        Path("logs"), description="Folder of `log_to = files`, under the project."
    )
    log_max_bytes: int = Field(
        10_000_000, ge=1_000, description="Size at which a log file makes room for the next."
    )
    log_backup_count: int = Field(
        14, ge=0, description="Older files kept of each logger, of whichever day."
    )

    @property
    def root_path(self) -> str:
        """The path under which a proxy shows this server; "" at its root."""
        return urlsplit(self.public_url or "").path.rstrip("/")

    @property
    def log_lines(self) -> Literal["text", "json"]:
        """The form of log lines, wherever they go."""
        return self.log_format if self.log_to == "stderr" else "json"

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _separated(cls, sent: Any) -> Any:
        """Read the environment's text as a list."""
        if not isinstance(sent, str):
            return sent
        return [origin.strip() for origin in sent.split(",") if origin.strip()]
