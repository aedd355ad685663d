"""Database URLs, read without a database library: the same reading for engine and workers."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from timonel.store.errors import UnsupportedDatabase

SQLITE = "sqlite"
POSTGRESQL = "postgresql"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """Where the database is.

    Parameters
    ----------
    kind : {"sqlite", "postgresql"}
    path : Path or None
        The SQLite file.
    dsn : str
        For PostgreSQL the libpq URI (``postgresql://...``); else "".
    shown : str
        The URL for messages, without its password.
    """

    kind: str
    path: Path | None
    dsn: str
    shown: str


def read_url(url: str) -> DatabaseUrl:
    """Tell what a database URL names.

    Raises
    ------
    UnsupportedDatabase
        For any other database, for SQLite in memory (no other process could see it), and for
        text that is no URL.
    """
    scheme, separator, rest = url.partition("://")
    kind = scheme.partition("+")[0].lower()
    if separator and kind == SQLITE:
        return _sqlite(url, rest)
    if separator and kind in (POSTGRESQL, "postgres"):
        dsn = f"{POSTGRESQL}://{rest}"
        return DatabaseUrl(POSTGRESQL, None, dsn, without_password(dsn))
    raise UnsupportedDatabase(url=without_password(url), found=kind if separator else "no URL")


def _sqlite(url: str, rest: str) -> DatabaseUrl:
    path = rest.partition("?")[0].removeprefix("/")
    if not rest.startswith("/") or path in ("", ":memory:"):
        raise UnsupportedDatabase(url=url, found="no file (other processes could not see it)")
    return DatabaseUrl(SQLITE, Path(path), "", url)


def without_password(url: str) -> str:
    """Give a URL as it may be shown: ``***`` in place of its password."""
    if url.startswith(SQLITE):
        return url
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError:
        return url.partition("://")[0] + "://***"
    query = "&".join(
        "password=***" if field.startswith("password=") else field
        for field in parts.query.split("&")
    )
    netloc = parts.netloc
    if password:
        user, _, host = netloc.rpartition("@")
        netloc = f"{user.partition(':')[0]}:***@{host}"
    return urlunsplit(parts._replace(netloc=netloc, query=query))
