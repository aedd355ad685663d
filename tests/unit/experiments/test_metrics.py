"""Several metrics of one experiment: effects, reasons, and p-values adjusted together."""

import random
from dataclasses import replace
from typing import Any

import pytest

from timonel.experiments.counting.sums import PairSums
from timonel.experiments.design import Answers, Arm, Design, Mode
from timonel.experiments.judging.evidence import (
    Contribution,
    Counted,
    Evidence,
    ratio_contributions,
)
from timonel.experiments.judging.judge import judge
from timonel.experiments.judging.look import Look, MetricReport, Unsaid
from timonel.stats.moments import quantise
from timonel.stats.multiple import holm

METRICS = ("revenue", "orders", "churned", "visits")


def design(**changes: Any) -> Design:
    values: dict[str, Any] = {
        "name": "prices",
        "model": "churn",
        "salt": "s",
        "mode": Mode.OUTSIDE,
        "arms": (Arm("control", Answers.EXTERNAL), Arm("treatment", Answers.EXTERNAL)),
        "weights": (0.5, 0.5),
        "metric": METRICS[0],
        "secondary": METRICS[1:],
    }
    return Design(**(values | changes))


def evidence(values: dict[str, tuple[list[float], list[float]]], at: int = 1) -> Evidence:
    """Count the values of both arms as looks do."""
    found = Evidence(at=at, weights={1: (0.5, 0.5)})
    for metric, arms in values.items():
        sums = []
        for arm, numbers in zip(("control", "treatment"), arms, strict=True):
            sums.append(sum((PairSums.pair(quantise(v), 1) for v in numbers), PairSums()))
            counted = found.arms.setdefault(arm, Counted(units=200))
            counted.add(metric, sums[-1])
        both = [(sums[0], sums[1])] if all(sums) else []
        found.metrics[metric] = (
            {"treatment": sum(ratio_contributions(both), Contribution())} if both else {}
        )
    found.goal = dict(found.metrics["revenue"])
    return found


def drawn(seed: int, **shifts: float) -> dict[str, tuple[list[float], list[float]]]:
    draw = random.Random(seed)
    return {
        metric: (
            [draw.gauss(10.0, 1.0) for _ in range(100)],
            [draw.gauss(10.0 + shifts.get(metric, 0.0), 1.0) for _ in range(100)],
        )
        for metric in METRICS
    }


def by_metric(look: Look) -> dict[str, MetricReport]:
    return {one.metric: one for one in look.compared}


def test_all_p_values_are_adjusted_together_and_the_smallest_is_kept() -> None:
    first = judge(design(), evidence(drawn(1, revenue=3.0, orders=3.0)), None)
    found = by_metric(first)
    assert list(found) == list(METRICS)
    p = [one.p_value or 0.0 for one in first.compared]
    assert [one.adjusted_p for one in first.compared] == pytest.approx(holm(p))
    assert found["revenue"].role == "goal"
    assert found["revenue"].p_value == first.goals[0].p_value
    assert found["orders"].adjusted_p is not None
    assert found["orders"].adjusted_p < 0.05 < (found["visits"].adjusted_p or 0.0)
    again = by_metric(judge(design(), evidence(drawn(2)), first))
    assert again["orders"].p_value == found["orders"].p_value
    assert again["orders"].effect != found["orders"].effect


def test_what_nobody_recorded_is_unknown_and_still_counts_among_the_hypotheses() -> None:
    values = drawn(3, revenue=3.0, orders=3.0)
    whole = by_metric(judge(design(), evidence(values), None))
    values["visits"] = ([], [])
    values["churned"] = ([0.0] * 100, [0.0] * 100)
    found = by_metric(judge(design(), evidence(values), None))
    assert found["visits"].reason is Unsaid.NOT_RECORDED
    assert found["churned"].reason is Unsaid.NO_SPREAD
    assert (found["churned"].control, found["churned"].effect) == (0.0, None)
    assert found["orders"].adjusted_p == whole["orders"].adjusted_p
    values["visits"] = ([1.0, 2.0], [])
    one_arm = by_metric(judge(design(), evidence(values), None))["visits"]
    assert (one_arm.reason, one_arm.n_control, one_arm.p_value) == (Unsaid.ARM_EMPTY, 2, None)


def test_a_look_from_before_keeps_its_bits() -> None:
    old = replace(evidence(drawn(1)), metrics={})
    assert '"metrics"' not in judge(design(), old, None).encode()
