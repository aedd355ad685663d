"""What a model predicts: a class or a number, which classes, and a declaration made of it."""

from typing import Any

import numpy as np

from timonel.errors import Phrase
from timonel.runtime.ensembles import full_name
from timonel.training.bring.errors import ClassesDiffer, NotAModel
from timonel.training.bring.inputs import names_of
from timonel.training.bring.orders import Description, Orders
from timonel.training.bring.transformers import chosen
from timonel.wire.answer import Label


def is_classifier(estimator: Any, orders: Orders) -> bool:
    """Say whether a model gives classes.

    Raises
    ------
    NotAModel
        If it cannot predict, gives classes without probabilities, or is not what the task asks.
    """
    name = full_name(estimator)
    if not callable(getattr(estimator, "predict", None)) or isinstance(estimator, type):
        raise NotAModel(
            path=orders.given,
            model=orders.model,
            found=name if not isinstance(estimator, type) else f"class {estimator.__name__}",
            expected=Phrase("a fitted model", "un modelo ajustado"),
            mend_en="Save the fitted estimator or Pipeline itself: the object whose predict() "
            "answers.",
            mend_es="Guarde el estimador o Pipeline ya ajustado: el objeto cuyo predict() "
            "responde.",
        )
    _require_fitted(estimator, name, orders)
    classifier = _gives_classes(estimator)
    if classifier and not callable(getattr(estimator, "predict_proba", None)):
        raise NotAModel(
            path=orders.given,
            model=orders.model,
            found=Phrase("{name} without predict_proba", "{name} sin predict_proba", name=name),
            expected=Phrase("a model with probabilities", "un modelo con probabilidades"),
            mend_en="Wrap it: CalibratedClassifierCV(model).fit(X, y), and bring that.",
            mend_es="Envuélvalo: CalibratedClassifierCV(modelo).fit(X, y), y traiga ese.",
        )
    if orders.task and classifier != (orders.task != "regression"):
        raise NotAModel(
            path=orders.given,
            model=orders.model,
            found=Phrase("{name}, a classifier", "{name}, un clasificador", name=name)
            if classifier
            else Phrase("{name}, a regression", "{name}, una regresión", name=name),
            expected=Phrase("one for task={task!r}", "uno para task={task!r}", task=orders.task),
            mend_en="Correct `task` in model.py, or bring the other model.",
            mend_es="Corrija `task` en model.py, o traiga el otro modelo.",
        )
    return classifier


def _gives_classes(estimator: Any) -> bool:
    from sklearn.base import is_classifier as sklearn_says

    try:
        return bool(sklearn_says(estimator))
    except Exception:  # noqa: BLE001 - a class of the user's own, without scikit-learn's tags
        return hasattr(estimator, "classes_")


def _require_fitted(estimator: Any, name: str, orders: Orders) -> None:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise NotAModel(
            path=orders.given,
            model=orders.model,
            found=Phrase("{name}, not fitted", "{name}, sin ajustar", name=name),
            expected=Phrase("a fitted model", "un modelo ajustado"),
            mend_en="Save it after fit().",
            mend_es="Guárdelo después de fit().",
        ) from error
    except TypeError:
        return  # no scikit-learn estimator: it is asked as it is


def label(value: Any) -> Label:
    """Give a class as the data would write it: no numpy types, whole floats as ints."""
    plain: Label = value.item() if hasattr(value, "item") else value
    if isinstance(plain, float) and plain.is_integer():
        return int(plain)
    return plain if isinstance(plain, str | int | float | bool) else str(plain)


def classes_of(estimator: Any, orders: Orders) -> list[Label]:
    """Name a classifier's outputs, in its order."""
    own = getattr(estimator, "classes_", None)
    if own is None or (isinstance(own, list) and own and isinstance(own[0], np.ndarray)):
        raise ClassesDiffer(
            path=orders.given,
            model=orders.model,
            found=Phrase("no list of classes", "ninguna lista de clases"),
            expected="classes_",
        )
    return named_classes([label(value) for value in own], orders)


def named_classes(own: list[Label], orders: Orders) -> list[Label]:
    """Take the user's names for a model's classes, and hold them against task and ``positive``.

    Raises
    ------
    ClassesDiffer
        If there are more or fewer names than classes, a binary model has not two, or ``positive``
        is none of them.
    """
    classes = own if orders.classes is None else list(orders.classes)
    shown = ", ".join(repr(one) for one in own[:8])
    facts = {"path": orders.given, "model": orders.model}
    if len(classes) != len(own):
        raise ClassesDiffer(
            **facts,
            found=Phrase("{n} names", "{n} nombres", n=len(classes)),
            expected=Phrase(
                "{n}, for its classes {shown}",
                "{n}, por sus clases {shown}",
                n=len(own),
                shown=shown,
            ),
        )
    if orders.task == "binary" and len(classes) != 2:
        raise ClassesDiffer(
            **facts,
            found=Phrase("{n} classes: {shown}", "{n} clases: {shown}", n=len(own), shown=shown),
            expected=Phrase("two (task='binary')", "dos (task='binary')"),
        )
    if orders.positive is not None and orders.positive not in classes:
        raise ClassesDiffer(
            **facts,
            found=Phrase("the classes {shown}", "las clases {shown}", shown=shown),
            expected=Phrase(
                "positive={positive!r} among them",
                "positive={positive!r} entre ellas",
                positive=orders.positive,
            ),
        )
    return classes


def describe(estimator: Any, orders: Orders, *, classifier: bool) -> Description:
    """Say what a model takes and gives, as far as it knows itself."""
    names = names_of(estimator) or [
        f"feature_{at}" for at in range(int(getattr(estimator, "n_features_in_", 0)))
    ]
    words: dict[str, list[str]] = {}
    _taught(estimator, list(names), words)
    classes = classes_of(estimator, orders) if classifier else None
    task = "regression" if classes is None else "binary" if len(classes) == 2 else "multiclass"
    features = [
        (name, "category" if name in words else "number", words.get(name, [])) for name in names
    ]
    return Description(type(estimator).__name__, task, features, classes)


def _taught(part: Any, names: list[str], words: dict[str, list[str]]) -> None:
    """Find the words that encoders anywhere in a pipeline were fitted on."""
    kind = type(part).__name__
    if kind == "Pipeline":
        for _, step in part.steps:
            _taught(step, names, words)
            if type(step).__name__ == "ColumnTransformer":
                return
    elif kind == "ColumnTransformer":
        for _, step, columns in part.transformers_:
            if not isinstance(step, str):
                _taught(step, [names[at] for at in chosen(part, columns)], words)
    elif hasattr(part, "categories_") and len(part.categories_) == len(names):
        for name, values in zip(names, part.categories_, strict=True):
            if any(isinstance(value, str) for value in values):
                words[name] = [value for value in values if isinstance(value, str)]
