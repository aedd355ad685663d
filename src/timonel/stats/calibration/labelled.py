"""What a version leaves behind so that its later answers can be judged without labels.

A labelled holdout, counted in the cells in which traffic is counted too: so an estimate of a window
reads its histogram and no row. The reference is stored, not the curves that are fitted on it: it
is some 4 KB, and with the stored seed the same resamples come of it again, bit for bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from timonel.stats.calibration.curves import Floats
from timonel.stats.calibration.stretches import Wander, wander_of
from timonel.stats.estimation import N_RESAMPLES, Cbpe
from timonel.stats.profiles.cells import Cells, NumberCells, ValueCells
from timonel.stats.profiles.profile import ColumnProfile

MOST_ROWS = 50_000
"""Rows that are resampled; of more, the counts are thinned in proportion."""
_DIGITS = 6

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CellCounts:
    """Values with how many rows each stands for; ``unseen`` rows have no value in the reference."""

    value: Floats
    count: Counts


@dataclass(frozen=True, slots=True)
class LabelledScores:
    """A labelled holdout of a classifier, in the cells of its scores' profile.

    Parameters
    ----------
    score : ndarray, shape (n_cells,)
        The mean score of each cell; its middle where the reference has none there.
    n, n_positive : ndarray of int, shape (n_cells,)
        Labels, and those that came true: the positive class, or with several classes "right".
    low, high : float
        The range of the reference's scores.
    threshold : float
        Scores from here on are predicted positive; 0 with several classes, where each row's score
        is of the class that was predicted.
    seed, n_resamples : int
    wander : mapping of str to Wander
        Of stretches of time, by metric; empty where the order of the rows is not known.

    Notes
    -----
    With several classes the score is that of the predicted class, and its label whether that was
    right: accuracy alone can be estimated.
    """

    score: Floats
    n: Counts
    n_positive: Counts
    low: float
    high: float
    threshold: float
    seed: int = 0
    n_resamples: int = N_RESAMPLES
    wander: Mapping[str, Wander] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        cells: Cells,
        score: ArrayLike,
        positive: ArrayLike,
        *,
        threshold: float,
        seed: int = 0,
        order: Sequence[int] = (),
    ) -> "LabelledScores":
        """Count labelled scores.

        Parameters
        ----------
        cells : NumberCells or ValueCells
            Those of the profile's ``@score``.
        score : array, shape (n_rows,)
            In [0, 1].
        positive : array of bool, shape (n_rows,)
        threshold : float
        order : sequence of int
            The rows by time; empty where that is not known.
        """
        scores, hits = np.asarray(score, np.float64), np.asarray(positive, np.float64)
        place, middles = _places(cells, scores), _middles(cells)
        n = np.bincount(place, minlength=len(middles))
        total = np.bincount(place, weights=scores, minlength=len(middles))
        mean = np.divide(total, n, out=middles.copy(), where=n > 0)
        return cls(
            np.round(np.clip(mean, 0.0, 1.0), _DIGITS),
            n.astype(np.int64),
            np.bincount(place, weights=hits, minlength=len(middles)).astype(np.int64),
            float(np.min(scores, initial=1.0)),
            float(np.max(scores, initial=0.0)),
            threshold,
            seed,
            wander=wander_of(scores, hits, threshold, order),
        )

    @property
    def realised(self) -> float | None:
        """The accuracy of the reference itself; None without rows."""
        n = int(self.n.sum())
        chosen = self.score >= self.threshold
        right = self.n_positive[chosen].sum() + (self.n - self.n_positive)[~chosen].sum()
        return float(right) / n if n else None

    def fit(self) -> Cbpe:
        """Calibrate: the same reference and seed give the same estimates."""
        step = -(-int(self.n.sum()) // MOST_ROWS) or 1
        # negatives first in each cell: folds are drawn, so the order within says nothing
        each = np.stack([self.n - self.n_positive, self.n_positive], axis=1).ravel()
        score = np.repeat(np.repeat(self.score, 2), each)[::step]
        label = np.repeat(np.tile([0, 1], len(self.n)), each)[::step]
        fitted = Cbpe.fit(
            score,
            label,
            threshold=self.threshold,
            n_resamples=self.n_resamples,
            seed=self.seed,
        )
        # of the rows themselves: means of cells lie further in
        return replace(
            fitted, low=np.array([self.low]), high=np.array([self.high]), wander=self.wander
        )

    def window(self, column: ColumnProfile) -> CellCounts:
        """Give a window's scores, one for each cell, as ``Cbpe.estimate`` takes them.

        The outermost cells have no bound, so they stand for the mean of what lies in them *now*:
        scores that leave the reference's range are seen as such.
        """
        score, count = self.score.copy(), column.counts[: len(self.score)].copy()
        if isinstance(column.cells, NumberCells):
            for at, mean in _outer_means(column):
                score[at] = mean
            return CellCounts(np.clip(score, 0.0, 1.0), count)
        unseen = int(column.counts[len(self.score) : -1].sum())
        # a score that no row of the reference had is outside of it, wherever it lies
        beyond = 1.0 if self.high < 1.0 else 0.0
        return CellCounts(np.append(score, beyond), np.append(count, unseen))

    def to_json(self) -> dict[str, Any]:
        """Give the JSON-safe document that ``from_json`` reads; at most some 4 KB."""
        return {
            "kind": "scores",
            "score": self.score.tolist(),
            "n": self.n.tolist(),
            "positive": self.n_positive.tolist(),
            "low": self.low,
            "high": self.high,
            "threshold": self.threshold,
            "seed": self.seed,
            "resamples": self.n_resamples,
            "wander": {metric: list(one) for metric, one in self.wander.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "LabelledScores":
        """Read what ``to_json`` made."""
        return cls(
            np.array(document["score"], np.float64),
            np.array(document["n"], np.int64),
            np.array(document["positive"], np.int64),
            document["low"],
            document["high"],
            document["threshold"],
            document["seed"],
            document["resamples"],
            {metric: Wander(*one) for metric, one in document.get("wander", {}).items()},
        )


def threshold_between(score: ArrayLike, chosen: ArrayLike) -> float | None:
    """Find from which score on rows are predicted positive; None where no threshold does it.

    Examples
    --------
    >>> threshold_between([0.2, 0.6, 0.9], [False, False, True])
    0.75
    """
    scores, positive = np.asarray(score, np.float64), np.asarray(chosen, bool)
    below = float(np.max(scores[~positive], initial=-1.0))
    above = float(np.min(scores[positive], initial=2.0))
    if below >= above:
        return None
    if below < 0.0 or above > 1.0:  # all alike: which half is known is not
        return 0.5 if (below < 0.5 <= above) else (above if below < 0.0 else min(1.0, below + 1e-6))
    return 0.5 if below < 0.5 <= above else (below + above) / 2.0


def _places(cells: Cells, values: Floats) -> NDArray[np.intp]:
    if isinstance(cells, NumberCells):
        return np.searchsorted(cells.edges, values, side="left")
    assert isinstance(cells, ValueCells)  # noqa: S101 - numbers have no others
    return np.minimum(np.searchsorted(cells.values, values), len(cells.values) - 1)


def _middles(cells: Cells) -> Floats:
    if isinstance(cells, ValueCells):
        return np.asarray(cells.values, np.float64)
    assert isinstance(cells, NumberCells)  # noqa: S101 - numbers have no others
    if not len(cells.edges):
        return np.array([0.5])
    inner = (cells.edges[1:] + cells.edges[:-1]) / 2.0
    return np.concatenate([cells.edges[:1], inner, cells.edges[-1:]])


def _outer_means(column: ColumnProfile) -> list[tuple[int, float]]:
    cells, ends = column.cells, column.ends
    if not isinstance(cells, NumberCells) or ends is None:
        return []
    last = len(column.counts) - 2
    return [
        (at, cells.offset + total * cells.step / int(column.counts[at]))
        for at, total in ((0, ends.below), (last, ends.above))
        if column.counts[at] > 0 and len(cells.edges)
    ]
