"""From validated values to the row of numbers that a model sees, by a fitted plan.

A plan is JSON; ``timonel.training.features`` fits it, this module executes it without any
training library. One row runs in plain Python, many rows column by column in numpy, and both give
the same bits (a property test): what is measured in training is what is served.

Plan: ``{"format": 1, "timezone", "n_inputs", "precision": "float32"|"float64", "steps": [...]}``.
With ``float32`` every number is rounded to the nearest float32, because ONNX trees compare in
float32: estimator and compiled model then see the same numbers, also beside a split point.

Steps, each with ``input`` (position in the schema); dense columns come first, text columns last:

=========== ======================================================================= ============
kind        fields                                                                  columns
=========== ======================================================================= ============
number      fill (None keeps NaN), mean, scale                                      1
flag        fill                                                                    1
missing                                                                             1
onehot      values, fold, missing, unseen (a column of its own for each, or none)   values + 0-2
ordinal     values, fold, other (what missing and unseen become; None: NaN)         1
calendar    parts, onehot, fill                                                     1 or n a part
tfidf       vocabulary, idf, n_max, sublinear                                       vocabulary
chain       ops (of models fitted elsewhere: `timonel.runtime.columns`)             1
map         base, values, set, missing                                              base
refuse      missing, values, name, model                                            none
=========== ======================================================================= ============
"""

from array import array
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from timonel.runtime.columns import (
    Chain,
    Known,
    Mapped,
    Name,
    Refuse,
    Step,
    constant,
    looked_up,
)
from timonel.runtime.errors import UnreadablePlan
from timonel.runtime.text import TfIdf

FORMAT = 1
Value = float | int | str | bool | None
FloatMatrix = NDArray[np.float64]
Row = Callable[[Sequence[Value]], list[float]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAN = float("nan")
_PARTS: dict[str, tuple[Callable[[datetime], int], int, int]] = {
    "month": (lambda moment: moment.month, 1, 12),
    "weekday": (lambda moment: moment.weekday(), 0, 7),
    "hour": (lambda moment: moment.hour, 0, 24),
}


class _Number(Step):
    width = 1

    def __init__(self, step: dict[str, Any], _zone: ZoneInfo) -> None:
        self.fill = _NAN if step["fill"] is None else float(step["fill"])
        self.mean, self.scale = float(step.get("mean", 0.0)), float(step.get("scale", 1.0))
        self.plain = self.mean == 0.0 and self.scale == 1.0

    def cells(self, value: float | None) -> list[float]:
        number = self.fill if value is None else float(value)
        return [number if self.plain else (number - self.mean) / self.scale]

    def source(self, value: str, name: Name) -> str:
        number = f"({constant(self.fill, name)} if {value} is None else float({value}))"
        if self.plain:
            return number
        return f"({number} - {constant(self.mean, name)}) / {constant(self.scale, name)}"

    def columns(self, values: Sequence[float | None]) -> FloatMatrix:
        fill = self.fill
        known = values  # numpy itself reads None as NaN
        if not isnan(fill) and None in values:
            known = [fill if v is None else v for v in values]
        numbers = np.array(known, dtype=np.float64)
        if not self.plain:
            with np.errstate(over="ignore"):
                numbers = (numbers - self.mean) / self.scale
        return numbers[:, None]


class _Missing(Step):
    width = 1

    def __init__(self, step: dict[str, Any], _zone: ZoneInfo) -> None:
        pass

    def cells(self, value: Any) -> list[float]:
        return [1.0 if value is None else 0.0]

    def source(self, value: str, name: Name) -> str:
        return f"(1.0 if {value} is None else 0.0)"

    def columns(self, values: Sequence[Any]) -> FloatMatrix:
        return np.array([1.0 if v is None else 0.0 for v in values], dtype=np.float64)[:, None]


class _Words:
    """Where a word stands in its list: exact spelling first, then without regard to case."""

    def __init__(self, step: dict[str, Any]) -> None:
        self.exact = {word: at for at, word in enumerate(step["values"])}
        self._folded = (
            {word.casefold(): at for at, word in enumerate(step["values"])} if step["fold"] else {}
        )

    def find(self, word: str, otherwise: int) -> int:
        at = self.exact.get(word)
        if at is None:
            at = self._folded.get(word.casefold()) if self._folded else None
        return otherwise if at is None else at


class _OneHot(Step):
    def __init__(self, step: dict[str, Any], _zone: ZoneInfo) -> None:
        self._words = _Words(step)
        n = len(step["values"])
        self._missing = n if step["missing"] else -1
        n += step["missing"]
        self._unseen = n if step["unseen"] else -1
        self.width = n + step["unseen"]
        self._zeros = [0.0] * self.width

    def _at(self, value: str | None) -> int:
        if value is None:
            return self._missing
        return self._words.find(value, self._unseen)

    def cells(self, value: str | None) -> list[float]:
        at = self._at(value)
        if at < 0:
            return self._zeros
        ones = self._zeros.copy()
        ones[at] = 1.0
        return ones

    def source(self, value: str, name: Name) -> str:
        return looked_up(self, list(self._words.exact), value, name)

    def columns(self, values: Sequence[str | None]) -> FloatMatrix:
        known = {value: self._at(value) for value in set(values)}
        at = np.array([known[value] for value in values], dtype=np.int64)
        matrix = np.zeros((len(values), self.width))
        present = np.flatnonzero(at >= 0)
        matrix[present, at[present]] = 1.0
        return matrix


class _Ordinal(Step):
    width = 1

    def __init__(self, step: dict[str, Any], _zone: ZoneInfo) -> None:
        self._words = _Words(step)
        self._other = _NAN if step["other"] is None else float(step["other"])

    def _number(self, value: str | None) -> float:
        at = -1 if value is None else self._words.find(value, -1)
        return self._other if at < 0 else float(at)

    def cells(self, value: str | None) -> list[float]:
        return [self._number(value)]

    def source(self, value: str, name: Name) -> str:
        return f"{name(Known([None, *self._words.exact], self._number))}[{value}]"

    def columns(self, values: Sequence[str | None]) -> FloatMatrix:
        known = {value: self._number(value) for value in set(values)}
        return np.array([known[value] for value in values], dtype=np.float64)[:, None]


class _Calendar(Step):
    def __init__(self, step: dict[str, Any], zone: ZoneInfo) -> None:
        self._zone = zone
        self._parts = [_PARTS[name] for name in step["parts"]]
        self._onehot = bool(step["onehot"])
        self._fill = _NAN if step["fill"] is None else float(step["fill"])
        self.width = sum(n for _, _, n in self._parts) if self._onehot else len(self._parts)

    def cells(self, value: int | None) -> list[float]:
        if value is None:
            return [0.0 if self._onehot else self._fill] * self.width
        moment = (_EPOCH + timedelta(microseconds=value)).astimezone(self._zone)
        row: list[float] = []
        for part, first, n in self._parts:
            if self._onehot:
                ones = [0.0] * n
                ones[part(moment) - first] = 1.0
                row.extend(ones)
            else:
                row.append(float(part(moment)))
        return row

    def columns(self, values: Sequence[int | None]) -> FloatMatrix:
        rows = [self.cells(value) for value in values]
        return np.array(rows, dtype=np.float64).reshape(len(values), self.width)


class _Text(Step):
    def __init__(self, step: dict[str, Any], _zone: ZoneInfo) -> None:
        self._tfidf = TfIdf.from_plan(step)
        self.width = self._tfidf.width
        self.weights = self._tfidf.weights

    def cells(self, value: str | None) -> list[float]:
        dense = [0.0] * self.width
        for column, weight in self.weights(value):
            dense[column] = weight
        return dense

    def columns(self, values: Sequence[str | None]) -> FloatMatrix:
        matrix = np.zeros((len(values), self.width))
        for at, value in enumerate(values):
            for column, weight in self.weights(value):
                matrix[at, column] = weight
        return matrix


_KINDS: dict[str, Callable[[dict[str, Any], ZoneInfo], Step]] = {
    "number": _Number,
    "flag": _Number,  # True and False are 1.0 and 0.0
    "missing": _Missing,
    "onehot": _OneHot,
    "ordinal": _Ordinal,
    "calendar": _Calendar,
    "tfidf": _Text,
    "chain": Chain,
    "map": Mapped,
    "refuse": Refuse,
}


class Featuriser:
    """Executes a plan. Immutable, and safe to share between threads.

    Attributes
    ----------
    n_inputs : int
        Values a row must have.
    n_dense, n_columns : int
        Columns before the text part, and all columns.
    dense_row : callable
        Gives the columns before the text part of one row, not rounded.
    """

    __slots__ = (
        "_dense",
        "_float32",
        "_text",
        "_whole_row",
        "dense_row",
        "n_columns",
        "n_dense",
        "n_inputs",
    )

    def __init__(
        self, dense: list[tuple[int, Any]], text: list[tuple[int, Any]], *, n_inputs: int, f32: bool
    ) -> None:
        self._dense = dense
        self._text = text
        self._float32 = f32
        self.n_inputs = n_inputs
        self.n_dense = sum(step.width for _, step in dense)
        self.n_columns = self.n_dense + sum(step.width for _, step in text)
        self.dense_row = _written(dense, n_inputs)
        self._whole_row = _written(dense + text, n_inputs) if text else self.dense_row

    @classmethod
    def from_plan(cls, plan: dict[str, Any]) -> "Featuriser":
        """Build from a plan's JSON.

        Raises
        ------
        UnreadablePlan
            If the plan is of another format or has a step that this release does not know.
        """
        if plan.get("format") != FORMAT:
            raise UnreadablePlan(
                object="plan",
                model=plan.get("model", "?"),
                found=f"format {plan.get('format')!r}",
                expected=f"format {FORMAT}",
            )
        zone = ZoneInfo(plan["timezone"])
        dense: list[tuple[int, Any]] = []
        text: list[tuple[int, Any]] = []
        for step in plan["steps"]:
            make = _KINDS.get(step["kind"])
            if make is None:
                raise UnreadablePlan(
                    object="plan",
                    model=plan.get("model", "?"),
                    found=f"a step {step['kind']!r}",
                    expected=f"one of {', '.join(_KINDS)}",
                )
            (text if step["kind"] == "tfidf" else dense).append((step["input"], make(step, zone)))
        return cls(dense, text, n_inputs=plan["n_inputs"], f32=plan["precision"] == "float32")

    def text_row(self, values: Sequence[Value]) -> list[tuple[int, float]]:
        """Give the text part as (column, weight); columns count from ``n_dense``, not rounded."""
        found: list[tuple[int, float]] = []
        start = self.n_dense
        for at, step in self._text:
            found.extend((start + column, weight) for column, weight in step.weights(values[at]))
            start += step.width
        return found

    def row(self, values: Sequence[Value]) -> list[float]:
        """Give one row, length ``n_columns``; values stand in schema order."""
        if self._float32:
            return self.row32(values).tolist()
        return self._whole_row(values)

    def row32(self, values: Sequence[Value]) -> "array[float]":
        """Give one row rounded to float32, as a buffer that numpy reads without copying."""
        # beyond float32's range: infinite, as in ``rows``
        return array("f", self._whole_row(values))

    def dense_rows(self, table: Sequence[Sequence[Value]]) -> FloatMatrix:
        """Give the columns before the text part of many rows, not rounded."""
        return _stack(self._dense, table)

    def rows(self, table: Sequence[Sequence[Value]]) -> FloatMatrix:
        """Give many rows, shape (n_rows, n_columns), bit for bit what ``row`` gives."""
        matrix = _stack(self._dense + self._text, table)
        if self._float32:
            with np.errstate(over="ignore"):
                matrix = matrix.astype(np.float32).astype(np.float64)
        return np.ascontiguousarray(matrix)


def _written(steps: list[tuple[int, Any]], n_inputs: int) -> Row:
    """Write a function of one row's values that gives the columns of some steps.

    One expression costs less than a loop over the steps, and a row alone is what most requests are.
    Only names and numbers of our own making enter its text, never a word of a plan.
    """
    scope: dict[str, Any] = {}

    def name(of: Any) -> str:
        own = f"c{len(scope)}"
        scope[own] = of
        return own

    items = ", ".join(step.source(f"v{at}", name) for at, step in steps)
    values = "".join(f"v{at}, " for at in range(n_inputs))
    unpacked = f"    {values}= values\n" if n_inputs else ""
    source = f"def row(values):\n{unpacked}    return [{items}]\n"
    exec(compile(source, "<featuriser>", "exec"), scope)  # noqa: S102 - text made above
    written: Row = scope["row"]
    return written


def _stack(steps: list[tuple[int, Any]], table: Sequence[Sequence[Value]]) -> FloatMatrix:
    parts = [step.columns([values[at] for values in table]) for at, step in steps]
    return np.hstack(parts) if parts else np.zeros((len(table), 0))
