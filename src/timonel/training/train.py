"""One training: read, clean, split, fit, compile, measure; nothing is written anywhere.

The model that is served is the model that was measured: it is *not* fitted again on all rows
afterwards. A refit would learn from the newest rows too, but no figure of it could be known: its
metrics would be those of another model. Who wants the newest rows in the model retrains, which
measures again. `timonel.training.publish` enters the result into the registry.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from timonel.errors import Phrase
from timonel.project.model import Model, Task
from timonel.project.recipes import Recipe
from timonel.registry.manifest import Baseline, ServingManifest
from timonel.runtime.compile import Compiled, compile_estimator, estimator_outputs
from timonel.runtime.errors import InvalidOutput
from timonel.runtime.explain.importance import permutation_importance
from timonel.runtime.featuriser import Featuriser
from timonel.runtime.parity import Rows
from timonel.runtime.predictors import Predictor
from timonel.stats.calibration.reference import labelled_reference
from timonel.stats.measure import Measure
from timonel.stats.profiles.profile import Profile
from timonel.stats.profiles.reference import profile_of
from timonel.training import digests
from timonel.training.advice import Advice, advise, giveaways
from timonel.training.assemble import Fitted, assemble, outliers_of, self_test_of
from timonel.training.errors import RecipeFailed
from timonel.training.estimators import build, resolve
from timonel.training.evaluate import (
    Evaluation,
    Gate,
    baseline_of,
    by_value,
    evaluate_classes,
    evaluate_numbers,
    gates_of,
    losses_of,
)
from timonel.training.features import fit_plan, matrix_of
from timonel.training.refusals import require_trainable
from timonel.training.rules import Trial, try_rules
from timonel.training.split import Split, split_rows
from timonel.training.table import Table, class_list, read_table
from timonel.wire.answer import Answer, Label
from timonel.wire.rules import RulesSource

Progress = Callable[[str, float], None]
_MOST_LOOKED_AT = 5_000


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a person wants to know of a training.

    Parameters
    ----------
    main : Measure
        Accuracy or mean absolute error on the holdout.
    baseline, rules : float or None
        The same figure of the baseline, and of the rules on the rows they answered.
    n_train, n_test : int
    advice : list of str
        English sentences; ``findings`` has both languages.
    detail : dict
        JSON-safe: per class, confusion, calibration, cleaning, split, timing, paired tests.
    """

    main: Measure
    baseline: float | None
    rules: float | None
    n_train: int
    n_test: int
    advice: list[str]
    findings: list[Advice]
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrainedVersion:
    """All that came of a training; its manifest has no version number yet."""

    manifest: ServingManifest
    artifacts: dict[str, bytes]
    metrics: dict[str, Any]
    lineage: dict[str, Any]
    schema_digest: str
    recipe_digest: str
    data_digest: str
    version_hash: str
    report: TrainingReport
    checks: list[Gate]
    profile: Profile | None = None

    @property
    def failed_gates(self) -> list[Phrase]:
        """Sentences on the gates that were not passed; empty: it may be promoted."""
        return [gate.sentence for gate in self.checks if not gate.passed]


def train(
    model: Model,
    *,
    project: str,
    timezone: str,
    rules: RulesSource | None,
    seed: int | None = None,
    progress: Progress | None = None,
    champion: Profile | None = None,
) -> TrainedVersion:
    """Train a declared model once.

    Parameters
    ----------
    model : Model
    project : str
        Name, for the manifest.
    timezone : str
        IANA zone of the project.
    rules : RulesSource or None
        Measured on the same holdout, and published with the version.
    seed : int or None
        None: the model's own.
    progress : callable or None
        Called with the name of a step and the share done, in [0, 1].
    champion : Profile or None
        Of a version with the same schema: its cells are kept
        (``timonel.stats.profiles.reference``).

    Raises
    ------
    UnusableData, TooFewRows
        If the data cannot be trained on.
    RecipeFailed
        If the recipe raises, or its estimator cannot predict.
    """
    # one thread, in BLAS and OpenMP too: with more, sums and so the model follow the machine's load
    with threadpool_limits(1):
        return _train(model, project, timezone, rules, seed, progress, champion)


def _train(
    model: Model,
    project: str,
    timezone: str,
    rules: RulesSource | None,
    seed: int | None,
    progress: Progress | None,
    champion: Profile | None,
) -> TrainedVersion:
    tell = progress or (lambda _step, _share: None)
    seed = model.seed if seed is None else seed
    recipe = resolve(model)
    tell("reading data", 0.02)
    table = read_table(model, timezone)
    rng = np.random.default_rng(seed)
    classifier = model.task != Task.REGRESSION
    require_trainable(table, model)
    split = split_rows(table, classes=classifier, rng=rng)
    tell("fitting", 0.15)
    fitted = _fit(model, recipe, table, split, seed, timezone)
    tell("compiling", 0.6)
    clean = Rows.sample(model.schema, table.take(split.test.tolist()), rng)
    compiled = _compile(fitted, clean, classifier=classifier)
    tell("measuring", 0.75)
    manifest, artifacts, predictor = assemble(
        model, compiled, fitted, project=project, timezone=timezone, rules=rules
    )
    held, truth = table.take(split.test.tolist()), [table.target[i] for i in split.test]
    answers = _answers(model, predictor, held)
    evaluation, trial = _measure(model, manifest, answers, fitted.baseline, table, split, rng)
    learned = table.take(split.train.tolist())
    profile = profile_of(model.schema, learned, answers, classifier=classifier, champion=champion)
    manifest = msgspec.structs.replace(
        manifest,
        profile=profile.digest(),
        labelled=_labelled(manifest, profile, answers, truth, split.by_time(table)),
        outliers=outliers_of(model, profile, learned, held),
        self_test=self_test_of(predictor, clean),
    )
    tell("describing", 0.95)
    identity = _identity(model, recipe, table, seed=seed, timezone=timezone)
    lineage = _lineage(model, recipe, table, split, seed=seed, timezone=timezone, rules=rules)
    detail = _detail(table, split, evaluation, fitted, trial, predictor)
    return TrainedVersion(
        manifest,
        artifacts,
        evaluation.metrics_document()
        | {"importance": _importance(model, predictor, held, truth, fitted, seed)}
        | {"by_value": by_value(profile, held, answers, truth, fitted.classes)},
        lineage,
        **identity,
        report=_report(model, fitted, table, split, evaluation, detail),
        checks=gates_of(evaluation, model.policy),
        profile=profile,
    )


# --- fitting


def _fit(
    model: Model, recipe: Recipe, table: Table, split: Split, seed: int, timezone: str
) -> Fitted:
    rows = table.take(split.train.tolist())
    target = [table.target[i] for i in split.train]
    plan = fit_plan(model.schema, rows, recipe, timezone)
    featuriser = Featuriser.from_plan(plan)
    matrix = matrix_of(featuriser, rows)
    classes = None if model.task == Task.REGRESSION else class_list(target)
    positive = None
    if classes is None:
        y = np.array(target, dtype=np.float64)
    else:
        index = {label: at for at, label in enumerate(classes)}
        y = np.array([index[label] for label in target], dtype=np.int64)
        if model.task == Task.BINARY:
            positive = classes[-1] if model.positive is None else model.positive
    started = perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator = fitted_estimator(model, recipe, matrix, y, seed)
        _require_outputs(model, recipe, estimator, matrix, classes)
    said = list(dict.fromkeys(f"{w.category.__name__}: {w.message}"[:300] for w in caught))
    return Fitted(
        estimator,
        plan,
        featuriser,
        classes,
        positive,
        baseline_of(target, classes, positive),
        said,
        perf_counter() - started,
    )


def fitted_estimator(model: Model, recipe: Recipe, matrix: Any, y: Any, seed: int) -> Any:
    """Fit a recipe's estimator on a matrix; raises ``RecipeFailed``."""
    try:
        if recipe.build is None:
            return build(recipe, model, seed).fit(matrix, y)
        estimator = recipe.build(matrix, y, seed)
        if hasattr(estimator, "fit") and _is_unfitted(estimator):
            estimator = estimator.fit(matrix, y)
    except RecipeFailed:
        raise
    except Exception as error:
        raise _failed(
            model, recipe, f"{type(error).__name__}: {error}"[:400], "a fitted estimator"
        ) from error
    return estimator


def _is_unfitted(estimator: Any) -> bool:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return True
    except TypeError:  # no scikit-learn estimator: taken as it is
        return False
    return False


def _require_outputs(
    model: Model, recipe: Recipe, estimator: Any, matrix: Any, classes: list[Label] | None
) -> None:
    """Refuse an estimator that does not give one finite output a row (and class)."""
    wanted = "predict" if classes is None else "predict_proba"
    if not callable(getattr(estimator, wanted, None)):
        name = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
        raise _failed(model, recipe, f"{name} without {wanted}", f"an estimator with {wanted}")
    try:
        outputs = estimator_outputs(estimator, matrix[:200], classifier=classes is not None)
    except Exception as error:
        raise _failed(
            model, recipe, f"{wanted} raised {type(error).__name__}: {error}"[:400], "predictions"
        ) from error
    width = 1 if classes is None else len(classes)
    expected = (min(200, matrix.shape[0]), width)
    if outputs.shape != expected:
        raise _failed(model, recipe, f"outputs of shape {outputs.shape}", f"shape {expected}")
    if not np.isfinite(outputs).all():
        raise _failed(model, recipe, "NaN or infinite predictions", "finite numbers")


def _failed(model: Model, recipe: Recipe, found: str, expected: str) -> RecipeFailed:
    name = recipe.name if recipe.build is None else getattr(recipe.build, "__name__", "custom")
    return RecipeFailed(model=model.name, recipe=name, found=found, expected=expected)


# --- measuring and describing


def _report(
    model: Model,
    fitted: Fitted,
    table: Table,
    split: Split,
    evaluation: Evaluation,
    detail: dict[str, Any],
) -> TrainingReport:
    findings = advise(
        evaluation,
        n_read=table.n_read,
        dropped=table.dropped,
        warnings=fitted.warnings,
        giveaways=_giveaways(model, fitted, table, split),
    )
    return TrainingReport(
        evaluation.main,
        evaluation.baseline,
        evaluation.rules,
        len(split.train),
        len(split.test),
        [finding.en for finding in findings],
        findings,
        detail,
    )


def _giveaways(model: Model, fitted: Fitted, table: Table, split: Split) -> list[str]:
    parts = [part[:_MOST_LOOKED_AT].tolist() for part in (split.train, split.test)]
    learned, held = [(table.take(part), [table.target[i] for i in part]) for part in parts]
    classes = fitted.classes is not None
    return giveaways(fitted.plan, model.schema.names, learned, held, classes=classes)


def _compile(fitted: Fitted, rows: Rows, *, classifier: bool) -> Compiled:
    def said(table: Sequence[Sequence[Any]]) -> Any:
        matrix = matrix_of(fitted.featuriser, table)
        return estimator_outputs(fitted.estimator, matrix, classifier=classifier)

    return compile_estimator(
        fitted.estimator, fitted.plan, rows, classifier=classifier, outputs=said
    )


def _answers(model: Model, predictor: Predictor, rows: Sequence[Sequence[Any]]) -> list[Answer]:
    try:
        return predictor.predict_rows(rows)
    except InvalidOutput as error:
        raise RecipeFailed(
            model=model.name,
            recipe=resolve(model).name,
            found=error.context["found"],
            expected=error.context["expected"],
        ) from error


def _importance(
    model: Model, predictor: Predictor, held: list[Any], truth: list[Any], fitted: Fitted, seed: int
) -> dict[str, Any]:
    return permutation_importance(
        predictor,
        model.schema.names,
        held,
        lambda answers, at: losses_of(answers, [truth[i] for i in at], fitted.classes),
        loss="absolute_error" if fitted.classes is None else "squared_distance",
        seed=seed,
    )


def _measure(
    model: Model,
    manifest: ServingManifest,
    answers: Sequence[Answer],
    baseline: Baseline,
    table: Table,
    split: Split,
    rng: np.random.Generator,
) -> tuple[Evaluation, Trial | None]:
    rows = table.take(split.test.tolist())
    target = [table.target[i] for i in split.test]
    trial, bounds = None, manifest.target_range
    if manifest.rules is not None:
        trial = try_rules(
            manifest.rules,
            model.schema,
            rows,
            task=manifest.task,
            timezone=manifest.timezone,
            classes=manifest.classes,
            bounds=bounds,
        )
    if manifest.classes is None:
        naive = split.naive_error(table)
        return evaluate_numbers(answers, target, baseline, trial, rng, bounds, naive), trial
    classes, positive = manifest.classes, manifest.positive
    found = evaluate_classes(answers, target, classes, positive, baseline, trial, rng)
    return found, trial


def _labelled(
    manifest: ServingManifest,
    profile: Profile,
    answers: Sequence[Answer],
    truth: Sequence[Any],
    order: Sequence[int],
) -> dict[str, Any] | None:
    classes, positive = manifest.classes, manifest.positive
    return labelled_reference(
        profile, answers, truth, classes=classes, positive=positive, order=order
    )


def _identity(
    model: Model, recipe: Recipe, table: Table, *, seed: int, timezone: str
) -> dict[str, str]:
    data = digests.data_digest(table, model.schema.names)
    of_recipe = digests.digest(digests.recipe_document(recipe))
    return {
        "schema_digest": model.schema.digest(),
        "recipe_digest": of_recipe,
        "data_digest": data,
        "version_hash": digests.version_hash(
            model,
            data=data,
            recipe=of_recipe,
            seed=seed,
            timezone=timezone,
            libraries=digests.library_versions(),
        ),
    }


def _lineage(
    model: Model,
    recipe: Recipe,
    table: Table,
    split: Split,
    *,
    seed: int,
    timezone: str,
    rules: RulesSource | None,
) -> dict[str, Any]:
    describe = getattr(model.source, "describe", None)
    source = describe() if callable(describe) else {"kind": "function"}
    return {
        "n_train": len(split.train),
        "n_test": len(split.test),
        "data": {
            "source": source,
            "rows_read": table.n_read,
            "rows_used": len(table),
            "dropped": table.dropped,
        },
        "split": split.document(),
        "recipe": digests.recipe_document(recipe),
        "seed": seed,
        "timezone": timezone,
        "environment": digests.environment(),
        "code": digests.code_document(model, recipe, rules.source if rules else None),
    }


def _detail(
    table: Table,
    split: Split,
    evaluation: Evaluation,
    fitted: Fitted,
    trial: Trial | None,
    predictor: Predictor,
) -> dict[str, Any]:
    against_rules = evaluation.against_rules
    return {
        **evaluation.detail,
        "measures": {name: found.document() for name, found in evaluation.measures.items()},
        "against_baseline": evaluation.against_baseline.document(),
        "against_rules": against_rules.document() if against_rules else None,
        "rules_coverage": evaluation.rules_coverage,
        "rules_us": trial.median_us if trial else None,
        "rows_read": table.n_read,
        "rows_used": len(table),
        "dropped": table.dropped,
        "split": split.document(),
        "warnings": fitted.warnings,
        "fit_s": round(fitted.seconds, 3),
        "row_us": _row_us(predictor, [table.values[i] for i in split.test[:100]]),
    }


def _row_us(predictor: Predictor, rows: Sequence[Sequence[Any]]) -> float:
    """Measure the median time of one row alone, in microseconds."""
    times = []
    for values in rows:
        started = perf_counter()
        predictor.predict_row(values)
        times.append(perf_counter() - started)
    return round(float(np.median(times)) * 1e6, 1)
