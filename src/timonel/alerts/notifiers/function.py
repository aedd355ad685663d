"""A function as a channel: ``def on_alert(message): ...``, of the project or of a package.

It runs in a process of its own with a time limit: what it imports, prints, breaks or waits for
concerns nobody else, and it does not see the secrets of Timonel's own settings.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from uuid import UUID

import timonel
from timonel.alerts.errors import DeliveryFailed
from timonel.alerts.rows import encode
from timonel.errors import Phrase

GROUP = "timonel.notifiers"
"""The entry points by which packages offer functions."""

_MOST_SAID = 200


class FunctionNotifier:
    """Calls a function of the project with each message.

    Parameters
    ----------
    channel : str
    folder : Path or None
        The project's; None: this process has none, and cannot deliver.
    function : str
        ``module:name``; both may have dots.
    timeout_s : float
        After it the process is killed with all that it started.
    """

    def __init__(
        self, channel: str, folder: Path | None, function: str, *, timeout_s: float
    ) -> None:
        self._channel = channel
        self._folder = folder
        self._function = function
        self._timeout_s = timeout_s

    def send(self, message_id: UUID, body: Mapping[str, Any]) -> None:
        """Call it; ``message["message_id"]`` is the same when it is called again."""
        if self._folder is None:
            raise self._failed(
                "this process has no project folder", "este proceso no tiene carpeta de proyecto"
            )
        message = encode({"message_id": str(message_id), **body}).encode()
        child = subprocess.Popen(  # noqa: S603 - our own child
            [sys.executable, "-m", "timonel.alerts.notifiers.function_child", self._function],
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={
                **{k: v for k, v in os.environ.items() if not _is_secret(k)},
                "PYTHONPATH": str(Path(timonel.__file__).parents[1]),
            },
            start_new_session=True,
        )
        try:
            _, said = child.communicate(message, timeout=self._timeout_s)
        except subprocess.TimeoutExpired:
            raise self._failed(
                "{function} had no end after {s:g} s",
                "{function} no terminó tras {s:g} s",
                s=self._timeout_s,
            ) from None
        finally:
            _end(child)
        if child.returncode != 0:
            lines = said.decode("utf-8", "replace").strip().splitlines() or [""]
            raise self._failed(
                "{function} ended with {said}",
                "{function} terminó con {said}",
                said=lines[-1][:_MOST_SAID] or f"code {child.returncode}",
            )

    def _failed(self, en: str, es: str, **facts: Any) -> DeliveryFailed:
        found = Phrase(en, es, function=self._function, **facts)
        return DeliveryFailed(channel=self._channel, found=found)


def installed_function(channel: str, plugin: str) -> str:
    """Give the ``module:name`` that an installed package offers under a name.

    Raises
    ------
    DeliveryFailed
        If none does.
    """
    offered = {one.name: one.value for one in entry_points(group=GROUP)}
    if plugin not in offered:
        found = Phrase(
            "no installed package offers the notifier {plugin}; found: {known}",
            "ningún paquete instalado ofrece el notificador {plugin}; hay: {known}",
            plugin=plugin,
            known=", ".join(sorted(offered)) or "-",
        )
        raise DeliveryFailed(channel=channel, found=found)
    return offered[plugin]


def _is_secret(variable: str) -> bool:
    # where the state is, the function may need: what it records belongs there
    return variable.startswith("TIMONEL_") and variable != "TIMONEL_STATE"


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Kill what is left of a child's session, and let its pipes go."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except PermissionError:  # macOS says so of a session whose processes have ended
        pass
    child.wait()
    for pipe in (child.stdin, child.stderr):
        if pipe is not None:
            pipe.close()
