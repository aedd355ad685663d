"""Which feature a column of the matrix belongs to, and what it is called."""

from typing import Any, NamedTuple


class Column(NamedTuple):
    """One column.

    Parameters
    ----------
    input : int
        Position of its feature in the schema.
    kind : str
        Of the plan's step.
    word : str
        The value that a column of ones and zeros stands for; "" for a number.
    """

    input: int
    kind: str
    word: str = ""


def columns_of(plan: dict[str, Any]) -> list[Column]:
    """Name all columns of a plan in their order: dense ones first, then those of texts."""
    dense: list[Column] = []
    text: list[Column] = []
    for step in plan["steps"]:
        found = text if step["kind"] == "tfidf" else dense
        found.extend(Column(step["input"], step["kind"], word) for word in _words(step))
    return dense + text


def _words(step: dict[str, Any]) -> list[str]:
    kind = step["kind"]
    if kind == "onehot":
        named = list(map(str, step["values"]))
        return named + ["(missing)"] * step["missing"] + ["(unseen)"] * step["unseen"]
    if kind == "tfidf":
        return list(step["vocabulary"])
    if kind == "calendar":
        if not step["onehot"]:
            return list(step["parts"])
        sizes = {"month": (1, 12), "weekday": (0, 7), "hour": (0, 24)}
        return [f"{p} {sizes[p][0] + i}" for p in step["parts"] for i in range(sizes[p][1])]
    if kind == "missing":
        return ["(missing)"]
    if kind == "refuse":
        return []
    return [""] * len(step["base"]) if kind == "map" else [""]


def condition(
    column: Column, feature: str, threshold: float, *, left: bool, strict: bool, missing: bool
) -> str:
    """Say in words which way a row went at a split.

    Examples
    --------
    >>> condition(Column(0, "number"), "age", 40.0, left=True, strict=False, missing=False)
    'age <= 40'
    >>> condition(Column(0, "onehot", "red"), "colour", 0.5, left=True, strict=True, missing=False)
    'colour is not red'
    """
    if missing:
        return f"{feature} is missing"
    if column.kind in {"onehot", "missing"} and 0.0 <= threshold <= 1.0:
        word = column.word.strip("()") if column.word in {"(missing)", "(unseen)"} else column.word
        return f"{feature} is {'not ' if left else ''}{word}"
    sign = ("<" if strict else "<=") if left else (">=" if strict else ">")
    name = f"{feature} ({column.word})" if column.word else feature
    return f"{name} {sign} {threshold:.6g}"
