import sys
from math import inf, isfinite, log, nan, sqrt

import numpy as np
import pytest

from timonel.stats.compare import Moments, two_proportions
from timonel.stats.sequential import (
    Information,
    Sequence,
    asymptotic_cs,
    lan_demets_bounds,
    paired_e_value,
    ramp_e_value,
    rare_event_e_value,
    srm_e_value,
    stratified,
    stratum,
)

N_LOOKS = 28
A_DAY = 250


def test_28_looks_at_nothing() -> None:
    """Looking each day with p < .05 is wrong in more than a quarter of A/A tests."""
    rng = np.random.default_rng(11)
    n_runs = 1500
    naive = sequential = bounded = 0
    bounds = lan_demets_bounds(np.arange(1, N_LOOKS + 1) / N_LOOKS)
    for _ in range(n_runs):
        hits = np.cumsum(rng.binomial(A_DAY, 0.2, size=(2, N_LOOKS)), axis=1)
        n = A_DAY * np.arange(1, N_LOOKS + 1)
        p_a, p_b = hits / n
        se = np.sqrt((p_a * (1 - p_a) + p_b * (1 - p_b)) / n)
        z = np.abs(p_b - p_a) / se
        naive += bool(np.any(z > 1.959964))
        bounded += bool(np.any(z > bounds))
        looks = zip(p_b - p_a, se, 2.0 * n, strict=True)
        sequential += any(asymptotic_cs(e, s, m, n_star=3500).e_value >= 20 for e, s, m in looks)
    assert 0.24 < naive / n_runs < 0.31
    assert 0.03 < bounded / n_runs < 0.065
    assert 0.005 < sequential / n_runs <= 0.05


def daily_cells(rng: np.random.Generator, share: float) -> dict[int, tuple[list[int], list[int]]]:
    """One day's exposures by the delay of their label: hits and units of both arms."""
    n_b = int(rng.binomial(400, share))
    right = [int(rng.binomial(n, 0.8)) for n in (400 - n_b, n_b)]
    wrong = [400 - n_b - right[0], n_b - right[1]]
    return {1: ([0, 0], wrong), 7: (right, right)}


def flags(hits: int, n: int) -> Moments:
    return Moments(n, hits / n, hits * (n - hits) / n) if n else Moments(0, 0.0, 0.0)


def test_a_ramp_with_late_labels_fools_the_pooled_test_alone() -> None:
    """Wrong answers are labelled after a day, right ones after seven; the share grows meanwhile."""
    rng = np.random.default_rng(4)
    shares = [0.05] * 7 + [0.25] * 7 + [0.5] * 14
    pooled_wrong = stratified_wrong = 0
    for _ in range(60):
        hits, n, known = [0, 0], [0, 0], Information()
        cells = [daily_cells(rng, share) for share in shares]
        fooled = decided = False
        for today in range(2, len(shares)):
            # what arrives today: a stratum for each day of exposure
            come = [cells[today - d][d] for d in (1, 7) if today >= d]
            for right, units in come:
                hits = [h + r for h, r in zip(hits, right, strict=True)]
                n = [m + u for m, u in zip(n, units, strict=True)]
            known += stratified(
                (flags(right[0], units[0]), flags(right[1], units[1])) for right, units in come
            )
            pooled = two_proportions(hits[0], n[0], hits[1], n[1]).p_value
            fooled |= pooled is not None and pooled < 0.05
            if known.effect is not None and known.se is not None:
                decided |= asymptotic_cs(known.effect, known.se, known.n).p_value < 0.05
        pooled_wrong += fooled
        stratified_wrong += decided
    assert pooled_wrong == 60
    assert stratified_wrong <= 3


def test_strata_find_what_is_there() -> None:
    rng = np.random.default_rng(5)
    days = [
        (flags(int(rng.binomial(300, 0.8)), 300), flags(int(rng.binomial(100, 0.72)), 100))
        for _ in range(20)
    ]
    found = stratified(days)
    assert found.effect == pytest.approx(-0.08, abs=0.03)
    assert found.n == pytest.approx(20 * 300)
    assert found.se is not None
    assert found.effect is not None
    assert asymptotic_cs(found.effect, found.se, found.n, side="less").upper < 0.0
    assert sum((stratum(a, b) for a, b in days), Information()).effect == pytest.approx(
        found.effect, rel=1e-12
    )


def test_information_without_a_common_stratum() -> None:
    empty = stratified([(flags(3, 9), flags(0, 0)), (flags(0, 0), flags(0, 0))])
    assert (empty.effect, empty.se, empty.n) == (None, None, 0.0)
    alike = stratum(flags(5, 5), flags(9, 9))
    assert (alike.effect, alike.se) == (0.0, None)


def test_sides_mirror() -> None:
    more = asymptotic_cs(0.03, 0.01, 4000, side="greater")
    less = asymptotic_cs(-0.03, 0.01, 4000, side="less")
    assert (more.e_value, more.lower, more.upper) == (less.e_value, -less.upper, inf)
    assert asymptotic_cs(-0.03, 0.01, 4000, side="greater").e_value < 1.0
    assert asymptotic_cs(-0.03, 0.01, 4000).e_value == asymptotic_cs(0.03, 0.01, 4000).e_value


@pytest.mark.parametrize("n", [10, 700, 5000, 200_000])
@pytest.mark.parametrize("side", ["greater", "less"])
def test_a_bound_beyond_zero_implies_the_evidence(n: int, side: str) -> None:
    bound = asymptotic_cs(0.0, 1.0, n, side=side).half_width  # type: ignore[arg-type]
    effect = bound if side == "greater" else -bound
    assert asymptotic_cs(effect, 1.0, n, side=side).e_value >= 20.0  # type: ignore[arg-type]
    two = asymptotic_cs(asymptotic_cs(0.0, 1.0, n).half_width, 1.0, n)
    assert two.e_value == pytest.approx(20.0)


def test_the_sequence_is_narrowest_about_its_n_star() -> None:
    widths = [asymptotic_cs(0.0, 1.0, n, n_star=5000).half_width for n in (500, 5000, 50_000)]
    penalty = [w / 1.959964 for w in widths]
    assert penalty[1] == min(penalty)
    assert penalty[1] < 1.6


def test_nothing_measured_is_no_evidence() -> None:
    nothing = Sequence(inf, -inf, inf, 1.0, 1.0)
    assert asymptotic_cs(0.0, 0.0, 100) == nothing
    assert asymptotic_cs(0.5, 0.1, 0) == nothing


def test_overwhelming_evidence_is_a_number() -> None:
    found = asymptotic_cs(1.0, 1e-4, 10_000)
    assert (found.e_value, found.p_value) == (sys.float_info.max, 0.0)
    assert paired_e_value(10_000, 0) == sys.float_info.max
    assert srm_e_value([10**6, 1], [0.5, 0.5]) == sys.float_info.max
    assert rare_event_e_value([10_000], [10_000], [0.5]) == sys.float_info.max
    assert isfinite(ramp_e_value(sys.float_info.max, [sys.float_info.max] * 4))
    assert 0.0 < asymptotic_cs(-1.0, 1e-4, 10_000, side="greater").e_value < 1e-4


@pytest.mark.parametrize(
    ("effect", "se", "n", "alpha", "side"),
    [
        (nan, 0.1, 10, 0.05, "two"),
        (0.1, nan, 10, 0.05, "two"),
        (0.1, -0.1, 10, 0.05, "two"),
        (0.1, 0.1, 1e308, 0.05, "two"),
        (0.1, 0.1, -1, 0.05, "two"),
        (0.1, 0.1, 10, 0.5, "greater"),
        (0.1, 0.1, 10, 0.0, "two"),
        (0.1, 0.1, 10, 0.05, "both"),
    ],
)
def test_arguments_out_of_range(
    effect: float, se: float, n: float, alpha: float, side: str
) -> None:
    with pytest.raises(ValueError, match=r"side|alpha|effect"):
        asymptotic_cs(effect, se, n, alpha=alpha, side=side)  # type: ignore[arg-type]


def test_other_arguments_out_of_range() -> None:
    for bad in ([], [0.5, 0.5], [0.0, 1.0], [0.5, 1.2], [1.0, 0.5], [nan], [[0.5]]):
        with pytest.raises(ValueError, match="fractions"):
            lan_demets_bounds(bad)
    with pytest.raises(ValueError, match="spending"):
        lan_demets_bounds([1.0], spending="pocock")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="alpha"):
        lan_demets_bounds([1.0], alpha=0.0)
    for pairs in ((-1, 3), (nan, 2), (2, nan), (1.5, 2)):
        with pytest.raises(ValueError, match="discordant"):
            paired_e_value(*pairs)
    for prior in (0.0, nan, 1e308):
        with pytest.raises(ValueError, match="expected more than 0"):
            paired_e_value(5, 5, k=prior)
        with pytest.raises(ValueError, match="expected more than 0"):
            srm_e_value([5, 5], [0.5, 0.5], a=prior)
    with pytest.raises(ValueError, match="counts"):
        srm_e_value([1, 2, 3], [0.5, 0.5])
    with pytest.raises(ValueError, match="counts"):
        srm_e_value([1, -2], [0.5, 0.5])
    with pytest.raises(ValueError, match="counts"):
        srm_e_value([inf, 2], [0.5, 0.5])
    with pytest.raises(ValueError, match="bad events"):
        rare_event_e_value([3], [2], [0.5])
    with pytest.raises(ValueError, match="bad events"):
        rare_event_e_value([1], [2], [1.0])
    with pytest.raises(ValueError, match="segments"):
        rare_event_e_value([1, 2], [2], [0.5])
    with pytest.raises(ValueError, match="no bet"):
        rare_event_e_value([1], [2], [0.5], tolerated=10.0)


def test_group_sequential_bounds_of_odd_looks() -> None:
    tiny = lan_demets_bounds([0.0001, 0.5, 1.0])
    assert tiny[0] == inf
    assert tiny[1:] == pytest.approx(lan_demets_bounds([0.5, 1.0]), abs=1e-9)
    close = lan_demets_bounds([0.5, 0.5001, 1.0])
    assert np.all(np.isfinite(close))
    many = lan_demets_bounds(np.arange(1, 101) / 100)
    assert np.all(np.diff(many) < 0.0)
    assert 2.1 < many[-1] < 2.25


def test_paired_answers_decide_where_a_split_would_wait() -> None:
    rng = np.random.default_rng(6)
    needed, false = [], 0
    for _ in range(300):
        # two points better: 5 % against 3 % of requests where only one is right
        kinds = rng.choice(3, size=8000, p=[0.05, 0.03, 0.92])
        n10, n01 = np.cumsum(kinds == 0), np.cumsum(kinds == 1)
        at = next((i for i in range(49, 8000, 50) if paired_e_value(n10[i], n01[i]) >= 20), 8000)
        needed.append(at)
        fair = rng.random(size=400) < 0.5
        n10, n01 = np.cumsum(fair), np.cumsum(~fair)
        false += any(paired_e_value(n10[i], n01[i]) >= 20 for i in range(0, 400, 5))
    assert np.median(needed) < 3000
    assert false / 300 <= 0.05


def test_a_wrong_allocation_is_found_and_a_right_one_is_not() -> None:
    rng = np.random.default_rng(7)
    false = 0
    for _ in range(300):
        days = np.cumsum(rng.multinomial(500, [0.7, 0.3], size=N_LOOKS), axis=0)
        false += any(srm_e_value(day, [0.7, 0.3]) >= 20 for day in days)
    assert false / 300 <= 0.05
    assert srm_e_value([72_000, 28_000], [0.7, 0.3]) > 100
    assert srm_e_value([5, 0], [1.0, 0.0]) == 1.0 == srm_e_value([0, 0], [0.5, 0.5])
    assert srm_e_value([5, 1], [1.0, 0.0]) == sys.float_info.max


def test_a_ramp_must_not_be_pooled() -> None:
    first, second = ([9500, 500], [0.95, 0.05]), ([5000, 5000], [0.5, 0.5])
    assert srm_e_value(*first) * srm_e_value(*second) < 1.0
    assert srm_e_value([14_500, 5500], second[1]) == sys.float_info.max


def test_rare_events_of_a_candidate() -> None:
    assert rare_event_e_value([], [], []) == 1.0
    # three times the rate at a share of 5 %, then of 25 %
    assert rare_event_e_value([6, 20], [50, 40], [0.05, 0.25]) > 100
    assert rare_event_e_value([2, 10], [40, 40], [0.05, 0.25]) < 1.0
    rng = np.random.default_rng(8)
    false = 0
    for _ in range(400):
        arm = rng.random(120) < 0.25 * 1.1 / (1 + 0.25 * 0.1)
        seen = np.cumsum(arm)
        false += any(rare_event_e_value([seen[i]], [i + 1], [0.25]) >= 20 for i in range(0, 120, 4))
    assert false / 400 <= 0.05


def test_a_ramp_weighs_its_goal_and_its_guardrails() -> None:
    assert ramp_e_value(30.0, []) == 30.0
    assert ramp_e_value(30.0, [2.0, 6.0]) == pytest.approx(15 + 0.5 + 1.5)


def test_the_tuning_is_that_of_the_paper() -> None:
    # with n = n_star, k is rho2 n_star
    k = -2 * log(0.05) + log(1 - 2 * log(0.05))
    found = asymptotic_cs(0.0, 1.0, 5000).half_width
    assert found == pytest.approx(sqrt((k + 1) / k * log((k + 1) / 0.0025)))


@pytest.mark.parametrize("z", [-1e4, -1e9, -1e200])
def test_far_on_the_other_side_rounding_is_no_evidence(z: float) -> None:
    assert asymptotic_cs(z, 1.0, 1000, side="greater").e_value < 1e-3
    assert asymptotic_cs(-z, 1.0, 1000, side="less").e_value < 1e-3
    # where both ways of computing it hold they give the same
    near, far = (asymptotic_cs(at, 1.0, 1e6, side="greater").e_value for at in (-30.0, -30.02))
    assert near == pytest.approx(far, rel=1e-3)
