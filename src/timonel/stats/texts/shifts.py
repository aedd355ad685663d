"""Whether texts moved: tests on documents, and the words by which they did."""

from dataclasses import dataclass

from timonel.stats.profiles.count_tests import (
    TwoSample,
    chi2_counts,
    ks_counts,
    merge_thin,
    missing_counts,
)
from timonel.stats.profiles.findings import TextShift, WordShift
from timonel.stats.profiles.packing import IntArray
from timonel.stats.texts.cells import TextCells
from timonel.stats.texts.words import mean_share

MOST_TOLD = 12
_FEWEST_DOCUMENTS = 50

Group = tuple[tuple[str, TwoSample], ...]


@dataclass(frozen=True, slots=True)
class TextPair:
    """The documents of a window and of its reference, in the same cells.

    Parameters
    ----------
    cells : TextCells
    counts, now : ndarray of int
        Of the reference and of the window.
    """

    cells: TextCells
    counts: IntArray
    now: IntArray

    @property
    def shares(self) -> tuple[IntArray, IntArray]:
        """Counts by share of unknown words, of both sides."""
        return self.cells.shares_in(self.counts), self.cells.shares_in(self.now)

    def groups(self) -> tuple[Group, ...]:
        """Test how much is new in a document, and which words it holds.

        Returns
        -------
        tuple of groups of (kind, TwoSample)
            ``vocabulary_ks`` and ``vocabulary`` (chi-square) on the share of unknown words in each
            document; ``words``: Fisher's exact test of every named word's share of documents. Of a
            group the best p-value counts, times how many there are. Empty where a side has fewer
            than 50 documents, or was counted with another vocabulary.

        Notes
        -----
        A document is one draw, however many words it has: they come together, and counting them
        one by one finds drift in every window.
        """
        before, after = self.shares
        if min(before.sum(), after.sum()) < _FEWEST_DOCUMENTS:
            return ()
        thick = merge_thin(before, after)
        newness: Group = (
            ("vocabulary_ks", ks_counts(before, after)),
            ("vocabulary", chi2_counts(*thick)),
        )
        words: Group = tuple(("words", found) for found in self._by_word())
        return (newness, words) if words else (newness,)

    def _by_word(self) -> list[TwoSample]:
        n, m = (int(each.sum()) for each in self.shares)
        holding = (self.cells.holding_in(each).tolist() for each in (self.counts, self.now))
        return [missing_counts(a, n, b, m) for a, b in zip(*holding, strict=True)]

    def shift(self, moved: list[bool]) -> TextShift:
        """Say what moved.

        Parameters
        ----------
        moved : list of bool
            By named word; empty where they were not tested.
        """
        before, after = self.shares
        n, m = int(before.sum()), int(after.sum())
        holding = zip(
            self.cells.vocabulary.words,
            self.cells.holding_in(self.counts).tolist(),
            self.cells.holding_in(self.now).tolist(),
            moved or [False] * len(self.cells.vocabulary.words),
            strict=True,
        )
        words = [WordShift(word, a / n, b / m) for word, a, b, far in holding if far]
        words.sort(key=lambda one: (-abs(one.share - one.share_reference), one.word))
        return TextShift(mean_share(before), mean_share(after), tuple(words[:MOST_TOLD]))
