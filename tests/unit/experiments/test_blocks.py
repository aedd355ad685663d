"""Blocks of time by chance, and never day against night; on real databases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.databases import on_sqlite_alone
from tests.unit.experiments.test_counting import HOUR_S, World

from timonel.experiments.choosing import block_of
from timonel.experiments.design import Mode, Strategy
from timonel.experiments.errors import InvalidDesign, NotRandomised
from timonel.experiments.judging.look import Look, Rule, Verdict
from timonel.experiments.service import replace_design
from timonel.experiments.wishes import Wish, design_of
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.testing.builders import PROJECT

EVEN = {"control": 0.7, "treatment": 0.7}


@pytest.fixture
def world(database: str, tmp_path: Path) -> Iterator[World]:
    engine = make_engine(database)
    ensure_project(engine, PROJECT, "America/Santiago")
    yield World(engine, tmp_path / "spool")
    engine.dispose()


def days(world: World, n: int, block_h: int, right: dict[str, float], each: int = 6) -> Look:
    """Answer some requests an hour, whose labels all land at midnight; look at the end."""
    experiment = world.experiments.show("newer")[0]
    for _ in range(n):
        frames = []
        for _ in range(24):
            block = block_of(world.bench.clock.now_us(), block_h * 3600)
            frames += [world.answer(experiment, block) for _ in range(each)]
            world.bench.clock.advance(HOUR_S)
        world.bench.write(*frames, *(world.truth(frame, right) for frame in frames))
        world.drain()
    return world.experiments.look("newer")


def begin(world: World, block_h: int) -> None:
    world.begin(strategy=Strategy.TIME_BASED, unit="block", block_s=block_h * 3600)


@on_sqlite_alone
def test_labels_that_land_each_night_are_not_late_in_one_arm(world: World) -> None:
    """One by one they were: those of an hour are all as old, and an arm has some of the hours."""
    begin(world, 1)
    look = days(world, 2, 1, EVEN, each=40)
    assert sum(arm.units for arm in look.arms) == 48
    assert (look.verdict, look.delay_e) == (Verdict.CONTINUE, 1.0)


@on_sqlite_alone
def test_blocks_of_a_day_are_compared_over_several_days_once_there_are_20(world: World) -> None:
    begin(world, 24)
    right = {"control": 0.1, "treatment": 0.9}
    early = days(world, 16, 24, right, each=1)
    assert (early.verdict, early.rule) == (Verdict.CONTINUE, Rule.TOO_FEW_BLOCKS)
    assert early.goals[0].effect == pytest.approx(0.8, abs=0.1)
    assert early.goals[0].p_value == 1.0  # it would be kept for all later looks
    look = days(world, 6, 24, right, each=1)
    assert look.rule is Rule.TOO_FEW
    assert look.goals[0].mature_effect == pytest.approx(0.8, abs=0.1)
    assert look.goals[0].p_value < 1.0
    assert world.experiments.replay("newer").all_same


@on_sqlite_alone
@pytest.mark.parametrize(
    "asked",
    [{"strategy": "DAY_NIGHT"}, {"strategy": "día-noche"}, {"strategy": "weekdays"}]
    + [
        {"strategy": "TIME_BASED", "block_h": hours, "days": days}
        for hours, days in ((12.0, 1.0), (24.0, 14.0))
    ],
)
def test_what_follows_the_clock_is_refused_as_not_randomised(
    world: World, asked: dict[str, Any]
) -> None:
    control, treatment = world.versions
    wish = Wish(name="newer", control=control, treatment=treatment, **asked)
    with pytest.raises(NotRandomised, match="is not randomised: ") as refused:
        world.experiments.create(
            design_of(wish, model="churn", task="binary", depends_on_action=True), who="ana"
        )
    assert "no es al azar: " in refused.value.message("es")
    assert "at least 20 blocks" in refused.value.remedy()


@on_sqlite_alone
def test_blocks_that_are_enough_or_have_no_end_are_taken(world: World) -> None:
    control, treatment = world.versions
    for place, (block_h, n_days) in enumerate(((12.0, 10.0), (24.0, None))):
        wish = Wish(
            name=f"by-time-{place}",
            control=control,
            treatment=treatment,
            strategy="TIME_BASED",
            block_h=block_h,
            days=n_days,
        )
        design = design_of(wish, model="churn", task="binary", depends_on_action=False)
        assert world.experiments.create(design, who="ana").design.unit == "block"
        with pytest.raises(InvalidDesign, match="no blocks in mode shadow"):
            world.experiments.create(replace_design(design, mode=Mode.SHADOW), who="ana")
