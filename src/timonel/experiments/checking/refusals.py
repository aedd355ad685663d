"""The one form in which a design is refused."""

from timonel.experiments.design import Design
from timonel.experiments.errors import InvalidDesign


def refusal(design: Design, field: str, found: str, expected: str) -> InvalidDesign:
    """Make the error that names a field, what it holds, and what was expected."""
    return InvalidDesign(experiment=design.name[:64], field=field, found=found, expected=expected)
