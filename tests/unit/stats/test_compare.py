from dataclasses import astuple, replace
from math import inf, isfinite, nan

import pytest

from timonel.stats.compare import (
    Bayes,
    BivariateMoments,
    Comparison,
    Interval,
    Moments,
    Unsayable,
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
from timonel.stats.plan import ENGINE_FACTOR, Engine, sample_size_per_arm

NONE = Moments(0, 0.0, 0.0)
ONE = Moments(1, 3.0, 0.0)
FLAT = Moments(40, 3.0, 0.0)
SOME = Moments.of([1.0, 2.0, 4.0, 8.0])
NO_PAIRS = BivariateMoments(0, 0.0, 0.0, 0.0, 0.0, 0.0)
PAIRS = BivariateMoments.of([1.0, 2.0, 4.0, 8.0], [2.0, 2.0, 3.0, 5.0])
EVEN = BivariateMoments.of([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
UNPAID = BivariateMoments.of([2.0, 4.0, 6.0], [0.0, 0.0, 0.0])


def says_nothing(found: Comparison, reason: Unsayable) -> None:
    assert found.reason is reason
    assert (found.se, found.statistic, found.p_value) == (None, None, None)
    assert (found.lower, found.upper) == (None, None)
    assert all(v is None or isinstance(v, str) or isfinite(v) for v in astuple(found))


@pytest.mark.parametrize(
    ("counts", "reason", "effect"),
    [
        ((0, 0, 0, 0), Unsayable.EMPTY, None),
        ((0, 0, 5, 9), Unsayable.EMPTY, None),
        ((5, 9, 0, 0), Unsayable.EMPTY, None),
        ((0, 100, 0, 100), Unsayable.CONSTANT, 0.0),
        ((100, 100, 50, 100), Unsayable.CONSTANT, -0.5),
        ((50, 100, 0, 100), Unsayable.CONSTANT, -0.5),
    ],
)
def test_shares_of_an_empty_or_constant_arm(
    counts: tuple[int, int, int, int], reason: Unsayable, effect: float | None
) -> None:
    found = two_proportions(*counts)
    says_nothing(found, reason)
    assert found.effect == effect
    assert found.n == counts[1] + counts[3]


@pytest.mark.parametrize("test", [welch, relative_lift])
@pytest.mark.parametrize(
    ("arm", "reason"),
    [(NONE, Unsayable.EMPTY), (ONE, Unsayable.SINGLE), (FLAT, Unsayable.CONSTANT)],
)
def test_means_of_an_empty_single_or_constant_arm(
    test: type[Comparison], arm: Moments, reason: Unsayable
) -> None:
    says_nothing(test(arm, SOME), reason)  # type: ignore[arg-type, call-arg]
    says_nothing(test(SOME, arm), reason)  # type: ignore[arg-type, call-arg]


def test_a_lift_over_nothing_or_a_loss() -> None:
    for low in ([-1.0, 1.0], [-3.0, 1.0]):
        says_nothing(relative_lift(Moments.of(low), SOME), Unsayable.NOT_POSITIVE)
        paired = BivariateMoments.of(low, [0.0, 0.0])
        says_nothing(cuped_lift(paired, PAIRS), Unsayable.NOT_POSITIVE)
    assert relative_lift(Moments(9, 0.0, 0.0), SOME).effect is None


def test_ratios_that_cannot_be_said() -> None:
    says_nothing(ratio(NO_PAIRS, PAIRS), Unsayable.EMPTY)
    says_nothing(ratio(PAIRS, UNPAID), Unsayable.NO_DENOMINATOR)
    says_nothing(ratio(PAIRS, BivariateMoments.of([1.0], [1.0])), Unsayable.SINGLE)
    says_nothing(ratio(PAIRS, EVEN), Unsayable.CONSTANT)
    assert ratio(PAIRS, EVEN).effect == pytest.approx(2.0 - 15 / 12)


def test_cuped_that_cannot_be_said() -> None:
    for test in (cuped, cuped_lift):
        says_nothing(test(NO_PAIRS, PAIRS), Unsayable.EMPTY)
        says_nothing(test(PAIRS, BivariateMoments.of([1.0], [1.0])), Unsayable.SINGLE)
        # the covariate is the metric: nothing is left
        says_nothing(test(EVEN, EVEN + EVEN), Unsayable.CONSTANT)


def test_theta_holds_no_part_of_the_effect() -> None:
    # a covariate that differs between the arms by chance: the total covariance would be 1
    a = BivariateMoments.of([0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0])
    b = BivariateMoments.of([9.0, 10.0, 9.0, 10.0], [9.0, 9.0, 10.0, 10.0])
    assert cuped(a, b).effect == pytest.approx(9.0)


def test_exact_tests_speak_where_the_others_cannot() -> None:
    assert fisher_exact(0, 100, 0, 100).p_value == 1.0
    assert fisher_exact(0, 100, 0, 100).statistic is None
    assert fisher_exact(0, 0, 3, 5).reason is Unsayable.EMPTY
    assert newcombe_interval(0, 0, 3, 5) == Interval(-1.0, 1.0)
    found = fisher_exact(0, 50, 10, 50)
    assert found.lower is not None
    assert 0.0 < found.lower < 0.2


@pytest.mark.parametrize(
    "counts",
    [(5, 4, 1, 2), (-1, 4, 1, 2), (1, 4, 3, 2), (1.5, 4, 1, 2), (1, inf, 1, 2), (nan, 4, 1, 2)],
)
def test_contradicting_counts_are_refused(counts: tuple[int, int, int, int]) -> None:
    for test in (two_proportions, fisher_exact, newcombe_interval):
        with pytest.raises(ValueError, match=r"hits of .* expected"):
            test(*counts)


PAIR = BivariateMoments(5, 2.0, 1.0, 3.0, 2.0, 1.0)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0, 2.0, nan])
def test_levels_that_are_none_are_refused(alpha: float) -> None:
    for test in (two_proportions, fisher_exact, newcombe_interval):
        with pytest.raises(ValueError, match=r"alpha is .* expected"):
            test(5, 10, 6, 10, alpha=alpha)
    for compare in (ratio, cuped, cuped_lift):
        with pytest.raises(ValueError, match=r"alpha is .* expected"):
            compare(PAIR, PAIR, alpha=alpha)
    for of_means in (welch, relative_lift):
        with pytest.raises(ValueError, match=r"alpha is .* expected"):
            of_means(PAIR.y, PAIR.y, alpha=alpha)


@pytest.mark.parametrize(
    "changed",
    [
        {"n": -5},
        {"n": 2.5},
        {"mean_y": nan},
        {"mean_y": inf},
        {"m2_y": -1.0},
        {"m2_y": nan},
        {"m2_y": inf},
        {"mean_x": nan},
        {"m2_x": nan},
        {"c_yx": nan},
        {"c_yx": 100.0},
    ],
)
def test_moments_that_no_numbers_have_are_refused(changed: dict[str, float]) -> None:
    wrong = replace(PAIR, **changed)  # type: ignore[arg-type]
    for compare in (ratio, cuped, cuped_lift):
        for arms in ((wrong, PAIR), (PAIR, wrong)):
            with pytest.raises(ValueError, match="expected"):
                compare(*arms)
    if set(changed) & {"n", "mean_y", "m2_y"}:
        for of_means in (welch, relative_lift):
            with pytest.raises(ValueError, match="expected"):
                of_means(PAIR.y, wrong.y)


def test_what_no_float_holds_is_unknown_with_a_reason() -> None:
    huge, tiny = Moments(5, 1e200, 1e300), Moments(5, 1e-200, 1.0)
    for found in (relative_lift(huge, huge), relative_lift(tiny, PAIR.y)):
        assert (found.p_value, found.reason) == (None, Unsayable.BEYOND)
    # small spreads are no reason to give up
    assert welch(Moments(5, 1.0, 1e-200), Moments(5, 2.0, 1e-200)).p_value == 0.0
    assert chance_to_win(1.0, 1e-320).chance_to_win == 1.0
    assert chance_to_win(1.0, 1e300, prior_sd=1.0).chance_to_win == 0.5


def test_fisher_sums_the_tables_that_have_a_chance() -> None:
    # the windows end beyond what a float holds: the tail of 1e8 units is the normal one
    many = fisher_exact(10_000_000, 100_000_000, 10_005_000, 100_000_000)
    assert many.p_value == pytest.approx(
        two_proportions(10_000_000, 100_000_000, 10_005_000, 100_000_000).p_value, rel=1e-3
    )
    assert fisher_exact(0, 10**6, 10**6, 10**6).p_value == 0.0


def test_a_prior_pulls_and_a_flat_one_does_not() -> None:
    flat, tight = chance_to_win(1.0, 1.0), chance_to_win(1.0, 1.0, prior_sd=0.01)
    assert flat.chance_to_win is not None
    assert tight.chance_to_win is not None
    assert flat.chance_to_win > 0.84 > 0.51 > tight.chance_to_win > 0.5
    assert chance_to_win(1.0, 0.0) == Bayes(None, None, None, Unsayable.NO_SPREAD)
    assert chance_to_win(1e6, 1.0).risk_treatment == 0.0
    for se, prior in ((-1.0, 1.0), (inf, 1.0), (1.0, 0.0), (nan, 1.0)):
        with pytest.raises(ValueError, match="standard error"):
            chance_to_win(1.0, se, prior_sd=prior)
    for effect, mean in ((nan, 0.0), (inf, 0.0), (1.0, nan)):
        with pytest.raises(ValueError, match="expected finite"):
            chance_to_win(effect, 1.0, prior_mean=mean)


def test_adjusting_none_and_one() -> None:
    for adjust in (holm, benjamini_hochberg):
        assert adjust([]).tolist() == []
        assert adjust([0.2]).tolist() == [0.2]
        assert adjust([0.9, 0.8]).max() <= 1.0
        for bad in ([0.1, nan], [1.2], [-0.1], [[0.1]]):
            with pytest.raises(ValueError, match="p-values"):
                adjust(bad)


def test_a_sequence_costs_more_units_than_one_look() -> None:
    sizes = [sample_size_per_arm(0.25, 0.25, 0.02, engine=engine) for engine in Engine]
    assert sizes == sorted(sizes)
    assert sizes[2] / sizes[0] == pytest.approx(ENGINE_FACTOR[Engine.CONFIDENCE_SEQUENCE], abs=1e-3)
    assert sample_size_per_arm(0.25, 0.25, -0.02) == sizes[0]
    for wrong in ((0.25, 0.25, 0.0, 0.05), (-1.0, 0.25, 0.1, 0.05), (0.25, 0.25, 0.1, 1.0)):
        with pytest.raises(ValueError, match=r"variances|alpha"):
            sample_size_per_arm(*wrong[:3], alpha=wrong[3])
    with pytest.raises(ValueError, match="more units"):
        sample_size_per_arm(0.25, 0.25, 1e-200)
    assert sample_size_per_arm(0.0, 0.0, 0.1) == 1
