"""The density of a sum that is looked at several times and goes on while nothing was decided."""

import sys
from math import inf, log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri_exp

Floats = NDArray[np.float64]

_NODES = 8
_MOST_PANELS = 300
_HALVINGS = 60


def barrier_of(at: Floats, mass: Floats, step: float, spend: float, scale: float) -> float:
    """Find the b with P(abs(next sum) >= b) = spend, by bisection of a falling function."""
    if spend < sys.float_info.min:
        return inf
    if len(at) == 1:
        return -step * float(ndtri_exp(log(spend / 2.0)))
    low, high = 0.0, 40.0 * scale
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        beyond = ndtr((at - middle) / step) + ndtr((-at - middle) / step)
        low, high = (middle, high) if float(mass @ beyond) > spend else (low, middle)
    return (low + high) / 2.0


def going_on(
    at: Floats, mass: Floats, step: float, barrier: float, finest: float, variance: float
) -> tuple[Floats, Floats]:
    """Carry the density one look on, restricted to where nothing was decided."""
    reach = min(barrier, 12.0 * sqrt(variance))
    panels = min(_MOST_PANELS, max(4, int(2.0 * reach / finest) + 1))
    points, weights = np.polynomial.legendre.leggauss(_NODES)
    edges = np.linspace(-reach, reach, panels + 1)
    width = reach / panels
    nodes = (edges[:-1, None] + width * (points + 1.0)).ravel()
    apart = (nodes[:, None] - at[None, :]) / step
    density = np.exp(-apart * apart / 2.0) @ mass / (step * sqrt(2.0 * np.pi))
    return nodes, density * np.tile(weights * width, panels)
