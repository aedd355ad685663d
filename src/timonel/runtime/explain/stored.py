"""What a version keeps so that its answers can be explained: one artifact, made at compilation."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from timonel.runtime.explain.forest import PackedForest, pack
from timonel.runtime.featuriser import Featuriser, FloatMatrix, Value
from timonel.runtime.trees import Ensemble

ARTIFACT = "explain.msgpack"
FORMAT = 1
BACKGROUND_ROWS = 64


class Stored(msgspec.Struct, frozen=True):
    """The stored part of an explanation.

    Parameters
    ----------
    format : int
    n_rows : int
        How many rows "usual" is measured on; 0 where the trees themselves say it.
    means : list of float
        Of each column (linear models).
    forest : PackedForest or None
        The trees with their covers (ensembles whose margins add up).
    rows : list of rows
        What missing features are drawn from (all other models).
    """

    format: int = FORMAT
    n_rows: int = 0
    means: list[float] = []
    forest: PackedForest | None = None
    rows: list[list[Any]] = []

    def encode(self) -> bytes:
        """Give its bytes."""
        return msgspec.msgpack.encode(self)


_decoder = msgspec.msgpack.Decoder(Stored)


def decode(data: bytes) -> Stored:
    """Read it back; raises ``msgspec.ValidationError`` on another form."""
    return _decoder.decode(data)


def of_linear(featuriser: Featuriser, rows: Sequence[Sequence[Value]]) -> Stored:
    """Keep the means of all columns over usual rows."""
    means = np.zeros(featuriser.n_columns)
    means[: featuriser.n_dense] = featuriser.dense_rows(rows).mean(axis=0)
    for values in rows:
        for column, weight in featuriser.text_row(values):
            means[column] += weight / len(rows)
    return Stored(n_rows=len(rows), means=means.tolist())


def of_trees(ensembles: Sequence[tuple[float, Ensemble]]) -> Stored | None:
    """Keep the trees; None where their margins do not add up to the answer."""
    forest = pack(ensembles) if ensembles else None
    return None if forest is None else Stored(forest=forest)


def of_rows(rows: Sequence[Sequence[Value]]) -> Stored:
    """Keep some usual rows, evenly taken."""
    n = min(BACKGROUND_ROWS, len(rows))
    kept = [list(rows[at * len(rows) // n]) for at in range(n)]
    return Stored(n_rows=len(kept), rows=kept)


def matrix_row(featuriser: Featuriser, values: Sequence[Value]) -> FloatMatrix:
    """Give one row as the estimator sees it, shape (n_columns,)."""
    return np.asarray(featuriser.row(values), dtype=np.float64)
