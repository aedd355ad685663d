"""The log as a channel: one line of JSON a message, on the logger ``timonel.alerts``."""

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from timonel.alerts.rows import encode

_log = logging.getLogger("timonel.alerts")
_LEVELS = {"CRITICAL": logging.CRITICAL, "HIGH": logging.ERROR}


class LogNotifier:
    """Writes messages to the log of the process that delivers them."""

    def __init__(self, channel: str) -> None:
        self._channel = channel

    def send(self, message_id: UUID, body: Mapping[str, Any]) -> None:
        """Write one line; what has ended is a warning, however severe it was."""
        alert = body["alert"] or {}
        firing = body["event"] != "resolved"
        level = _LEVELS.get(alert.get("severity", ""), logging.WARNING)
        line = encode({"channel": self._channel, "message_id": str(message_id), **body})
        _log.log(level if firing else logging.WARNING, "%s", line)
