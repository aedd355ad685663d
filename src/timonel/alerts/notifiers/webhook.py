"""A signed webhook: a CloudEvent (1.0, structured), signed as Standard Webhooks has it.

Both are public forms with libraries in many languages; ``docs/alerts.md`` has the recipe by hand.
"""

import base64
import binascii
import hmac
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID

from timonel import __version__
from timonel.alerts.errors import DeliveryFailed
from timonel.alerts.notifiers.http import check_url, post
from timonel.alerts.rows import encode
from timonel.errors import Phrase

_PREFIX = "whsec_"


class WebhookNotifier:
    """Posts messages to an address.

    Parameters
    ----------
    channel, url : str
    secret : str or None
        The key of the signature: ``whsec_`` and base64, or any text as its UTF-8 bytes. None: the
        messages are not signed.
    timeout_s : float
    """

    def __init__(self, channel: str, url: str, *, secret: str | None, timeout_s: float) -> None:
        self._channel = channel
        self._url = check_url(channel, url)
        self._key = None if secret is None else _key(channel, secret)
        self._timeout_s = timeout_s

    def send(self, message_id: UUID, body: Mapping[str, Any]) -> None:
        """Post one message; the receiver tells repeats by ``webhook-id``."""
        content = encode(cloud_event(message_id, body)).encode()
        stamp = str(int(time.time()))  # real time: the receiver compares it with its own
        headers = {
            "content-type": "application/cloudevents+json; charset=utf-8",
            "user-agent": f"timonel/{__version__}",
            "webhook-id": str(message_id),
            "webhook-timestamp": stamp,
        }
        if self._key is not None:
            headers["webhook-signature"] = signature(self._key, str(message_id), stamp, content)
        post(self._channel, self._url, content, headers, self._timeout_s)


def cloud_event(message_id: UUID, body: Mapping[str, Any]) -> dict[str, Any]:
    """Put a message into a CloudEvent; ``time`` is event time, of what is told."""
    alert = body["alert"]
    event = {
        "specversion": "1.0",
        "id": str(message_id),
        "source": f"/timonel/{body['project']}",
        "type": f"timonel.alert.{body['event']}",
        "time": body["at"],
        "datacontenttype": "application/json",
        "data": dict(body),
    }
    return event if alert is None else event | {"subject": f"alerts/{alert['alert_id']}"}


def signature(key: bytes, message_id: str, stamp: str, content: bytes) -> str:
    """Sign ``id.timestamp.body`` with HMAC-SHA256, as Standard Webhooks writes it."""
    signed = f"{message_id}.{stamp}.".encode() + content
    return "v1," + base64.b64encode(hmac.new(key, signed, sha256).digest()).decode()


def _key(channel: str, secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        found = Phrase(
            "its secret begins with {prefix} but what follows is not base64",
            "su secreto comienza con {prefix} pero lo que sigue no es base64",
            prefix=_PREFIX,
        )
        raise DeliveryFailed(channel=channel, found=found) from None
