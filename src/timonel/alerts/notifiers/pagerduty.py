"""PagerDuty's Events API v2: an incident opens when an alert fires, and ends when it is resolved.

Source: PagerDuty developer documentation, "Send an alert event" and "PD-CEF".
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from timonel.alerts.notifiers.http import check_url, post
from timonel.alerts.rows import encode

ADDRESS = "https://events.pagerduty.com/v2/enqueue"
_SUMMARY_MOST = 1024
_SEVERITIES = {
    "CRITICAL": "critical",
    "HIGH": "error",
    "MEDIUM": "warning",
    "LOW": "warning",
    "INFO": "info",
}


class PagerDutyNotifier:
    """Sends events with a routing key.

    Parameters
    ----------
    channel, key : str
    url : str or None
        Another address than the public one: PagerDuty's European one, or a proxy.
    timeout_s : float
    """

    def __init__(self, channel: str, key: str, *, url: str | None, timeout_s: float) -> None:
        self._channel = channel
        self._key = key
        self._url = check_url(channel, url or ADDRESS)
        self._timeout_s = timeout_s

    def send(self, message_id: UUID, body: Mapping[str, Any]) -> None:
        """Send one event; one that is repeated joins the incident of its ``dedup_key``.

        A test opens an incident of severity info and ends it.
        """
        actions = ["trigger", "resolve"] if body["event"] == "test" else [_action(body)]
        for action in actions:
            content = encode(event(self._key, action, message_id, body)).encode()
            headers = {"content-type": "application/json"}
            post(self._channel, self._url, content, headers, self._timeout_s)


def event(key: str, action: str, message_id: UUID, body: Mapping[str, Any]) -> dict[str, Any]:
    """Write a message in PagerDuty's form."""
    alert = body["alert"]
    thread = message_id if alert is None else f"alert-{alert['alert_id']}"
    said = {
        "routing_key": key,
        "event_action": action,
        "dedup_key": f"timonel/{body['project']}/{thread}"[:255],
    }
    if action == "resolve":
        return said
    link = body["link"]
    links = [{"href": link, "text": "Timonel"}] if link.startswith(("http://", "https://")) else []
    return {
        **said,
        "client": "Timonel",
        "links": links,
        "payload": {
            "summary": f"{body['heading']}. {body['seen']}"[:_SUMMARY_MOST],
            "source": f"timonel/{body['project']}",
            "severity": _SEVERITIES.get((alert or {}).get("severity", ""), "info"),
            "timestamp": body["at"],
            "component": (alert or {}).get("model") or body["project"],
            "class": (alert or {}).get("kind") or "test",
            "custom_details": {
                "expected": body["expected"],
                "steps": body["steps"],
                "link": link,
                "facts": (alert or {}).get("facts"),
            },
        },
    }


def _action(body: Mapping[str, Any]) -> str:
    return "resolve" if body["event"] == "resolved" else "trigger"
