"""The error tree: what could not be done, what was found, and what to do now.

Every error is a class with a stable ``code`` and its two texts (message and remedy) in English and
Spanish. Raising passes only the facts: ``raise UnknownModel(model="chrun", known=["churn"])``.
Concepts define their own classes beside their code; the families here decide how an error looks
from outside (``timonel.wire.problem`` maps a family to an HTTP status, the CLI to an exit code).
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar, NamedTuple


class Text(NamedTuple):
    """One language's sentence pair; both may hold ``{name}`` fields filled from the context."""

    message: str
    remedy: str


class Phrase(str):
    """A part of a message in both languages; as a text it is the English one.

    What was found and what was expected are facts to a program and words to a person: raising code
    passes phrases, and the reader gets them in the language of the sentence around them.

    Parameters
    ----------
    en, es : str
        With ``{name}`` fields where there are facts.
    **facts
        Plain values, or phrases.
    """

    es: str

    def __new__(cls, en: str, es: str, **facts: Any) -> "Phrase":
        """Fill the facts in; without facts, braces stay as they are."""
        made = super().__new__(cls, en.format(**facts) if facts else en)
        made.es = es.format(**in_language(facts, "es")) if facts else es
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return (Phrase, (str(self), self.es))


class Comma(float):
    """A number that is written as in Spanish: ``12,5 %``."""

    def __format__(self, how: str) -> str:
        """Write it; the sign of percents stands off by a narrow space."""
        return super().__format__(how).replace(".", ",").replace("%", "\u202f%")


def numbers_in(facts: Mapping[str, Any], lang: str) -> dict[str, Any]:
    """Give facts whose numbers are written as a language writes them, once they are formatted."""
    if lang != "es":
        return dict(facts)
    return {name: Comma(fact) if isinstance(fact, float) else fact for name, fact in facts.items()}


def figure(value: float, form: str) -> "Phrase":
    """Write a number in a form (as of ``format``), with each language's decimal sign.

    Examples
    --------
    >>> figure(0.125, ".1%").es
    '12,5%'
    """
    written = format(value, form)
    return Phrase(written, written.replace(".", ","))


def joined(parts: Sequence[str], sign: str = "; ") -> "Phrase":
    """Join phrases (or plain texts) to one, in both languages."""
    return Phrase(sign.join(parts), sign.join(in_language(part, "es") for part in parts))


def in_language(value: Any, lang: str) -> Any:
    """Give a value with every phrase in it, however deep, as plain text of one language."""
    if isinstance(value, Phrase):
        return value.es if lang == "es" else str(value)
    if isinstance(value, dict):
        return {name: in_language(part, lang) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(in_language(part, lang) for part in value)
    return value


def summary_of(faults: Sequence[Mapping[str, Any]]) -> Phrase:
    """Say the first five of some faults (``field``, ``found``, ``expected``), and how many more."""
    said = {
        "en": "{field}: found {found}, expected {expected}",
        "es": "{field}: hay {found}, se esperaba {expected}",
    }
    texts = {
        lang: "; ".join(said[lang].format_map(in_language(dict(one), lang)) for one in faults[:5])
        for lang in said
    }
    if len(faults) > 5:
        texts["en"] += f"; and {len(faults) - 5} more"
        texts["es"] += f"; y {len(faults) - 5} más"
    return Phrase(texts["en"], texts["es"])


class TimonelError(Exception):
    """The root: a code, a message, a remedy and the facts they were made from.

    Parameters
    ----------
    **context
        The facts, by the names that the class's texts use. Kept as ``error.context`` (JSON-safe
        values only), and sent along in problem documents.
    """

    code: ClassVar[str] = "error"
    texts: ClassVar[Mapping[str, Text]] = {}

    def __init__(self, **context: Any) -> None:
        self.context = context
        super().__init__(self.message())

    def message(self, lang: str = "en") -> str:
        """Say what could not be done, what was found and what was expected."""
        return self._text(lang).message.format(**in_language(self.context, lang))

    def remedy(self, lang: str = "en") -> str:
        """Say the command or setting that mends it."""
        return self._text(lang).remedy.format(**in_language(self.context, lang))

    def _text(self, lang: str) -> Text:
        return self.texts.get(lang) or self.texts["en"]

    def __str__(self) -> str:
        return f"{self.message()} {self.remedy()}"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.context))


def _rebuild(kind: type[TimonelError], context: dict[str, Any]) -> TimonelError:
    return kind(**context)


class MalformedInput(TimonelError):
    """The bytes cannot be read as the form they claim to be (HTTP 400)."""


class InvalidInput(TimonelError):
    """Well-formed input that breaks a rule of its schema (HTTP 422)."""


class NotFound(TimonelError):
    """A name or id that does not exist (HTTP 404)."""


class NotAllowed(TimonelError):
    """The object is there, but does not answer this method (HTTP 405)."""


class UnsupportedForm(TimonelError):
    """A body of a media type that is not read here (HTTP 415)."""


class Conflict(TimonelError):
    """The object is in a state that does not allow this (HTTP 409)."""


class Unauthorized(TimonelError):
    """No key, or an unknown one (HTTP 401)."""


class Forbidden(TimonelError):
    """Known, but not allowed (HTTP 403)."""


class TooLarge(TimonelError):
    """More bytes or rows than the limit (HTTP 413)."""


class TooMany(TimonelError):
    """More requests than the caller may send; ``retry_after_s`` in the context (HTTP 429)."""


class Unavailable(TimonelError):
    """Cannot be done at the moment; trying again may work (HTTP 503)."""


class ProjectFault(TimonelError):
    """The user's project, its files or its settings cannot be used as they are."""


class Corrupt(TimonelError):
    """Stored bytes are not what was written: a hash, a checksum or a format does not match."""


def closest(name: str, known: list[str]) -> str:
    """List known names for a message, the most alike first, at most eight.

    Returns
    -------
    str
        ``"churn, demand"``, or ``"none"`` when there is nothing to list.
    """
    alike = get_close_matches(name, known, n=3, cutoff=0.5)
    ordered = alike + [other for other in sorted(known) if other not in alike]
    return ", ".join(ordered[:8]) or Phrase("none", "ninguno")
