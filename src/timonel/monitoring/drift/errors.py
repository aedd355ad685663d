"""What can stand in the way of a look at drift."""

from timonel.errors import ProjectFault, Text


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
