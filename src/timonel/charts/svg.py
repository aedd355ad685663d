"""SVG elements as text, and the colours that charts are drawn with.

Charts use presentation attributes, never ``style=``: a strict Content-Security-Policy refuses
inline styles.
"""

from dataclasses import dataclass
from html import escape

_NAMES = {"cls": "class"}


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by role; the default are the page's CSS variables, an export gives concrete ones."""

    ink: str = "var(--ink)"
    muted: str = "var(--muted)"
    grid: str = "var(--line)"
    surface: str = "var(--surface)"
    accent: str = "var(--accent)"
    accent_soft: str = "var(--accent-soft)"
    reference: str = "var(--reference)"
    warn: str = "var(--warn)"


PAGE = Palette()
PRINT = Palette(
    ink="#17202a",
    muted="#55606d",
    grid="#d9dee4",
    surface="#ffffff",
    accent="#0b62a8",
    accent_soft="#cfe2f2",
    reference="#eceff2",
    warn="#9a5b00",
)


def number(value: float) -> str:
    """Write a coordinate: at most two decimals, no trailing zeros."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def element(tag: str, *children: str, **attributes: str | float | None) -> str:
    """Write one element; ``children`` are markup already, attribute values are escaped.

    An attribute ``cls`` is ``class``, ``_`` stands for ``-``, and None leaves the attribute out.

    Examples
    --------
    >>> element("line", x1=1.5, stroke_width=2, cls="a&b")
    '<line x1="1.5" stroke-width="2" class="a&amp;b"/>'
    """
    parts = [tag]
    for key, value in attributes.items():
        if value is None:
            continue
        name = _NAMES.get(key, key.replace("_", "-"))
        text = value if isinstance(value, str) else number(value)
        parts.append(f'{name}="{escape(text)}"')
    opening = " ".join(parts)
    return f"<{opening}>{''.join(children)}</{tag}>" if children else f"<{opening}/>"


def text(content: str, x: float, y: float, **attributes: str | float | None) -> str:
    """Write a text element at a point; the content is escaped."""
    return element("text", escape(content, quote=False), x=x, y=y, **attributes)


def tooltip(content: str) -> str:
    """Write the ``<title>`` child that browsers show on hover and screen readers say."""
    return element("title", escape(content, quote=False))


def path(points: list[tuple[float, float]], *, closed: bool = False) -> str:
    """Write a path's ``d`` through points."""
    steps = "L".join(f"{number(x)} {number(y)}" for x, y in points)
    return f"M{steps}{'Z' if closed else ''}" if points else ""


def drawing(
    *children: str, width: float, height: float, title: str, description: str, cls: str
) -> str:
    """Write the whole picture: scalable, with a name and a description for screen readers."""
    return element(
        "svg",
        tooltip(title),
        element("desc", escape(description, quote=False)),
        *children,
        cls=f"chart {cls}",
        role="img",
        aria_label=f"{title}. {description}",
        viewBox=f"0 0 {number(width)} {number(height)}",
        xmlns="http://www.w3.org/2000/svg",
        font_size=12,
    )
