"""CUPED, caps, ratios and guarded metrics where someone else acts, on real databases."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from timonel.errors import ProjectFault
from timonel.experiments.design import Answers, Arm, Cap, Design, Guardrail, Mode
from timonel.experiments.errors import InvalidDesign, UnusableUnits
from timonel.experiments.judging.look import Look, Rule, Unsaid, Verdict
from timonel.experiments.judging.reading import read_evidence
from timonel.experiments.outside.capping import choose_cap, count_page
from timonel.experiments.outside.drawing import draw_list
from timonel.experiments.outside.errors import UndeclaredMetric
from timonel.experiments.outside.files import UnitFile
from timonel.experiments.outside.units import OutsideUnits
from timonel.experiments.replaying.recount import recount
from timonel.experiments.reporting.markdown import markdown
from timonel.experiments.service import Experiments
from timonel.registry.registry import Registry
from timonel.stats.compare import BivariateMoments, cuped, cuped_lift, ratio
from timonel.stats.moments import PER_UNIT
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.testing.builders import PROJECT, make_manifest
from timonel.testing.events import Bench

ARMS = (Arm("control", Answers.EXTERNAL), Arm("treatment", Answers.EXTERNAL))
N = 600


def design(**changes: Any) -> Design:
    values: dict[str, Any] = {
        "name": "prices",
        "model": "churn",
        "salt": "s",
        "mode": Mode.OUTSIDE,
        "arms": ARMS,
        "weights": (0.5, 0.5),
        "metric": "revenue",
    }
    return Design(**(values | changes))


@dataclass
class Shop:
    engine: Engine
    bench: Bench
    experiments: Experiments
    units: OutsideUnits
    folder: Path

    def begin(self, *, covariate: bool = False, **changes: Any) -> dict[str, str]:
        draw = random.Random(4)
        self.earlier = {f"c-{i}": round(draw.gauss(100, 30), 2) for i in range(N)}
        lines = ["unit_id;gasto", *(f"{u};{v:.2f}" for u, v in self.earlier.items())]
        path = self.folder / "clientes.csv"
        path.write_bytes("\n".join(lines).replace(".", ",").encode("cp1252"))
        file = UnitFile(path=path, seed=3, covariate="gasto" if covariate else None)
        drawn, members = draw_list(design(**changes), file)
        self.experiments.create(drawn, who="ana", members=members)
        self.experiments.start("prices", who="ana")
        return {member.unit: member.arm for member in members}

    def look(self) -> Look:
        look = self.experiments.look("prices")
        replayed = self.experiments.replay("prices")
        assert replayed.all_same, (replayed.differences, replayed.log)
        return look


@pytest.fixture
def shop(database: str, tmp_path: Path) -> Iterator[Shop]:
    engine = make_engine(database)
    ensure_project(engine, PROJECT, "America/Santiago")
    bench = Bench(engine, tmp_path / "spool")
    registry = Registry(engine, PROJECT, bench.clock)
    registry.declare(make_manifest())
    experiments = Experiments(engine, PROJECT, bench.clock, registry, lambda signal: None)
    yield Shop(engine, bench, experiments, OutsideUnits(engine, PROJECT, bench.clock), tmp_path)
    engine.dispose()


def moments(
    values: dict[str, float], beside: dict[str, float], arms: dict[str, str], arm: str
) -> BivariateMoments:
    mine = [unit for unit in values if arms[unit] == arm]
    return BivariateMoments.of([values[u] for u in mine], [beside[u] for u in mine])


def test_what_was_known_before_is_taken_out_and_narrows_the_interval(shop: Shop) -> None:
    arms = shop.begin(covariate=True)
    draw = random.Random(9)
    values = {
        unit: round(before + draw.gauss(6.0 if arms[unit] == "treatment" else 0.0, 8.0), 2)
        for unit, before in shop.earlier.items()
    }
    shop.units.record("prices", {unit: {"revenue": 1.0} for unit in list(values)[:50]})
    shop.look()
    shop.units.record("prices", {unit: {"revenue": value} for unit, value in values.items()})
    look = shop.look()
    goal = look.goals[0]
    expected = cuped(*(moments(values, shop.earlier, arms, arm.name) for arm in ARMS))
    assert goal.effect == pytest.approx(expected.effect, abs=1e-6)
    assert (look.verdict, look.rule) == (Verdict.PROMOTE, Rule.GOAL_BETTER)
    assert goal.lower is not None
    assert goal.upper is not None
    # the plain means spread by 31, the adjusted ones by 8
    assert goal.upper - goal.lower < 6.0
    raw = {report.arm: report.mean for report in look.arms}
    lift = cuped_lift(*(moments(values, shop.earlier, arms, arm.name) for arm in ARMS))
    found = shop.experiments.report("prices")
    assert found.lifts["treatment"].value == pytest.approx(lift.effect, abs=1e-9)
    assert lift.effect == pytest.approx((goal.effect or 0.0) / (raw["control"] or 0.0), abs=1e-9)
    page = markdown(found, lang="es", zone="America/Santiago")
    assert "Ajustado por gasto, conocida antes de cada unidad (CUPED): theta 0,99" in page
    assert found.adjustment is not None
    assert found.adjustment.kept == pytest.approx(8**2 / (8**2 + 30**2), rel=0.3)


def test_a_cap_is_fixed_once_from_the_control_and_noted(shop: Shop) -> None:
    arms = shop.begin(cap=Cap(0.95), covariate=True)
    draw = random.Random(2)
    values = {unit: round(draw.lognormvariate(3.0, 1.5), 2) for unit in arms}
    few = [unit for unit in values if arms[unit] == "control"][:284]
    shop.units.record("prices", {unit: {"revenue": values[unit]} for unit in few})
    look = shop.look()
    assert (look.goals[0].effect, look.compared[0].reason) == (None, Unsaid.NO_CAP)
    first = [unit for unit in values if arms[unit] == "control"][284:285]
    first += [unit for unit in values if arms[unit] == "treatment"][:100]
    shop.units.record("prices", {unit: {"revenue": values[unit]} for unit in first})
    look = shop.look()
    known = sorted(values[unit] for unit in {*first, *few} if arms[unit] == "control")
    cap = shop.experiments.show("prices")[0].design.cap
    assert cap is not None
    assert cap.steps is not None
    assert (cap.steps / PER_UNIT, cap.n) == (known[ceil(0.95 * len(known)) - 1], len(known))
    rest = {unit: {"revenue": value} for unit, value in values.items()}
    shop.units.record("prices", rest)
    shop.units.record("prices", {"c-1": {"revenue": 1e6}})
    values["c-1"] = 1e6
    look = shop.look()
    capped = {unit: min(value, cap.steps / PER_UNIT) for unit, value in values.items()}
    expected = cuped(*(moments(capped, shop.earlier, arms, arm.name) for arm in ARMS))
    assert look.goals[0].effect == pytest.approx(expected.effect, abs=1e-6)
    assert shop.experiments.show("prices")[0].design.cap == cap
    (noted,) = [event for event in shop.experiments.show("prices")[2] if event.action == "cap"]
    assert noted.facts["cap"] == cap.steps / PER_UNIT


def test_units_are_counted_under_a_cap_page_by_page_while_others_record(shop: Shop) -> None:
    arms = shop.begin(cap=Cap(0.95), covariate=True)
    draw = random.Random(4)
    values = {unit: round(draw.lognormvariate(3.0, 1.5), 2) for unit in arms}
    late = sorted(unit for unit in arms if arms[unit] == "treatment")[::9]  # no value yet
    known = {unit: value for unit, value in values.items() if unit not in late}
    shop.units.record("prices", {unit: {"revenue": value} for unit, value in known.items()})
    how = (shop.engine, PROJECT, "prices")
    assert choose_cap(*how)
    chosen = shop.experiments.show("prices")[0].design.cap
    assert chosen is not None
    assert chosen.steps is None
    for page in range(4):
        assert count_page(*how, shop.bench.clock.now_us(), most=100)
        changed = {unit: values[unit] * (page + 2) for unit in sorted(arms)[page::40]}
        changed |= {unit: values[unit] for unit in late[page::4]}
        values |= changed
        shop.units.record("prices", {unit: {"revenue": value} for unit, value in changed.items()})
    now, experiment = shop.bench.clock.now_us(), shop.experiments.show("prices")[0]
    with shop.engine.connect() as connection:
        assert recount(connection, PROJECT, experiment.design).same
    with shop.engine.begin() as connection:
        evidence = read_evidence(
            connection,
            PROJECT,
            experiment.design,
            revised=0,
            at=now,
            until_us=now,
            started_at=experiment.started_at,
        )
    assert evidence.goal == {}  # not of some units alone
    assert choose_cap(*how)  # whoever looks next goes on
    look = shop.look()
    cap = shop.experiments.show("prices")[0].design.cap
    assert cap == Cap(0.95, steps=chosen.chosen, n=chosen.n)
    capped = {unit: min(value, (cap.steps or 0) / PER_UNIT) for unit, value in values.items()}
    expected = cuped(*(moments(capped, shop.earlier, arms, arm.name) for arm in ARMS))
    assert look.goals[0].effect == pytest.approx(expected.effect, abs=1e-6)
    assert not choose_cap(*how)


def test_a_ratio_is_compared_by_units_and_a_guarded_metric_takes_it_back(shop: Shop) -> None:
    guarded = Guardrail("churned", higher_is_better=False, margin=0.01)
    arms = shop.begin(metric="revenue/orders", secondary=("orders",), guardrails=(guarded,))
    draw = random.Random(6)
    orders = {unit: float(draw.randint(0, 5)) for unit in arms}
    revenue = {unit: n * draw.gauss(10, 2) for unit, n in orders.items()}
    churned = {
        unit: float(draw.random() < (0.4 if arm == "treatment" else 0.1))
        for unit, arm in arms.items()
    }
    with pytest.raises(UndeclaredMetric):
        shop.units.record("prices", {"c-1": {"revenue/orders": 3.0}})
    shop.units.record("prices", {unit: {"revenue": v} for unit, v in revenue.items()})
    look = shop.look()
    assert look.compared[0].reason is Unsaid.NOT_RECORDED
    rest = {unit: {"orders": orders[unit], "churned": churned[unit]} for unit in arms}
    shop.units.record("prices", rest)
    look = shop.look()
    expected = ratio(*(moments(revenue, orders, arms, arm.name) for arm in ARMS))
    (goal, second, guard) = look.compared
    assert (goal.treatment or 0.0) - (goal.control or 0.0) == pytest.approx(expected.effect)
    assert goal.effect == pytest.approx(expected.effect, abs=0.02)  # linearised about both arms'
    assert (goal.n_control, second.metric) == (N // 2, "orders")
    assert (guard.role, guard.adjusted_p) == ("guardrail", None)
    assert (look.verdict, look.rule) == (Verdict.ROLL_BACK, Rule.GUARDRAIL_HARM)
    assert look.guardrails["treatment:churned"] > 200
    page = markdown(shop.experiments.report("prices"), lang="en", zone="America/Santiago")
    assert "`churned` may not rise by more than 0.01" in page


def test_what_could_not_be_honoured_is_refused(shop: Shop) -> None:
    path = shop.folder / "c.csv"
    path.write_bytes("unit_id;comuna;gasto\nu1;Ñuñoa;1,5\nu2;Maipú;\nu3;Ñuñoa;2\n".encode("cp1252"))
    file = UnitFile(path=path, seed=1)
    with pytest.raises(UnusableUnits, match="line 3: no gasto") as refused:
        draw_list(design(), replace(file, covariate="gasto"))
    assert "línea 3: sin gasto" in refused.value.message("es")
    with pytest.raises(ProjectFault, match="line 2"):
        draw_list(design(), replace(file, covariate="comuna"))
    with pytest.raises(InvalidDesign, match="covariate is edad, expected one of unit_id, comuna"):
        draw_list(design(), replace(file, covariate="edad"))
    for changes in (
        {"metric": "a/b/c"},
        {"metric": "a/a"},
        {"metric": "a/b", "cap": Cap(0.99)},
        {"cap": Cap(0.3)},
        {"guardrails": (Guardrail("fallback"),)},
        {"guardrails": (Guardrail("revenue", higher_is_better=True),)},
        {"guardrails": (Guardrail("orders", higher_is_better=True, margin=-1.0),)},
        {"mode": Mode.SPLIT, "metric": "correct", "cap": Cap(0.99)},
    ):
        with pytest.raises(InvalidDesign):
            shop.experiments.create(design(**changes), who="ana")
    listed, members = draw_list(design(cap=Cap(0.995)), file)
    with pytest.raises(InvalidDesign, match="200 units or more in the control, which has"):
        shop.experiments.create(listed, who="ana", members=members)
