"""Intervals by resampling rows: for figures whose distribution has no handy formula."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timonel.stats.measure import Measure, cannot_say
from timonel.stats.metrics import Undefined

N_RESAMPLES = 300
_FEWEST = 20


def bootstrap(
    name: str,
    figure: Callable[..., float],
    arrays: tuple[NDArray[Any], ...],
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
) -> Measure:
    """Give a figure with its percentile interval over resampled rows.

    Parameters
    ----------
    name : str
    figure : callable
        From the arrays (rows first) to a number; raises ``Undefined`` where there is none.
    arrays : tuple of ndarray
        Resampled together, by row.
    rng : Generator
    n_resamples : int
        Resamples on which the figure is undefined are left out; if more than a tenth are, there
        is no interval.

    Returns
    -------
    Measure
        Without an interval under 20 rows; without a value where the figure is undefined.

    Notes
    -----
    Rows are taken as independent. Source: Efron and Tibshirani, 1993, chapter 13.
    """
    n = len(arrays[0])
    try:
        value = figure(*arrays)
    except Undefined as why:
        return cannot_say(name, n, str(why))
    if n < _FEWEST:
        return Measure(name, value, n, confidence=confidence)
    drawn = []
    for _ in range(n_resamples):
        at = rng.integers(n, size=n)
        try:
            drawn.append(figure(*(array[at] for array in arrays)))
        except Undefined:
            continue
    if len(drawn) < 0.9 * n_resamples:
        return Measure(name, value, n, confidence=confidence)
    tail = (1.0 - confidence) / 2.0
    lower, upper = np.quantile(drawn, [tail, 1.0 - tail])
    # the figure of all rows lies within, also where resampling is biased (calibration error)
    return Measure(name, value, n, min(value, float(lower)), max(value, float(upper)), confidence)
