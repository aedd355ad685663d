"""Steps that repeat, bit for bit, what transformers fitted elsewhere do to one column; `Step`.

``chain`` is elementwise arithmetic on a number, in the order of the pipeline it was read from.
``map`` looks a value up: one-hot, ordinal and target encodings, indicators, in any combination,
with what later steps made of their numbers already worked out. ``refuse`` gives no column: it
says which values the original model cannot answer for, so that none is answered here either.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import inf, isfinite, isnan, nan
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from timonel.errors import Phrase
from timonel.runtime.errors import RowRefused

FloatMatrix = NDArray[np.float64]
Operation = tuple[str, float]
Name = Callable[[Any], str]

_MOST_CELLS = 4096  # of a table of vectors that are worked out ahead
_SIGNS = {"sub": "-", "add": "+", "mul": "*", "div": "/"}
_Found = TypeVar("_Found")


class Step(ABC):
    """One step of a plan: ``width`` columns, for one value and for a column of values."""

    width: int

    @abstractmethod
    def cells(self, value: Any) -> Sequence[float]:
        """Give the columns of one value, length ``width``."""

    @abstractmethod
    def columns(self, values: Sequence[Any]) -> FloatMatrix:
        """Give the columns of many values, shape (n_values, width)."""

    def source(self, value: str, name: Name) -> str:
        """Write ``cells`` as items of a list in Python.

        Parameters
        ----------
        value : str
            The variable that holds the value.
        name : callable
            Gives what an object is called in the text: nothing else may enter it.
        """
        return f"*{name(self.cells)}({value})"


class Known(dict[Any, _Found], Generic[_Found]):
    """What was worked out for the values that are known; others are worked out when they come."""

    def __init__(self, values: Iterable[Any], find: Callable[[Any], _Found]) -> None:
        super().__init__((value, find(value)) for value in values)
        self._find = find

    def __missing__(self, value: Any) -> _Found:
        return self._find(value)


def looked_up(step: Step, values: Sequence[Any], value: str, name: Name) -> str:
    """Write a step as a look-up among its known values; where those are many, as a call."""
    if len(values) * step.width > _MOST_CELLS:
        return Step.source(step, value, name)
    table = Known([None, *values], lambda one: tuple(step.cells(one)))
    return f"*{name(table)}[{value}]"


def constant(number: float, name: Name) -> str:
    """Write a float, to the last bit."""
    return repr(number) if isfinite(number) else name(number)


def apply_operations(operations: Sequence[Sequence[Any]], number: float) -> float:
    """Do fill, sub, add, mul, div, floor and cap (limits), in float64, on one number."""
    for name, operand in operations:
        if name == "fill":
            number = operand if isnan(number) else number
        elif name == "sub":
            number -= operand
        elif name == "add":
            number += operand
        elif name == "mul":
            number *= operand
        elif name == "div":
            number /= operand
        elif name == "floor":
            number = operand if number < operand else number
        elif name == "cap":
            number = operand if number > operand else number
        elif name == "log1p":
            number = float(np.log1p(number)) if number > -1.0 else -inf if number == -1.0 else nan
        else:
            message = f"no operation {name!r}"
            raise ValueError(message)
    return number


class Chain(Step):
    """``value`` (missing: NaN), then ``ops`` in order: one column."""

    width = 1

    def __init__(self, step: dict[str, Any], _zone: ZoneInfo) -> None:
        self._operations = [(str(name), float(operand)) for name, operand in step["ops"]]
        apply_operations(self._operations, 0.0)  # an unknown operation is refused at once

    def cells(self, value: float | None) -> list[float]:
        """Give the column of one value."""
        return [apply_operations(self._operations, nan if value is None else float(value))]

    def source(self, value: str, name: Name) -> str:
        """Write the arithmetic in its order; what needs its number twice is called."""
        operations, text = self._operations, f"({name(nan)} if {value} is None else float({value}))"
        if operations and operations[0][0] == "fill":
            fill, operations = constant(operations[0][1], name), operations[1:]
            text = f"({fill} if {value} is None or {value} != {value} else float({value}))"
        for operation in operations:
            sign = _SIGNS.get(operation[0])
            if sign is None:
                text = f"{name(partial(apply_operations, (operation,)))}({text})"
            else:
                text = f"({text} {sign} {constant(operation[1], name)})"
        return text

    def columns(self, values: Sequence[float | None]) -> FloatMatrix:
        """Give the column of many values."""
        numbers = np.array([nan if v is None else v for v in values], dtype=np.float64)
        with np.errstate(all="ignore"):
            for name, operand in self._operations:
                numbers = _OF_ARRAYS[name](numbers, operand)
        return numbers[:, None]


_OF_ARRAYS: dict[str, Any] = {
    "fill": lambda x, c: np.where(np.isnan(x), c, x),
    "sub": lambda x, c: x - c,
    "add": lambda x, c: x + c,
    "mul": lambda x, c: x * c,
    "div": lambda x, c: x / c,
    "floor": lambda x, c: np.where(x < c, c, x),
    "cap": lambda x, c: np.where(x > c, c, x),
    "log1p": lambda x, _c: np.log1p(x),
}


class Mapped(Step):
    """A look-up: ``base`` for what is not listed, changed at some columns for what is.

    Fields: ``base`` (width numbers; null: NaN), ``values``, ``set`` (for each value a list of
    [column, number]), ``missing`` (the same for a missing value).
    """

    def __init__(self, step: dict[str, Any], _zone: ZoneInfo) -> None:
        self._base = [_number(number) for number in step["base"]]
        self.width = len(self._base)
        self._set: dict[Any, list[tuple[int, float]]] = {
            value: [(int(at), _number(number)) for at, number in changes]
            for value, changes in zip(step["values"], step["set"], strict=True)
        }
        self._set[None] = [(int(at), _number(number)) for at, number in step["missing"]]

    def cells(self, value: Any) -> list[float]:
        """Give the columns of one value."""
        vector = self._base.copy()
        for at, number in self._set.get(value, ()):
            vector[at] = number
        return vector

    def source(self, value: str, name: Name) -> str:
        """Write the look-up."""
        return looked_up(self, [known for known in self._set if known is not None], value, name)

    def columns(self, values: Sequence[Any]) -> FloatMatrix:
        """Give the columns of many values."""
        known = {value: self.cells(value) for value in set(values)}
        matrix = np.array([known[value] for value in values], dtype=np.float64)
        return matrix.reshape(len(values), self.width)


class Refuse(Step):
    """No column; raises for what the original cannot answer.

    Fields: ``missing`` (whether a missing value is refused), ``values`` (the words it knows;
    null: any), ``name`` of the feature, ``model``.
    """

    width = 0

    def __init__(self, step: dict[str, Any], _zone: ZoneInfo) -> None:
        self._missing = bool(step["missing"])
        self._values = None if step["values"] is None else frozenset(step["values"])
        self._name, self._model = step["name"], step["model"]

    def _check(self, value: Any) -> None:
        if value is None:
            if self._missing:
                raise RowRefused(
                    model=self._model,
                    found=Phrase("no value for {name}", "ningún valor de {name}", name=self._name),
                    expected=Phrase("a value", "un valor"),
                )
        elif self._values is not None and value not in self._values:
            raise RowRefused(
                model=self._model,
                found=f"{self._name} = {str(value)[:80]!r}",
                expected=Phrase("a word that it was taught", "una palabra que conozca"),
            )

    def cells(self, value: Any) -> tuple[()]:
        """Check one value."""
        self._check(value)
        return ()

    def columns(self, values: Sequence[Any]) -> FloatMatrix:
        """Check many values."""
        for value in set(values):
            self._check(value)
        return np.zeros((len(values), 0))


def _number(number: float | None) -> float:
    return nan if number is None else float(number)
