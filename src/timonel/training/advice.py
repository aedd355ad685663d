"""What the figures of a training suggest, in sentences; nothing is said without a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from timonel.errors import Comma
from timonel.runtime.featuriser import Featuriser, Value
from timonel.training.evaluate import Evaluation

_TINY_HOLDOUT = 200
_GIVES_AWAY = 0.99
_WIDEST = 500
_LOST, _WEAK_CLASS, _MISCALIBRATED, _TOO_GOOD = 0.1, 0.7, 0.1, 0.995


@dataclass(frozen=True, slots=True)
class Advice:
    """One finding in both languages."""

    code: str
    en: str
    es: str


def advise(
    evaluation: Evaluation,
    *,
    n_read: int,
    dropped: dict[str, int],
    warnings: list[str],
    giveaways: Sequence[str] = (),
) -> list[Advice]:
    """List what a person should look at, the gravest first."""
    found = [
        Advice(
            "gives_the_target_away",
            f"{name} alone all but determines the target: is it known before the outcome is?",
            f"{name} por sí sola casi determina el objetivo: ¿se conoce antes que el resultado?",
        )
        for name in giveaways
    ]
    _on_baseline(found, evaluation)
    _on_data(found, evaluation, n_read, dropped)
    _on_classes(found, evaluation)
    if warnings:
        found.append(
            Advice(
                "warnings",
                f"The recipe warned: {warnings[0]}",
                f"La receta advirtió: {warnings[0]}",
            )
        )
    return found


def giveaways(
    plan: dict[str, Any],
    names: Sequence[str],
    learned: tuple[Sequence[Sequence[Value]], Sequence[Any]],
    held: tuple[Sequence[Sequence[Value]], Sequence[Any]],
    *,
    classes: bool,
) -> list[str]:
    """List the inputs that alone nearly determine the target (text is not looked at).

    A small tree on one input, measured on the holdout: balanced accuracy or r2 of .99 and more.

    Parameters
    ----------
    plan : dict
        The fitted featuriser plan.
    names : sequence of str
        Of the schema.
    learned, held : (rows, target)
        Training part and holdout.
    classes : bool
        Whether the target is a class.
    """
    from sklearn.metrics import r2_score, recall_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    found = []
    for at, name in enumerate(names):
        steps = [s for s in plan["steps"] if s["input"] == at and s["kind"] != "tfidf"]
        featuriser = Featuriser.from_plan({**plan, "steps": steps})
        if not 0 < featuriser.n_columns <= _WIDEST:
            continue
        tree = (DecisionTreeClassifier if classes else DecisionTreeRegressor)(
            max_leaf_nodes=64, min_samples_leaf=5, random_state=0
        )
        tree.fit(featuriser.rows(learned[0]), learned[1])
        said = tree.predict(featuriser.rows(held[0]))
        if classes:
            labels = np.unique(held[1])
            score = recall_score(held[1], said, labels=labels, average="macro", zero_division=0)
        else:
            score = r2_score(held[1], said) if len(held[1]) > 1 else 0.0
        if score >= _GIVES_AWAY and len(set(held[1])) > 1:
            found.append(name)
    return found


def _on_baseline(found: list[Advice], evaluation: Evaluation) -> None:
    accuracy, baseline = evaluation.measures.get("accuracy"), evaluation.baseline
    if evaluation.against_baseline.shown:
        pass
    elif accuracy is not None and baseline is not None and (accuracy.lower or 0.0) > baseline:
        found.append(
            Advice(
                "probabilities_no_better",
                f"It is right more often ({accuracy.value:.4g}) than the most frequent class "
                f"({baseline:.4g}), but its probabilities are not shown to be nearer to "
                "the truth than the base rate: often such a model is too sure of itself. "
                "`recipes.calibrated(...)` around its recipe, or more rows, may mend it.",
                f"Acierta más a menudo ({Comma(accuracy.value or 0.0):.4g}) que la clase más "
                f"frecuente ({Comma(baseline):.4g}), pero no se demuestra que sus probabilidades "
                "estén más cerca de la verdad que la tasa base: un modelo así suele estar "
                "demasiado seguro. `recipes.calibrated(...)` en torno a su receta, o más filas, "
                "puede remediarlo.",
            )
        )
    else:
        found.append(
            Advice(
                "no_better_than_baseline",
                "It is not shown to be better than always giving the base rate or median: the "
                "inputs may say nothing about the target.",
                "No se demuestra que sea mejor que dar siempre la tasa base o la mediana: las "
                "entradas podrían no decir nada del objetivo.",
            )
        )
    against = evaluation.against_rules
    if against is not None and evaluation.rules is not None and not against.shown:
        found.append(
            Advice(
                "no_better_than_rules",
                f"It is not shown to be better than the rules ({evaluation.rules:.4g} on the rows "
                "they answer).",
                f"No se demuestra que sea mejor que las reglas ({Comma(evaluation.rules):.4g} en "
                "las filas que responden).",
            )
        )


def _on_data(
    found: list[Advice], evaluation: Evaluation, n_read: int, dropped: dict[str, int]
) -> None:
    main = evaluation.main
    if main.name == "accuracy" and (main.value or 0.0) >= _TOO_GOOD:
        found.append(
            Advice(
                "too_good",
                f"Accuracy {main.value:.3f} is rarely honest: look for an input that is only "
                "known after the fact.",
                f"Una exactitud de {Comma(main.value or 0.0):.3f} rara vez es honesta: busque una "
                "entrada que solo se conoce después del hecho.",
            )
        )
    n_dropped = sum(dropped.values())
    if n_dropped > _LOST * n_read:
        reason, n = max(dropped.items(), key=lambda item: item[1])
        found.append(
            Advice(
                "many_rows_left_out",
                f"{n_dropped} of {n_read} rows were left out, most ({n}) for {reason}: requests "
                "like these will be refused too.",
                f"Se dejaron fuera {n_dropped} de {n_read} filas, la mayoría ({n}) por {reason}: "
                "las solicitudes así también serán rechazadas.",
            )
        )
    n_outside = evaluation.detail.get("n_outside_range", 0)
    if n_outside:
        found.append(
            Advice(
                "outside_target_range",
                f"{n_outside} of {main.n} answers on the holdout lie outside `target_range`: in "
                "service the fallback answers such rows.",
                f"{n_outside} de {main.n} respuestas en la muestra de prueba quedan fuera de "
                "`target_range`: en servicio esas filas las contesta el respaldo.",
            )
        )
    if main.n < _TINY_HOLDOUT and main.lower is not None and main.upper is not None:
        found.append(
            Advice(
                "small_holdout",
                f"The holdout has {main.n} rows: {main.name} is only known to lie within "
                f"{main.lower:.3g} and {main.upper:.3g}.",
                f"La muestra de prueba tiene {main.n} filas: de {main.name} solo se sabe que está "
                f"entre {Comma(main.lower):.3g} y {Comma(main.upper):.3g}.",
            )
        )


def _on_classes(found: list[Advice], evaluation: Evaluation) -> None:
    per_class: dict[str, Any] = evaluation.detail.get("per_class", {})
    weak = [
        (figures["recall"], label)
        for label, figures in per_class.items()
        if figures["recall"] is not None and figures["n"] >= 10
    ]
    if weak and min(weak)[0] < _WEAK_CLASS:
        recall, label = min(weak)
        found.append(
            Advice(
                "weak_class",
                f"Class {label} is found in {recall:.0%} of its cases only: more rows of it, or "
                "inputs that tell it apart, would help most.",
                f"La clase {label} se reconoce solo en {Comma(recall):.0%} de sus casos: lo que "
                "más ayudaría son más filas de ella, o entradas que la distingan.",
            )
        )
    ece = evaluation.measures.get("ece")
    if ece is not None and ece.lower is not None and ece.lower > _MISCALIBRATED:
        found.append(
            Advice(
                "miscalibrated",
                f"Stated probabilities are off by {ece.value:.2f} on average: do not read them as "
                "frequencies.",
                f"Las probabilidades declaradas se desvían {Comma(ece.value or 0.0):.2f} en "
                "promedio: no las lea como frecuencias.",
            )
        )
