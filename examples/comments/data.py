"""Where the comments come from: the published tweets, or sentences that say they stand in for them.

A tenth of the texts, by a hash, is never trained on: `traffic_rows` sends those.
"""

import os
import random
import sys
from hashlib import blake2b
from pathlib import Path

import polars as pl
from words import read_words

HERE = Path(__file__).resolve().parent
HATE, OFFENSIVE, NEITHER = "Hate Speech", "Offensive Language", "Neither"
PLAIN = (
    "the bus was late again",
    "what a lovely morning",
    "gracias por la ayuda",
    "nos vemos mañana",
    "who won the match",
    "the bread here is good",
    "qué buen partido",
)


def find_file() -> Path | None:
    """`tweets_70.parquet` beside this module, under TIMONEL_TEST_DATA, or beside the repository."""
    folders = [HERE, HERE / "../../../shared/data/tweets_hate"]
    if root := os.environ.get("TIMONEL_TEST_DATA"):
        folders.insert(1, Path(root) / "tweets_hate")
    file = "tweets_70.parquet"
    return next((f / file for f in folders if (f / file).is_file()), None)


def read_all() -> pl.DataFrame:
    """Columns text and label, each text once."""
    file = find_file()
    if file is None:
        print(
            "comments: tweets_70.parquet WAS NOT FOUND. Training on GENERATED sentences: their "
            "scores say nothing about people's comments. Put the file (see README.md) into this "
            "folder, or name its parent's folder in TIMONEL_TEST_DATA.",
            file=sys.stderr,
        )
        return generate()
    table = pl.read_parquet(file, columns=["text", "class_label"])
    table = table.filter(pl.col("text").str.strip_chars() != "")
    return table.rename({"class_label": "label"}).unique("text", keep="first", maintain_order=True)


def is_kept(text: str) -> bool:
    """Whether a text is kept from training, for traffic: a tenth, the same everywhere."""
    return blake2b(text.encode(), digest_size=8).digest()[0] < 26


def read_comments() -> pl.DataFrame:
    """What is trained on."""
    table = read_all()
    return table.filter([not is_kept(text) for text in table["text"]])


def traffic_rows() -> pl.DataFrame:
    """What no training saw, with its truth."""
    table = read_all()
    return table.filter([is_kept(text) for text in table["text"]])


def generate(n: int = 900, seed: int = 42) -> pl.DataFrame:
    """Invent sentences of the three classes from the word lists. No relation in them was measured.

    They let the project run where the file is absent.
    """
    rng = random.Random(seed)
    hate, offensive = read_words("hate"), read_words("offensive")
    rows = []
    for i in range(n):
        kind = rng.choices((HATE, OFFENSIVE, NEITHER), (1, 3, 2))[0]
        # one in ten says what its class does not: nothing learns such texts by heart
        shown = kind if rng.random() < 0.9 else NEITHER
        said = {HATE: rng.choice(hate), OFFENSIVE: rng.choice(offensive), NEITHER: ""}[shown]
        text = f"{rng.choice(PLAIN)} {said} number {i}".replace("  ", " ")
        rows.append({"text": text, "label": kind})
    return pl.DataFrame(rows)
