"""A sparkline: the shape of a count over time, without axes."""

from collections.abc import Sequence

from timonel.charts.scale import Linear
from timonel.charts.svg import PAGE, Palette, drawing, element, path


def sparkline(
    values: Sequence[float],
    *,
    title: str,
    description: str,
    width: float = 240,
    height: float = 44,
    palette: Palette = PAGE,
) -> str:
    """Draw values at equal distances as an area from zero.

    Parameters
    ----------
    values : sequence of float, shape (n,)
        Counts or rates, >= 0, in order; an empty bucket is a 0, not a gap.
    title, description : str
        What it shows and what it says ("Predictions a minute", "last hour, most 42").

    Returns
    -------
    str
        SVG; the last value has a dot. Without values: the base line alone.
    """
    low, high = height - 3, 5.0
    y = Linear(0.0, max([*values, 1e-9]), low, high)
    x = Linear(0, max(len(values) - 1, 1), 2, width - 5)
    parts = [
        element("line", x1=2, x2=width - 2, y1=low, y2=low, stroke=palette.grid, stroke_width=1)
    ]
    if values:
        line = [(x(index), y(value)) for index, value in enumerate(values)]
        area = [(line[0][0], low), *line, (line[-1][0], low)]
        parts.append(element("path", d=path(area, closed=True), fill=palette.accent_soft))
        parts.append(
            element(
                "path",
                d=path(line),
                fill="none",
                stroke=palette.accent,
                stroke_width=1.5,
                stroke_linejoin="round",
            )
        )
        parts.append(element("circle", cx=line[-1][0], cy=line[-1][1], r=2.5, fill=palette.accent))
    return drawing(
        *parts, width=width, height=height, title=title, description=description, cls="spark"
    )
