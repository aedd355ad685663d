"""The cells of a column of texts: how long they are, how much in them is new, what they hold."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from timonel.stats.profiles.cells import (
    MOST_VALUES,
    Column,
    Kind,
    NumberCells,
    Tally,
    ValueCells,
    cells_from_json,
    count_texts,
)
from timonel.stats.profiles.packing import IntArray
from timonel.stats.texts.words import N_SHARES, Vocabulary, split

N_LENGTHS = 32
_LENGTH_OF_ITS_OWN = 0.02


@dataclass(frozen=True, eq=False)
class TextCells:
    """Three views of each document, one after the other in one vector of counts.

    By its length in characters, by the share of its words that the vocabulary does not know, and,
    as often as it holds one of them, by the vocabulary's words; last of all, the missing. The
    document is what is counted, never the word: words of one text come together, and a test that
    took each for a draw of its own would alarm all the time.

    Parameters
    ----------
    lengths : NumberCells or ValueCells
        Of kind "text".
    vocabulary : Vocabulary
    """

    lengths: NumberCells | ValueCells
    vocabulary: Vocabulary
    kind: Kind = "text"

    @property
    def size(self) -> int:
        """Length of the count vector."""
        return self.lengths.size + N_SHARES + len(self.vocabulary.words)

    @classmethod
    def fit(cls, values: Column) -> tuple["TextCells", Tally]:
        """Choose cells from reference texts, and count these.

        Returns
        -------
        pair of TextCells and Tally
            The words are counted in the documents that did not choose them (``words.split``).
        """
        texts, n_missing = count_texts(values)
        choosing, counted = split(texts)
        cells = cls(_fit_lengths(texts), Vocabulary.fit(choosing))
        return cells, cells._tally(texts, counted, n_missing)

    def tally(self, values: Column) -> Tally:
        """Count texts.

        Raises
        ------
        TypeError
            If a value is neither a text nor missing.
        """
        texts, n_missing = count_texts(values)
        return self._tally(texts, texts, n_missing)

    def _tally(self, texts: dict[str, int], read: dict[str, int], n_missing: int) -> Tally:
        n_each = Counter[int]()
        for text, n in texts.items():
            n_each[len(text)] += n
        lengths = np.repeat(
            np.array(list(n_each), np.float64), np.array(list(n_each.values()), np.int64)
        )
        by_length = self.lengths.tally_of(lengths)
        shares, holding = self.vocabulary.count(read)
        missing = np.array([n_missing], np.int64)
        counts = np.concatenate([by_length.counts[:-1], shares, holding, missing])
        return Tally(counts, by_length.ends)

    def lengths_in(self, counts: IntArray) -> IntArray:
        """Give the counts by length, the missing last: every row once."""
        return np.append(counts[: self.lengths.size - 1], counts[-1])

    def shares_in(self, counts: IntArray) -> IntArray:
        """Give the counts by share of unknown words; documents of the reference are fewer here."""
        start = self.lengths.size - 1
        return counts[start : start + N_SHARES]

    def holding_in(self, counts: IntArray) -> IntArray:
        """Give how many documents hold each word of the vocabulary."""
        return counts[self.lengths.size - 1 + N_SHARES : -1]

    def with_lengths(self, lengths: IntArray) -> IntArray:
        """Give a vector of counts of which only the lengths and the missing are known."""
        vector = np.zeros(self.size, np.int64)
        vector[: self.lengths.size - 1] = lengths[:-1]
        vector[-1] = lengths[-1]
        return vector

    def to_json(self) -> dict[str, Any]:
        """Give the JSON-safe document."""
        return {
            "kind": self.kind,
            "lengths": self.lengths.to_json(),
            **self.vocabulary.to_json(),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "TextCells":
        """Read what ``to_json`` made."""
        lengths = cells_from_json(document["lengths"])
        if not isinstance(lengths, NumberCells | ValueCells):
            message = f"lengths of texts in {lengths.kind} cells"
            raise ValueError(message)
        return cls(lengths, Vocabulary.from_json(document))


def _fit_lengths(texts: dict[str, int]) -> NumberCells | ValueCells:
    n_each = Counter[int]()
    for text, n in texts.items():
        n_each[len(text)] += n
    if 0 < len(n_each) <= MOST_VALUES:
        return ValueCells("text", np.array(sorted(n_each), np.float64))
    each = sorted(n_each)
    ordered = np.repeat(np.array(each, np.float64), [n_each[length] for length in each])
    return NumberCells.fit(ordered, "text", n_quantiles=N_LENGTHS, own=_LENGTH_OF_ITS_OWN)
