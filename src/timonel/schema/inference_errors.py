"""What keeps a table from becoming a schema."""

from timonel.errors import ProjectFault, Text


class UnusableTarget(ProjectFault):
    """The target cannot be predicted as it is."""

    code = "unusable_target"
    texts = {
        "en": Text(
            "Cannot predict {column!r}: {found_en}; expected {expected_en}.",
            "Name another target, or another file with more rows.",
        ),
        "es": Text(
            "No se puede predecir {column!r}: {found_es}; se esperaba {expected_es}.",
            "Nombre otra columna objetivo, u otro archivo con más filas.",
        ),
    }


class NoInputs(ProjectFault):
    """Every column was left out."""

    code = "no_inputs"
    texts = {
        "en": Text(
            "Cannot make a model: no column is left to predict {target!r} from. {reasons_en}",
            "Name a table with more columns, or keep one by `--keep COLUMN`.",
        ),
        "es": Text(
            "No se puede hacer un modelo: no queda ninguna columna con la cual predecir "
            "{target!r}. {reasons_es}",
            "Nombre una tabla con más columnas, o conserve una con `--keep COLUMNA`.",
        ),
    }
