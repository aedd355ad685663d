"""Fitted estimators read as `Ensemble` values: XGBoost, LightGBM and scikit-learn's trees."""

import json
from collections.abc import Callable
from math import log
from typing import Any

import numpy as np

from timonel.runtime.trees import Ensemble, Tree, single_output_leaves

_LIGHTGBM_ZERO = float(np.float32(1e-35))


class NotCompilable(Exception):
    """An estimator, or an option of it, that has no compiled form here; the message says why."""


def full_name(estimator: object) -> str:
    """Give ``module.Class`` of an estimator."""
    return f"{type(estimator).__module__}.{type(estimator).__qualname__}"


def read_ensemble(estimator: Any) -> Ensemble:
    """Read a fitted estimator's trees.

    Raises
    ------
    NotCompilable
        If it is no tree ensemble that is known, or uses an option without a compiled form.
    """
    reader = _READERS.get(type(estimator).__name__)
    if reader is None or full_name(estimator).split(".")[0] not in _LIBRARIES:
        raise NotCompilable(f"{full_name(estimator)} has no tree reader")
    return reader(estimator)


def _xgboost(estimator: Any) -> Ensemble:
    if not np.isnan(estimator.missing):
        raise NotCompilable(f"XGBoost with missing={estimator.missing}")
    booster = estimator.get_booster()
    best = getattr(estimator, "best_iteration", None) if estimator.early_stopping_rounds else None
    if best is not None:
        booster = booster[: best + 1]
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    if learner["gradient_booster"]["name"] != "gbtree":
        raise NotCompilable(f"XGBoost booster {learner['gradient_booster']['name']!r}")
    objective = learner["objective"]["name"]
    link = {
        "binary:logistic": "sigmoid",
        "multi:softprob": "softmax",
        "reg:squarederror": "identity",
        "reg:absoluteerror": "identity",
        "reg:pseudohubererror": "identity",
        "reg:quantileerror": "identity",
        "count:poisson": "exp",
        "reg:gamma": "exp",
        "reg:tweedie": "exp",
    }.get(objective)
    if link is None:
        raise NotCompilable(f"XGBoost objective {objective!r}")
    n_outputs = max(1, int(learner["learner_model_param"]["num_class"]))
    base = [float(v) for v in learner["learner_model_param"]["base_score"].strip("[]").split(",")]
    if len(base) == 1:
        base *= n_outputs
    if link == "sigmoid":
        base = [log(p / (1.0 - p)) for p in base]
    elif link == "exp":
        base = [log(p) for p in base]
    model = learner["gradient_booster"]["model"]
    trees = [
        _xgboost_tree(tree, output)
        for tree, output in zip(model["trees"], model["tree_info"], strict=True)
    ]
    return Ensemble(trees, base, link, strict=True)


def _xgboost_tree(tree: dict[str, Any], output: int) -> Tree:
    if any(tree["split_type"]):
        raise NotCompilable("XGBoost categorical splits")
    if int(tree["tree_param"]["size_leaf_vector"]) > 1:
        raise NotCompilable("XGBoost vector leaves")
    left = tree["left_children"]
    feature = [
        column if child >= 0 else -1
        for column, child in zip(tree["split_indices"], left, strict=True)
    ]
    # shortest decimals of float32 numbers: read as float64 they would lie beside them
    conditions = np.array(tree["split_conditions"], dtype=np.float32).tolist()
    return Tree(
        feature,
        conditions,
        left,
        tree["right_children"],
        [bool(value) for value in tree["default_left"]],
        single_output_leaves(feature, lambda at: conditions[at], output),
        tree["sum_hessian"],
    )


def _lightgbm(estimator: Any) -> Ensemble:
    best = estimator.best_iteration_ or None
    dump = estimator.booster_.dump_model(num_iteration=best)
    objective = str(dump.get("objective", "")).split(" ")
    link = {
        "binary": "sigmoid",
        "multiclass": "softmax",
        "regression": "identity",
        "regression_l1": "identity",
        "huber": "identity",
        "fair": "identity",
        "quantile": "identity",
        "mape": "identity",
        "poisson": "exp",
        "gamma": "exp",
        "tweedie": "exp",
    }.get(objective[0])
    if link is None or "sqrt" in objective:
        raise NotCompilable(f"LightGBM objective {' '.join(objective)!r}")
    if link == "sigmoid" and "sigmoid:1" not in objective:
        raise NotCompilable(f"LightGBM {' '.join(objective)!r}")
    if dump["average_output"]:
        raise NotCompilable("LightGBM in random forest mode")
    n_outputs = dump["num_tree_per_iteration"]
    trees = [
        _lightgbm_tree(entry["tree_structure"], at % n_outputs)
        for at, entry in enumerate(dump["tree_info"])
    ]
    return Ensemble(trees, [0.0] * n_outputs, link, double=True)


def _lightgbm_tree(root: dict[str, Any], output: int) -> Tree:
    tree = Tree([], [], [], [], [], {}, [])
    nodes: Any = tree  # filled in place, while it is built
    queue = [root]
    for at, node in enumerate(queue):  # grows as it goes
        if "split_feature" not in node:
            tree.leaves[at] = [(output, float(node["leaf_value"]))]
            entry = (-1, 0.0, 0, 0, False, node.get("leaf_count", root.get("internal_count", 1)))
        else:
            if node["decision_type"] != "<=" or node["missing_type"] == "Zero":
                raise NotCompilable(f"LightGBM split {node['decision_type']}")
            queue += (node["left_child"], node["right_child"])
            # "None": a NaN is read as 0
            goes_left = (
                bool(node["default_left"])
                if node["missing_type"] == "NaN"
                else node["threshold"] >= 0
            )
            entry = (
                node["split_feature"],
                _beside_zero(float(node["threshold"])),
                len(queue) - 2,
                len(queue) - 1,
                goes_left,
                node["internal_count"],
            )
        for column, value in zip(
            (
                nodes.feature,
                nodes.threshold,
                nodes.left,
                nodes.right,
                nodes.missing_left,
                nodes.cover,
            ),
            entry,
            strict=True,
        ):
            column.append(value)
    return tree


def _beside_zero(threshold: float) -> float:
    """Move a threshold out of the span, ends included, that LightGBM reads as zero."""
    if -_LIGHTGBM_ZERO <= threshold < 0.0:
        return float(np.nextafter(np.float32(-_LIGHTGBM_ZERO), np.float32(-np.inf)))
    return max(threshold, _LIGHTGBM_ZERO) if threshold >= 0.0 else threshold


def _sklearn_tree(fitted: Any, leaves: Callable[[int], list[tuple[int, float]]]) -> Tree:
    inner = fitted.tree_
    feature = [
        int(column) if child >= 0 else -1
        for column, child in zip(inner.feature, inner.children_left, strict=True)
    ]
    return Tree(
        feature,
        inner.threshold.tolist(),
        inner.children_left.tolist(),
        inner.children_right.tolist(),
        [bool(value) for value in inner.missing_go_to_left],
        {at: leaves(at) for at, column in enumerate(feature) if column < 0},
        inner.weighted_n_node_samples.tolist(),
    )


def _forest(estimator: Any) -> Ensemble:
    trees = list(getattr(estimator, "estimators_", [estimator]))
    if estimator.n_outputs_ > 1:
        raise NotCompilable("several targets")
    share = 1.0 / len(trees)

    def leaves_of(tree: Any) -> Callable[[int], list[tuple[int, float]]]:
        values = tree.tree_.value[:, 0, :]
        if hasattr(estimator, "classes_"):
            values = values / values.sum(axis=1, keepdims=True)
        weights = values * share
        return lambda at: [
            (output, float(w)) for output, w in enumerate(weights[at]) if w or output == 0
        ]

    n_outputs = len(estimator.classes_) if hasattr(estimator, "classes_") else 1
    read = [_sklearn_tree(tree, leaves_of(tree)) for tree in trees]
    return Ensemble(read, [0.0] * n_outputs, "identity")


def _gradient_boosting(estimator: Any) -> Ensemble:
    n_outputs = estimator.estimators_.shape[1]
    constant = estimator.init == "zero" or type(estimator.init_).__name__.startswith("Dummy")
    if not constant:
        raise NotCompilable("gradient boosting with an `init` estimator")
    if getattr(estimator, "loss", "") == "exponential":
        raise NotCompilable("gradient boosting with exponential loss")
    base = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), dtype=np.float32))[0]
    rate = float(estimator.learning_rate)

    def leaves_of(tree: Any, output: int) -> Callable[[int], list[tuple[int, float]]]:
        weights = (tree.tree_.value[:, 0, 0] * rate).tolist()
        return lambda at: [(output, weights[at])]

    trees = [
        _sklearn_tree(tree, leaves_of(tree, output))
        for stage in estimator.estimators_
        for output, tree in enumerate(stage)
    ]
    link = "identity"
    if hasattr(estimator, "classes_"):
        link = "sigmoid" if n_outputs == 1 else "softmax"
    return Ensemble(trees, [float(value) for value in base], link)


def _hist_gradient_boosting(estimator: Any) -> Ensemble:
    if estimator.is_categorical_ is not None and np.any(estimator.is_categorical_):
        raise NotCompilable("histogram boosting with categorical splits")
    classes = getattr(estimator, "classes_", None)
    if classes is None and estimator.loss not in {"squared_error", "absolute_error", "quantile"}:
        raise NotCompilable(f"histogram boosting with loss {estimator.loss!r}")
    trees = []
    for stage in estimator._predictors:
        for output, predictor in enumerate(stage):
            nodes = predictor.nodes
            feature = np.where(nodes["is_leaf"] == 1, -1, nodes["feature_idx"]).tolist()
            values = nodes["value"].tolist()
            trees.append(
                Tree(
                    feature,
                    nodes["num_threshold"].tolist(),
                    nodes["left"].tolist(),
                    nodes["right"].tolist(),
                    [bool(value) for value in nodes["missing_go_to_left"]],
                    single_output_leaves(feature, values.__getitem__, output),
                    nodes["count"].tolist(),
                )
            )
    base = np.ravel(estimator._baseline_prediction).tolist()
    link = "identity" if classes is None else "sigmoid" if len(base) == 1 else "softmax"
    return Ensemble(trees, base, link, double=True)


_LIBRARIES = frozenset({"sklearn", "xgboost", "lightgbm"})
_READERS: dict[str, Callable[[Any], Ensemble]] = {
    "XGBClassifier": _xgboost,
    "XGBRegressor": _xgboost,
    "LGBMClassifier": _lightgbm,
    "LGBMRegressor": _lightgbm,
    "DecisionTreeClassifier": _forest,
    "DecisionTreeRegressor": _forest,
    "ExtraTreesClassifier": _forest,
    "ExtraTreesRegressor": _forest,
    "RandomForestClassifier": _forest,
    "RandomForestRegressor": _forest,
    "GradientBoostingClassifier": _gradient_boosting,
    "GradientBoostingRegressor": _gradient_boosting,
    "HistGradientBoostingClassifier": _hist_gradient_boosting,
    "HistGradientBoostingRegressor": _hist_gradient_boosting,
}
