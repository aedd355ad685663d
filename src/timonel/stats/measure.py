"""A measured figure with its interval, or the reason why there is none."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric on ``n`` rows.

    Parameters
    ----------
    name : str
        ``accuracy``, ``mae``, ...
    value : float or None
        None: it cannot be said, and ``reason`` says why. Never NaN.
    n : int
        Rows it was computed on.
    lower, upper : float or None
        Two-sided interval at ``confidence``; None where there is none.
    reason : str or None
        Why there is no value.
    """

    name: str
    value: float | None
    n: int
    lower: float | None = None
    upper: float | None = None
    confidence: float = 0.95
    reason: str | None = None

    def document(self) -> dict[str, Any]:
        """Give a JSON-safe form."""
        return {
            "value": self.value,
            "lower": self.lower,
            "upper": self.upper,
            "n": self.n,
            "confidence": self.confidence,
            "reason": self.reason,
        }


def cannot_say(name: str, n: int, reason: str) -> Measure:
    """Make a measure without a value."""
    return Measure(name, None, n, reason=reason)
