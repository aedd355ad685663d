"""What both clients are made of: the core, its queue, and the courier with its own connection."""

import json
import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timonel.client.core import Core, Failure, Reply, Send, WhenFull
from timonel.client.courier import Courier
from timonel.client.queue import FolderQueue, MemoryQueue, Queue, plain
from timonel.client.rules import Given, LocalRules

if TYPE_CHECKING:
    import httpx

MAX_QUEUED = 10_000
_log = logging.getLogger("timonel.client")


class Parts:
    """Everything of a client but the connection that its caller waits for.

    Parameters
    ----------
    base_url, api_key, timeout_s, retries, rules, queue, max_queued, when_full
        As ``Client`` has them.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None,
        timeout_s: float,
        retries: int,
        rules: Given,
        queue: str | Path | None,
        max_queued: int,
        when_full: WhenFull,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.headers = {"content-type": "application/json"}
        if api_key:
            self.headers["authorization"] = f"Bearer {api_key}"
        self.timeout_s = timeout_s
        local = LocalRules(rules)
        self.queue: Queue | None = None
        if queue is not None:
            self.queue = FolderQueue(Path(queue), max_queued)
        elif local:
            self.queue = MemoryQueue(max_queued)
        self.core = Core(
            self.base_url,
            timeout_s=timeout_s,
            retries=retries,
            rules=local,
            queue=self.queue,
            when_full=when_full,
        )
        self.courier = None
        if self.queue is not None:
            self.courier = Courier(self.queue, self._exchange, timeout_s)
            if self.queue.waiting():
                self.courier.start()
        self._lock = threading.Lock()
        self._http: httpx.Client | None = None

    def http(self) -> "httpx.Client":
        """Give the pool of connections of threads; made at its first use."""
        with self._lock:
            if self._http is None:
                import httpx  # 0.26 s: paid at the first call, not at import

                self._http = httpx.Client(base_url=self.base_url, headers=self.headers)
            return self._http

    def _exchange(self, send: Send) -> Reply | Failure:
        return exchange(self.http(), send)

    def wake(self) -> None:
        """See to it that what waits is delivered."""
        if self.courier is not None:
            self.courier.start()

    def close(self) -> None:
        """Deliver what can be delivered, and let go of everything."""
        if self.courier is not None and self.queue is not None:
            self.courier.stop()
            left = self.courier.deliver() if self.queue.waiting() else 0
            if left and isinstance(self.queue, MemoryQueue):
                _log.error("%d answers were never delivered: their queue was memory", left)
            self.queue.close()
        with self._lock:
            if self._http is not None:
                self._http.close()
                self._http = None


def exchange(http: "httpx.Client", send: Send) -> Reply | Failure:
    """Send one request over a pool."""
    import httpx

    try:
        response = http.request(
            send.method, send.path, content=encoded(send.body), timeout=send.timeout_s
        )
    except httpx.TransportError as error:
        return failure(error)
    return reply_of(response)


def failure(error: "httpx.TransportError") -> Failure:
    """Say why there was no answer."""
    import httpx

    return Failure(
        str(error) or type(error).__name__, late=isinstance(error, httpx.TimeoutException)
    )


def reply_of(response: "httpx.Response") -> Reply:
    """Read an answer; one that is no JSON keeps its text."""
    try:
        document = response.json()
    except ValueError:
        document = response.text[:500]
    return Reply(response.status_code, document, _seconds(response.headers.get("retry-after", "0")))


def _seconds(after: str) -> float:
    """Read a ``Retry-After`` (RFC 9110, 10.2.3): seconds, or a date; 0 where it is neither."""
    if after.isdecimal():
        return float(after)
    from email.utils import parsedate_to_datetime  # httpx has loaded it

    try:
        moment = parsedate_to_datetime(after)
    except ValueError:
        return 0.0
    return max(0.0, moment.timestamp() - time.time())


def encoded(body: Any) -> bytes | None:
    """Write a body as JSON; moments and numbers of numpy as what they say."""
    return None if body is None else json.dumps(body, default=plain).encode()
