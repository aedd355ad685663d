"""How large are a regression's errors before its truths come? From where its predictions lie.

Direct loss estimation (DLE) with one regressor, the prediction itself: the errors of a labelled
holdout, averaged in groups of neighbouring predictions, are weighted by how a window's predictions
are spread over these groups.

Blind spots: concept drift, as every estimate without labels; and a change of inputs that makes
errors larger and leaves the predictions where they were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from timonel.stats.calibration.curves import FEWEST_LABELS, Floats
from timonel.stats.calibration.labelled import CellCounts
from timonel.stats.calibration.stretches import Wander, half_width, wander_of_losses
from timonel.stats.estimation import MOST_OUTSIDE, Estimate, Unestimable
from timonel.stats.profiles.cells import NumberCells
from timonel.stats.profiles.profile import ColumnProfile

FEWEST_OF_A_GROUP = 50
MOST_GROUPS = 20
METRIC = "mean_absolute_error"


@dataclass(frozen=True, slots=True)
class LossGroups:
    """The absolute errors of a labelled holdout, by groups of its predictions.

    Parameters
    ----------
    upper : ndarray, shape (n_groups,)
        The greatest prediction of each group, rising; the last one is the reference's greatest.
    n : ndarray of int, shape (n_groups,)
    mean, spread : ndarray, shape (n_groups,)
        Mean and standard deviation of the absolute errors, in the target's unit.
    low : float
        The reference's smallest prediction.
    wander : Wander or None
        What stretches of time miss their groups' means by beyond chance; None: not, or the order
        of the rows is not known.
    """

    upper: Floats
    n: NDArray[np.int64]
    mean: Floats
    spread: Floats
    low: float
    wander: Wander | None = None

    @classmethod
    def of(cls, prediction: ArrayLike, truth: ArrayLike, order: Sequence[int] = ()) -> "LossGroups":
        """Group labelled rows: equally many a group, equal predictions together.

        Parameters
        ----------
        prediction, truth : array, shape (n_rows,)
        order : sequence of int
            The rows by time; empty where that is not known.
        """
        given, true = np.asarray(prediction, np.float64), np.asarray(truth, np.float64)
        rising = np.argsort(given, kind="stable")
        said, errors = given[rising], np.abs(given - true)[rising]
        n_groups = max(1, min(MOST_GROUPS, len(said) // FEWEST_OF_A_GROUP))
        ranks = np.arange(1, n_groups + 1) * len(said) // n_groups - 1
        upper = np.unique(said[ranks]) if len(said) else np.zeros(0)
        group = np.searchsorted(upper, said, side="left")
        n = np.bincount(group, minlength=len(upper))
        mean = np.bincount(group, weights=errors, minlength=len(upper)) / np.maximum(n, 1)
        squares = np.bincount(group, weights=(errors - mean[group]) ** 2, minlength=len(upper))
        spread = np.sqrt(squares / np.maximum(n - 1, 1))
        low = float(said[0]) if len(said) else 0.0
        promised = mean[np.searchsorted(upper, given, side="left")]
        wander = wander_of_losses(np.abs(given - true), promised, order) if len(order) else None
        return cls(upper, n.astype(np.int64), mean, spread, low, wander)

    def window(self, column: ColumnProfile) -> CellCounts:
        """Give a window's predictions, one for each of the profile's cells."""
        cells = column.cells
        if not isinstance(cells, NumberCells):
            values = np.asarray(getattr(cells, "values", ()), np.float64)
            unseen = int(column.counts[len(values) : -1].sum())
            # what the reference never said is outside of it
            beyond = np.append(values, self.upper[-1] + 1.0 if len(self.upper) else 0.0)
            return CellCounts(beyond, np.append(column.counts[: len(values)], unseen))
        edges = cells.edges
        inner = (edges[1:] + edges[:-1]) / 2.0
        value = np.concatenate([edges[:1], inner, edges[-1:]]) if len(edges) else np.zeros(1)
        if column.ends is not None and len(edges):
            outer = ((0, column.ends.below), (len(value) - 1, column.ends.above))
            for at, total in outer:
                if column.counts[at] > 0:
                    value[at] = cells.offset + total * cells.step / int(column.counts[at])
        return CellCounts(value, column.counts[:-1])

    def estimate(
        self, value: ArrayLike, *, count: ArrayLike | None = None, confidence: float = 0.95
    ) -> Estimate:
        """Estimate the mean absolute error of predictions without truths.

        Parameters
        ----------
        value : array, shape (n_values,)
            Predictions, or one for each cell of a histogram with its ``count``.
        count : array of int, shape (n_values,), optional
        confidence : float

        Returns
        -------
        Estimate
            Its band holds the error of the groups' means and that of the errors to come.
        """
        said = np.asarray(value, np.float64)
        weight = np.ones(len(said)) if count is None else np.asarray(count, np.float64)
        n = int(weight.sum())
        reason = self._refusal(said, weight, n)
        if reason is not None:
            return Estimate(METRIC, None, None, None, None, n, reason)
        last = len(self.upper) - 1
        group = np.minimum(np.searchsorted(self.upper, said, side="left"), last)
        share = np.bincount(group, weights=weight, minlength=last + 1) / n
        found = float(share @ self.mean)
        of_groups = float(np.sum(share**2 * self.spread**2 / np.maximum(self.n, 1)))
        second = float(share @ (self.spread**2 + self.mean**2))
        of_window = max(0.0, second - found**2) / n
        half = half_width(of_groups + of_window, self.wander, confidence)
        of_reference = of_groups + (self.wander.variance if self.wander else 0.0)
        se = sqrt(of_reference + of_window)
        return Estimate(
            METRIC, found, se, max(0.0, found - half), found + half, n, None, sqrt(of_reference)
        )

    def _refusal(self, said: Floats, weight: Floats, n: int) -> Unestimable | None:
        if int(self.n.sum()) < FEWEST_LABELS:
            return Unestimable.TOO_FEW_LABELS
        if n == 0:
            return Unestimable.EMPTY
        outside = float(weight @ ((said < self.low) | (said > self.upper[-1])))
        return Unestimable.PREDICTIONS_OUTSIDE if outside > MOST_OUTSIDE * n else None

    def to_json(self) -> dict[str, Any]:
        """Give the JSON-safe document that ``from_json`` reads."""
        return {
            "kind": "losses",
            "upper": self.upper.tolist(),
            "n": self.n.tolist(),
            "mean": self.mean.tolist(),
            "spread": self.spread.tolist(),
            "low": self.low,
            "wander": None if self.wander is None else list(self.wander),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "LossGroups":
        """Read what ``to_json`` made."""
        return cls(
            np.array(document["upper"], np.float64),
            np.array(document["n"], np.int64),
            np.array(document["mean"], np.float64),
            np.array(document["spread"], np.float64),
            document["low"],
            None if document.get("wander") is None else Wander(*document["wander"]),
        )
