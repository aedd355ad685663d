"""Other rules for drift, to be chosen by column: what other systems do, with what each cannot see.

The default rule (``timonel.stats.drift``) was made because each of these is blind somewhere. They
are for whoever must go on as before, or has a figure that a contract names.
"""

from collections.abc import Callable
from math import isfinite
from typing import NamedTuple

import numpy as np

from timonel.stats.profiles.cells import Cells, Ends, NumberCells, ValueCells
from timonel.stats.profiles.count_tests import chi2_counts, ks_counts
from timonel.stats.profiles.distances import psi_shares
from timonel.stats.profiles.findings import Rule
from timonel.stats.profiles.packing import FloatArray, IntArray

KS_STATISTIC, KS_P = 0.2, 0.05
PSI = 0.2
MEAN_SHIFT = 0.10
CONFIDENCE, CONFIDENCE_HIGH = 0.05, 0.15


class Counted(NamedTuple):
    """One column of a window and of its reference, in the same cells, the missing left out.

    Parameters
    ----------
    shares, shares_now : ndarray
        In the cells of a chi-square (about ten bins, or words).
    ends, ends_now : Ends or None
        What lies beyond the outer cut points.
    """

    cells: Cells
    counts: IntArray
    now: IntArray
    shares: FloatArray
    shares_now: FloatArray
    ends: Ends | None
    ends_now: Ends | None


class Ruled(NamedTuple):
    """What a rule says.

    Parameters
    ----------
    statistic, effect : float
        The rule's own figure; ``effect`` is what is held against ``threshold``.
    high : bool
        Whether it is far beyond (``confidence`` only).
    """

    statistic: float
    p_value: float | None
    effect: float
    threshold: float
    drifted: bool
    high: bool = False


def judge_ks(column: Counted) -> Ruled | None:
    """Find drift where the KS distance exceeds .2 and p < .05.

    Numbers only. Blind spots: a shift of .4 standard deviations is missed nine times in ten,
    whatever the number of rows; missing and unseen values are never looked at; one value that
    takes over less than a fifth of the rows is not seen.
    """
    if not isinstance(column.cells, NumberCells | ValueCells):
        return None
    found = ks_counts(column.counts, column.now)
    statistic, p_value = found.statistic or 0.0, found.p_value or 0.0
    drifted = statistic > KS_STATISTIC and p_value < KS_P
    return Ruled(statistic, p_value, statistic, KS_STATISTIC, drifted)


def judge_psi(column: Counted) -> Ruled | None:
    """Find drift where the population stability index exceeds .2.

    Numbers (about ten bins) and words. Blind spots: almost every drift that harms a model; missing
    values; and windows of a few hundred rows with many words, where chance alone exceeds it.
    """
    index = psi_shares(column.shares, column.shares_now)
    p_value = chi2_counts(column.counts, column.now).p_value
    return Ruled(index, p_value, index, PSI, index > PSI)


def judge_mean_shift(column: Counted) -> Ruled | None:
    """Find drift where the mean is off by more than 10 % of the reference's.

    Numbers only. Blind spots: everything but the mean (spread, shape, missing values); it depends
    on where zero is (temperatures in Celsius and in Kelvin give different verdicts), and where the
    reference's mean is near 0, or tails are heavy, chance alone exceeds it.
    """
    before = mean_of(column.cells, column.counts, column.ends)
    now = mean_of(column.cells, column.now, column.ends_now)
    if before is None or now is None or before == 0.0:
        return None
    shift = now / before - 1.0
    return Ruled(now, None, abs(shift), MEAN_SHIFT, abs(shift) > MEAN_SHIFT)


def judge_confidence(column: Counted) -> Ruled | None:
    """Find drift where the mean score is off by more than 5 %; high above 15 %.

    Meant for ``@score``. Blind spots: scores that move apart and keep their mean; a model that is
    as sure as ever and wrong; small windows, where chance exceeds 5 %.
    """
    found = judge_mean_shift(column)
    if found is None:
        return None
    drifted, high = found.effect > CONFIDENCE, found.effect > CONFIDENCE_HIGH
    return found._replace(threshold=CONFIDENCE, drifted=drifted, high=high)


JUDGES: dict[Rule, Callable[[Counted], Ruled | None]] = {
    Rule.KS: judge_ks,
    Rule.PSI: judge_psi,
    Rule.MEAN_SHIFT: judge_mean_shift,
    Rule.CONFIDENCE: judge_confidence,
}
"""By rule; a judge gives None where the rule does not fit the column's kind."""


def mean_of(cells: Cells, counts: IntArray, ends: Ends | None) -> float | None:
    """Give the mean of counted numbers.

    Returns
    -------
    float or None
        Exact beyond the outer cut points and for listed values; within a cell, its middle. None
        for words, without values, and where listed values leave others unknown.
    """
    total = int(counts.sum())
    if total == 0:
        return None
    if isinstance(cells, ValueCells):
        known = int(counts[: len(cells.values)].sum())
        if known < total:
            return None
        return float(counts[: len(cells.values)] @ cells.values) / total
    if not isinstance(cells, NumberCells) or len(cells.edges) == 0:
        return None
    outer = ends or Ends()
    with np.errstate(over="ignore", invalid="ignore"):
        lower, upper = cells.edges[:-1], cells.edges[1:]
        inner = float(counts[1:-1] @ (lower / 2 + upper / 2))
        beyond = (outer.below + outer.above) * cells.step
        offset = float(counts[0] + counts[-1]) * cells.offset
        mean = (inner + beyond + offset) / total
    return mean if isfinite(mean) else None
