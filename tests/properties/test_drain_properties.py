"""Any order and any partition of the same events give the same cells, and a recount agrees."""

import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from timonel.events.frames import OutcomeFrame, PredictionFrame
from timonel.events.plans import Plan
from timonel.registry.manifest import OutcomePlan
from timonel.stats.calibration.scored import ScoreSums
from timonel.stats.moments import ExactSums, quantise
from timonel.store.engine import make_engine
from timonel.store.tables import metadata
from timonel.testing.events import PROJECT, START_US, Bench, Events, publish_plan

HOUR_US = 3_600_000_000
Cells = dict[tuple[Any, ...], tuple[int, int, int]]


NUMBERS: tuple[list[Any], list[Any]] = ([1.5, 2, 1e-7, -3.25], [1.5, 2.0, 0.1])
LABELS: tuple[list[Any], list[Any]] = (["a", "b"], ["a", "b", "c"])


def make(
    seed: int, n: int, values: tuple[list[Any], list[Any]] = NUMBERS
) -> tuple[list[PredictionFrame], list[OutcomeFrame]]:
    """Make predictions and outcomes: by id and by key, several, equal and different."""
    answers, truths = values
    draw, events = random.Random(seed), Events(seed, "price")
    predictions = [
        events.prediction(
            at=START_US + draw.randrange(3 * HOUR_US),
            key=f"k{draw.randrange(3)}",
            prediction=draw.choice(answers),
            probabilities=draw.choice([None, {"a": 0.3, "b": 0.6, "c": 0.1}, {"a": 1.0, "b": 0.0}]),
            source=draw.choice(["model", "rules"]),
        )
        for _ in range(n)
    ]
    outcomes = []
    for _ in range(2 * n):
        by_id = draw.random() < 0.7
        outcomes.append(
            events.outcome(
                draw.choice(truths),
                at=START_US + draw.randrange(5 * HOUR_US),
                prediction=draw.choice(predictions).id if by_id else None,
                key=None if by_id else f"k{draw.randrange(3)}",
            )
        )
    return predictions, outcomes


def truths_of(
    predictions: list[PredictionFrame], outcomes: list[OutcomeFrame]
) -> Iterator[tuple[PredictionFrame, Any, int, int]]:
    """Give what each truth changes, from the raw events alone: (prediction, truth, at, sign)."""
    by_id = {p.id: p for p in predictions}
    truths = defaultdict(list)
    for o in outcomes:
        before = [p for p in predictions if p.key == o.key and p.at <= o.at]
        found = by_id.get(o.prediction or b"") or max(
            before, key=lambda p: (p.at, p.id), default=None
        )
        if found is not None:
            truths[found.id].append((o.at, o.id, o.value))
    for identifier, chain in truths.items():
        last = None
        for at, _, value in sorted(chain):
            yield by_id[identifier], value, at, 1
            if last is not None:
                yield by_id[identifier], last, at, -1
            last = value


def recount(predictions: list[PredictionFrame], outcomes: list[OutcomeFrame]) -> Cells:
    """Count from the raw events alone, as the documents say it should be."""
    cells: dict[tuple[Any, ...], ExactSums] = defaultdict(ExactSums)
    for p, truth, at, sign in truths_of(predictions, outcomes):
        scores = Plan("regression").score(p.prediction, truth)
        if scores:
            sizes = {"truth": truth, "absolute_truth": abs(truth)}
            scores |= sizes | {"error_by_truth": scores["absolute_error"] * abs(truth)}
        for metric, score in scores.items():
            key = (
                *(PROJECT, p.model, p.version, p.variant, p.source, metric),
                *(p.at // HOUR_US, at // HOUR_US),
            )
            cells[key] += ExactSums.of(quantise(score), sign)
    return {key: (s.n, s.q, s.q2) for key, s in cells.items() if s}


def recount_scores(
    predictions: list[PredictionFrame], outcomes: list[OutcomeFrame]
) -> dict[tuple[Any, ...], str]:
    """Count what the probabilities were worth, on both axes."""
    plan = Plan("multiclass", ("a", "b", "c"))
    sums: dict[tuple[Any, ...], ScoreSums] = defaultdict(ScoreSums)
    for p, truth, at, sign in truths_of(predictions, outcomes):
        said = plan.said(p.prediction, p.score, p.probabilities, truth)
        assert said is not None
        for axis, when in (("prediction", p.at), ("arrival", at)):
            key = (PROJECT, p.model, p.version, p.variant, p.source, axis, when // HOUR_US)
            sums[key].add([said], [sign])
    found = {key: one.encode() for key, one in sums.items()}
    return {key: one for key, one in found.items() if one != ScoreSums().encode()}


def drained(
    predictions: list[PredictionFrame],
    outcomes: list[OutcomeFrame],
    seed: int,
    n_slots: int,
    *,
    classes: list[Any] | None = None,
) -> dict[tuple[Any, ...], Any]:
    """Drain the events, shuffled over slots and rounds, by one drainer a slot."""
    draw = random.Random(seed)
    frames = [*predictions, *outcomes]
    draw.shuffle(frames)
    with tempfile.TemporaryDirectory() as name:
        engine = make_engine(f"sqlite:///{name}/timonel.db")
        metadata.create_all(engine)
        bench = Bench(engine, Path(name) / "spool")
        bench.clock.advance(6 * 3600)
        plan = OutcomePlan(key="rut")
        task = "multiclass" if classes else "regression"
        publish_plan(engine, PROJECT, "price", task=task, classes=classes, plan=plan)
        slots = [f"slot-{index}" for index in range(n_slots)]
        parts: dict[str, list[Any]] = {slot: [] for slot in slots}
        for frame in frames:
            parts[draw.choice(slots)].append(frame)
        # a truth may be drained before its prediction, but by key only once all have drained
        for slot in slots:
            bench.write(*parts[slot], slot=slot)
        drainers = [bench.drainer(slot, name=slot) for slot in slots]
        for drainer in drainers:
            drainer._transact(lambda c, d=drainer: d._touch(c, None))  # type: ignore[misc]
        for drainer in [*drainers, *drainers]:
            drainer.drain_once()
        cells = bench.scores() if classes else bench.cells()
        engine.dispose()
    return dict(cells)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(1, 25), st.integers(1, 3))
def test_cells_depend_on_neither_order_nor_partition(seed: int, n: int, n_slots: int) -> None:
    predictions, outcomes = make(seed, n)
    expected = recount(predictions, outcomes)
    assert drained(predictions, outcomes, seed, n_slots) == expected
    assert drained(predictions, outcomes, seed + 1, 1) == expected


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(1, 25), st.integers(1, 3))
def test_scores_depend_on_neither_order_nor_partition(seed: int, n: int, n_slots: int) -> None:
    predictions, outcomes = make(seed, n, LABELS)
    expected, classes = recount_scores(predictions, outcomes), LABELS[1]
    assert drained(predictions, outcomes, seed, n_slots, classes=classes) == expected
    assert drained(predictions, outcomes, seed + 1, 1, classes=classes) == expected
