"""Words, the vocabulary of a reference, and the documents that choose it."""

import random
from collections import Counter
from itertools import product

import numpy as np
import pytest

from timonel.stats.texts.words import (
    MOST_CHARACTERS,
    N_SHARES,
    Vocabulary,
    mean_share,
    split,
    words_of,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("22:15 !?", []),
        ("El Ñandú CORRE; corre", ["el", "ñandú", "corre", "corre"]),
        ("don't_stop", ["don", "t", "stop"]),
        ("電力が止まる now", ["電", "力", "が", "止", "ま", "る", "now"]),
        ("전기가 끊겼다", ["전기가", "끊겼다"]),
        ("a" * (MOST_CHARACTERS - 1) + " lost", ["a" * (MOST_CHARACTERS - 1)]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_words_of_many_documents_are_named_and_those_of_one_alone_stay_unknown() -> None:
    texts = {f"poste caído {'abcdefghij'[k % 10]}{'x' * k}": 1 for k in range(100)}
    vocabulary = Vocabulary.fit({**texts, "rarely rarely": 4})
    assert vocabulary.words == ("caído", "poste")  # "rarely" is in too few documents
    shares, holding = vocabulary.count({"poste poste roto": 3, "rarely": 2, "...": 1, "caído": 5})
    assert holding.tolist() == [5, 3]
    assert shares.tolist() == [7, *[0] * 6, 3, *[0] * 13, 1]  # 1 unknown of 3; no words at all
    assert len(shares) == N_SHARES


def test_a_vocabulary_is_read_back_and_counts_alike() -> None:
    texts = {f"{'abcde'[k % 5]} {'fghij'[k % 3]} z": k + 1 for k in range(40)}
    vocabulary = Vocabulary.fit(texts)
    again = Vocabulary.from_json(vocabulary.to_json())
    for mine, other in zip(vocabulary.count(texts), again.count(texts), strict=True):
        assert mine.tolist() == other.tolist()


def test_a_foreign_word_is_taken_for_a_known_one_in_a_third_of_the_cases_at_most() -> None:
    letters = "abcdefghijklmnopqrst"
    names = ["".join(letters[d] for d in divmod(k, 20)) for k in range(400)]
    full = {f"{a} {b}{c}": 9 for a in names for b, c in ((names[3], a), (a, names[7]))}
    vocabulary = Vocabulary.fit(full)
    n_set = sum(byte.bit_count() for byte in vocabulary.bits)
    assert 0.2 < n_set / (8 * len(vocabulary.bits)) < 1 / 3
    strangers = {f"{a}{b}": 1 for a, b in product(["u" * k for k in range(1, 181)], "vwxyz")}
    shares, _ = vocabulary.count(strangers)
    assert shares[-2] / sum(strangers.values()) > 2 / 3 - 0.05


def test_no_document_is_frequent_on_one_side_alone() -> None:
    texts = {"the form letter": 400, "another": 41, **{f"own {k}": 1 for k in range(4_000)}}
    choosing, counted = split(texts)
    assert Counter(choosing) + Counter(counted) == Counter(texts)
    assert choosing["the form letter"] == 100
    assert choosing["another"] in (10, 11)
    assert 900 < sum(n for text, n in choosing.items() if text.startswith("own")) < 1_100
    shuffled = list(texts.items())
    random.Random(1).shuffle(shuffled)
    assert split(dict(shuffled)) == (choosing, counted)


def test_the_mean_share_is_of_documents_with_words() -> None:
    shares = np.zeros(N_SHARES, np.int64)
    assert mean_share(shares) is None
    shares[[0, 10, -1]] = 1, 1, 8
    assert mean_share(shares) == pytest.approx(0.475 / 2)


def test_texts_are_counted_together_as_each_by_itself() -> None:
    """Whatever they hold: the mark that parts them, final sigmas, letters that grow."""
    rng = random.Random(1)
    signs = "abcdeñÁΣς İß日カ 12_-\n\0  "
    for _ in range(40):
        texts = {
            "".join(rng.choice(signs) for _ in range(rng.randrange(40))): rng.randrange(1, 4)
            for _ in range(rng.randrange(20))
        }
        vocabulary = Vocabulary.fit(dict(list(texts.items())[::2]))
        each = [vocabulary.count({text: n}) for text, n in texts.items()]
        shares, holding = vocabulary.count(texts)
        assert shares.tolist() == sum((one for one, _ in each), np.zeros(N_SHARES, int)).tolist()
        none = np.zeros(len(vocabulary.words), int)
        assert holding.tolist() == sum((one for _, one in each), none).tolist()
