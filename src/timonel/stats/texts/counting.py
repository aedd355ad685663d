"""How often each text stands in a numpy array of them, without making a ``str`` of every one."""

from collections import Counter
from typing import Any

import numpy as np

_BLOCK = 1 << 14  # rows; what is made of them meanwhile stays in the processor's cache
_LONGEST = 64
"""Longer texts are few of a kind: nothing is won by bringing equal ones together."""
_MIX = np.uint64(0x9E37_79B9_7F4A_7C15)


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
    Texts are ordered by a hash of their characters, which brings equal ones together; each run of
    equal ones is found by the characters themselves and counted under its own text. Two that share
    a hash may lie mixed and give more runs, never other counts.

    Examples
    --------
    >>> sorted(count_array(np.array(["b", "a", "b"])).items())
    [('a', 1), ('b', 2)]
    """
    found: Counter[str] = Counter()
    width = values.dtype.itemsize // 4
    even = f"U{width + width % 2}"  # so that characters can be read two at once
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK].astype(even)
        pairs = np.ascontiguousarray(block.view(np.uint64).reshape(len(block), -1).T)
        order = _order(pairs)
        changed = np.zeros(len(block) - 1, bool)
        for each in pairs:
            ordered = each[order]
            changed |= ordered[1:] != ordered[:-1]
        first = np.concatenate([[0], np.flatnonzero(changed) + 1])
        sizes = np.diff(first, append=len(block))
        for text, n in zip(block[order[first]].tolist(), sizes.tolist(), strict=True):
            found[text] += n
    return found


def _order(pairs: np.ndarray[Any, np.dtype[np.uint64]]) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Give places by hash: its upper bits, with the place below them, sort in one go."""
    mixed = np.zeros(pairs.shape[1], np.uint64)
    for each in pairs:
        mixed += each
        mixed *= _MIX
    below = np.uint64(_BLOCK - 1)
    mixed &= ~below
    mixed |= np.arange(len(mixed), dtype=np.uint64)
    mixed.sort()
    return (mixed & below).astype(np.intp)
