"""Horizontal bars with their values: shares, reasons, importances."""

from collections.abc import Sequence
from typing import NamedTuple

from timonel.charts.scale import Linear
from timonel.charts.svg import PAGE, Palette, drawing, element, text, tooltip

_HEAD = 44.0


class Bar(NamedTuple):
    """One bar: its name, its length in data units (>= 0), and the value as it is written."""

    name: str
    value: float
    written: str
    hover: str = ""


def horizontal_bars(
    bars: Sequence[Bar],
    *,
    title: str,
    description: str,
    most: float | None = None,
    width: float = 360,
    palette: Palette = PAGE,
    headed: bool = False,
) -> str:
    """Draw bars from a common zero, in the order given.

    Parameters
    ----------
    bars : sequence of Bar, shape (n,)
    most : float or None
        The value of a full bar (1.0 for shares); None: the greatest.
    headed : bool
        Also write title and description above, for a picture that stands alone.

    Returns
    -------
    str
        SVG, 22 units of height a bar: name at the left, value at the right end.
    """
    row, name_width, value_width = 22.0, width * 0.38, 64.0
    longest = most if most is not None else max((bar.value for bar in bars), default=1.0)
    length = Linear(0.0, longest or 1.0, 0.0, width - name_width - value_width)
    parts: list[str] = []
    if headed:
        parts.append(text(title, 0, 14, fill=palette.ink, font_weight="bold"))
        parts.append(text(description, 0, 32, fill=palette.ink))
    top = _HEAD if headed else 0.0
    for index, bar in enumerate(bars):
        middle = top + index * row + row / 2
        parts.append(
            element(
                "g",
                tooltip(bar.hover or f"{bar.name}: {bar.written}"),
                text(bar.name, 0, middle + 4, fill=palette.ink),
                element(
                    "rect",
                    x=name_width,
                    y=middle - 6,
                    width=max(length(min(bar.value, longest)), 1.0),
                    height=12,
                    rx=2,
                    fill=palette.accent,
                ),
                text(bar.written, width, middle + 4, text_anchor="end", fill=palette.ink),
            )
        )
    height = top + max(len(bars), 1) * row
    return drawing(
        *parts, width=width, height=height, title=title, description=description, cls="bars"
    )
