"""The profile of a table: counts of every column on cells that its reference chose.

Two profiles on the same cells are added exactly: any order and any split of the same rows gives
the same document, byte for byte. A profile is at most 2 KB a column, whatever it has counted.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from itertools import chain
from typing import Any

import numpy as np

from timonel.schema.features import Category, Feature, Flag, Number, Text, Timestamp
from timonel.stats.profiles.alignment import aligned
from timonel.stats.profiles.cells import (
    Cells,
    Column,
    Ends,
    Kind,
    Tally,
    cells_from_json,
    fit_cells,
)
from timonel.stats.profiles.packing import IntArray, pack_counts, unpack_counts
from timonel.stats.texts.cells import TextCells

_KINDS: tuple[tuple[type[Feature], Kind], ...] = (
    (Number, "number"),
    (Category, "category"),
    (Flag, "flag"),
    (Text, "text"),
    (Timestamp, "timestamp"),
)
_FORMAT = 1
_CELL_BITS = 32
_LONG = 20_000  # rows from which on a thread is worth its start
_AT_A_TIME = 2  # each holds a column's copy: memory, not the processor, is what this bounds
CountsJson = dict[str, Any]


@dataclass(frozen=True, eq=False)
class ColumnProfile:
    """One column: its cells, and what was counted in them."""

    name: str
    cells: Cells
    counts: IntArray
    ends: Ends | None = None

    @property
    def kind(self) -> Kind:
        """What the column is declared or taken to be."""
        return self.cells.kind

    @cached_property
    def n(self) -> int:
        """Rows, the missing included."""
        cells = self.cells
        rows = cells.lengths_in(self.counts) if isinstance(cells, TextCells) else self.counts
        return int(rows.sum())

    @property
    def n_missing(self) -> int:
        """Rows without a value."""
        return int(self.counts[-1])

    def by_length(self) -> "ColumnProfile":
        """Give a column of texts as one of their lengths, any other as it is: every row once."""
        if not isinstance(self.cells, TextCells):
            return self
        lengths = self.cells.lengths_in(self.counts)
        return replace(self, cells=self.cells.lengths, counts=lengths)

    def same_cells(self, other: "ColumnProfile") -> bool:
        """Say whether both count in the same cells."""
        return self.cells is other.cells or self.cells.to_json() == other.cells.to_json()

    def add(self, tally: Tally) -> "ColumnProfile":
        """Give the column with more counted in."""
        ends = tally.ends if self.ends is None else self.ends + (tally.ends or Ends())
        return replace(self, counts=self.counts + tally.counts, ends=ends)

    def empty(self) -> "ColumnProfile":
        """Give the same cells with nothing in them."""
        return replace(self, counts=np.zeros(self.cells.size, np.int64), ends=None)

    def to_json(self) -> dict[str, Any]:
        """Give the JSON-safe document."""
        ends = self.ends or Ends()
        document = {"name": self.name, **self.cells.to_json(), "counts": pack_counts(self.counts)}
        if ends != Ends():
            document["ends"] = [ends.low, ends.high, ends.below, ends.above]
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "ColumnProfile":
        """Read what ``to_json`` made."""
        ends = Ends(*document["ends"]) if "ends" in document else None
        is_text = "lengths" in document
        cells = (TextCells.from_json if is_text else cells_from_json)(dict(document))
        return cls(document["name"], cells, unpack_counts(document["counts"]), ends)


class Profile:
    """Counts of all columns of a table. Immutable: what changes it returns a new one.

    Made by ``Profile.fit`` (cells chosen from the rows, and the rows counted), by ``empty_like``
    and ``update`` (other rows in the same cells), or read by ``from_json``.
    """

    __slots__ = ("columns", "n")

    columns: dict[str, ColumnProfile]
    n: int

    def __init__(self, columns: Iterable[ColumnProfile], n: int) -> None:
        self.columns = {column.name: column for column in columns}
        self.n = n

    @classmethod
    def fit(cls, columns: Mapping[str, Column], *, schema: Iterable[Feature] = ()) -> "Profile":
        """Choose cells from reference rows, and count these rows in them.

        Parameters
        ----------
        columns : mapping of str to sequence or ndarray
            Values by column, equally long; None and NaN are missing. Columns beyond the schema
            (a score, a predicted label) come after its features, in the mapping's order, and
            their kind is taken from their values.
        schema : Schema, or any iterable of features
            A feature without a column has no data, which every comparison will say.

        Raises
        ------
        ValueError
            If columns differ in length, or a number cannot be read as one.
        """
        kinds = {feature.name: _kind_of(feature) for feature in schema}
        n = _length(columns)
        fitted = []
        for name in dict.fromkeys(chain(kinds, columns)):
            values = columns.get(name, ())
            with _naming(name):
                fitted.append(_fit(name, values, kinds.get(name)))
        return cls(fitted, n)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in order: what ``RowCounter`` expects of a row."""
        return tuple(self.columns)

    def update(self, columns: Mapping[str, Column]) -> "Profile":
        """Give the profile with these rows counted in, on the same cells.

        A column of the profile that is not among ``columns`` counts nothing; a column that the
        profile does not know is passed over.

        Raises
        ------
        ValueError
            If columns differ in length, or a number cannot be read as one.
        """

        def counted(column: ColumnProfile) -> ColumnProfile:
            with _naming(column.name):
                return column.add(column.cells.tally(columns.get(column.name, ())))

        n = _length(columns)
        return Profile(_each(counted, list(self.columns.values()), n), self.n + n)

    def empty_like(self) -> "Profile":
        """Give the same cells with nothing counted: where a window begins."""
        return Profile((column.empty() for column in self.columns.values()), 0)

    def __add__(self, other: "Profile") -> "Profile":
        """Merge two profiles: exactly where the cells are the same.

        Where they differ (each was fitted on its own rows), the greater one's are kept and the
        other's counts are spread over them, which is close but not exact. ``a + b == b + a``.
        """
        if not isinstance(other, Profile):
            return NotImplemented
        first, second = sorted((self, other), key=lambda p: (-p.n, _encode(p._cells())))
        names = dict.fromkeys(chain(first.columns, second.columns))
        return Profile((_merge(first, second, name) for name in names), self.n + other.n)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Profile) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.digest())

    def __repr__(self) -> str:
        return f"Profile({len(self.columns)} columns, {self.n} rows)"

    def counts(self) -> CountsJson:
        """Give the counts alone, zero-suppressed, as ``RowCounter.take`` does."""
        columns = self.columns.values()
        return counts_json(self.n, {c.name: Tally(c.counts, c.ends) for c in columns})

    def with_counts(self, counts: Mapping[str, Any]) -> "Profile":
        """Give the same cells with other counts in them.

        Parameters
        ----------
        counts : mapping
            As ``counts``, ``RowCounter.take`` or ``counts_add`` give them.

        Raises
        ------
        ValueError
            If the counts were made on other cells, as far as that shows.
        """
        filled = []
        for name, column in self.columns.items():
            vector = np.zeros(column.cells.size, np.int64)
            pairs = counts["cells"].get(name, ())
            if len(pairs) and max(pairs[::2]) >= len(vector):
                message = f"column {name!r} has {len(vector)} cells, its counts are of more"
                raise ValueError(message)
            vector[list(pairs[::2])] = pairs[1::2]
            ends = Ends(*counts["ends"][name]) if name in counts["ends"] else None
            filled.append(replace(column, counts=vector, ends=ends))
        return Profile(filled, counts["n"])

    def to_json(self) -> dict[str, Any]:
        """Give a JSON-safe description that ``from_json`` reads back; at most 2 KB a column."""
        columns = [column.to_json() for column in self.columns.values()]
        return {"format": _FORMAT, "n": self.n, "columns": columns}

    @classmethod
    def from_json(cls, document: Mapping[str, Any] | str | bytes) -> "Profile":
        """Read ``to_json``'s form, decoded or still as text.

        Raises
        ------
        ValueError
            If it is of another format.
        """
        read = json.loads(document) if isinstance(document, str | bytes) else document
        if read.get("format") != _FORMAT:
            message = f"a profile of format {read.get('format')!r}, expected {_FORMAT}"
            raise ValueError(message)
        return cls(map(ColumnProfile.from_json, read["columns"]), read["n"])

    def digest(self) -> str:
        """Give the sha256 (hex) of the canonical document: the profile's id."""
        return sha256(_encode(self.to_json())).hexdigest()

    def _cells(self) -> list[Any]:
        return [column.cells.to_json() for column in self.columns.values()]


def _fit(name: str, values: Column, kind: Kind | None) -> ColumnProfile:
    if kind == "text":
        texts, tally = TextCells.fit(values)
        return ColumnProfile(name, texts, *tally)
    cells = fit_cells(values, kind)
    return ColumnProfile(name, cells, *cells.tally(values))


def counts_json(n: int, tallies: Mapping[str, Tally]) -> CountsJson:
    """Write counts without their zeros.

    Returns
    -------
    dict
        ``{"n": rows, "cells": {column: [cell, count, cell, count, ...]},
        "ends": {column: [low, high, below, above]}}``.
    """
    ends = {}
    for name, tally in tallies.items():
        if tally.ends is not None and tally.ends != Ends():
            ends[name] = [tally.ends.low, tally.ends.high, tally.ends.below, tally.ends.above]
    cells = _filled({name: tally.counts for name, tally in tallies.items()})
    return {"n": n, "cells": cells, "ends": ends}


def _filled(counts: Mapping[str, IntArray]) -> dict[str, list[int]]:
    """Give the cells that are not empty with their counts, all columns at once."""
    if not counts:
        return {}
    flat = np.concatenate(list(counts.values()))
    sizes = np.fromiter(map(len, counts.values()), np.int64, len(counts))
    stop = np.cumsum(sizes)
    filled = flat.nonzero()[0]
    pairs = np.empty(2 * len(filled), np.int64)
    pairs[::2] = filled - np.repeat(stop - sizes, sizes)[filled]
    pairs[1::2] = flat[filled]
    listed, upto = pairs.tolist(), (2 * filled.searchsorted(stop)).tolist()
    bounds = zip(counts, [0, *upto[:-1]], upto, strict=True)
    return {name: listed[start:end] for name, start, end in bounds if end > start}


def counts_add(a: Mapping[str, Any], b: Mapping[str, Any]) -> CountsJson:
    """Add two counts made on the same profile's cells, exactly.

    Parameters
    ----------
    a, b : mapping
        As ``RowCounter.take`` gives them; neither is changed.
    """
    cells = _cells_add(a["cells"], b["cells"])
    ends = {}
    for name in sorted({*a["ends"], *b["ends"]}):
        sum_ = Ends(*a["ends"].get(name, ())) + Ends(*b["ends"].get(name, ()))
        ends[name] = [sum_.low, sum_.high, sum_.below, sum_.above]
    return {"n": a["n"] + b["n"], "cells": cells, "ends": ends}


def _cells_add(
    a: Mapping[str, Sequence[int]], b: Mapping[str, Sequence[int]]
) -> dict[str, list[int]]:
    """Add counts by column and cell, all columns at once: cells are few, columns many."""
    names = sorted({*a, *b})
    parts = [(at, side[name]) for side in (a, b) for at, name in enumerate(names) if name in side]
    sizes = [len(pairs) // 2 for _, pairs in parts]
    flat = np.fromiter(chain.from_iterable(pairs for _, pairs in parts), np.int64, 2 * sum(sizes))
    column = np.repeat(np.array([at for at, _ in parts], np.int64), sizes)
    place = (column << _CELL_BITS) + flat[::2]
    order = np.argsort(place, kind="stable")
    place = place[order]
    first = np.flatnonzero(np.diff(place, prepend=-1))
    sums = np.empty(2 * len(first), np.int64)
    sums[::2] = place[first] & ((1 << _CELL_BITS) - 1)
    sums[1::2] = np.add.reduceat(flat[1::2][order], first) if len(first) else 0
    bounds = np.searchsorted(place[first] >> _CELL_BITS, np.arange(len(names) + 1)) * 2
    added, upto = sums.tolist(), bounds.tolist()
    return {name: added[upto[at] : upto[at + 1]] for at, name in enumerate(names)}


def _merge(first: Profile, second: Profile, name: str) -> ColumnProfile:
    if name not in first.columns or name not in second.columns:
        return (first.columns if name in first.columns else second.columns)[name]
    kept, added = first.columns[name], second.columns[name]
    if kept.same_cells(added):
        return kept.add(Tally(added.counts, added.ends))
    both = aligned(kept.cells, kept.counts, added.cells, added.counts, added.ends)
    # sums beyond cut points mean nothing at other cut points
    ends = replace(added.ends, below=0, above=0) if kept.ends and added.ends else kept.ends
    merged = replace(kept, cells=both.cells, counts=both.counts)
    return merged.add(Tally(both.other, ends))


@contextmanager
def _naming(column: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        message = f"column {column!r}: {error}"
        raise ValueError(message) from error


def _each(
    work: Callable[[ColumnProfile], ColumnProfile], columns: Sequence[ColumnProfile], n_rows: int
) -> list[ColumnProfile]:
    """Do the work of all columns, of long ones two at a time: numpy lets go of the lock meanwhile.

    What comes of a column does not depend on the others, nor on who is done first.
    """
    if n_rows < _LONG:
        return list(map(work, columns))
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return list(pool.map(work, columns))


def _kind_of(feature: Feature) -> Kind | None:
    return next((kind for type_, kind in _KINDS if isinstance(feature, type_)), None)


def _length(columns: Mapping[str, Column]) -> int:
    lengths = {name: len(columns[name]) for name in columns}
    if len(set(lengths.values())) > 1:
        message = f"columns of different lengths: {lengths}"
        raise ValueError(message)
    return next(iter(lengths.values()), 0)


def _encode(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()
