"""What a change in the mix of a column's values alone would do to a model's performance.

A reference says how good the model was in each range (or word) of a column. Weigh these figures by
the window's shares in place of the reference's, and the difference is what the mix accounts for,
as long as the model is as good within each range as it was: ``sum (w_b - r_b) a_b``. It is the
first part of E. M. Kitagawa's decomposition (1955, Journal of the American Statistical Association
50, 1168-1194). The rest of a change lies within ranges: other columns, or another meaning.

Limit: columns that go together each account for what they share, so their parts do not add up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from timonel.stats.profiles.cells import (
    Column,
    NumberCells,
    ValueCells,
    WordCells,
    floats,
    is_missing,
    lengths,
)
from timonel.stats.profiles.count_tests import OWN_BIN, binned, value_bins
from timonel.stats.profiles.packing import FloatArray, IntArray
from timonel.stats.profiles.profile import ColumnProfile

FEWEST_IN_BIN = 20
MOST_UNKNOWN = 0.05
_Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class Composed:
    """What the mix accounts for: the change of the mean figure, with its 95 % interval."""

    change: float
    lower: float
    upper: float


def bins_of(column: ColumnProfile) -> IntArray | None:
    """Give the bin of each cell of a column, the missing last and by themselves.

    Returns
    -------
    ndarray or None
        About ten bins of numbers (and of the lengths of texts); a bin for each of a few values;
        one for each word that holds 5 % and one for the rest. None for moments.
    """
    column = column.by_length()
    cells, counts = column.cells, column.counts[:-1]
    if isinstance(cells, NumberCells):
        bins = value_bins(cells, counts)
    elif isinstance(cells, ValueCells):
        bins = np.arange(len(counts))
    elif isinstance(cells, WordCells):
        own = counts >= OWN_BIN * max(1, counts.sum())
        own[cells.buckets] = own[-1] = False
        bins = np.where(own, np.cumsum(own) - 1, own.sum())
    else:
        return None
    return np.append(bins, bins.max(initial=-1) + 1).astype(np.int64)


def figures_by_bin(
    column: ColumnProfile, values: Column, figures: FloatArray
) -> dict[str, list[Any]] | None:
    """Average a figure of rows by the bin of one of their columns.

    Parameters
    ----------
    column : ColumnProfile
        Of the reference.
    values : sequence
        Of the column, by row.
    figures : ndarray, shape (n_rows,)
        How good the answer to each row was: 1 or 0, or an error.

    Returns
    -------
    dict or None
        ``n``, ``mean`` and ``variance`` by bin. None for moments.
    """
    bins = bins_of(column)
    if bins is None:
        return None
    of_row = bins[_cells_of(column, values)]
    size = int(bins.max()) + 1
    n = np.bincount(of_row, minlength=size)
    total, squares = (
        np.bincount(of_row, weights=each, minlength=size) for each in (figures, figures**2)
    )
    mean = total / np.maximum(n, 1)
    variance = np.maximum(squares / np.maximum(n, 1) - mean**2, 0.0)
    return {
        "n": n.tolist(),
        "mean": [float(f"{x:.6g}") for x in mean],
        "variance": [float(f"{x:.6g}") for x in variance],
    }


def composed(
    column: ColumnProfile, kept: Mapping[str, Sequence[float]], now: ColumnProfile
) -> Composed | None:
    """Say what a window's mix of a column's values accounts for.

    Parameters
    ----------
    column : ColumnProfile
        Of the reference.
    kept : mapping
        As ``figures_by_bin`` gave it.
    now : ColumnProfile
        Of the window, in the same cells.

    Returns
    -------
    Composed or None
        None where more than 5 % of the window lies in bins of which the reference has fewer than
        20 figures, or a side has none at all.
    """
    bins = bins_of(column)
    n, mean, variance = (np.asarray(kept[name], float) for name in ("n", "mean", "variance"))
    if bins is None or not n.sum() or not now.n or len(n) != int(bins.max()) + 1:
        return None
    counted = binned(bins, now.by_length().counts)[0]
    share, usual = counted / counted.sum(), n / n.sum()
    known = n >= FEWEST_IN_BIN
    if share[~known].sum() > MOST_UNKNOWN:
        return None
    apart = (mean - float(usual @ mean))[known]
    share, usual = share[known], usual[known]
    moved = share - usual
    change = float(moved @ apart)
    of_reference = float(moved**2 @ (variance[known] / n[known]))
    of_window = float(share @ apart**2 - (share @ apart) ** 2) / counted.sum()
    reach = _Z95 * sqrt(max(0.0, of_reference + of_window))
    return Composed(change, change - reach, change + reach)


def _cells_of(column: ColumnProfile, values: Column) -> IntArray:
    """Give the cell that each value falls into."""
    cells = column.by_length().cells
    if isinstance(cells, WordCells):
        missing = cells.size - 1
        found = [missing if is_missing(v) else cells.place(str(v)) for v in values]
        return np.array(found, np.int64)
    read = lengths(values) if column.kind == "text" else floats(values)
    if isinstance(cells, ValueCells):
        place = np.searchsorted(cells.values, read).clip(max=max(0, len(cells.values) - 1))
        known = cells.values[place] == read if len(cells.values) else np.zeros(len(read), bool)
        place = np.where(known, place, cells.size - 2)
    elif isinstance(cells, NumberCells):
        place = np.searchsorted(cells.edges, read, side="left")
    else:
        message = f"a column of {column.kind} has no bins"
        raise TypeError(message)
    return np.where(np.isnan(read), cells.size - 1, place).astype(np.int64)
