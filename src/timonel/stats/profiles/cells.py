"""Into which cells the values of a column fall, and how many fall into each.

Cells are chosen once, on the reference, and everything later is counted in the same ones. Each kind
lays its counts out in one vector whose last entry is the missing values:

- ``NumberCells``: ``(-inf, e0], (e0, e1], ..., (ek, inf)``, missing;
- ``ValueCells`` (numbers of at most 20 values, flags): a cell for each value, unseen, missing;
- ``WordCells``: a cell for each word; where there are too many, buckets for the rest; unseen,
  missing;
- ``MomentCells``: present, missing.

Texts have cells of their own (``timonel.stats.texts.cells``), in which lengths are cut like these.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple, Protocol
from zlib import crc32

import numpy as np

from timonel.stats.profiles.packing import (
    FloatArray,
    IntArray,
    pack24,
    pack64,
    round24,
    unpack24,
    unpack64,
)
from timonel.stats.texts.counting import count_array, countable

Column = Sequence[Any] | np.ndarray[Any, Any]
Kind = Literal["number", "flag", "category", "text", "timestamp"]

N_QUANTILES = 256
MOST_VALUES = 20
ATOM_SHARE = 0.01
"""A value with this share of a column is a cell of its own, exactly."""
STEPS = 2**20
MOST_STEPS = 2**40
N_BUCKETS = 128
HEAVY_SHARE = 0.05
_WORD_BYTES = 1_500
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Ends:
    """What lies outside the first and the last cut point.

    Parameters
    ----------
    low, high : float or None
        Least and greatest finite value; None where there is none.
    below, above : int
        Sums of the first and of the last cell's finite values, as whole steps from the cells'
        offset (``NumberCells.step``), so that any order of adding gives the same.
    """

    low: float | None = None
    high: float | None = None
    below: int = 0
    above: int = 0

    def __add__(self, other: "Ends") -> "Ends":
        lows = [low for low in (self.low, other.low) if low is not None]
        highs = [high for high in (self.high, other.high) if high is not None]
        return Ends(
            min(lows, default=None),
            max(highs, default=None),
            self.below + other.below,
            self.above + other.above,
        )


class Tally(NamedTuple):
    """Counts by cell, the missing last; ``ends`` for cells with cut points only."""

    counts: IntArray
    ends: Ends | None = None


class Cells(Protocol):
    """A fixed partition of a column's values. Immutable; equal documents mean equal partitions."""

    @property
    def kind(self) -> Kind:
        """What the column is declared or taken to be."""
        ...

    @property
    def size(self) -> int:
        """Length of the count vector."""
        ...

    def tally(self, values: Column) -> Tally:
        """Count values: None and NaN are missing."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Give the JSON-safe document that ``cells_from_json`` reads back."""
        ...


@dataclass(frozen=True, eq=False)
class NumberCells:
    """Quantiles of the reference as cut points; values that hold 1 % have a cell of their own.

    Parameters
    ----------
    offset, exponent : float, int
        Cut points are stored as 24-bit floats of ``(cut - offset) / 2**exponent``.
    scaled : ndarray
        Those floats, ascending.
    atoms : ndarray
        Values, ascending, with a cell of their own, exact.
    """

    kind: Kind
    offset: float
    exponent: int
    scaled: FloatArray
    atoms: FloatArray
    edges: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        with np.errstate(over="ignore"):
            cuts = self.offset + np.ldexp(self.scaled, self.exponent)
        below = np.nextafter(self.atoms, -np.inf)
        edges = np.concatenate([cuts[np.isfinite(cuts)], self.atoms, below])
        object.__setattr__(self, "edges", np.unique(edges))

    @property
    def size(self) -> int:
        """Length of the count vector."""
        return len(self.edges) + 2

    @cached_property
    def step(self) -> float:
        """The unit of the sums in ``Ends``."""
        return float(np.ldexp(1.0, self.exponent)) / STEPS

    @classmethod
    def fit(
        cls,
        ordered: FloatArray,
        kind: Kind = "number",
        *,
        n_quantiles: int = N_QUANTILES,
        own: float = ATOM_SHARE,
    ) -> "NumberCells":
        """Choose cut points.

        Parameters
        ----------
        ordered : ndarray
            Finite values, ascending.
        n_quantiles : int
        own : float
            The share from which a value has a cell of its own.
        """
        n = len(ordered)
        if n == 0:
            return cls(kind, 0.0, 0, np.empty(0), np.empty(0))
        values, counts = np.unique(ordered, return_counts=True)
        atoms = values[(counts >= own * n) & (counts > 1)]
        ranks = -(-np.arange(1, n_quantiles) * n // n_quantiles) - 1
        cuts = np.setdiff1d(ordered[ranks], atoms)
        offset = float(ordered[(n - 1) // 2])
        with np.errstate(over="ignore"):
            apart = np.abs(cuts - offset)
        apart = apart[np.isfinite(apart) & (apart > 0.0)]
        exponent = int(np.frexp(np.median(apart))[1]) if len(apart) else 0
        with np.errstate(over="ignore", under="ignore"):
            scaled = np.unique(round24(np.ldexp(cuts - offset, -exponent)))
        return cls(kind, offset, exponent, scaled[np.isfinite(scaled)], atoms)

    def tally(self, values: Column) -> Tally:
        """Count values; infinities fall into the outer cells."""
        return self.tally_of(lengths(values) if self.kind == "text" else floats(values))

    def tally_of(self, numbers: FloatArray) -> Tally:
        """Count numbers, NaN for the missing."""
        ordered = np.sort(numbers)
        n_values = int(np.searchsorted(ordered, np.nan))
        upto = np.searchsorted(ordered[:n_values], self.edges, side="right")
        bounds = np.concatenate([[0], upto, [n_values, len(ordered)]])
        return Tally(np.diff(bounds).astype(np.int64), self._ends(ordered[:n_values], upto))

    def _ends(self, ordered: FloatArray, upto: IntArray) -> Ends:
        finite = slice(*np.searchsorted(ordered, [-np.finfo(float).max, np.inf]))
        if finite.stop <= finite.start:
            return Ends()
        first, last = (int(upto[0]), int(upto[-1])) if len(upto) else (finite.stop, finite.stop)
        return Ends(
            float(ordered[finite.start]),
            float(ordered[finite.stop - 1]),
            self._steps(ordered[finite.start : first]),
            self._steps(ordered[max(last, finite.start) : finite.stop]),
        )

    def _steps(self, values: FloatArray) -> int:
        with np.errstate(over="ignore"):
            steps = np.rint(np.ldexp(values - self.offset, -self.exponent) * STEPS)
        return int(np.clip(steps, -MOST_STEPS, MOST_STEPS).astype(np.int64).sum())

    def to_json(self) -> dict[str, Any]:
        """Give the JSON-safe document."""
        return {
            "kind": self.kind,
            "offset": self.offset,
            "exponent": self.exponent,
            "edges": pack24(self.scaled),
            "atoms": pack64(self.atoms),
        }


@dataclass(frozen=True, eq=False)
class ValueCells:
    """A cell for each of a few numbers; also flags, as 0 and 1."""

    kind: Kind
    values: FloatArray
    complete: bool = True

    @property
    def size(self) -> int:
        """Length of the count vector."""
        return len(self.values) + 2

    @property
    def labels(self) -> tuple[str, ...]:
        """The values as words."""
        if self.kind == "flag":
            return tuple("true" if value else "false" for value in self.values)
        return tuple(repr(value) for value in self.values.tolist())

    def tally(self, values: Column) -> Tally:
        """Count values; a number that is not listed is unseen."""
        counts = self._flags(values) if self.kind == "flag" else None
        if counts is not None:
            return Tally(counts)
        return self.tally_of(lengths(values) if self.kind == "text" else floats(values))

    def _flags(self, values: Column) -> IntArray | None:
        """Count true, false and None as they are; None where other values are among them."""
        n_missing = 0
        if isinstance(values, list | tuple):
            found = {1.0: values.count(True), 0.0: values.count(False)}
            n_missing = len(values) - sum(found.values())
            if n_missing and values.count(None) != n_missing:
                return None
        elif isinstance(values, np.ndarray) and values.dtype.kind == "b":
            n_true = int(np.count_nonzero(values))
            found = {1.0: n_true, 0.0: len(values) - n_true}
        else:
            return None
        known = [found.pop(value, 0) for value in self.values.tolist()]
        return np.array([*known, sum(found.values()), n_missing], np.int64)

    def tally_of(self, numbers: FloatArray) -> Tally:
        """Count numbers, NaN for the missing."""
        counts = np.zeros(self.size, np.int64)
        present = numbers[~np.isnan(numbers)]
        each, n_each = np.unique(present, return_counts=True)
        if len(self.values):
            place = np.minimum(np.searchsorted(self.values, each), len(self.values) - 1)
            known = self.values[place] == each
            counts[place[known]] = n_each[known]
        counts[-2] = len(present) - counts.sum()
        counts[-1] = len(numbers) - len(present)
        return Tally(counts)

    def to_json(self) -> dict[str, Any]:
        """Give the JSON-safe document."""
        return {"kind": self.kind, "values": self.values.tolist()}


@dataclass(frozen=True, eq=False)
class WordCells:
    """A cell for each word of the reference, as long as they fit into 2 KB.

    Where they do not, only the words that hold 5 % keep their cell, and all others fall by their
    hash into buckets. Keeping the most frequent of many alike would choose those that chance
    favoured in the reference, and every window would seem to have lost them.

    Parameters
    ----------
    words : tuple of str
    n_buckets : int
        A power of two. 0: every word of the reference has its cell, so that an unseen one is
        known as such.
    """

    words: tuple[str, ...]
    n_buckets: int = 0
    kind: Kind = "category"
    places: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", {word: i for i, word in enumerate(self.words)})

    @property
    def size(self) -> int:
        """Length of the count vector."""
        return len(self.words) + self.n_buckets + 2

    @property
    def complete(self) -> bool:
        """Whether every word of the reference has its cell."""
        return self.n_buckets == 0

    @property
    def buckets(self) -> slice:
        """Which cells are buckets."""
        return slice(len(self.words), len(self.words) + self.n_buckets)

    @classmethod
    def fit(cls, values: Column) -> "WordCells":
        """Choose the words."""
        counts, _ = count_words(values)
        # as JSON escapes it at worst, with quotes, comma and the bytes of its count
        cost = sum(len(word.encode("ascii", "backslashreplace")) + 6 for word in counts)
        if cost <= _WORD_BYTES:
            return cls(tuple(sorted(counts)))
        total = counts.total()
        heavy = (w for w, n in counts.items() if n >= HEAVY_SHARE * total and len(w) <= _LONGEST)
        return cls(tuple(sorted(heavy)), N_BUCKETS)

    def place(self, word: str) -> int:
        """Give the cell of a word."""
        known = self.places.get(word)
        if known is not None:
            return known
        bucket = bucket_of(word, self.n_buckets) if self.n_buckets else 0
        return len(self.words) + bucket

    def tally(self, values: Column) -> Tally:
        """Count words."""
        found, n_missing = count_words(values)
        counts = np.zeros(self.size, np.int64)
        for word, count in found.items():
            counts[self.place(word)] += count
        counts[-1] = n_missing
        return Tally(counts)

    def to_json(self) -> dict[str, Any]:
        """Give the JSON-safe document."""
        return {"kind": self.kind, "words": list(self.words), "buckets": self.n_buckets}


def bucket_of(word: str, n_buckets: int = N_BUCKETS) -> int:
    """Give the bucket of a word: the same everywhere and always."""
    return crc32(word.encode("utf-8", "surrogatepass")) % n_buckets


@dataclass(frozen=True, eq=False)
class MomentCells:
    """Moments move on by nature: only whether they are there is counted."""

    kind: Kind = "timestamp"

    @property
    def size(self) -> int:
        """Length of the count vector."""
        return 2

    def tally(self, values: Column) -> Tally:
        """Count what is there and what is missing."""
        if isinstance(values, np.ndarray) and values.dtype.kind in "iufmM":
            n_missing = int(np.count_nonzero(values != values))  # NaN and NaT
        else:
            n_missing = sum(map(is_missing, values))
        return Tally(np.array([len(values) - n_missing, n_missing], np.int64))

    def to_json(self) -> dict[str, Any]:
        """Give the JSON-safe document."""
        return {"kind": self.kind}


def fit_cells(values: Column, kind: Kind | None) -> Cells:
    """Choose the cells of a column that is not of texts from its values in the reference.

    Parameters
    ----------
    kind : str or None
        None: taken from the values (words, flags or numbers).
    """
    kind = kind or guess_kind(values)
    if kind == "category":
        return WordCells.fit(values)
    if kind == "timestamp":
        return MomentCells()
    found = floats(values)
    ordered = np.sort(found[np.isfinite(found)])
    distinct = ordered[np.concatenate([[True], np.diff(ordered) > 0])] if len(ordered) else ordered
    if kind == "flag" or 0 < len(distinct) <= MOST_VALUES:
        return ValueCells(kind, distinct)
    return NumberCells.fit(ordered, kind)


def cells_from_json(document: dict[str, Any]) -> Cells:
    """Read what a ``to_json`` made."""
    kind = document["kind"]
    if "words" in document:
        return WordCells(tuple(document["words"]), document["buckets"], kind)
    if "values" in document:
        return ValueCells(kind, np.array(document["values"], np.float64))
    if "edges" in document:
        return NumberCells(
            kind,
            float(document["offset"]),
            document["exponent"],
            unpack24(document["edges"]),
            unpack64(document["atoms"]),
        )
    return MomentCells(kind)


def guess_kind(values: Column) -> Kind:
    """Say what an undeclared column is, by its first value that is there."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "biufmM":
        by_type: dict[str, Kind] = {"b": "flag", "m": "timestamp", "M": "timestamp"}
        return by_type.get(values.dtype.kind, "number")
    first = next((value for value in values if not is_missing(value)), None)
    if isinstance(first, bool | np.bool_):
        return "flag"
    if first is None or isinstance(first, int | float | np.number):
        return "number"
    return "category" if isinstance(first, str) else "timestamp"


def is_missing(value: Any) -> bool:
    """Say whether a value is None, NaN or NaT."""
    return value is None or bool(value != value)


def floats(values: Column) -> FloatArray:
    """Give a column as float64; None becomes NaN."""
    return np.asarray(values, dtype=np.float64)


def lengths(values: Column) -> FloatArray:
    """Give the lengths of texts, in characters; NaN where there is none."""
    return np.array([np.nan if is_missing(v) else len(v) for v in values], dtype=np.float64)


def count_words(values: Column) -> tuple[Counter[str], int]:
    """Count words, and what is missing."""
    if countable(values):
        return count_array(np.asarray(values)), 0
    listed: Iterable[Any] = values.tolist() if isinstance(values, np.ndarray) else values
    counts: Counter[Any] = Counter(listed)
    n_missing = counts.pop(None, 0)
    if not all(type(key) is str for key in counts):
        # 1, 1.0 and True are one key, but three words
        n_missing += sum(n for key, n in counts.items() if is_missing(key))
        present = (value for value in listed if not is_missing(value))
        counts = Counter(str(value) for value in present)
    return counts, n_missing


def count_texts(values: Column) -> tuple[dict[str, int], int]:
    """Count distinct texts, and what is missing.

    Raises
    ------
    TypeError
        If a value is neither a text nor missing.
    """
    counts = Counter[Any](values.tolist() if isinstance(values, np.ndarray) else values)
    n_missing = counts.pop(None, 0)
    for value in [value for value in counts if not isinstance(value, str)]:
        if not is_missing(value):
            message = f"{value!r} is no text"
            raise TypeError(message)
        n_missing += counts.pop(value)
    return counts, n_missing
