"""One careful POST: http or https only, no redirects, bounded time, and no secret in an error."""

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from timonel.alerts.errors import DeliveryFailed
from timonel.errors import Phrase

_MOST_READ = 300


def check_url(channel: str, url: str) -> str:
    """Give an address back if it is one that may be asked."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        found = Phrase(
            "its address is not one of http:// or https://",
            "su dirección no es de http:// ni https://",
        )
        raise DeliveryFailed(channel=channel, found=found)
    return url


def post(
    channel: str, url: str, content: bytes, headers: Mapping[str, str], timeout_s: float
) -> str:
    """Send a body; give the beginning of the answer.

    Raises
    ------
    DeliveryFailed
        If nobody answers in time, or the answer is not of 200 to 299: a redirect is a failure,
        for whoever answers must not choose where a message goes.
    """
    import httpx  # a quarter of a second, and only who delivers needs it

    timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, 5.0))
    try:
        with (
            httpx.Client(timeout=timeout, follow_redirects=False) as client,
            client.stream("POST", url, content=content, headers=dict(headers)) as answer,
        ):
            body = _beginning(answer.iter_bytes(_MOST_READ))
            status, waits = answer.status_code, answer.headers.get("retry-after", "")
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        # not its message: it may hold the address, and the address may hold a token
        kind = type(error).__name__
        found = Phrase("no answer ({kind})", "sin respuesta ({kind})", kind=kind)
        raise DeliveryFailed(channel=channel, found=found) from None
    if not 200 <= status < 300:
        said = f": {body[:80]}" if body and status < 500 else ""
        retry_after_s = float(waits) if waits.isdigit() else None
        found = Phrase(
            "the receiver answered {status}{said}",
            "el receptor respondió {status}{said}",
            status=status,
            said=said,
        )
        raise DeliveryFailed(channel=channel, found=found, retry_after_s=retry_after_s)
    return body


def _beginning(pieces: Iterator[bytes]) -> str:
    first = next(pieces, b"")
    return first[:_MOST_READ].decode("utf-8", "replace").strip()
