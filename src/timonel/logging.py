"""Log lines for machines: one JSON object a line, to a stream or into files; a light import.

``get_logger(name)`` is for a project's own code. Where lines go is asked once a process
(``configure``): to standard error, to standard output, or to ``logs/<name>_YYYYMMDD.log``.
"""

import contextlib
import errno
import fcntl
import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, TextIO

import msgspec

REQUEST: ContextVar[bytes] = ContextVar("timonel.request", default=b"")
"""The ``x-request-id`` of the request that is being answered; b"" outside of one."""

_USUAL = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
_TEXT = "%(levelname)s %(name)s: %(message)s"
_SECRET = re.compile(r'(?<=://)[^/@\s"]*:[^/@\s"]*(?=@)|\btml_[A-Za-z0-9_-]+')
_HIDDEN = "***"
_OURS, _PROJECT = "timonel.", "timonel.project."
_FILES = {
    "training": "training",
    "runtime": "training",
    "retraining": "retraining",
    "monitoring": "monitoring",
    "alerts": "monitoring",
    "mlops": "mlops",
    "registry": "mlops",
    "experiments": "mlops",
    "jobs": "mlops",
    "events": "mlops",
    "store": "mlops",
}
"""Of our own loggers, by the part after ``timonel``; whatever else there is goes to ``app``."""
_MOST_FILES = 40
_LOCK_S, _HURRY_S = 1.0, 30.0

_encode = msgspec.json.Encoder(enc_hook=repr).encode


def get_logger(name: str) -> logging.Logger:
    """Give a logger for a project's own code.

    Its lines have the form, the level and the process of all others, and the id of the request that
    is being answered; what is passed as ``extra`` (``log.warning("slow", extra={"model":
    "churn"})``) is a member of the line. Where lines go to files, those of ``app``, ``mlops``,
    ``monitoring``, ``training`` and ``retraining`` stand beside Timonel's own, others in a file of
    their own.
    """
    return logging.getLogger(f"{_PROJECT}{name}")


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON, without the secrets that are known by their form.

    Members: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, ``process``; ``error``,
    the traceback, where there is one; ``request_id`` while a request is answered; and whatever was
    passed as ``extra`` (``model``, ``version`` where they are known).
    """

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        members: dict[str, Any] = {
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": self._process,
        }
        request = REQUEST.get()
        if request:
            members["request_id"] = request.decode()
        members |= {name: value for name, value in vars(record).items() if name not in _USUAL}
        if record.exc_info:
            members["error"] = self.formatException(record.exc_info)
        return _line(record.created, members)


class Output(Protocol):
    """Takes finished lines; called from any thread, never raises, loses none."""

    def write(self, logger: str, line: str) -> None:
        """Write a line that a logger of this name has said."""
        ...


class Stream:
    """Lines on standard error or standard output."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, logger: str, line: str) -> None:
        """Write a line."""
        self._stream.write(f"{line}\n")
        self._stream.flush()


class Files:
    """Lines in ``<name>_YYYYMMDD.log``, a new file each day (UTC) and each ``max_bytes``.

    A full file becomes ``<name>_YYYYMMDD.log.1``, those before it ``.2`` and so on. Any number of
    processes may write the same files: each line is one append, under a lock that is waited for a
    second at most. Who cannot have it, since another process was stopped while it held it, appends
    without, leaves the rotation to others, and does not wait again for half a minute.

    Parameters
    ----------
    folder : Path
        Made where needed, for this user alone.
    max_bytes : int
        At which a file is full; a longer line has a file of its own.
    backup_count : int
        Files of a name that are kept beside the one in use, of whichever day.
    """

    def __init__(self, folder: Path, *, max_bytes: int, backup_count: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._backup_count = backup_count
        self._names: set[str] = set()
        self._lock = Lock()
        self._told = False
        self._hurried_until = 0.0

    def write(self, logger: str, line: str) -> None:
        """Append a line; what the disk does not take goes to standard error."""
        data = f"{line}\n".encode("utf-8", "replace")
        try:
            with self._lock:
                self._append(self._name(logger), data)
        except OSError as error:
            if not self._told:
                sys.stderr.write(f"logs cannot be written to {self._folder}: {error}\n")
            self._told = True
            sys.stderr.write(f"{line}\n")

    def _name(self, logger: str) -> str:
        name = file_of(logger)
        if name not in self._names and len(self._names) >= _MOST_FILES:
            return "app"  # a name for every request would fill the folder
        self._names.add(name)
        return name

    def _append(self, name: str, data: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{name}_{datetime.now(UTC):%Y%m%d}.log"
        with self._turn() as mine:
            begins = not path.exists()
            if mine and not begins and path.stat().st_size + len(data) > self._max_bytes:
                _shift(path)
                begins = True
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                if os.write(fd, data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            finally:
                os.close(fd)
            if mine and begins:
                self._prune(name, path)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[bool]:
        """Hold the folder's lock, if it can be had in time; say whether it is held."""
        fd = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            now = time.monotonic()
            held = _locked(fd, now if now < self._hurried_until else now + _LOCK_S)
            if not held and now >= self._hurried_until:
                self._hurried_until = now + _HURRY_S
            yield held
        finally:
            os.close(fd)

    def _prune(self, name: str, path: Path) -> None:
        pattern = re.compile(rf"{re.escape(name)}_(\d{{8}})\.log(?:\.(\d+))?")
        found = [(pattern.fullmatch(other.name), other) for other in self._folder.iterdir()]
        older = sorted(
            ((match[1], -int(match[2] or 0)), other)
            for match, other in found
            if match is not None and other != path
        )
        for _, other in older[: max(0, len(older) - self._backup_count)]:
            other.unlink(missing_ok=True)


def file_of(logger: str) -> str:
    """Name the file that the lines of a logger go to.

    Examples
    --------
    >>> file_of("timonel.alerts"), file_of("timonel.serving"), file_of("timonel.project.prices")
    ('monitoring', 'app', 'prices')
    """
    if logger.startswith(_PROJECT):
        return (
            re.sub(r"[^a-z0-9_-]+", "-", logger[len(_PROJECT) :].lower())[:40].strip("-") or "app"
        )
    if logger.startswith(_OURS):
        return _FILES.get(logger[len(_OURS) :].partition(".")[0], "app")
    return "app"


def configure(form: str, level: str, process: str, output: Output | None = None) -> None:
    """Let this process log; libraries say warnings and worse only.

    Parameters
    ----------
    form : {"json", "text"}
    level : str
        Of our own lines and the project's.
    process : str
        Who says so: "supervisor", "worker-0".
    output : Output or None
        None: standard error.
    """
    handler = _To(output or Stream(sys.stderr))
    handler.setFormatter(JsonLines(process) if form == "json" else logging.Formatter(_TEXT))
    # libraries may say at INFO which URL they ask, and some URLs are secrets
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("timonel").setLevel(level.upper())


class _To(logging.Handler):
    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._output.write(record.name, self.format(record))
        except Exception:  # noqa: BLE001 - as every handler does: a line never breaks who says it
            self.handleError(record)


def pass_on(output: Output, process: str, line: str) -> None:
    """Write what a child printed: as it is where it is a line of the log, else as one."""
    own = _own(line)
    logger = "timonel.process" if own is None else str(own.get("logger", ""))
    output.write(logger, relayed(process, line))


def relayed(process: str, line: str) -> str:
    """Give what a child printed as a line of the log: as it is, where it is one already.

    Examples
    --------
    >>> relayed("native", "Segmentation fault")[-50:]
    '"message":"Segmentation fault","process":"native"}'
    """
    if _own(line) is not None:
        return line
    now = datetime.now(UTC).timestamp()
    members = {"level": "INFO", "logger": "timonel.process", "message": line, "process": process}
    return _line(now, members)


def words_of(line: str) -> str:
    """Give what a line says: the message, where it is one of ours."""
    own = _own(line)
    return line if own is None else str(own.get("message", line))


def _own(line: str) -> dict[str, Any] | None:
    if not line.startswith('{"time":'):
        return None
    try:
        members: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError:
        return None
    return members


def _line(at: float, members: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return _SECRET.sub(_HIDDEN, _encode({"time": when, **members}).decode())


def _locked(fd: int, until: float) -> bool:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.001)
        else:
            return True


def _shift(path: Path) -> None:
    """Let each full file of a day make room for the one after it."""
    highest = 1
    while (path.parent / f"{path.name}.{highest}").exists():
        highest += 1
    for number in range(highest, 1, -1):
        (path.parent / f"{path.name}.{number - 1}").rename(path.parent / f"{path.name}.{number}")
    path.rename(path.parent / f"{path.name}.1")
