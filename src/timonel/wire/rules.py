"""The rules of a model as text: what crosses from a project into a serving manifest."""

import msgspec


class RulesSource(msgspec.Struct, frozen=True):
    """The project's rules module as text, and the function to call in it."""

    module: str
    function: str
    source: str
