"""How many units an experiment needs."""

from enum import StrEnum
from math import ceil, inf, sqrt

from scipy.special import ndtr, ndtri


class Engine(StrEnum):
    """How an experiment is looked at, which sets what it costs beside a single look."""

    SINGLE_LOOK = "single_look"
    GROUP_SEQUENTIAL = "group_sequential"
    CONFIDENCE_SEQUENCE = "confidence_sequence"


ENGINE_FACTOR = {
    Engine.SINGLE_LOOK: 1.0,
    Engine.GROUP_SEQUENTIAL: 1.06,
    Engine.CONFIDENCE_SEQUENCE: 1.75,
}
"""Units needed beside a single look, for the same power.

``GROUP_SEQUENTIAL``: Lan-DeMets with O'Brien-Fleming spending, five to thirty looks.
``CONFIDENCE_SEQUENCE``: ``asymptotic_cs`` tuned at a quarter of the planned units and looked at as
often as one likes; at a factor of 1 its power is .52 instead of .80.
"""


def sample_size_per_arm(
    variance_a: float,
    variance_b: float,
    mde: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    engine: Engine | str = Engine.SINGLE_LOOK,
) -> int:
    """Count the units that each of two equal arms needs to find an effect.

    Parameters
    ----------
    variance_a, variance_b : float
        Of one unit in control and treatment; of a share ``p (1 - p)``.
    mde : float
        The smallest effect that should be found, absolute; its sign does not matter.
    alpha : float
        Two-sided.
    power : float
        The chance of finding it.
    engine : Engine
        How the experiment will be looked at; the size is multiplied by ``ENGINE_FACTOR``.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If a variance is negative, ``mde`` is 0, or ``alpha`` or ``power`` is outside (0, 1).

    Notes
    -----
    ``(z_{a/2} + z_b)^2 (v_a + v_b) / mde^2``, rounded up.

    Examples
    --------
    >>> sample_size_per_arm(0.09, 0.0979, 0.01)
    14749
    """
    if not 0.0 < alpha < 1.0 or not 0.0 < power < 1.0:
        message = f"alpha {alpha} and power {power}, both must lie between 0 and 1"
        raise ValueError(message)
    if not 0.0 <= variance_a < inf or not 0.0 <= variance_b < inf or not 0.0 < abs(mde) < inf:
        message = (
            f"variances {variance_a} and {variance_b}, effect {mde}, expected finite numbers, "
            "variances of at least 0 and an effect that is not 0"
        )
        raise ValueError(message)
    z = float(ndtri(1.0 - alpha / 2.0) + ndtri(power))
    factor = ENGINE_FACTOR[Engine(engine)]
    # divided twice: the square of a small effect may be less than any float
    n = factor * z * z * (variance_a + variance_b) / abs(mde) / abs(mde)
    if not n < inf:
        message = f"an effect of {mde} at variances {variance_a} and {variance_b} needs more units "
        message += "than can be counted, expected a larger one"
        raise ValueError(message)
    # where nothing varies one unit of each arm shows the effect
    return max(1, ceil(n))


def power(
    variance_a: float,
    variance_b: float,
    effect: float,
    n_a: float,
    n_b: float,
    *,
    alpha: float = 0.05,
    engine: Engine | str = Engine.SINGLE_LOOK,
) -> float:
    """Give the chance that so many units find an effect.

    Parameters
    ----------
    variance_a, variance_b : float
        Of one unit in control and treatment.
    effect : float
        Absolute; its sign does not matter.
    n_a, n_b : float
        Units, > 0.
    alpha : float
        Two-sided.
    engine : Engine
        ``ENGINE_FACTOR`` is taken as it is also away from a power of .8, where it was measured.

    Returns
    -------
    float
        In (0, 1]; the inverse of :func:`sample_size_per_arm` at equal arms.

    Raises
    ------
    ValueError
        If a variance is negative, a number of units is not positive, or ``alpha`` outside (0, 1).

    Notes
    -----
    ``Phi(|effect| / se - z_{a/2})``; the chance of finding it on the wrong side is left out.

    Examples
    --------
    >>> round(power(0.09, 0.0979, 0.01, 14749, 14749), 4)
    0.8
    """
    if not 0.0 < alpha < 1.0 or not n_a > 0.0 or not n_b > 0.0:
        message = f"alpha {alpha}, units {n_a} and {n_b}"
        raise ValueError(message)
    if not 0.0 <= variance_a < inf or not 0.0 <= variance_b < inf:
        message = f"variances {variance_a} and {variance_b}"
        raise ValueError(message)
    se = sqrt(ENGINE_FACTOR[Engine(engine)] * (variance_a / n_a + variance_b / n_b))
    if se == 0.0:
        return 1.0
    return float(ndtr(abs(effect) / se - ndtri(1.0 - alpha / 2.0)))
