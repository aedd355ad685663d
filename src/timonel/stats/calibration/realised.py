"""ROC AUC and calibration error from counted scores and their truths, with 95 % intervals."""

from collections.abc import Sequence

import numpy as np

from timonel.stats.calibration.scored import OFFSET, OTHER, SQUARE, STEPS, TRUE, Counts
from timonel.stats.intervals import Interval, auc_interval
from timonel.stats.metrics import Undefined

FEWEST = 20
"""Under so many rows a calibration error has no interval, as at training."""
N_DRAWS = 1_000


def counted_auc(cells: Counts) -> tuple[Interval, float]:
    """Give the chance that a row of the class scores above another (ties count half).

    Parameters
    ----------
    cells : ndarray of int, shape (n_cells, 4)
        As of ``timonel.stats.calibration.scored.ScoreSums``, by rising score.

    Returns
    -------
    (Interval, float)
        And how far the AUC of the scores themselves can be from it, at most: rows of one cell are
        taken as tied, and half a pair is all that this can be wrong by. Cells of a single score
        are true ties. The interval is widened by it on both sides.

    Raises
    ------
    Undefined
        If all rows are of the class, or none is.
    """
    true, other = (cells[:, at].clip(min=0).astype(np.float64) for at in (TRUE, OTHER))
    n_true, n_other = int(true.sum()), int(other.sum())
    if not n_true or not n_other:
        raise Undefined("only one class among the rows")
    below = np.cumsum(other) - other
    pairs = n_true * n_other
    auc = float(true @ (below + other / 2.0)) / pairs
    spread = (true + other) * cells[:, SQUARE] != cells[:, OFFSET].astype(np.float64) ** 2
    apart = float((true * other)[spread].sum()) / pairs / 2.0
    low = auc_interval(max(0.0, auc - apart), n_true, n_other).low
    high = auc_interval(min(1.0, auc + apart), n_true, n_other).high
    return Interval(auc, low, high, 0.95), apart


def mean_of(intervals: Sequence[Interval]) -> Interval:
    """Give the mean of some figures; its limits are the means of theirs, which is never too narrow.

    Raises
    ------
    Undefined
        If there are none.
    """
    if not intervals:
        raise Undefined("no class has an AUC")
    value, low, high = (float(np.mean([one[at] for one in intervals])) for at in range(3))
    return Interval(value, low, high, intervals[0].confidence)


def counted_calibration_error(bins: Counts) -> Interval:
    """Give the mean distance between stated and observed, weighted by the rows of each tenth.

    Parameters
    ----------
    bins : ndarray of int, shape (n_bins, 3)
        As of ``timonel.stats.calibration.scored.ScoreSums``.

    Raises
    ------
    Undefined
        If there are fewer than 20 rows.

    Notes
    -----
    As ``timonel.stats.metrics.expected_calibration_error``. Interval: percentiles of 1,000 draws
    (fixed seed) of rows by tenth and truth, each tenth stating what it stated on average; widened
    to hold the figure, which such draws overstate. Source: Efron and Tibshirani, 1993, chapter 13.
    """
    rows, stated, came = bins[bins[:, 0] > 0].T.astype(np.float64)
    n = int(rows.sum())
    if n < FEWEST:
        raise Undefined("too few rows")
    stated = stated / STEPS
    value = float(np.abs(came - stated).sum()) / n
    shares = np.concatenate([came, rows - came]).clip(min=0.0)
    drawn = np.random.default_rng(0).multinomial(n, shares / shares.sum(), size=N_DRAWS)
    of_class, of_others = drawn[:, : len(rows)], drawn[:, len(rows) :]
    gaps = of_class - (of_class + of_others) * (stated / rows)
    low, high = np.quantile(np.abs(gaps).sum(axis=1) / n, [0.025, 0.975])
    return Interval(value, min(value, float(low)), max(value, float(high)), 0.95)
