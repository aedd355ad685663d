"""What a keeper and the processes that have mounted us tell each other, a line of JSON each."""

from pathlib import Path
from typing import Any

import msgspec

SOCKET = "keeper"
MOST_GUESTS = 64


class KeeperOrders(msgspec.Struct, frozen=True, kw_only=True):
    """What a keeper is started with, on its standard input; ``settings`` are overrides."""

    folder: Path
    settings: dict[str, Any] = {}
    worker: bool = True


class Hello(msgspec.Struct, frozen=True):
    """The first line of a process that has mounted us: its slot and its number."""

    slot: int
    pid: int


class Sign(msgspec.Struct, frozen=True):
    """Its further lines: what it serves."""

    generation: int
    ready: bool
