"""What the brought model itself refuses: missing values, words that it was not taught.

It is asked, not read: each feature of an ordinary row in turn is left out or made unknown. What it
refuses it must refuse in service too, and is not asked of it in the parity rows.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from timonel.errors import Phrase
from timonel.runtime.featuriser import FloatMatrix, Value
from timonel.schema.features import Category
from timonel.schema.schema import Schema
from timonel.training.bring.errors import CannotAnswer
from timonel.training.bring.inputs import Inputs
from timonel.training.bring.orders import Orders, Table
from timonel.training.bring.transformers import UNSEEN

_TRIED = 50


class Refusals(NamedTuple):
    """What a model cannot answer, by position in the schema.

    Parameters
    ----------
    missing : set of int
        Features that it cannot do without.
    words : dict of int to list of str
        Features whose unknown words it refuses, with the words that it knows.
    """

    missing: set[int]
    words: dict[int, list[str]]

    def steps(self, schema: Schema, model: str) -> list[dict[str, Any]]:
        """Write them as steps of a plan, those that the schema lets through."""
        found = []
        for at, feature in enumerate(schema):
            missing = at in self.missing and not feature.required
            words = self.words.get(at)
            if words is not None and isinstance(feature, Category) and feature.unseen == "reject":
                words = None if set(feature.values) <= set(words) else words
            if missing or words is not None:
                found.append(
                    {
                        "kind": "refuse",
                        "input": at,
                        "missing": missing,
                        "values": words,
                        "name": feature.name,
                        "model": model,
                    }
                )
        return found

    def allow(self, row: Sequence[Value]) -> bool:
        """Say whether the model can be asked for a row."""
        return all(row[at] is not None for at in self.missing) and all(
            row[at] is None or row[at] in words for at, words in self.words.items()
        )

    def mended(self, dirty: Table, clean: Table) -> Table:
        """Take back the dirt that the model refuses."""
        rows = [list(row) for row in dirty]
        for row, before in zip(rows, clean, strict=True):
            for at in self.missing:
                row[at] = before[at] if row[at] is None else row[at]
            for at, words in self.words.items():
                row[at] = before[at] if row[at] is not None and row[at] not in words else row[at]
        return rows


class Asked(Protocol):
    """A brought model that can be asked: an `Original`, or a graph."""

    @property
    def inputs(self) -> Inputs:
        """What it takes."""
        ...

    def __call__(self, table: Sequence[Sequence[Value]]) -> FloatMatrix:
        """Give its outputs."""
        ...


def refusals_of(original: Asked, schema: Schema, rows: Table, orders: Orders) -> Refusals:
    """Find what a model refuses.

    Raises
    ------
    CannotAnswer
        If it answers for none of the first rows.
    """
    base = _answered(original, rows, orders)
    missing: set[int] = set()
    words: dict[int, list[str]] = {}
    for at, feature in enumerate(schema):
        if at not in original.inputs.positions:
            continue
        if not answers(original, [_with(base, at, None)]):
            missing.add(at)
        if not isinstance(feature, Category):
            continue
        if not answers(original, [_with(base, at, UNSEEN)]):
            taught = [w for w in feature.values if answers(original, [_with(base, at, w)])]
            words[at] = taught
    return Refusals(missing, words)


def answers(original: Asked, table: Table) -> bool:
    """Say whether the model gives finite numbers for rows."""
    try:
        return bool(np.isfinite(original(table)).all())
    except Exception:  # noqa: BLE001 - an estimator may raise anything
        return False


def _answered(original: Asked, rows: Table, orders: Orders) -> list[Value]:
    fullest = sorted(rows, key=lambda row: sum(value is None for value in row))[:_TRIED]
    said: object = Phrase("no numbers", "ningún número")
    for row in fullest:
        try:
            found = original([row])
        except Exception as error:  # noqa: BLE001 - as above
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            continue
        if np.isfinite(found).all():
            return row
    raise CannotAnswer(
        path=orders.given,
        model=orders.model,
        found=said,
        expected=Phrase("finite numbers", "números finitos"),
    )


def _with(row: Sequence[Value], at: int, value: Value) -> list[Value]:
    changed = list(row)
    changed[at] = value
    return changed
