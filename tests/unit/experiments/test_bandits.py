"""A bandit in batches: its arithmetic, its shares, what it holds on, and its replay."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta
from sqlalchemy import Engine
from tests.databases import on_sqlite_alone, postgres_with_the_slow

from timonel.clock import Clock
from timonel.experiments.bandits.shares import (
    ArmBatch,
    Worth,
    chances_of_best,
    shares_of,
    worth_of,
)
from timonel.experiments.design import Answers, Arm, Design, Mode, Strategy, UnitList
from timonel.experiments.errors import InvalidDesign, SharesFollow
from timonel.experiments.judging.look import Look, Rule, Verdict
from timonel.experiments.outside.errors import UnitNotAssigned
from timonel.experiments.outside.units import OutsideUnits
from timonel.experiments.service import Experiments
from timonel.registry.registry import Registry
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.testing.builders import PROJECT, make_manifest

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
PER_UNIT = 1_000_000


def counted(units: int, hits: int) -> ArmBatch:
    return ArmBatch(units, units, hits * PER_UNIT, hits * PER_UNIT**2)


# --- arithmetic


@settings(max_examples=200, deadline=None)
@given(
    parts=st.lists(st.floats(0.0, 1.0), min_size=2, max_size=10).filter(lambda one: sum(one) > 0.01)
)
def test_shares_sum_to_one_follow_chances_and_leave_the_floor(parts: list[float]) -> None:
    chances = [part / sum(parts) for part in parts]
    floor = 0.5 / len(parts)
    shares = shares_of(chances, floor)
    assert sum(shares) == pytest.approx(1.0, abs=1e-12)
    assert min(shares) >= floor - 6e-4
    order = np.argsort(chances)
    assert all(shares[a] <= shares[b] + 6e-4 for a, b in pairwise(order))


def test_chances_are_those_of_draws() -> None:
    # 500,000 draws of the same Beta distributions, numpy's generator, seed 3
    hits, n = np.array([50, 60, 66]), 500
    rng = np.random.default_rng(3)
    drawn = rng.beta(1 + hits, 1 + n - hits, (500_000, 3))
    best = np.bincount(drawn.argmax(axis=1), minlength=3) / len(drawn)
    worths = worth_of([[counted(n, int(hit)) for hit in hits]])
    assert chances_of_best(worths) == pytest.approx(best, abs=0.002)
    least = np.bincount(drawn.argmin(axis=1), minlength=3) / len(drawn)
    assert chances_of_best(worths, higher_is_better=False) == pytest.approx(least, abs=0.002)
    assert float(worths[0].quantile(0.975)) == pytest.approx(beta.ppf(0.975, 51, 451))


def test_means_of_two_arms_that_do_not_differ_are_as_likely_the_best() -> None:
    same = Worth(5.0, 0.0, 10.0, False)  # constant: nothing spreads
    assert chances_of_best([same, same]) == pytest.approx([0.5, 0.5])
    apart = [Worth(5.0, 1.0, 10.0, False), Worth(7.0, 1.0, 10.0, False)]
    assert chances_of_best(apart)[1] == pytest.approx(0.9214, abs=1e-3)  # Phi(2 / sqrt 2)


def test_an_arm_that_had_more_of_good_times_is_not_taken_for_better() -> None:
    # both arms are right in 10 % of a bad day and 50 % of a good one; the second got the good one
    days = [[counted(900, 90), counted(100, 10)], [counted(100, 50), counted(900, 450)]]
    pooled = [sum(day[arm].q for day in days) / 1000 / PER_UNIT for arm in (0, 1)]
    assert pooled == [0.14, 0.46]
    worths = worth_of(days)
    assert [one.mean for one in worths] == pytest.approx([0.3, 0.3])
    assert chances_of_best(worths) == pytest.approx([0.5, 0.5], abs=0.02)


# --- the service


class Hand(Clock):
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.us = 480_000 * HOUR_US

    def now_us(self) -> int:
        return self.us


def design(**changes: Any) -> Design:
    values: dict[str, Any] = {
        "name": "offers",
        "model": "churn",
        "salt": "offers-1",
        "mode": Mode.OUTSIDE,
        "strategy": Strategy.THOMPSON,
        "arms": tuple(Arm(name, Answers.EXTERNAL) for name in ("control", "treatment", "third")),
        "weights": (1 / 3, 1 / 3, 1 / 3),
        "metric": "bought",
        "floor": 0.05,
        "batch_s": 86_400,
    }
    return Design(**(values | changes))


@dataclass
class Shop:
    engine: Engine
    clock: Hand
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Begin as another process does, with nothing but the database."""
        registry = Registry(self.engine, PROJECT, self.clock)
        self.experiments = Experiments(
            self.engine, PROJECT, self.clock, registry, lambda signal: None
        )
        self.units = OutsideUnits(self.engine, PROJECT, self.clock)

    def day(self, name: str, n: int, rates: dict[str, float], told: float = 1.0) -> Look:
        """Let units come and buy; a day later, look."""
        outcomes = {}
        for place in range(n):
            unit = f"{name}-{place}"
            arm = self.units.assign("offers", unit, {}).arm
            if self.rng.random() < told:
                outcomes[unit] = {"bought": float(self.rng.random() < rates[arm])}
        self.units.record("offers", outcomes)
        self.clock.us += DAY_US
        return self.experiments.look("offers")


@pytest.fixture
def shop(database: str) -> Iterator[Shop]:
    engine, clock = make_engine(database), Hand()
    ensure_project(engine, PROJECT, "America/Santiago")
    Registry(engine, PROJECT, clock).declare(make_manifest())
    shop = Shop(engine, clock, np.random.default_rng(2))
    shop.experiments.create(design(), who="ana")
    shop.experiments.start("offers", who="ana")
    yield shop
    engine.dispose()


RATES = {"control": 0.1, "treatment": 0.6, "third": 0.1}


def test_shares_follow_batch_by_batch_and_each_look_can_be_judged_again(shop: Shop) -> None:
    assert shop.experiments.look("offers").rule is Rule.NO_DATA
    first = shop.day("mon", 120, RATES)
    assert (first.verdict, first.rule, first.facts["batches"]) == (
        Verdict.CONTINUE,
        Rule.BANDIT_FOLLOWS,
        1,
    )
    assert first.goals == []  # no claim that one is better
    shop.open()  # a restart in between
    experiment, _, events = shop.experiments.show("offers")
    assert experiment.phase == 2
    assert list(experiment.weights) == first.facts["shares"]
    assert experiment.weights[1] > 0.8
    assert min(experiment.weights) >= 0.05
    assert (events[-1].action, events[-1].who) == ("batch", "timonel")
    # who was seen keeps arm and propensity; who comes now has the new one
    assert shop.units.propensity("offers", "mon-0") == pytest.approx(1 / 3)
    arm = shop.units.assign("offers", "tue-0", {}).arm
    chance = dict(zip(experiment.design.names, experiment.weights, strict=True))[arm]
    assert shop.units.propensity("offers", "tue-0") == chance
    with pytest.raises(UnitNotAssigned):
        shop.units.propensity("offers", "nobody")
    assert shop.experiments.look("offers").facts["batches"] == 1  # the batch still runs
    assert shop.experiments.show("offers")[0].phase == 2
    second = shop.day("tue", 120, RATES)
    assert second.facts["batches"] == 2
    replayed = shop.experiments.replay("offers")
    assert replayed.all_same, replayed.differences
    with pytest.raises(SharesFollow):
        shop.experiments.set_shares("offers", (0.4, 0.3, 0.3), who="ana")


@postgres_with_the_slow
def test_it_holds_without_outcomes_and_with_few_units(shop: Shop) -> None:
    held = shop.day("mon", 110, RATES, told=0.5)
    assert (held.rule, held.facts["waiting"], "shares" in held.facts) == (
        Rule.BANDIT_HOLDS,
        1,
        False,
    )
    experiment, _, events = shop.experiments.show("offers")
    assert (experiment.phase, experiment.weights) == (2, (1 / 3, 1 / 3, 1 / 3))
    assert events[-1].reason.startswith("shares stay: of no ended batch")
    assert events[-1].reason.es.startswith("las partes quedan: en ningún lote cerrado")
    shop.day("tue", 20, RATES)  # under 100: the batch goes on
    assert shop.experiments.show("offers")[0].phase == 2
    # the outcomes of monday come late, and count for monday's batch
    shop.units.record("offers", {f"mon-{i}": {"bought": float(i % 2)} for i in range(110)})
    look = shop.experiments.look("offers")
    assert (look.rule, look.facts["waiting"]) == (Rule.BANDIT_FOLLOWS, 0)
    assert look.immature == 0


@on_sqlite_alone
@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": Mode.SPLIT},
        {"weights": (0.5, 0.25, 0.25)},
        {"floor": 0.0},
        {"floor": 0.2},
        {"batch_s": 60},
        {"metric": "correct"},
        {"metric": "revenue/orders"},
        {"secondary": ("revenue",)},
        {"margin": 0.1},
        {"planned_n": 100},
        {"ends_after_s": 86_400},
        {"listed": UnitList(source="f", sha256="0", seed=1, key="u", counts=(1, 1))},
        {"strategy": Strategy.WEIGHT_BASED},
    ],
    ids=str,
)
def test_a_setting_that_would_not_be_honoured_is_refused(shop: Shop, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidDesign):
        shop.experiments.create(design(**({"name": "other"} | wrong)), who="ana")
