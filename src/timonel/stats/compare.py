"""Do two arms differ? Fixed-sample tests on sufficient statistics.

Arm *a* is the control and arm *b* the treatment; effects are treatment minus control. Each test is
valid for one look at a sample whose size was fixed before; for looking again and again there is
``timonel.stats.sequential``.
"""

from collections.abc import Callable
from math import hypot, inf, isfinite, sqrt

import numpy as np
from scipy.special import gammaln, ndtr, ndtri, stdtr, stdtrit

from timonel.stats.comparing.arguments import of_moments, require_hits, require_level
from timonel.stats.comparing.results import Bayes, Comparison, Interval, Unsayable, unsayable
from timonel.stats.intervals import wilson
from timonel.stats.moments import BivariateMoments, Moments, adjusted, theta_of

__all__ = [
    "Bayes",
    "BivariateMoments",
    "Comparison",
    "Interval",
    "Moments",
    "Unsayable",
    "chance_to_win",
    "cuped",
    "cuped_lift",
    "fisher_exact",
    "newcombe_interval",
    "ratio",
    "relative_lift",
    "two_proportions",
    "welch",
]

_SAME = 1.0 + 1e-7
_REACH, _AT_LEAST = 40.0, 1000.0


# --- two arms


def two_proportions(x_a: int, n_a: int, x_b: int, n_b: int, *, alpha: float = 0.05) -> Comparison:
    """Compare two shares by the z-test with unpooled variance.

    Parameters
    ----------
    x_a, n_a, x_b, n_b : int
        Hits and units of control and treatment.
    alpha : float
        Of the interval, two-sided.

    Returns
    -------
    Comparison
        Without a p-value if an arm is empty, or has only hits or none; use ``fisher_exact`` and
        ``newcombe_interval`` there.

    Raises
    ------
    ValueError
        If the counts contradict each other.

    Notes
    -----
    ``se^2 = p_a(1-p_a)/n_a + p_b(1-p_b)/n_b``: the Wald test, for large counts.

    Examples
    --------
    >>> round(two_proportions(200, 1000, 250, 1000).p_value, 5)
    0.00731
    """
    require_level(alpha)
    require_hits(x_a, n_a, x_b, n_b)
    n = n_a + n_b
    if not n_a or not n_b:
        return unsayable(n, Unsayable.EMPTY)
    p_a, p_b = x_a / n_a, x_b / n_b
    if x_a in {0, n_a} or x_b in {0, n_b}:
        return unsayable(n, Unsayable.CONSTANT, p_b - p_a)
    return _normal(p_b - p_a, p_a * (1 - p_a) / n_a + p_b * (1 - p_b) / n_b, n, alpha)


@of_moments
def welch(a: Moments, b: Moments, *, alpha: float = 0.05) -> Comparison:
    """Compare two means without assuming equal variances.

    Parameters
    ----------
    a, b : Moments
        Of control and treatment, one value a unit.
    alpha : float
        Of the interval, two-sided.

    Returns
    -------
    Comparison
        Without a p-value if an arm has fewer than two units or no spread.

    Notes
    -----
    Student's t with Satterthwaite's degrees of freedom. Source: B. L. Welch, 1947, Biometrika 34,
    28-35.
    """
    refused = _refused(a, b)
    if refused is not None:
        return refused
    share_a, share_b = a.m2 / (a.n - 1) / a.n, b.m2 / (b.n - 1) / b.n
    variance = share_a + share_b
    of_a = share_a / variance
    freedom = 1.0 / (of_a**2 / (a.n - 1) + (1.0 - of_a) ** 2 / (b.n - 1))
    effect, se = b.mean - a.mean, sqrt(variance)
    half = float(stdtrit(freedom, 1.0 - alpha / 2.0)) * se
    t = effect / se
    p_value = 2.0 * float(stdtr(freedom, -abs(t)))
    return Comparison(effect, se, t, p_value, effect - half, effect + half, a.n + b.n)


@of_moments
def relative_lift(a: Moments, b: Moments, *, alpha: float = 0.05) -> Comparison:
    """Compare two means as a share of the control's: ``mean_b / mean_a - 1``.

    Returns
    -------
    Comparison
        Without a p-value if an arm has fewer than two units or no spread, and without an effect
        if the control mean is not positive.

    Notes
    -----
    Delta method, ``var = s_b^2/(m_a^2 n_b) + s_a^2 m_b^2/(m_a^4 n_a)``: good once the control mean
    is many standard errors from 0.
    """
    refused = _refused(a, b, lambda: b.mean / a.mean - 1.0 if a.mean > 0.0 else None)
    if refused is not None:
        return refused
    if a.mean <= 0.0:
        return unsayable(a.n + b.n, Unsayable.NOT_POSITIVE)
    of_b = b.m2 / (b.n - 1) / b.n / a.mean**2
    of_a = a.m2 / (a.n - 1) / a.n * b.mean**2 / a.mean**4
    return _normal(b.mean / a.mean - 1.0, of_a + of_b, a.n + b.n, alpha)


@of_moments
def ratio(a: BivariateMoments, b: BivariateMoments, *, alpha: float = 0.05) -> Comparison:
    """Compare two ratios of sums where units, not requests, were randomised.

    Parameters
    ----------
    a, b : BivariateMoments
        Of control and treatment; y is a unit's numerator, x its denominator.
    alpha : float
        Of the interval, two-sided.

    Returns
    -------
    Comparison
        Of ``sum y / sum x``.

    Notes
    -----
    Delta method per arm: ``var = (s_M^2/D^2 - 2 cov M/D^3 + M^2 s_D^2/D^4) / n``, n units. Source:
    A. Deng, U. Knoblich, J. Lu, 2018, KDD, 233-242.
    """
    n = a.n + b.n
    if not a.n or not b.n:
        return unsayable(n, Unsayable.EMPTY)
    if a.mean_x <= 0.0 or b.mean_x <= 0.0:
        return unsayable(n, Unsayable.NO_DENOMINATOR)
    effect = b.mean_y / b.mean_x - a.mean_y / a.mean_x
    if min(a.n, b.n) < 2:
        return unsayable(n, Unsayable.SINGLE, effect)
    variances = _ratio_variance(a), _ratio_variance(b)
    if min(variances) <= 0.0:
        return unsayable(n, Unsayable.CONSTANT, effect)
    return _normal(effect, sum(variances), n, alpha)


def _ratio_variance(arm: BivariateMoments) -> float:
    # the squares of y - R x about their mean, divided by n (n - 1) D^2
    of_arm = arm.mean_y / arm.mean_x
    squares = arm.m2_y - 2.0 * of_arm * arm.c_yx + of_arm**2 * arm.m2_x
    rounding = 1e-12 * (arm.m2_y + of_arm**2 * arm.m2_x)
    return 0.0 if squares <= rounding else squares / (arm.n - 1) / arm.n / arm.mean_x**2


# --- with what was known before


@of_moments
def cuped(a: BivariateMoments, b: BivariateMoments, *, alpha: float = 0.05) -> Comparison:
    """Compare two means after taking out what was known of the units before.

    Parameters
    ----------
    a, b : BivariateMoments
        Of control and treatment; y is the metric, x the covariate, known for every unit before or
        independently of the arm.
    alpha : float
        Of the interval, two-sided.

    Returns
    -------
    Comparison
        Welch's test of ``y - theta x``; a constant covariate changes nothing.

    Notes
    -----
    ``theta = cov(y, x) / var(x)`` from within-arm moments pooled: the total covariance would hold a
    part of the effect. Source: A. Deng, Y. Xu, R. Kohavi, T. Walker, 2013, WSDM, 123-132.
    """
    theta = theta_of((a, b))
    return welch(adjusted(a, theta), adjusted(b, theta), alpha=alpha)


@of_moments
def cuped_lift(a: BivariateMoments, b: BivariateMoments, *, alpha: float = 0.05) -> Comparison:
    """Compare two adjusted means as a share of the control's unadjusted mean.

    Returns
    -------
    Comparison
        Of ``(y'_b - y'_a) / y_a`` with ``y' = y - theta x``; without covariate it is
        ``relative_lift``.

    Notes
    -----
    Delta method; the covariance between the adjusted and the unadjusted control mean is counted.
    """
    theta = theta_of((a, b))
    own, other = adjusted(a, theta), adjusted(b, theta)
    refused = _refused(own, other, lambda: None)
    if refused is not None:
        return refused
    base = a.mean_y
    if base <= 0.0:
        return unsayable(a.n + b.n, Unsayable.NOT_POSITIVE)
    apart = other.mean - own.mean
    scale = a.n * (a.n - 1)
    of_b = other.m2 / (b.n - 1) / b.n
    of_a = own.m2 + (apart / base) ** 2 * a.m2_y + 2.0 * apart / base * (a.m2_y - theta * a.c_yx)
    return _normal(apart / base, (of_b + of_a / scale) / base**2, a.n + b.n, alpha)


# --- small counts


def fisher_exact(x_a: int, n_a: int, x_b: int, n_b: int, *, alpha: float = 0.05) -> Comparison:
    """Compare two shares exactly, for counts of any size.

    Parameters
    ----------
    x_a, n_a, x_b, n_b : int
        Hits and units of control and treatment.
    alpha : float
        Of the interval (Newcombe's), two-sided.

    Returns
    -------
    Comparison
        ``statistic`` is the sample odds ratio (None where it is infinite or undefined); ``se`` is
        None, an exact test has none.

    Raises
    ------
    ValueError
        If the counts contradict each other.

    Notes
    -----
    Two-sided by the sum of all tables at most as likely as the one seen. Source: R. A. Fisher,
    1935, Journal of the Royal Statistical Society 98, 39-82.

    Examples
    --------
    >>> round(fisher_exact(12, 17, 11, 11).p_value, 3)
    0.125
    """
    require_level(alpha)
    require_hits(x_a, n_a, x_b, n_b)
    n, hits = n_a + n_b, x_a + x_b
    if not n_a or not n_b:
        return unsayable(n, Unsayable.EMPTY)
    # tables that far from the likeliest have a chance that no float holds
    likeliest = hits * n_b / n
    reach = _REACH * sqrt(likeliest * (n_a / n) * ((n - hits) / n)) + _AT_LEAST
    first = max(0, hits - n_a, int(likeliest - reach))
    possible = np.arange(first, min(hits, n_b, int(likeliest + reach)) + 1)
    ways = -(
        gammaln(possible + 1.0)
        + gammaln(n_b - possible + 1.0)
        + gammaln(hits - possible + 1.0)
        + gammaln(n_a - hits + possible + 1.0)
    )
    weights = np.exp(ways - ways.max())
    seen = weights[x_b - first] if first <= x_b <= possible[-1] else 0.0
    p_value = min(1.0, float(np.sum(weights[weights <= seen * _SAME]) / np.sum(weights)))
    cross = (n_b - x_b) * x_a
    odds = x_b * (n_a - x_a) / cross if cross else None
    interval = newcombe_interval(x_a, n_a, x_b, n_b, alpha=alpha)
    effect = x_b / n_b - x_a / n_a
    return Comparison(effect, None, odds, p_value, interval.lower, interval.upper, n)


def newcombe_interval(x_a: int, n_a: int, x_b: int, n_b: int, *, alpha: float = 0.05) -> Interval:
    """Give the interval of a difference of two shares from their score intervals.

    Parameters
    ----------
    x_a, n_a, x_b, n_b : int
        Hits and units of control and treatment.
    alpha : float
        Two-sided.

    Returns
    -------
    Interval
        Of ``x_b/n_b - x_a/n_a``, inside [-1, 1]; with an empty arm all of [-1, 1].

    Raises
    ------
    ValueError
        If the counts contradict each other.

    Notes
    -----
    Method 10, without continuity correction, of R. G. Newcombe, 1998, Statistics in Medicine 17,
    873-890.

    Examples
    --------
    >>> found = newcombe_interval(48, 80, 56, 70)
    >>> round(found.lower, 4), round(found.upper, 4)
    (0.0524, 0.3339)
    """
    require_level(alpha)
    require_hits(x_a, n_a, x_b, n_b)
    if not n_a or not n_b:
        return Interval(-1.0, 1.0)
    a = wilson(x_a, n_a, confidence=1.0 - alpha)
    b = wilson(x_b, n_b, confidence=1.0 - alpha)
    apart = b.estimate - a.estimate
    lower = apart - sqrt((b.estimate - b.low) ** 2 + (a.high - a.estimate) ** 2)
    upper = apart + sqrt((b.high - b.estimate) ** 2 + (a.estimate - a.low) ** 2)
    return Interval(max(-1.0, lower), min(1.0, upper))


# --- Bayes


def chance_to_win(
    effect: float, se: float, *, prior_mean: float = 0.0, prior_sd: float = inf
) -> Bayes:
    """Give the posterior chance that the treatment is better, and what each choice risks.

    Parameters
    ----------
    effect, se : float
        Of a ``Comparison``.
    prior_mean, prior_sd : float
        Normal prior of the effect; the default is flat.

    Returns
    -------
    Bayes
        Not a stopping rule: at 28 looks "chance to win > .95" is wrong in 46 % of A/A tests.

    Raises
    ------
    ValueError
        If ``se`` is negative, ``prior_sd`` not positive, or another number not finite.

    Notes
    -----
    Normal posterior with precision ``1/se^2 + 1/prior_var``; the risk of choosing the treatment is
    ``s phi(m/s) - m Phi(-m/s)``.

    Examples
    --------
    >>> round(chance_to_win(1.0, 1.0).chance_to_win, 4)
    0.8413
    """
    if not (0.0 <= se < inf and prior_sd > 0.0 and isfinite(effect) and isfinite(prior_mean)):
        message = (
            f"effect {effect}, standard error {se}, prior mean {prior_mean} and standard deviation "
            f"{prior_sd}, expected finite numbers, se >= 0 and prior_sd > 0 (inf: a flat prior)"
        )
        raise ValueError(message)
    if se == 0.0:
        return Bayes(None, None, None, Unsayable.NO_SPREAD)
    # by shares, since the inverse of a small square is more than a float holds
    of_effect = 1.0 if prior_sd == inf else prior_sd / hypot(se, prior_sd)
    mean = of_effect**2 * effect + (1.0 - of_effect**2) * prior_mean
    spread = se * of_effect
    if not isfinite(mean) or spread == 0.0:
        return Bayes(None, None, None, Unsayable.BEYOND)
    z = mean / spread
    density = float(np.exp(-z * z / 2.0) / np.sqrt(2.0 * np.pi))
    risk_treatment = max(0.0, spread * density - mean * float(ndtr(-z)))
    risk_control = max(0.0, spread * density + mean * float(ndtr(z)))
    return Bayes(float(ndtr(z)), risk_control, risk_treatment)


# --- shared steps


def _normal(effect: float, variance: float, n: int, alpha: float) -> Comparison:
    se = sqrt(variance)
    z = effect / se
    half = float(ndtri(1.0 - alpha / 2.0)) * se
    p_value = 2.0 * float(ndtr(-abs(z)))
    return Comparison(effect, se, z, p_value, effect - half, effect + half, n)


def _refused(
    a: Moments, b: Moments, effect: Callable[[], float | None] | None = None
) -> Comparison | None:
    n = a.n + b.n
    if not a.n or not b.n:
        return unsayable(n, Unsayable.EMPTY)
    if min(a.n, b.n) > 1 and min(a.m2, b.m2) > 0.0:
        return None
    reason = Unsayable.SINGLE if min(a.n, b.n) < 2 else Unsayable.CONSTANT
    return unsayable(n, reason, effect() if effect else b.mean - a.mean)
