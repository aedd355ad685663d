"""Which variant a unit gets: a pure function, the same in every process, host and release."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate
from math import fsum
from typing import Literal, TypeVar

Hash = Literal["blake2b", "fnv1a"]
T = TypeVar("T")

_BUCKETS = 1 << 64
_PLACE_BYTES = 8
_TOLERANCE = 1e-9
_FNV_OFFSET, _FNV_PRIME, _FNV_MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF
_FNV_BUCKETS = 10_000


def assign(salt: str, unit_id: str, weights: Sequence[float], *, hash: Hash = "blake2b") -> int:
    """Choose the variant of a unit.

    Parameters
    ----------
    salt : str
        Different for each experiment, so that their assignments are independent.
    unit_id : str
        Whatever the outcome belongs to.
    weights : sequence of float
        The share of each variant, the control first; they sum to 1.
    hash : {"blake2b", "fnv1a"}
        ``fnv1a`` gives the buckets of GrowthBook's hash version 2, salt being its seed.

    Returns
    -------
    int
        Index into ``weights``; never that of a share of 0.

    Raises
    ------
    ValueError
        If the weights are no shares, or the hash is not known.
    TypeError
        If the salt or the unit is no text.

    Notes
    -----
    ``blake2b(salt + unit_id, digest_size=8)`` of the UTF-8 text, read big-endian, is one of 2^64
    buckets. **When shares grow at the cost of the control alone, no unit leaves a treatment.** One
    treatment takes the top of the range and grows downwards; several have zones of equal width and
    grow down within them, and into room left in other zones only beyond that width (with three or
    more treatments, a share above its zone's width can then move units between treatments; no
    assignment by ranges avoids it). ``fnv1a`` has GrowthBook's ranges, side by side from the
    control on, which nest for one treatment.

    Examples
    --------
    >>> [assign("churn-2", unit, [0.5, 0.5]) for unit in ("u1", "u2", "u3")]
    [1, 0, 0]
    """
    if not (isinstance(salt, str) and isinstance(unit_id, str)):
        message = f"salt {salt!r} and unit {unit_id!r}, expected texts, such as str(unit_id)"
        raise TypeError(message)
    if hash == "blake2b":
        return _by_range(salt, tuple(weights))(unit_id)
    if hash == "fnv1a":
        return bisect_right(side_by_side(tuple(weights)), fnv1a_share(salt, unit_id)) - 1
    message = f"hash {hash!r}, expected blake2b or fnv1a"
    raise ValueError(message)


@lru_cache(maxsize=1024)
def _by_range(salt: str, weights: tuple[float, ...]) -> Callable[[str], int]:
    return by_range(salt, weights, range(len(weights)))


def by_range(salt: str, weights: Sequence[float], named: Sequence[T]) -> Callable[[str], T]:
    """Make the function from a unit to what its variant is called, by ``blake2b``.

    Parameters
    ----------
    salt : str
    weights : sequence of float
    named : sequence
        What to give for each variant.

    Returns
    -------
    callable
        Safe to use from several threads: the state in which the salt is hashed is only copied.
    """
    starts, variants = layout(tuple(weights))
    # big-endian texts of one length are in the order of their numbers
    edges = tuple(start.to_bytes(_PLACE_BYTES) for start in starts[1:])
    chosen = tuple(named[variant] for variant in variants)
    salted = blake2b(salt.encode(), digest_size=_PLACE_BYTES).copy

    def choose(unit: str) -> T:
        state = salted()
        state.update(unit.encode())
        return chosen[bisect_right(edges, state.digest())]

    return choose


def fnv1a_share(seed: str, value: str) -> float:
    """Give a unit's place in [0, 1) by GrowthBook's hash version 2.

    Notes
    -----
    ``fnv1a32(str(fnv1a32(seed + value))) % 10000 / 10000``.

    Examples
    --------
    >>> fnv1a_share("seed", "a")
    0.0505
    """
    return _fnv1a32(str(_fnv1a32(seed + value))) % _FNV_BUCKETS / _FNV_BUCKETS


def _fnv1a32(text: str) -> int:
    found = _FNV_OFFSET
    # that platform hashes UTF-16 code units, which for most texts are the characters
    units = text.encode("utf-16-le", "surrogatepass")
    for i in range(0, len(units), 2):
        found = (found ^ (units[i] | units[i + 1] << 8)) * _FNV_PRIME & _FNV_MASK
    return found


@lru_cache(maxsize=1024)
def side_by_side(weights: tuple[float, ...]) -> tuple[float, ...]:
    """Give where each variant's range begins in [0, 1), GrowthBook's way."""
    _require_shares(weights)
    return tuple(accumulate(weights[:-1], initial=0.0))


@lru_cache(maxsize=1024)
def layout(weights: tuple[float, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Lay the variants over the 2^64 buckets: where each range starts, and whose it is."""
    _require_shares(weights)
    sizes = [int(weight * _BUCKETS) for weight in weights[1:]]
    left = _BUCKETS - sum(sizes)
    if sizes and (weights[0] == 0.0 or left < 0):
        # what rounding left over, or took too much, is the largest treatment's
        sizes[sizes.index(max(sizes))] += left
    taken: list[tuple[int, int, int]] = []
    room: list[tuple[int, int]] = []
    beyond: list[tuple[int, int]] = []
    for zone, size in enumerate(sizes):
        low, high = _BUCKETS * zone // len(sizes), _BUCKETS * (zone + 1) // len(sizes)
        start = max(low, high - size)
        taken.append((start, high, zone + 1))
        room.append((low, start))
        beyond.append((zone + 1, size - (high - start)))
    taken += _fill(room, beyond)
    starts, variants, at = [], [], 0
    for low, high, variant in sorted(taken):
        if low == high:
            continue
        if low > at:
            starts.append(at)
            variants.append(0)
        starts.append(low)
        variants.append(variant)
        at = high
    if at < _BUCKETS:
        starts.append(at)
        variants.append(0)
    return tuple(starts), tuple(variants)


def _fill(room: list[tuple[int, int]], wanted: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Give the variants that need more than their zone what is free elsewhere, from below."""
    taken = []
    free = list(room)
    for variant, size in wanted:
        for zone, (low, high) in enumerate(free):
            step = min(size, high - low)
            taken.append((low, low + step, variant))
            free[zone] = low + step, high
            size -= step
    return taken


def _require_shares(weights: tuple[float, ...]) -> None:
    if not weights or not all(weight >= 0.0 for weight in weights):
        message = f"weights {weights}, expected shares of at least 0"
        raise ValueError(message)
    if abs(fsum(weights) - 1.0) > _TOLERANCE:
        message = f"weights {weights} sum to {fsum(weights)}, expected 1"
        raise ValueError(message)
