"""What answers before the first training: the base rate or the median of all labelled rows."""

from timonel.errors import TimonelError
from timonel.project.model import Model, Task
from timonel.registry.manifest import Baseline
from timonel.training.evaluate import baseline_of
from timonel.training.table import class_list, read_table


def first_baseline(model: Model, *, timezone: str) -> Baseline | None:
    """Read a model's data for the answer that needs no training.

    Returns
    -------
    Baseline or None
        None where the data cannot be read or hold no label: nothing honest can be answered then,
        and the training says why.
    """
    try:
        target = read_table(model, timezone).target
    except TimonelError:
        return None
    if not target:
        return None
    if model.task == Task.REGRESSION:
        return baseline_of(target, None, None)
    classes = class_list(target)
    positive = model.positive if model.positive is not None else classes[-1]
    return baseline_of(target, classes, positive)
