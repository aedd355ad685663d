"""How far one column alone gives the target away.

A column that is known only together with the target (its code, its components, a later moment)
makes a model that is perfect on paper and useless in service. Each column is measured alone, by
5-fold cross-validation of three predictors (the majority or mean of its value, of its quantile
bin, of its nearest neighbours); the best one counts. The power is the share of the baseline's
error that it removes: (accuracy - base) / (1 - base) for classes, R2 for numbers.

Measured on the data sets of this repository's tests (the strongest columns of each target):

    obesity.NObeyesdad    Weight .59, Age .30, FCVC .23           all kept
    taxis.fare            total .960 | distance .850, tip .44     total set aside
    taxis.total           fare .952 | distance .811, tip .57      fare set aside
    taxis.payment         tip .75 | total .36                     tip reported
    taxis.pickup_borough  pickup_zone .966 | dropoff_zone .29     pickup_zone set aside
    taxis.color           pickup_zone .65                         kept
    tweets.class_label    class 1.00 | offensive_language .747, neither .739, hate_speech .23,
                          count .00                               class set aside, two reported
    ems.severity          determinant 1.00, call_type .994 | dispatch_time .43
    ems.response_time     its clock writing 1.00; arrive - dispatch = target in 99 % of rows
    cdnow.dollars         n_cds .82                               kept
    california.clf_target y_pred_proba .53, Longitude .47         all kept

Between the strongest honest column (distance, .85) and the weakest give-away (fare for total, .952)
lies the limit .95; a column of a classification from .70 on is reported for a person to decide.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import polars as pl

from timonel.schema.recognition import clock_seconds, is_clock

SET_ASIDE = 0.95
REPORT_CLASSES = 0.70
REPORT_NUMBERS = 0.90
LEAST_ROWS = 40
MOST_ROWS = 20_000
_FOLDS = 5
_PAIR_COLUMNS = 40

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Power:
    """What one column says about the target.

    Parameters
    ----------
    column : str
    power : float
        Share of the baseline's error that it removes, at most 1.
    accuracy : float or None
        Classification: cross-validated accuracy of the column alone; regression: None.
    base : float or None
        Classification: share of the greatest class.
    """

    column: str
    power: float
    accuracy: float | None
    base: float | None

    @property
    def gives_away(self) -> bool:
        """Whether the column is to be set aside."""
        return self.power >= SET_ASIDE

    @property
    def reported(self) -> bool:
        """Whether a person should look at it."""
        return self.power >= (REPORT_NUMBERS if self.accuracy is None else REPORT_CLASSES)


@dataclass(frozen=True, slots=True)
class Identity:
    """Two columns whose sum or difference is the target."""

    left: str
    right: str
    sign: str
    share: float


class Suspicion:
    """Measures columns against one target.

    Parameters
    ----------
    target : polars.Series
        Without missing values.
    classes : bool
        Classification (else regression).
    """

    def __init__(self, target: pl.Series, *, classes: bool) -> None:
        step = max(1, -(-len(target) // MOST_ROWS))
        self._rows = slice(None, None, step)
        target = target[::step]
        self.enough = len(target) >= LEAST_ROWS
        if classes:
            codes = target.cast(pl.String).rank("dense").to_numpy().astype(np.int64) - 1
            self._y = codes.astype(np.float64)
            self._n_classes = int(codes.max()) + 1
            self._base = float(np.bincount(codes).max() / len(codes))
        else:
            self._y = target.cast(pl.Float64).to_numpy()
            self._n_classes = 0
            self._base = 0.0
        self._folds = np.arange(len(self._y)) % _FOLDS

    def power(self, name: str, column: pl.Series) -> Power:
        """Measure one column (all rows of the target, in their order)."""
        values, words = _encoded(column[self._rows])
        ways = ("value",) if words else ("value", "bin", "neighbour")
        best = max(self._validated(way, values) for way in ways)
        if self._n_classes:
            power = (best - self._base) / (1 - self._base) if self._base < 1 else 0.0
            return Power(name, float(power), float(best), self._base)
        return Power(name, float(best), None, None)

    def identities(self, columns: dict[str, pl.Series]) -> list[Identity]:
        """Find pairs of number columns whose sum or difference is the target in 95 % of rows."""
        if self._n_classes or not self.enough:
            return []
        arrays = {
            name: column[self._rows].cast(pl.Float64).to_numpy()
            for name, column in list(columns.items())[:_PAIR_COLUMNS]
        }
        names = [name for name, values in arrays.items() if np.nanstd(values) > 0]
        scale = 1e-9 * max(1.0, float(np.abs(self._y).max()))
        found = []
        for left, right in combinations(names, 2):
            a, b = arrays[left], arrays[right]
            for first, sign, second, total in (
                (left, "+", right, a + b),
                (left, "-", right, a - b),
                (right, "-", left, b - a),
            ):
                share = float(np.mean(np.abs(total - self._y) <= scale))
                if share >= SET_ASIDE:
                    found.append(Identity(first, second, sign, share))
        return found

    def _validated(self, way: str, values: FloatArray) -> float:
        predicted = np.empty(len(self._y))
        for fold in range(_FOLDS):
            held = self._folds == fold
            predicted[held] = self._fitted(way, values[~held], self._y[~held], values[held])
        if self._n_classes:
            return float(np.mean(predicted == self._y))
        total = float(((self._y - self._y.mean()) ** 2).sum())
        return 1 - float(((predicted - self._y) ** 2).sum()) / total if total > 0 else 0.0

    def _fitted(self, way: str, x: FloatArray, y: FloatArray, new: FloatArray) -> FloatArray:
        out = np.full(len(new), self._centre(y))
        gone, new_gone = np.isnan(x), np.isnan(new)
        if gone.any():
            out[new_gone] = self._centre(y[gone])
        x, y, asked = x[~gone], y[~gone], new[~new_gone]
        if len(x) == 0 or len(asked) == 0:
            return out
        if way == "bin":
            n_bins = int(np.clip(len(x) // 20, 2, 128))
            edges = np.unique(np.quantile(x, np.linspace(0, 1, n_bins + 1)[1:-1]))
            by_bin = self._by_group(np.searchsorted(edges, x, side="right"), len(edges) + 1, y)
            out[~new_gone] = by_bin[np.searchsorted(edges, asked, side="right")]
            return out
        levels, codes = np.unique(x, return_inverse=True)
        by_value = self._by_group(codes, len(levels), y)
        at = np.clip(np.searchsorted(levels, asked), 0, len(levels) - 1)
        if way == "value":
            out[~new_gone] = np.where(levels[at] == asked, by_value[at], self._centre(y))
        elif self._n_classes:
            below = np.maximum(at - 1, 0)
            nearer = np.abs(levels[below] - asked) < np.abs(levels[at] - asked)
            out[~new_gone] = by_value[np.where(nearer, below, at)]
        else:
            out[~new_gone] = np.interp(asked, levels, by_value)
        return out

    def _centre(self, y: FloatArray) -> float:
        if self._n_classes:
            return float(np.bincount(y.astype(np.int64)).argmax())
        return float(y.mean())

    def _by_group(self, codes: npt.NDArray[np.intp], n: int, y: FloatArray) -> FloatArray:
        if self._n_classes:
            cells = codes * self._n_classes + y.astype(np.int64)
            counts = np.bincount(cells, minlength=n * self._n_classes)
            usual: FloatArray = counts.reshape(n, self._n_classes).argmax(axis=1).astype(np.float64)
            return usual
        sums = np.bincount(codes, weights=y, minlength=n)
        sizes = np.bincount(codes, minlength=n)
        means: FloatArray = np.where(sizes > 0, sums / np.maximum(sizes, 1), y.mean())
        return means


def _encoded(column: pl.Series) -> tuple[FloatArray, bool]:
    """Give a column as floats (NaN: missing), and whether their order means nothing."""
    if isinstance(column.dtype, pl.Datetime):
        # Of a moment only its being there is measured: a date of leaving exists for who left.
        return column.is_null().cast(pl.Float64).to_numpy(), True
    if column.dtype == pl.String:
        present = column.drop_nulls()
        if len(present) and is_clock(present):
            return clock_seconds(column).to_numpy(), False
        codes = column.rank("dense").cast(pl.Float64)
        return codes.fill_null(float("nan")).to_numpy(), True
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy(), False
