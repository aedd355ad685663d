"""The HTTP client; importing it loads neither numpy, httpx nor the server."""

from typing import TYPE_CHECKING, Any

from timonel.client.client import Client
from timonel.client.errors import (
    QueueFull,
    QueueUnusable,
    RequestRefused,
    RulesUnusable,
    ServerUnreachable,
)
from timonel.wire.answer import Answer

if TYPE_CHECKING:
    from timonel.client.aio import AsyncClient

__all__ = [
    "Answer",
    "AsyncClient",
    "Client",
    "QueueFull",
    "QueueUnusable",
    "RequestRefused",
    "RulesUnusable",
    "ServerUnreachable",
]


def __getattr__(name: str) -> Any:
    """Import the awaited client at its first use: asyncio costs as much as all the rest."""
    if name == "AsyncClient":
        from timonel.client.aio import AsyncClient

        return AsyncClient
    message = f"module 'timonel.client' has no attribute {name!r}"
    raise AttributeError(message)
