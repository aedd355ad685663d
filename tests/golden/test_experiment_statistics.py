"""Experiment arithmetic held against scipy, statsmodels, published tables and brute force."""

from fractions import Fraction
from math import comb, exp, lgamma, log, sqrt

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.stats import proportion
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower

from timonel.stats.compare import (
    BivariateMoments,
    Comparison,
    Moments,
    chance_to_win,
    cuped,
    cuped_lift,
    fisher_exact,
    newcombe_interval,
    ratio,
    relative_lift,
    two_proportions,
    welch,
)
from timonel.stats.multiple import benjamini_hochberg, holm
from timonel.stats.plan import sample_size_per_arm
from timonel.stats.sequential import (
    BETS,
    asymptotic_cs,
    lan_demets_bounds,
    paired_e_value,
    rare_event_e_value,
    srm_e_value,
    stratified,
    stratum,
)

EXACT = 1e-10


def p_of(found: Comparison) -> float:
    assert found.p_value is not None
    return found.p_value


@pytest.fixture(scope="module")
def arms() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x_a, x_b = rng.gamma(3.0, 2.0, 300), rng.gamma(3.0, 2.0, 260)
    y_a = 0.8 * x_a + rng.normal(2.0, 1.5, 300)
    y_b = 0.8 * x_b + rng.normal(2.3, 2.5, 260)
    return y_a, x_a, y_b, x_b


# --- compare


def test_two_proportions_is_the_wald_test_of_statsmodels() -> None:
    found = two_proportions(200, 1000, 250, 900)
    theirs = proportion.test_proportions_2indep(250, 900, 200, 1000, method="wald")
    assert found.statistic == pytest.approx(theirs.statistic, rel=EXACT)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=EXACT)
    low, high = proportion.confint_proportions_2indep(250, 900, 200, 1000, method="wald")
    assert (found.lower, found.upper) == pytest.approx((low, high), rel=EXACT)


def test_welch(arms: tuple[np.ndarray, ...]) -> None:
    y_a, _, y_b, _ = arms
    found = welch(Moments.of(y_a), Moments.of(y_b), alpha=0.1)
    theirs = stats.ttest_ind(y_b, y_a, equal_var=False)
    assert found.statistic == pytest.approx(theirs.statistic, rel=EXACT)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=EXACT)
    interval = theirs.confidence_interval(0.9)
    assert (found.lower, found.upper) == pytest.approx((interval.low, interval.high), rel=EXACT)


def test_ratio_is_the_regression_of_clustered_requests(arms: tuple[np.ndarray, ...]) -> None:
    # the delta method is the variance of the linearised values y - R x
    y_a, x_a, y_b, x_b = arms
    found = ratio(BivariateMoments.of(y_a, x_a), BivariateMoments.of(y_b, x_b))
    r_a, r_b = y_a.sum() / x_a.sum(), y_b.sum() / x_b.sum()
    variances = [
        np.var(y - r * x, ddof=1) / len(y) / x.mean() ** 2
        for y, x, r in ((y_a, x_a, r_a), (y_b, x_b, r_b))
    ]
    assert found.effect == pytest.approx(r_b - r_a, rel=EXACT)
    assert found.se == pytest.approx(sqrt(sum(variances)), rel=EXACT)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(found.statistic or 0)), rel=EXACT)


def test_ratio_of_one_request_a_unit_is_the_difference_of_means(
    arms: tuple[np.ndarray, ...],
) -> None:
    y_a, _, y_b, _ = arms
    one = [BivariateMoments.of(y, np.ones_like(y)) for y in (y_a, y_b)]
    expected = welch(Moments.of(y_a), Moments.of(y_b))
    assert ratio(*one).se == pytest.approx(expected.se, rel=EXACT)
    assert ratio(*one).effect == pytest.approx(expected.effect, rel=EXACT)


def test_cuped_is_the_regression_with_arm_and_covariate(arms: tuple[np.ndarray, ...]) -> None:
    y_a, x_a, y_b, x_b = arms
    found = cuped(BivariateMoments.of(y_a, x_a), BivariateMoments.of(y_b, x_b))
    arm = np.repeat([0.0, 1.0], [len(y_a), len(y_b)])
    design = np.column_stack([np.ones_like(arm), arm, np.concatenate([x_a, x_b])])
    beta = np.linalg.lstsq(design, np.concatenate([y_a, y_b]), rcond=None)[0]
    assert found.effect == pytest.approx(beta[1], rel=1e-9)
    theirs = stats.ttest_ind(y_b - beta[2] * x_b, y_a - beta[2] * x_a, equal_var=False)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-8)
    unadjusted = welch(Moments.of(y_a), Moments.of(y_b)).se
    assert found.se is not None
    assert unadjusted is not None
    assert found.se < 0.75 * unadjusted


def test_cuped_with_a_constant_covariate_is_welch(arms: tuple[np.ndarray, ...]) -> None:
    y_a, _, y_b, _ = arms
    flat = [BivariateMoments.of(y, np.zeros_like(y)) for y in (y_a, y_b)]
    assert cuped(*flat) == welch(Moments.of(y_a), Moments.of(y_b))
    lift = relative_lift(Moments.of(y_a), Moments.of(y_b))
    assert cuped_lift(*flat).effect == pytest.approx(lift.effect, rel=EXACT)
    assert cuped_lift(*flat).se == pytest.approx(lift.se, rel=EXACT)


def test_lifts_have_the_standard_error_of_a_bootstrap(arms: tuple[np.ndarray, ...]) -> None:
    y_a, x_a, y_b, x_b = arms
    rng = np.random.default_rng(9)
    plain, adjusted = [], []
    whole = [BivariateMoments.of(y_a, x_a), BivariateMoments.of(y_b, x_b)]
    theta = sum(m.c_yx for m in whole) / sum(m.m2_x for m in whole)
    for _ in range(4000):
        i, j = rng.integers(300, size=300), rng.integers(260, size=260)
        plain.append(y_b[j].mean() / y_a[i].mean() - 1)
        own, other = (y_a - theta * x_a)[i].mean(), (y_b - theta * x_b)[j].mean()
        adjusted.append((other - own) / y_a[i].mean())
    found = relative_lift(Moments.of(y_a), Moments.of(y_b))
    assert found.se == pytest.approx(np.std(plain), rel=0.04)
    assert cuped_lift(*whole).se == pytest.approx(np.std(adjusted), rel=0.04)


@pytest.mark.parametrize(
    "table", [(12, 17, 11, 11), (3, 50, 12, 48), (0, 9, 0, 4), (1, 1, 0, 1), (700, 2000, 801, 2100)]
)
def test_fisher_is_scipys(table: tuple[int, int, int, int]) -> None:
    x_a, n_a, x_b, n_b = table
    theirs = stats.fisher_exact(np.array([[x_b, n_b - x_b], [x_a, n_a - x_a]]))
    assert fisher_exact(*table).p_value == pytest.approx(theirs.pvalue, rel=1e-8)


def test_fisher_of_the_28_predictions_says_nothing_yet() -> None:
    assert round(p_of(fisher_exact(12, 17, 11, 11)), 3) == 0.125


@pytest.mark.parametrize(
    ("b", "a", "low", "high"),
    # Newcombe 1998, table II, method 10
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_newcombe_published(
    b: tuple[int, int], a: tuple[int, int], low: float, high: float
) -> None:
    found = newcombe_interval(*a, *b)
    assert (round(found.lower, 4), round(found.upper, 4)) == (low, high)


def test_newcombe_is_statsmodels() -> None:
    low, high = proportion.confint_proportions_2indep(33, 90, 20, 81, method="newcomb", alpha=0.1)
    found = newcombe_interval(20, 81, 33, 90, alpha=0.1)
    assert (found.lower, found.upper) == pytest.approx((low, high), rel=EXACT)


def test_bayes_is_the_integral_of_the_posterior() -> None:
    found = chance_to_win(0.4, 0.5, prior_mean=0.1, prior_sd=0.3)
    grid = np.linspace(-8, 8, 400_001)
    density = stats.norm.pdf(grid, 0.4, 0.5) * stats.norm.pdf(grid, 0.1, 0.3)
    density /= np.trapezoid(density, grid)
    assert found.chance_to_win == pytest.approx(np.trapezoid(density * (grid > 0), grid), abs=1e-4)
    gain = np.trapezoid(density * np.maximum(grid, 0), grid)
    loss = np.trapezoid(density * np.maximum(-grid, 0), grid)
    assert found.risk_control == pytest.approx(gain, rel=1e-6)
    assert found.risk_treatment == pytest.approx(loss, rel=1e-6)


# --- several tests, and how many units


def test_adjusted_p_values_are_statsmodels() -> None:
    p = np.random.default_rng(1).uniform(size=40) ** 3
    p[3] = p[7]
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], rel=EXACT)
    theirs = multipletests(p, method="fdr_bh")[1]
    assert benjamini_hochberg(p) == pytest.approx(theirs, rel=EXACT)


def test_sample_size_is_statsmodels() -> None:
    theirs = NormalIndPower().solve_power(effect_size=0.1, alpha=0.01, power=0.9)
    assert sample_size_per_arm(4.0, 4.0, 0.2, alpha=0.01, power=0.9) == np.ceil(theirs)
    # Lehr's 16 s^2 / d^2, which is 15.7
    assert sample_size_per_arm(1.0, 1.0, 0.1) == 1570


# --- sequential


def test_confidence_sequence_by_its_printed_formulas() -> None:
    # arXiv 2103.06476, eq. 9 and 155 (two-sided), 134 (one-sided), written out
    effect, se, n, alpha = 0.031, 0.0125, 3200.0, 0.05
    rho2 = (-2 * log(alpha) + log(1 - 2 * log(alpha))) / 5000
    boundary = sqrt((n * rho2 + 1) / (n * rho2) * log((n * rho2 + 1) / alpha**2))
    found = asymptotic_cs(effect, se, n)
    assert found.half_width == pytest.approx(se * boundary, rel=EXACT)
    rho2 = (-2 * log(2 * alpha) + log(1 - 2 * log(2 * alpha))) / 5000
    k = n * rho2
    one = asymptotic_cs(effect, se, n, side="greater")
    boundary = sqrt(2 * (k + 1) / k * log(1 + sqrt(k + 1) / (2 * alpha)))
    assert one.half_width == pytest.approx(se * boundary, rel=EXACT)


@pytest.mark.parametrize("side", ["two", "greater", "less"])
def test_e_value_is_the_mixture_it_stands_for(side: str) -> None:
    # likelihood ratio of z = N(theta) against N(0), theta normal with variance k (or half of it)
    z, n, alpha = 1.7, 4100.0, 0.05
    level = alpha if side == "two" else 2 * alpha
    k = n * (-2 * log(level) + log(1 - 2 * log(level))) / 5000

    def weighted(theta: float) -> float:
        return float(exp(theta * z - theta**2 / 2) * stats.norm.pdf(theta, scale=sqrt(k)))

    span = {"two": (-60.0, 60.0), "greater": (0.0, 60.0), "less": (-60.0, 0.0)}[side]
    mixed = integrate.quad(weighted, *span, limit=200)[0] * (1 if side == "two" else 2)
    found = asymptotic_cs(z * 0.01, 0.01, n, side=side)  # type: ignore[arg-type]
    assert found.e_value == pytest.approx(mixed, rel=1e-8)
    assert found.p_value == pytest.approx(min(1.0, 1 / mixed), rel=1e-8)


def test_lan_demets_published() -> None:
    five = np.arange(1, 6) / 5
    assert lan_demets_bounds(five).round(4).tolist() == [4.8769, 3.3570, 2.6803, 2.2898, 2.0310]
    # R ldbounds, power family, exponent 2
    expected = [3.0902, 2.7141, 2.4728, 2.2799, 2.1140]
    assert lan_demets_bounds(five, spending="power").round(4).tolist() == expected
    assert lan_demets_bounds([1.0])[0] == pytest.approx(stats.norm.isf(0.025), rel=EXACT)


def test_lan_demets_of_two_looks_by_the_bivariate_normal() -> None:
    first, second = lan_demets_bounds([0.5, 1.0])
    together = stats.multivariate_normal([0, 0], [[1, sqrt(0.5)], [sqrt(0.5), 1]])
    inside = together.cdf([first, second], lower_limit=[-first, -second])
    assert 1 - inside == pytest.approx(0.05, abs=1e-7)


def test_paired_e_value_exactly() -> None:
    # integral of theta^n10 (1-theta)^n01 2^n under Beta(10, 10), in rationals
    n10, n01, k = 23, 11, 10

    def beta(a: int, b: int) -> Fraction:
        return Fraction(1, (a + b - 1) * comb(a + b - 2, a - 1))

    exact = beta(k + n10, k + n01) / beta(k, k) * 2 ** (n10 + n01)
    assert paired_e_value(n10, n01) == pytest.approx(float(exact), rel=EXACT)
    assert paired_e_value(7, 0, k=1) == pytest.approx(128 / 8, rel=EXACT)


def test_paired_e_value_averages_to_one_over_all_outcomes() -> None:
    n = 40
    weights = [comb(n, i) / 2**n for i in range(n + 1)]
    mean = sum(w * paired_e_value(i, n - i) for i, w in enumerate(weights))
    assert mean == pytest.approx(1.0, rel=EXACT)


def test_srm_e_value_as_a_product_of_predictions() -> None:
    # Lindon and Malek: the Dirichlet-multinomial predicts one unit after the other
    shares, a = np.array([0.7, 0.2, 0.1]), 50.0
    seen, e = np.zeros(3), 1.0
    for arm in np.random.default_rng(2).choice(3, size=200, p=[0.6, 0.25, 0.15]):
        e *= (a * shares[arm] + seen[arm]) / (a + seen.sum()) / shares[arm]
        seen[arm] += 1
    assert srm_e_value(seen, shares, a=a) == pytest.approx(e, rel=1e-9)
    default = srm_e_value([50_700, 49_300], [1, 1])
    prior = [lgamma(5000 + 50_700) - lgamma(5000), lgamma(5000 + 49_300) - lgamma(5000)]
    written = lgamma(10_000) - lgamma(110_000) + sum(prior) + 100_000 * log(2)
    assert default == pytest.approx(exp(written), rel=1e-6)


@pytest.mark.parametrize(("tolerated", "ratio_held"), [(1.0, 1.0), (1.1, 1.1)])
def test_rare_event_e_value_averages_to_one_at_the_tolerated_ratio(
    tolerated: float, ratio_held: float
) -> None:
    shares, both = [0.05, 0.25], [6, 9]
    arm = [p * ratio_held / (1 + p * (ratio_held - 1)) for p in shares]
    mean = 0.0
    for i in range(both[0] + 1):
        for j in range(both[1] + 1):
            chance = stats.binom.pmf(i, both[0], arm[0]) * stats.binom.pmf(j, both[1], arm[1])
            mean += chance * rare_event_e_value([i, j], both, shares, tolerated=tolerated)
    assert mean == pytest.approx(1.0, rel=1e-9)


def test_rare_event_e_value_by_its_printed_formula() -> None:
    x, m, pi, q = 14, 20, 0.3, 1.1
    ratios = [r for r in BETS if r > q]
    each = [(r / q) ** x * ((1 + pi * (q - 1)) / (1 + pi * (r - 1))) ** m for r in ratios]
    assert rare_event_e_value([x], [m], [pi]) == pytest.approx(np.mean(each), rel=EXACT)


def test_strata_of_flags_are_mantel_haenszel() -> None:
    tables = [(30, 100, 25, 50), (10, 40, 60, 160), (5, 10, 0, 0)]
    flags = [
        (
            Moments(n_a, x_a / n_a, x_a * (n_a - x_a) / n_a),
            Moments.of([1.0] * x_b + [0.0] * (n_b - x_b)),
        )
        for x_a, n_a, x_b, n_b in tables
    ]
    found = stratified(flags)
    score = variance = 0.0
    for x_a, n_a, x_b, n_b in tables[:2]:
        n, hits = n_a + n_b, x_a + x_b
        score += x_b - n_b * hits / n
        variance += n_a * n_b * hits * (n - hits) / (n**2 * (n - 1))
    assert found.score == pytest.approx(score, rel=EXACT)
    assert found.variance == pytest.approx(variance, rel=EXACT)
    assert found.n == pytest.approx(4 * (100 * 50 / 150 + 40 * 160 / 200), rel=EXACT)
    assert found.effect == pytest.approx(score / (found.n / 4), rel=EXACT)
    assert stratum(*flags[2]) == stratum(Moments(0, 0.0, 0.0), Moments(0, 0.0, 0.0))
