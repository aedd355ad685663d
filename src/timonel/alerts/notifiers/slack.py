"""Slack's incoming webhook: blocks, and a text for where blocks are not shown."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from timonel.alerts.notifiers.http import check_url, post
from timonel.alerts.rows import encode

_HEADING_MOST, _TEXT_MOST = 150, 3000  # Slack refuses more
_LABELS = {
    "en": ("Seen", "Expected", "What to do"),
    "es": ("Se vio", "Se esperaba", "Qué hacer"),
}
_MARKS = {"CRITICAL": "🔴", "HIGH": "🟠", "MEDIUM": "🟡", "LOW": "🔵", "INFO": "⚪"}


class SlackNotifier:
    """Posts messages to the address that Slack gave for a channel."""

    def __init__(self, channel: str, url: str, *, timeout_s: float) -> None:
        self._channel = channel
        self._url = check_url(channel, url)
        self._timeout_s = timeout_s

    def send(self, message_id: UUID, body: Mapping[str, Any]) -> None:
        """Post one message; Slack knows no ids, so one that is repeated shows twice."""
        content = encode(blocks(body)).encode()
        headers = {"content-type": "application/json; charset=utf-8"}
        post(self._channel, self._url, content, headers, self._timeout_s)


def blocks(body: Mapping[str, Any]) -> dict[str, Any]:
    """Write a message in Slack's form."""
    seen, expected, steps = _LABELS.get(body["language"], _LABELS["en"])
    heading = f"{_mark(body)} {body['heading']}"
    lines = [f"*{seen}:* {_escaped(body['seen'])}", f"*{expected}:* {_escaped(body['expected'])}"]
    said: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(heading, _HEADING_MOST)}},
        _section("\n".join(lines)),
    ]
    if body["event"] != "resolved":
        listed = "\n".join(f"• {_escaped(step)}" for step in body["steps"])
        said.append(_section(f"*{steps}:*\n{listed}"))
    context = f"{body['project']} · {body['at']} · {body['link']}"
    text = {"type": "mrkdwn", "text": _cut(_escaped(context), _TEXT_MOST)}
    said.append({"type": "context", "elements": [text]})
    fallback = f"{heading}. {body['seen']}"
    return {"text": _cut(_escaped(fallback), _TEXT_MOST), "blocks": said}


def _mark(body: Mapping[str, Any]) -> str:
    if body["event"] in ("resolved", "test"):
        return "🟢"
    return _MARKS.get((body["alert"] or {}).get("severity", ""), "⚪")


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": _cut(text, _TEXT_MOST)}}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
