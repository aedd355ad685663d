"""From drained frames to a look, on real databases."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sqlalchemy import Engine, select
from tests.databases import postgres_with_the_slow

from timonel.events.accumulators import LoggedPrediction, TruthChange, default_accumulators
from timonel.events.drain import Drainer
from timonel.events.frames import PredictionFrame, ShadowAnswer
from timonel.events.plans import Plan
from timonel.experiments.checking.design import may_share_units
from timonel.experiments.choosing import arm_finder
from timonel.experiments.counting.cells import ExperimentCells, read_cells
from timonel.experiments.counting.sums import HOUR_US, day_of
from timonel.experiments.design import (
    Answers,
    Arm,
    Condition,
    Design,
    Guardrail,
    Mode,
    Namespace,
    Step,
    variant_of,
)
from timonel.experiments.documents import look_document
from timonel.experiments.errors import (
    IllegalMove,
    InvalidDesign,
    LatencyUnknown,
    UnitsOverlap,
)
from timonel.experiments.judging import reading
from timonel.experiments.judging.evidence import Contribution, join_phases
from timonel.experiments.judging.look import Rule, Verdict
from timonel.experiments.judging.reading import close_part, evidence_of, read_evidence
from timonel.experiments.judging.stored import StoredSums
from timonel.experiments.replaying.counted import Logged, MemorySums, count_days
from timonel.experiments.rows import Experiment
from timonel.experiments.service import Experiments, replace_design
from timonel.registry.registry import Registry
from timonel.signals import Signal
from timonel.stats.sequential import paired_e_value
from timonel.store.control import ensure_project, read_generation
from timonel.store.engine import make_engine
from timonel.store.migrate import upgrade
from timonel.store.tables_experiments import experiment_cells, experiment_totals
from timonel.testing.builders import PROJECT, make_manifest, register_version
from timonel.testing.events import Bench, Events
from timonel.wire.answer import FAILED

HOUR_S = 3600.0
ALONE = make_manifest(predictor="linear", baseline=None)


class World:
    """Two versions, an experiment between them, and traffic whose truth is known."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.bench = Bench(engine, folder)
        self.registry = Registry(engine, PROJECT, self.bench.clock)
        self.registry.declare(make_manifest())
        first = register_version(self.registry, "1")
        self.registry.promote("churn", first.version, who="ana", reason="first")
        second = register_version(self.registry, "2", recipe="other")
        self.versions = first.version, second.version
        self.signals: list[Signal] = []
        hear = self.signals.append
        self.experiments = Experiments(engine, PROJECT, self.bench.clock, self.registry, hear)
        self.events = Events(7)
        self.random = random.Random(11)
        self._served: tuple[object, ...] | None = None
        self._generation = 0

    def design(self, **changes: Any) -> Design:
        control, treatment = self.versions
        values: dict[str, Any] = {
            "name": "newer",
            "model": "churn",
            "salt": "newer-1",
            "arms": (Arm("control", version=control), Arm("treatment", version=treatment)),
            "weights": (0.5, 0.5),
            "unit": "request",
        }
        return Design(**(values | changes))

    def begin(self, **changes: Any) -> Experiment:
        design = self.design(**changes)
        self.experiments.create(design, who="ana")
        return self.experiments.start(design.name, who="ana")

    def answer(self, experiment: Experiment, unit: str | None = None) -> PredictionFrame:
        """Make the frame of one request, as a worker would have assigned it."""
        identifier = self.events.id()
        arm = arm_finder(experiment.design, experiment.weights)(unit or identifier.hex())
        version = dict(zip(experiment.design.names, self.versions, strict=True))[arm]
        return self.events.prediction(
            id=identifier,
            at=self.bench.clock.now_us(),
            version=version,
            variant=variant_of(experiment.name, arm),
            unit=unit,
            generation=self.generation(experiment),
            prediction=1,
        )

    def generation(self, experiment: Experiment) -> int:
        """What a worker serves: read again when time goes on, or the experiment is another."""
        served = experiment, self.bench.clock.now_us()
        if served != self._served:
            self._served, self._generation = served, read_generation(self.engine, PROJECT)
        return self._generation

    def truth(self, frame: PredictionFrame, right: dict[str, float]) -> Any:
        arm = frame.variant.partition(":")[2]
        value = 1 if self.random.random() < right[arm] else 0
        return self.events.outcome(value, prediction=frame.id, at=self.bench.clock.now_us())

    def drain(self, name: str = "drainer-0", slot: str = "slot-0") -> None:
        accumulators = [*default_accumulators(self.engine, PROJECT), ExperimentCells(PROJECT)]
        drainer = Drainer(
            self.engine,
            project=PROJECT,
            folders=[self.bench.slot(slot)],
            drainer_id=name,
            accumulators=accumulators,
            clock=self.bench.clock,
        )
        drainer.drain_once()


@pytest.fixture
def world(database: str, tmp_path: Path) -> Iterator[World]:
    engine = make_engine(database)
    upgrade(engine)
    ensure_project(engine, PROJECT, "America/Santiago")
    yield World(engine, tmp_path / "spool")
    engine.dispose()


def live(
    world: World,
    experiment: Experiment,
    right: dict[str, float],
    *,
    days: int,
    a_day: int,
    units: int | None = None,
) -> None:
    """Some days of traffic, each labelled an hour after it."""
    for _ in range(days):
        for _ in range(4):
            frames = []
            for _ in range(a_day // 4):
                unit = None if units is None else f"u{world.random.randrange(units)}"
                frames.append(world.answer(experiment, unit))
            world.bench.clock.advance(HOUR_S)
            labels = [world.truth(frame, right) for frame in frames]
            world.bench.write(*frames, *labels)
            world.bench.clock.advance(5 * HOUR_S)
        world.drain()


def test_a_better_version_is_found_and_a_look_is_kept(world: World) -> None:
    experiment = world.begin()
    live(world, experiment, {"control": 0.6, "treatment": 0.8}, days=5, a_day=200)
    look = world.experiments.look("newer")
    assert (look.verdict, look.rule) == (Verdict.PROMOTE, Rule.GOAL_BETTER)
    goal = look.goal
    assert goal is not None
    assert goal.effect == pytest.approx(0.2, abs=0.06)
    assert goal.lower is not None
    assert goal.lower > 0
    assert [arm.units for arm in look.arms] == [arm.labelled for arm in look.arms]
    assert sum(arm.units for arm in look.arms) == 1000
    assert look.srm_e < 20
    assert look.mature_after_h == 1
    # labels of the day before have had their time, those of today have not
    today = day_of(look.at // HOUR_US)
    assert [arm.mature_label_age_h for arm in look.arms] == [look.at // HOUR_US - today] * 2
    assert [
        look_document(look)["arms"][0][f"mature_label_{name}"] for name in ("age_h", "why")
    ] == [
        look.at // HOUR_US - today,
        None,
    ]
    _, last, events = world.experiments.show("newer")
    assert last == look
    assert [event.action for event in events] == ["create", "start"]


def test_a_look_gives_the_same_bits_however_cells_were_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = world.begin()
    for _ in range(4):
        live(world, experiment, {"control": 0.7, "treatment": 0.7}, days=1, a_day=80)
        looked = world.experiments.look("newer")
    with world.engine.begin() as connection:
        connection.execute(experiment_totals.delete())
    again = world.experiments.look("newer")
    assert again.goals == looked.goals
    assert again.arms == looked.arms
    # in parts, each a transaction of its own, as after weeks without a look
    monkeypatch.setattr(reading, "_PART", 7)
    with world.engine.begin() as connection:
        connection.execute(experiment_totals.delete())
    sums, closed = experiment_totals.c, []
    closes = True
    while closes:
        with world.engine.begin() as connection:
            stored = StoredSums(connection, PROJECT, "newer", again_revised(world))
            closes = close_part(stored, experiment.design, world.bench.clock.now_us())
            closed.append(connection.scalar(select(sums.closed_until)) or 0)
    assert len(closed) > 4
    assert closed == sorted(closed)
    last = world.experiments.look("newer")
    assert (last.goals, last.arms) == (looked.goals, looked.arms)


def again_revised(world: World) -> int:
    return world.experiments.show("newer")[0].revised


def test_units_that_come_again_count_once(world: World) -> None:
    experiment = world.begin(unit="unit")
    live(world, experiment, {"control": 0.7, "treatment": 0.7}, days=2, a_day=120, units=40)
    look = world.experiments.look("newer")
    assert sum(arm.units for arm in look.arms) == 40
    assert sum(arm.labelled for arm in look.arms) == 240
    goal = look.goal
    assert goal is not None
    assert goal.information <= 40.0
    assert look.leaks == 0


def test_a_correction_takes_back_what_it_corrects(world: World) -> None:
    experiment = world.begin()
    frames = [world.answer(experiment) for _ in range(60)]
    wrong = [world.events.outcome(0, prediction=f.id, at=f.at + 60_000_000) for f in frames]
    world.bench.clock.advance(HOUR_S)
    world.bench.write(*frames, *wrong)
    world.drain()
    first = world.experiments.look("newer")
    assert {arm.mean for arm in first.arms} == {0.0}
    world.bench.clock.advance(30 * HOUR_S)
    world.experiments.look("newer")  # the first labels' cells are closed now
    right = [
        world.events.outcome(1, prediction=f.id, at=world.bench.clock.now_us()) for f in frames
    ]
    world.bench.write(*right)
    world.drain()
    second = world.experiments.look("newer")
    assert {arm.mean for arm in second.arms} == {1.0}
    assert [arm.labelled for arm in second.arms] == [arm.labelled for arm in first.arms]


@postgres_with_the_slow
def test_a_ramp_grows_while_nothing_speaks_against_it_and_rolls_back_on_harm(
    world: World,
) -> None:
    steps = (Step(0.2, least_s=3600, least_exposed=10), Step(0.5, least_s=3600, least_exposed=10))
    experiment = world.begin(mode=Mode.RAMP, weights=(0.8, 0.2), steps=steps)
    live(world, experiment, {"control": 0.8, "treatment": 0.8}, days=1, a_day=200)
    world.experiments.look("newer")
    grown = world.experiments.show("newer")[0]
    assert grown.weights == (0.5, 0.5)
    assert grown.phase == 2
    live(world, grown, {"control": 0.8, "treatment": 0.4}, days=1, a_day=400)
    look = world.experiments.look("newer")
    assert look.verdict is Verdict.ROLL_BACK
    ended, _, events = world.experiments.show("newer")
    assert (ended.state, ended.verdict) == ("completed", "ROLL_BACK")
    told = [(signal.kind, signal.condition) for signal in world.signals]
    assert told == [("EXPERIMENT_HARM", "holds"), ("EXPERIMENT_HARM", "clear")]
    assert [event.action for event in events] == ["create", "start", "grow", "stop"]
    champion = world.registry.champion("churn")
    assert champion is not None
    assert champion.version == world.versions[0]


@postgres_with_the_slow
def test_shares_that_were_not_asked_for_make_everything_invalid(world: World) -> None:
    experiment = world.begin()
    frames = [world.answer(experiment) for _ in range(2400)]
    kept = [f for f in frames if f.variant.endswith("control") or world.random.random() < 0.5]
    world.bench.write(*kept)
    world.bench.clock.advance(HOUR_S)
    world.drain()
    look = world.experiments.look("newer")
    assert (look.verdict, look.rule) == (Verdict.INVALID, Rule.SHARES_DIFFER)


def test_nothing_drained_is_unknown_and_not_zero(world: World) -> None:
    world.begin()
    look = world.experiments.look("newer")
    assert (look.verdict, look.rule) == (Verdict.CONTINUE, Rule.NO_DATA)
    assert all(arm.mean is None and arm.labelled == 0 for arm in look.arms)
    (control, _) = look_document(look, "es")["arms"]
    assert control["mature_label_age_h"] is None
    assert control["mature_label_why"].startswith("se desconoce: de ningún día se sabe")
    goal = look.goal
    assert goal is not None
    assert goal.effect is None


def test_a_restarted_drain_counts_nothing_twice(world: World) -> None:
    experiment = world.begin()
    frames = [world.answer(experiment) for _ in range(50)]
    world.bench.write(*frames, *frames[:10])
    world.drain()
    world.bench.write(*frames[:20])
    world.drain("drainer-1")
    c = experiment_cells.c
    with world.engine.connect() as connection:
        counted = connection.scalars(select(c.n).where(c.metric == "exposed"))
        assert sum(counted) == 50


def test_unheard_answers_are_compared_in_pairs(world: World) -> None:
    design = world.design(mode=Mode.SHADOW, depends_on_action=False)
    with pytest.raises(InvalidDesign, match="without a model"):
        world.experiments.create(design, who="ana")
    compiled = make_manifest(predictor="linear")
    third = register_version(world.registry, "3", recipe="third", manifest=compiled)
    arms = (design.arms[0], Arm("treatment", version=third.version))
    experiment = world.begin(mode=Mode.SHADOW, depends_on_action=False, arms=arms)
    frames = []
    for at in range(200):
        frame = world.answer(experiment)
        # the heard answer is right in 60 %, the unheard one in 90 %
        heard, unheard = 1 if at % 10 < 6 else 0, 1 if at % 10 else 0
        shadow = ShadowAnswer("newer:treatment", third.version, unheard, 0.5, 9)
        frames.append(msgspec.structs.replace(frame, prediction=heard, shadow=shadow))
    world.bench.clock.advance(HOUR_S)
    at = world.bench.clock.now_us()
    labels = [world.events.outcome(1, prediction=frame.id, at=at) for frame in frames]
    world.bench.write(*frames, *labels)
    world.drain()
    early = world.experiments.look("newer")
    assert (early.verdict, early.rule) == (Verdict.CONTINUE, Rule.IMMATURE_PAIRS)
    world.bench.clock.advance(120 * HOUR_S)
    world.drain()
    look = world.experiments.look("newer")
    assert look.pairs == {"treatment": 80, "control": 20, "tied": 100}
    assert (look.verdict, look.rule) == (Verdict.PROMOTE, Rule.PAIRS_BETTER)
    goal = look.goal
    assert goal is not None
    assert goal.effect == pytest.approx(0.3)
    assert goal.e_value == pytest.approx(paired_e_value(80, 20))
    assert [arm.mean for arm in look.arms] == pytest.approx([0.6, 0.9])


def test_what_cannot_be_honoured_is_refused(world: World) -> None:
    for changes, field in (
        ({"weights": (0.5, 0.6)}, "shares"),
        ({"weights": (0.95, 0.05)}, "share"),
        ({"targeting": (Condition("age", ">", 3),)}, "targeting"),
        ({"targeting": (Condition("visits", "~", 3),)}, "targeting"),
        ({"targeting": (Condition("visits", ">=", "abc"),)}, "targeting"),
        ({"targeting": (Condition("visits", "==", True),)}, "targeting"),
        ({"targeting": (Condition("visits", "in", 3),)}, "targeting"),
        ({"targeting": (Condition("visits", "in", [3, "x"]),)}, "targeting"),
        ({"unit": "block"}, "unit"),
        ({"guardrails": (Guardrail("smell"),)}, "guardrails"),
        ({"guardrails": (Guardrail("error"),), "mode": Mode.SHADOW}, "guardrails"),
        ({"holdout": 0.4}, "holdout"),
        ({"namespace": Namespace("n", 0.5, 0.2)}, "namespace"),
        ({"namespace": Namespace("", 0.0, 0.2)}, "namespace"),
        ({"metric": "revenue"}, "metric"),  # nobody would ever log it
        ({"metric": "absolute_error", "task": "binary"}, "metric"),
        ({"mode": Mode.RAMP}, "steps"),
        ({"alpha": 0.7}, "alpha"),
    ):
        with pytest.raises(InvalidDesign) as caught:
            world.experiments.create(world.design(**changes), who="ana")
        assert caught.value.context["field"] == field


def test_two_experiments_share_no_unit(world: World) -> None:
    someone: dict[str, Any] = {
        "mode": Mode.OUTSIDE,
        "metric": "revenue",
        "unit": "unit",
        "arms": tuple(Arm(name, Answers.EXTERNAL) for name in ("control", "treatment")),
    }
    prices = world.design(name="prices", namespace=Namespace("shop", 0.0, 0.6), **someone)
    for name, part, apart in (
        ("letters", (0.5, 1.0), False),
        ("calls", (0.6, 1.0), True),
    ):
        other = world.design(name=name, namespace=Namespace("shop", *part), **someone)
        assert may_share_units(prices, other) is not apart
        # a namespace is of all models: whose units they are does not depend on who answers
        assert may_share_units(replace_design(other, model="other"), prices) is not apart
        world.experiments.create(other, who="ana")
    world.experiments.create(prices, who="ana")
    world.experiments.start("prices", who="ana")
    with pytest.raises(UnitsOverlap, match="prices is running"):
        world.experiments.start("letters", who="ana")
    world.experiments.start("calls", who="ana")
    half = Namespace("visitors", 0.0, 0.5)
    world.begin(namespace=half)
    second = world.design(name="other", namespace=Namespace("visitors", 0.4, 1.0))
    world.experiments.create(second, who="ana")
    with pytest.raises(UnitsOverlap, match="newer is running"):
        world.experiments.start("other", who="ana")
    third = world.design(name="third", namespace=Namespace("visitors", 0.5, 1.0))
    world.experiments.create(third, who="ana")
    assert world.experiments.start("third", who="ana").state == "active"
    with pytest.raises(IllegalMove):
        world.experiments.resume("third", who="ana")
    world.experiments.stop("newer", who="ana")
    with pytest.raises(IllegalMove) as twice:
        world.experiments.stop("newer", who="ana")
    assert twice.value.message("es").startswith("No se puede detener el experimento newer: ")
    assert twice.value.context["action"] == "stop"


def test_a_draft_says_how_it_will_begin_and_can_be_dropped(world: World) -> None:
    ramp = world.design(
        mode=Mode.RAMP, steps=(Step(0.01), Step(1.0)), guardrails=(Guardrail("slow"),)
    )
    assert world.experiments.create(ramp, who="ana").weights == (0.99, 0.01)
    with pytest.raises(LatencyUnknown, match="fewer than 200 answers"):
        world.experiments.start("newer", who="ana")
    dropped = world.experiments.stop("newer", who="ana")
    assert (dropped.state, dropped.started_at, dropped.verdict) == ("completed", None, None)
    with pytest.raises(IllegalMove, match="Cannot start experiment newer: its state is completed"):
        world.experiments.start("newer", who="ana")


def test_a_unit_that_is_bad_in_several_phases_is_one_bad_event(world: World) -> None:
    steps = (Step(0.2, least_s=3600, least_exposed=5), Step(0.5, least_s=3600, least_exposed=5))
    experiment = world.begin(
        mode=Mode.RAMP,
        unit="unit",
        weights=(0.8, 0.2),
        steps=steps,
        guardrails=(Guardrail("slow", threshold_ms=0.001),),
    )
    for _ in range(2):
        live(world, experiment, {"control": 0.8, "treatment": 0.8}, days=1, a_day=400, units=50)
        world.experiments.look("newer")
        experiment = world.experiments.show("newer")[0]
    assert experiment.phase > 1
    with world.engine.connect() as connection:
        cells = read_cells(connection, PROJECT, "newer")
    bad, exposed, first = (
        sum(sums.n for key, sums in cells.items() if key.metric == metric)
        for metric in ("bad:slow", "exposed", "first")
    )
    # all of them came again, and each was slow each time
    assert (bad, exposed, first) == (50, 100, 50)


def test_errors_of_ours_are_told_from_what_else_rules_answer(world: World) -> None:
    guardrails = Guardrail("fallback"), Guardrail("error")
    experiment = world.begin(guardrails=guardrails)
    reasons = {"control": ["assigned"], "treatment": ["low_confidence", *sorted(FAILED)]}
    frames = []
    for at in range(200):
        frame = world.answer(experiment)
        of_arm = reasons[frame.variant.partition(":")[2]]
        frames.append(msgspec.structs.replace(frame, reason=str(of_arm[at % len(of_arm)])))
    world.bench.write(*frames)
    world.drain()
    look = world.experiments.look("newer")
    with world.engine.connect() as connection:
        cells = read_cells(connection, PROJECT, "newer")
    counts = {(key.metric, key.arm): sums.n for key, sums in cells.items()}
    reason_of = [frame.reason for frame in frames if frame.reason != "assigned"]
    declined = reason_of.count("low_confidence")
    assert 0 < declined < len(reason_of) == counts["bad:fallback", "treatment"]
    assert counts["bad:error", "treatment"] == len(reason_of) - declined
    assert ("bad:error", "control") not in counts
    assert (look.verdict, look.rule) == (Verdict.ROLL_BACK, Rule.GUARDRAIL_HARM)
    assert look.guardrails.keys() == {"treatment:fallback", "treatment:error"}
    assert world.experiments.answered("newer")["treatment"].failed == len(reason_of) - declined
    assert world.experiments.replay("newer").all_same


def test_errors_are_guarded_where_something_answers_instead(world: World) -> None:
    alone = register_version(world.registry, "3", recipe="third", manifest=ALONE)
    arms = world.design().arms[0], Arm("treatment", version=alone.version)
    world.experiments.create(world.design(arms=arms), who="ana")
    guarded = world.design(name="other", arms=arms, guardrails=(Guardrail("error"),))
    with pytest.raises(InvalidDesign, match="neither rules nor a baseline") as refused:
        world.experiments.create(guarded, who="ana")
    assert "ni línea base" in refused.value.message("es")


def test_phases_of_the_same_units_speak_as_one_where_units_do_not_change() -> None:
    """The variance of a sum over nested shares, against the one that draws of arms have."""
    draw = np.random.default_rng(5)
    shares, value = {1: 0.1, 2: 0.2, 3: 0.4}, draw.random(400)
    scores = []
    for _ in range(2000):
        place, score = draw.random(400), 0.0
        for share in shares.values():
            treated = place < share
            n_b = int(treated.sum())
            weight = n_b * (400 - n_b) / 400
            score += weight * (value[treated].mean() - value[~treated].mean())
        scores.append(score)
    step = 10**12
    of_phase = {
        phase: Contribution(
            variance=round(400 * share * (1 - share) * value.var(ddof=1) * step),
        )
        for phase, share in shares.items()
    }
    known = join_phases(of_phase, shares).variance / step
    apart = sum(one.variance for one in of_phase.values()) / step
    assert known == pytest.approx(np.var(scores), rel=0.15)
    assert known > 1.8 * apart
    assert join_phases(of_phase, None).variance / step > known


@pytest.mark.parametrize("unit", ["unit", "request"])
def test_sums_in_memory_come_to_what_drained_ones_do(world: World, unit: str) -> None:
    experiment = world.begin(unit=unit)
    plan, days, arms = Plan(task="binary", classes=(0, 1)), [], {}
    for _ in range(4):
        day: dict[str, Logged] = {}
        truths = []
        for _ in range(60):
            frame = world.answer(experiment, f"u{world.random.randrange(25)}")
            who = str(frame.unit) if unit == "unit" else frame.id.hex()
            arms[who] = frame.variant.partition(":")[2]
            logged = LoggedPrediction(
                *(frame.id, frame.at, frame.model, frame.version, frame.variant, frame.source),
                *(frame.prediction, frame.unit, frame.generation),
            )
            at, value = frame.at + 60_000_000, world.random.randrange(2)
            truths.append(world.events.outcome(value, prediction=frame.id, at=at))
            frames, changes = day.setdefault(who, ([], []))
            frames.append(frame)
            changes.append(TruthChange(logged, value, at, 1, plan))
        days.append(day)
        world.bench.clock.advance(HOUR_S)
        world.bench.write(*(frame for frames, _ in day.values() for frame in frames), *truths)
        world.drain()
        world.bench.clock.advance(23 * HOUR_S)
    now = world.bench.clock.now_us()
    sums = MemorySums(experiment.weights)
    until: dict[str, Any] = {"at": now, "until_us": now, "started_at": experiment.started_at}
    with world.engine.begin() as connection:
        for counted in count_days(connection, PROJECT, days):
            sums.add(counted, arms)
        stored = read_evidence(connection, PROJECT, experiment.design, revised=0, **until)
    assert stored.goal["treatment"].weight > 0
    assert evidence_of(sums, experiment.design, **until) == stored
