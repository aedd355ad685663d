"""The loop that a model lives in, drawn as a ring of boxes with live counts."""

from collections.abc import Sequence
from typing import NamedTuple

from timonel.charts.svg import PAGE, Palette, drawing, element, path, text, tooltip

_BOX = (150.0, 70.0)
_GAP = (40.0, 36.0)


class Node(NamedTuple):
    """One station: its name, its count as written, and what is counted."""

    name: str
    amount: str
    unit: str
    hover: str = ""


def loop_diagram(
    nodes: Sequence[Node],
    *,
    title: str,
    description: str,
    columns: int = 3,
    palette: Palette = PAGE,
) -> str:
    """Draw stations clockwise around a ring, each pointing at the next, the last at the first.

    Parameters
    ----------
    nodes : sequence of Node, an even number >= 4
    columns : {2, half of the nodes}
        2 makes an upright ring for narrow screens, half of the nodes a flat one.

    Returns
    -------
    str
        SVG.
    """
    cells = _ring(len(nodes), columns)
    rows = max(row for _, row in cells) + 1
    width = columns * (_BOX[0] + _GAP[0]) - _GAP[0] + 4
    height = rows * (_BOX[1] + _GAP[1]) - _GAP[1] + 4
    parts = []
    for index in range(len(nodes)):
        after = (index + 1) % len(nodes)
        parts.append(_arrow(cells[index], cells[after], palette))
    parts += [_box(node, cell, palette) for node, cell in zip(nodes, cells, strict=True)]
    return drawing(
        *parts,
        width=width,
        height=height,
        title=title,
        description=description,
        cls=f"loop loop-{columns}",
    )


def _ring(n_nodes: int, columns: int) -> list[tuple[int, int]]:
    rows = n_nodes // columns if columns > 2 else n_nodes // 2
    top = [(column, 0) for column in range(columns)]
    right = [(columns - 1, row) for row in range(1, rows)]
    bottom = [(column, rows - 1) for column in range(columns - 2, -1, -1)]
    left = [(0, row) for row in range(rows - 2, 0, -1)]
    return (top + right + bottom + left)[:n_nodes]


def _corner(cell: tuple[int, int]) -> tuple[float, float]:
    return 2 + cell[0] * (_BOX[0] + _GAP[0]), 2 + cell[1] * (_BOX[1] + _GAP[1])


def _box(node: Node, cell: tuple[int, int], palette: Palette) -> str:
    x, y = _corner(cell)
    centre = x + _BOX[0] / 2
    frame = element(
        "rect",
        x=x,
        y=y,
        width=_BOX[0],
        height=_BOX[1],
        rx=8,
        fill=palette.surface,
        stroke=palette.accent,
        stroke_width=1.5,
    )
    ink, middle = palette.ink, "middle"
    words = [
        text(node.name, centre, y + 20, text_anchor=middle, fill=ink, font_weight="600"),
        text(node.amount, centre, y + 42, text_anchor=middle, fill=ink, font_size=18),
        text(node.unit, centre, y + 59, text_anchor=middle, fill=palette.muted),
    ]
    hover = node.hover or f"{node.name}: {node.amount} {node.unit}"
    return element("g", tooltip(hover), frame, *words)


def _arrow(start: tuple[int, int], end: tuple[int, int], palette: Palette) -> str:
    (x1, y1), (x2, y2) = _corner(start), _corner(end)
    dx, dy = end[0] - start[0], end[1] - start[1]
    from_x = x1 + _BOX[0] / 2 + dx * _BOX[0] / 2 + dx * 4
    from_y = y1 + _BOX[1] / 2 + dy * _BOX[1] / 2 + dy * 4
    to_x = x2 + _BOX[0] / 2 - dx * _BOX[0] / 2 - dx * 4
    to_y = y2 + _BOX[1] / 2 - dy * _BOX[1] / 2 - dy * 4
    colour = palette.accent
    head = [
        (to_x - dx * 8 - dy * 4, to_y - dy * 8 - dx * 4),
        (to_x, to_y),
        (to_x - dx * 8 + dy * 4, to_y - dy * 8 + dx * 4),
    ]
    return element(
        "line",
        x1=from_x,
        y1=from_y,
        x2=to_x - dx * 6,
        y2=to_y - dy * 6,
        stroke=colour,
        stroke_width=1.5,
    ) + element("path", d=path(head, closed=True), fill=colour)
