"""What probabilities and errors were worth, from spool and drain to the figure: with oracles."""

import random
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as oracle

from timonel.events.frames import Frame
from timonel.monitoring.performance import Performance, measure
from timonel.monitoring.series.measured import Holdout, Measure
from timonel.registry.registry import Registry
from timonel.store.control import ensure_project
from timonel.testing.builders import digest, make_manifest
from timonel.testing.events import PROJECT, START_US, Bench, Events, publish_plan
from timonel.wire.answer import Label

HOUR_US = 3_600_000_000
KINDS = ["cash", "card", "cheque"]


def measured(bench: Bench, model: str, task: str, *, by_arrival: bool = False) -> Performance:
    first = START_US - START_US % HOUR_US
    span = {"since_us": first, "until_us": first + (3 if by_arrival else 1) * HOUR_US}
    return measure(bench.engine, PROJECT, model, task, n_needed=1, by_arrival=by_arrival, **span)


def figures(found: Performance) -> dict[tuple[str, Label | None], Measure]:
    return {(one.metric, one.label): one for one in found.groups[0].measures}


def value_of(one: Measure) -> float:
    assert one.interval is not None, one
    value, low, high, _ = one.interval
    assert low <= value <= high
    return value


def ece(came: list[bool], stated: list[float]) -> float:
    """Sum over ten equal bins, written out."""
    total = 0.0
    for tenth in range(10):
        mine = [(y, p) for y, p in zip(came, stated, strict=True) if min(int(p * 10), 9) == tenth]
        if mine:
            gap = sum(y for y, _ in mine) / len(mine) - sum(p for _, p in mine) / len(mine)
            total += abs(gap) * len(mine) / len(came)
    return total


def two_classes(bench: Bench, n: int = 400, *, probabilities: bool = True) -> tuple[Any, Any]:
    """Drain answers of two classes with outcomes; each tenth one is corrected, two hours later."""
    publish_plan(bench.engine, PROJECT, "churn", classes=["no", "yes"], positive="yes")
    draw, events = random.Random(3), Events(3)
    frames: list[Frame] = []
    truths, scores = [], []
    for number in range(n):
        score = 1.0 if number == 0 else draw.betavariate(1, 6)
        truth = draw.random() < score * 0.8
        p = events.prediction(
            prediction="yes" if score >= 0.5 else "no",
            score=score,
            probabilities={"no": 1.0 - score, "yes": score} if probabilities else None,
        )
        told = truth != (number % 10 == 0)
        frames += [p, events.outcome("yes" if told else "no", prediction=p.id)]
        if told != truth:
            later = START_US + 4 * HOUR_US
            frames.append(events.outcome("yes" if truth else "no", prediction=p.id, at=later))
        truths.append(truth)
        scores.append(score)
    bench.write(*frames)
    bench.drainer().drain_once()
    return truths, scores


@pytest.mark.parametrize("probabilities", [True, False])
def test_two_classes_after_corrections(sqlite_bench: Bench, *, probabilities: bool) -> None:
    truths, scores = two_classes(sqlite_bench, probabilities=probabilities)
    got = figures(measured(sqlite_bench, "churn", "binary"))
    auc = got["roc_auc", None]
    assert auc.resolution is not None
    assert auc.resolution < 0.01
    assert value_of(auc) == pytest.approx(oracle.roc_auc_score(truths, scores), abs=auc.resolution)
    of_truth = np.clip([p if y else 1 - p for y, p in zip(truths, scores, strict=True)], 1e-15, 1)
    assert value_of(got["log_loss", None]) == pytest.approx(-np.mean(np.log(of_truth)), abs=1e-6)
    brier = oracle.brier_score_loss(truths, scores)
    assert value_of(got["brier", None]) == pytest.approx(brier, abs=1e-6)
    assert value_of(got["ece", None]) == pytest.approx(ece(truths, scores), abs=1e-6)
    assert {one.n for one in got.values() if one.label is None} == {len(truths)}


def test_what_came_first_stands_on_the_axis_of_arrival(bench: Bench) -> None:
    truths, scores = two_classes(bench)
    first = [truth != (number % 10 == 0) for number, truth in enumerate(truths)]
    got = figures(measured(bench, "churn", "binary", by_arrival=True))
    brier = oracle.brier_score_loss(first, scores)
    assert value_of(got["brier", None]) == pytest.approx(brier, abs=1e-6)
    assert got["roc_auc", None].holdout.unknown == "not_a_version"  # registered by nobody


def test_true_ties_leave_nothing_unresolved(sqlite_bench: Bench) -> None:
    publish_plan(sqlite_bench.engine, PROJECT, "churn", classes=["no", "yes"], positive="yes")
    draw, events = random.Random(1), Events(1)
    scores = [draw.choice([0.2, 0.2000001, 0.7, 0.9]) for _ in range(90)]
    truths = [draw.random() < score for score in scores]
    ps = [events.prediction(score=score, probabilities=None) for score in scores]
    told = ["yes" if truth else "no" for truth in truths]
    os = [events.outcome(label, prediction=p.id) for label, p in zip(told, ps, strict=True)]
    sqlite_bench.write(*ps, *os)
    sqlite_bench.drainer().drain_once()
    auc = figures(measured(sqlite_bench, "churn", "binary"))["roc_auc", None]
    assert auc.resolution == 0.0
    expected = oracle.roc_auc_score(truths, np.round(scores, 6))
    assert value_of(auc) == pytest.approx(expected, abs=1e-12)


def test_several_classes(bench: Bench) -> None:
    publish_plan(bench.engine, PROJECT, "pay", task="multiclass", classes=[*KINDS])
    rng, events = np.random.default_rng(4), Events(4, "pay")
    stated = rng.dirichlet([0.6, 0.6, 0.6], size=300)
    truths = [int(rng.choice(3, p=row)) for row in stated]
    frames: list[Frame] = []
    for row, truth in zip(stated.tolist(), truths, strict=True):
        answer = KINDS[int(np.argmax(row))]
        own = dict(zip(KINDS, row, strict=True))
        p = events.prediction(prediction=answer, score=max(row), probabilities=own)
        frames += [p, events.outcome(KINDS[truth], prediction=p.id)]
    bench.write(*frames)
    bench.drainer().drain_once()
    got = figures(measured(bench, "pay", "multiclass"))
    for at, kind in enumerate(KINDS):
        one = got["roc_auc", kind]
        expected = oracle.roc_auc_score(np.array(truths) == at, stated[:, at])
        assert value_of(one) == pytest.approx(expected, abs=one.resolution)
    macro = oracle.roc_auc_score(truths, stated, multi_class="ovr")
    assert value_of(got["roc_auc", None]) == pytest.approx(macro, abs=0.01)
    loss = oracle.log_loss(truths, stated)
    assert value_of(got["log_loss", None]) == pytest.approx(loss, abs=1e-6)
    brier = np.mean(np.sum((stated - np.eye(3)[truths]) ** 2, axis=1))
    assert value_of(got["brier", None]) == pytest.approx(brier, abs=1e-6)
    chosen = np.argmax(stated, axis=1)
    right = [bool(c == t) for c, t in zip(chosen, truths, strict=True)]
    expected = ece(right, stated.max(axis=1).tolist())
    assert value_of(got["ece", None]) == pytest.approx(expected, abs=1e-6)


def test_what_cannot_be_said_has_a_reason(sqlite_bench: Bench) -> None:
    bench = sqlite_bench
    publish_plan(bench.engine, PROJECT, "churn", classes=["no", "yes"], positive="yes")
    events = Events(1)
    bare = events.prediction(source="rules", version="", score=None, probabilities=None)
    odd = events.prediction(source="rules", version="", score=1.5, probabilities=None)
    ps = [events.prediction(), events.prediction()]
    bench.write(bare, odd, *ps, *(events.outcome("yes", prediction=p.id) for p in (bare, odd, *ps)))
    bench.drainer().drain_once()
    found = measured(bench, "churn", "binary")
    reasons = {
        group.source: {one.metric: one.unknown for one in group.measures if one.label is None}
        for group in found.groups
    }
    names = ("roc_auc", "log_loss", "brier", "ece")
    assert [reasons["rules"][name] for name in names] == ["no_scores"] * 4
    assert [reasons["model"][name] for name in names] == ["one_class", None, None, "too_few_labels"]
    later = measure(
        *(bench.engine, PROJECT, "churn", "binary"),
        since_us=START_US + HOUR_US,
        until_us=START_US + 2 * HOUR_US,
        n_needed=1,
    )
    assert {one.unknown for one in later.measures} == {"no_labels"}


def test_sizes_of_errors(bench: Bench) -> None:
    publish_plan(bench.engine, PROJECT, "price", task="regression")
    draw, events = random.Random(5), Events(5, "price")
    truths = [round(draw.gauss(20, 30), 3) for _ in range(150)]
    answers = [round(truth + draw.gauss(1, 8), 3) for truth in truths]
    ps = [events.prediction(prediction=a, probabilities=None, score=None) for a in answers]
    os = [events.outcome(t, prediction=p.id) for t, p in zip(truths, ps, strict=True)]
    bench.write(*ps, *os)
    bench.drainer().drain_once()
    got = figures(measured(bench, "price", "regression"))
    expected = np.sum(np.abs(np.subtract(answers, truths))) / np.sum(np.abs(truths))
    assert value_of(got["wape", None]) == pytest.approx(expected, rel=1e-6)
    rng, drawn = np.random.default_rng(0), []
    for _ in range(2_000):
        at = rng.integers(150, size=150)
        errors, sizes = np.abs(np.subtract(answers, truths))[at], np.abs(truths)[at]
        drawn.append(errors.sum() / sizes.sum())
    interval = got["wape", None].interval
    assert interval is not None
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert interval.high - interval.low == pytest.approx(high - low, rel=0.15)
    assert got["mase", None].unknown == "no_scale"
    assert got["coverage", None].unknown == "no_prediction_intervals"


def test_beside_each_figure_stands_the_holdout_s_and_each_variant_has_its_own(
    sqlite_bench: Bench,
) -> None:
    bench = sqlite_bench
    ensure_project(bench.engine, PROJECT, "America/Santiago")
    registry = Registry(bench.engine, PROJECT, bench.clock)
    manifest = make_manifest("price", task="regression", classes=None, positive=None)
    kept: dict[str, Any] = {"mae": {"value": 2.0, "lower": 1.5, "upper": 2.5}, "mape": {}}
    kept |= {"naive_error": {"value": 4.0}, "r2": {"value": None, "reason": "constant"}}
    registry.register(
        manifest,
        schema_digest=digest("s"),
        recipe_digest=digest("r"),
        data_digest=digest("d"),
        version_hash=digest("v"),
        metrics=kept,
        lineage={},
        who="ana",
    )
    events, frames = Events(1, "price"), list[Frame]()
    for number in range(40):
        variant, error = ("a", 1.0) if number % 2 else ("b", 3.0)
        p = events.prediction(prediction=number + error, variant=variant, version="1.0.0")
        frames += [p, events.outcome(float(number), prediction=p.id)]
    publish_plan(bench.engine, PROJECT, "price", task="regression")
    bench.write(*frames)
    bench.drainer().drain_once()
    found = measured(bench, "price", "regression")
    [group] = found.groups
    got = figures(found)
    assert group.quality.holdout == Holdout(2.0, 1.5, 2.5, None)
    assert value_of(got["mase", None]) == pytest.approx(2.0 / 4.0)
    reasons = [got[name, None].holdout.unknown for name in ("rmse", "r2", "coverage")]
    assert reasons == ["not_measured", "undefined_on_holdout", "not_measured"]
    means = {one.variant: one.quality.interval for one in found.variants}
    assert {name: i.estimate for name, i in means.items() if i is not None} == {"a": 1.0, "b": 3.0}
    assert {one.n_answered for one in found.variants} == {20}
