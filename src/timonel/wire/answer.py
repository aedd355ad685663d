"""What a prediction is answered with: by a model, by rules, or by the baseline."""

from enum import StrEnum
from typing import NamedTuple

Label = str | int | float | bool


class Source(StrEnum):
    """Who answered."""

    MODEL = "model"
    RULES = "rules"
    BASELINE = "baseline"
    EXTERNAL = "external"  # a model outside of Timonel, whose answer was recorded


class Reason(StrEnum):
    """Why that source answered; all but ``assigned`` count as fallback."""

    ASSIGNED = "assigned"
    NO_VERSION = "no_version"
    MODEL_ERROR = "model_error"
    TIMEOUT = "timeout"
    BREAKER_OPEN = "breaker_open"
    OVERLOAD = "overload"
    LOW_CONFIDENCE = "low_confidence"
    INVALID_OUTPUT = "invalid_output"
    LOOKUP_ABSENT = "lookup_absent"
    LOOKUP_LATE = "lookup_late"
    LOOKUP_STALE = "lookup_stale"
    LOOKUP_FAILED = "lookup_failed"
    SERVER_AWAY = "server_away"  # a client answered by its own copy of the rules


FAILED = frozenset(
    {
        Reason.MODEL_ERROR,
        Reason.TIMEOUT,
        Reason.BREAKER_OPEN,
        Reason.OVERLOAD,
        Reason.INVALID_OUTPUT,
    }
)
"""Why another source answered, where that was an error of ours: failed, late, invalid, or not asked
since it failed before or too much was asked at once."""


OUTSIDE = "ext:"
LONGEST_OUTSIDE = 28


def outside_version(text: str) -> str:
    """Give the version under which a model of the outside is counted: no registered one has it.

    Examples
    --------
    >>> outside_version("2024-03")
    'ext:2024-03'
    """
    return OUTSIDE + text


def is_outside(version: str) -> bool:
    """Say whether a stored version is of a model of the outside."""
    return version.startswith(OUTSIDE)


class Answer(NamedTuple):
    """What a model or a rule says about one row.

    Parameters
    ----------
    prediction : str, int, float or bool
        The class (classification) or the value in the target's unit (regression).
    score : float or None
        Binary: probability of the positive class, in [0, 1]. Multiclass: probability of the
        predicted class. Regression: None.
    probabilities : dict of str to float, or None
        One entry a class, summing to 1; None where the source gives none.
    explanation : str or None
        One sentence a person can read; rules may give it, it is logged with the prediction.
    """

    prediction: Label
    score: float | None = None
    probabilities: dict[str, float] | None = None
    explanation: str | None = None
