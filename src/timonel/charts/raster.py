"""Bars of several series side by side in panels, as a PNG: for reports that leave the browser."""

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from PIL import ImageDraw

INK, FAINT, PAPER = (34, 40, 49), (210, 214, 220), (255, 255, 255)
SERIES = ((66, 103, 172), (221, 132, 60), (96, 150, 96), (160, 90, 140))
"""Told apart in print and by those who see red and green alike."""
PANEL_WIDTH, PANEL_HEIGHT, MARGIN = 320, 200, 28
_HEAD, _LEGEND = 34, 26


class Panel(NamedTuple):
    """One chart.

    Parameters
    ----------
    title : str
    names : sequence of str, shape (n,)
        Under the bars; too many are thinned.
    series : sequence of sequence of float, shape (s, n)
        Heights, >= 0, in the order of the legend.
    """

    title: str
    names: Sequence[str]
    series: Sequence[Sequence[float]]


def panels_png(
    panels: Sequence[Panel], *, title: str, legend: Sequence[str], columns: int = 3
) -> bytes:
    """Draw panels in a grid.

    Parameters
    ----------
    panels : sequence of Panel
        None: only the title is drawn.
    legend : sequence of str
        A name for each series.

    Returns
    -------
    bytes
        A PNG of 320 x 200 pixels a panel, beside title and legend.
    """
    from PIL import Image, ImageDraw  # a tenth of a second that only reports need

    across = max(1, min(columns, len(panels)))
    down = -(-len(panels) // across)
    size = across * PANEL_WIDTH + MARGIN, _HEAD + _LEGEND + down * PANEL_HEIGHT + MARGIN // 2
    image = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((MARGIN, 10), title, fill=INK, font=_font(17))
    _draw_legend(draw, legend)
    for at, panel in enumerate(panels):
        left = MARGIN + at % across * PANEL_WIDTH
        top = _HEAD + _LEGEND + at // across * PANEL_HEIGHT
        _draw_panel(draw, panel, left, top)
    written = BytesIO()
    image.save(written, "PNG", optimize=True)
    return written.getvalue()


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _draw_legend(draw: "ImageDraw.ImageDraw", legend: Sequence[str]) -> None:
    font, left = _font(12), float(MARGIN)
    for at, name in enumerate(legend):
        draw.rectangle((left, _HEAD + 6, left + 10, _HEAD + 16), fill=SERIES[at % len(SERIES)])
        draw.text((left + 15, _HEAD + 4), name, fill=INK, font=font)
        left += 34 + draw.textlength(name, font)


def _draw_panel(draw: "ImageDraw.ImageDraw", panel: Panel, left: float, top: float) -> None:
    font = _font(11)
    width, floor, ceiling = PANEL_WIDTH - MARGIN, top + PANEL_HEIGHT - 34, top + 24
    draw.text((left, top + 2), _short(draw, panel.title, width), fill=INK, font=font)
    draw.line((left, floor, left + width, floor), fill=FAINT)
    most = max((value for series in panel.series for value in series), default=0.0)
    n = max(1, len(panel.names))
    slot = width / n
    bar = 0.8 * slot / max(1, len(panel.series))
    for number, series in enumerate(panel.series):
        for at, value in enumerate(series):
            height = (floor - ceiling) * value / most if most > 0 else 0.0
            x = left + at * slot + 0.1 * slot + number * bar
            box = (x, floor - height, x + max(bar - 1, 1), floor)
            draw.rectangle(box, fill=SERIES[number % len(SERIES)])
    draw.text((left, ceiling - 6), f"{most:.3g}", fill=FAINT, font=_font(9))
    widest = max((draw.textlength(name, font) for name in panel.names), default=1.0)
    every = max(1, int(-(-min(widest + 8, 90) // slot)))
    for at in range(0, len(panel.names), every):
        name = _short(draw, panel.names[at], every * slot - 2)
        draw.text((left + at * slot, floor + 5), name, fill=INK, font=font)


def _short(draw: "ImageDraw.ImageDraw", words: str, width: float) -> str:
    font = _font(11)
    if draw.textlength(words, font) <= width:
        return words
    while len(words) > 1 and draw.textlength(words + "…", font) > width:
        words = words[:-1]
    return words + "…"
