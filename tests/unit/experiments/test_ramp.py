"""A ramp's moves: what it waits for, and what it does when there is nothing to wait for."""

import pytest

from timonel.experiments.design import State
from timonel.experiments.judging.look import ArmReport, Look, Rule, Verdict
from timonel.experiments.ramp import Move, Moved, next_move
from timonel.experiments.rows import Experiment
from timonel.experiments.wishes import Wish, design_of

HOUR_US = 3_600_000_000


def ramp(share: float, *steps: float, units: int = 100) -> Experiment:
    """Give a ramp of a version against another, at a share."""
    wish = Wish(
        name="newer",
        control="1.0.0",
        treatment="1.1.0",
        mode="ramp",
        steps=list(steps),
        step_units=units,
    )
    return Experiment(
        design=design_of(wish, model="churn", task="binary", depends_on_action=True),
        state=State.ACTIVE,
        weights=(1.0 - share, share),
        phase=1,
        revised=0,
        created_by="ana",
        created_at=0,
        started_at=0,
        ended_at=None,
        verdict=None,
        revision=0,
    )


def look(units: int, labelled: int | None = None, *, e: float = 1.0, hours: float = 1.0) -> Look:
    seen = units if labelled is None else labelled
    return Look(
        at=round(hours * HOUR_US),
        verdict=Verdict.CONTINUE,
        rule=Rule.NOT_YET,
        alpha=0.05,
        engine="guarded_ramp",
        arms=[
            ArmReport(arm="control", units=99 * units, answers=0, labelled=99 * units),
            ArmReport(arm="treatment", units=units, answers=0, labelled=seen),
        ],
        ramp_e=e,
    )


def move(
    experiment: Experiment, units: int, *seen: int, e: float = 1.0, hours: float = 1.0
) -> Move:
    return next_move(experiment, look(units, *seen, e=e, hours=hours), 0, units)


@pytest.mark.parametrize(
    ("share", "least", "following"),
    [(0.01, 100, 0.05), (0.05, 500, 0.25), (0.25, 1500, 0.5), (0.5, 4500, 1.0)],
)
def test_a_share_grows_once_so_many_units_have_been_seen(
    share: float, least: int, following: float
) -> None:
    assert move(ramp(share), least - 1).action is Moved.HOLD
    found = move(ramp(share), least)
    assert (found.action, found.weights) == (Moved.GROW, (1.0 - following, following))


def test_the_whole_is_promoted_when_it_has_held() -> None:
    assert move(ramp(1.0), 4599).action is Moved.HOLD
    assert move(ramp(1.0), 4600).action is Moved.PROMOTE


def test_steps_of_ones_own_are_seen_by_units_of_their_shares() -> None:
    planned = ramp(0.02, 0.02, 0.3, 1.0, units=7).design
    assert [step.least_exposed for step in planned.steps] == [7, 70, 7]


def test_exposures_whose_labels_are_not_there_do_not_let_a_share_grow() -> None:
    found = move(ramp(0.05), 5000, 499)
    assert (found.action, str(found.reason)) == (Moved.HOLD, "too few labels")
    assert move(ramp(0.05), 5000, 500).action is Moved.GROW


@pytest.mark.parametrize(("e", "action"), [(2.9, Moved.GROW), (3.0, Moved.HOLD)])
def test_signs_of_harm_hold_a_share_long_before_it_is_taken_back(e: float, action: Moved) -> None:
    assert move(ramp(0.05), 5000, e=e).action is action


def test_a_young_step_holds() -> None:
    assert move(ramp(0.05), 5000, hours=0.9).action is Moved.HOLD
