"""TF-IDF of a text in plain Python: scikit-learn's tokens and weights, without scikit-learn.

The token pattern, the lower-casing, the n-grams and the weights are those of
``sklearn.feature_extraction.text.TfidfVectorizer``; a test holds the two against each other.
"""

import math
import re
from collections.abc import Sequence
from typing import Any

TOKEN = re.compile(r"(?u)\b\w\w+\b")


def terms(text: str, n_max: int = 1) -> list[str]:
    """List the words of a text and, up to ``n_max`` words long, its n-grams.

    Returns
    -------
    list of str
        Lower case, in order, with repetitions; words of one character are left out.
    """
    words = TOKEN.findall(text.lower())
    if n_max == 1:
        return words
    found = list(words)
    for n in range(2, n_max + 1):
        found.extend(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))
    return found


class TfIdf:
    """A fitted vocabulary: a text becomes the sparse, length-1 vector of its weighted terms.

    Parameters
    ----------
    vocabulary : sequence of str
        The terms, in column order.
    idf : sequence of float
        Inverse document frequency of each.
    n_max : int
        Longest n-gram.
    sublinear : bool
        Count ``c`` weighs ``1 + ln c`` instead of ``c``.
    """

    __slots__ = ("_columns", "_idf", "_n_max", "_sublinear", "width")

    def __init__(
        self,
        vocabulary: Sequence[str],
        idf: Sequence[float],
        n_max: int = 1,
        *,
        sublinear: bool = False,
    ) -> None:
        self._columns = {term: column for column, term in enumerate(vocabulary)}
        self._idf = [float(value) for value in idf]
        self._n_max = n_max
        self._sublinear = sublinear
        self.width = len(self._idf)

    @classmethod
    def from_plan(cls, step: dict[str, Any]) -> "TfIdf":
        """Read a ``tfidf`` step of a featuriser plan."""
        return cls(step["vocabulary"], step["idf"], step["n_max"], sublinear=step["sublinear"])

    def weights(self, text: str | None) -> list[tuple[int, float]]:
        """Give (column, weight) of the known terms, in column order; squares sum to 1.

        Returns
        -------
        list of (int, float)
            Empty for a missing text or one without a known term.
        """
        if not text:
            return []
        counts: dict[int, int] = {}
        columns = self._columns
        for term in terms(text, self._n_max):
            column = columns.get(term)
            if column is not None:
                counts[column] = counts.get(column, 0) + 1
        if not counts:
            return []
        idf, sublinear = self._idf, self._sublinear
        weighted = [
            (column, ((1.0 + math.log(n)) if sublinear else float(n)) * idf[column])
            for column, n in sorted(counts.items())
        ]
        length = math.sqrt(sum(weight * weight for _, weight in weighted))
        return [(column, weight / length) for column, weight in weighted]
