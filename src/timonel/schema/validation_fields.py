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

from timonel.errors import closest
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
    """A value that does not fit its feature."""

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
    expected = _bounds(feature, "a number")
    low = -math.inf if feature.ge is None else feature.ge
    high = math.inf if feature.le is None else feature.le

    def read(value: Any) -> float:
        number = float(_numeric(value, expected))
        if not low <= number <= high:
            raise Fault("out_of_range", describe(value), expected)
        return number

    return Reader(Annotated[float, msgspec.Meta(ge=feature.ge, le=feature.le)], None, read)


def _whole(feature: Number) -> Reader:
    expected = _bounds(feature, "a whole number")
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


def _numeric(value: Any, expected: str) -> float | int:
    if isinstance(value, Unusable):
        raise Fault("not_finite", value.text, f"{expected} (a missing value is null)")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Fault("wrong_type", describe(value), expected + _numeric_hint(value))
    try:
        finite = math.isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise Fault("not_finite", describe(value), f"{expected} (a missing value is null)")
    return value


def _numeric_hint(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 40:
        return ""
    text = value.strip()
    try:
        float(text)
    except ValueError:
        pass
    else:
        return f" without quotes: {text}"
    try:
        number = float(text.replace(".", "").replace(",", "."))
    except ValueError:
        return ""
    return f" without quotes and with a decimal point, not a decimal comma: {number:g}"


def _bounds(feature: Number, noun: str) -> str:
    unit = f" ({feature.unit})" if feature.unit else ""
    if feature.ge is not None and feature.le is not None:
        return f"{noun} from {feature.ge:g} to {feature.le:g}{unit}"
    if feature.ge is not None:
        return f"{noun} of at least {feature.ge:g}{unit}"
    if feature.le is not None:
        return f"{noun} of at most {feature.le:g}{unit}"
    return f"{noun}{unit}"


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
            raise Fault("wrong_type", describe(value), f"one of {_listed(known)}")
        try:
            return str(words[value])
        except KeyError:
            raise Fault("unknown_category", describe(value), suggest(value)) from None

    return Reader(str, words, read)


def _suggest(value: str, known: list[str]) -> str:
    # Comparing a long text, or thousands of words, would let one bad body hold the worker up.
    if len(known) > _COMPARABLE or len(value) > _COMPARABLE:
        return f"one of {_listed(known)}"
    more = f" and {len(known) - 8} more" if len(known) > 8 else ""
    return f"one of {closest(value, known)}{more}"


def _listed(known: list[str]) -> str:
    more = f" and {len(known) - 8} more" if len(known) > 8 else ""
    return ", ".join(known[:8]) + more


def _flag_words() -> dict[Any, Any]:
    # True and 1, False and 0 are the same key.
    return {True: True, False: False} | dict.fromkeys(_YES, True) | dict.fromkeys(_NO, False)


_FLAG_WORDS = _Words(_flag_words())


def _read_flag(value: Any) -> bool:
    try:
        if isinstance(value, bool | int | float | str):
            return bool(_FLAG_WORDS[value])
    except KeyError:
        pass
    raise Fault("wrong_type", describe(value), "true or false (or yes/no, si/no, 1/0)")


def _text(feature: Text) -> Reader:
    longest = feature.max_length

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise Fault("wrong_type", describe(value), "a text")
        if len(value) > longest:
            found = f"a text of {len(value)} characters"
            raise Fault("too_long", found, f"at most {longest} characters")
        return value

    return Reader(Annotated[str, msgspec.Meta(max_length=longest)], None, read)


# --- moments


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
        expected = "a date or time in ISO 8601: 2026-03-01 or 2026-03-01T14:30:00-03:00"
        if not isinstance(value, str):
            raise Fault("wrong_type", describe(value), expected)
        try:
            return self.from_text(value.strip())
        except (ValueError, OverflowError):
            raise Fault("not_a_time", describe(value), expected) from None


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
