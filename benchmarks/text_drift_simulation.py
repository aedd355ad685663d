"""How often does a column of texts cry wolf, and what does it miss? On real tweets, and made ones.

Run: ``make simulate`` (``ARGS=--quick`` for fewer windows). Seeded. The tweets are drawn from
``tweets_hate/tweets_70.parquet`` in the folder that ``TIMONEL_TEST_DATA`` names; without it, from
topics of made words alone (Zipf's law, several words of a topic in each text, so that words come in
clusters). Each line is a share of windows: warned, by the test that found it; beside it what a
chi-square over all *words* at p < .05 would have flagged.
"""

import argparse
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
from scipy.stats import chi2_contingency

from timonel.schema.features import Text
from timonel.stats.drift import DriftReport, Profile, RowCounter, compare
from timonel.stats.texts.words import words_of

Texts = list[str | None]
Draw = Callable[[np.random.Generator, int], Texts]
PER_REFERENCE = 5
N_TOPICS, N_WORDS, TOPIC_WORDS = 40, 6_000, 60
SCHEMA = (Text("text"),)


class Topics:
    """Texts of words by Zipf's law, half of each text's words of one of many topics."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        letters = np.array(list("abcdefghilmnoprstu"))
        self.words = ["".join(rng.choice(letters, rng.integers(3, 10))) for _ in range(N_WORDS)]
        weights = 1.0 / np.arange(1, N_WORDS + 1) ** 1.1
        self.upto = np.cumsum(weights / weights.sum())
        self.topics = rng.integers(50, N_WORDS, (N_TOPICS, TOPIC_WORDS))

    def draw(self, rng: np.random.Generator, n: int, lift: float = 0.0) -> Texts:
        """Give texts; ``lift`` is the share of them that are of topic 0 whatever comes."""
        found: Texts = []
        topics = np.where(rng.random(n) < lift, 0, rng.integers(N_TOPICS, size=n))
        for topic, size in zip(topics, 3 + rng.poisson(12, n), strict=True):
            common = np.searchsorted(self.upto, rng.random(size)).clip(max=N_WORDS - 1)
            own = rng.random(size) < 0.5
            places = np.where(own, rng.choice(self.topics[topic], size), common)
            found.append(" ".join(self.words[at] for at in places))
        return found


def tweets(folder: Path) -> tuple[Texts, list[str]]:
    """Read the tweets and their classes."""
    frame = pl.read_parquet(folder / "tweets_hate" / "tweets_70.parquet")
    return frame["text"].to_list(), frame["class_label"].to_list()


def words_in(texts: Texts) -> Counter[str]:
    """Count the words of texts."""
    return Counter(word for text in texts if text for word in words_of(text))


def by_words(reference: Counter[str], window: Counter[str]) -> bool:
    """Say whether a chi-square over the words themselves flags a window: p < .05."""
    rows = [[c[word] for word, n in reference.items() if n >= 20] for c in (reference, window)]
    return bool(chi2_contingency(rows).pvalue < 0.05)


class Line:
    """What a series of windows comes to."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.n = self.warned = self.naive = 0
        self.tests = Counter[str]()

    def add(self, report: DriftReport, naive: bool) -> None:
        """Count a window."""
        self.n += 1
        self.warned += report.drifted
        self.naive += naive
        self.tests.update(t.kind for t in report.columns["text"].tests if t.drifted)

    def row(self) -> str:
        """Give it as a row of a table."""
        kinds = ("ks", "chi2", "vocabulary_ks", "vocabulary", "words", "missing")
        length, length2, new_ks, new, words, missing = (self.tests[kind] for kind in kinds)
        shown = (self.warned, length + length2, new_ks + new, words, missing, self.naive)
        shares = (f"{100 * count / max(1, self.n):.1f} %" for count in shown)
        return f"| {self.title} | {self.n} | " + " | ".join(shares) + " |"


def series(title: str, seed: int, n_windows: int, sizes: tuple[int, int], *draws: Draw) -> Line:
    """Judge windows of the second draw against references of the first.

    Small windows cost little beside their reference: there are ten times as many of each, since
    seven warnings of 100 say no more than "between 3 and 14 %".
    """
    rng = np.random.default_rng(seed)
    line = Line(title)
    small = 10 if 10 * sizes[1] < sizes[0] else 1
    for _ in range(max(1, n_windows // PER_REFERENCE)):
        reference = draws[0](rng, sizes[0])
        profile = Profile.fit({"text": reference}, schema=SCHEMA)
        words = words_in(reference)
        for _ in range(PER_REFERENCE * small):
            window = draws[-1](rng, sizes[1])
            line.add(compare(profile, {"text": window}), by_words(words, words_in(window)))
    return line


def quiet(n_windows: int, pool: Texts) -> list[Line]:
    """Nothing wrong, by reference and window."""
    topics = Topics(1)

    def real(rng: np.random.Generator, n: int) -> Texts:
        return [pool[at] for at in rng.integers(len(pool), size=n)]

    lines = []
    for n, m in ((300, 200), (1_000, 1_000), (10_000, 200), (10_000, 2_000), (2_000, 10_000)):
        fewer = n_windows if m < 10_000 else n_windows // 4
        if pool:
            lines.append(series(f"tweets, {n:,}, {m:,}", 2, fewer, (n, m), real))
        lines.append(series(f"topics, {n:,}, {m:,}", 3, fewer, (n, m), topics.draw))
    return lines


def moved(n_windows: int, pool: Texts, classes: list[str]) -> list[Line]:
    """Windows of 1,000 in which something moved, reference 10,000."""
    topics, others, sizes = Topics(1), Topics(9), (10_000, 1_000)

    def mixed(share: float) -> Draw:
        def draw(rng: np.random.Generator, n: int) -> Texts:
            new = int(share * n)
            return topics.draw(rng, n - new) + others.draw(rng, new)

        return draw

    def lifted(share: float) -> Draw:
        return lambda rng, n: topics.draw(rng, n, share)

    moves: dict[str, Draw] = {
        "one of 40 in 10 % more texts": lifted(0.1),
        "one of 40 in 20 % more texts": lifted(0.2),
        "5 % in another language": mixed(0.05),
        "10 % in another language": mixed(0.1),
    }
    lines = [
        series(f"topics: {title}", 4, n_windows, sizes, topics.draw, draw)
        for title, draw in moves.items()
    ]
    if pool:
        lines += _moved_tweets(n_windows, sizes, pool, classes)
    return lines


def _moved_tweets(
    n_windows: int, sizes: tuple[int, int], pool: Texts, classes: list[str]
) -> list[Line]:
    of_class = [at for at, label in enumerate(classes) if label == "Neither"]

    def real(rng: np.random.Generator, n: int) -> Texts:
        return [pool[at] for at in rng.integers(len(pool), size=n)]

    def tilted(share: float) -> Draw:
        def draw(rng: np.random.Generator, n: int) -> Texts:
            more = rng.choice(of_class, int(share * n))
            return [*real(rng, n - len(more)), *(pool[at] for at in more)]

        return draw

    def cut(rng: np.random.Generator, n: int) -> Texts:
        return [text and text[:60] for text in real(rng, n)]

    return [
        series('tweets: 10 % more of "Neither"', 6, n_windows, sizes, real, tilted(0.1)),
        series('tweets: 20 % more of "Neither"', 6, n_windows, sizes, real, tilted(0.2)),
        series("tweets: cut off at 60 characters", 7, n_windows, sizes, real, cut),
    ]


def cost(pool: Texts) -> str:
    """Measure what a text costs in the drain, and a column in the profile."""
    texts = pool or Topics(1).draw(np.random.default_rng(8), 17_000)
    profile = Profile.fit({"text": texts}, schema=SCHEMA)
    best = float("inf")
    for _ in range(3):
        counter = RowCounter(profile)
        began = perf_counter()
        counter.extend([(text,) for text in texts])
        counter.take()
        best = min(best, perf_counter() - began)
    words = np.mean([len(words_of(text)) for text in texts if text])
    return f"{1e6 * best / len(texts):.1f} us a text of {words:.0f} words"


HEADINGS = "|  | windows | warned | length | unknown words | words | missing | all words, p < .05 |"


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    folder = os.environ.get("TIMONEL_TEST_DATA")
    pool, classes = tweets(Path(folder)) if folder else ([], [])
    n_windows = 25 if asked.quick else 100
    rule = "|---" * 8 + "|"
    told = ["# Drift of texts: false warnings and power", "", f"Counting: {cost(pool)}.", ""]
    for title, lines in (
        ("Nothing wrong: reference, window", quiet(n_windows, pool)),
        ("Windows of 1,000, reference 10,000", moved(n_windows // 2, pool, classes)),
    ):
        told += [f"## {title}", "", HEADINGS, rule, *(line.row() for line in lines), ""]
    text = "\n".join(told)
    if asked.out is not None:
        asked.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
