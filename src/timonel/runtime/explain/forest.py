"""Exact Shapley values of tree ensembles, in numpy alone.

The game is that of *path-dependent* tree SHAP: a feature that is not in a coalition sends a row to
both sides of its splits, in the shares in which the training part went there. A leaf then pays

    v * prod_i (o_i if i in S else z_i)

over the features of its path, with ``o_i`` whether the row follows the path in all splits of
``i`` and ``z_i`` the share that does. The Shapley value of ``i`` in that product is

    v (o_i - z_i) * integral over t in (0, 1) of prod_{j != i} (z_j (1 - t) + o_j t),

because the weight k!(d-k-1)!/d! of a coalition of k others is the Beta integral of
``t^k (1-t)^(d-1-k)``. The integrand is a polynomial of degree d - 1, so Gauss-Legendre quadrature
with ceil(d/2) points is exact, and sums positive terms only.

Source of the game: Lundberg et al. (2020), From local explanations to global understanding with
explainable AI for trees, Nature Machine Intelligence 2, algorithm 1.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from timonel.runtime.trees import Ensemble

Floats = NDArray[np.float64]
_SMALLEST_SHARE = 1e-12  # of a side to which no training row went; its leaves weigh nothing
_MOST_CELLS = 1 << 21  # of the arrays of one step


class PackedForest(msgspec.Struct, frozen=True):
    """All nodes of an ensemble one after another, little-endian, as they are stored.

    Parameters
    ----------
    feature, left, right : int32; ``feature`` is -1 at a leaf
    threshold, cover : float64
    flags : uint8
        1: a missing value goes left; 2: the split is ``<``; 4: the value is rounded to float32.
    roots : int32
    leaf, output : int32
        Node and output of every weight.
    weight : float64
    base : list of float
    link : str
    """

    feature: bytes
    left: bytes
    right: bytes
    threshold: bytes
    cover: bytes
    flags: bytes
    roots: bytes
    leaf: bytes
    output: bytes
    weight: bytes
    base: list[float]
    link: str


def pack(ensembles: Sequence[tuple[float, Ensemble]]) -> PackedForest | None:
    """Join weighted ensembles whose margins add up; None where they do not, or lack covers.

    Several add up only without a link: a mean of probabilities is no sum of log-odds.
    """
    links = {ensemble.link for _, ensemble in ensembles}
    if len(ensembles) > 1 and links != {"identity"}:
        return None
    found: dict[str, list[Any]] = {name: [] for name in PackedForest.__struct_fields__}
    base = np.zeros(len(ensembles[0][1].base))
    start = 0
    for share, ensemble in ensembles:
        base += share * np.asarray(ensemble.base)
        kind = 2 * ensemble.strict + 4 * (not ensemble.double)
        for tree in ensemble.trees:
            n = len(tree.feature)
            if len(tree.cover) != n:
                return None
            found["feature"].append(np.asarray(tree.feature, dtype="<i4"))
            found["left"].append(np.asarray(tree.left, dtype="<i4") + start)
            found["right"].append(np.asarray(tree.right, dtype="<i4") + start)
            found["threshold"].append(np.asarray(tree.threshold, dtype="<f8"))
            found["cover"].append(np.asarray(tree.cover, dtype="<f8"))
            found["flags"].append(np.asarray(tree.missing_left, dtype="u1") + np.uint8(kind))
            found["roots"].append(np.array([start], dtype="<i4"))
            weights = [(at + start, out, w) for at, own in tree.leaves.items() for out, w in own]
            leaf, output, weight = zip(*weights, strict=True)
            found["leaf"].append(np.array(leaf, dtype="<i4"))
            found["output"].append(np.array(output, dtype="<i4"))
            found["weight"].append(share * np.array(weight, dtype="<f8"))
            start += n
    arrays = {
        name: np.concatenate(parts).tobytes() if parts else b""
        for name, parts in found.items()
        if name not in {"base", "link"}
    }
    return PackedForest(**arrays, base=base.tolist(), link=links.pop())


class _Leaves(NamedTuple):
    """The leaves whose paths look at the same number of features.

    Parameters
    ----------
    leaf : int array, shape (n,)
        Row in ``Forest.values``.
    group : int array, shape (n, d)
        Which conditions must hold, one a feature of the path.
    column : int array, shape (n, d)
    share : ndarray, shape (n, d)
    """

    leaf: NDArray[np.int64]
    group: NDArray[np.int64]
    column: NDArray[np.int64]
    share: Floats


class Forest:
    """A packed ensemble, ready to be explained. Immutable; safe to share between threads."""

    def __init__(self, packed: PackedForest) -> None:
        self._feature = np.frombuffer(packed.feature, dtype="<i4")
        self._left = np.frombuffer(packed.left, dtype="<i4")
        self._right = np.frombuffer(packed.right, dtype="<i4")
        self._threshold = np.frombuffer(packed.threshold, dtype="<f8")
        self._cover = np.frombuffer(packed.cover, dtype="<f8")
        flags = np.frombuffer(packed.flags, dtype="u1")
        self._missing_left = (flags & 1) > 0
        self._strict = (flags & 2) > 0
        self._single = (flags & 4) > 0
        self._roots = np.frombuffer(packed.roots, dtype="<i4")
        self.base = np.array(packed.base)
        self.link = packed.link
        self._leaf = np.flatnonzero(self._feature < 0)
        self._inner = np.flatnonzero(self._feature >= 0)
        place = np.zeros(len(self._feature), dtype=np.int64)
        place[self._leaf] = np.arange(len(self._leaf))
        self._values = np.zeros((len(self._leaf), len(self.base)))
        np.add.at(
            self._values,
            (
                place[np.frombuffer(packed.leaf, dtype="<i4")],
                np.frombuffer(packed.output, dtype="<i4"),
            ),
            np.frombuffer(packed.weight, dtype="<f8"),
        )

    @property
    def n_trees(self) -> int:
        """How many trees there are."""
        return len(self._roots)

    def margins(self, row: Floats) -> Floats:
        """Give the outputs before the link by walking down every tree, shape (n_outputs,)."""
        goes_left = self._goes_left(row)
        at = self._roots.astype(np.int64)
        while True:
            inner = self._feature[at] >= 0
            if not inner.any():
                break
            below = np.where(goes_left[at], self._left[at], self._right[at])
            at = np.where(inner, below, at)
        found = self._values[np.searchsorted(self._leaf, at)].sum(axis=0)
        return np.asarray(self.base + found, dtype=np.float64)

    def explain(self, row: Floats, output: int) -> tuple[float, Floats]:
        """Give the base value and what each column adds to one output, before the link.

        Parameters
        ----------
        row : ndarray, shape (n_columns,)
            NaN is a missing value.
        output : int

        Returns
        -------
        tuple of float and ndarray, shape (n_columns,)
            Their sum is ``margins(row)[output]``, but for rounding.
        """
        edges, leaves = self._paths
        goes_left = self._goes_left(row)
        followed = goes_left[edges.node] == edges.left
        held = np.logical_and.reduceat(followed, edges.start) if len(edges.start) else followed
        values = self._values[:, output]
        total = np.zeros(len(row))
        expected = float(self.base[output]) + float(values[self._stumps].sum())
        for part in leaves:
            weight = values[part.leaf]
            expected += float(weight @ part.share.prod(axis=1))
            gains = weight[:, None] * _shapley(held[part.group].astype(np.float64), part.share)
            total += np.bincount(part.column.ravel(), gains.ravel(), minlength=len(row))
        return expected, total

    def path(self, row: Floats) -> list[tuple[int, float, bool, bool]]:
        """Walk down the first tree; give (column, threshold, went left, strict) of each split."""
        goes_left = self._goes_left(row)
        at, found = int(self._roots[0]), []
        while self._feature[at] >= 0:
            left = bool(goes_left[at])
            split = int(self._feature[at]), float(self._threshold[at])
            found.append((*split, left, bool(self._strict[at])))
            at = int(self._left[at] if left else self._right[at])
        return found

    def _goes_left(self, row: Floats) -> NDArray[np.bool_]:
        found = np.zeros(len(self._feature), dtype=bool)
        at = self._inner
        value = row[self._feature[at]]
        with np.errstate(over="ignore"):
            value = np.where(self._single[at], value.astype(np.float32).astype(np.float64), value)
        threshold = self._threshold[at]
        below = np.where(self._strict[at], value < threshold, value <= threshold)
        found[at] = np.where(np.isnan(value), self._missing_left[at], below)
        return found

    @cached_property
    def _stumps(self) -> NDArray[np.int64]:
        """Leaves that are their tree's root: they pay the same whatever is known."""
        return np.flatnonzero(np.isin(self._leaf, self._roots))

    @cached_property
    def _paths(self) -> tuple["_Edges", list[_Leaves]]:
        edges = _climb(self._feature, self._left, self._right, self._cover, self._leaf)
        return edges, list(_by_length(edges))


class _Edges(NamedTuple):
    """The steps of all paths, sorted by leaf and feature; a group is those of one leaf and feature.

    Parameters
    ----------
    node, left : arrays, shape (n_edges,)
        Where a step begins, and whether it goes left.
    start : array, shape (n_groups,)
        First edge of each group.
    leaf, column, share : arrays, shape (n_groups,)
    """

    node: NDArray[np.int64]
    left: NDArray[np.bool_]
    start: NDArray[np.int64]
    leaf: NDArray[np.int64]
    column: NDArray[np.int64]
    share: Floats


def _climb(feature: Any, left: Any, right: Any, cover: Floats, leaf: Any) -> _Edges:
    """Follow all leaves up to their roots at once."""
    parent = np.full(len(feature), -1, dtype=np.int64)
    inner = np.flatnonzero(feature >= 0)
    parent[left[inner]] = inner
    parent[right[inner]] = inner
    is_left = np.zeros(len(feature), dtype=bool)
    is_left[left[inner]] = True
    number = np.arange(len(leaf))
    at = leaf.astype(np.int64)
    steps: list[tuple[Any, ...]] = []
    while True:
        up = parent[at]
        still = up >= 0
        if not still.any():
            break
        at, up, number = at[still], up[still], number[still]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.nan_to_num(cover[at] / cover[up], nan=0.5)
        steps.append((number, feature[up], up, is_left[at], share))
        at = up
    if not steps:
        none = np.zeros(0, dtype=np.int64)
        return _Edges(none, none.astype(bool), none, none, none, np.zeros(0))
    leaves, columns, nodes, lefts, shares = (np.concatenate(p) for p in zip(*steps, strict=True))
    order = np.lexsort((columns, leaves))
    leaves, columns = leaves[order].astype(np.int64), columns[order].astype(np.int64)
    first = np.ones(len(order), dtype=bool)
    first[1:] = (leaves[1:] != leaves[:-1]) | (columns[1:] != columns[:-1])
    start = np.flatnonzero(first)
    share = np.multiply.reduceat(shares[order], start)
    return _Edges(
        nodes[order],
        lefts[order],
        start,
        leaves[start],
        columns[start],
        np.clip(share, _SMALLEST_SHARE, 1.0),
    )


def _by_length(edges: _Edges) -> Iterator[_Leaves]:
    """Gather leaves by the number of their features, in parts that fit in memory."""
    if not len(edges.leaf):
        return
    leaves, first, n_features = np.unique(edges.leaf, return_index=True, return_counts=True)
    for d in np.unique(n_features):
        chosen = np.flatnonzero(n_features == d)
        most = max(1, _MOST_CELLS // int(d * d))
        for part in np.array_split(chosen, -(-len(chosen) // most)):
            group = first[part][:, None] + np.arange(d)
            yield _Leaves(leaves[part], group, edges.column[group], edges.share[group])


def _shapley(held: Floats, share: Floats) -> Floats:
    """Give each feature's part of ``prod_i (held_i or share_i)``, shape (n, d)."""
    points, weights = np.polynomial.legendre.leggauss(-(-held.shape[1] // 2))
    total = np.zeros_like(share)
    for point, weight in zip((points + 1.0) / 2.0, weights / 2.0, strict=True):
        factors = share * (1.0 - point) + held * point
        total += weight * factors.prod(axis=1, keepdims=True) / factors
    return np.asarray((held - share) * total, dtype=np.float64)
