"""What can stand in the way of a look at drift."""

from timonel.errors import Conflict, NotFound, ProjectFault, Text


class CannotSimulate(ProjectFault):
    """A version whose drift cannot be simulated."""

    code = "cannot_simulate"
    texts = {
        "en": Text(
            "Cannot simulate drift of {version}: {found}, expected a reference and at least 200 "
            "rows held back.",
            "Train a version on more rows: `timonel train`. A fifth of them is held back.",
        ),
        "es": Text(
            "No se puede simular la deriva de {version}: hay {found}, se esperaba una referencia y "
            "al menos 200 filas reservadas.",
            "Entrene una versión con más filas: `timonel train`. Se reserva un quinto de ellas.",
        ),
    }


class NothingToCompare(Conflict):
    """A model without rows of which anything could be compared."""

    code = "nothing_to_compare"
    texts = {
        "en": Text(
            "Cannot compare the rows of {model}: {why}, expected a version in production and a "
            "judged window.",
            "Put a version into production (`timonel promote {model}`); windows are judged by "
            "`timonel up` or `timonel worker` when an hour of traffic is complete.",
        ),
        "es": Text(
            "No se pueden comparar las filas de {model}: {why}; se esperaba una versión en "
            "producción y una ventana juzgada.",
            "Ponga una versión en producción (`timonel promote {model}`); las ventanas las juzga "
            "`timonel up` o `timonel worker` cuando se completa una hora de tráfico.",
        ),
    }


class ColumnNotJudged(NotFound):
    """A column that no judged window has."""

    code = "column_not_judged"
    texts = {
        "en": Text(
            "Cannot show the column {column} of {model}: no judged window has it, expected one of "
            "{known}.",
            "Name one of them, as the schema writes it.",
        ),
        "es": Text(
            "No se puede mostrar la columna {column} de {model}: ninguna ventana juzgada la tiene; "
            "se esperaba una de {known}.",
            "Nombre una de ellas, como la escribe el esquema.",
        ),
    }
