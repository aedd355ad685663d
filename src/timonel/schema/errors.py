"""What can be wrong with a declaration or with a row."""

from typing import Any

from timonel.errors import InvalidInput, ProjectFault, Text, summary_of


class InvalidDeclaration(ProjectFault):
    """A feature, schema, model or policy that contradicts itself."""

    code = "invalid_declaration"
    texts = {
        "en": Text(
            "Cannot use the declaration of {object}: found {found}, expected {expected}.",
            "Correct it in the project's Python file and run the command again.",
        ),
        "es": Text(
            "No se puede usar la declaración de {object}: hay {found}, se esperaba {expected}.",
            "Corríjala en el archivo Python del proyecto y repita el comando.",
        ),
    }


class InvalidRow(InvalidInput):
    """One or more fields of a request break the schema; all of them are listed.

    ``errors`` in the context is a list of ``{"row", "field", "code", "found", "expected"}``.
    """

    code = "invalid_row"
    texts = {
        "en": Text(
            "Cannot predict with model {model}: {count} field(s) do not fit its schema. {summary}",
            "Send the fields as `GET /v1/models/{model}` describes them; its `example` works.",
        ),
        "es": Text(
            "No se puede predecir con el modelo {model}: {count} campo(s) no cumplen su esquema. "
            "{summary}",
            "Envíe los campos como los describe `GET /v1/models/{model}`; su `example` funciona.",
        ),
    }

    def __init__(self, *, model: str, errors: list[dict[str, Any]], **context: Any) -> None:
        context.pop("count", None)
        context.pop("summary", None)
        super().__init__(
            model=model, count=len(errors), summary=summary_of(errors), errors=errors, **context
        )
