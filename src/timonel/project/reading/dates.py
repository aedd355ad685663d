"""Dates as files write them: ISO, day first, month first; with or without a time of day."""

import re
from typing import Literal, NamedTuple

import polars as pl

from timonel.project.reading.numerals import nearly_all

Order = Literal["ymd", "dmy", "mdy"]

_TIME = r"(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:\s*([aApP])\.?\s?[mM]\.?)?"
_ZONE = r"\s*(Z|z|UTC|[+-]\d{2}:?\d{2})?)?$"
_YEAR_FIRST = r"^(\d{4})[/.\-](\d{1,2})[/.\-](\d{1,2})" + _TIME + _ZONE
_YEAR_LAST = r"^(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4})" + _TIME + _ZONE
_SHORT_YEAR = r"^\d{1,2}[/\-]\d{1,2}[/\-]\d{2}(?:[ ,]+\d{1,2}:\d{2}.*)?$"
_NAMES = ("a", "b", "c", "hour", "minute", "second", "fraction", "half", "zone")
_FORMAT = re.compile(r"%([Ymd])[/.\-]%([Ymd])[/.\-]%([Ymd])(?:[ T].*)?")


class Dates(NamedTuple):
    """What the cells of a column say about its dates.

    Parameters
    ----------
    orders : tuple of str
        What the cells prove: ("ymd",), ("dmy",), ("mdy",); both of the last: they contradict
        each other; empty: ambiguous.
    mark : str
        Between day and month: "/", "-" or ".".
    short : bool
        Years of two digits.
    fits : polars.Series of bool
        Which cells look like dates.
    """

    orders: tuple[Order, ...]
    mark: str
    short: bool
    fits: pl.Series

    def format(self, order: Order) -> str:
        """Write an order as a strptime format (a time of day may follow it)."""
        year = "%y" if self.short else "%Y"
        parts = {"ymd": ("%Y", "%m", "%d"), "dmy": ("%d", "%m", year), "mdy": ("%m", "%d", year)}
        return self.mark.join(parts[order])


def weigh(cells: pl.Series) -> Dates | None:
    """Tell how far cells (text, none missing) are dates, and in which order."""
    if len(cells) == 0:
        return None
    for pattern in (_YEAR_FIRST, _YEAR_LAST, _SHORT_YEAR):
        fits = cells.str.contains(pattern)
        if nearly_all(fits):
            break
    else:
        return None
    short = pattern == _SHORT_YEAR
    first = cells.filter(fits)
    mark = first.str.extract(r"^\d+([/.\-])", 1)[0] or "-"
    if pattern == _YEAR_FIRST:
        return Dates(("ymd",), mark, False, fits)
    parts = first.str.extract_groups(r"^(\d{1,2})[/.\-](\d{1,2})").struct.unnest()
    left, right = (parts[name].cast(pl.Int64) for name in parts.columns)
    if max(left.max() or 0, right.max() or 0) > 31:  # type: ignore[operator]
        return None
    orders: tuple[Order, ...] = ()
    if (left > 12).any():
        orders += ("dmy",)
    if (right > 12).any():
        orders += ("mdy",)
    return Dates(() if short else orders, mark, short, fits)


def parse(cells: pl.Series, form: str) -> pl.Series:
    """Read dates of a known format; a time of day may follow a date-only format.

    Returns
    -------
    polars.Series of Datetime("us")
        With time zone UTC if the cells carry offsets, else naive; null where a cell does not fit.
    """
    match = _FORMAT.fullmatch(form)
    if match is None:
        return _by_format(cells, form)
    order = "".join(match.groups()).lower()
    if sorted(order) != ["d", "m", "y"]:
        return _by_format(cells, form)
    pattern = _YEAR_FIRST if order[0] == "y" else _YEAR_LAST
    groups = cells.str.extract_groups(pattern).struct.unnest()
    groups.columns = list(_NAMES)
    at = dict(zip(order, _NAMES, strict=False))
    moment = _assemble(at).cast(pl.Datetime("us"))
    offset = pl.when(pl.col("zone").str.contains(r"^[+-]")).then(
        (pl.col("zone").str.slice(1, 2) + "h" + pl.col("zone").str.slice(-2) + "m")
        .str.extract_groups(r"(\d\d)h(\d\d)m")
        .struct.with_fields(
            pl.field("1").cast(pl.Int64, strict=False), pl.field("2").cast(pl.Int64, strict=False)
        )
    )
    minutes = offset.struct.field("1") * 60 + offset.struct.field("2")
    sign = pl.when(pl.col("zone").str.starts_with("-")).then(-1).otherwise(1)
    shifted = moment - pl.duration(minutes=(minutes * sign).fill_null(0))
    frame = groups.select(m=shifted, zoned=pl.col("zone").is_not_null())
    read = frame["m"]
    zoned = frame["zoned"] & read.is_not_null()
    if zoned.any():
        naive = read.is_not_null() & ~zoned
        read = frame.select(pl.when(~naive).then(pl.col("m")))["m"].dt.replace_time_zone("UTC")
    return read.rename(cells.name)


def _assemble(at: dict[str, str]) -> pl.Expr:
    half = pl.col("half").str.to_lowercase()
    hour = pl.col("hour").cast(pl.Int64).fill_null(0)
    hour = (
        pl.when((half == "p") & (hour < 12))
        .then(hour + 12)
        .when((half == "a") & (hour == 12))
        .then(0)
        .otherwise(hour)
    )
    text = pl.concat_str(
        pl.col(at["y"]),
        pl.lit("-"),
        pl.col(at["m"]).str.zfill(2),
        pl.lit("-"),
        pl.col(at["d"]).str.zfill(2),
        pl.lit(" "),
        hour.cast(pl.String).str.zfill(2),
        pl.lit(":"),
        pl.col("minute").fill_null("00"),
        pl.lit(":"),
        pl.col("second").fill_null("00"),
    )
    fraction = pl.col("fraction").fill_null("0").str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64)
    moment = text.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us")
    return moment + pl.duration(microseconds=fraction)


def _by_format(cells: pl.Series, form: str) -> pl.Series:
    empty = pl.Series(cells.name, [None] * len(cells), dtype=pl.Datetime("us"))
    try:
        if re.search(r"%[HIMSfTRcsX]", form):
            read = cells.str.to_datetime(form, strict=False, time_unit="us")
        else:
            read = cells.str.to_date(form, strict=False).cast(pl.Datetime("us"))
    except pl.exceptions.PolarsError:
        return empty
    zone = getattr(read.dtype, "time_zone", None)
    return read.dt.convert_time_zone("UTC") if zone else read
