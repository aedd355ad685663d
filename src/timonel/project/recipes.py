"""Descriptions of how a model is trained; ``timonel.training`` builds their estimators."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from timonel.errors import Phrase
from timonel.schema.errors import InvalidDeclaration

Encoding = Literal["onehot", "ordinal", "scaled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A named way to train, with its parameters.

    Parameters
    ----------
    name : str
        Known to ``timonel.training.estimators``, or ``"custom"``.
    parameters : dict
        Passed on to the estimator, over the recipe's own defaults.
    encoding : {"onehot", "ordinal", "scaled"}
        How rows become the matrix that ``build`` sees: categories one-hot, or as their index; or
        one-hot with numbers standardised (linear models).
    native_missing : bool
        Missing numbers stay NaN (the estimator handles them); else the training median.
    build : callable or None
        Custom only: ``(X, y, seed) -> fitted estimator``; X float64 ndarray, shape
        (n_rows, n_columns), y ndarray, shape (n_rows,).
    """

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    encoding: Encoding = "onehot"
    native_missing: bool = False
    build: Callable[..., Any] | None = None


def automatic() -> Recipe:
    """Choose by task and columns at training: text -> linear on TF-IDF, else gradient boosting."""
    return Recipe(name="automatic")


def logistic(**parameters: Any) -> Recipe:
    """Logistic regression on standardised, one-hot columns (and TF-IDF of text columns)."""
    return Recipe(name="logistic", parameters=parameters, encoding="scaled")


def ridge(**parameters: Any) -> Recipe:
    """Ridge regression on standardised, one-hot columns (and TF-IDF of text columns)."""
    return Recipe(name="ridge", parameters=parameters, encoding="scaled")


def kmeans(*, n_clusters: int = 8, **parameters: Any) -> Recipe:
    """Clusters of the inputs (k-means); each answers what the training rows in it were.

    The clusters are found without looking at the target; the answer is the share of each class
    among a cluster's rows, or their mean, and is measured as that of any other recipe.

    Parameters
    ----------
    n_clusters : int
        At most as many as there are training rows.
    """
    return Recipe(
        name="kmeans", parameters={"n_clusters": n_clusters, **parameters}, encoding="scaled"
    )


def random_forest(**parameters: Any) -> Recipe:
    """Random forest (scikit-learn)."""
    return Recipe(name="random_forest", parameters=parameters)


def gradient_boosting(**parameters: Any) -> Recipe:
    """Gradient boosting (scikit-learn)."""
    return Recipe(name="gradient_boosting", parameters=parameters)


def xgboost(**parameters: Any) -> Recipe:
    """XGBoost, histogram trees, missing values handled by the trees."""
    return Recipe(name="xgboost", parameters=parameters, native_missing=True)


def lightgbm(**parameters: Any) -> Recipe:
    """LightGBM, deterministic, missing values handled by the trees."""
    return Recipe(name="lightgbm", parameters=parameters, native_missing=True)


def hist_gradient_boosting(*, categorical: bool = False, **parameters: Any) -> Recipe:
    """Histogram gradient boosting (scikit-learn), missing values handled by the trees.

    Parameters
    ----------
    categorical : bool
        Categories stay one column each, split by sets of their values (at most 255); such a model
        has no compiled form and is served by scikit-learn itself, in the native pool.
    """
    return Recipe(
        name="hist_gradient_boosting",
        parameters={**parameters, "categorical": categorical},
        encoding="ordinal" if categorical else "onehot",
        native_missing=True,
    )


def stacking(**parameters: Any) -> Recipe:
    """Stacking: a logistic or ridge regression over the four members of ``voting``.

    ``folds`` (default 5): the final model learns from what the four say of rows they were not
    fitted on. ``members``: parameters of single ones, such as ``{"xgboost": {"max_depth": 4}}``.
    """
    return Recipe(name="stacking", parameters=parameters)


def calibrated(
    of: Recipe, *, method: Literal["sigmoid", "isotonic"] = "sigmoid", folds: int = 3
) -> Recipe:
    """Another recipe whose probabilities are calibrated on folds it was not fitted on.

    Parameters
    ----------
    of : Recipe
        Of classes, one of this module.
    method : {"sigmoid", "isotonic"}
        Isotonic steps are too steep for compiled scores: such a model stays native.
    folds : int
    """
    if of.build is not None or of.name in {"automatic", "calibrated", "kmeans"}:
        raise InvalidDeclaration(
            object="recipes.calibrated(of)",
            found=of.name,
            expected="a named recipe of classes, such as recipes.xgboost()",
        )
    return Recipe(
        name="calibrated",
        parameters={"of": of.name, "given": of.parameters, "method": method, "folds": folds},
        encoding=of.encoding,
        native_missing=of.native_missing,
    )


def voting(**parameters: Any) -> Recipe:
    """Soft voting of XGBoost, LightGBM, random forest and gradient boosting, weights 3, 3, 1, 2.

    ``members``: parameters of single ones, such as ``{"xgboost": {"n_estimators": 500}}``.
    """
    return Recipe(name="voting", parameters=parameters)


def custom(
    build: Callable[..., Any], *, encoding: Encoding = "onehot", native_missing: bool = False
) -> Recipe:
    """Wrap a function ``(X, y, seed) -> fitted estimator`` of the project's own."""
    return Recipe(name="custom", build=build, encoding=encoding, native_missing=native_missing)


def recipe_of(value: "Recipe | Callable[..., Any] | None") -> Recipe:
    """Give the recipe that a declaration means: itself, a wrapped function, or automatic."""
    if value is None:
        return automatic()
    if isinstance(value, Recipe):
        return value
    if callable(value):
        return custom(value)
    raise InvalidDeclaration(
        object="Model(recipe=)",
        found=repr(value),
        expected=Phrase(
            "one of timonel.recipes or a function (X, y, seed) -> estimator",
            "una de timonel.recipes o una función (X, y, seed) -> estimador",
        ),
    )
