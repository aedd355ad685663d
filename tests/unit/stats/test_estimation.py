import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.isotonic import IsotonicRegression
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from timonel.stats.calibration.curves import Method, Sigmoid, Steps, fit_curve
from timonel.stats.calibration.expectations import (
    METRICS,
    N_DRAWS,
    Cells,
    expected,
    expected_each,
    sampling_variance,
)
from timonel.stats.estimation import Cbpe, Estimate, Unestimable
from timonel.stats.metrics import Undefined

Draw = tuple[np.ndarray, np.ndarray]


def draw(n: int, a: float, b: float, seed: int) -> Draw:
    """Scores that promise too much, and labels."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(a, b, n)
    odds = (chance / (1 - chance)) ** 1.7
    return odds / (1 + odds), (rng.random(n) < chance).astype(int)


def realised(metric: str, score: np.ndarray, label: np.ndarray) -> float:
    chosen = score >= 0.5
    if metric == "roc_auc":
        return float(sk.roc_auc_score(label, score))
    names = {"accuracy": sk.accuracy_score, "precision": sk.precision_score}
    names |= {"recall": sk.recall_score, "f1": sk.f1_score}
    return float(names[metric](label, chosen))


def cells(p: np.ndarray, chosen: np.ndarray) -> Cells:
    """One row a cell, by rising score."""
    return Cells(np.ones(len(p)), p, p * (1 - p), chosen)


@pytest.fixture(scope="module")
def cbpe() -> Cbpe:
    return Cbpe.fit(*draw(2000, 1.2, 1.5, 0))


def value_of(found: Estimate) -> float:
    assert found.value is not None
    return found.value


# --- the curves


def test_platt_is_the_logistic_regression_on_smoothed_targets() -> None:
    score, label = draw(300, 1, 2, 1)
    x, y = np.sort(score), label[np.argsort(score)].astype(float)
    n_positive = y.sum()
    targets = np.where(y > 0, (n_positive + 1) / (n_positive + 2), 1 / (300 - n_positive + 2))
    design = np.column_stack([np.log(x / (1 - x)), np.ones(300)])
    theirs = GLM(targets, design, family=Binomial()).fit(tol=1e-12)
    ours = fit_curve(x, np.ones(300), y, Method.PLATT)
    assert isinstance(ours, Sigmoid)
    assert (ours.slope, ours.intercept) == pytest.approx(tuple(theirs.params), rel=1e-6)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_platt_of_one_class_or_one_score_is_a_number(label: float) -> None:
    score = np.array([0.0, 0.3, 1.0])
    n = np.array([50.0, 100.0, 60.0])
    found = fit_curve(score, n, label * n, Method.PLATT)(score)
    assert np.all(np.abs(found - label) < 0.02)
    flat = fit_curve(np.array([0.3]), np.array([200.0]), np.array([150.0]), Method.PLATT)
    assert flat(np.array([0.3]))[0] == pytest.approx(0.75, abs=0.01)
    # classes that a score divides altogether: a steep curve, and none without end
    divided = fit_curve(score, n, np.array([0.0, 0.0, 60.0]), Method.PLATT)(score)
    assert divided[1] < 0.1 < 0.9 < divided[2] < 1.0


def test_isotonic_is_scikit_learns() -> None:
    score, label = draw(1500, 1, 2, 2)
    score = score.round(2)
    at, inverse = np.unique(score, return_inverse=True)
    n, hits = (np.bincount(inverse, each).astype(float) for each in (np.ones(1500), label))
    ours = fit_curve(at, n, hits, Method.ISOTONIC)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(score, label)
    grid = np.linspace(0, 1, 501)
    assert isinstance(ours, Steps)
    assert len(ours.score) < 60
    assert ours(grid) == pytest.approx(theirs.predict(grid), abs=1e-12)


# --- the expectations


@pytest.mark.parametrize("metric", METRICS)
def test_with_known_labels_an_expectation_is_the_metric(metric: str) -> None:
    score, label = draw(400, 1, 1, 3)
    score = score.round(1)
    order = np.argsort(score)
    at, inverse = np.unique(score[order], return_inverse=True)
    n, p = (np.bincount(inverse, each).astype(float) for each in (np.ones(400), label[order]))
    known = Cells(n, p, np.zeros(len(n)), at >= 0.5)
    assert expected(metric, known) == pytest.approx(realised(metric, score, label), rel=1e-12)


def test_the_expected_auc_is_the_sum_over_pairs() -> None:
    rng = np.random.default_rng(4)
    score = rng.integers(0, 8, 40) / 8
    p = np.array([0.05, 0.1, 0.3, 0.35, 0.5, 0.6, 0.85, 0.9])[(score * 8).astype(int)]
    above = among = 0.0
    for i, j in product(range(40), range(40)):
        if i != j:
            weight = p[i] * (1 - p[j])
            among += weight
            above += weight * (1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0)
    at, inverse = np.unique(score, return_inverse=True)
    n, of_p, of_pq = (
        np.bincount(inverse, each).astype(float) for each in (np.ones(40), p, p * (1 - p))
    )
    rows = Cells(n, of_p, of_pq, at >= 0.5)
    assert expected("roc_auc", rows) == pytest.approx(above / among, rel=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_expectation_and_variance_over_drawn_labels(metric: str) -> None:
    rng = np.random.default_rng(5)
    p = np.sort(rng.beta(1, 1, 500))
    chosen = np.arange(500) >= 230
    figures = []
    for _ in range(3000):
        label = (rng.random(500) < p).astype(float)
        figures.append(expected(metric, Cells(np.ones(500), label, np.zeros(500), chosen)))
    rows = cells(p, chosen)
    assert expected(metric, rows) == pytest.approx(np.mean(figures), abs=1e-3)
    found = sampling_variance(metric, rows, np.random.default_rng(6))
    # of the area under the curve over 100 draws: within a third
    assert found == pytest.approx(np.var(figures), rel=0.4 if metric == "roc_auc" else 0.1)


@pytest.mark.parametrize("metric", METRICS)
def test_many_calibrations_at_once_say_what_each_says_to_the_bit(metric: str) -> None:
    rng = np.random.default_rng(8)
    n = rng.integers(0, 40, 201).astype(float)
    p = rng.random((60, 201)) * rng.integers(0, 2, (60, 1))  # of some, no row is positive
    chosen = np.arange(201) >= rng.integers(100, 201)
    together = Cells(n, n * p, n * p * (1.0 - p), chosen)
    each = []
    for one in p:
        try:
            each.append(expected(metric, Cells(n, n * one, n * one * (1.0 - one), chosen)))
        except Undefined:
            each.append(np.nan)
    assert np.array_equal(expected_each(metric, together), each, equal_nan=True)


def test_labels_are_drawn_one_after_the_other_in_the_order_of_the_generator() -> None:
    n = np.arange(1.0, 41.0)
    p = np.linspace(0.1, 0.9, 40)
    rng, drawn = np.random.default_rng(9), []
    for _ in range(N_DRAWS):
        labels = rng.binomial(n.astype(np.int64), p).astype(np.float64)
        drawn.append(expected("roc_auc", Cells(n, labels, np.zeros(40), p >= 0.5)))
    rows = Cells(n, n * p, n * p * (1.0 - p), p >= 0.5)
    found = sampling_variance("roc_auc", rows, np.random.default_rng(9))
    assert found == pytest.approx(np.var(drawn, ddof=1), rel=1e-12)


def test_several_metrics_are_estimated_as_each_by_itself(cbpe: Cbpe) -> None:
    score, _ = draw(3_000, 1.0, 1.4, 12)
    assert cbpe.estimates(score, METRICS) == {m: cbpe.estimate(score, m) for m in METRICS}


def test_metrics_without_rows_that_define_them() -> None:
    p = np.array([0.2, 0.4])
    with pytest.raises(Undefined):
        expected("precision", cells(p, np.array([False, False])))
    with pytest.raises(Undefined):
        expected("recall", cells(np.zeros(2), np.array([True, True])))
    with pytest.raises(Undefined):
        sampling_variance(
            "roc_auc", cells(np.ones(2), np.array([True, True])), np.random.default_rng()
        )


# --- the estimates


@pytest.mark.slow
def test_the_interval_holds_what_comes() -> None:
    held = dict.fromkeys(METRICS, 0)
    for seed in range(24):
        found = Cbpe.fit(*draw(600, 1.2, 1.5, 100 + seed), n_resamples=40)
        window, labels = draw(800, 2, 1.5, 500 + seed)
        for metric in METRICS:
            figure = found.estimate(window, metric)
            assert figure.lower is not None
            assert figure.upper is not None
            held[metric] += figure.lower <= realised(metric, window, labels) <= figure.upper
    assert min(held.values()) >= 20
    assert sum(held.values()) >= 0.9 * 24 * len(METRICS)


def test_on_its_own_reference_it_says_what_was_realised(cbpe: Cbpe) -> None:
    score, label = draw(2000, 1.2, 1.5, 0)
    for metric in METRICS:
        assert cbpe.estimate(score, metric).value == pytest.approx(
            realised(metric, score, label), abs=0.01
        )


def test_a_constant_miscalibration_cancels() -> None:
    # a score that knows nothing of half of the truth, beside what it says
    rng = np.random.default_rng(7)
    score = rng.choice([0.2, 0.8], size=3000)
    label = rng.random(3000) < np.where(score > 0.5, 0.6, 0.1)
    found = Cbpe.fit(score, label).estimate(
        rng.choice([0.2, 0.8], p=[0.8, 0.2], size=4000), "accuracy"
    )
    assert found.value == pytest.approx(0.8 * 0.9 + 0.2 * 0.6, abs=0.02)


def test_a_harder_population_is_a_loss_and_the_same_one_is_none(cbpe: Cbpe) -> None:
    baseline = realised("accuracy", *draw(2000, 1.2, 1.5, 0))
    assert not cbpe.estimate(draw(3000, 1.2, 1.5, 8)[0], "accuracy").lost(baseline)
    assert cbpe.estimate(draw(3000, 8, 8, 9)[0], "accuracy").lost(baseline)
    assert not cbpe.estimate(draw(3000, 8, 8, 9)[0], "accuracy").lost(baseline, margin=0.5)


def test_a_histogram_says_the_same_as_its_rows(cbpe: Cbpe) -> None:
    window = draw(2000, 2, 2, 10)[0].round(2)
    score, count = np.unique(window, return_counts=True)
    for metric in METRICS:
        assert cbpe.estimate(score, metric, count=count) == cbpe.estimate(window, metric)


def test_the_same_seed_says_the_same() -> None:
    reference, window = draw(400, 1, 1, 11), draw(500, 1, 1, 12)[0]
    first, second, other = (
        Cbpe.fit(*reference, n_resamples=20, seed=seed).estimates(window, METRICS)
        for seed in (3, 3, 4)
    )
    assert first == second
    assert all(first[metric] != other[metric] for metric in METRICS)


def test_fewer_labels_and_fewer_rows_say_less() -> None:
    window = draw(2000, 2, 2, 13)[0]
    errors = [Cbpe.fit(*draw(n, 1, 1, 14)).estimate(window, "f1").se or 0.0 for n in (250, 4000)]
    assert errors[0] > 1.5 * errors[1]
    many = Cbpe.fit(*draw(4000, 1, 1, 14))
    assert (many.estimate(window[:100], "f1").se or 0.0) > 2 * errors[1]


def test_the_threshold_is_the_models() -> None:
    reference, (window, labels) = draw(2000, 1, 1, 15), draw(4000, 1, 1, 16)
    found = Cbpe.fit(*reference, threshold=0.9).estimate(window, "recall")
    assert found.value == pytest.approx(sk.recall_score(labels, window >= 0.9), abs=0.04)


def test_several_classes() -> None:
    rng = np.random.default_rng(17)
    chance = rng.dirichlet([0.6] * 4, 3000)
    label = (chance.cumsum(axis=1) < rng.random((3000, 1))).sum(axis=1)
    # scores that are too sure
    score = chance**2 / (chance**2).sum(axis=1, keepdims=True)
    found = Cbpe.fit(score[:1500], label[:1500])
    assert found.methods == (Method.ISOTONIC,) * 4
    figure = found.estimate(score[1500:], "accuracy")
    right = np.mean(np.argmax(score[1500:], axis=1) == label[1500:])
    assert figure.lower is not None
    assert figure.upper is not None
    assert figure.lower < right < figure.upper
    assert figure.upper - figure.lower < 0.1
    assert found.estimate(score[1500:], "f1").reason is Unestimable.MULTICLASS
    with pytest.raises(ValueError, match="classes"):
        found.estimate(score[:, 0], "accuracy")


# --- what cannot be said


@pytest.mark.parametrize(
    ("n", "rate", "method"),
    [
        (200, 0.5, Method.PLATT),
        (999, 0.5, Method.PLATT),
        (1000, 0.5, Method.ISOTONIC),
        (1000, 0.05, Method.PLATT),
        (1000, 0.95, Method.PLATT),
    ],
)
def test_the_method_follows_the_labels(n: int, rate: float, method: Method) -> None:
    label = np.arange(n) < rate * n
    assert Cbpe.fit(np.linspace(0, 1, n), label, n_resamples=2).methods == (method,)


def nothing(found: Estimate, reason: Unestimable) -> None:
    assert found.reason is reason
    assert (found.value, found.se, found.lower, found.upper) == (None, None, None, None)
    assert not found.lost(1.0)


def test_too_few_or_uniform_labels(cbpe: Cbpe) -> None:
    score, label = draw(199, 1, 1, 18)
    nothing(Cbpe.fit(score, label).estimate(score, "f1"), Unestimable.TOO_FEW_LABELS)
    nothing(Cbpe.fit([], []).estimate(score, "f1"), Unestimable.TOO_FEW_LABELS)
    nothing(Cbpe.fit([0.5] * 300, [1] * 300).estimate(score, "f1"), Unestimable.ONE_CLASS)
    nothing(cbpe.estimate([], "f1"), Unestimable.EMPTY)
    nothing(cbpe.estimate([0.5], "f1", count=[0]), Unestimable.EMPTY)


def test_scores_that_the_reference_never_gave() -> None:
    rng = np.random.default_rng(19)
    score = rng.uniform(0.3, 0.7, 1500)
    found = Cbpe.fit(score, rng.random(1500) < score)
    inside = rng.uniform(0.3, 0.7, 96)
    a_few, too_many = np.r_[inside, [0.9] * 4], np.r_[inside, [0.1] * 6]
    assert found.estimate(a_few, "accuracy").reason is None
    nothing(found.estimate(too_many, "accuracy"), Unestimable.OUTSIDE_SUPPORT)


def test_a_metric_that_the_window_does_not_define(cbpe: Cbpe) -> None:
    window = np.linspace(0.1, 0.4, 500)
    nothing(cbpe.estimate(window, "precision"), Unestimable.UNDEFINED)
    assert value_of(cbpe.estimate(window, "recall")) < 0.05
    assert value_of(cbpe.estimate(window, "accuracy")) > 0.5


def test_arguments_out_of_range(cbpe: Cbpe) -> None:
    for score, label in (([0.5], [0, 1]), ([0.5], [2]), ([1.5], [1]), ([float("nan")], [1])):
        with pytest.raises(ValueError, match=r"scores|labels"):
            Cbpe.fit(score, label)
    with pytest.raises(ValueError, match="roc_auc"):
        cbpe.estimate([0.5], "lift")
    with pytest.raises(ValueError, match="counts"):
        cbpe.estimate([0.5], "f1", count=[-1])
    with pytest.raises(ValueError, match="counts"):
        cbpe.estimate([0.5], "f1", count=[1, 2])


def test_reading_estimates_imports_nothing_heavy() -> None:
    code = (
        "import sys, timonel.stats.estimation, timonel.stats.calibration.record\n"
        "print({'sklearn', 'scipy.stats', 'scipy.optimize'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
