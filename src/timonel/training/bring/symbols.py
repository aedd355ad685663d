"""Columns of a matrix as values: what each is made of, before any row is seen.

Every column that is understood depends on one feature only. A transformer takes a list of columns
and gives another; at the end the list becomes the steps of a featuriser plan.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import isnan
from typing import Any

from timonel.runtime.columns import apply_operations

Key = str | float | int | bool


class NotTranslatable(Exception):
    """A transformer, or an option of it, without a step of ours; the message says which."""


class KindClash(Exception):
    """A feature that the schema gives as another kind of value than the model was fitted on."""

    def __init__(self, at: int, shown: str, *, words: bool) -> None:
        super().__init__(at, shown)
        self.input = at
        self.shown = shown
        self.words = words


class Unencoded(KindClash):
    """Words that no encoder turned into numbers before the estimator."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A feature as it came: a number, a word or a text.

    Parameters
    ----------
    input : int
        Position in the schema.
    fill : word or None
        What a missing word is taken for.
    """

    input: int
    fill: Any = None


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A number and what is done to it, in order."""

    input: int
    ops: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Lookup:
    """A number for each known value, for a missing one, and for any other."""

    input: int
    entries: dict[Key, float]
    missing: float
    other: float

    def changed(self, operations: Sequence[tuple[str, float]]) -> "Lookup":
        """Give the same column with its numbers changed."""
        return Lookup(
            self.input,
            {key: apply_operations(operations, value) for key, value in self.entries.items()},
            apply_operations(operations, self.missing),
            apply_operations(operations, self.other),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One column of a text's weighted terms; ``step`` is that of all of them."""

    input: int
    at: int
    step: dict[str, Any]


Column = Raw | Arithmetic | Lookup | Term


def changed(column: Column, operations: Sequence[tuple[str, float]], what: str) -> Column:
    """Do elementwise arithmetic on a column.

    Raises
    ------
    NotTranslatable
        If it is a word or a text.
    """
    if isinstance(column, Arithmetic):
        return replace(column, ops=(*column.ops, *operations))
    if isinstance(column, Lookup):
        return column.changed(operations)
    if isinstance(column, Raw):
        raise KindClash(column.input, what, words=False)
    raise NotTranslatable(f"{what} of a text")


def steps_of(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Write columns as steps; terms of texts must come whole and in their order.

    Raises
    ------
    NotTranslatable
        If only some of a text's terms are left.
    Unencoded
        If a word is left that no encoder turned into a number.
    """
    steps: list[dict[str, Any]] = []
    for (kind, at), group in groupby(columns, key=lambda c: (type(c), c.input)):
        if kind is Raw:
            raise Unencoded(at, "an estimator that takes numbers", words=False)
        if kind is Arithmetic:
            steps += [_arithmetic(column) for column in group if isinstance(column, Arithmetic)]
        elif kind is Lookup:
            steps.append(_lookup(at, [column for column in group if isinstance(column, Lookup)]))
        else:
            steps += _terms([column for column in group if isinstance(column, Term)])
    return steps


def _arithmetic(column: Arithmetic) -> dict[str, Any]:
    names = [name for name, _ in column.ops]
    operands = dict(column.ops)
    if names in ([], ["fill"], ["sub", "div"], ["fill", "sub", "div"]):  # what has a quick step
        return {
            "kind": "number",
            "input": column.input,
            "fill": operands.get("fill"),
            "mean": operands.get("sub", 0.0),
            "scale": operands.get("div", 1.0),
        }
    return {"kind": "chain", "input": column.input, "ops": [list(pair) for pair in column.ops]}


def _lookup(at: int, columns: list[Lookup]) -> dict[str, Any]:
    base = [column.other for column in columns]
    keys = list(dict.fromkeys(key for column in columns for key in column.entries))
    vectors = [[column.entries.get(key, column.other) for column in columns] for key in keys]
    missing = [column.missing for column in columns]
    return {
        "kind": "map",
        "input": at,
        "base": [_json(number) for number in base],
        "values": keys,
        "set": [_changes(base, vector) for vector in vectors],
        "missing": _changes(base, missing),
    }


def _changes(base: Sequence[float], vector: Sequence[float]) -> list[list[Any]]:
    return [
        [at, _json(new)]
        for at, (old, new) in enumerate(zip(base, vector, strict=True))
        if new != old and not (isnan(new) and isnan(old))
    ]


def _json(number: float) -> float | None:
    return None if isnan(number) else number


def _terms(columns: list[Term]) -> Iterator[dict[str, Any]]:
    start = 0
    while start < len(columns):
        step = columns[start].step
        width = len(step["vocabulary"])
        part = columns[start : start + width]
        if [c.at for c in part] != list(range(width)) or any(c.step is not step for c in part):
            raise NotTranslatable("some of a text's terms, or in another order")
        yield {**step, "input": columns[start].input}
        start += width
