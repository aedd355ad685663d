"""Arms for a whole list of units at once: at random, in exact shares, and the same again by seed.

Pure: the order of the list, the platform and the versions of packages change nothing.
"""

from collections.abc import Sequence
from fractions import Fraction
from hashlib import blake2b
from math import floor

_FINEST = 10**6  # shares are read as fractions of at most this denominator


def assign_list(
    units: Sequence[str], share: float, seed: int, blocks: Sequence[str] | None = None
) -> list[bool]:
    """Draw which units get the treatment.

    Parameters
    ----------
    units : sequence of str
        Each once.
    share : float
        Of the treatment, in [0, 1].
    seed : int
    blocks : sequence of str, or None
        The block of each unit; None: all in one.

    Returns
    -------
    list of bool
        In the order of ``units``. With N units the treatment has N x share, and in each block its
        part of it, both to within one unit (exactly where that is a whole number of all units).

    Notes
    -----
    Complete randomisation: within its block a unit's rank is that of ``blake2b(seed:unit)``, and
    the first of them are treated. What remains of a block of a number that cannot be divided goes
    by systematic sampling with a random start over blocks in random order, so that each unit's
    chance is the share, however small its block. Source: W. G. Madow, 1949, Annals of Mathematical
    Statistics 20, 333-354.

    Examples
    --------
    >>> assign_list(["u1", "u2", "u3", "u4"], 0.5, 7)
    [False, True, False, True]
    """
    exact = Fraction(share).limit_denominator(_FINEST)
    places: dict[str, list[int]] = {}
    for place in range(len(units)):
        places.setdefault("" if blocks is None else blocks[place], []).append(place)
    start = Fraction(int.from_bytes(_draw(seed, "start", "")), 1 << 128)
    treated = [False] * len(units)
    before = 0
    for block in sorted(places, key=lambda name: _draw(seed, "block", name)):
        mine = sorted(places[block], key=lambda place: _draw(seed, "unit", units[place]))
        after = before + len(mine)
        n_treated = floor(after * exact + start) - floor(before * exact + start)
        for place in mine[:n_treated]:
            treated[place] = True
        before = after
    return treated


def _draw(seed: int, what: str, name: str) -> bytes:
    """Give the 128 bits that a seed draws for a name."""
    return blake2b(f"{seed}:{what}:{name}".encode(), digest_size=16).digest()
