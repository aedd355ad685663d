"""How many rows repeat another one: of a window from a bitmap, of a reference from its counts.

A bitmap has one place for each value of a hash; rows are equal that have the same bytes. It can be
merged in any order and partition, and repeated rows leave it as it is.
"""

from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from math import exp, lgamma, log, sqrt
from statistics import NormalDist
from zlib import compress, crc32, decompress

import numpy as np
from numpy.typing import NDArray

from timonel.stats.intervals import Interval

N_BITS = 1 << 14
MOST_SET = N_BITS - 32
"""Beyond it, some 100,000 different rows, too few places are left to tell how many there are."""

Bits = NDArray[np.bool_]


def bits_of(rows: Sequence[bytes]) -> Bits:
    """Mark the places of some rows.

    Notes
    -----
    CRC-32, whose differences are linear, goes through the finalizer of SplitMix64. Source of that:
    G. L. Steele, D. Lea and C. H. Flood, 2014, OOPSLA, 453-472.
    """
    x = np.fromiter(map(crc32, rows), np.uint64, len(rows))
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found = np.zeros(N_BITS, np.bool_)
    found[((x ^ (x >> np.uint64(31))) & np.uint64(N_BITS - 1)).astype(np.intp)] = True
    return found


def encode_bits(bits: Bits) -> str:
    """Write a bitmap as text: some bytes for few rows, at most 2.8 KB."""
    return b64encode(compress(np.packbits(bits).tobytes(), 1)).decode()


def decode_bits(text: str) -> Bits:
    """Read it back."""
    return np.unpackbits(np.frombuffer(decompress(b64decode(text)), np.uint8)).astype(np.bool_)


def repeated_share(bits: Bits, n: int, *, confidence: float = 0.95) -> Interval | None:
    """Give the share of rows that are an exact repeat of an earlier one.

    Parameters
    ----------
    bits : ndarray of bool, shape (N_BITS,)
    n : int
        Rows that were marked, ``>= 1``.

    Returns
    -------
    Interval or None
        Rows less different rows, over rows. None where too few places are left.

    Notes
    -----
    Linear counting. Source: K.-Y. Whang, B. T. Vander-Zanden and H. M. Taylor, 1990, ACM TODS 15,
    208-229: with ``t`` different rows a place, the number of them has the variance
    ``N_BITS (e^t - t - 1)``. Its error is under .7 % of 10,000 rows, and 2.6 % of 100,000.
    """
    n_set = int(bits.sum())
    if n_set >= n:  # each row has a place of its own
        return Interval(0.0, 0.0, 0.0, confidence)
    if n_set > MOST_SET:
        return None
    load = -log(1 - n_set / N_BITS)
    half = NormalDist().inv_cdf((1 + confidence) / 2) * sqrt(N_BITS * (exp(load) - load - 1)) / n
    share = 1 - N_BITS * load / n
    value, low, high = (min(1.0, max(0.0, v)) for v in (share, share - half, share + half))
    return Interval(value, low, high, confidence)


def frequencies(rows: Iterable[Hashable]) -> dict[int, int]:
    """Count how many different rows come once, twice, and so on.

    Examples
    --------
    >>> frequencies("aabc")
    {1: 2, 2: 1}
    """
    return dict(sorted(Counter(Counter(rows).values()).items()))


def expected_share(known: Mapping[int, int], n: int) -> float | None:
    """Give the share of repeats expected in ``n`` rows drawn from counted ones.

    Parameters
    ----------
    known : mapping of int to int
        As of ``frequencies``.
    n : int
        ``>= 1``.

    Returns
    -------
    float or None
        None where fewer than ``n`` rows were counted.

    Notes
    -----
    Rarefaction: more rows repeat more. Source: S. H. Hurlbert, 1971, Ecology 52, 577-586.

    Examples
    --------
    >>> expected_share({1: 2, 2: 1}, 4), expected_share({5: 2}, 1)
    (0.25, 0.0)
    """
    total = sum(times * rows for times, rows in known.items())
    if n > total:
        return None
    different = 0.0
    for times, rows in known.items():
        absent = 0.0
        if total - times >= n:
            absent = exp(_choices(total - times, n) - _choices(total, n))
        different += rows * (1 - absent)
    return max(0.0, round(1 - different / n, 12))


def _choices(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
