"""Several p-values at once: adjusted so that each may be held against alpha."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def holm(p: ArrayLike) -> Floats:
    """Adjust p-values so that the chance of any false rejection is at most alpha.

    Parameters
    ----------
    p : array, shape (n_tests,)
        In [0, 1]; the tests may depend on each other in any way.

    Returns
    -------
    ndarray, shape (n_tests,)
        In the order given; reject where it is at most alpha.

    Raises
    ------
    ValueError
        If a value is no probability.

    Notes
    -----
    Source: S. Holm, 1979, Scandinavian Journal of Statistics 6, 65-70.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values, order = _sorted(p)
    factors = len(values) - np.arange(len(values))
    return _restored(np.maximum.accumulate(factors * values), order)


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Adjust p-values so that the expected share of false rejections is at most alpha.

    Parameters
    ----------
    p : array, shape (n_tests,)
        In [0, 1]; of independent or positively dependent tests.

    Returns
    -------
    ndarray, shape (n_tests,)
        In the order given; reject where it is at most alpha.

    Raises
    ------
    ValueError
        If a value is no probability.

    Notes
    -----
    Source: Y. Benjamini, Y. Hochberg, 1995, Journal of the Royal Statistical Society B 57, 289-300.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.04, 0.04]
    """
    values, order = _sorted(p)
    n = len(values)
    scaled = values * n / np.arange(1, n + 1)
    return _restored(np.minimum.accumulate(scaled[::-1])[::-1], order)


def _sorted(p: ArrayLike) -> tuple[Floats, NDArray[np.intp]]:
    values = np.asarray(p, np.float64)
    if values.ndim != 1 or not np.all((values >= 0.0) & (values <= 1.0)):
        message = f"p-values are a flat list of numbers in [0, 1], not {p!r}"
        raise ValueError(message)
    order = np.argsort(values, kind="stable")
    return values[order], order


def _restored(adjusted: Floats, order: NDArray[np.intp]) -> Floats:
    found = np.empty_like(adjusted)
    found[order] = np.minimum(adjusted, 1.0)
    return found
