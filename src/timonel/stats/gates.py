"""May a candidate take the champion's place? Non-inferiority on the same units.

A gate does not ask whether the candidate's figure is higher: between equal models that is a coin.
It asks whether the candidate can be shown not to be worse by more than a margin, and admits when
the units do not suffice to say.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil, pi
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from timonel.stats.paired import PairedDifference, mcnemar_exact, relative_gain, tango

FEWEST_UNITS = 200
_POWER = 0.8

Loss = Literal["mae", "rmse"]


class Verdict(StrEnum):
    """What a gate says."""

    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True, slots=True)
class GateResult:
    """A gate's verdict and the figures behind it.

    Parameters
    ----------
    verdict : Verdict
        PASS: ``lower`` is above ``-margin``. FAIL: not so, and ``upper`` is below 0. UNDECIDED:
        the champion stays.
    difference : float or None
        Candidate against champion, positive is better: of accuracies, or the part by which the
        loss is smaller.
    lower, upper : float or None
        One-sided bounds at ``1 - alpha`` each.
    n : int
        Units.
    n_to_decide : int or None
        Units with which an equal candidate would pass four times in five; None once decided, or
        where it cannot be said.
    reason : str
        One English sentence.
    margin, alpha : float
    p_better : float or None
        Exact McNemar, two-sided; under ``alpha`` and with a positive difference the candidate is
        better, not only as good. None for losses, where ``lower > 0`` says so.
    """

    verdict: Verdict
    difference: float | None
    lower: float | None
    upper: float | None
    n: int
    n_to_decide: int | None
    reason: str
    margin: float
    alpha: float
    p_better: float | None = None

    @property
    def better(self) -> bool:
        """Whether the candidate was shown to be better."""
        if self.p_better is not None:
            return self.p_better < self.alpha and (self.difference or 0.0) > 0.0
        return self.lower is not None and self.lower > 0.0

    def document(self) -> dict[str, Any]:
        """Give a JSON-safe form."""
        return {
            "verdict": str(self.verdict),
            "difference": self.difference,
            "lower": self.lower,
            "upper": self.upper,
            "n": self.n,
            "n_to_decide": self.n_to_decide,
            "reason": self.reason,
            "margin": self.margin,
            "alpha": self.alpha,
            "p_better": self.p_better,
            "better": self.better,
        }


def alpha_for_look(look: int, alpha: float = 0.05) -> float:
    """Give the level of the j-th comparison since the last promotion.

    Parameters
    ----------
    look : int
        j, from 1.
    alpha : float
        Of all comparisons together.

    Returns
    -------
    float
        ``alpha * 6 / (pi^2 j^2)``; over all j these sum to ``alpha``.

    Raises
    ------
    ValueError
        If ``look`` is under 1.

    Examples
    --------
    >>> round(alpha_for_look(1), 5), round(alpha_for_look(2), 5)
    (0.0304, 0.0076)
    """
    if look < 1:
        message = f"look {look}, the first one is 1"
        raise ValueError(message)
    return alpha * 6.0 / (pi * look) ** 2


def paired_gate_accuracy(
    candidate_correct: ArrayLike,
    champion_correct: ArrayLike,
    *,
    margin: float = 0.02,
    alpha: float = 0.05,
    at_least: int = FEWEST_UNITS,
) -> GateResult:
    """Judge a candidate by accuracy on the same units as the champion.

    Parameters
    ----------
    candidate_correct, champion_correct : array of bool
        Unit by unit, in the same order; one row a unit.
    margin : float
        The loss of accuracy that is still as good (.02: two points).
    alpha : float
        The chance that a candidate worse by the margin passes; see ``alpha_for_look``.
    at_least : int
        Units under which nothing is decided.

    Returns
    -------
    GateResult

    Raises
    ------
    ValueError
        If the two differ in length.

    Notes
    -----
    Tango's score interval; an equal candidate that disagrees on 6 % of the units passes a margin
    of two points in about 28 % of cases at 200 units, and in 80 % at 928.
    """
    candidate, champion = np.asarray(candidate_correct, bool), np.asarray(champion_correct, bool)
    if candidate.shape != champion.shape:
        message = f"answers for {candidate.size} and for {champion.size} units"
        raise ValueError(message)
    n = candidate.size
    b, c = int(np.sum(candidate & ~champion)), int(np.sum(champion & ~candidate))
    found = tango(b, c, n, alpha=alpha)
    # without any disagreement the bound is z^2 / (n + z^2), which a variance of 0 would hide
    z = float(ndtri(1.0 - alpha))
    least = z * z * (1.0 - margin) / margin
    needed = max(_to_decide((b + c) / n, margin, alpha) if n else 0, ceil(least))
    p_better = mcnemar_exact(b, c)
    return _verdict(found, margin, alpha, at_least, needed, "accuracy", p_better)


def paired_gate_loss(
    candidate_loss: ArrayLike,
    champion_loss: ArrayLike,
    *,
    metric: Loss,
    margin: float = 0.02,
    alpha: float = 0.05,
    at_least: int = FEWEST_UNITS,
) -> GateResult:
    """Judge a candidate by its losses on the same units as the champion's.

    Parameters
    ----------
    candidate_loss, champion_loss : array of float
        Unit by unit: absolute errors for ``mae``, squared errors for ``rmse``; the sum of its
        rows where a unit has several.
    metric : {"mae", "rmse"}
    margin : float
        The relative loss that is still as good (.02: two percent).
    alpha, at_least
        As of ``paired_gate_accuracy``.

    Returns
    -------
    GateResult
        ``difference`` is the part by which the metric is smaller.

    Raises
    ------
    ValueError
        If the two differ in length.

    Notes
    -----
    PASS is the one-sided t-test on ``candidate - (1 + margin) champion`` (for ``rmse``
    ``(1 + margin)**2``) of each unit.
    """
    candidate = np.asarray(candidate_loss, np.float64)
    champion = np.asarray(champion_loss, np.float64)
    found = relative_gain(candidate, champion, alpha=alpha, root=metric == "rmse")
    needed = _loss_to_decide(candidate, champion, metric, margin, alpha)
    return _verdict(found, margin, alpha, at_least, needed, metric, None)


def _loss_to_decide(
    candidate: NDArray[np.float64],
    champion: NDArray[np.float64],
    metric: Loss,
    margin: float,
    alpha: float,
) -> int | None:
    if len(champion) < 2 or (mean := float(np.mean(champion))) <= 0.0:
        return None
    factor = (1.0 + margin) ** (2 if metric == "rmse" else 1)
    spread = float(np.var(candidate - factor * champion, ddof=1))
    return _to_decide(spread / mean**2, factor - 1.0, alpha)


def _to_decide(variance: float, margin: float, alpha: float) -> int:
    """Count the units with which an equal candidate passes with a power of .8."""
    z = float(ndtri(1.0 - alpha) + ndtri(_POWER))
    return ceil(z * z * variance / margin**2)


def _verdict(
    found: PairedDifference,
    margin: float,
    alpha: float,
    at_least: int,
    needed: int | None,
    metric: str,
    p_better: float | None,
) -> GateResult:
    lower, upper, n = found.lower, found.upper, found.n

    def say(verdict: Verdict, reason: str, wanted: int | None = None) -> GateResult:
        return GateResult(
            verdict, found.estimate, lower, upper, n, wanted, reason, margin, alpha, p_better
        )

    least = max(needed or 0, n + 1, at_least)
    if n < at_least:
        few = f"only {n} units with a truth, at least {at_least} are needed"
        return say(Verdict.UNDECIDED, few, least)
    if lower is None or upper is None:
        return say(Verdict.UNDECIDED, found.reason or "it cannot be said")
    interval = f"{metric} differs by {lower:+.4f} to {upper:+.4f}"
    if lower > -margin:
        better = "better" if lower > 0 else f"not worse than the margin of {margin:g}"
        return say(Verdict.PASS, f"{interval}: {better}")
    if upper < 0.0:
        return say(Verdict.FAIL, f"{interval}: worse")
    return say(
        Verdict.UNDECIDED,
        f"{interval}: on {n} units neither worse nor within the margin of {margin:g} is shown; "
        f"about {least} would decide",
        least,
    )
