"""What data cannot be trained on, said before any time is spent."""

from collections import Counter

from timonel.errors import closest
from timonel.project.model import Model, Task
from timonel.training.errors import TooFewRows, UnusableData
from timonel.training.table import Table, class_list


def require_trainable(table: Table, model: Model) -> None:
    """Refuse a table that a model cannot be trained and measured on.

    Raises
    ------
    TooFewRows
        Under the policy's ``min_samples``.
    UnusableData
        For one class only, a constant target, classes that the task does not have, an unknown
        ``positive``, or rows that leave nothing to measure on.
    """
    if len(table) < model.policy.min_samples:
        left_out = ", ".join(f"{n} {reason}" for reason, n in table.dropped.items())
        raise TooFewRows(
            model=model.name,
            found=len(table),
            read=table.n_read,
            expected=model.policy.min_samples,
            dropped=left_out or "none",
        )
    if model.task == Task.REGRESSION:
        if min(table.target) == max(table.target):
            raise _refused(
                model,
                f"the constant target {model.target} = {table.target[0]:g}",
                "values that differ",
            )
    else:
        _require_classes(table, model)
    _require_holdout(table, model)


def _require_classes(table: Table, model: Model) -> None:
    classes = class_list(table.target)
    shown = ", ".join(map(str, classes[:8])) + (", ..." if len(classes) > 8 else "")
    if len(classes) < 2:
        raise _refused(model, f"only the class {shown} in {model.target}", "at least two classes")
    if model.task == Task.BINARY and len(classes) > 2:
        raise UnusableData(
            model=model.name,
            found=f"{len(classes)} classes in {model.target}: {shown}",
            expected="two (the task is binary)",
            mend_en="Declare task='multiclass', or correct the column.",
            mend_es="Declare task='multiclass', o corrija la columna.",
        )
    if model.task == Task.BINARY and model.positive not in {None, *classes}:
        raise UnusableData(
            model=model.name,
            found=f"positive={model.positive!r}",
            expected=f"one of the classes {closest(str(model.positive), list(map(str, classes)))}",
            mend_en="Write `positive=` as the data write it (a number is not its text).",
            mend_es="Escriba `positive=` como está en los datos (un número no es su texto).",
        )
    if len(classes) > max(100, len(table) // 10):
        raise UnusableData(
            model=model.name,
            found=f"{len(classes)} classes in {len(table)} rows: {shown}",
            expected="a class to have several rows",
            mend_en="Declare task='regression' if the target is a number, or group rare classes.",
            mend_es="Declare task='regression' si el objetivo es un número, o agrupe las clases "
            "raras.",
        )
    rarest, n = min(Counter(table.target).items(), key=lambda item: item[1])
    if model.task == Task.BINARY and n < 2:
        raise _refused(model, f"one row of class {rarest}", "at least two rows of each class")


def _require_holdout(table: Table, model: Model) -> None:
    for name, column in (("time", table.time), ("group", table.group)):
        if column is not None and len(set(column)) < 2:
            raise UnusableData(
                model=model.name,
                found=f"one value in the column {name}={getattr(model, name)!r}",
                expected="several, so that some rows can be held out",
                mend_en=f"Name another column, or none, in Model({name}=).",
                mend_es=f"Indique otra columna, o ninguna, en Model({name}=).",
            )
    if len(set(zip(table.values, table.target, strict=True))) < 2:
        raise _refused(model, "one row, repeated", "rows that differ")


def _refused(model: Model, found: str, expected: str) -> UnusableData:
    return UnusableData(
        model=model.name,
        found=found,
        expected=expected,
        mend_en=f"Check the column {model.target!r} and how its source is read.",
        mend_es=f"Revise la columna {model.target!r} y cómo se lee su fuente.",
    )
