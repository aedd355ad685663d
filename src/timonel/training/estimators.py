"""The estimators behind the recipes: fixed seeds, one thread, the same bytes every time.

Threads change the order in which floating-point sums are made, and with it the model; so each
estimator trains on one. Defaults are moderate ones that do well unattended; ``parameters`` of a
recipe go over them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

import numpy as np

from timonel.errors import closest
from timonel.project.model import Model, Task
from timonel.project.recipes import Recipe, recipe_of
from timonel.schema.features import Category, Text, Timestamp
from timonel.training.errors import RecipeFailed

Build = Callable[[Model, int, dict[str, Any]], Any]
VOTING_WEIGHTS = (3, 3, 1, 2)
FOUR = ("xgboost", "lightgbm", "random_forest", "gradient_boosting")
_CALENDAR_COLUMNS = 3


def resolve(model: Model) -> Recipe:
    """Give the recipe that a model is trained with: ``automatic`` becomes a definite one."""
    recipe = recipe_of(model.recipe)
    if recipe.name != "automatic":
        return recipe
    regression = model.task == Task.REGRESSION
    if any(isinstance(feature, Text) for feature in model.schema):
        name = "ridge" if regression else "logistic"
        return replace(recipe, name=name, encoding="scaled", native_missing=False)
    return replace(recipe, name="xgboost", encoding="onehot", native_missing=True)


def build(recipe: Recipe, model: Model, seed: int) -> Any:
    """Make the unfitted estimator of a named recipe.

    Raises
    ------
    RecipeFailed
        If no recipe has this name, it is not for this task, or a parameter is unknown.
    """
    make = _BUILDERS.get(recipe.name)
    if make is None:
        raise RecipeFailed(
            model=model.name,
            recipe=recipe.name,
            found="no such recipe",
            expected=f"one of {closest(recipe.name, sorted(_BUILDERS))}",
        )
    try:
        return make(model, seed, recipe.parameters)
    except (TypeError, ValueError) as error:
        raise RecipeFailed(
            model=model.name,
            recipe=recipe.name,
            found=f"{type(error).__name__}: {error}",
            expected="parameters of its estimator",
        ) from error


def _logistic(model: Model, seed: int, parameters: dict[str, Any]) -> Any:
    from sklearn.linear_model import LogisticRegression

    if not _of_classes(model):
        message = "it is for classes; a regression is served by recipes.ridge()"
        raise ValueError(message)
    return LogisticRegression(**{"C": 1.0, "max_iter": 2000, "random_state": seed, **parameters})


def _ridge(model: Model, seed: int, parameters: dict[str, Any]) -> Any:
    from sklearn.linear_model import Ridge

    if _of_classes(model):
        message = "it is for numbers; classes are served by recipes.logistic()"
        raise ValueError(message)
    return Ridge(**{"alpha": 1.0, "random_state": seed, **parameters})


def _kmeans(model: Model, seed: int, parameters: dict[str, Any]) -> Any:
    from sklearn.cluster import KMeans

    fixed = {"n_init": 10, "random_state": seed}
    return ClusterMeans(KMeans(**{**fixed, **parameters}), of_classes=_of_classes(model))


class ClusterMeans:
    """What the training rows of each cluster were: shares of the classes, or the mean.

    One row of the overall shares is added to each cluster, so that no class is impossible there.

    Parameters
    ----------
    clusters : sklearn.cluster.KMeans
        Unfitted.
    of_classes : bool
        The target is the index of a class, counted from 0.
    """

    def __init__(self, clusters: Any, *, of_classes: bool) -> None:
        self.clusters = clusters
        self.of_classes = of_classes
        self.values = np.zeros((0, 1))

    def fit(self, matrix: Any, y: Any) -> Self:
        """Find the clusters, then look at the target; ``values`` has shape (n_clusters, n)."""
        at = self.clusters.fit(matrix).labels_
        truth = np.eye(int(y.max()) + 1)[y] if self.of_classes else y.reshape(-1, 1)
        overall = truth.mean(axis=0)
        n, prior = len(self.clusters.cluster_centers_), int(self.of_classes)
        inside = [truth[at == cluster] for cluster in range(n)]
        self.values = np.array(
            [(rows.sum(axis=0) + prior * overall) / (len(rows) + prior) for rows in inside]
        )
        return self

    def predict_proba(self, matrix: Any) -> Any:
        """Give the shares of the classes, shape (n_rows, n_classes)."""
        return self.values[self.clusters.predict(matrix)]

    def predict(self, matrix: Any) -> Any:
        """Give the means, shape (n_rows,)."""
        return self.values[self.clusters.predict(matrix), 0]


def _random_forest(model: Model, seed: int, parameters: dict[str, Any]) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    fixed = {"n_estimators": 200, "min_samples_leaf": 2, "random_state": seed, "n_jobs": 1}
    kind = RandomForestClassifier if _of_classes(model) else RandomForestRegressor
    return kind(**{**fixed, **parameters})


def _gradient_boosting(model: Model, seed: int, parameters: dict[str, Any]) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    fixed = {"n_estimators": 100, "learning_rate": 0.1, "max_depth": 3, "random_state": seed}
    kind = GradientBoostingClassifier if _of_classes(model) else GradientBoostingRegressor
    return kind(**{**fixed, **parameters})


def _xgboost(model: Model, seed: int, parameters: dict[str, Any]) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    fixed = {
        "n_estimators": 200,
        "learning_rate": 0.1,
        "max_depth": 6,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
        "tree_method": "hist",
        "random_state": seed,
        "n_jobs": 1,
    }
    kind = XGBClassifier if _of_classes(model) else XGBRegressor
    return kind(**{**fixed, **parameters})


def _lightgbm(model: Model, seed: int, parameters: dict[str, Any]) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    fixed = {
        "n_estimators": 200,
        "learning_rate": 0.1,
        "num_leaves": 31,
        "subsample": 0.8,
        "subsample_freq": 1,
        "colsample_bytree": 0.8,
        "random_state": seed,
        "n_jobs": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    kind = LGBMClassifier if _of_classes(model) else LGBMRegressor
    return kind(**{**fixed, **parameters})


def _voting(model: Model, seed: int, parameters: dict[str, Any]) -> Any:
    from sklearn.ensemble import VotingClassifier, VotingRegressor

    weights = parameters.get("weights", VOTING_WEIGHTS)
    if _of_classes(model):
        return VotingClassifier(
            _four(model, seed, parameters), voting="soft", weights=weights, flatten_transform=False
        )
    return VotingRegressor(_four(model, seed, parameters), weights=weights)


def _four(model: Model, seed: int, parameters: dict[str, Any]) -> list[tuple[str, Any]]:
    given: dict[str, dict[str, Any]] = parameters.get("members", {})
    unknown = sorted(set(given) - set(FOUR))
    if unknown:
        message = f"members={unknown}; its members are {', '.join(FOUR)}"
        raise ValueError(message)
    return [(name, _BUILDERS[name](model, seed, given.get(name, {}))) for name in FOUR]


def _hist_gradient_boosting(model: Model, seed: int, parameters: dict[str, Any]) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    given = dict(parameters)
    columns = _category_columns(model) if given.pop("categorical") else []
    fixed = {
        "max_iter": 100,
        "learning_rate": 0.1,
        "early_stopping": False,
        "random_state": seed,
        "categorical_features": columns or None,
    }
    kind = HistGradientBoostingClassifier if _of_classes(model) else HistGradientBoostingRegressor
    return kind(**{**fixed, **given})


def _category_columns(model: Model) -> list[int]:
    """Find the columns of categories where each is one (``timonel.training.features``)."""
    found, at = [], 0
    for feature in model.schema:
        if isinstance(feature, Category):
            found.append(at)
        if not isinstance(feature, Text):  # text columns come last
            at += _CALENDAR_COLUMNS if isinstance(feature, Timestamp) else 1
    return found


def _stacking(model: Model, seed: int, parameters: dict[str, Any]) -> Any:
    from sklearn.ensemble import StackingClassifier, StackingRegressor

    final = _BUILDERS["logistic" if _of_classes(model) else "ridge"](model, seed, {})
    kind = StackingClassifier if _of_classes(model) else StackingRegressor
    members = _four(model, seed, parameters)
    given = {name: value for name, value in parameters.items() if name not in {"folds", "members"}}
    return kind(members, final_estimator=final, cv=parameters.get("folds", 5), **given)


def _calibrated(model: Model, seed: int, parameters: dict[str, Any]) -> Any:
    from sklearn.calibration import CalibratedClassifierCV

    if not _of_classes(model):
        message = "it is for classes: numbers have no probabilities to calibrate"
        raise ValueError(message)
    of = _BUILDERS[parameters["of"]](model, seed, parameters["given"])
    return CalibratedClassifierCV(of, method=parameters["method"], cv=parameters["folds"])


def _of_classes(model: Model) -> bool:
    return model.task != Task.REGRESSION


_BUILDERS: dict[str, Build] = {
    "logistic": _logistic,
    "ridge": _ridge,
    "kmeans": _kmeans,
    "random_forest": _random_forest,
    "gradient_boosting": _gradient_boosting,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "voting": _voting,
    "hist_gradient_boosting": _hist_gradient_boosting,
    "stacking": _stacking,
    "calibrated": _calibrated,
}
