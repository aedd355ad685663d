"""Two answers to the same requests: by how much the one's loss differs, and how sure that is.

Pairs are not independent: a unit that comes again is answered alike, and in one stretch of time a
holiday or a strike meets all units at once. So they are clustered by what they share.
"""

from fractions import Fraction
from math import sqrt

from timonel.experiments.counting.sums import PairSums
from timonel.experiments.design import Design
from timonel.experiments.judging.evidence import Evidence
from timonel.stats.moments import PER_UNIT

LEAST_CLUSTERS = 20


def paired_difference(design: Design, evidence: Evidence) -> tuple[float, float, float] | None:
    """Give the mean difference a pair, its standard error, and what it is known by.

    Returns
    -------
    tuple of float, or None
        Treatment less control; clusters (periods where there are periods, else units, else pairs)
        are the information. None: of fewer than two clusters nothing can be said.

    Notes
    -----
    With periods, the variance is that of clusters in two ways, ``V_unit + V_period - V_pair``
    (A. C. Cameron, J. B. Gelbach, D. L. Miller, 2011, Journal of Business & Economic Statistics
    29, 238-249, eq. 2.9), and never less than either alone: a difference of estimates may be. The
    mean is of periods whose truths are all known; units come with all of theirs.
    """
    if not design.period_s:
        found = clustered(evidence.difference)
        return None if found is None else (*found, float(evidence.difference.n))
    return clustered_twice(evidence.periods, evidence.difference, evidence.each)


def clustered_twice(
    periods: PairSums, units: PairSums, each: PairSums
) -> tuple[float, float, float] | None:
    """Give mean, standard error and number of periods; see ``paired_difference``."""
    known = [clustered(one) for one in (periods, units, each)]
    if any(one is None for one in known):
        return None
    (mean, period), (_, unit), (_, pair) = (one for one in known if one is not None)
    variance = max(period**2, unit**2, period**2 + unit**2 - pair**2)
    return mean, sqrt(variance), float(periods.n)


def clustered(sums: PairSums) -> tuple[float, float] | None:
    """Give the mean of values and its standard error, by clusters of them.

    Parameters
    ----------
    sums : PairSums
        A cluster's ``q`` is the sum of its values in steps of 1e-6, its ``x`` their number; values
        that stand alone have none.

    Returns
    -------
    tuple of float, or None
        ``R = sum q / sum x`` and the root of ``g / (g - 1) * sum (q - R x)^2 / (sum x)^2`` over g
        clusters, by rational arithmetic: the same sums give the same bits. None under two clusters.

    Examples
    --------
    >>> step = PER_UNIT
    >>> clustered(PairSums.pair(3 * step, 2) + PairSums.pair(1 * step, 2))
    (1.0, 0.5)
    """
    n = sums.n
    x, x2, qx = (sums.x, sums.x2, sums.qx) if sums.x else (n, n, sums.q)
    if n < 2 or x <= 0:
        return None
    mean = Fraction(sums.q, x)
    apart = sums.q2 - 2 * mean * qx + mean * mean * x2
    variance = max(apart, Fraction(0)) * n / ((n - 1) * x * x)
    return float(mean / PER_UNIT), sqrt(variance / PER_UNIT**2)


def enough_clusters(periods: PairSums, units: PairSums) -> bool:
    """Tell whether there are enough clusters of both kinds to know how they spread."""
    return min(periods.n, units.n) >= LEAST_CLUSTERS
