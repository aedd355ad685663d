"""How often each text stands in a numpy array of them, without making a ``str`` of every one."""

from collections import Counter
from typing import Any

import numpy as np

from timonel.stats.profiles.packing import IntArray

_BLOCK = 1 << 15  # rows; what is made of them meanwhile takes a few MB, whatever the column
_LONGEST = 64
"""Longer texts are few of a kind: nothing is won by bringing equal ones together."""
_MIX = np.uint64(0x9E37_79B9_7F4A_7C15)
_HALF = np.uint64(32)
_SLOT_BITS = 12
_MOSTLY = 0.5

UintArray = np.ndarray[Any, np.dtype[np.uint64]]


def countable(values: Any) -> bool:
    """Say whether ``count_array`` can count a column: numpy's own texts, none of them long."""
    return (
        isinstance(values, np.ndarray)
        and values.dtype.kind == "U"
        and values.ndim == 1
        and 0 < values.dtype.itemsize <= 4 * _LONGEST
    )


def count_array(values: np.ndarray[Any, Any]) -> Counter[str]:
    """Count distinct texts.

    Parameters
    ----------
    values : ndarray, shape (n,), of kind "U"
        ``countable``.

    Notes
    -----
    Each text falls by a hash into one of 4,096 slots, which one of its texts stands for; those
    that equal it character by character are counted with it. Others that share its slot are
    ordered by the hash, which brings equal ones together, and each run of equal ones is counted.
    A hash so decides what is compared, never what is equal.

    Examples
    --------
    >>> sorted(count_array(np.array(["b", "a", "b"])).items())
    [('a', 1), ('b', 2)]
    """
    found: Counter[str] = Counter()
    alike = True
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        if not alike:
            found.update(block.tolist())
            continue
        words = _words(block)
        hashes = _hashes(words)
        rest = _count_slots(block, words, hashes, found)
        if len(rest):
            _count_runs(block[rest], words[:, rest], hashes[rest], found)
        alike = len(rest) < _MOSTLY * len(block)  # where most differ, nothing is won
    return found


def _words(block: np.ndarray[Any, Any]) -> UintArray:
    """Give the characters of each text, as few bytes a character as hold them, eight by eight.

    Shape (n_words, n): two texts are equal where all their words are.
    """
    width = block.dtype.itemsize // 4
    even = block.astype(f"U{width + -width % 8}")
    characters = even.view(np.uint32)
    highest = int(characters.max())
    held = np.uint8 if highest < 1 << 8 else np.uint16 if highest < 1 << 16 else np.uint32
    words = characters.astype(held).view(np.uint64).reshape(len(block), -1)
    return np.ascontiguousarray(words.T)


def _hashes(words: UintArray) -> UintArray:
    mixed: UintArray = words[0] * _MIX
    for each in words[1:]:
        mixed ^= mixed >> _HALF
        mixed += each
        mixed *= _MIX
    return mixed


def _count_slots(
    block: np.ndarray[Any, Any],
    words: UintArray,
    hashes: UintArray,
    found: Counter[str],
) -> IntArray:
    """Count the texts that equal the one that stands for their slot; give the places of others."""
    slots = (hashes >> np.uint64(64 - _SLOT_BITS)).astype(np.intp)
    stands = np.empty(1 << _SLOT_BITS, np.intp)
    stands[slots] = np.arange(len(block))
    mine = stands[slots]
    same = np.ones(len(block), bool)
    for each in words:
        same &= each[mine] == each
    rest = np.flatnonzero(~same)
    sizes = np.bincount(slots if not len(rest) else slots[same])
    filled = np.flatnonzero(sizes)
    for text, n in zip(block[stands[filled]].tolist(), sizes[filled].tolist(), strict=True):
        found[text] += n
    return rest


def _count_runs(
    block: np.ndarray[Any, Any],
    words: UintArray,
    hashes: UintArray,
    found: Counter[str],
) -> None:
    """Count texts in the order of their hashes; two that share one may give more runs, no more."""
    # the hash's upper bits, with the place below them, sort in one go
    below = np.uint64(_BLOCK - 1)
    keys = (hashes & ~below) | np.arange(len(block), dtype=np.uint64)
    keys.sort()
    order = (keys & below).astype(np.intp)
    changed = np.zeros(len(block) - 1, bool)
    for each in words:
        ordered = each[order]
        changed |= ordered[1:] != ordered[:-1]
    first = np.concatenate([[0], np.flatnonzero(changed) + 1])
    sizes = np.diff(first, append=len(block))
    for text, n in zip(block[order[first]].tolist(), sizes.tolist(), strict=True):
        found[text] += n
