"""Tests that stay valid however often one looks.

An e-value is evidence against a hypothesis: if the hypothesis holds, it exceeds ``1 / alpha`` at
any time with probability at most ``alpha``. So it may be looked at after every event, and e-values
of several sources may be averaged (or multiplied, where they are of disjoint data).
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, fsum, inf, isfinite, log, log1p, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, erfcx, gammaln, log_ndtr, ndtr, ndtri

from timonel.stats.comparing.arguments import MOST, require_counts, require_level
from timonel.stats.comparing.recursion import barrier_of, going_on
from timonel.stats.moments import Moments

Floats = NDArray[np.float64]
Side = Literal["two", "greater", "less"]
Spending = Literal["obf", "power"]

BETS = (1.1, 1.2, 1.35, 1.5, 2.0, 3.0, 5.0, 10.0)
_LARGEST = log(sys.float_info.max)
_FLATTEST = 1e9  # a prior of more says nothing at any count, and rounding would speak instead
_FAR = -30.0


# --- any effect with a standard error


@dataclass(frozen=True, slots=True)
class Sequence:
    """What a confidence sequence says at one look.

    Parameters
    ----------
    half_width : float
        From the effect to a bound; infinite while nothing can be said.
    lower, upper : float
        One of them infinite for a one-sided sequence.
    e_value : float
        Evidence against "no effect" (one-sided: against "not greater", "not less").
    p_value : float
        ``min(1, 1/e)``; over several looks keep the smallest.
    """

    half_width: float
    lower: float
    upper: float
    e_value: float
    p_value: float


def asymptotic_cs(
    effect: float,
    se: float,
    n: float,
    *,
    alpha: float = 0.05,
    n_star: float = 5000,
    side: Side = "two",
) -> Sequence:
    """Give the asymptotic confidence sequence of an effect: an interval valid at every look.

    Parameters
    ----------
    effect, se : float
        The estimate so far and its standard error; for non-inferiority and guardrails with a
        margin d, pass ``effect + d``.
    n : float
        The information count ``4 * sum n_a n_b / (n_a + n_b)`` (``Information.n``), which is
        ``n_a + n_b`` at equal shares; not the raw count where the share changed.
    alpha : float
        In (0, 1); under .5 for one side.
    n_star : float
        The information count at which the interval is narrowest.
    side : {"two", "greater", "less"}
        The alternative.

    Returns
    -------
    Sequence
        Without information (n or se of 0): an infinite interval, and an e-value of 1.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Source: I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy, A. Ramdas, arXiv 2103.06476,
    eq. 9, 134 (the one-sided interval, wider than its e-value needs), 155, 161. Asymptotic: it asks
    for some tens of units.
    """
    _require_sequence(effect, se, n, alpha, n_star, side)
    if n == 0 or se == 0.0:
        return Sequence(inf, -inf, inf, 1.0, 1.0)
    level = alpha if side == "two" else 2.0 * alpha
    k = n * (-2.0 * log(level) + log1p(-2.0 * log(level))) / n_star
    z = effect / se
    if side == "two":
        half = se * sqrt((k + 1.0) / k * (log1p(k) - 2.0 * log(alpha)))
        log_e = k * z * z / (2.0 * (k + 1.0)) - log1p(k) / 2.0
        return Sequence(half, effect - half, effect + half, _bounded(log_e), _p_value(log_e))
    half = se * sqrt(2.0 * (k + 1.0) / k * log1p(sqrt(k + 1.0) / (2.0 * alpha)))
    towards = z if side == "greater" else -z
    log_e = log(2.0) - log1p(k) / 2.0 + _log_mills(k, z, towards * sqrt(k / (k + 1.0)))
    lower, upper = (effect - half, inf) if side == "greater" else (-inf, effect + half)
    return Sequence(half, lower, upper, _bounded(log_e), _p_value(log_e))


def _require_sequence(
    effect: float, se: float, n: float, alpha: float, n_star: float, side: str
) -> None:
    if side not in {"two", "greater", "less"}:
        message = f"side {side!r}, expected two, greater or less"
        raise ValueError(message)
    require_level(alpha, below=1.0 if side == "two" else 0.5)
    if not (isfinite(effect) and 0.0 <= se < inf and 0.0 <= n <= MOST and 0.0 < n_star <= MOST):
        message = (
            f"effect {effect}, standard error {se}, n {n}, n_star {n_star}, expected finite "
            "numbers, se >= 0, n from 0 and n_star above 0 (both up to 1e12)"
        )
        raise ValueError(message)


def _log_mills(k: float, z: float, x: float) -> float:
    """Give ``k z^2 / (2 (k + 1)) + ln Phi(x)``, where the first is ``x^2 / 2``."""
    if x > _FAR:
        return k * z * z / (2.0 * (k + 1.0)) + float(log_ndtr(x))
    # far on the other side both are huge, and what is left of them would be rounding
    scaled = float(erfcx(-x / sqrt(2.0)))
    return log(scaled / 2.0) if scaled > 0.0 else -inf


# --- strata of exposure and of arrival


@dataclass(frozen=True, slots=True)
class Information:
    """What strata say together of a difference, each compared within itself alone.

    Parameters
    ----------
    score : float
        ``S = sum w (mean_b - mean_a)``.
    variance : float
        ``V = sum w s^2``, of S if the arms do not differ.
    weight : float
        ``sum w`` with ``w = n_a n_b / (n_a + n_b)``.

    Notes
    -----
    ``+`` joins disjoint strata. Source: N. Mantel, W. Haenszel, 1959, Journal of the National
    Cancer Institute 22, 719-748.
    """

    score: float = 0.0
    variance: float = 0.0
    weight: float = 0.0

    def __add__(self, other: "Information") -> "Information":
        return Information(
            self.score + other.score,
            self.variance + other.variance,
            self.weight + other.weight,
        )

    @property
    def effect(self) -> float | None:
        """Treatment minus control; None without a stratum that holds both."""
        return self.score / self.weight if self.weight > 0.0 else None

    @property
    def se(self) -> float | None:
        """The standard error of the effect; None where there is no effect or no spread."""
        return sqrt(self.variance) / self.weight if self.variance > 0.0 else None

    @property
    def n(self) -> float:
        """The information count ``4 sum w``: n_a + n_b at equal shares."""
        return 4.0 * self.weight


def stratum(a: Moments, b: Moments) -> Information:
    """Compare two arms within one stratum.

    Parameters
    ----------
    a, b : Moments
        Of control and treatment; of flags, ``m2 = n p (1 - p)``.

    Returns
    -------
    Information
        Nothing, if an arm is empty.

    Notes
    -----
    ``s^2 = m2 / (n - 1)`` of both arms merged: the permutation variance, for flags the
    hypergeometric one.
    """
    if not a.n or not b.n:
        return Information()
    weight = a.n * b.n / (a.n + b.n)
    spread = (a + b).variance or 0.0
    return Information(weight * (b.mean - a.mean), weight * spread, weight)


def stratified(pairs: Iterable[tuple[Moments, Moments]]) -> Information:
    """Compare two arms over strata (control, treatment), rounding once, in any order."""
    each = [stratum(a, b) for a, b in pairs]
    return Information(
        fsum(one.score for one in each),
        fsum(one.variance for one in each),
        fsum(one.weight for one in each),
    )


# --- counts, exactly


def paired_e_value(n10: int, n01: int, *, k: float = 10) -> float:
    """Weigh the evidence that of two answers to the same request one is right more often.

    Parameters
    ----------
    n10, n01 : int
        Pairs in which only the one, and only the other, was right.
    k : float
        The prior Beta(k, k): 10 for differences of some points, 1 for large ones.

    Returns
    -------
    float
        The e-value against 1/2, exact at every number of pairs; decide at ``1 / alpha``.

    Raises
    ------
    ValueError
        If a count is no whole number, or ``k`` not positive (or above 1e9).

    Examples
    --------
    >>> paired_e_value(0, 0)
    1.0
    """
    require_counts("discordant pairs", n10, n01)
    _require_prior("k", k)
    return _bounded(float(betaln(k + n10, k + n01) - betaln(k, k)) + (n10 + n01) * log(2.0))


def srm_e_value(counts: ArrayLike, weights: ArrayLike, *, a: float = 10_000) -> float:
    """Weigh the evidence that units did not come in the shares that were asked for.

    Parameters
    ----------
    counts : array of int, shape (n_arms,)
        Distinct units at their first exposure, under one constant allocation.
    weights : array, shape (n_arms,)
        The shares asked for; they are scaled to sum to 1.
    a : float
        Concentration of the Dirichlet prior about the weights.

    Returns
    -------
    float
        The e-value. Over segments of different allocation multiply the e-values; counts of several
        allocations may not be pooled. Alarm at 20, block decisions at 100.

    Raises
    ------
    ValueError
        If the two differ in length, a count is no whole number, the weights are no shares, or ``a``
        is not positive (or above 1e9).

    Notes
    -----
    An arm with weight 0 that has units contradicts the allocation: the largest float. Source:
    M. Lindon, A. Malek, arXiv 2011.03567.
    """
    seen, shares = np.asarray(counts, np.float64), np.asarray(weights, np.float64)
    _require_prior("a", a)
    if seen.shape != shares.shape or seen.ndim != 1 or not len(seen):
        message = f"{seen.size} counts for {shares.size} weights, expected one weight a count"
        raise ValueError(message)
    require_counts("counts", *seen.tolist())
    total = float(np.sum(shares))
    if not np.all(shares >= 0.0) or not 0.0 < total < inf:
        message = f"weights {weights!r}, expected shares of at least 0, not all 0"
        raise ValueError(message)
    if np.any(seen[shares == 0.0] > 0.0):
        return sys.float_info.max
    seen, shares = seen[shares > 0.0], shares[shares > 0.0] / total
    prior = a * shares
    log_e = float(
        gammaln(a)
        - gammaln(a + np.sum(seen))
        + np.sum(gammaln(prior + seen) - gammaln(prior) - seen * np.log(shares))
    )
    return _bounded(log_e)


def rare_event_e_value(
    bad_candidate: ArrayLike,
    bad_both: ArrayLike,
    share: ArrayLike,
    *,
    tolerated: float = 1.1,
    bets: Iterable[float] = BETS,
) -> float:
    """Weigh the evidence that bad events are more frequent with the candidate than tolerated.

    Parameters
    ----------
    bad_candidate, bad_both : array of int, shape (n_segments,)
        Bad events of the candidate, and of both arms, in each segment of constant share; at most
        one a unit and segment.
    share : array, shape (n_segments,)
        The candidate's share of the units, in (0, 1).
    tolerated : float
        The ratio of the rates that is still as good; 1 tolerates none.
    bets : iterable of float
        Ratios bet on, of which those above ``tolerated`` are used.

    Returns
    -------
    float
        The e-value, exact at any count, share, trend and delay.

    Raises
    ------
    ValueError
        If the counts contradict each other, a share is not in (0, 1), or no bet is left.

    Notes
    -----
    Betting on the arm of each bad event: a mean over r of
    ``(r/q)^X prod_s ((1 + pi_s (q-1)) / (1 + pi_s (r-1)))^m_s``, q the tolerated ratio.

    Examples
    --------
    >>> rare_event_e_value([0], [0], [0.5])
    1.0
    """
    bad, both, pi = (np.asarray(v, np.float64) for v in (bad_candidate, bad_both, share))
    if not bad.shape == both.shape == pi.shape or bad.ndim != 1:
        message = f"segments differ: {bad.shape}, {both.shape}, {pi.shape}"
        raise ValueError(message)
    if not np.all((bad >= 0.0) & (bad <= both)) or not np.all((pi > 0.0) & (pi < 1.0)):
        message = f"bad events {bad_candidate!r} of {bad_both!r} at shares {share!r}"
        raise ValueError(message)
    ratios = np.array([r for r in bets if r > tolerated])
    if not len(ratios) or not tolerated > 0.0:
        message = f"no bet above the tolerated ratio {tolerated}"
        raise ValueError(message)
    logs = np.log(ratios / tolerated) * np.sum(bad)
    per_event = np.log1p(pi * (tolerated - 1.0)) - np.log1p(np.outer(ratios - 1.0, pi))
    logs = logs + per_event @ both
    top = float(np.max(logs))
    return _bounded(top + log(float(np.mean(np.exp(logs - top)))))


def ramp_e_value(goal: float, guardrails: Iterable[float]) -> float:
    """Average a ramp's e-values: half on the goal, half spread over its guardrails.

    Parameters
    ----------
    goal : float
        The e-value of harm to the goal, now; 1 while there is none.
    guardrails : iterable of float
        One e-value each, now (not its maximum so far).

    Returns
    -------
    float
        ``.5 goal + sum .5/G guardrail``, without guardrails the goal's; roll back at 100.
    """
    each = list(guardrails)
    if not each:
        return goal
    # each is divided first: a sum of largest floats would overflow
    return 0.5 * goal + fsum(0.5 / len(each) * one for one in each)


# --- group-sequential bounds


def lan_demets_bounds(
    fractions: ArrayLike,
    *,
    alpha: float = 0.05,
    spending: Spending = "obf",
    information: ArrayLike | None = None,
) -> Floats:
    """Give the bounds of z at planned looks that together spend alpha.

    Parameters
    ----------
    fractions : array, shape (n_looks,)
        Information at each look over that at the end: rising, in (0, 1].
    alpha : float
        Two-sided, of all looks together.
    spending : {"obf", "power"}
        O'Brien and Fleming's (little early), or ``alpha t^2``.
    information : array, shape (n_looks,), optional
        What each look knew, rising, in any unit, where ``fractions`` are of time: alpha is spent
        by the calendar, and looks are correlated by information.

    Returns
    -------
    ndarray, shape (n_looks,)
        Stop at the first look with ``abs(z)`` at its bound; infinite where a look has nothing that
        a float could spend.

    Raises
    ------
    ValueError
        If the fractions do not rise within (0, 1], or an argument is out of range.

    Notes
    -----
    Source: K. K. G. Lan, D. L. DeMets, 1983, Biometrika 70, 659-663, and (by the calendar) 1989,
    Statistics in Medicine 8, 1191-1198; the recursion of
    P. Armitage, C. K. McPherson, B. C. Rowe, 1969, Journal of the Royal Statistical Society A 132,
    235-244, by Gauss-Legendre panels no wider than a step's standard deviation.

    Examples
    --------
    >>> lan_demets_bounds([0.2, 0.4, 0.6, 0.8, 1.0]).round(4).tolist()
    [4.8769, 3.357, 2.6803, 2.2898, 2.031]
    """
    t = np.asarray(fractions, np.float64)
    if t.ndim != 1 or not len(t) or not np.all(np.diff(t, prepend=0.0) > 0.0) or not t[-1] <= 1.0:
        message = f"fractions must rise within (0, 1], not {fractions!r}"
        raise ValueError(message)
    require_level(alpha)
    if spending not in {"obf", "power"}:
        message = f"spending {spending!r}, expected obf or power"
        raise ValueError(message)
    spent = (
        4.0 * ndtr(-ndtri(1.0 - alpha / 4.0) / np.sqrt(t)) if spending == "obf" else alpha * t**2
    )
    each = np.diff(spent, prepend=0.0)
    if information is not None:
        known = np.asarray(information, np.float64)
        if known.shape != t.shape or not np.all(np.diff(known, prepend=0.0) > 0.0):
            message = f"information must rise from look to look, not {information!r}"
            raise ValueError(message)
        t = known / known[-1]
    steps = np.sqrt(np.diff(t, prepend=0.0))
    bounds = np.empty_like(t)
    # at: where the sum of increments may be on going on; mass: density times quadrature weight
    at, mass = np.zeros(1), np.ones(1)
    for look in range(len(t)):
        barrier = barrier_of(at, mass, float(steps[look]), float(each[look]), sqrt(float(t[look])))
        bounds[look] = barrier / sqrt(t[look])
        if look + 1 < len(t):
            at, mass = going_on(at, mass, float(steps[look]), barrier, float(min(steps)), t[look])
    return bounds


# --- shared steps


def _require_prior(name: str, value: float) -> None:
    if not 0.0 < value <= _FLATTEST:
        message = f"{name} is {value}, expected more than 0 and at most 1e9"
        raise ValueError(message)


def _bounded(log_e: float) -> float:
    """Leave the logarithm; what no float can hold becomes the largest one, never infinity."""
    return exp(log_e) if log_e < _LARGEST else sys.float_info.max


def _p_value(log_e: float) -> float:
    return min(1.0, exp(-log_e)) if log_e > 0.0 else 1.0
