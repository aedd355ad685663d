"""The estimators behind the recipes: fixed seeds, one thread, the same bytes every time.

Threads change the order in which floating-point sums are made, and with it the model; so each
estimator trains on one. Defaults are moderate ones that do well unattended; ``parameters`` of a
recipe go over them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from timonel.errors import closest
from timonel.project.model import Model, Task
from timonel.project.recipes import Recipe, recipe_of
from timonel.schema.features import Text
from timonel.training.errors import RecipeFailed

Build = Callable[[bool, int, dict[str, Any]], Any]
VOTING_WEIGHTS = (3, 3, 1, 2)


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
        return make(model.task != Task.REGRESSION, seed, recipe.parameters)
    except (TypeError, ValueError) as error:
        raise RecipeFailed(
            model=model.name,
            recipe=recipe.name,
            found=f"{type(error).__name__}: {error}",
            expected="parameters of its estimator",
        ) from error


def _logistic(classifier: bool, seed: int, parameters: dict[str, Any]) -> Any:
    from sklearn.linear_model import LogisticRegression

    if not classifier:
        message = "it is for classes; a regression is served by recipes.ridge()"
        raise ValueError(message)
    return LogisticRegression(**{"C": 1.0, "max_iter": 2000, "random_state": seed, **parameters})


def _ridge(classifier: bool, seed: int, parameters: dict[str, Any]) -> Any:
    from sklearn.linear_model import Ridge

    if classifier:
        message = "it is for numbers; classes are served by recipes.logistic()"
        raise ValueError(message)
    return Ridge(**{"alpha": 1.0, "random_state": seed, **parameters})


def _random_forest(classifier: bool, seed: int, parameters: dict[str, Any]) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    fixed = {"n_estimators": 200, "min_samples_leaf": 2, "random_state": seed, "n_jobs": 1}
    kind = RandomForestClassifier if classifier else RandomForestRegressor
    return kind(**{**fixed, **parameters})


def _gradient_boosting(classifier: bool, seed: int, parameters: dict[str, Any]) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    fixed = {"n_estimators": 100, "learning_rate": 0.1, "max_depth": 3, "random_state": seed}
    kind = GradientBoostingClassifier if classifier else GradientBoostingRegressor
    return kind(**{**fixed, **parameters})


def _xgboost(classifier: bool, seed: int, parameters: dict[str, Any]) -> Any:
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
    return (XGBClassifier if classifier else XGBRegressor)(**{**fixed, **parameters})


def _lightgbm(classifier: bool, seed: int, parameters: dict[str, Any]) -> Any:
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
    return (LGBMClassifier if classifier else LGBMRegressor)(**{**fixed, **parameters})


def _voting(classifier: bool, seed: int, parameters: dict[str, Any]) -> Any:
    from sklearn.ensemble import VotingClassifier, VotingRegressor

    members = [
        (name, _BUILDERS[name](classifier, seed, {}))
        for name in ("xgboost", "lightgbm", "random_forest", "gradient_boosting")
    ]
    weights = parameters.get("weights", VOTING_WEIGHTS)
    if classifier:
        return VotingClassifier(members, voting="soft", weights=weights, flatten_transform=False)
    return VotingRegressor(members, weights=weights)


_BUILDERS: dict[str, Build] = {
    "logistic": _logistic,
    "ridge": _ridge,
    "random_forest": _random_forest,
    "gradient_boosting": _gradient_boosting,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "voting": _voting,
}
