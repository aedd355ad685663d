"""An explanation as a value: what each declared feature adds to an answer, and the check of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from timonel.runtime.errors import NotAdditive

TOLERANCE = 1e-4
_MARGIN_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one feature adds.

    Parameters
    ----------
    feature : str
    value : JSON scalar
        As the row has it; None: missing.
    amount : float
        On the explanation's scale.
    error : float or None
        Standard error where the amount was sampled; None: exact.
    words : tuple of (str, float)
        Of a text: its terms with the greatest parts of the amount.
    """

    feature: str
    value: Any
    amount: float
    error: float | None = None
    words: tuple[tuple[str, float], ...] = ()

    def document(self) -> dict[str, Any]:
        """Give it for JSON."""
        found: dict[str, Any] = {
            "feature": self.feature,
            "value": self.value,
            "contribution": self.amount,
        }
        if self.error is not None:
            found["standard_error"] = self.error
        if self.words:
            found["words"] = dict(self.words)
        return found


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an answer is what it is.

    Parameters
    ----------
    method : {"linear", "trees", "sampled", "rules", "baseline"}
    scale : {"log_odds", "margin", "log", "probability", "value", "none"}
        Of base, total and contributions; "none" where a model was not asked.
    of : label or None
        The class that a positive contribution speaks for.
    base : float
        What is said when nothing is known of the row.
    total : float
        What is said of the row: base and all contributions.
    contributions : tuple of Contribution
        The greatest amount first; a tie by the order of the schema.
    n_rows : int
        How many rows the base was measured on; 0: the training part, by the trees' covers.
    path : tuple of str
        The splits of a single tree, or the lines of rules, in order.
    """

    method: str
    scale: str = "none"
    of: Any = None
    base: float | None = None
    total: float | None = None
    contributions: tuple[Contribution, ...] = ()
    n_rows: int = 0
    path: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Give it for JSON."""
        return {
            "method": self.method,
            "exact": self.method in {"linear", "trees"},
            "scale": self.scale,
            "of": self.of,
            "base": self.base,
            "total": self.total,
            "contributions": [one.document() for one in self.contributions],
            "n_rows": self.n_rows,
            "path": list(self.path),
        }


def ordered(contributions: Sequence[Contribution]) -> tuple[Contribution, ...]:
    """Put the greatest amount first."""
    return tuple(sorted(contributions, key=lambda one: -abs(one.amount)))


def require_additive(
    explained: float, margin: float, *, said: float, served: float, model: str, size: float = 1.0
) -> None:
    """Refuse contributions that do not add up to the answer.

    Parameters
    ----------
    explained : float
        Base and contributions together.
    margin : float
        What the explained form itself says of the row, on the same scale.
    said, served : float
        The same after the link, and what was served.
    model : str
    size : float
        Of a regression's values; differences count relative to it.

    Raises
    ------
    NotAdditive
    """
    scale = max(1.0, abs(margin), size)
    if not (isfinite(explained) and abs(explained - margin) <= _MARGIN_TOLERANCE * scale):
        raise NotAdditive(model=model, found=f"{explained:.9g}", expected=f"{margin:.9g}")
    if not abs(said - served) <= TOLERANCE * max(1.0, size):
        raise NotAdditive(model=model, found=f"{said:.9g}", expected=f"{served:.9g}")
