"""Rows that stand out from those that a version learned from.

A row stands out if one of its values does (how far out is its most unusual value?) or all of them
together do (Mahalanobis' distance on the scales of `unusualness`, which also sees a pair of values
that each are ordinary and never come together). How far is too far is measured: on rows that the
version did not learn from, about one in a hundred stands out.

All sums are of whole numbers that a float64 holds exactly: the same rows in any order and any
batches give the same counts.

Limits: a value in a gap between two humps of its column is not far out by its rank; words beyond
those that the profile names are looked at by their bucket; texts and moments are not looked at.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from timonel.stats.multivariate.unusualness import STEPS, NumberScale, Scale, scale_of
from timonel.stats.profiles.packing import FloatArray, IntArray, pack16, unpack16
from timonel.stats.profiles.profile import Profile
from timonel.stats.profiles.reference import PREDICTION, SCORE
from timonel.stats.profiles.rows import numbers_of

SHARE = 0.01
"""Of ordinary rows that may stand out."""
FEWEST_HELD = 200
MOST_TOGETHER = 128
"""With more columns, how they go together is left out: it would be too large to keep."""
_MOST_ROWS = 20_000
_SHRINKAGE = 0.05
_WHOLE = 1024  # of the inverse, which is at most 1 / _SHRINKAGE
_BATCH = 2_048
_ALONE = 200_000  # multiplications


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a row stands out, and how many did of those that the limits were taken from.

    Parameters
    ----------
    alone : int
        The most unusual value's steps that a row may reach.
    together : int
        The distance that a row may reach.
    n, n_outliers : int
    """

    alone: int
    together: int
    n: int
    n_outliers: int


@dataclass(frozen=True, eq=False)
class RowOutliers:
    """What tells rows that stand out.

    Parameters
    ----------
    columns : tuple of str
        Those looked at.
    places : tuple of int
        Where they stand in a row of the profile.
    scales : tuple of Scale
    middle : ndarray of int, shape (n_columns,)
        The mean steps of the rows learned from.
    inverse : ndarray of float, shape (n_columns, n_columns), or (n_columns,)
        Of their shrunk covariance, as whole numbers; of more than 128 columns its diagonal.
    limits : Limits
    """

    columns: tuple[str, ...]
    places: tuple[int, ...]
    scales: tuple[Scale, ...]
    middle: IntArray
    inverse: FloatArray
    limits: Limits

    @classmethod
    def fit(
        cls, profile: Profile, learned: Sequence[Sequence[Any]], held: Sequence[Sequence[Any]]
    ) -> "RowOutliers | None":
        """Learn how columns go together, and from where on a row stands out.

        Parameters
        ----------
        profile : Profile
            Of the rows learned from.
        learned, held : sequence of sequences
            Rows in the profile's order; the second were not learned from.

        Returns
        -------
        RowOutliers or None
            None where fewer than 200 rows were held back, or no column can be looked at.
        """
        scales = _scales(profile)
        if len(held) < FEWEST_HELD or not scales or not learned:
            return None
        names = tuple(scales)
        places = tuple(profile.names.index(name) for name in names)
        unfitted = cls(
            names,
            places,
            tuple(scales.values()),
            np.zeros(len(names), np.int64),
            np.empty(0),
            Limits(0, 0, 0, 0),
        )
        steps = unfitted._steps(_spread(learned))
        middle = np.rint(steps.mean(axis=0)).astype(np.int64)
        fitted = cls(
            names, places, unfitted.scales, middle, _inverse(steps - middle), unfitted.limits
        )
        far, distance, _ = fitted._measured(fitted._steps(_spread(held)))
        limits = _limits(far, distance)
        return cls(names, places, fitted.scales, middle, fitted.inverse, limits)

    def look(self, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """Count the rows that stand out.

        Parameters
        ----------
        rows : sequence of sequences
            In the profile's order.

        Returns
        -------
        dict
            ``n``; ``outliers``; ``alone`` (those of which one value stands out by itself);
            ``by``: how many by the column that made most of it.
        """
        n_outliers = n_alone = 0
        by = Counter[str]()
        for start in range(0, len(rows), _BATCH):
            steps = self._steps(rows[start : start + _BATCH])
            far, distance, parts = self._measured(steps)
            alone = far > self.limits.alone
            out = np.flatnonzero(alone | (distance > self.limits.together))
            n_outliers += len(out)
            n_alone += int(np.count_nonzero(alone))
            blamed = np.where(
                alone[out], np.abs(steps[out]).argmax(axis=1), parts[out].argmax(axis=1)
            )
            by.update(self.columns[at] for at in blamed.tolist())
        return {"n": len(rows), "outliers": n_outliers, "alone": n_alone, "by": dict(by)}

    def to_json(self) -> dict[str, Any]:
        """Give the JSON-safe document; the scales are the profile's."""
        limits, inverse = self.limits, self.inverse
        if inverse.ndim == 2:
            inverse = inverse[np.tril_indices(len(inverse))]
        return {
            "columns": list(self.columns),
            "middle": self.middle.tolist(),
            "inverse": pack16(inverse),
            "limits": asdict(limits),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], profile: Profile) -> "RowOutliers":
        """Read what ``to_json`` made.

        Parameters
        ----------
        document : mapping
        profile : Profile
            The one it was fitted with.
        """
        names = tuple(document["columns"])
        scales = _scales(profile)
        size = len(names)
        inverse = unpack16(document["inverse"])
        if not _lone(size):
            whole, inverse = inverse, np.zeros((size, size))
            inverse[np.tril_indices(size)] = whole
            inverse = inverse + np.tril(inverse, -1).T
        return cls(
            names,
            tuple(profile.names.index(name) for name in names),
            tuple(scales[name] for name in names),
            np.array(document["middle"], np.int64),
            inverse,
            Limits(**document["limits"]),
        )

    def _steps(self, rows: Sequence[Sequence[Any]]) -> IntArray:
        steps = np.empty((len(self.columns), len(rows)), np.int64).T  # written by column
        for at, (place, scale) in enumerate(zip(self.places, self.scales, strict=True)):
            values = [row[place] for row in rows]
            if isinstance(scale, NumberScale):
                steps[:, at] = scale.of(numbers_of(values))
            else:
                steps[:, at] = scale.of(values)
        return steps

    def _measured(self, steps: IntArray) -> tuple[IntArray, FloatArray, FloatArray]:
        """Give each row's most unusual value, its distance, and what each column has in that."""
        apart = np.ascontiguousarray(steps - self.middle, np.float64)
        parts = _times(apart, self.inverse) * apart
        return np.abs(steps).max(axis=1, initial=0), parts.sum(axis=1), parts


def outliers_add(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Add two counts of ``RowOutliers.look``.

    Examples
    --------
    >>> one = {"n": 5, "outliers": 1, "alone": 1, "by": {"age": 1}}
    >>> outliers_add(one, one)
    {'n': 10, 'outliers': 2, 'alone': 2, 'by': {'age': 2}}
    """
    sums = {name: a[name] + b[name] for name in ("n", "outliers", "alone")}
    return {**sums, "by": dict(Counter(a["by"]) + Counter(b["by"]))}


def _scales(profile: Profile) -> dict[str, Scale]:
    found = {
        name: scale_of(column)
        for name, column in profile.columns.items()
        if name not in (SCORE, PREDICTION)
    }
    return {name: scale for name, scale in found.items() if scale is not None}


def _spread(rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
    return rows[:: -(-len(rows) // _MOST_ROWS)]


def _times(apart: FloatArray, inverse: FloatArray) -> FloatArray:
    if inverse.ndim == 1:
        return apart * inverse
    product = np.empty_like(apart)
    # so few at once that BLAS starts no threads: waiting for each other costs them ten times more
    step = max(1, _ALONE // inverse.size)
    for start in range(0, len(apart), step):
        np.matmul(apart[start : start + step], inverse, out=product[start : start + step])
    return product


def _lone(n_columns: int) -> bool:
    return n_columns > MOST_TOGETHER


def _inverse(apart: IntArray) -> FloatArray:
    """Invert the covariance of steps, in whole numbers of 1 / ``_WHOLE``.

    A column of little spread counts as one of a standard deviation: a flag that is nearly always
    the same is not a hundred times as telling as a number. Shrunk towards columns that have
    nothing to do with each other, so that two that say the same can be inverted.
    """
    size = apart.shape[1]
    if _lone(size):
        return np.full(size, float(_WHOLE))
    covariance = apart.T.astype(np.float64) @ apart / len(apart) / STEPS**2
    sd = np.maximum(np.sqrt(np.diag(covariance)), 1.0)
    together = covariance / np.outer(sd, sd) * (1 - _SHRINKAGE)
    np.fill_diagonal(together, 1.0)
    whole: FloatArray = np.rint(np.linalg.inv(together) / np.outer(sd, sd) * _WHOLE)
    return whole


def _limits(far: IntArray, distance: FloatArray) -> Limits:
    """Choose both limits alike: as many rows beyond each as leave ``SHARE`` beyond either."""
    n = len(far)
    most = int(SHARE * n)
    furthest, longest = np.sort(far)[::-1], np.sort(distance)[::-1]
    for beyond in range(most, -1, -1):
        alone, together = int(furthest[beyond]), int(longest[beyond])
        n_outliers = int(np.count_nonzero((far > alone) | (distance > together)))
        if n_outliers <= most:
            break
    return Limits(alone, together, n, n_outliers)
