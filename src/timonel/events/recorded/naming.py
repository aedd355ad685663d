"""What a project's own metric may be called: names and labels that every store and scraper takes.

Light: a predict worker imports it when the project's rules record something.
"""

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from timonel.errors import InvalidInput, Phrase, Text

MOST_NAMES = 100
MOST_SERIES = 100
"""Different sets of labels of one name; further ones are counted together, as ``OTHERS``."""
MOST_LABELS = 4
LONGEST_NAME, LONGEST_LABEL, LONGEST_VALUE = 64, 32, 64
LONGEST_TEXT = 768
"""Of all labels as JSON; every series that was taken has less."""
LONGEST_SUBJECT = 256
DROPPED = "dropped_values"
"""The metric that counts what could not be taken; its labels are ``metric`` and ``reason``."""
OTHERS = (("labels", "(other)"),)

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_RESERVED = frozenset({"le", "quantile", "labels"})
_encode = msgspec.json.Encoder(order="deterministic").encode

Labels = tuple[tuple[str, str], ...]


class InvalidMetric(InvalidInput):
    """A value, a name or a label that `timonel.metrics.record` cannot take."""

    code = "invalid_metric"
    texts = {
        "en": Text(
            "Cannot record {metric}: found {found}, expected {expected}.",
            "Correct the call of `timonel.metrics.record`; values that are not taken are counted "
            "as `dropped_values` (`timonel metrics`).",
        ),
        "es": Text(
            "No se puede anotar {metric}: hay {found}, se esperaba {expected}.",
            "Corrija la llamada de `timonel.metrics.record`; los valores que no se toman se "
            "cuentan como `dropped_values` (`timonel metrics`).",
        ),
    }

    @property
    def reason(self) -> str:
        """The short word that it is counted under."""
        return str(self.context["reason"])


class Series(NamedTuple):
    """One metric with one set of labels, in the order of their names."""

    name: str
    labels: Labels

    @property
    def text(self) -> str:
        """The labels as the JSON text that is stored."""
        return _encode(dict(self.labels)).decode()

    @classmethod
    def read(cls, name: str, text: str) -> "Series":
        """Read stored labels back."""
        return cls(name, tuple(sorted(msgspec.json.decode(text, type=dict[str, str]).items())))

    @property
    def subject(self) -> str:
        """Its name within what verdicts and alerts hold: 256 characters, the rest as a digest."""
        text = str(self)
        if len(text) <= LONGEST_SUBJECT:
            return text
        digest = blake2b(text.encode(), digest_size=6).hexdigest()
        return f"{text[: LONGEST_SUBJECT - len(digest) - 1]}~{digest}"

    def __str__(self) -> str:
        if not self.labels:
            return self.name
        inner = ",".join(f'{key}="{value}"' for key, value in self.labels)
        return f"{self.name}{{{inner}}}"


def series_of(name: object, labels: Mapping[str, object]) -> Series:
    """Make a series of what was passed.

    Raises
    ------
    InvalidMetric
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise invalid(name, "name", repr(name)[:100], _a_name(LONGEST_NAME))
    if name == DROPPED:
        raise invalid(name, "name", repr(name), _OTHER_NAME)
    if len(labels) > MOST_LABELS:
        raise invalid(name, "labels", f"{len(labels)} labels", _at_most(MOST_LABELS))
    pairs = ((_label(name, key), _value(name, value)) for key, value in labels.items())
    return Series(name, tuple(sorted(pairs)))


def fault_of(name: str, labels: Mapping[str, str]) -> str | None:
    """Say what is wrong with a series that was read from a file; None: nothing."""
    if name == DROPPED or tuple(labels.items()) == OTHERS:
        return None
    try:
        series_of(name, labels)
    except InvalidMetric as error:
        return error.message("en")
    return None


def invalid(name: object, reason: str, found: str, expected: str) -> InvalidMetric:
    """Make the error of a call."""
    return InvalidMetric(metric=str(name)[:100], reason=reason, found=found, expected=expected)


def _label(name: str, label: str) -> str:
    if not _NAME.fullmatch(label) or len(label) > LONGEST_LABEL or label in _RESERVED:
        raise invalid(name, "labels", repr(label)[:100], _a_name(LONGEST_LABEL))
    return label


def _value(name: str, value: object) -> str:
    text = str(value) if isinstance(value, str | int) else None
    if text is None or len(text) > LONGEST_VALUE or not text.isprintable():
        raise invalid(name, "labels", repr(value)[:100], _A_VALUE)
    return text


def _a_name(longest: int) -> Phrase:
    return Phrase(
        "a name of a-z, 0-9 and _, beginning with a letter, of at most {n} characters, not one of "
        "{reserved}",
        "un nombre de a-z, 0-9 y _, que empiece con una letra, de a lo más {n} caracteres, y no "
        "uno de {reserved}",
        n=longest,
        reserved=", ".join(sorted(_RESERVED)),
    )


def _at_most(n: int) -> Phrase:
    return Phrase("at most {n}", "a lo más {n}", n=n)


_OTHER_NAME = Phrase("a name that is not Timonel's own", "un nombre que no sea del propio Timonel")
_A_VALUE = Phrase(
    f"a printable text of at most {LONGEST_VALUE} characters, or a whole number",
    f"un texto imprimible de a lo más {LONGEST_VALUE} caracteres, o un número entero",
)
