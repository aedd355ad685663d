"""Numbers, shares and moments as a reader of each language writes them."""

from datetime import UTC, datetime, timedelta, tzinfo
from math import floor, log10

from timonel.charts.scale import TimeTick
from timonel.dashboard.language import Language

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NARROW = "\u202f"  # between a Spanish number and its sign; it does not break
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def number(value: float, lang: Language, decimals: int = 0) -> str:
    """Write a number with so many decimals and grouped thousands.

    Examples
    --------
    >>> number(12345.678, "es", 1), number(12345.678, "en", 1)
    ('12.345,7', '12,345.7')
    """
    written = f"{value:,.{decimals}f}"
    if written.startswith("-") and not any(digit in written for digit in "123456789"):
        written = written[1:]
    if lang == "es":
        return written.translate(str.maketrans(",.", ".,"))
    return written


def measure(value: float, lang: Language) -> str:
    """Write a measured value with three significant digits, without an exponent."""
    decimals = 2 if value == 0 else min(9, max(0, 2 - floor(log10(abs(value)))))
    return number(value, lang, decimals)


def percent(share: float, lang: Language, decimals: int = 1) -> str:
    """Write a share as a percentage; whole ones without decimals.

    What is neither none nor all is never written as 0 or 100.

    Examples
    --------
    >>> percent(0.9123, "en"), percent(0.25, "en"), percent(0.0001, "en")
    ('91.2%', '25%', '<0.1%')
    """
    rounded = round(share * 100, decimals)
    least = 10.0**-decimals
    sign = ""
    if rounded == 0 and share > 0:
        sign, rounded = "<", least
    elif rounded == 100 and share < 1:
        sign, rounded = ">", 100 - least
    written = sign + number(rounded, lang, 0 if rounded == int(rounded) else decimals)
    return f"{written}{_NARROW}%" if lang == "es" else f"{written}%"


def local(at_us: int, zone: tzinfo) -> datetime:
    """Give microseconds since the epoch as a local moment."""
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone)


def moment(at_us: int, zone: tzinfo, lang: Language, *, seconds: bool = False) -> str:
    """Write a moment: ``31-01-2026 14:05`` in Spanish, ``2026-01-31 14:05`` in English."""
    time = "%H:%M:%S" if seconds else "%H:%M"
    day = "%d-%m-%Y" if lang == "es" else "%Y-%m-%d"
    return local(at_us, zone).strftime(f"{day} {time}")


def tick(mark: TimeTick, lang: Language) -> str:
    """Write a tick of a time axis: a day as ``31-01`` or ``Jan 31``, else ``14:05``."""
    if not mark.is_day:
        return mark.local.strftime("%H:%M")
    if lang == "es":
        return mark.local.strftime("%d-%m")
    return f"{_MONTHS[mark.local.month - 1]} {mark.local.day}"
