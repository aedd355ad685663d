"""What pydantic's checks expect, said as our errors say it; pydantic itself is not needed here."""

from collections.abc import Mapping
from typing import Any

from timonel.errors import Phrase

_EXPECTED = {
    "uuid_parsing": ("the text of a UUID", "el texto de un UUID"),
    "int_parsing": ("a whole number", "un número entero"),
    "int_from_float": ("a whole number", "un número entero"),
    "int_type": ("a whole number", "un número entero"),
    "float_parsing": ("a number", "un número"),
    "bool_parsing": ("true or false", "true o false"),
    "string_type": ("a text", "un texto"),
    "dict_type": ("an object", "un objeto"),
    "model_attributes_type": ("an object", "un objeto"),
    "list_type": ("a list", "una lista"),
    "missing": ("this field", "este campo"),
    "extra_forbidden": ("only the known fields", "solo los campos conocidos"),
    "greater_than_equal": ("at least {ge}", "al menos {ge}"),
    "less_than_equal": ("at most {le}", "a lo más {le}"),
    "greater_than": ("more than {gt}", "más de {gt}"),
    "less_than": ("less than {lt}", "menos de {lt}"),
    "string_too_long": ("at most {max_length} characters", "a lo más {max_length} caracteres"),
    "string_too_short": ("at least {min_length} characters", "al menos {min_length} caracteres"),
    "too_short": ("at least {min_length} of them", "al menos {min_length}"),
    "too_long": ("at most {max_length} of them", "a lo más {max_length}"),
    "string_pattern_mismatch": (
        "a text of the form {pattern}",
        "un texto de la forma {pattern}",
    ),
    "literal_error": ("one of {expected}", "uno de {expected}"),
    "enum": ("one of {expected}", "uno de {expected}"),
}


def expected_by(entry: Mapping[str, Any]) -> str:
    """Say what a failed check wanted (an entry of ``ValidationError.errors()``).

    Returns
    -------
    str
        A phrase; of a rare check, pydantic's own words.
    """
    texts = _EXPECTED.get(entry["type"])
    if texts is None:
        return str(entry["msg"]).removeprefix("Input should be ")
    return Phrase(*texts, **entry.get("ctx", {}))
