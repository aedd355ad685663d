"""Log lines for machines: one JSON object a line on standard error; light, for every process."""

import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

_USUAL = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
_TEXT = "%(levelname)s %(name)s: %(message)s"
_SECRET = re.compile(r'(?<=://)[^/@\s"]*:[^/@\s"]*(?=@)|\btml_[A-Za-z0-9_-]+')
_HIDDEN = "***"

_encode = msgspec.json.Encoder(enc_hook=repr).encode


def get_logger(name: str) -> logging.Logger:
    """Give a logger for a project's own code.

    Its lines have the form, the level and the process of all others; what is passed as ``extra``
    (``log.warning("slow", extra={"model": "churn", "request_id": id})``) is a member of the line.
    """
    return logging.getLogger(f"timonel.project.{name}")


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON, without the secrets that are known by their form.

    Members: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, ``process``; ``error``,
    the traceback, where there is one; and whatever was passed as ``extra`` (``model``,
    ``version``, ``request_id`` where they are known).
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
        members |= {name: value for name, value in vars(record).items() if name not in _USUAL}
        if record.exc_info:
            members["error"] = self.formatException(record.exc_info)
        return _line(record.created, members)


def configure(form: str, level: str, process: str) -> None:
    """Let this process log to standard error; libraries say warnings and worse only.

    Parameters
    ----------
    form : {"json", "text"}
    level : str
        Of our own lines and the project's.
    process : str
        Who says so: "supervisor", "worker-0".
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(process) if form == "json" else logging.Formatter(_TEXT))
    # libraries may say at INFO which URL they ask, and some URLs are secrets
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("timonel").setLevel(level.upper())


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
