"""What is recorded of units that our own answers expose, as guardrails; on real databases."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.databases import on_sqlite_alone
from tests.unit.experiments.test_counting import HOUR_S, World, live

from timonel.experiments.design import Guardrail, Mode, Step, Strategy
from timonel.experiments.documents import look_document
from timonel.experiments.errors import InvalidDesign, NotOutside
from timonel.experiments.judging.look import Rule, Unsaid, Verdict
from timonel.experiments.outside.errors import NotAnswered, NotYesOrNo, UndeclaredMetric
from timonel.experiments.outside.files import OutcomeRow
from timonel.experiments.outside.recording import record_rows
from timonel.experiments.outside.units import OutsideUnits
from timonel.experiments.ramp import Moved, next_move
from timonel.experiments.reporting.markdown import markdown
from timonel.experiments.texts import sentence
from timonel.experiments.wishes import Wish, design_of
from timonel.stats.sequential import rare_event_e_value
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.testing.builders import PROJECT

STEPS = (Step(0.2, least_s=3600, least_exposed=10), Step(0.5, least_s=3600, least_exposed=10))
CANCELLED = Guardrail("cancelled", 1.2, recorded=True)
SPENT = Guardrail("spent", higher_is_better=True, margin=5.0)
EVEN = {"control": 0.8, "treatment": 0.8}


@pytest.fixture
def world(database: str, tmp_path: Path) -> Iterator[World]:
    engine = make_engine(database)
    ensure_project(engine, PROJECT, "America/Santiago")
    yield World(engine, tmp_path / "spool")
    engine.dispose()


def units_of(world: World) -> OutsideUnits:
    return OutsideUnits(world.engine, PROJECT, world.bench.clock)


def arms(world: World, n: int) -> dict[str, str]:
    return units_of(world).placed("newer", [f"u{place}" for place in range(n)])


def ramp(world: World, *guardrails: Guardrail) -> None:
    world.begin(mode=Mode.RAMP, unit="unit", weights=(0.8, 0.2), steps=STEPS, guardrails=guardrails)


def a_day(world: World, units: int, times: int = 2) -> None:
    """Answer units, each about so many times."""
    experiment = world.experiments.show("newer")[0]
    live(world, experiment, EVEN, days=1, a_day=times * units, units=units)


def test_a_ramp_is_taken_back_by_what_is_recorded_of_its_units(world: World) -> None:
    ramp(world, CANCELLED, Guardrail("fallback"))
    a_day(world, 300)
    units, placed = units_of(world), arms(world, 300)
    harmed = {u for u, arm in placed.items() if arm == "treatment" or int(u[1:]) % 50 == 0}
    outcomes = {unit: {"cancelled": float(unit in harmed)} for unit in placed}
    assert units.record("newer", outcomes) == (len(placed), 0)
    assert units.record("newer", outcomes) == (0, 0)
    look = world.experiments.look("newer")
    n = {arm: sum(placed[unit] == arm for unit in harmed) for arm in ("control", "treatment")}
    exact = rare_event_e_value([n["treatment"]], [sum(n.values())], [0.2], tolerated=1.2)
    assert look.guardrails == {"treatment:cancelled": exact, "treatment:fallback": 1.0}
    assert (look.verdict, look.rule) == (Verdict.ROLL_BACK, Rule.GUARDRAIL_HARM)
    assert sentence(look) == "take treatment back: cancelled is shown to be worse than tolerated"
    ended, _, events = world.experiments.show("newer")
    assert (ended.state, ended.verdict) == ("completed", "ROLL_BACK")
    assert events[-1].reason.es == "daño: se mostró que cancelled está peor que lo tolerado"
    found = world.experiments.replay("newer")
    assert found.all_same
    page = markdown(world.experiments.report("newer"), lang="es", zone="America/Santiago")
    assert "cancelled está peor que lo tolerado" in page
    assert "| límite | `cancelled`, registrado como 1 y 0; se tolera 1,2 veces |" in page


def test_a_ramp_holds_while_nothing_is_recorded_and_goes_on_by_steps(world: World) -> None:
    ramp(world, CANCELLED)
    a_day(world, 100)
    look = world.experiments.look("newer")
    experiment = world.experiments.show("newer")[0]
    assert experiment.phase == 1
    assert look.silent == look_document(look)["unheard_of"] == ["cancelled"]
    guarded = next(one for one in look.compared if one.metric == "cancelled")
    assert (guarded.role, guarded.reason) == ("guardrail", Unsaid.NOT_RECORDED)
    held = next_move(experiment, look, 0, 10_000)
    assert held.action is Moved.HOLD
    assert held.reason == "too little is recorded of cancelled to speak of harm"
    page = markdown(world.experiments.report("newer"), lang="en", zone="America/Santiago")
    assert "`cancelled`: unknown: too little is recorded of it since the shares were set" in page

    units = units_of(world)
    placed = arms(world, 100)
    units.record("newer", {unit: {"cancelled": 0.0} for unit in placed})
    assert world.experiments.look("newer").silent == []
    assert world.experiments.show("newer")[0].phase == 2
    # of the next step's units nothing has come, although the same ones were there before
    a_day(world, 100)
    assert world.experiments.look("newer").silent == ["cancelled"]
    before = world.experiments.show("newer")[0]
    units.record("newer", {unit: {"cancelled": 0.0} for unit in placed})
    last = world.experiments.look("newer")
    assert (before.phase, last.silent) == (2, [])
    assert world.experiments.show("newer")[0].state == "completed"  # nothing spoke against it
    assert world.experiments.replay("newer").all_same


def test_a_value_counts_once_where_its_unit_was_last_answered(world: World) -> None:
    ramp(world, CANCELLED, SPENT)
    a_day(world, 40, times=8)
    units, first = units_of(world), arms(world, 40)
    told = {unit: {"cancelled": float(unit == "u1"), "spent": 10.0} for unit in first}
    units.record("newer", told)
    world.experiments.set_shares("newer", (0.5, 0.5), who="ana")
    a_day(world, 40, times=8)
    second = arms(world, 40)
    moved = {unit for unit in first if first[unit] != second[unit]}
    assert moved
    assert len(first) == 40
    told = {unit: {"cancelled": 1.0, "spent": 12.0} for unit in first}
    # a bad event stays where it was first, whatever is told of it again
    assert units.record("newer", told) == (0, 2 * len(first) - 1)
    assert units.record("newer", told) == (0, 0)
    look = world.experiments.look("newer")
    reports = {one.metric: one for one in look.compared}
    now = [second[unit] for unit in first]
    spent = reports["spent"]
    assert (spent.n_control, spent.n_treatment) == (now.count("control"), now.count("treatment"))
    assert (spent.control, spent.treatment) == (12.0, 12.0)
    assert spent.effect is None
    cancelled = reports["cancelled"]
    assert cancelled.n_control + cancelled.n_treatment == len(first)
    expected = rare_event_e_value(
        [first["u1"] == "treatment", sum(second[u] == "treatment" for u in first if u != "u1")],
        [1, len(first) - 1],
        [0.2, 0.5],
        tolerated=1.2,
    )
    assert look.guardrails["treatment:cancelled"] == pytest.approx(expected)
    assert look.silent == ["spent"]  # of fewer than 100 units it says nothing
    assert world.experiments.replay("newer").all_same


def test_a_metric_with_a_margin_takes_a_split_back(world: World) -> None:
    world.begin(unit="unit", guardrails=(SPENT,))
    a_day(world, 400)
    draw, placed = random.Random(5), arms(world, 400)
    mean = {"control": 40.0, "treatment": 25.0}
    spent = {unit: {"spent": draw.gauss(mean[arm], 10.0)} for unit, arm in placed.items()}
    units = units_of(world)
    ours = [unit for unit in spent if placed[unit] == "treatment"]
    few = {unit: spent[unit] for unit in spent if unit not in ours[99:]}
    units.record("newer", few)
    look = world.experiments.look("newer")
    assert (look.guardrails, look.silent) == ({"treatment:spent": 1.0}, ["spent"])
    several = [threading.Thread(target=units.record, args=("newer", spent)) for _ in range(3)]
    for one in several:
        one.start()
    for one in several:
        one.join()
    look = world.experiments.look("newer")
    assert (look.verdict, look.rule) == (Verdict.ROLL_BACK, Rule.GUARDRAIL_HARM)
    goal, guarded = look.compared
    assert (goal.metric, guarded.n_treatment) == ("correct", len(ours))
    assert guarded.effect == pytest.approx(-15.0, abs=3.0)
    assert world.experiments.show("newer")[0].state == "active"  # people end a split
    assert world.experiments.replay("newer").all_same


@on_sqlite_alone
def test_what_cannot_be_recorded_is_refused_whole(world: World) -> None:
    world.begin(unit="unit", guardrails=(CANCELLED,))
    a_day(world, 10)
    units = units_of(world)
    with pytest.raises(NotAnswered, match="no answer of experiment newer") as refused:
        units.record("newer", {"u1": {"cancelled": 1.0}, "stranger": {"cancelled": 1.0}})
    assert "no recibió ninguna respuesta" in refused.value.message("es")
    with pytest.raises(NotYesOrNo, match=r"found 0\.5, expected 1") as half:
        units.record("newer", {"u1": {"cancelled": 0.5}})
    assert "se esperaba 1 si ocurrió" in half.value.message("es")
    with pytest.raises(UndeclaredMetric, match="declared with cancelled"):
        units.record("newer", {"u1": {"churned": 1.0}})
    with pytest.raises(NotOutside):
        units.assign("newer", "u1", {})
    rows = [
        OutcomeRow(2, "u1", {"cancelled": 1.0}),
        OutcomeRow(3, "u2", {"cancelled": 2.0}),
        OutcomeRow(4, "stranger", {"cancelled": 0.0}),
    ]
    report = record_rows(units, "newer", rows, set())
    assert [one.line for one in report.refused] == [3, 4]
    assert report.refused[0].reason.es.startswith("cancelled es 2.0, se esperaba 1")
    assert report.recorded == (1, 0)
    world.experiments.create(world.design(name="other"), who="ana")
    with pytest.raises(NotOutside, match="its mode is split"):
        units.record("other", {"u1": {"cancelled": 1.0}})
    world.bench.clock.advance(HOUR_S)


@on_sqlite_alone
@pytest.mark.parametrize(
    ("changes", "found", "expected"),
    [
        ({"guardrails": ["churned"]}, "churned", "fallback, error, slow or slow:MILLISECONDS"),
        ({"guardrails": ["churned:worse"]}, "churned:worse", "NAME:bad"),
        ({"guardrails": ["churned:lower@much"]}, "churned:lower@much", "NAME:lower or"),
        ({"guardrails": ["fallback:bad"]}, "fallback", "a name of yours"),
        ({"guardrails": ["exposed:bad"]}, "exposed", "a name of yours"),
        ({"guardrails": ["a/b:lower"]}, "a/b", "a name of yours"),
        ({"guardrails": ["correct:higher"]}, "correct", "another metric than the goal"),
        ({"guardrails": ["absolute_error:lower"]}, "absolute_error", "fallback, error"),
        ({"guardrails": ["churned:bad", "churned:lower"]}, "churned, churned", "each once"),
        ({"guardrails": ["churned:bad@20"]}, "20.0", r"\[1, 10\)"),
        ({"guardrails": ["churned:bad"], "unit": "request"}, "churned", "not to request"),
        (
            {"guardrails": ["churned:bad"], "strategy": Strategy.TIME_BASED},
            "churned",
            "not to block",
        ),
    ],
)
def test_what_is_no_guardrail_is_refused_with_those_that_are(
    world: World, changes: dict[str, Any], found: str, expected: str
) -> None:
    control, treatment = world.versions
    wish = Wish(name="newer", control=control, treatment=treatment, **changes)
    with pytest.raises(InvalidDesign, match=expected) as refused:
        world.experiments.create(
            design_of(wish, model="churn", task="binary", depends_on_action=True), who="ana"
        )
    context = refused.value.context
    assert (context["field"], context["found"]) == ("guardrails", found)
