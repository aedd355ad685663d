"""Numbers as people and Excel write them: decimal mark, thousands mark, currency, per cent."""

from typing import Literal, NamedTuple

import polars as pl

Evidence = Literal["point", "comma", "plain", "either"]

_SPACES = r" \x{a0}\x{202f}'"
_TEMPLATE = (
    r"^[-+]?(?:(?:\d+|[1-9]\d{{0,2}}(?:{group}\d{{3}})+|[1-9]\d{{0,2}}(?:[{spaces}]\d{{3}})+)"
    r"(?:{mark}\d+)?|{mark}\d+)(?:[eE][-+]?\d+)?\s?%?$"
)
POINT = _TEMPLATE.format(group=",", mark=r"\.", spaces=_SPACES)
COMMA = _TEMPLATE.format(group=r"\.", mark=",", spaces=_SPACES)
_CODE = r"^[-+]?0\d+$"  # a leading zero: a code, not a count
_DIALLED = r"^\+\d{8,}$"
_LONG = r"^[-+]?\d{19,}$"
_CURRENCY = r"(?i)^([-+]?)\s*(?:US|CLP?)?\s*[$€£]\s*([-+]?)"


class Numerals(NamedTuple):
    """What the cells of a column say about its numbers.

    Parameters
    ----------
    evidence : {"point", "comma", "plain", "either"}
        The decimal mark that alone fits; "plain": no mark at all; "either": 1.234 may be both.
    fits : polars.Series of bool
        Which cells are numbers under that mark.
    """

    evidence: Evidence
    fits: pl.Series


def bare(cells: pl.Series) -> pl.Series:
    """Take currency signs off; minus signs of typesetters become plain ones."""
    return (
        cells.str.replace("−", "-", literal=True)
        .str.replace(_CURRENCY, "$1$2")
        .str.replace(r"\s*€$", "")
    )


def weigh(cells: pl.Series) -> Numerals | None:
    """Tell how far cells (text, none missing) are numbers.

    Returns
    -------
    Numerals or None
        None: codes (leading zeros, dialled numbers, over 18 digits), or fewer than 95 in 100 cells
        are numbers, or any cell is not in a column of fewer than 20.
    """
    if len(cells) == 0 or cells.str.contains(f"{_CODE}|{_DIALLED}|{_LONG}").any():
        return None
    text = bare(cells)
    point, comma = text.str.contains(POINT), text.str.contains(COMMA)
    n_point, n_comma = int(point.sum()), int(comma.sum())
    fits = point if n_point >= n_comma else comma
    if not nearly_all(fits):
        return None
    if n_point != n_comma:
        return Numerals("point" if n_point > n_comma else "comma", fits)
    marked = text.filter(fits).str.contains(r"[.,]").any()
    return Numerals("either" if marked else "plain", fits)


def nearly_all(fits: pl.Series) -> bool:
    """Say whether all cells fit, or in 20 or more at least 95 in 100."""
    n_fit, n = int(fits.sum()), len(fits)
    return n > 0 and (n_fit == n or (n >= 20 and n_fit >= 0.95 * n))


def parse(cells: pl.Series, decimal: str) -> pl.Series:
    """Read numbers with a known decimal mark.

    Returns
    -------
    polars.Series of Float64 or Int64
        Null where a cell is no number (or was null); Int64 where every cell is written whole.
    """
    text = bare(cells)
    pattern, group = (POINT, ",") if decimal == "." else (COMMA, ".")
    kept = text.to_frame("c").select(
        pl.when(pl.col("c").str.contains(pattern)).then(pl.col("c")).otherwise(None)
    )["c"]
    plain = kept.str.replace_all(group, "", literal=True).str.replace_all(f"[{_SPACES}]", "")
    if decimal == ",":
        plain = plain.str.replace(",", ".", literal=True)
    if not plain.str.contains(r"[.eE%]").any():
        whole = plain.cast(pl.Int64, strict=False)
        if whole.null_count() == plain.null_count():
            return whole.rename(cells.name)
    # 12.5% is written 12.5e-2, so that it rounds as 0.125 does.
    return plain.str.replace(r"%$", "e-2").cast(pl.Float64, strict=False).rename(cells.name)
