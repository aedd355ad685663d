"""The parity gate: a compiled model must say what its estimator says, on dirty rows too.

Compared are clean rows, rows with 15 % of their values missing, 8 % of their categories unseen
and numbers at their limits, and featurised rows that lie exactly on, just below and just above
split points. Differences may be 1e-5 (for values: relative to the value or to the spread of all,
whichever is larger); labels must be equal but where the estimator itself is tied within that
tolerance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from timonel.errors import Phrase
from timonel.runtime.featuriser import Featuriser, FloatMatrix, Value
from timonel.runtime.outputs import winner
from timonel.schema.features import Category, Flag, Number, Text
from timonel.schema.schema import Schema

TOLERANCE = 1e-5
_MISSING, _UNSEEN, _LIMIT = 0.15, 0.08, 0.05
_SPLIT_ROWS = 600
_ROW_BY_ROW = 100

Table = Sequence[Sequence[Value]]


class _Scores(Protocol):
    def row(self, featuriser: Featuriser, values: Sequence[Value]) -> list[float]: ...

    def rows(self, featuriser: Featuriser, table: Table) -> list[list[float]]: ...

    def outputs(self, matrix: FloatMatrix) -> FloatMatrix: ...


@dataclass(frozen=True, slots=True)
class Rows:
    """What the gate compares on: rows as they came, and rows made dirty."""

    clean: list[list[Value]]
    dirty: list[list[Value]]

    @classmethod
    def sample(cls, schema: Schema, table: Table, rng: np.random.Generator, n: int = 400) -> "Rows":
        """Draw up to ``n`` rows, and as many made dirty."""
        at = np.sort(rng.permutation(len(table))[:n])
        clean = [list(table[i]) for i in at]
        return cls(clean, [_dirty(schema, row, rng) for row in clean])


def _dirty(schema: Schema, row: Sequence[Value], rng: np.random.Generator) -> list[Value]:
    made: list[Value] = []
    for feature, value in zip(schema, row, strict=True):
        draw = rng.random()
        if draw < _MISSING:
            made.append(None)
        elif isinstance(feature, Category) and draw < _MISSING + _UNSEEN:
            made.append("~unseen~")
        elif isinstance(feature, Number) and draw < _MISSING + _LIMIT:
            limits = [v for v in (feature.ge, feature.le) if v is not None] or [0.0, -1e9, 1e9]
            made.append(float(limits[rng.integers(len(limits))]))
        elif isinstance(feature, Text) and draw < _MISSING + _LIMIT:
            made.append("")
        elif isinstance(feature, Flag) and draw < _MISSING + _LIMIT:
            made.append(not value)
        else:
            made.append(value)
    return made


_NO_FORM = Phrase("no compiled form", "sin forma compilada")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate found; ``why`` is None where it passed."""

    passed: bool = False
    n_rows: int = 0
    max_difference: float | None = None
    labels_equal: bool | None = None
    n_ties: int = 0
    why: Phrase | None = _NO_FORM

    def to_json(self, *, way: str, refused: list[dict[str, str]]) -> dict[str, Any]:
        """Give the form that is stored in the manifest."""
        summary = self._summary(way)
        return {
            "summary": str(summary),
            "summary_es": summary.es,
            "way": way,
            "passed": self.passed,
            "rows": self.n_rows,
            "max_difference": self.max_difference,
            "labels_equal": self.labels_equal,
            "ties": self.n_ties,
            "tolerance": TOLERANCE,
            "refused": refused,
        }

    def _summary(self, way: str) -> Phrase:
        if not self.passed:
            return Phrase("{way}: {why}", "{way}: {why}", way=way, why=self.why)
        return Phrase(
            "{way}: {n} rows, largest difference {difference:.1e}",
            "{way}: {n} filas, mayor diferencia {difference:.1e}",
            way=way,
            n=self.n_rows,
            difference=self.max_difference,
        )


def judge(
    featuriser: Featuriser,
    scores: Any,
    rows: Rows,
    of_table: Callable[[Table], FloatMatrix],
    of_matrix: Callable[[Any], FloatMatrix],
    *,
    classifier: bool,
    split_points: FloatMatrix | None = None,
) -> Verdict:
    """Hold a compiled model against its estimator.

    Parameters
    ----------
    featuriser : Featuriser
    scores : compiled form
    rows : Rows
    of_table, of_matrix : callable
        What the estimator says of rows of values, and of a featurised matrix.
    classifier : bool
    split_points : ndarray, shape (n, 2), or None
        Column and threshold of where trees decide.

    Returns
    -------
    Verdict
    """
    form: _Scores = scores
    table = rows.clean + rows.dirty
    truth = [of_table(table)]
    found = [np.array(form.rows(featuriser, table))]
    alone = np.array([form.row(featuriser, values) for values in table[-_ROW_BY_ROW:]])
    truth.append(truth[0][-_ROW_BY_ROW:])
    found.append(alone)
    if split_points is not None and len(split_points):
        on_splits = beside_splits(featuriser.rows(rows.clean), split_points)
        truth.append(of_matrix(on_splits))
        found.append(form.outputs(on_splits))
    return _compare(np.vstack(truth), np.vstack(found), classifier=classifier)


def beside_splits(matrix: FloatMatrix, split_points: FloatMatrix) -> FloatMatrix:
    """Move rows to lie on, just below and just above split points.

    Steps are those of float32 where a point is a float32 number, else of float64.
    """
    at = np.unique(
        np.linspace(0, len(split_points) - 1, min(_SPLIT_ROWS, len(split_points)), dtype=int)
    )
    made = []
    for i, index in enumerate(at):
        column, threshold = split_points[index]
        with np.errstate(over="ignore"):
            kind = np.float32 if np.float32(threshold) == threshold else np.float64
            point = kind(threshold)
            beside = [np.nextafter(point, kind(side)) for side in (-np.inf, np.inf)]
        for value in (point, *beside):
            if not np.isfinite(value):
                continue
            row = matrix[i % len(matrix)].copy()
            row[int(column)] = float(value)
            made.append(row)
    return np.array(made)


_NOT_FINITE = Phrase("an output that is not finite", "una salida que no es finita")


def _other_shape(found: FloatMatrix, truth: FloatMatrix) -> Phrase:
    return Phrase(
        "shape {found}, expected {expected}",
        "forma {found}, se esperaba {expected}",
        found=str(found.shape),
        expected=str(truth.shape),
    )


def _compare(truth: FloatMatrix, found: FloatMatrix, *, classifier: bool) -> Verdict:
    if truth.shape != found.shape:
        return Verdict(n_rows=len(truth), why=_other_shape(found, truth))
    if not (np.isfinite(truth).all() and np.isfinite(found).all()):
        return Verdict(n_rows=len(truth), why=_NOT_FINITE)
    scale = np.ones_like(truth)
    if not classifier:  # where leaves of a million cancel out, float32 keeps no millionth of one
        spread = float(np.std(truth)) or 1.0
        scale = np.maximum(spread, np.abs(truth))
    difference = float(np.max(np.abs(truth - found) / scale))
    n_ties, equal = 0, True
    for expected, got in zip(truth, found, strict=True) if classifier else ():
        right, chosen = winner(expected.tolist()), winner(got.tolist())
        if right != chosen:
            tied = abs(expected[right] - expected[chosen]) <= 2 * TOLERANCE
            n_ties += int(tied)
            equal = equal and bool(tied)
    why = None
    if difference > TOLERANCE:
        why = Phrase(
            "largest difference {difference:.2e} over {n} rows",
            "mayor diferencia {difference:.2e} en {n} filas",
            difference=difference,
            n=len(truth),
        )
    elif not equal:
        why = Phrase("another label", "otra etiqueta")
    return Verdict(why is None, len(truth), difference, equal, n_ties, why)
