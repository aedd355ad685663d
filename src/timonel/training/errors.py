"""What keeps a model from being trained or published."""

from timonel.errors import ProjectFault, Text


class UnusableData(ProjectFault):
    """The training data cannot be used as they are."""

    code = "unusable_data"
    texts = {
        "en": Text(
            "Cannot train {model}: found {found}, expected {expected}.",
            "{mend_en}",
        ),
        "es": Text(
            "No se puede entrenar {model}: hay {found}, se esperaba {expected}.",
            "{mend_es}",
        ),
    }


class TooFewRows(ProjectFault):
    """Fewer labelled, valid rows than the policy asks for."""

    code = "too_few_rows"
    texts = {
        "en": Text(
            "Cannot train {model}: {found} usable rows of {read} read, at least {expected} are "
            "needed. Left out: {dropped}.",
            "Bring more labelled rows, widen the schema if it refuses good ones, or lower "
            "`Policy(min_samples=)`.",
        ),
        "es": Text(
            "No se puede entrenar {model}: {found} filas utilizables de {read} leídas, se "
            "necesitan al menos {expected}. Se dejaron fuera: {dropped}.",
            "Traiga más filas con su resultado, amplíe el esquema si rechaza filas buenas, o baje "
            "`Policy(min_samples=)`.",
        ),
    }


class RecipeFailed(ProjectFault):
    """A recipe raised, or gave something that is no usable estimator."""

    code = "recipe_failed"
    texts = {
        "en": Text(
            "Cannot train {model}: recipe {recipe} gave {found}, expected {expected}.",
            "Correct the recipe in the project's Python file; `recipes.automatic()` always works.",
        ),
        "es": Text(
            "No se puede entrenar {model}: la receta {recipe} dio {found}, se esperaba {expected}.",
            "Corrija la receta en el archivo Python del proyecto; `recipes.automatic()` siempre "
            "funciona.",
        ),
    }


class UnusableRules(ProjectFault):
    """Rules that could not answer in service."""

    code = "unusable_rules"
    texts = {
        "en": Text(
            "Cannot use the rules {module}:{function}: {found}, expected {expected}.",
            "Rules are one file of plain Python (standard library only): "
            "`def {function}(row) -> Answer`, or None where they cannot say. Correct "
            "{module}.py and run the command again.",
        ),
        "es": Text(
            "No se pueden usar las reglas {module}:{function}: {found}, se esperaba {expected}.",
            "Las reglas son un archivo de Python simple (solo la biblioteca estándar): "
            "`def {function}(row) -> Answer`, o None cuando no pueden decir. Corrija {module}.py "
            "y repita el comando.",
        ),
    }
