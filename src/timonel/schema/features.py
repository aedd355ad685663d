"""What one input of a model is: its name, its kind, and the values it may take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from timonel.errors import Phrase
from timonel.schema.errors import InvalidDeclaration

_ONCE = Phrase("at least one value, each word once", "al menos un valor, cada palabra una vez")
_ONCE_FOLDED = Phrase(
    "at least one value, each word once (case does not tell them apart)",
    "al menos un valor, cada palabra una vez (mayúsculas y minúsculas no las distinguen)",
)

AvailableAt = Literal["prediction", "outcome"]


@dataclass(frozen=True, slots=True)
class Feature:
    """What every feature has.

    Parameters
    ----------
    name : str
        As in the data and in requests.
    required : bool
        False: a request may leave it out or send null (a missing value).
    available_at : {"prediction", "outcome"}
        "outcome" marks what is known only afterwards; it is refused as an input.
    """

    name: str
    required: bool = field(default=True, kw_only=True)
    available_at: AvailableAt = field(default="prediction", kw_only=True)

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.strip():
            raise InvalidDeclaration(
                object=Phrase("feature {name!r}", "la entrada {name!r}", name=self.name),
                found=Phrase("an empty or padded name", "un nombre vacío o con espacios de más"),
                expected=Phrase(
                    "a name without spaces at its ends", "un nombre sin espacios en los extremos"
                ),
            )


@dataclass(frozen=True, slots=True)
class Number(Feature):
    """A finite number, optionally bounded (limits included), optionally whole."""

    ge: float | None = field(default=None, kw_only=True)
    le: float | None = field(default=None, kw_only=True)
    integer: bool = field(default=False, kw_only=True)
    unit: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        Feature.__post_init__(self)
        if self.ge is not None and self.le is not None and self.ge > self.le:
            raise InvalidDeclaration(
                object=Phrase("feature {name!r}", "la entrada {name!r}", name=self.name),
                found=Phrase(
                    "ge={ge:g} above le={le:g}", "ge={ge:g} sobre le={le:g}", ge=self.ge, le=self.le
                ),
                expected="ge <= le",
            )


@dataclass(frozen=True, slots=True)
class Category(Feature):
    """One of a list of words.

    Parameters
    ----------
    values : sequence of str
        The words, as the training data writes them.
    case_insensitive : bool
        Accept any case; what is logged and served is the declared spelling.
    unseen : {"reject", "accept"}
        A word that is not listed: refuse the request, or serve it as "unseen" and count it.
    aliases : mapping of str to str
        Other spellings and the declared word that each means:
        ``{"Public Transportation": "Public_Transportation"}``.
    """

    values: tuple[str, ...] = ()
    case_insensitive: bool = field(default=True, kw_only=True)
    unseen: Literal["reject", "accept"] = field(default="reject", kw_only=True)
    aliases: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)

    def __init__(
        self,
        name: str,
        values: Sequence[str],
        *,
        required: bool = True,
        available_at: AvailableAt = "prediction",
        case_insensitive: bool = True,
        unseen: Literal["reject", "accept"] = "reject",
        aliases: Mapping[str, str] | Sequence[Sequence[str]] = (),
    ) -> None:
        pairs = aliases.items() if isinstance(aliases, Mapping) else aliases
        for attribute, value in (
            ("name", name),
            ("values", tuple(values)),
            ("required", required),
            ("available_at", available_at),
            ("case_insensitive", case_insensitive),
            ("unseen", unseen),
            ("aliases", tuple((alias, word) for alias, word in pairs)),
        ):
            object.__setattr__(self, attribute, value)
        Feature.__post_init__(self)
        self._check_words()

    def _check_words(self) -> None:
        words = [*self.values, *(alias for alias, _ in self.aliases)]
        folded = [word.casefold() if self.case_insensitive else word for word in words]
        if not self.values or len(set(folded)) != len(folded):
            raise InvalidDeclaration(
                object=Phrase("feature {name!r}", "la entrada {name!r}", name=self.name),
                found=Phrase(
                    "values and aliases {words}", "valores y alias {words}", words=repr(words)
                ),
                expected=_ONCE_FOLDED if self.case_insensitive else _ONCE,
            )
        astray = [word for _, word in self.aliases if word not in self.values]
        if astray:
            raise InvalidDeclaration(
                object=Phrase("feature {name!r}", "la entrada {name!r}", name=self.name),
                found=Phrase("aliases of {words}", "alias de {words}", words=repr(astray)),
                expected=Phrase(
                    "aliases of its values {words}",
                    "alias de sus valores {words}",
                    words=repr(list(self.values)),
                ),
            )


@dataclass(frozen=True, slots=True)
class Flag(Feature):
    """True or false; also accepts 0/1 and yes/no/si/sí/true/false in any case."""


@dataclass(frozen=True, slots=True)
class Text(Feature):
    """Free text, at most ``max_length`` characters."""

    max_length: int = field(default=10_000, kw_only=True)


@dataclass(frozen=True, slots=True)
class Timestamp(Feature):
    """A date or a moment, ISO 8601; without an offset it is read in the project's time zone."""
