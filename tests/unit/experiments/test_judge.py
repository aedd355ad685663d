"""The judge on sums alone: sides, margins, floors, what alpha is spent on, labels' ages."""

from typing import Any

import numpy as np
import pytest

from timonel.experiments.counting.sums import DAY, PairSums, age_of
from timonel.experiments.design import Arm, Design, Mode
from timonel.experiments.judging.evidence import (
    Contribution,
    Counted,
    Evidence,
    decode_evidence,
    maturity,
)
from timonel.experiments.judging.judge import judge
from timonel.experiments.judging.look import Look, Rule, Verdict
from timonel.experiments.texts import expected_in
from timonel.stats.moments import PER_UNIT, quantise
from timonel.stats.sequential import lan_demets_bounds

STEP = 10**12


def design(n_treatments: int = 1, **changes: Any) -> Design:
    names = ["control", *(f"t{i}" for i in range(n_treatments))]
    values: dict[str, Any] = {
        "name": "newer",
        "model": "churn",
        "salt": "newer-1",
        "arms": tuple(Arm(name, version=name) for name in names),
        "weights": tuple(1 / len(names) for _ in names),
        "unit": "request",
    }
    return Design(**(values | changes))


def evidence(z: float, n: int = 10_000, *, at_day: float = 1.0, **changes: Any) -> Evidence:
    """Two arms of half the units each, whose difference is z standard errors of .01."""
    se, weight = 0.01, n / 4
    found = Contribution(
        round(z * se * weight * STEP), round((se * weight) ** 2 * STEP), round(weight * STEP)
    )
    right = PairSums(n // 2, n // 4 * PER_UNIT, n // 4 * PER_UNIT**2)
    arms = {name: Counted(n // 2, {"correct": right}) for name in ("control", "t0")}
    at = int(at_day * 86_400_000_000)
    values: dict[str, Any] = {
        "at": at,
        "elapsed_us": at,
        "arms": arms,
        "goal": {"t0": found},
        "mature": {"t0": found},
        "mature_after_h": 1,
    }
    return Evidence(**(values | changes))


def looked(planned: Design, series: list[Evidence]) -> list[Look]:
    looks: list[Look] = []
    for one in series:
        looks.append(judge(planned, one, looks[-1] if looks else None))
    return looks


def test_a_horizon_spends_the_alpha_that_was_asked_for() -> None:
    planned = design(alpha=0.01, ends_after_s=5 * 86_400)
    looks = looked(planned, [evidence(0.0, 2_000 * day, at_day=day) for day in range(1, 6)])
    bounds = [look.facts["bound"] for look in looks]
    assert bounds == pytest.approx(lan_demets_bounds(np.arange(1, 6) / 5, alpha=0.01))
    assert looks[-1].verdict is Verdict.INCONCLUSIVE_STOP


def test_looks_by_the_calendar_are_correlated_by_what_they_knew() -> None:
    # labels that take a week: the half of the time knows a tenth of the end
    planned = design(ends_after_s=10 * 86_400)
    looks = looked(planned, [evidence(0.0, 1_000, at_day=5), evidence(0.0, 10_000, at_day=10)])
    expected = lan_demets_bounds([0.5, 1.0], information=[1_000, 10_000])
    assert looks[-1].facts["bound"] == pytest.approx(expected[1])
    assert expected[1] > lan_demets_bounds([0.5, 1.0])[1]


def test_nothing_is_spent_on_a_look_that_knows_no_more() -> None:
    planned = design(ends_after_s=10 * 86_400)
    looks = looked(planned, [evidence(0.0, at_day=5), evidence(9.0, at_day=6)])
    assert looks[0].facts == looks[1].facts
    assert looks[1].verdict is Verdict.CONTINUE


def test_bounds_with_information_as_time_are_the_usual_ones() -> None:
    t = np.array([0.2, 0.5, 1.0])
    assert lan_demets_bounds(t, information=700 * t) == pytest.approx(lan_demets_bounds(t))
    with pytest.raises(ValueError, match="information"):
        lan_demets_bounds([0.5, 1.0], information=[2.0, 2.0])


@pytest.mark.parametrize(("n_treatments", "promoted"), [(1, True), (2, False)])
def test_treatments_share_alpha_where_not_worse_is_asked_for_too(
    n_treatments: int, promoted: bool
) -> None:
    found = evidence(2.9, n=5_000)  # over 20, under 40
    look = judge(design(n_treatments, margin=1e-9), found, None)
    goal = look.goals[0]
    assert 20.0 <= goal.e_value < 40.0
    assert (look.verdict is Verdict.PROMOTE) == promoted


def test_right_and_wrong_pairs_decide_by_who_won_more_of_them() -> None:
    # 40 units fare a little worse, five that ask a hundred times as much fare better
    many = PairSums.pair(-PER_UNIT, 1), 40
    few = PairSums.pair(80 * PER_UNIT, 100), 5
    total = PairSums()
    for sums, times in (many, few):
        total = sum([sums] * times, total)
    shadow = design(mode=Mode.SHADOW, metric="correct", unit="unit")
    look = judge(
        shadow, Evidence(at=1, difference=total, pairs={"control": 40, "treatment": 5}), None
    )
    goal = look.goals[0]
    assert goal.effect is not None
    assert goal.effect > 0.0
    assert (look.verdict, look.rule) == (Verdict.ROLL_BACK, Rule.PAIRS_WORSE)


def test_few_pairs_of_numbers_decide_nothing() -> None:
    # five errors smaller by nearly the same: no spread to speak of, so no test to speak of
    values = [0.5, 0.5, 0.5, 0.5, 0.501]
    difference = sum((PairSums.of(quantise(-value)) for value in values), PairSums())
    shadow = design(mode=Mode.SHADOW, metric="absolute_error", higher_is_better=False)
    for sign in (1, -1):
        turned = PairSums(difference.n, sign * difference.q, difference.q2)
        look = judge(shadow, Evidence(at=1, difference=turned), None)
        assert look.verdict is Verdict.CONTINUE
    many = PairSums(*(40 * part for part in (difference.n, difference.q, difference.q2)))
    assert judge(shadow, Evidence(at=1, difference=many), None).verdict is Verdict.PROMOTE


def test_an_empty_or_constant_arm_is_no_interval_that_holds_no_difference() -> None:
    five = PairSums(100, 100 * 5 * PER_UNIT, 100 * (5 * PER_UNIT) ** 2)
    for other in (five, PairSums()):
        arms = {"control": Counted(100, {"revenue": five}), "t0": Counted(100, {"revenue": other})}
        planned = design(mode=Mode.OUTSIDE, metric="revenue", unit="unit")
        look = judge(planned, Evidence(at=0, arms=arms), None)
        assert (look.verdict, look.rule) == (Verdict.CONTINUE, Rule.NOTHING_TO_COMPARE)


def test_the_floor_counts_units_however_often_they_came() -> None:
    sums = PairSums(10, 250 * PER_UNIT, 6_250 * PER_UNIT**2, 500, 25_000, 12_500 * PER_UNIT)
    arms = {name: Counted(10, {"correct": sums}) for name in ("control", "t0")}
    look = judge(design(unit="unit"), evidence(9.0, arms=arms), None)
    assert (look.verdict, look.rule) == (Verdict.CONTINUE, Rule.TOO_FEW)


def test_a_ramp_is_rolled_back_for_the_goal_where_the_goal_says_more() -> None:
    shares = {1: (0.5, 0.5)}
    found = evidence(-8.0, weights=shares, bad={"slow": {1: {"control": 5, "t0": 5}}})
    look = judge(design(mode=Mode.RAMP), found, None)
    assert (look.verdict, look.rule) == (Verdict.ROLL_BACK, Rule.GOAL_HARM)
    found = evidence(0.0, weights=shares, bad={"slow": {1: {"control": 0, "t0": 60}}})
    look = judge(design(mode=Mode.RAMP), found, None)
    assert (look.verdict, look.rule) == (Verdict.ROLL_BACK, Rule.GUARDRAIL_HARM)


def test_the_margin_of_a_ramp_is_tolerated() -> None:
    found = evidence(-6.0, weights={1: (0.5, 0.5)})
    assert judge(design(mode=Mode.RAMP), found, None).verdict is Verdict.ROLL_BACK
    assert judge(design(mode=Mode.RAMP, margin=0.06), found, None).verdict is Verdict.CONTINUE


def test_without_an_effect_only_the_planned_end_is_told() -> None:
    planned = design(ends_after_s=7 * 86_400)
    nothing = judge(planned, Evidence(at=0, elapsed_us=86_400_000_000), None)
    assert str(expected_in(nothing)) == "the planned end is in 6.0 days"
    some = judge(planned, evidence(0.01, n=500, at_day=1), None)
    assert expected_in(some).es.endswith(
        "si el efecto de hoy sigue; a más tardar, en el fin planeado"
    )


def test_expected_days_go_the_way_that_is_better() -> None:
    # errors smaller by .02, margin .02: the distance to "worse" is .04, not 0
    planned = design(metric="absolute_error", higher_is_better=False, margin=0.02)
    found = evidence(-2.0, n=500)
    more = design(metric="absolute_error", higher_is_better=False, margin=0.03)
    days, sooner = (judge(one, found, None).expected_days for one in (planned, more))
    assert days is not None
    assert sooner is not None
    assert sooner <= days


def test_some_minutes_do_not_say_how_long_it_takes() -> None:
    days = [
        judge(design(ends_after_s=ends), evidence(-1.0, n=500, at_day=at), None).expected_days
        for at in (0.01, 1.0)
        for ends in (None, 4 * 86_400)
    ]
    assert days[0] is None  # nor does it take no time at all
    assert days[1] == pytest.approx(3.99)
    assert days[2] is not None
    assert days[3] == pytest.approx(min(days[2], 3.0))


def test_whole_days_of_age_are_mature_at_their_end() -> None:
    # every label after 60 hours, which is kept as "48 to 71"
    hour = 3_600_000_000
    assert age_of(0, 60 * hour) == 48
    ages = {day * DAY: {48: 100} for day in range(20)}
    assert maturity(ages, 20 * DAY) == 71


def test_looks_from_before_ages_and_guards_were_kept_come_out_as_they_were() -> None:
    again = judge(design(), decode_evidence('{"at": 5}'), None).encode()
    assert "mature_label_age_h" not in again
    assert "unheard_of" not in again
