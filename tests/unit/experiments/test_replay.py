"""Past looks judged again, and the log counted again, on real databases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.databases import postgres_with_the_slow
from tests.unit.experiments.test_counting import HOUR_S, World, live

from timonel.errors import in_language
from timonel.experiments.design import Answers, Arm, Guardrail, Mode, Step
from timonel.experiments.outside.units import OutsideUnits
from timonel.experiments.replaying.replay import (
    EVIDENCE_UNREADABLE,
    LOOK_UNREADABLE,
    MISSING,
    NOT_KEPT,
    NOTHING_BEFORE,
    Replay,
)
from timonel.experiments.reporting.markdown import markdown
from timonel.experiments.reporting.report import SEVERAL_SHARES
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.store.tables import outcomes, predictions
from timonel.store.tables_experiments import experiment_cells, experiment_looks
from timonel.testing.builders import PROJECT


@pytest.fixture
def world(database: str, tmp_path: Path) -> Iterator[World]:
    engine = make_engine(database)
    ensure_project(engine, PROJECT, "America/Santiago")
    yield World(engine, tmp_path / "spool")
    engine.dispose()


def change(world: World, look: int, **values: Any) -> None:
    k = experiment_looks.c
    with world.engine.begin() as connection:
        connection.execute(update(experiment_looks).where(k.look == look).values(values))


def unsaid(found: Replay) -> list[tuple[Any, int, int]]:
    return [(one.reason, one.first, one.last) for one in found.unsaid]


def test_every_look_of_a_ramp_comes_out_the_same(world: World) -> None:
    steps = (Step(0.2, least_s=3600, least_exposed=10), Step(0.5, least_s=3600, least_exposed=10))
    experiment = world.begin(
        mode=Mode.RAMP,
        unit="unit",
        weights=(0.8, 0.2),
        steps=steps,
        guardrails=(Guardrail("fallback"), Guardrail("slow", threshold_ms=0.001)),
    )
    for right in (0.8, 0.8, 0.4):
        experiment = world.experiments.show("newer")[0]
        quality = {"control": 0.8, "treatment": right}
        live(world, experiment, quality, days=1, a_day=160, units=60)
        world.experiments.look("newer")
    found = world.experiments.replay("newer")
    assert (found.n_looks, found.n_same, found.all_same) == (3, 3, True)
    assert found.log is not None
    assert (found.log.n_answers, found.log.n_labels) == (480, 480)
    assert found.log.n_cells > 20
    report = world.experiments.report("newer")
    assert report.lifts["treatment"].reason is SEVERAL_SHARES
    page = markdown(report, lang="es", zone="America/Santiago")
    assert "se desconoce: las partes cambiaron entretanto" in page
    assert "más nuevo de cada variante, desde el fin del día de su exposición: control: " in page
    assert "| límite | `fallback`, se tolera 1,1 veces |" in page


@postgres_with_the_slow
def test_a_horizon_corrections_and_two_drainers_come_out_the_same(world: World) -> None:
    experiment = world.begin(ends_after_s=6 * 86_400)
    for day in range(5):
        live(world, experiment, {"control": 0.6, "treatment": 0.7}, days=1, a_day=80)
        answers = [world.answer(experiment) for _ in range(8)]
        truths: list[Any] = []
        at = world.bench.clock.now_us()
        for value in (0, 0, 1):  # the second says the same, the third corrects
            at += 60_000_000
            truths += [world.events.outcome(value, prediction=f.id, at=at) for f in answers]
        world.bench.clock.advance(HOUR_S)
        world.bench.write(*answers, *truths)
        world.drain(f"drainer-{day % 2}")
        world.experiments.look("newer")
    found = world.experiments.replay("newer")
    assert (found.n_same, found.all_same) == (5, True)
    report = world.experiments.report("newer")
    assert report.corrected == 5 * 8
    lift = report.lifts["treatment"]
    control, treatment = (arm.mean for arm in report.look.arms) if report.look else (None, None)
    assert lift.value == pytest.approx((treatment or 0.0) / (control or 1.0) - 1.0)
    page = markdown(report, lang="en", zone="America/Santiago")
    assert "| engine | group-sequential bounds until a fixed end |" in page
    assert {arm: one.n for arm, one in report.answered.items()} == {
        arm.arm: arm.answers for arm in (report.look.arms if report.look else [])
    }
    assert all(one.p95_ms for one in report.answered.values())
    assert world.experiments.answered("newer") == report.answered
    assert "| control | " in page.partition("## Answers")[2].partition("## Sample ratio")[0]
    newest = world.experiments.replay("newer", last=2, log=False)
    assert (newest.n_looks, newest.n_same, newest.log) == (2, 2, None)


def test_what_was_changed_is_named(world: World) -> None:
    experiment = world.begin()
    for _ in range(3):
        live(world, experiment, {"control": 0.6, "treatment": 0.8}, days=1, a_day=80)
        world.experiments.look("newer")
    k, c = experiment_looks.c, experiment_cells.c
    with world.engine.begin() as connection:
        text = connection.scalar(select(k.document).where(k.look == 2))
        assert text is not None
        connection.execute(update(experiment_cells).where(c.metric == "answers").values(sum_q="7"))
    change(world, 2, document=text.replace('"leaks":0', '"leaks":4'), effect=0.5)
    found = world.experiments.replay("newer")
    assert not found.all_same
    assert (found.n_same, found.n_differ) == (2, 1)
    named = {d.field: (d.stored, d.recomputed) for d in found.differences}
    assert named["leaks"] == (4, 0)
    assert named["row.effect"][0] == 0.5
    assert found.log is not None
    assert {d.metric for d in found.log.differences} == {"answers"}
    assert found.log.n_different == len(found.log.differences) > 0


def test_what_cannot_be_said_has_its_reason(world: World) -> None:
    experiment = world.begin()
    live(world, experiment, {"control": 0.6, "treatment": 0.8}, days=1, a_day=80)
    for _ in range(8):
        world.experiments.look("newer")
    change(world, 1, evidence=None)
    change(world, 2, evidence=None)
    change(world, 4, evidence='{"at": "soon"}')
    change(world, 6, document="{")
    k, p, o = experiment_looks.c, predictions.c, outcomes.c
    with world.engine.begin() as connection:
        connection.execute(experiment_looks.delete().where(k.look == 3))
        gone = connection.scalars(select(p.prediction_id).limit(5)).all()
        connection.execute(outcomes.delete().where(o.prediction_id.in_(gone)))
    found = world.experiments.replay("newer")
    assert unsaid(found) == [
        (NOT_KEPT, 1, 2),
        (MISSING, 3, 3),
        (NOTHING_BEFORE, 4, 4),
        (LOOK_UNREADABLE, 6, 6),
        (NOTHING_BEFORE, 7, 7),
    ]
    assert (found.n_looks, found.n_same, found.all_same) == (7, 2, False)
    assert found.log is not None
    assert found.log.reason is not None
    assert "75 of the 80 labels" in in_language(found.log.reason, "en")
    with world.engine.begin() as connection:
        connection.execute(predictions.delete().where(p.prediction_id.in_(gone)))
    change(world, 8, evidence="{}")
    again = world.experiments.replay("newer", last=1)
    assert unsaid(again) == [(EVIDENCE_UNREADABLE, 8, 8)]
    assert again.log is not None
    assert again.log.reason is not None
    assert "75 de las 80 respuestas" in in_language(again.log.reason, "es")


def test_units_that_others_act_on_are_counted_again_from_their_rows(world: World) -> None:
    arms = (Arm("control", Answers.EXTERNAL), Arm("treatment", Answers.EXTERNAL))
    world.begin(mode=Mode.OUTSIDE, unit="unit", metric="revenue", arms=arms)
    others = OutsideUnits(world.engine, PROJECT, world.bench.clock)
    for at in range(60):
        others.assign("newer", f"u{at}", {})
        if at % 3:
            others.record("newer", {f"u{at}": {"revenue": at * 1.5}})
    others.record("newer", {"u1": {"revenue": 4.0}})
    world.experiments.look("newer")
    found = world.experiments.replay("newer")
    assert found.all_same
    assert found.log is not None
    assert found.log.n_cells > 0
