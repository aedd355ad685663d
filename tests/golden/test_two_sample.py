"""Two-sample figures held against scipy and statsmodels, and Tango's interval against R."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize_scalar
from scipy.spatial import distance
from statsmodels.stats.contingency_tables import mcnemar

from timonel.stats.drift import Profile, chi2, compare, jensen_shannon, ks, psi, wasserstein
from timonel.stats.paired import mcnemar_exact, relative_gain, tango
from timonel.stats.profiles.count_tests import (
    chi2_counts,
    ks_counts,
    missing_counts,
    unseen_counts,
)

EXACT = 1e-12


@pytest.fixture(scope="module")
def samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.normal(size=400), rng.normal(0.2, 1.1, size=650)


def test_ks(samples: tuple[np.ndarray, np.ndarray]) -> None:
    expected = stats.ks_2samp(*samples)
    found = ks(*samples)
    assert found.statistic == pytest.approx(expected.statistic, abs=EXACT)
    assert found.p_value == pytest.approx(expected.pvalue, rel=EXACT)


def test_ks_on_counts_is_the_asymptotic_test(samples: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = samples
    edges = np.sort(np.concatenate(samples))
    counts = [np.diff(np.searchsorted(np.sort(s), [-np.inf, *edges], side="right")) for s in (a, b)]
    found = ks_counts(*counts)
    d = stats.ks_2samp(a, b).statistic
    assert found.statistic == pytest.approx(d, abs=EXACT)
    root = np.sqrt(len(a) * len(b) / (len(a) + len(b)))
    assert found.p_value == pytest.approx(stats.kstwobign.sf(root * d), rel=1e-9)


def test_wasserstein(samples: tuple[np.ndarray, np.ndarray]) -> None:
    expected = stats.wasserstein_distance(*samples)
    assert wasserstein(*samples) == pytest.approx(expected, abs=EXACT)


def test_wasserstein_of_profiles_is_close(samples: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = samples
    found = compare(Profile.fit({"x": a}), {"x": b}).columns["x"].wasserstein
    assert found == pytest.approx(stats.wasserstein_distance(a, b), abs=0.01)


def test_chi2_of_words() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.choice(list("abcd"), 300), rng.choice(list("abcde"), 500)
    each = sorted({*a, *b})
    counts = [[int(np.sum(s == word)) for word in each] for s in (a, b)]
    expected = stats.chi2_contingency(counts, correction=False)
    found = chi2(a.tolist(), b)
    assert found.statistic == pytest.approx(expected.statistic, rel=EXACT)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    p, q = (np.array(c) / sum(c) for c in counts)
    assert found.effect == pytest.approx(np.abs(p - q).sum() / 2, abs=EXACT)
    apart = float(distance.jensenshannon(p, q))
    assert jensen_shannon(a, b) == pytest.approx(apart, abs=EXACT)
    assert jensen_shannon(p, q) == pytest.approx(apart, abs=EXACT)


def test_chi2_of_few_numbers_and_flags() -> None:
    expected = stats.chi2_contingency([[30, 20], [15, 35]], correction=False)
    for low, high in ((0, 1), (False, True), (1.5, 7.25)):
        found = chi2([low] * 30 + [high] * 20, [low] * 15 + [high] * 35)
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)


def test_chi2_of_counts_with_empty_cells() -> None:
    expected = stats.chi2_contingency([[10, 5, 9], [3, 12, 8]], correction=False)
    found = chi2_counts(np.array([10, 0, 5, 9]), np.array([3, 0, 12, 8]))
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)


def test_psi_by_hand() -> None:
    p, q = np.array([0.5, 0.5]), np.array([0.8, 0.2])
    assert psi(p, q) == pytest.approx(0.3 * np.log(1.6) + 0.3 * np.log(2.5), abs=EXACT)
    assert psi(["a", "b"], ["a"] * 8 + ["b"] * 2) == pytest.approx(psi(p, q), abs=EXACT)


@pytest.mark.parametrize(
    ("k", "n", "k_now", "m"),
    [
        (3, 1000, 12, 800),
        (0, 5000, 9, 1000),
        (40, 400, 0, 300),
        (200, 1000, 210, 1000),
        (1, 2, 1, 2),
    ],
)
def test_missing_is_fishers_test_with_a_doubled_tail(k: int, n: int, k_now: int, m: int) -> None:
    law = stats.hypergeom(n + m, k + k_now, m)
    expected = min(1.0, 2 * min(law.cdf(k_now), law.sf(k_now - 1)))
    assert missing_counts(k, n, k_now, m).p_value == pytest.approx(expected, rel=1e-8)


def test_missing_of_a_million_rows_is_quick_and_finite() -> None:
    law = stats.hypergeom(2_000_000, 601_000, 1_000_000)
    found = missing_counts(300_000, 1_000_000, 301_000, 1_000_000)
    assert found.p_value == pytest.approx(2 * law.sf(300_999), rel=1e-5)
    assert missing_counts(0, 1_000_000, 900_000, 1_000_000).p_value == 0.0


def test_unseen_with_few_singles_is_binomial() -> None:
    expected = stats.binom.sf(8, 9 + 4 + 1, 500 / 2500)
    found = unseen_counts(9, 500, singles=4, doubles=3, n=2000)
    assert found.p_value == pytest.approx(expected, rel=1e-9)
    assert unseen_counts(0, 500, singles=4, doubles=3, n=2000).p_value == 1.0


def test_unseen_with_many_singles_is_normal() -> None:
    found = unseen_counts(60, 1000, singles=80, doubles=30, n=2000)
    z = (0.06 - 0.04) / np.sqrt(0.06 / 1000 + 140 / 2000**2)
    assert found.statistic == pytest.approx(z, rel=EXACT)
    assert found.p_value == pytest.approx(stats.norm.sf(z), rel=1e-9)


@pytest.mark.parametrize(
    ("b", "c", "n", "lower", "upper"),
    [
        # Cavo et al. (2012), as the test suite of the R package contingencytables prints it
        (6, 16, 161, -0.1240, -0.0054),
        # Bentur et al. (2009); M. W. Fagerland, S. Lydersen, P. Laake, 2014, table V
        (1, 7, 21, -0.5172, -0.0260),
    ],
)
def test_tango(b: int, c: int, n: int, lower: float, upper: float) -> None:
    found = tango(b, c, n, alpha=0.025)
    assert found.lower == pytest.approx(lower, abs=5e-5)
    assert found.upper == pytest.approx(upper, abs=5e-5)


@pytest.mark.parametrize(("b", "c", "n"), [(12, 30, 200), (40, 20, 160), (3, 0, 50), (0, 5, 40)])
def test_tango_solves_the_score_equation(b: int, c: int, n: int) -> None:
    """The variance of the score statistic by maximising the likelihood numerically."""
    found = tango(b, c, n, alpha=0.05)
    assert found.lower is not None
    assert found.upper is not None
    for bound, sign in ((found.lower, 1), (found.upper, -1)):

        def loss(q: float, d: float = bound) -> float:
            shares = np.maximum([q + d, q, 1 - 2 * q - d], 1e-300)
            return -float(np.dot([b, c, n - b - c], np.log(shares)))

        limits = (max(0.0, -bound), (1 - bound) / 2)
        q = minimize_scalar(loss, bounds=limits, method="bounded", options={"xatol": 1e-12}).x
        z = (b - c - n * bound) / np.sqrt(n * (2 * q + bound * (1 - bound)))
        assert z == pytest.approx(sign * stats.norm.isf(0.05), abs=1e-4)


def test_tango_without_disagreement_has_a_closed_form() -> None:
    z2 = stats.norm.isf(0.05) ** 2
    found = tango(0, 0, 100)
    assert found.upper == pytest.approx(z2 / (100 + z2), abs=1e-9)
    assert found.lower == pytest.approx(-z2 / (100 + z2), abs=1e-9)


@pytest.mark.parametrize(("b", "c"), [(10, 2), (5, 5), (0, 7), (121, 59), (0, 0)])
def test_mcnemar(b: int, c: int) -> None:
    expected = mcnemar([[50, b], [c, 40]], exact=True).pvalue if b + c else 1.0
    assert mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("root", [False, True])
def test_the_bound_of_the_gain_is_where_the_t_test_turns(root: bool) -> None:
    rng = np.random.default_rng(3)
    other = rng.exponential(size=300)
    own = other * rng.uniform(0.8, 1.15, size=300)
    found = relative_gain(own, other, alpha=0.05, root=root)
    assert found.lower is not None
    factor = (1 - found.lower) ** (2 if root else 1)
    p = stats.ttest_1samp(own - factor * other, 0.0, alternative="less").pvalue
    assert p == pytest.approx(0.05, abs=1e-9)
    estimate = own.mean() / other.mean()
    assert found.estimate == pytest.approx(1 - (np.sqrt(estimate) if root else estimate))
