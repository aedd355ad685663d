"""Sizes and calendars: by arithmetic, and measured from a real log."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.unit.experiments.test_counting import HOUR_S, World

from timonel.experiments.errors import InvalidPlan, PowerUnknown
from timonel.experiments.planning.documents import plan_document, power_chart
from timonel.experiments.planning.measuring import Measured
from timonel.experiments.planning.plan import Asked, Basis, make_plan
from timonel.experiments.planning.service import Planning
from timonel.experiments.replaying.aa import AaResult
from timonel.experiments.replaying.jobs import AaJobs, aa_kind
from timonel.jobs.errors import JobActive
from timonel.jobs.queue import JobQueue
from timonel.jobs.runner import JobRunner
from timonel.jobs.steps import JobKind, Step, StepContext
from timonel.stats.plan import sample_size_per_arm
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.testing.builders import PROJECT

GIVEN: dict[str, Any] = {"baseline": 0.8, "per_day": 1000.0, "delay_days": 2.0}


def asked(**changes: Any) -> Asked:
    return Asked(**({"model": "churn", "control": "1.0.0", "effects": (0.02,)} | changes))


def test_a_size_is_the_engines_own_number_and_days_hold_the_delay() -> None:
    plan = make_plan(asked(**GIVEN), Measured())
    arm = sample_size_per_arm(0.16, 0.82 * 0.18, 0.02, engine="confidence_sequence")
    (size,) = plan.sizes
    assert (size.n_control, size.n_treatment, size.n) == (arm, arm, 2 * arm)
    assert size.days == pytest.approx(2 * arm / 1000.0)
    assert size.until_decided == pytest.approx(2 * arm / 1000.0 + 2.0)
    assert {f.basis for f in (plan.rate, plan.baseline, plan.delay)} == {Basis.GIVEN}
    assert dict(plan.power)[0.02] == pytest.approx(0.8, abs=1e-3)
    soon = make_plan(asked(**GIVEN | {"per_day": 1e6}), Measured())
    assert soon.sizes[0].until_decided == 5.0  # three days must agree on the delay first
    once = sample_size_per_arm(0.16, 0.82 * 0.18, 0.02)
    assert arm == pytest.approx(1.75 * once, abs=1)


def test_an_uneven_share_costs_more_and_a_date_costs_less() -> None:
    even, uneven, dated = (
        make_plan(asked(**GIVEN, **changes), Measured()).sizes[0].n or 0
        for changes in ({}, {"share": 0.1}, {"days": 20.0})
    )
    # 1 / (4 s (1 - s)) at equal variances
    assert uneven / even == pytest.approx(1 / 0.36, rel=0.05)
    assert dated / even == pytest.approx(1.06 / 1.75, rel=1e-3)


def test_with_a_date_the_power_is_that_of_the_units_labelled_by_then() -> None:
    plan = make_plan(asked(**GIVEN, days=12.0, effects=(0.01, 0.02, 0.3)), Measured())
    assert plan.power_n == 10_000
    (_, weak), (_, strong) = plan.power
    assert weak < 0.5 < strong
    assert plan.sizes[2].n is None  # .8 and .3 more is no share
    assert plan.sizes[2].reason is not None
    assert make_plan(asked(**GIVEN, days=1.0), Measured()).power_n is None


def test_what_nobody_knows_is_unknown_with_the_flag_that_gives_it() -> None:
    nothing = make_plan(asked(), Measured())
    assert (nothing.sizes[0].n, nothing.power) == (None, [])
    assert "--baseline" in str(plan_document(nothing)["sizes"][0]["reason"])
    for missing, flag in (("per_day", "--per-day"), ("delay_days", "--delay-days")):
        given = {name: value for name, value in GIVEN.items() if name != missing}
        document = plan_document(make_plan(asked(**given), Measured()), "es")
        assert document["sizes"][0]["n"] > 0
        assert document["sizes"][0]["days_until_decided"] is None
        assert flag in document["sizes"][0]["reason"]
        assert document[missing]["basis"] == "unknown"


def test_units_that_come_again_follow_the_days_of_the_log() -> None:
    seen = Measured(days=4.0, n_answers=9000, new_by_day=(3000, 1000, 600, 400))
    by_unit = {"by_unit": True, "baseline": 0.5, "delay_days": 0.0, "sd": 0.5}
    plan = make_plan(asked(**by_unit, effects=(0.05, 0.08)), seen)
    few, fewer = plan.sizes[1], plan.sizes[0]
    assert few.n is not None
    assert fewer.n is not None
    assert 1000 < few.n < 3000
    assert few.days == pytest.approx(few.n / 3000)
    assert not few.extrapolated
    assert fewer.n > 5000
    assert fewer.extrapolated
    assert fewer.days == pytest.approx(4 + (fewer.n - 5000) / 1250)
    stale = make_plan(asked(**by_unit), Measured(days=9.0, n_answers=9, new_by_day=(9,) + (0,) * 8))
    assert stale.sizes[0].days is None


def test_a_chart_shows_each_effect() -> None:
    plan = make_plan(asked(**GIVEN, effects=(0.01, 0.02)), Measured())
    drawn = power_chart(plan, "es")
    assert drawn.startswith("<svg")
    assert "+0,01" in drawn
    assert "80%" in drawn
    assert "var(" not in drawn  # a file has no page around it


def test_what_cannot_be_drawn_is_refused_with_its_reason() -> None:
    for given, why in (
        ({}, "0 labelled units"),
        (GIVEN | {"per_day": None, "days": 9.0}, "the rate is unknown"),
        (GIVEN | {"days": 0.5}, "nobody comes and is labelled within 0.5 days"),
    ):
        with pytest.raises(PowerUnknown, match=why):
            power_chart(make_plan(asked(**given, effects=(0.01,)), Measured()))


@pytest.fixture
def world(database: str, tmp_path: Path) -> Iterator[World]:
    engine = make_engine(database)
    ensure_project(engine, PROJECT, "America/Santiago")
    yield World(engine, tmp_path / "spool")
    engine.dispose()


def test_the_log_gives_rate_baseline_and_delay(world: World) -> None:
    planning = Planning(world.engine, PROJECT, world.bench.clock, world.registry)
    empty = planning.plan("churn")
    bases = {f.basis for f in (empty.rate, empty.baseline, empty.sd, empty.delay)}
    assert bases == {Basis.UNKNOWN}
    for day in range(6):
        for part in range(4):
            frames = [
                world.events.prediction(
                    at=world.bench.clock.now_us(),
                    version=world.versions[0],
                    prediction=1,
                    # ten units come every day, ten are new
                    unit=f"u{at}" if at < 10 else f"d{day}-{at}",
                )
                for at in range(20)
            ]
            world.bench.clock.advance(3 * HOUR_S)
            at = world.bench.clock.now_us()
            labels = [
                world.events.outcome(int(n % 5 != part), prediction=frame.id, at=at)
                for n, frame in enumerate(frames)
            ]
            world.bench.write(*frames, *labels)
            world.bench.clock.advance(3 * HOUR_S)
        world.drain()
    requests = planning.plan("churn")
    assert requests.rate.value == pytest.approx(80.0, rel=0.01)
    assert requests.baseline.value == pytest.approx(0.8)
    assert requests.sd.value == pytest.approx(0.4, rel=0.01)
    assert requests.delay.value == pytest.approx(3 / 24)
    assert requests.baseline.basis is Basis.MEASURED
    assert all(size.until_decided for size in requests.sizes)
    units = planning.plan("churn", by_unit=True)
    assert units.rate.value == pytest.approx((20 + 5 * 10) / 6)
    assert units.baseline.value == pytest.approx(0.8)
    # a unit's four answers of a day are wrong at most once: units differ less than answers
    assert units.sd.value is not None
    assert units.sd.value < 0.2
    other = planning.plan("churn", control=world.versions[1])
    assert other.baseline.basis is Basis.UNKNOWN
    with pytest.raises(InvalidPlan, match="share"):
        planning.plan("churn", share=1.0)


def check_a_job_plays_the_same(
    world: World, planning: Planning, options: dict[str, Any], found: AaResult
) -> None:
    """The worker's end comes in the middle; another goes on, and no run is played twice."""
    clock = world.bench.clock
    queue = JobQueue(world.engine, PROJECT, clock)
    jobs = AaJobs(queue, planning, clock)
    asked = jobs.start("churn", by_unit=True, who="ana", **options)
    assert (asked.progress, asked.result) == (0.0, None)
    with pytest.raises(JobActive):
        jobs.start("churn", by_unit=True, who="ana", **options)
    clock.advance(60.0)
    stop = threading.Event()
    kind = aa_kind()

    def play(step: Step, context: StepContext) -> Any:
        if step is kind.steps[2]:
            stop.set()
            until = time.monotonic() + 60.0
            while time.monotonic() < until:  # the worker's end is seen within a moment
                context.check()
                time.sleep(0.01)
        return step.run(context)

    ending = JobKind(kind.name, tuple(replace(s, run=partial(play, s)) for s in kind.steps))
    JobRunner(queue, {kind.name: ending}, "one", lambda told, facts: None).run(stop)
    (half,) = jobs.list("churn", 10)
    assert half.progress == 2 / 6
    assert half.result is None
    done = []
    again = JobRunner(queue, {kind.name: kind}, "two", lambda told, facts: done.append(told))
    while not jobs.list("churn", 10)[0].result:
        again.run_one()
    (ended,) = jobs.list("churn", 10)
    assert (ended.progress, ended.result) == (1.0, found)
    assert [step.state for step in queue.steps(ended.job.job_id)] == ["done"] * 6


@pytest.mark.slow
def test_an_a_a_on_the_log_decides_rarely_and_the_same_with_a_seed(world: World) -> None:
    planning = Planning(world.engine, PROJECT, world.bench.clock, world.registry)
    options: dict[str, Any] = {"runs": 6, "seed": 3, "rows": 5000, "alpha": 0.05}
    nothing = planning.run_aa("churn", by_unit=True, **options)
    assert nothing.wrong is None
    assert nothing.reason is not None
    for _ in range(8):
        frames = [
            world.events.prediction(
                at=world.bench.clock.now_us(), prediction=1, unit=f"u{world.random.randrange(60)}"
            )
            for _ in range(40)
        ]
        world.bench.clock.advance(2 * HOUR_S)
        # all answers of a unit are right or all wrong: a test by answers takes them for many
        labels = [
            world.events.outcome(
                int(int((frame.unit or "u0")[1:]) % 2),
                prediction=frame.id,
                at=world.bench.clock.now_us(),
            )
            for frame in frames
        ]
        world.bench.write(*frames, *labels)
        world.bench.clock.advance(22 * HOUR_S)
        world.drain()
    found = planning.run_aa("churn", by_unit=True, **options)
    assert (found.n_rows, found.of_rows, found.n_units) == (320, 320, 59)
    assert found.wrong is not None
    assert found.naive is not None
    assert found.naive.n >= 2 > found.wrong.n
    assert found.known_from is not None
    check_a_job_plays_the_same(world, planning, options, found)
    few = options | {"runs": 1}
    once = planning.run_aa("churn", by_unit=True, **few)
    assert planning.run_aa("churn", by_unit=True, **few) == once
    requests = planning.run_aa("churn", by_unit=False, **few)
    assert requests.n_units == 320
    part = planning.run_aa("churn", by_unit=True, **(few | {"rows": 160}))
    assert 100 <= part.n_rows < 250
    assert part.of_rows == 320
