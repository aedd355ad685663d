"""Figures held against scikit-learn and scipy; tolerance 1e-12 (the same sums in another order)."""

import numpy as np
import pytest
import sklearn.metrics as oracle
from scipy import stats as scipy_stats

from timonel.stats import metrics
from timonel.stats.measure import Measure
from timonel.stats.paired import gain
from timonel.stats.resampling import bootstrap

EXACT = 1e-12


@pytest.fixture(scope="module")
def classes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    truth = rng.integers(4, size=500)
    logits = rng.normal(size=(500, 4)) + 1.5 * np.eye(4)[truth]
    stated = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return truth, stated.argmax(axis=1), stated


def test_class_figures(classes: tuple[np.ndarray, ...]) -> None:
    truth, chosen, _ = classes
    precision, recall, f1, n = oracle.precision_recall_fscore_support(truth, chosen)
    found = metrics.class_figures(truth, chosen, 4)
    assert [f.precision for f in found] == pytest.approx(precision, abs=EXACT)
    assert [f.recall for f in found] == pytest.approx(recall, abs=EXACT)
    assert [f.f1 for f in found] == pytest.approx(f1, abs=EXACT)
    assert [f.n_true for f in found] == list(n)
    assert metrics.confusion(truth, chosen, 4).tolist() == (
        oracle.confusion_matrix(truth, chosen).tolist()
    )
    assert metrics.macro_f1(truth, chosen, 4) == pytest.approx(
        oracle.f1_score(truth, chosen, average="macro"), abs=EXACT
    )
    assert metrics.weighted_f1(truth, chosen, 4) == pytest.approx(
        oracle.f1_score(truth, chosen, average="weighted"), abs=EXACT
    )
    assert metrics.accuracy(truth, chosen) == oracle.accuracy_score(truth, chosen)


def test_probabilities(classes: tuple[np.ndarray, ...]) -> None:
    truth, _, stated = classes
    assert metrics.log_loss(truth, stated) == pytest.approx(
        oracle.log_loss(truth, stated), abs=EXACT
    )
    assert metrics.macro_auc(truth, stated) == pytest.approx(
        oracle.roc_auc_score(truth, stated, multi_class="ovr"), abs=EXACT
    )
    two = stated[:, :1]
    both = np.hstack([1 - two, two])
    binary = (truth == 0).astype(np.int64)
    assert metrics.brier(binary, both) == pytest.approx(
        oracle.brier_score_loss(binary, two[:, 0]), abs=EXACT
    )


@pytest.mark.parametrize("decimals", [1, 2, 12])
def test_auc_with_ties(decimals: int) -> None:
    rng = np.random.default_rng(3)
    positive = rng.random(400) < 0.3
    score: np.ndarray = np.round(rng.random(400) + 0.4 * positive, decimals)
    assert metrics.roc_auc(positive, score) == pytest.approx(
        oracle.roc_auc_score(positive, score), abs=EXACT
    )


def test_numbers() -> None:
    rng = np.random.default_rng(5)
    truth = rng.gamma(2.0, 900.0, size=300)
    said = truth + rng.normal(0, 200, size=300)
    assert metrics.mae(truth, said) == pytest.approx(oracle.mean_absolute_error(truth, said))
    assert metrics.rmse(truth, said) == pytest.approx(oracle.root_mean_squared_error(truth, said))
    assert metrics.r2(truth, said) == pytest.approx(oracle.r2_score(truth, said))
    assert metrics.mape(truth, said) == pytest.approx(
        oracle.mean_absolute_percentage_error(truth, said)
    )
    assert metrics.wape(truth, said) == pytest.approx(
        np.abs(truth - said).sum() / np.abs(truth).sum()
    )


def test_expected_calibration_error_by_hand() -> None:
    # bin [.2, .3): says .25 on average, 1 of 2 came; bin [.9, 1]: says .95, 2 of 2 came
    observed = np.array([True, False, True, True])
    stated = np.array([0.2, 0.3 - 1e-9, 0.9, 1.0])
    expected = (2 * 0.25 + 2 * 0.05) / 4
    assert metrics.expected_calibration_error(observed, stated) == pytest.approx(expected, abs=1e-8)
    assert [b.n for b in metrics.calibration_bins(observed, stated) if b.n] == [2, 2]


def test_paired_gain_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(1)
    other = rng.random(200)
    own = other - rng.normal(0.02, 0.1, size=200)
    found = gain(own, other)
    test = scipy_stats.ttest_rel(other, own, alternative="greater")
    assert found.p_value == pytest.approx(test.pvalue, rel=1e-9)
    assert found.lower == pytest.approx(test.confidence_interval(0.95).low, rel=1e-9)
    assert found.shown == (test.pvalue < 0.05)


def test_bootstrap_covers_the_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(200):
        sample = rng.exponential(size=80)
        found = bootstrap("mean", lambda x: float(x.mean()), (sample,), rng, n_resamples=200)
        assert found.lower is not None
        assert found.upper is not None
        hits += found.lower <= 1.0 <= found.upper
    assert 0.88 <= hits / 200 <= 0.98  # percentile intervals of a skewed mean lie a little low


def test_what_cannot_be_said_has_a_reason() -> None:
    one_class = np.zeros(30, dtype=np.int64)
    stated = np.tile([0.7, 0.3], (30, 1))
    rng = np.random.default_rng(0)
    found = bootstrap("roc_auc", metrics.macro_auc, (one_class, stated), rng)
    assert found == Measure("roc_auc", None, 30, reason="only one class among the rows")
    with pytest.raises(metrics.Undefined, match="constant"):
        metrics.r2(np.ones(5), np.ones(5))
    with pytest.raises(metrics.Undefined, match="is 0"):
        metrics.mape(np.array([0.0, 1.0]), np.ones(2))
    with pytest.raises(metrics.Undefined, match="no rows"):
        metrics.accuracy(np.zeros(0, np.int64), np.zeros(0, np.int64))
    few = gain(np.zeros(5), np.ones(5))
    assert few.mean is None
    assert few.shown is False
    assert "5 rows" in str(few.reason)
    figures = metrics.class_figures(np.array([0, 0]), np.array([0, 0]), 2)[1]
    assert (figures.precision, figures.recall, figures.f1) == (None, None, None)


def test_an_unknown_true_class_is_an_error_and_nothing_else() -> None:
    truth = np.array([0, 1, -1])
    chosen = np.array([0, 1, 1])
    stated = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    assert metrics.accuracy(truth, chosen) == pytest.approx(2 / 3)
    assert metrics.log_loss(truth, stated) == pytest.approx(
        -(np.log(0.9) + np.log(0.8)) / 2, abs=EXACT
    )
    assert metrics.confusion(truth, chosen, 2).sum() == 2
    assert metrics.squared_distances(truth, stated)[2] == pytest.approx(0.16 + 0.36)
