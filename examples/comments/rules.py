"""What answers when no model can: two lists of words, in two languages, and nothing else."""

import re
from itertools import pairwise
from typing import Any

from timonel import Answer

# --- from words/
HATE = (
    "are inferior",
    "are parasites",
    "are subhuman",
    "are vermin",
    "hate foreigners",
    "hate immigrants",
    "odio extranjeros",
    "odio inmigrantes",
    "son inferiores",
    "son parásitos",
    "son plaga",
)
OFFENSIVE = (
    "clown",
    "cállate ya",
    "dumb",
    "estúpida",
    "estúpido",
    "idiot",
    "idiota",
    "idiotas",
    "idiots",
    "imbécil",
    "jerk",
    "loser",
    "moron",
    "pathetic",
    "patético",
    "payaso",
    "shut up",
    "stupid",
    "tonta",
    "tonto",
)
# --- to here

TOKEN = re.compile(r"\b\w\w+\b")


def found_in(text: str, words: tuple[str, ...]) -> int:
    """How many words of a list stand in a text, pairs of words included."""
    tokens = TOKEN.findall(text.lower())
    pairs = [" ".join(two) for two in pairwise(tokens)]
    return len(set(words).intersection([*tokens, *pairs]))


def by_words(row: dict[str, Any]) -> Answer:
    """The class by the lists. No score: a list gives no probability."""
    hate, offensive = found_in(row["text"], HATE), found_in(row["text"], OFFENSIVE)
    label = "Hate Speech" if hate else "Offensive Language" if offensive else "Neither"
    return Answer(label, explanation=f"{hate} of the hate list, {offensive} of the offensive list")
