import threading
import time
from typing import Any

import pytest
from sqlalchemy import Connection

from timonel.events.outcomes import (
    adopt_parked,
    expire_parked,
    mature_absent,
    outcome_status,
)
from timonel.registry.manifest import OutcomePlan
from timonel.store.tables import drainers
from timonel.testing.events import PROJECT, START_US, Bench, Events, publish_plan, uuid_of
from timonel.wire.answer import Label

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


def status(bench: Bench, identifier: bytes) -> Any:
    with bench.engine.connect() as connection:
        return outcome_status(connection, PROJECT, identifier)


def correct(bench: Bench) -> list[tuple[int, int, int]]:
    """(arrival hour after the start, n, hits) of each cell that is not empty."""
    return [
        (key[-1] - START_US // HOUR_US, n, q // 1_000_000)
        for key, (n, q, _) in sorted(bench.cells().items())
        if key[5] == "correct"
    ]


@pytest.fixture
def events(bench: Bench) -> Events:
    plan = OutcomePlan(key="rut", horizon_s=30 * 86_400)
    publish_plan(bench.engine, PROJECT, "churn", classes=["no", "yes"], plan=plan)
    return Events(7)


def test_by_id_joined_identical_and_revised(bench: Bench, events: Events) -> None:
    p = events.prediction(prediction="yes")
    first = events.outcome("no", prediction=p.id, at=START_US + HOUR_US)
    same = events.outcome("No", prediction=p.id, at=START_US + 2 * HOUR_US)
    revised = events.outcome("yes", prediction=p.id, at=START_US + 3 * HOUR_US)
    bench.write(p, first, same, revised, first)
    report = bench.drainer().drain_once()
    assert (report.n_outcomes, report.n_joined) == (3, 3)
    assert correct(bench) == [(1, 1, 0), (3, 0, 1)]
    found = [status(bench, o.id) for o in (first, same, revised)]
    assert [f.state for f in found] == ["joined", "identical", "joined"]
    assert [f.revision for f in found] == [1, None, 2]
    assert [f.counts for f in found] == [False, False, True]
    assert [f.correct for f in found] == [False, False, True]
    assert found[1].value == "no"
    assert "revision 2" in found[2].sentence("en")
    assert "revisión 2" in found[2].sentence("es")
    assert status(bench, events.id()) is None


def test_an_outcome_before_its_prediction_waits_and_joins_once(
    bench: Bench, events: Events
) -> None:
    p = events.prediction()
    o = events.outcome("yes", prediction=p.id)
    bench.write(o, slot="slot-0")
    owner = bench.drainer("slot-0", name="a")
    assert owner.drain_once().n_joined == 0
    assert status(bench, o.id).state == "parked"
    assert "waits" in status(bench, o.id).sentence()
    bench.write(p, slot="slot-1")
    assert bench.drainer("slot-1", name="b").drain_once().n_joined == 0
    assert owner.drain_once().n_joined == 1
    assert owner.drain_once().n_joined == 0
    assert correct(bench) == [(0, 1, 1)]


def test_by_key_the_last_prediction_before_within_the_horizon(bench: Bench, events: Events) -> None:
    old, middle, late = (
        events.prediction(key="k", at=START_US + days * DAY_US, prediction=label)
        for days, label in ((-40, "no"), (-10, "no"), (0, "yes"))
    )
    asked = {
        "now": events.outcome("yes", key="k"),
        "before late": events.outcome("no", key="k", observed_at=START_US - 1),
        "exactly": events.outcome("no", key="k", observed_at=START_US - 10 * DAY_US),
        "just inside the horizon": events.outcome(
            "no", key="k", observed_at=START_US - 10 * DAY_US - 1
        ),
        "other key": events.outcome("no", key="other"),
    }
    # the old prediction is 30 days before -10 d exactly: one microsecond earlier is inside
    bench.write(old, middle, late, *asked.values())
    bench.drainer().drain_once()
    found = {name: status(bench, o.id) for name, o in asked.items()}
    assert found["now"].prediction_id == uuid_of(late.id)
    assert found["before late"].prediction_id == uuid_of(middle.id)
    assert found["exactly"].prediction_id == uuid_of(middle.id)
    assert found["just inside the horizon"].prediction_id == uuid_of(old.id)
    assert found["other key"].state == "parked"
    bench.write(too_old := events.outcome("no", key="k", observed_at=START_US - 41 * DAY_US))
    bench.drainer().drain_once()
    assert status(bench, too_old.id).state == "parked"


def test_by_key_waits_for_the_drainer_that_is_behind(bench: Bench, events: Events) -> None:
    """Without the wait, the truth would join the older prediction, which is drained already."""
    old = events.prediction(key="k", at=START_US - DAY_US)
    new = events.prediction(key="k", at=START_US)
    o = events.outcome("yes", key="k", at=bench.clock.advance(10))
    fast, slow = bench.drainer("fast", name="fast"), bench.drainer("slow", name="slow")
    bench.write(old, slot="fast")
    slow.drain_once()
    bench.clock.advance(10)
    bench.write(o, slot="fast")
    fast.drain_once()
    assert status(bench, o.id).state == "joined"
    late = events.outcome("yes", key="k", at=bench.clock.advance(10))
    bench.write(late, slot="fast")
    bench.write(new, slot="slow")
    fast.drain_once()
    assert status(bench, late.id).state == "parked"
    bench.clock.advance(1)
    slow.drain_once()
    fast.drain_once()
    assert status(bench, late.id).prediction_id == uuid_of(new.id)


def test_what_cannot_be_a_truth_is_kept_with_its_reason(bench: Bench, events: Events) -> None:
    publish_plan(bench.engine, PROJECT, "price", task="regression")
    p, q = events.prediction(), Events(8, "price").prediction(prediction=10.0)
    bad = {
        "not_a_class": events.outcome("perhaps", prediction=p.id),
        "no_value": events.outcome(None, prediction=p.id),
        "not_a_number": Events(9, "price").outcome("ten", prediction=q.id),
        "no_key": Events(10, "price").outcome(9.5, key="k"),
        "other_model": events.outcome("yes", prediction=q.id),
    }
    bench.write(p, q, *bad.values())
    bench.drainer().drain_once()
    for code, frame in bad.items():
        found = status(bench, frame.id)
        assert (found.state, found.problem.code) == ("invalid", code)
        assert found.sentence("en") != found.sentence("es")
    assert "perhaps" in status(bench, bad["not_a_class"].id).sentence()
    assert not bench.cells()


def test_regression_errors_are_exact(bench: Bench) -> None:
    publish_plan(bench.engine, PROJECT, "price", task="regression")
    events = Events(1, "price")
    ps = [events.prediction(prediction=value) for value in (10.0, 12.5, 7)]
    truths: list[Label] = [12, "12.25", 7.0]
    os = [events.outcome(v, prediction=p.id) for v, p in zip(truths, ps, strict=True)]
    bench.write(*ps, *os)
    bench.drainer().drain_once()
    cells = {key[5]: sums for key, sums in bench.cells().items()}
    assert cells["error"] == (3, -1_750_000, 4 * 10**12 + 62_500 * 10**6)
    assert cells["absolute_error"][1] == 2_250_000
    assert cells["squared_error"][1] == 4_062_500
    assert status(bench, os[1].id).metrics["error"] == 0.25


def test_rules_count_apart(bench: Bench, events: Events) -> None:
    ruled = events.prediction(source="rules", version="", reason="no_version", prediction="no")
    model = events.prediction()
    bench.write(
        ruled,
        model,
        events.outcome("yes", prediction=ruled.id),
        events.outcome("yes", prediction=model.id),
    )
    bench.drainer().drain_once()
    found = {(key[2], key[4]): sums[:2] for key, sums in bench.cells().items()}
    assert found == {("", "rules"): (1, 0), ("1.0.0", "model"): (1, 1_000_000)}


def test_absence_matures_once_and_a_later_truth_revises_it(bench: Bench) -> None:
    plan = OutcomePlan(horizon_s=3600, absent="no")
    publish_plan(bench.engine, PROJECT, "churn", classes=["no", "yes"], plan=plan)
    events = Events()
    silent, told = events.prediction(), events.prediction()
    young = events.prediction(at=START_US + HOUR_US)
    bench.write(silent, told, young, events.outcome("yes", prediction=told.id))
    drainer = bench.drainer()
    bench.clock.advance(60)
    drainer.drain_once()
    assert mature_absent(bench.engine, PROJECT, "churn", plan, bench.clock) == 1
    assert mature_absent(bench.engine, PROJECT, "churn", plan, bench.clock) == 0
    drainer.drain_once()
    assert correct(bench) == [(0, 1, 1), (1, 1, 0)]
    assert mature_absent(bench.engine, PROJECT, "churn", plan, bench.clock) == 0
    bench.write(late := events.outcome("yes", prediction=silent.id, at=START_US + 5 * HOUR_US))
    drainer.drain_once()
    assert status(bench, late.id).revision == 2
    assert correct(bench) == [(0, 1, 1), (1, 1, 0), (5, 0, 1)]


def silence(connection: Connection, name: str) -> None:
    connection.execute(drainers.update().where(drainers.c.drainer_id == name).values(seen_at=0))


def test_parked_outcomes_of_a_dead_drainer_are_adopted(bench: Bench, events: Events) -> None:
    p = events.prediction()
    o = events.outcome("yes", prediction=p.id)
    bench.write(o, slot="gone")
    bench.drainer("gone", name="gone").drain_once()
    bench.write(p, slot="here")
    living = bench.drainer("here", name="living")
    living.drain_once()
    assert adopt_parked(bench.engine, PROJECT, bench.clock) == 0
    with bench.engine.begin() as connection:
        silence(connection, "gone")
    assert adopt_parked(bench.engine, PROJECT, bench.clock) == 1
    assert living.drain_once().n_joined == 1
    assert status(bench, o.id).state == "joined"


def test_parked_outcomes_and_old_keys_expire(bench: Bench, events: Events) -> None:
    p = events.prediction(key="k", at=START_US)
    o = events.outcome("yes", prediction=events.id())
    bench.write(p, o)
    drainer = bench.drainer()
    drainer.drain_once()
    bench.clock.advance(179 * 86_400)
    bench.write(events.prediction())
    drainer.drain_once()
    assert expire_parked(bench.engine, PROJECT, bench.clock) == 0
    assert not bench.rows("prediction_keys")
    bench.clock.advance(3 * 86_400)
    bench.write(events.prediction())
    drainer.drain_once()
    assert expire_parked(bench.engine, PROJECT, bench.clock) == 1
    assert status(bench, o.id).state == "expired"


@pytest.mark.slow
def test_more_parked_outcomes_than_a_page_all_join(bench: Bench, events: Events) -> None:
    ps = [events.prediction() for _ in range(6000)]
    bench.write(*(events.outcome("yes", prediction=p.id) for p in ps), slot="a")
    owner = bench.drainer("a", name="a")
    owner.drain_once()
    bench.write(*ps, slot="b")
    bench.drainer("b", name="b").drain_once()
    # a page a second while nothing is found, so that many that wait cost little
    n_joined, until = 0, time.monotonic() + 60
    while n_joined < 6000 and time.monotonic() < until:
        n_joined += owner.drain_once().n_joined
    assert n_joined == 6000
    assert correct(bench) == [(0, 6000, 6000)]


@pytest.mark.parametrize("first", ["prediction", "outcome", "together"])
def test_prediction_and_outcome_in_interleaved_transactions_join_once(
    bench: Bench, events: Events, first: str
) -> None:
    """Two drainers, a barrier: each transaction begins before the other commits."""
    pairs = 300
    ps = [events.prediction() for _ in range(pairs)]
    bench.write(*ps, slot="p")
    bench.write(*(events.outcome("yes", prediction=p.id) for p in ps), slot="o")
    drain = {name: bench.drainer(name[0], name=name) for name in ("prediction", "outcome")}
    barrier = threading.Barrier(2)

    def run(name: str) -> None:
        barrier.wait()
        drain[name].drain_once()

    threads = [threading.Thread(target=run, args=(name,)) for name in drain]
    if first != "together":
        threads.sort(key=lambda thread: thread._args != (first,))  # type: ignore[attr-defined]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drain["outcome"].drain_once()
    drain["prediction"].drain_once()
    assert [state for (state,) in bench.rows("outcomes", "state")] == ["joined"] * pairs
    assert correct(bench) == [(0, pairs, pairs)]


def test_truths_of_one_prediction_by_two_drainers_at_once(bench: Bench, events: Events) -> None:
    ps = [events.prediction() for _ in range(400)]
    bench.write(*ps, slot="p")
    bench.drainer("p", name="p").drain_once()
    for slot, value, minute in (("a", "yes", 1), ("b", "no", 2)):
        order = ps if slot == "a" else ps[::-1]
        at = START_US + minute * 60_000_000
        bench.write(*(events.outcome(value, prediction=p.id, at=at) for p in order), slot=slot)
    barrier = threading.Barrier(2)

    def run(slot: str) -> None:
        drainer = bench.drainer(slot, name=slot)
        barrier.wait()
        drainer.drain_once()

    threads = [threading.Thread(target=run, args=(slot,)) for slot in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # the truth that arrived later counts, whoever was drained first
    assert {value for (value,) in bench.rows("truths", "value")} == {'"no"'}
    assert correct(bench) == [(0, 400, 0)]
