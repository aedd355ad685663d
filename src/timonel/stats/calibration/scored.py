"""What truths said of stated probabilities, as whole numbers that add up and can be taken back.

A probability is rounded once to steps of 1e-6. For ROC AUC the scores of each class are counted in
256 fixed cells by whether the class was the truth; for the calibration error in ten equal ones; the
Brier score and the log loss are sums. Any order and any partition of the same rows gives the same
sums, bit for bit.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import log
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from timonel.stats.metrics import N_BINS, SMALLEST

STEPS = 1_000_000
_TAIL = [round(STEPS / 10 ** (1 + k / 16)) for k in range(47, -1, -1)]
EDGES = (*_TAIL, *range(105_000, 900_000, 5_000), *(STEPS - edge for edge in reversed(_TAIL)))
"""Inner edges of the cells, in steps: .005 wide from .1 to .9, each 1.155 times the one before
further out (as near to 0 and 1 as .000115)."""

N_CELLS = len(EDGES) + 1
TRUE, OTHER, OFFSET, SQUARE = range(4)
"""Columns of a class's cells: rows that were of the class, rows that were not, and sum and sum of
squares of the distances from the cell's lower edge, in steps (no spread: a true tie)."""

_EDGES = np.array(EDGES)
_LOWER = np.array((0, *EDGES))
Counts = NDArray[np.int64]


class Said(NamedTuple):
    """What one answer stated, held against its truth; in steps of 1e-6.

    Parameters
    ----------
    names : tuple of str
        Classes whose scores are counted. Two classes are one entry, the positive one.
    scores : tuple of int
        The probability that was stated of each.
    truth : int
        Place of the true class among ``names``; -1: none of them.
    stated, came : int, bool
        Of the calibration error: the positive class's probability and whether it was the truth;
        with several classes, that of the class that was answered.
    brier, log_loss : int or None
        None where only the answered class's probability is known.
    """

    names: tuple[str, ...]
    scores: tuple[int, ...]
    truth: int
    stated: int
    came: bool
    brier: int | None
    log_loss: int | None


def said_of_two(names: tuple[str], probability: float, *, came: bool) -> Said | None:
    """Hold the probability of the positive class against the truth; None if it is none.

    The log loss is ``-ln`` of the truth's probability, of at least 1e-15, in nats.
    """
    if not 0.0 <= probability <= 1.0:
        return None
    q = round(probability * STEPS)
    of_truth = probability if came else 1.0 - probability
    brier = round((1.0 - of_truth) ** 2 * STEPS)
    loss = round(-log(max(of_truth, SMALLEST)) * STEPS)
    return Said(names, (q,), 0 if came else -1, q, came, brier, loss)


def said_of_several(
    names: tuple[str, ...], probabilities: Mapping[str, float], answer: str, truth: str
) -> Said | None:
    """Hold the probabilities of several classes against the truth.

    Parameters
    ----------
    names : tuple of str
        The classes whose scores are counted one by one; may be empty.
    probabilities : mapping of str to float
        A class that is not among them was given none.

    Returns
    -------
    Said or None
        None where the answered class has no probability, or one of them is none.
    """
    stated = probabilities.get(answer)
    if stated is None or not all(0.0 <= p <= 1.0 for p in probabilities.values()):
        return None
    of_truth = probabilities.get(truth, 0.0)
    distance = sum(p * p for p in probabilities.values()) - 2.0 * of_truth + 1.0
    return Said(
        names,
        tuple([round(probabilities.get(name, 0.0) * STEPS) for name in names]),
        names.index(truth) if truth in names else -1,
        round(stated * STEPS),
        answer == truth,
        round(max(0.0, distance) * STEPS),
        round(-log(max(of_truth, SMALLEST)) * STEPS),
    )


def said_of_answer(probability: float, *, right: bool) -> Said | None:
    """Hold the answered class's probability alone against the truth; None if it is none."""
    if not 0.0 <= probability <= 1.0:
        return None
    return Said((), (), -1, round(probability * STEPS), right, None, None)


class _Stored(msgspec.Struct):
    """The sums as they are written: of cells and tenths those that are not empty."""

    cells: dict[str, list[list[int]]] = {}  # by class: places, then a list for each column
    bins: list[list[int]] = []
    brier: tuple[int, int, int] = (0, 0, 0)
    log_loss: tuple[int, int, int] = (0, 0, 0)


class ScoreSums:
    """Sums over answers and their truths.

    Attributes
    ----------
    cells : dict of str to ndarray of int, shape (256, 4)
        By class; the columns are ``TRUE, OTHER, OFFSET, SQUARE``.
    bins : ndarray of int, shape (10, 3)
        By tenth of the stated probability: rows, their sum in steps, and how often it came.
    brier, log_loss : tuple of int
        Rows, sum and sum of squares, in steps, of any size.
    """

    __slots__ = ("bins", "brier", "cells", "log_loss")

    def __init__(self) -> None:
        self.cells: dict[str, Counts] = {}
        self.bins: Counts = np.zeros((N_BINS, 3), np.int64)
        self.brier = (0, 0, 0)
        self.log_loss = (0, 0, 0)

    def add(self, rows: Sequence[Said], signs: Sequence[int]) -> None:
        """Take rows of the same ``names``, or take them back (sign -1)."""
        sign = np.array(signs, np.int64)
        names = rows[0].names
        if names:
            self._count(names, rows, sign)
        stated = np.array([said.stated for said in rows], np.int64)
        came = np.array([said.came for said in rows], np.int64)
        tenths = np.minimum(stated * N_BINS // STEPS, N_BINS - 1)
        np.add.at(self.bins, tenths, np.stack([sign, sign * stated, sign * came], axis=1))
        self.brier = _plus(self.brier, _summed([said.brier for said in rows], signs))
        self.log_loss = _plus(self.log_loss, _summed([said.log_loss for said in rows], signs))

    def _count(self, names: tuple[str, ...], rows: Sequence[Said], sign: Counts) -> None:
        scores = np.array([said.scores for said in rows], np.int64)
        truth = np.array([said.truth for said in rows], np.int64)
        of_class = np.arange(len(names))
        at = np.searchsorted(_EDGES, scores, side="right")
        offset = scores - _LOWER[at]
        true = (truth[:, None] == of_class) * sign[:, None]
        columns = (true, sign[:, None] - true, offset * sign[:, None], offset**2 * sign[:, None])
        counts = np.zeros((len(names), N_CELLS, len(columns)), np.int64)
        np.add.at(counts, (of_class[None, :], at), np.stack(columns, axis=-1))
        for name, own in zip(names, counts, strict=True):
            known = self.cells.get(name)
            self.cells[name] = own if known is None else known + own

    def merge(self, other: "ScoreSums") -> None:
        """Add the sums of other rows to these."""
        for name, counts in other.cells.items():
            known = self.cells.get(name)
            self.cells[name] = counts if known is None else known + counts
        self.bins = self.bins + other.bins
        self.brier = _plus(self.brier, other.brier)
        self.log_loss = _plus(self.log_loss, other.log_loss)

    def encode(self) -> str:
        """Give canonical JSON, without what adds up to nothing."""
        cells = {name: _kept(self.cells[name]) for name in sorted(self.cells)}
        found = {name: kept for name, kept in cells.items() if kept}
        return _encode(_Stored(found, _kept(self.bins), self.brier, self.log_loss)).decode()

    @classmethod
    def decode(cls, text: str) -> "ScoreSums":
        """Read it back."""
        stored, found = _decode(text), cls()
        for name, (at, *columns) in stored.cells.items():
            own = found.cells[name] = np.zeros((N_CELLS, 4), np.int64)
            own[at] = np.array(columns, np.int64).T
        if stored.bins:
            at, *columns = stored.bins
            found.bins[at] = np.array(columns, np.int64).T
        found.brier, found.log_loss = stored.brier, stored.log_loss
        return found

    @classmethod
    def of(cls, parts: Iterable["ScoreSums"]) -> "ScoreSums":
        """Add up some sums."""
        total = cls()
        for part in parts:
            total.merge(part)
        return total

    @property
    def n(self) -> int:
        """Rows that stated a probability."""
        return int(self.bins[:, 0].sum())


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Stored).decode


def _kept(counts: Counts) -> list[list[int]]:
    at = np.flatnonzero(counts.any(axis=1))
    return [at.tolist(), *counts[at].T.tolist()] if len(at) else []


def _summed(values: Sequence[int | None], signs: Sequence[int]) -> tuple[int, int, int]:
    n = total = squares = 0
    for value, sign in zip(values, signs, strict=True):
        if value is not None:
            n, total, squares = n + sign, total + sign * value, squares + sign * value * value
    return n, total, squares


def _plus(one: tuple[int, int, int], other: tuple[int, int, int]) -> tuple[int, int, int]:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]
