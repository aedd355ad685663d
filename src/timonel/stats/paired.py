"""Is one thing better than another on the same rows? A one-sided paired test on losses."""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

_FEWEST = 20


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much the loss of one is under that of the other, on the same rows.

    Parameters
    ----------
    mean : float or None
        Mean of (other's loss - own loss); positive is better. None: cannot say.
    lower : float or None
        One-sided lower bound at ``1 - alpha``.
    p_value : float or None
        Of "not better".
    n : int
    reason : str or None
    """

    mean: float | None
    lower: float | None
    p_value: float | None
    n: int
    reason: str | None = None

    @property
    def shown(self) -> bool:
        """Whether it was shown to be better."""
        return self.lower is not None and self.lower > 0.0

    def document(self) -> dict[str, Any]:
        """Give a JSON-safe form."""
        return {
            "mean": self.mean,
            "lower": self.lower,
            "p_value": self.p_value,
            "n": self.n,
            "reason": self.reason,
        }


def gain(own: NDArray[np.float64], other: NDArray[np.float64], *, alpha: float = 0.05) -> Gain:
    """Test whether own losses are smaller than the other's, row by row.

    Parameters
    ----------
    own, other : ndarray, shape (n_rows,)
        Losses of the same rows; smaller is better.
    alpha : float
        One-sided.

    Returns
    -------
    Gain
        Without numbers under 20 rows.

    Notes
    -----
    Student's t on the differences; rows are taken as independent.
    """
    n = len(own)
    if n < _FEWEST:
        return Gain(None, None, None, n, f"only {n} rows, at least {_FEWEST} are needed")
    difference = other - own
    mean = float(np.mean(difference))
    error = float(np.std(difference, ddof=1)) / sqrt(n)
    if error == 0.0:
        return Gain(mean, mean, 0.0 if mean > 0 else 1.0, n)
    p_value = float(stdtr(n - 1, -mean / error))
    return Gain(mean, mean - float(stdtrit(n - 1, 1.0 - alpha)) * error, p_value, n)
