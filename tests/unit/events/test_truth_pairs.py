"""Metrics beyond accuracy, from spool and drain to the figure, against scikit-learn."""

import random

import pytest
from sklearn import metrics as oracle

from timonel.events.frames import Frame
from timonel.monitoring.performance import Performance, measure
from timonel.registry.registry import Registry
from timonel.store.control import ensure_project
from timonel.testing.builders import make_manifest, register_version
from timonel.testing.events import PROJECT, START_US, Bench, Events, publish_plan

HOUR_US = 3_600_000_000
CLASSES = ["low", "middle", "a class whose name is longer than the column that counts it"]


def measured(
    bench: Bench, model: str, task: str, hours: tuple[int, int], *, by_arrival: bool = False
) -> Performance:
    start_h, end_h = hours
    first = START_US - START_US % HOUR_US
    return measure(
        bench.engine,
        PROJECT,
        model,
        task,
        since_us=first + start_h * HOUR_US,
        until_us=first + end_h * HOUR_US,
        n_needed=1,
        by_arrival=by_arrival,
    )


def test_classes_on_both_axes_and_after_a_revision(bench: Bench) -> None:
    publish_plan(bench.engine, PROJECT, "churn", task="multiclass", classes=[*CLASSES])
    draw, events = random.Random(3), Events(3)
    pairs: list[tuple[str, str, int]] = []
    frames: list[Frame] = []
    for number in range(120):
        truth, answer = draw.choice(CLASSES), draw.choice(CLASSES[:2])
        p = events.prediction(prediction=answer, probabilities=None, score=None)
        arrived = START_US + HOUR_US * (1 + number % 2)
        frames += [p, events.outcome(truth, prediction=p.id, at=arrived)]
        if number % 10 == 0:
            truth = CLASSES[0]
            arrived = START_US + HOUR_US * 5
            frames.append(events.outcome(truth, prediction=p.id, at=arrived))
        pairs.append((truth, answer, number))
    bench.write(*frames)
    bench.drainer().drain_once()
    truths, answers = [t for t, _, _ in pairs], [a for _, a, _ in pairs]
    found = measured(bench, "churn", "multiclass", (0, 1))
    got = {(m.metric, m.label): m for m in found.measures}
    for average, name in ((None, "f1"), ("macro", "macro_f1")):
        expected = oracle.f1_score(truths, answers, labels=CLASSES, average=average)
        labels = CLASSES if average is None else [None]
        for label, value in zip(labels, [expected] if average else expected, strict=True):
            interval = got[name, label].interval
            assert interval is not None
            assert interval.estimate == pytest.approx(value)
            assert interval.low <= value <= interval.high
    recalls = oracle.recall_score(truths, answers, labels=CLASSES, average=None)
    for label, value in zip(CLASSES, recalls, strict=True):
        interval = got["recall", label].interval
        assert interval is not None
        assert interval.estimate == pytest.approx(value)
    for label in CLASSES:
        other = [truth != label for truth in truths], [answer != label for answer in answers]
        interval = got["specificity", label].interval
        assert interval is not None
        assert interval.estimate == pytest.approx(oracle.recall_score(*other))
    table = oracle.confusion_matrix(truths, answers, labels=CLASSES)
    assert found.confusion == {"classes": CLASSES, "counts": table.tolist()}
    never = got["precision", CLASSES[2]]
    assert (never.interval, never.unknown) == (None, "class_never_predicted")
    # what came in the second hour, whatever was predicted when; nothing was predicted in it
    second = measured(bench, "churn", "multiclass", (2, 3), by_arrival=True)
    assert second.measures[0].n == 60
    none = measured(bench, "churn", "multiclass", (2, 3))
    assert none.measures[0].unknown == "no_labels"
    assert none.confusion is None
    assert found.groups[0].measures == found.measures


def test_many_classes_are_not_counted_by_class(bench: Bench) -> None:
    classes = [f"c{number}" for number in range(21)]
    publish_plan(bench.engine, PROJECT, "churn", task="multiclass", classes=[*classes])
    events = Events(1)
    p = events.prediction(prediction="c3", probabilities=None)
    bench.write(p, events.outcome("c4", prediction=p.id))
    bench.drainer().drain_once()
    assert bench.rows("performance_cells", "metric") == [("correct",)]
    found = measured(bench, "churn", "multiclass", (0, 1))
    assert found.measures[0].unknown == "too_many_classes"
    assert found.overall.n_labels == 1
    assert found.confusion is None


def test_numbers(bench: Bench) -> None:
    publish_plan(bench.engine, PROJECT, "price", task="regression")
    draw, events = random.Random(5), Events(5, "price")
    truths = [round(draw.gauss(1e6, 300), 3) for _ in range(80)]
    answers = [round(truth + draw.gauss(20, 100), 3) for truth in truths]
    ps = [events.prediction(prediction=a, probabilities=None, score=None) for a in answers]
    os = [events.outcome(t, prediction=p.id) for t, p in zip(truths, ps, strict=True)]
    bench.write(*ps, *os)
    bench.drainer().drain_once()
    found = measured(bench, "price", "regression", (0, 1))
    got = {m.metric: m.interval for m in found.measures}
    expected = {
        "rmse": oracle.root_mean_squared_error(truths, answers),
        "r2": oracle.r2_score(truths, answers),
        "mean_error": sum(answers) / 80 - sum(truths) / 80,
    }
    for name, value in expected.items():
        interval = got[name]
        assert interval is not None
        assert interval.estimate == pytest.approx(value, rel=1e-6)
        assert interval.low < value < interval.high


def test_what_answers_elsewhere_has_the_classes_that_any_version_knows(bench: Bench) -> None:
    publish_plan(bench.engine, PROJECT, "churn", task="multiclass")
    ensure_project(bench.engine, PROJECT, "America/Santiago")
    registry = Registry(bench.engine, PROJECT, bench.clock)
    manifest = make_manifest("churn", task="multiclass", classes=["low", "middle"])
    version = register_version(registry, manifest=manifest)
    registry.promote("churn", version.version, who="ana", reason="first")
    events = Events(7)
    p = events.prediction(
        prediction="low", version="ext:2026", source="external", score=None, probabilities=None
    )
    late = START_US + 40 * 60_000_000
    bench.write(p, events.outcome("middle", prediction=p.id, at=late))
    bench.drainer().drain_once()
    found = measured(bench, "churn", "multiclass", (0, 1))
    assert {m.label for m in found.measures} == {None, "low", "middle"}
    assert found.confusion == {"classes": ["low", "middle"], "counts": [[0, 0], [1, 0]]}
    # the hour that a span begins in is counted whole: never more truths than answers
    begun = measure(
        bench.engine,
        PROJECT,
        "churn",
        "multiclass",
        since_us=START_US + 30 * 60_000_000,
        until_us=START_US + HOUR_US,
        n_needed=1,
    )
    assert (begun.n_answered, begun.overall.n_labels) == (1, 1)
