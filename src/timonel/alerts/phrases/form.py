"""The form of the sentences, and how figures are written into them; pure."""

import string
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_DIGITS = str.maketrans(",.", ".,")
_LONGEST = 400


class Phrases(NamedTuple):
    """The sentences of a kind of alert in one language.

    Of ``title``, ``seen`` and ``expected`` the first whose fields are all known is said; the last
    has none, so something is always said. A step whose fields are not known is left out. ``:%``
    after a field's name writes a share as per cent.
    """

    title: tuple[str, ...]
    seen: tuple[str, ...]
    expected: tuple[str, ...]
    steps: tuple[str, ...]


def first_known(sentences: Sequence[str], facts: Mapping[str, Any], lang: str) -> str:
    """Say the first sentence whose fields are all known."""
    return next((said for said in known(sentences, facts, lang)), "")


def known(sentences: Sequence[str], facts: Mapping[str, Any], lang: str) -> list[str]:
    """Say the sentences whose fields are all known."""
    writer = _Writer(lang)
    return [
        writer.vformat(sentence, (), facts)
        for sentence in sentences
        if all(facts.get(name) not in (None, "", [], {}) for name in fields(sentence))
    ]


def fields(sentence: str) -> set[str]:
    """Name the facts that a sentence needs."""
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def figure(value: object, lang: str) -> str:
    """Write a fact for a reader: at most four digits, in the notation of the language.

    Examples
    --------
    >>> figure(0.123456, "es"), figure({"timeout": 31}, "en")
    ('0,1235', 'timeout 31')
    """
    match value:
        case bool():
            written = {"en": ("no", "yes"), "es": ("no", "sí")}[lang][value]
        case int():
            written = _local(f"{value:,}", lang)
        case float():
            written = _local(f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}", lang)
        case dict():
            written = ", ".join(f"{key} {figure(one, lang)}" for key, one in value.items())
        case list() | tuple():
            written = ", ".join(figure(one, lang) for one in value)
        case _:
            written = str(value)
    return written if len(written) <= _LONGEST else f"{written[: _LONGEST - 1]}…"


def _local(written: str, lang: str) -> str:
    return written.translate(_DIGITS) if lang == "es" else written


class _Writer(string.Formatter):
    """Formats with ``figure``; no attribute or index of a fact can be reached."""

    def __init__(self, lang: str) -> None:
        self._lang = lang

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return kwargs[field_name], field_name

    def format_field(self, value: Any, format_spec: str) -> Any:
        if format_spec == "%" and isinstance(value, int | float):
            return _local(f"{100 * value:.3g} %", self._lang)
        return figure(value, self._lang)
