"""What detectors take, and what each of them keeps."""

from math import isfinite
from typing import Any, Literal, Protocol

Direction = Literal["both", "up", "down"]


class Detector(Protocol):
    """A detector of change in a stream; ``mean`` is that of what it remembers.

    It is deterministic, holds no more memory than the logarithm of what it saw, is not for several
    threads at once, and can be copied or pickled at any time. After a signal it goes on by itself
    from what belongs to the new state of affairs.
    """

    @property
    def mean(self) -> float | None:
        """The mean of what it remembers; None where it remembers nothing."""

    def update(self, x: float) -> bool:
        """Take the next value; say whether the stream has changed.

        Raises
        ------
        ValueError
            If the value is not a finite number, or not one that the detector is for.
        """

    def state(self) -> list[Any]:
        """Give what it remembers, JSON-safe and without its parameters."""

    def restore(self, state: list[Any]) -> None:
        """Go on from what another one with the same parameters remembered, to the last bit."""


def checked_direction(direction: Direction) -> Direction:
    """Give a direction; raises ``ValueError`` for another word."""
    if direction not in {"both", "up", "down"}:
        message = f"direction {direction!r}, expected both, up or down"
        raise ValueError(message)
    return direction


def error_of(x: float) -> int:
    """Give an error, 0 or 1; raises ``ValueError`` for another value."""
    if x not in {0, 1}:
        message = f"an error is 0 or 1, not {x!r}"
        raise ValueError(message)
    return int(x)


def finite(x: float) -> float:
    """Give a finite number as a float; raises ``ValueError`` for another."""
    if not isfinite(x):
        message = f"a stream holds finite numbers, not {x!r}"
        raise ValueError(message)
    return float(x)
