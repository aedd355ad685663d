"""Experiments in which someone else acts: units, outcomes and looks, on real databases."""

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select
from tests.databases import on_sqlite_alone, postgres_with_the_slow

from timonel.experiments.design import Answers, Arm, Condition, Design, Guardrail, Mode
from timonel.experiments.errors import InvalidDesign, NotAssigning, NotOutside
from timonel.experiments.judging.look import Rule, Verdict
from timonel.experiments.outside.errors import UndeclaredMetric, UnitNotAssigned
from timonel.experiments.outside.units import OutsideUnits
from timonel.experiments.service import Experiments
from timonel.registry.registry import Registry
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.store.migrate import upgrade
from timonel.store.tables_experiments import experiment_units
from timonel.testing.builders import PROJECT, make_manifest
from timonel.testing.events import Bench

ARMS = (Arm("control", Answers.EXTERNAL), Arm("treatment", Answers.EXTERNAL))


@dataclass
class Outside:
    engine: Engine
    bench: Bench
    experiments: Experiments
    units: OutsideUnits

    def begin(self, **changes: Any) -> None:
        self.experiments.create(design(**changes), who="ana")
        self.experiments.start("prices", who="ana")


def design(**changes: Any) -> Design:
    values: dict[str, Any] = {
        "name": "prices",
        "model": "churn",
        "salt": "prices-1",
        "mode": Mode.OUTSIDE,
        "arms": ARMS,
        "weights": (0.5, 0.5),
        "metric": "revenue",
        "secondary": ("orders",),
    }
    return Design(**(values | changes))


@pytest.fixture
def outside(database: str, tmp_path: Path) -> Iterator[Outside]:
    engine = make_engine(database)
    upgrade(engine)
    ensure_project(engine, PROJECT, "America/Santiago")
    bench = Bench(engine, tmp_path / "spool")
    registry = Registry(engine, PROJECT, bench.clock)
    registry.declare(make_manifest())
    experiments = Experiments(engine, PROJECT, bench.clock, registry, lambda signal: None)
    yield Outside(engine, bench, experiments, OutsideUnits(engine, PROJECT, bench.clock))
    engine.dispose()


def test_repeats_count_once_and_a_later_value_corrects(outside: Outside) -> None:
    outside.begin()
    arms = {f"u{i}": outside.units.assign("prices", f"u{i}", {}).arm for i in range(40)}
    assert {outside.units.assign("prices", unit, {}) for unit in arms} == {
        (arm, False) for arm in arms.values()
    }
    outcomes = {unit: {"revenue": 10.0 + i, "orders": 1.0} for i, unit in enumerate(arms)}
    assert outside.units.record("prices", outcomes) == (80, 0)
    assert outside.units.record("prices", outcomes) == (0, 0)
    assert outside.units.record("prices", {"u0": {"revenue": 25.5}}) == (0, 1)
    outcomes["u0"]["revenue"] = 25.5
    look = outside.experiments.look("prices")
    for report in look.arms:
        mine = [outcomes[unit]["revenue"] for unit, arm in arms.items() if arm == report.arm]
        assert (report.units, report.labelled) == (len(mine), len(mine))
        assert report.mean == pytest.approx(sum(mine) / len(mine), abs=1e-9)


def test_many_at_once_count_each_unit_once(outside: Outside) -> None:
    outside.begin()
    got: list[set[str]] = []

    def ask() -> None:
        got.append({outside.units.assign("prices", f"u{i}", {}).arm + f"{i}" for i in range(12)})
        outside.units.record("prices", {f"u{i}": {"revenue": 1.0} for i in range(12)})

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 3
    assert got[0] == got[1] == got[2]
    look = outside.experiments.look("prices")
    assert sum(arm.units for arm in look.arms) == sum(arm.labelled for arm in look.arms) == 12


def test_what_is_no_unit_or_no_metric_is_refused_whole(outside: Outside) -> None:
    outside.experiments.create(design(targeting=(Condition("country", "==", "CL"),)), who="ana")
    with pytest.raises(NotAssigning):
        outside.units.assign("prices", "u1", {"country": "CL"})
    outside.experiments.start("prices", who="ana")
    with pytest.raises(UnitNotAssigned):
        outside.units.assign("prices", "u1", {"country": "AR"})
    outside.units.assign("prices", "u1", {"country": "CL"})
    with pytest.raises(UnitNotAssigned):
        outside.units.record("prices", {"u1": {"revenue": 1.0}, "u2": {"revenue": 1.0}})
    with pytest.raises(UndeclaredMetric):
        outside.units.record("prices", {"u1": {"revenue": 1.0, "clicks": 1.0}})
    with outside.engine.connect() as connection:
        metrics = connection.scalars(select(experiment_units.c.metric)).all()
    assert metrics == ["exposed"]
    outside.experiments.stop("prices", who="ana")
    assert outside.units.record("prices", {"u1": {"revenue": 1.0}}) == (1, 0)
    with pytest.raises(NotAssigning):
        outside.units.assign("prices", "u3", {"country": "CL"})


@postgres_with_the_slow
def test_a_share_that_grows_leaves_units_where_they_are(outside: Outside) -> None:
    outside.begin(weights=(0.9, 0.1))
    before = {f"u{i}": outside.units.assign("prices", f"u{i}", {}).arm for i in range(60)}
    outside.experiments.set_shares("prices", (0.1, 0.9), who="ana")
    assert before == {unit: outside.units.assign("prices", unit, {}).arm for unit in before}
    later = [outside.units.assign("prices", f"v{i}", {}).arm for i in range(60)]
    assert later.count("treatment") > 40
    assert outside.experiments.look("prices").leaks == 0


@postgres_with_the_slow
def test_promotion_waits_until_nearly_all_units_have_an_outcome(outside: Outside) -> None:
    outside.begin()
    draw = random.Random(5)
    arms = {f"u{i}": outside.units.assign("prices", f"u{i}", {}).arm for i in range(300)}
    values = {
        unit: {"revenue": draw.gauss(130.0 if arm == "treatment" else 100.0, 20.0)}
        for unit, arm in arms.items()
    }
    some = dict(list(values.items())[:200])
    outside.units.record("prices", some)
    early = outside.experiments.look("prices")
    assert (early.verdict, early.rule) == (Verdict.INVALID, Rule.OUTCOMES_MISSING)
    assert early.immature == 100
    assert [arm.mature_label_age_h for arm in early.arms] == [None, None]
    outside.units.record("prices", values)
    look = outside.experiments.look("prices")
    assert (look.verdict, look.arm, look.immature) == (Verdict.PROMOTE, "treatment", 0)
    goal = look.goal
    assert goal is not None
    assert goal.lower is not None
    assert goal.upper is not None
    assert goal.lower < 30.0 < goal.upper
    assert goal.mature_effect == goal.effect
    assert [arm.mature_label_age_h for arm in look.arms] == [0, 0]


@on_sqlite_alone
@pytest.mark.parametrize(
    "changes",
    [
        {"metric": "exposed"},
        {"metric": "Revenue $"},
        {"secondary": ("revenue",)},
        {"unit": "request"},
        {"holdout": 0.02},
        {"guardrails": (Guardrail("fallback"),)},
        {"arms": (Arm("control", Answers.RULES), ARMS[1])},
    ],
)
def test_a_design_that_could_not_be_honoured_is_refused(
    outside: Outside, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidDesign):
        outside.experiments.create(design(**changes), who="ana")


def test_units_of_predictions_come_with_predictions(outside: Outside) -> None:
    values = {"mode": Mode.SPLIT, "metric": "correct", "secondary": ()}
    arms = (Arm("control", Answers.RULES), Arm("treatment", Answers.VERSION, ""))
    with pytest.raises(InvalidDesign):
        outside.experiments.create(design(**values, arms=ARMS), who="ana")
    with pytest.raises(InvalidDesign):
        outside.experiments.create(design(mode=Mode.SPLIT, arms=arms), who="ana")
    outside.experiments.create(
        design(**values, arms=(arms[0], Arm("other", Answers.RULES, "x"))), who="ana"
    )
    with pytest.raises(NotOutside):
        outside.units.assign("prices", "u1", {})
