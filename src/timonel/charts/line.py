"""A measure over time: estimate, interval, threshold, deploys, and how much lies behind each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import NamedTuple

from timonel.charts.scale import Linear, TimeTick, round_ticks, time_ticks
from timonel.charts.svg import PAGE, Palette, drawing, element, path, text, tooltip

_LEFT, _RIGHT, _TOP, _BOTTOM, _COUNTS = 48.0, 18.0, 20.0, 34.0, 16.0
_LETTER = 8.0  # the widest a letter gets, on narrow screens


class Point(NamedTuple):
    """One time bucket.

    ``value`` None is a bucket without an estimate: the line has a gap there. ``low`` and ``high``
    are its interval; ``hover`` is read on hover and by screen readers.
    """

    at_us: int
    value: float | None
    low: float | None
    high: float | None
    n: int
    hover: str


class Mark(NamedTuple):
    """A moment when something was deployed, with a short text."""

    at_us: int
    label: str


class Threshold(NamedTuple):
    """A value that is asked for, with its short text for the right margin."""

    value: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChart:
    """Everything a chart of a measure over time says.

    Parameters
    ----------
    title, description : str
        For people and screen readers; the description states the range and what the band is.
    minimum_n : int
        A point with fewer is drawn hollow, and its interval does not widen the axis.
    write_value, write_time : callable
        How a tick of each axis is written, in the reader's language.
    bounds : (low, high) or None
        What the measure cannot go beyond; the axis does not either.
    until_us : int or None
        Where the time axis ends; None: at the last point.
    reference : (low, high) or None
        The interval of the reference data, drawn as a grey band.
    """

    title: str
    description: str
    points: Sequence[Point]
    zone: tzinfo
    write_value: Callable[[float], str]
    write_time: Callable[[TimeTick], str]
    minimum_n: int = 0
    threshold: Threshold | None = None
    reference: tuple[float, float] | None = None
    marks: Sequence[Mark] = ()
    bounds: tuple[float, float] | None = None
    until_us: int | None = None
    width: float = 500
    height: float = 200
    palette: Palette = PAGE

    def render(self) -> str:
        """Draw it; needs at least one point with a value."""
        x, y, ticks = self._scales()
        parts = [
            *self._reference(y),
            *self._axes(x, y, ticks),
            *self._marks(x),
            *self._band(x, y),
            *self._line(x, y),
            *self._threshold(y),
            *self._counts(x),
        ]
        return drawing(
            *parts,
            width=self.width,
            height=self.height,
            title=self.title,
            description=self.description,
            cls="line",
        )

    def _right(self) -> float:
        label = self.threshold.label if self.threshold is not None else ""
        return self.width - _RIGHT - _LETTER * len(label)

    def _scales(self) -> tuple[Linear, Linear, tuple[float, ...]]:
        # the wide interval of a few values would flatten all the others: it is cut at the edge
        wide = [p for p in self.points if p.n >= self.minimum_n] or self.points
        seen = [p.value for p in self.points if p.value is not None]
        seen += [v for p in wide for v in (p.low, p.high) if v is not None]
        seen += list(self.reference or ())
        if self.threshold is not None:
            seen.append(self.threshold.value)
        ticks = round_ticks(min(seen), max(seen))
        if self.bounds is not None:  # a share's axis never promises more than 100 %
            ticks = tuple(t for t in ticks if self.bounds[0] <= t <= self.bounds[1]) or ticks
        times = [p.at_us for p in self.points]
        last = max(times) if self.until_us is None else max(*times, self.until_us)
        x = Linear(min(times), last, _LEFT + 6, self._right() - 4)
        floor = self.height - _BOTTOM - _COUNTS
        return x, Linear(ticks[0], ticks[-1], floor, _TOP), ticks

    def _axes(self, x: Linear, y: Linear, ticks: tuple[float, ...]) -> list[str]:
        parts = []
        for tick in ticks:
            parts.append(
                element(
                    "line",
                    x1=_LEFT,
                    x2=self._right(),
                    y1=y(tick),
                    y2=y(tick),
                    stroke=self.palette.grid,
                )
            )
            parts.append(
                text(
                    self.write_value(tick),
                    _LEFT - 6,
                    y(tick) + 4,
                    text_anchor="end",
                    fill=self.palette.muted,
                )
            )
        first, last = int(x.low), int(x.high)
        parts.extend(
            text(
                self.write_time(moment),
                x(moment.at_us),
                self.height - 4,
                text_anchor="middle",
                fill=self.palette.muted,
            )
            for moment in time_ticks(first, last, self.zone, at_most=5)
        )
        return parts

    def _reference(self, y: Linear) -> list[str]:
        if self.reference is None:
            return []
        low, high = self.reference
        return [
            element(
                "rect",
                x=_LEFT,
                y=y(high),
                width=self._right() - _LEFT,
                height=y(low) - y(high),
                fill=self.palette.reference,
            )
        ]

    def _runs(self) -> list[list[Point]]:
        runs: list[list[Point]] = [[]]
        for point in self.points:
            if point.value is None:
                runs.append([])
            else:
                runs[-1].append(point)
        return [run for run in runs if run]

    def _band(self, x: Linear, y: Linear) -> list[str]:
        parts = []
        for run in self._runs():
            upper = [(x(p.at_us), y(min(p.high, y.high))) for p in run if p.high is not None]
            lower = [(x(p.at_us), y(max(p.low, y.low))) for p in run if p.low is not None][::-1]
            if len(upper) == 1 and len(lower) == 1:  # one bucket: a bar, since an area has no width
                (px, top), (_, bottom) = upper[0], lower[0]
                parts.append(
                    element(
                        "line",
                        x1=px,
                        x2=px,
                        y1=top,
                        y2=bottom,
                        stroke=self.palette.accent_soft,
                        stroke_width=6,
                    )
                )
            elif upper and lower:
                parts.append(
                    element(
                        "path", d=path([*upper, *lower], closed=True), fill=self.palette.accent_soft
                    )
                )
        return parts

    def _line(self, x: Linear, y: Linear) -> list[str]:
        parts = []
        for run in self._runs():
            spots = [(x(p.at_us), y(p.value)) for p in run if p.value is not None]
            parts.append(
                element(
                    "path", d=path(spots), fill="none", stroke=self.palette.accent, stroke_width=1.5
                )
            )
            for point, (px, py) in zip(run, spots, strict=True):
                hollow = point.n < self.minimum_n
                parts.append(
                    element(
                        "circle",
                        tooltip(point.hover),
                        cx=px,
                        cy=py,
                        r=3,
                        fill=self.palette.surface if hollow else self.palette.accent,
                        stroke=self.palette.accent,
                    )
                )
        return parts

    def _threshold(self, y: Linear) -> list[str]:
        if self.threshold is None:
            return []
        at = y(self.threshold.value)
        right = self._right()
        return [
            element(
                "line",
                x1=_LEFT,
                x2=right,
                y1=at,
                y2=at,
                stroke=self.palette.warn,
                stroke_width=1.5,
                stroke_dasharray="5 4",
            ),
            text(self.threshold.label, right + 4, at + 4, fill=self.palette.warn),
        ]

    def _marks(self, x: Linear) -> list[str]:
        parts = []
        free_from = float("-inf")
        for mark in sorted(self.marks):
            if not x.low <= mark.at_us <= x.high:
                continue
            at = x(mark.at_us)
            words = [tooltip(mark.label)]
            if at >= free_from:  # texts that would overlap are left to the hover
                words.append(
                    text(mark.label, at, _TOP - 7, text_anchor="middle", fill=self.palette.muted)
                )
                free_from = at + 7.0 * len(mark.label) + 6
            line = element(
                "line",
                x1=at,
                x2=at,
                y1=_TOP - 3,
                y2=self.height - _BOTTOM - _COUNTS,
                stroke=self.palette.muted,
                stroke_dasharray="2 2",
            )
            parts.append(element("g", *words, line))
        return parts

    def _counts(self, x: Linear) -> list[str]:
        base = self.height - _BOTTOM + 12
        tallest = max((p.n for p in self.points), default=0)
        if not tallest:
            return []
        height = Linear(0, tallest, 0, _COUNTS)
        bar = max(1.0, min(8.0, (x.end - x.start) / max(len(self.points), 1) - 1))
        return [
            element(
                "rect",
                x=x(p.at_us) - bar / 2,
                y=base - height(p.n),
                width=bar,
                height=height(p.n),
                fill=self.palette.grid,
            )
            for p in self.points
            if p.n
        ]
