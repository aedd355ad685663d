"""A quick fit, to see which rows to learn from: no compilation, no intervals, nothing kept."""

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from timonel.project.model import Model, Task
from timonel.retraining.learning.frames import Rows
from timonel.runtime.compile import estimator_outputs
from timonel.runtime.featuriser import Featuriser
from timonel.training.estimators import resolve
from timonel.training.features import fit_plan, matrix_of
from timonel.training.table import class_list
from timonel.training.train import fitted_estimator


def losses_of(model: Model, learn: Rows, held: Rows, timezone: str) -> NDArray[np.float64] | None:
    """Fit the model's recipe on some rows and measure it on others.

    Returns
    -------
    ndarray, shape (n_held,), or None
        Wrong or not, or absolute errors. None if the recipe cannot be fitted on these rows: the
        training that follows says why.
    """
    try:
        with threadpool_limits(1):
            return _losses(model, learn, held, timezone)
    except Exception:  # noqa: BLE001 - a recipe may raise anything
        return None


def _losses(model: Model, learn: Rows, held: Rows, timezone: str) -> NDArray[np.float64]:
    recipe = resolve(model)
    plan = fit_plan(model.schema, learn.values, recipe, timezone)
    featuriser = Featuriser.from_plan(plan)
    matrix, held_matrix = matrix_of(featuriser, learn.values), matrix_of(featuriser, held.values)
    if model.task == Task.REGRESSION:
        y = np.array(learn.target, dtype=np.float64)
        said = estimator_outputs(
            fitted_estimator(model, recipe, matrix, y, model.seed), held_matrix, classifier=False
        )
        errors = np.abs(said[:, 0] - np.array(held.target, dtype=np.float64))
        return np.asarray(errors, dtype=np.float64)
    classes = class_list(learn.target)
    index = {label: at for at, label in enumerate(classes)}
    y = np.array([index[label] for label in learn.target], dtype=np.int64)
    said = estimator_outputs(
        fitted_estimator(model, recipe, matrix, y, model.seed), held_matrix, classifier=True
    )
    truth = np.array([index.get(label, -1) for label in held.target], dtype=np.int64)
    wrong = np.argmax(said, axis=1) != truth
    return np.asarray(wrong, dtype=np.float64)
