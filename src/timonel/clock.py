"""Event time: an affine map of real time, kept in the database so that all processes agree.

Predictions, outcomes, windows, cron and maturity use it; a demo accelerates it. Latencies and
deadlines use ``time.monotonic``, leases the database's own clock (ADR 0012).
"""

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Gives the present event time; safe to call from any thread; never goes back."""

    def now_us(self) -> int:
        """Give microseconds since the epoch, UTC, of event time."""
        ...


@dataclass(frozen=True, slots=True)
class AffineClock:
    """``event = event_us + rate * (real - real_us)``; the default is real time itself."""

    real_us: int = 0
    event_us: int = 0
    rate: float = 1.0

    def now_us(self) -> int:
        """Give microseconds since the epoch, UTC, of event time."""
        real_us = time.time_ns() // 1000
        if self.rate == 1.0:  # all but demos
            return self.event_us + real_us - self.real_us
        return self.at(real_us)

    def at(self, real_us: int) -> int:
        """Give the event time of a real moment (both microseconds since the epoch)."""
        return self.event_us + round(self.rate * (real_us - self.real_us))
