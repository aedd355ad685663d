"""The circuit breaker of one version: after repeated failures, do not ask it for a while."""

from collections import deque

CONSECUTIVE = 5
WINDOW = 20
OPEN_S = 5.0


class Breaker:
    """Closed, open or half-open, on a monotonic clock that is passed in.

    It opens after 5 failures in a row, or when more than half of the last 20 calls failed. Open
    for 5 s, then one call is let through: it closes or opens again by that call's result. A probe
    whose result never comes (its client left) is given up after another 5 s. Used from one thread
    (the event loop's).
    """

    __slots__ = ("_failures", "_in_a_row", "_opened_at", "_recent", "closed")

    def __init__(self) -> None:
        self.closed = True
        self._in_a_row = 0
        self._recent: deque[bool] = deque(maxlen=WINDOW)
        self._failures = 0
        self._opened_at = 0.0

    def allows(self, now_s: float) -> bool:
        """Say whether the version may be asked now; half-open lets one caller through."""
        if self.closed:
            return True
        if now_s - self._opened_at < OPEN_S:
            return False
        self._opened_at = now_s  # the next probe has to wait for this one, or for its time
        return True

    def succeeded(self) -> None:
        """Note a good answer."""
        self._in_a_row = 0
        if not self.closed:
            self.closed = True
            self._recent.clear()
            self._failures = 0
        elif self._failures:
            self._note(failed=False)

    def failed(self, now_s: float) -> None:
        """Note a failure or a late answer."""
        self._in_a_row += 1
        self._note(failed=True)
        full = len(self._recent) == WINDOW and self._failures * 2 > WINDOW
        if not self.closed or self._in_a_row >= CONSECUTIVE or full:
            self.closed = False
            self._opened_at = now_s

    def _note(self, *, failed: bool) -> None:
        # Successes are only written down while a failure is among the last 20.
        if len(self._recent) == WINDOW:
            self._failures -= self._recent[0]
        self._recent.append(failed)
        self._failures += failed
