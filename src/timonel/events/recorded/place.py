"""Where a process's own metrics go: bound by the process that serves, else found by the project.

As light as can be: every predict worker binds, few record.
"""

import os
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = "recorded"
"""Beside the slots of the workers: every process that records writes a spool of its own in it."""
_PROJECT = "timonel.toml"
_STATE = ".timonel"

EventTime = Callable[[int], int]


class Place(NamedTuple):
    """A folder of spools, and the event time of a real moment (both in microseconds)."""

    folder: Path
    at: EventTime


class _Process:
    """What holds for this process."""

    place: Place | None = None
    rehearsing = False


_process = _Process()


def bind(spool: Path, at: EventTime | None = None) -> None:
    """Let this process record into a server's spool folder; ``at`` None: real time.

    Parameters
    ----------
    spool : Path
        The folder of all spool slots.
    at : callable or None
    """
    _process.place = Place(spool / FOLDER, at or _real)


def bound() -> Place | None:
    """Give what was bound."""
    return _process.place


def rehearse() -> None:
    """Let this process record nothing, and raise where a call is wrong: rules are tried so."""
    _process.rehearsing = True


def rehearsing() -> bool:
    """Say whether calls are only tried."""
    return _process.rehearsing


def find(*near: Path) -> Place | None:
    """Find the project that some places belong to: the first with ``timonel.toml`` above it.

    The state folder is that of ``TIMONEL_STATE``, else of ``[settings]``, else ``.timonel``.
    """
    for folder in _above(near):
        file = folder / _PROJECT
        if file.is_file():
            return Place(folder / _state(file) / "spool" / FOLDER, _real)
    return None


def _above(near: tuple[Path, ...]) -> Iterator[Path]:
    for place in near:
        absolute = place.absolute()
        yield from (absolute, *absolute.parents)


def _state(file: Path) -> str:
    given = os.environ.get("TIMONEL_STATE")
    if given:
        return given
    try:
        settings = tomllib.loads(file.read_text("utf-8-sig")).get("settings", {})
    except (OSError, ValueError):  # whoever opens the project is told
        return _STATE
    return str(settings.get("state", _STATE))


def _real(real_us: int) -> int:
    return real_us
