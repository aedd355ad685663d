"""One reader a feature: what a request may send for it, and what it becomes.

A reader serves twice. Its ``type`` and ``quick`` make the generated fast decoder; its ``read``
takes any Python value and explains in words why it does not fit.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from timonel.errors import Phrase, closest
from timonel.schema.features import Category, Feature, Flag, Number, Text, Timestamp
from timonel.wire.strict_json import Unusable, describe

Value = float | int | str | bool | None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# well inside the calendar: the moment exists in every zone
_FIRST = (datetime.min.replace(tzinfo=UTC) + timedelta(366) - _EPOCH) // _MICROSECOND
_LAST = (datetime.max.replace(tzinfo=UTC) - timedelta(366) - _EPOCH) // _MICROSECOND
_EXACT = 2**53  # beyond it a float no longer holds every whole number
_COMPARABLE = 200
_YES = ("true", "yes", "y", "si", "sí", "s", "t", "1", "verdadero")
_NO = ("false", "no", "n", "f", "0", "falso")


class Fault(Exception):
    """A value that does not fit its feature; ``found`` and ``expected`` may be phrases."""

    def __init__(self, code: str, found: str, expected: str) -> None:
        super().__init__(code, found, expected)
        self.code = code
        self.found = found
        self.expected = expected


class Reader(NamedTuple):
    """How one feature is read.

    Parameters
    ----------
    type : Any
        What the fast decoder checks by itself.
    quick : callable, mapping or None
        Applied to what the fast decoder gives: a mapping is indexed, a callable is called, None
        leaves it. ``KeyError``, ``ValueError`` and ``OverflowError`` send the row the slow way.
    read : callable
        Any value in, a normalised value out, or ``Fault``. Never gets None.
    """

    type: Any
    quick: Callable[[Any], Value] | dict[Any, Any] | None
    read: Callable[[Any], Value]


def reader_of(feature: Feature, zone: ZoneInfo) -> Reader:
    """Make the reader of a feature; ``zone`` is where times without an offset are read."""
    if isinstance(feature, Number):
        return _whole(feature) if feature.integer else _number(feature)
    if isinstance(feature, Category):
        return _category(feature)
    if isinstance(feature, Flag):
        return Reader(bool | int | str, _Words(_flag_words()), _read_flag)
    if isinstance(feature, Text):
        return _text(feature)
    if isinstance(feature, Timestamp):
        moment = _Moment(zone)
        return Reader(str, moment.from_text, moment.read)
    message = f"no reader for {type(feature).__name__}"
    raise TypeError(message)


# --- numbers


def _number(feature: Number) -> Reader:
    expected = _bounds(feature, Phrase("a number", "un número"))
    low = -math.inf if feature.ge is None else feature.ge
    high = math.inf if feature.le is None else feature.le

    def read(value: Any) -> float:
        number = float(_numeric(value, expected))
        if not low <= number <= high:
            raise Fault("out_of_range", describe(value), expected)
        return number

    return Reader(Annotated[float, msgspec.Meta(ge=feature.ge, le=feature.le)], None, read)


def _whole(feature: Number) -> Reader:
    expected = _bounds(feature, Phrase("a whole number", "un número entero"))
    low = -_EXACT if feature.ge is None else max(-_EXACT, math.ceil(feature.ge))
    high = _EXACT if feature.le is None else min(_EXACT, math.floor(feature.le))

    def read(value: Any) -> int:
        number = _numeric(value, expected)
        if number != int(number):
            raise Fault("not_whole", describe(value), expected)
        if not low <= number <= high:
            raise Fault("out_of_range", describe(value), expected)
        return int(number)

    # 3.0 is the number 3 to every JavaScript client; it takes the slow way.
    return Reader(Annotated[int, msgspec.Meta(ge=low, le=high)], None, read)


def _numeric(value: Any, expected: Phrase) -> float | int:
    if isinstance(value, Unusable):
        raise Fault("not_finite", value.text, _or_null(expected))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Fault("wrong_type", describe(value), _numeric_hint(value, expected))
    try:
        finite = math.isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise Fault("not_finite", describe(value), _or_null(expected))
    return value


def _or_null(expected: Phrase) -> Phrase:
    return Phrase(
        "{expected} (a missing value is null)",
        "{expected} (un valor que falta es null)",
        expected=expected,
    )


def _numeric_hint(value: Any, expected: Phrase) -> Phrase:
    if not isinstance(value, str) or len(value) > 40:
        return expected
    text = value.strip()
    try:
        float(text)
    except ValueError:
        pass
    else:
        return Phrase(
            "{expected} without quotes: {text}",
            "{expected} sin comillas: {text}",
            expected=expected,
            text=text,
        )
    try:
        number = float(text.replace(".", "").replace(",", "."))
    except ValueError:
        return expected
    return Phrase(
        "{expected} without quotes and with a decimal point, not a decimal comma: {number!r}",
        "{expected} sin comillas y con punto decimal, no coma: {number!r}",
        expected=expected,
        number=number,
    )


def _bounds(feature: Number, noun: Phrase) -> Phrase:
    unit = f" ({feature.unit})" if feature.unit else ""
    if feature.ge is not None and feature.le is not None:
        en, es = "{noun} from {ge:g} to {le:g}{unit}", "{noun} de {ge:g} a {le:g}{unit}"
    elif feature.ge is not None:
        en, es = "{noun} of at least {ge:g}{unit}", "{noun} de al menos {ge:g}{unit}"
    elif feature.le is not None:
        en, es = "{noun} of at most {le:g}{unit}", "{noun} de a lo más {le:g}{unit}"
    else:
        en = es = "{noun}{unit}"
    return Phrase(en, es, noun=noun, unit=unit, ge=feature.ge, le=feature.le)


# --- words


_ABSENT = object()


class _Words(dict[Any, Any]):
    """A mapping of accepted spellings that tries the folded form of an unknown one."""

    __slots__ = ()

    def __missing__(self, key: Any) -> Any:
        # not self[...]: a folded form that is unknown too would come back here
        word = self.get(_fold(key), _ABSENT) if isinstance(key, str) else _ABSENT
        if word is _ABSENT:
            raise KeyError(key)
        return word


class _OpenWords(_Words):
    """The same, for a category that serves unseen words as they are."""

    __slots__ = ()

    def __missing__(self, key: Any) -> Any:
        return self.get(_fold(key), key)


class _ExactWords(dict[Any, Any]):
    """A case-sensitive category that serves unseen words as they are."""

    __slots__ = ()

    def __missing__(self, key: Any) -> Any:
        return key


def _fold(word: str) -> str:
    return word.strip().casefold()


def _category(feature: Category) -> Reader:
    words: dict[Any, Any]
    declared = {value: value for value in feature.values} | dict(feature.aliases)
    if feature.case_insensitive:
        folded = {_fold(spelling): value for spelling, value in declared.items()}
        kind = _OpenWords if feature.unseen == "accept" else _Words
        words = kind({**folded, **declared})
    else:
        words = _ExactWords(declared) if feature.unseen == "accept" else declared
    known = list(feature.values)
    suggest = lru_cache(1024)(lambda value: _suggest(value, known))

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise Fault("wrong_type", describe(value), _one_of(known))
        try:
            return str(words[value])
        except KeyError:
            raise Fault("unknown_category", describe(value), suggest(value)) from None

    return Reader(str, words, read)


def _suggest(value: str, known: list[str]) -> Phrase:
    # Comparing a long text, or thousands of words, would let one bad body hold the worker up.
    if len(known) > _COMPARABLE or len(value) > _COMPARABLE:
        return _one_of(known)
    return _one_of(known, closest(value, known))


def _one_of(known: list[str], shown: str | None = None) -> Phrase:
    words = ", ".join(known[:8]) if shown is None else shown
    if len(known) <= 8:
        return Phrase("one of {words}", "una de {words}", words=words)
    more = len(known) - 8
    return Phrase("one of {words} and {n} more", "una de {words} y {n} más", words=words, n=more)


def _flag_words() -> dict[Any, Any]:
    # True and 1, False and 0 are the same key.
    return {True: True, False: False} | dict.fromkeys(_YES, True) | dict.fromkeys(_NO, False)


_FLAG_WORDS = _Words(_flag_words())
_TRUTH = Phrase("true or false (or yes/no, si/no, 1/0)", "true o false (o si/no, yes/no, 1/0)")


def _read_flag(value: Any) -> bool:
    try:
        if isinstance(value, bool | int | float | str):
            return bool(_FLAG_WORDS[value])
    except KeyError:
        pass
    raise Fault("wrong_type", describe(value), _TRUTH)


def _text(feature: Text) -> Reader:
    longest = feature.max_length

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise Fault("wrong_type", describe(value), Phrase("a text", "un texto"))
        if len(value) > longest:
            found = Phrase("a text of {n} characters", "un texto de {n} caracteres", n=len(value))
            limit = Phrase("at most {n} characters", "a lo más {n} caracteres", n=longest)
            raise Fault("too_long", found, limit)
        return value

    return Reader(Annotated[str, msgspec.Meta(max_length=longest)], None, read)


# --- moments


_A_MOMENT = Phrase(
    "a date or time in ISO 8601: 2026-03-01 or 2026-03-01T14:30:00-03:00",
    "una fecha u hora en ISO 8601: 2026-03-01 o 2026-03-01T14:30:00-03:00",
)


@dataclass(frozen=True, slots=True)
class _Moment:
    zone: ZoneInfo

    def from_text(self, text: str) -> int:
        """Read ISO 8601 as microseconds UTC; ValueError or OverflowError where it is none."""
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self.zone)
        micros = (moment - _EPOCH) // _MICROSECOND
        if not _FIRST < micros < _LAST:
            message = "a year from 2 to 9998"
            raise ValueError(message)
        return micros

    def read(self, value: Any) -> int:
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time())
        if isinstance(value, datetime):
            value = value.isoformat()
        if not isinstance(value, str):
            raise Fault("wrong_type", describe(value), _A_MOMENT)
        try:
            return self.from_text(value.strip())
        except (ValueError, OverflowError):
            raise Fault("not_a_time", describe(value), _A_MOMENT) from None


def parse_moment(text: str, zone: ZoneInfo) -> int:
    """Read an ISO 8601 moment as microseconds since the epoch, UTC.

    Raises
    ------
    ValueError, OverflowError
        If it is none, or lies outside the calendar.
    """
    return _Moment(zone).from_text(text)


def moment_of(micros: int, zone: ZoneInfo | None = None) -> datetime:
    """Give microseconds since the epoch as an aware moment, in ``zone`` (None: UTC)."""
    moment = _EPOCH + timedelta(microseconds=micros)
    return moment if zone is None else moment.astimezone(zone)
