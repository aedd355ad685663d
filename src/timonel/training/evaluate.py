"""How good a trained model is on rows it never saw, and better than what.

Everything is measured on the answers that serving would give (the compiled model, through the same
checks). Beside it stand, on the same rows, the baseline (base rate or median of the training
part) and the project's rules. "Better" is a one-sided paired test at .05, never a look at two
numbers: against the baseline on the squared distance of the probabilities (or the absolute
error), against the rules on being right (or the absolute error).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timonel.errors import Phrase
from timonel.project.model import Policy
from timonel.registry.manifest import Baseline
from timonel.stats import metrics
from timonel.stats.intervals import Interval, auc_interval, class_intervals, wilson
from timonel.stats.measure import Measure, cannot_say
from timonel.stats.multivariate.composition import figures_by_bin
from timonel.stats.paired import Gain, gain
from timonel.stats.profiles.profile import Profile
from timonel.stats.resampling import bootstrap
from timonel.training.rules import Trial
from timonel.wire.answer import Answer, Label

Floats = NDArray[np.float64]
MOST_CLASSES = 20
"""With more there are no figures by class."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of one model on its holdout.

    Parameters
    ----------
    main : Measure
        Accuracy, or mean absolute error.
    measures : dict of str to Measure
    baseline, rules : float or None
        The main figure of the baseline and of the rules.
    against_baseline : Gain
    against_rules : Gain or None
    rules_coverage : float or None
        Share of the rows that the rules answered.
    detail : dict
        Per class figures, confusion, calibration (classification).
    by_class : list of dict
        Precision, recall, specificity, F1 and, of several classes, ROC AUC of each class (up to
        ``MOST_CLASSES``), with intervals.
    """

    main: Measure
    measures: dict[str, Measure]
    baseline: float | None
    against_baseline: Gain
    rules: float | None = None
    against_rules: Gain | None = None
    rules_coverage: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    by_class: list[dict[str, Any]] = field(default_factory=list)

    def metrics_document(self) -> dict[str, Any]:
        """Give what the registry keeps: ``main``, ``baseline``, ``rules`` and every measure."""
        return {
            "main": {"name": self.main.name, **self.main.document()},
            "baseline": self.baseline,
            "rules": self.rules,
            **{name: measure.document() for name, measure in self.measures.items()},
            **({"by_class": self.by_class} if self.by_class else {}),
        }


def baseline_of(target: Sequence[Any], classes: Sequence[Label] | None, positive: Any) -> Baseline:
    """Make the baseline of a training part: base rate of the classes, or the median."""
    if classes is None:
        return Baseline(float(median(target)))
    counts = Counter(target)
    shares = {str(label): counts[label] / len(target) for label in classes}
    usual = max(classes, key=lambda label: counts[label])
    shown = usual if positive is None else positive
    return Baseline(usual, shares[str(shown)], shares)


def evaluate_classes(
    answers: Sequence[Answer],
    target: Sequence[Label],
    classes: Sequence[Label],
    positive: Label | None,
    baseline: Baseline,
    trial: Trial | None,
    rng: np.random.Generator,
) -> Evaluation:
    """Measure a classification.

    Parameters
    ----------
    answers : sequence of Answer
        What the model answers for the holdout.
    target : sequence of label
        The truth; a label outside ``classes`` was not in the training part and counts as an error.
    classes : sequence of label
    positive : label or None
        Binary only.
    baseline : Baseline
    trial : Trial or None
        What the rules gave for the same rows.
    rng : Generator
        For the resampled intervals.
    """
    index = {label: at for at, label in enumerate(classes)}
    truth = np.array([index.get(label, -1) for label in target], dtype=np.int64)
    chosen = np.array([index[answer.prediction] for answer in answers], dtype=np.int64)
    keys = [str(label) for label in classes]
    stated = np.array([[(a.probabilities or {})[key] for key in keys] for a in answers])
    n_classes = len(classes)
    measures = {"accuracy": _accuracy(truth == chosen)}
    figures: dict[str, Any] = {
        "f1_macro": lambda t, p, _: metrics.macro_f1(t, p, n_classes),
        "f1_weighted": lambda t, p, _: metrics.weighted_f1(t, p, n_classes),
        "roc_auc": lambda t, _, s: metrics.macro_auc(t, s),
        "log_loss": lambda t, _, s: metrics.log_loss(t, s),
        "brier": lambda t, _, s: metrics.brier(t, s),
        "ece": lambda t, p, s: metrics.expected_calibration_error(*_confidence(t, p, s)),
    }
    if positive is not None:
        at = index[positive]
        figures["roc_auc"] = lambda t, _, s: metrics.roc_auc(t == at, s[:, at])
        figures["ece"] = lambda t, _, s: metrics.expected_calibration_error(t == at, s[:, at])
        figures["precision"] = lambda t, p, _: _of_class(t, p, n_classes, at, "precision")
        figures["recall"] = lambda t, p, _: _of_class(t, p, n_classes, at, "recall")
    for name, figure in figures.items():
        measures[name] = bootstrap(name, figure, (truth, chosen, stated), rng)
    usual = index[baseline.prediction]
    shares = np.array([(baseline.probabilities or {})[key] for key in keys])
    against_baseline = gain(
        metrics.squared_distances(truth, stated),
        metrics.squared_distances(truth, np.tile(shares, (len(truth), 1))),
    )
    rules, against_rules, coverage = _rules_of_classes(trial, truth, chosen, index)
    return Evaluation(
        measures["accuracy"],
        measures,
        metrics.accuracy(truth, np.full_like(truth, usual)),
        against_baseline,
        rules,
        against_rules,
        coverage,
        _class_detail(truth, chosen, stated, classes, positive),
        _by_class(truth, chosen, stated, classes) if n_classes <= MOST_CLASSES else [],
    )


def evaluate_numbers(
    answers: Sequence[Answer],
    target: Sequence[float],
    baseline: Baseline,
    trial: Trial | None,
    rng: np.random.Generator,
    bounds: tuple[float | None, float | None] | None = None,
    naive: Measure | None = None,
) -> Evaluation:
    """Measure a regression; arguments as in ``evaluate_classes``.

    Answers outside the declared ``bounds`` are measured as they are, and counted: in service the
    fallback answers those rows. MASE is scaled by ``naive``, where that is known.
    """
    truth = np.array(target, dtype=np.float64)
    said = np.array([answer.prediction for answer in answers], dtype=np.float64)
    figures = {
        "mae": metrics.mae,
        "rmse": metrics.rmse,
        "r2": metrics.r2,
        "mape": metrics.mape,
        "wape": metrics.wape,
        "mean_error": metrics.mean_error,
    }
    measures = {
        name: bootstrap(name, figure, (truth, said), rng) for name, figure in figures.items()
    }
    if naive is not None:
        measures |= {"naive_error": naive, "mase": _scaled(measures["mae"], naive)}
    errors = np.abs(truth - said)
    baseline_errors = np.abs(truth - float(baseline.prediction))
    rules: float | None = None
    against_rules, coverage = None, None
    if trial is not None:
        said_by_rules = [_number_of(tried.prediction) for tried in trial.rows]
        answered = np.array([number is not None for number in said_by_rules])
        coverage = float(answered.mean())
        of_rules = np.array([number for number in said_by_rules if number is not None])
        rules_errors = np.abs(truth[answered] - of_rules)
        rules = float(rules_errors.mean()) if answered.any() else None
        against_rules = gain(errors[answered], rules_errors)
    return Evaluation(
        measures["mae"],
        measures,
        float(baseline_errors.mean()),
        gain(errors, baseline_errors),
        rules,
        against_rules,
        coverage,
        {} if bounds is None else {"n_outside_range": _n_outside(said, bounds)},
    )


def _scaled(errors: Measure, naive: Measure) -> Measure:
    """Give the mean absolute error in steps of the naive forecast's."""
    if errors.value is None or naive.value is None:
        return cannot_say("mase", errors.n, errors.reason or naive.reason or "no scale")
    bounds = errors.lower, errors.upper
    lower, upper = (None if bound is None else bound / naive.value for bound in bounds)
    return Measure("mase", errors.value / naive.value, errors.n, lower, upper, errors.confidence)


def _n_outside(said: Floats, bounds: tuple[float | None, float | None]) -> int:
    low, high = bounds
    low, high = -np.inf if low is None else low, np.inf if high is None else high
    return int(np.sum((said < low) | (said > high)))


def losses_of(
    answers: Sequence[Answer], target: Sequence[Any], classes: Sequence[Label] | None
) -> Floats:
    """Give each row's loss: squared distance of its probabilities, or absolute error."""
    if classes is None:
        said = np.array([answer.prediction for answer in answers], dtype=np.float64)
        return np.asarray(np.abs(said - np.array(target, dtype=np.float64)))
    index = {label: at for at, label in enumerate(classes)}
    truth = np.array([index.get(label, -1) for label in target], dtype=np.int64)
    keys = [str(label) for label in classes]
    stated = np.array([[(a.probabilities or {})[key] for key in keys] for a in answers])
    return metrics.squared_distances(truth, stated)


def by_value(
    profile: Profile,
    rows: Sequence[Sequence[Any]],
    answers: Sequence[Answer],
    target: Sequence[Any],
    classes: Sequence[Label] | None,
) -> dict[str, Any]:
    """Give how good the answers were by range (or word) of every feature.

    Parameters
    ----------
    profile : Profile
        Its first columns are the features, in the order of a row's values.
    rows, answers, target
        Of the holdout.

    Returns
    -------
    dict
        ``metric`` and ``columns``, as ``timonel.stats.multivariate.composition`` makes and reads
        them.
    """
    if classes is None:
        metric, figures = "mae", losses_of(answers, target, None)
    else:
        right = [str(a.prediction) == str(t) for a, t in zip(answers, target, strict=True)]
        metric, figures = "accuracy", np.array(right, dtype=np.float64)
    by_column = zip(profile.columns.values(), zip(*rows, strict=True), strict=False)
    found = {column.name: figures_by_bin(column, values, figures) for column, values in by_column}
    return {"metric": metric, "columns": {name: kept for name, kept in found.items() if kept}}


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition: whether it was passed, and the figures it was decided on."""

    name: str
    passed: bool
    sentence: Phrase
    figures: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """Give it for the history."""
        return {
            "name": self.name,
            "passed": self.passed,
            "sentence": str(self.sentence),
            "sentence_es": self.sentence.es,
            **self.figures,
        }


_BETTER = Phrase(
    "better than the baseline on its holdout", "mejor que la línea base en sus filas reservadas"
)
_NOT_NEARER = Phrase(
    "its probabilities were not shown to be nearer to the truth than the base rate, on its holdout",
    "no se mostró que sus probabilidades estén más cerca de la verdad que la tasa base, en sus "
    "filas reservadas",
)
_NOT_SMALLER = Phrase(
    "its errors were not shown to be smaller than those of the median, on its holdout",
    "no se mostró que sus errores sean menores que los de la mediana, en sus filas reservadas",
)
_BEATS_RULES = Phrase(
    "better than the rules on the rows they answer", "mejor que las reglas donde estas responden"
)
_NOT_RULES = Phrase(
    "not shown to be better than the rules on the rows they answer",
    "no se mostró que sea mejor que las reglas donde estas responden",
)


def _because(finding: Phrase, found: Gain) -> Phrase:
    if found.reason is None:
        return finding
    few = Phrase(found.reason, "solo {n} filas, no alcanzan", n=found.n)
    return Phrase("{finding} ({few})", "{finding} ({few})", finding=finding, few=few)


def gates_of(evaluation: Evaluation, policy: Policy) -> list[Gate]:
    """Decide the gates that need no champion: baseline, rules, and the policy's own bar."""
    against = evaluation.against_baseline
    not_better = _NOT_NEARER if "accuracy" in evaluation.measures else _NOT_SMALLER
    gates = [
        Gate(
            "beats_baseline",
            against.shown,
            _BETTER if against.shown else _because(not_better, against),
            against.document(),
        )
    ]
    of_rules = evaluation.against_rules
    if of_rules is not None and evaluation.rules is not None:
        gates.append(
            Gate(
                "beats_rules",
                of_rules.shown,
                _BEATS_RULES if of_rules.shown else _because(_NOT_RULES, of_rules),
                of_rules.document(),
            )
        )
    if policy.min_accuracy is not None:
        found = evaluation.measures.get("accuracy")
        value = None if found is None else found.value
        passed = value is not None and value >= policy.min_accuracy
        shown = Phrase("unknown", "desconocida") if value is None else f"{value:.4f}"
        gates.append(
            Gate(
                "min_accuracy",
                passed,
                Phrase(
                    "accuracy {shown}, the policy asks for {bar:g}",
                    "exactitud {shown}, la política pide {bar:g}",
                    shown=shown,
                    bar=policy.min_accuracy,
                ),
                {"value": value, "bar": policy.min_accuracy},
            )
        )
    return gates


def _number_of(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _accuracy(right: NDArray[np.bool_]) -> Measure:
    if not len(right):
        return cannot_say("accuracy", 0, "no rows")
    found = wilson(int(right.sum()), len(right))
    return Measure("accuracy", found.estimate, len(right), found.low, found.high)


def _confidence(
    truth: NDArray[np.int64], chosen: NDArray[np.int64], stated: Floats
) -> tuple[NDArray[np.bool_], Floats]:
    return truth == chosen, stated[np.arange(len(chosen)), chosen]


def _of_class(
    truth: NDArray[np.int64], chosen: NDArray[np.int64], n_classes: int, at: int, name: str
) -> float:
    found: float | None = getattr(metrics.class_figures(truth, chosen, n_classes)[at], name)
    if found is None:
        raise metrics.Undefined("no row of the positive class, or none predicted so")
    return found


def _rules_of_classes(
    trial: Trial | None,
    truth: NDArray[np.int64],
    chosen: NDArray[np.int64],
    index: dict[Label, int],
) -> tuple[float | None, Gain | None, float | None]:
    if trial is None:
        return None, None, None
    said = np.array(
        [-2 if t.prediction is None else index.get(t.prediction, -3) for t in trial.rows]
    )
    answered = said != -2
    if not answered.any():
        return None, gain(np.zeros(0), np.zeros(0)), 0.0
    wrong = (truth[answered] != said[answered]).astype(np.float64)
    own = (truth[answered] != chosen[answered]).astype(np.float64)
    return float(1.0 - wrong.mean()), gain(own, wrong), float(answered.mean())


def _by_class(
    truth: NDArray[np.int64], chosen: NDArray[np.int64], stated: Floats, classes: Sequence[Label]
) -> list[dict[str, Any]]:
    table = metrics.confusion(truth, chosen, len(classes))
    known = truth >= 0
    found = []
    for at, label in enumerate(classes):
        figures = {name: one for name, one, _, _ in class_intervals(table, at)}
        if len(classes) > 2:
            figures["roc_auc"] = _one_auc(truth[known] == at, stated[known, at])
        found += [
            {"class": label, "metric": name, "value": i.estimate, "lower": i.low, "upper": i.high}
            for name, i in figures.items()
            if i is not None
        ]
    return found


def _one_auc(positive: NDArray[np.bool_], score: Floats) -> Interval | None:
    n_true = int(positive.sum())
    if not 0 < n_true < len(positive):
        return None
    return auc_interval(metrics.roc_auc(positive, score), n_true, len(positive) - n_true)


def _class_detail(
    truth: NDArray[np.int64],
    chosen: NDArray[np.int64],
    stated: Floats,
    classes: Sequence[Label],
    positive: Label | None,
) -> dict[str, Any]:
    observed, said = _confidence(truth, chosen, stated)
    if positive is not None:
        at = list(classes).index(positive)
        observed, said = truth == at, stated[:, at]
    return {
        "per_class": {
            str(label): {
                "n": figures.n_true,
                "precision": figures.precision,
                "recall": figures.recall,
                "f1": figures.f1,
            }
            for label, figures in zip(
                classes, metrics.class_figures(truth, chosen, len(classes)), strict=True
            )
        },
        "confusion": {
            "classes": list(classes),
            "rows": metrics.confusion(truth, chosen, len(classes)).tolist(),
        },
        "unknown_classes": int(np.sum(truth < 0)),
        "calibration": [
            {
                "low": b.low,
                "high": b.high,
                "n": b.n,
                "stated": b.mean_stated,
                "came": b.share_observed,
            }
            for b in metrics.calibration_bins(observed, said)
            if b.n
        ],
    }
