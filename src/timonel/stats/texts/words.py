"""Words of texts, and which of them a reference knows: in few bytes, and the same everywhere.

A vocabulary holds two things: the most frequent words by name, so that a person is told which of
them came and went; and about a thousand as bits at their hash, so that words which the reference
does not know are recognised as such (a foreign word is taken for a known one in at most a third of
the cases, alike on both sides of a comparison).

The words are chosen on a quarter of the reference's documents and the reference is counted on the
others: whichever words chance made frequent in the rows they were chosen on would seem to have
fallen in every later window.
"""

import re
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np

from timonel.stats.profiles.packing import IntArray

MOST_CHARACTERS = 2_000
"""Of a longer text only so many characters are read."""
MOST_WORDS = 56
N_BITS = 3_072
N_STEPS = 20
N_SHARES = N_STEPS + 2
"""Cells of the share of unknown words: none, up to 1/20, ..., up to 20/20; and "no words"."""

_MOST_KNOWN = N_BITS // 3
_LEAST_DOCUMENTS = 5
_LEAST_SHARE = 0.01
_LONGEST = 24
_WORD_BYTES = 440
_CHOOSING = 4
_ENDS, _UNKNOWN, _KNOWN = -3, -2, -1
_END = "\0"  # between texts that are searched through together
_MOST_REMEMBERED = 50_000
# scripts written without spaces: each character stands for itself
_SPACELESS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_LETTERS = rf"[^\W\d_{_SPACELESS}]+"  # tried first: nearly all words are of these
_WORD = re.compile(rf"{_LETTERS}|[{_SPACELESS}]")
_WORD_OR_END = re.compile(rf"{_LETTERS}|[{_SPACELESS}{_END}]")


def words_of(text: str) -> list[str]:
    """List the words of a text, in order, with repetitions.

    Examples
    --------
    >>> words_of("¡Se cortó a las 22:15, otra VEZ!")
    ['se', 'cortó', 'a', 'las', 'otra', 'vez']
    """
    return _WORD.findall(text[:MOST_CHARACTERS].lower())


class _Codes(dict[str, int]):
    """From a word to its place in the list; or whether it is known. Filled as words are met."""

    def __init__(self, listed: Iterable[str], bits: bytes) -> None:
        super().__init__((word, at) for at, word in enumerate(listed))
        self[_END] = _ENDS
        self._bits = bits

    def __missing__(self, word: str) -> int:
        byte, bit = divmod(_bit_of(word), 8)
        code = _KNOWN if self._bits[byte] >> bit & 1 else _UNKNOWN
        if len(self) < _MOST_REMEMBERED:
            self[word] = code
        return code


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The words that documents are looked through for.

    Parameters
    ----------
    words : tuple of str
        By name, sorted.
    bits : bytes
        Of all known words, the named among them: bit ``crc32(word) % N_BITS`` is set.
    """

    words: tuple[str, ...]
    bits: bytes
    _codes: _Codes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_codes", _Codes(self.words, self.bits))

    @classmethod
    def fit(cls, texts: Mapping[str, int]) -> "Vocabulary":
        """Choose words by the number of documents that hold them.

        Parameters
        ----------
        texts : mapping of str to int
            Documents, and how often each occurs.
        """
        n_holding = Counter[str]()
        for text, n in texts.items():
            for word in set(words_of(text)):
                n_holding[word] += n
        ranked = sorted(n_holding.items(), key=lambda item: (-item[1], item[0]))
        least = max(_LEAST_DOCUMENTS, _LEAST_SHARE * sum(texts.values()))
        listed: list[str] = []
        left = _WORD_BYTES
        for word, n in ranked:
            cost = len(word.encode("ascii", "backslashreplace")) + 3
            if n < least or len(listed) == MOST_WORDS:
                break
            if len(word) <= _LONGEST and cost <= left:
                listed.append(word)
                left -= cost
        bits = bytearray(N_BITS // 8)
        # a word of a single document is hardly known: the next one may well bring another
        for word in [*listed, *(word for word, n in ranked[:_MOST_KNOWN] if n > 1)]:
            byte, bit = divmod(_bit_of(word), 8)
            bits[byte] |= 1 << bit
        return cls(tuple(sorted(listed)), bytes(bits))

    def count(self, texts: Mapping[str, int]) -> tuple[IntArray, IntArray]:
        """Count documents by the share of their words that is unknown, and by the words they hold.

        Parameters
        ----------
        texts : mapping of str to int
            Documents, and how often each occurs.

        Returns
        -------
        shares : ndarray, shape (N_SHARES,)
            Every document is in one cell.
        holding : ndarray, shape (len(words),)
            How many documents hold each word, once or oftener.
        """
        n_each = np.array(list(texts.values()), np.int64)
        codes, document = self._coded(list(texts))
        n_words = np.bincount(document, minlength=len(texts))
        n_unknown = np.bincount(document[codes == _UNKNOWN], minlength=len(texts))
        share = -(-N_STEPS * n_unknown // np.maximum(n_words, 1))
        share[n_words == 0] = N_SHARES - 1
        listed = codes >= 0
        held = np.unique(document[listed] * len(self.words) + codes[listed])
        by, word = np.divmod(held, max(1, len(self.words)))
        return _sums(share, n_each, N_SHARES), _sums(word, n_each[by], len(self.words))

    def _coded(self, texts: list[str]) -> tuple[IntArray, IntArray]:
        """Give the code of each word of all texts, and which of them it is in."""
        joined = _END.join([text[:MOST_CHARACTERS] for text in texts])
        if joined.count(_END) >= max(1, len(texts)):  # a text holds one itself
            joined = _END.join([text[:MOST_CHARACTERS].replace(_END, " ") for text in texts])
        # one search through all of them: half the time of one for each
        words = _WORD_OR_END.findall(joined.lower())
        codes = np.fromiter(map(self._codes.__getitem__, words), np.int64, len(words))
        ends = codes == _ENDS
        return codes[~ends], np.cumsum(ends)[~ends]

    def to_json(self) -> dict[str, Any]:
        """Give the JSON-safe document."""
        return {"words": list(self.words), "known": b64encode(self.bits).decode()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Vocabulary":
        """Read what ``to_json`` made."""
        return cls(tuple(document["words"]), b64decode(document["known"]))


def split(texts: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Part documents into a quarter to choose words on and the rest to count.

    Returns
    -------
    pair of dict
        By content and not by place, so that the order of rows changes nothing; copies of one
        document are dealt out in the same proportion, so that none is frequent on one side alone.
    """
    choosing, counted = {}, {}
    for text, n in texts.items():
        whole, rest = divmod(n, _CHOOSING)
        drawn = crc32(text.encode("utf-8", "surrogatepass")) >> 8
        chosen = whole + (drawn % _CHOOSING < rest)
        if chosen:
            choosing[text] = chosen
        if n > chosen:
            counted[text] = n - chosen
    return choosing, counted


def mean_share(shares: IntArray) -> float | None:
    """Give the mean share of unknown words in a document, from its cells; None without words."""
    n = int(shares[:-1].sum())
    middles = np.maximum(0.0, np.arange(N_STEPS + 1) - 0.5) / N_STEPS
    return float(shares[:-1] @ middles) / n if n else None


def _sums(at: IntArray, weight: IntArray, n: int) -> IntArray:
    return np.asarray(np.bincount(at, weights=weight, minlength=n), np.int64)


def _bit_of(word: str) -> int:
    return crc32(word.encode("utf-8", "surrogatepass")) % N_BITS
