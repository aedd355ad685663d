"""Shapley values of any model by sampled orders of its features.

Each background row is walked into the explained row, one feature at a time, in a random order and
once more in the reverse of it. What the answer changes at a step is that feature's share of the
walk; the mean over walks is its contribution, their spread its standard error (each order and its
reverse count as one). Every background row is used equally often, so base and contributions add up
to the answer without an error of their own.

Source: Castro, Gomez and Tejada (2009), Polynomial calculation of the Shapley value based on
sampling, Computers & Operations Research 36; pairs of reversed orders: Mitchell et al. (2022),
Sampling permutations for Shapley value estimation, JMLR 23.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from timonel.runtime.featuriser import Value

Floats = NDArray[np.float64]
Scores = Callable[[Sequence[Sequence[Value]]], Floats]


class Sampled(NamedTuple):
    """The base, and amount and standard error of every feature, in schema order.

    ``errors`` are NaN where there is one background row only.
    """

    base: float
    amounts: Floats
    errors: Floats


def sample(
    values: Sequence[Value], background: Sequence[Sequence[Value]], scores: Scores, seed: int = 0
) -> Sampled:
    """Estimate what each feature adds.

    Parameters
    ----------
    values : sequence, shape (n_features,)
    background : sequence of rows
        What features that are not known yet are taken from.
    scores : callable
        From rows to the number that is explained, shape (n_rows,).
    seed : int
        The same row and seed give the same figures.
    """
    rng = np.random.default_rng(seed)
    n = len(values)
    asked: list[list[Value]] = []
    orders: list[NDArray[np.int64]] = []
    for usual in background:
        order = rng.permutation(n)
        for way in (order, order[::-1]):
            orders.append(way)
            row = list(usual)
            asked.append(list(row))
            for at in way:
                row[at] = values[at]
                asked.append(list(row))
    said = np.asarray(scores(asked), dtype=np.float64).reshape(len(orders), n + 1)
    steps = np.zeros((len(orders), n))
    for walk, (order, found) in enumerate(zip(orders, said, strict=True)):
        steps[walk, order] = np.diff(found)
    pairs = steps.reshape(len(background), 2, n).mean(axis=1)
    errors = np.full(n, np.nan)
    if len(pairs) > 1:
        errors = pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs))
    return Sampled(float(said[:, 0].mean()), pairs.mean(axis=0), errors)
