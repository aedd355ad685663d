"""The HTTP client; importing it loads neither numpy nor the server."""

from timonel.client.client import Client
from timonel.client.errors import RequestRefused, ServerUnreachable

__all__ = ["Client", "RequestRefused", "ServerUnreachable"]
