"""Charts are well-formed, accessible, and show what they are given."""

import re
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest

from timonel.charts.bars import Bar, horizontal_bars
from timonel.charts.line import LineChart, Mark, Point, Threshold
from timonel.charts.loop import Node, loop_diagram
from timonel.charts.spark import sparkline
from timonel.charts.svg import PRINT, element, number, path

SVG = "{http://www.w3.org/2000/svg}"
HOUR = 3_600_000_000
EVIL = '</title><script>alert("x")</script>&'


def line(**changes: object) -> LineChart:
    points = [
        Point(0, 0.90, 0.85, 0.94, 120, "first"),
        Point(HOUR, 0.92, 0.88, 0.95, 150, "second"),
        Point(2 * HOUR, 0.80, 0.60, 0.92, 12, "third"),
    ]
    given: dict[str, object] = {
        "title": "Quality",
        "description": "accuracy, 95% interval",
        "points": points,
        "zone": ZoneInfo("UTC"),
        "write_value": lambda value: f"{value:.0%}",
        "write_time": lambda tick: tick.local.strftime("%H:%M"),
        "minimum_n": 30,
    }
    return LineChart(**given | changes)  # type: ignore[arg-type]


def parse(svg: str) -> ET.Element:
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title") is not None
    assert root.find(f"{SVG}desc") is not None
    assert "style" not in svg  # a strict Content-Security-Policy refuses inline styles
    return root


def texts(root: ET.Element) -> list[str]:
    return [node.text or "" for node in root.iter(f"{SVG}text")]


def test_line_has_a_point_each_and_hollow_ones_under_the_minimum() -> None:
    root = parse(line().render())
    circles = list(root.iter(f"{SVG}circle"))
    assert [circle.findtext(f"{SVG}title") for circle in circles] == ["first", "second", "third"]
    assert [circle.get("fill") for circle in circles] == [
        "var(--accent)",
        "var(--accent)",
        "var(--surface)",
    ]


def test_line_labels_threshold_marks_and_at_least_five_values() -> None:
    chart = line(threshold=Threshold(0.88, "min 88%"), marks=[Mark(HOUR, "1.0.1")])
    found = texts(parse(chart.render()))
    assert {"min 88%", "1.0.1"} <= set(found)
    assert sum(text.endswith("%") and "min" not in text for text in found) >= 5


def test_threshold_label_lies_inside_the_picture() -> None:
    chart = line(threshold=Threshold(0.88, "mín. 88,5 %"))
    label = next(t for t in parse(chart.render()).iter(f"{SVG}text") if t.text == "mín. 88,5 %")
    assert float(label.get("x", "")) + 8 * len("mín. 88,5 %") <= chart.width


def test_share_axis_stays_in_bounds() -> None:
    high = [Point(0, 1.0, 0.97, 1.0, 99, "a"), Point(HOUR, 0.99, 0.9, 1.0, 99, "b")]
    found = texts(parse(line(points=high, bounds=(0.0, 1.0)).render()))
    assert "100%" in found
    assert not {"102%", "105%", "110%"} & set(found)


def test_gap_breaks_the_line() -> None:
    points = [
        Point(0, 0.9, 0.8, 0.95, 50, "a"),
        Point(HOUR, None, None, None, 0, "gap"),
        Point(2 * HOUR, 0.9, 0.8, 0.95, 50, "b"),
        Point(3 * HOUR, 0.9, 0.8, 0.95, 50, "c"),
    ]
    root = parse(line(points=points).render())
    lines = [p for p in root.iter(f"{SVG}path") if p.get("fill") == "none"]
    assert len(lines) == 2


def test_marks_outside_and_overlapping_ones_have_no_text() -> None:
    marks = [Mark(-HOUR, "0.9.0"), Mark(HOUR, "1.0.1"), Mark(HOUR + 1000, "1.0.2")]
    found = texts(parse(line(marks=marks).render()))
    assert "1.0.1" in found
    assert "0.9.0" not in found
    assert "1.0.2" not in found  # it is on hover


def test_time_axis_goes_on_until_now() -> None:
    root = parse(line(until_us=10 * HOUR).render())
    assert max(float(c.get("cx", "")) for c in root.iter(f"{SVG}circle")) < 200


def test_export_has_no_variables() -> None:
    assert "var(" not in line(palette=PRINT).render()


@pytest.mark.parametrize("values", [[], [0], [0, 0, 0], [1, 5, 2]])
def test_sparkline_of_anything(values: list[float]) -> None:
    svg = sparkline(values, title="t", description="d")
    parse(svg)
    assert "nan" not in svg
    assert "inf" not in svg


def test_bars_are_in_proportion() -> None:
    bars = [Bar("timeout", 0.5, "50 %"), Bar("overload", 0.25, "25 %")]
    root = parse(horizontal_bars(bars, title="t", description="d", most=1.0))
    widths = [float(rect.get("width", "")) for rect in root.iter(f"{SVG}rect")]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.02)


@pytest.mark.parametrize("columns", [2, 3])
def test_loop_is_a_ring(columns: int) -> None:
    nodes = [Node(str(i), "1", "u") for i in range(6)]
    root = parse(loop_diagram(nodes, title="t", description="d", columns=columns))
    boxes = list(root.iter(f"{SVG}rect"))
    places = {(rect.get("x"), rect.get("y")) for rect in boxes}
    assert len(places) == 6
    arrows = list(root.iter(f"{SVG}line"))
    assert len(arrows) == 6


def test_every_text_is_escaped() -> None:
    nodes = [Node(EVIL, EVIL, EVIL, hover=EVIL)] * 6
    pictures = [
        line(title=EVIL, description=EVIL, threshold=Threshold(0.9, EVIL)).render(),
        line(points=[Point(0, 1, 1, 1, 1, EVIL)], marks=[Mark(0, EVIL)]).render(),
        sparkline([1], title=EVIL, description=EVIL),
        horizontal_bars([Bar(EVIL, 1, EVIL, EVIL)], title=EVIL, description=EVIL),
        loop_diagram(nodes, title=EVIL, description=EVIL),
    ]
    for svg in pictures:
        parse(svg)
        assert not re.search(r"<script", svg)


def test_elements_and_numbers() -> None:
    assert (
        element("line", x1=1.50, stroke_width=None, cls='a"b')
        == '<line x1="1.5" class="a&quot;b"/>'
    )
    assert [number(value) for value in (0, -0.001, 1.005, 1200.0)] == ["0", "0", "1", "1200"]
    assert path([]) == ""
    assert path([(0, 1), (2, 3)], closed=True) == "M0 1L2 3Z"


def test_a_few_values_do_not_flatten_the_others() -> None:
    points = [
        Point(0, 0.9, 0.1, 1.0, 3, "few"),
        Point(HOUR, 0.91, 0.88, 0.94, 300, "many"),
        Point(2 * HOUR, 0.92, 0.89, 0.95, 300, "many"),
    ]
    root = parse(line(points=points).render())
    assert not {"0%", "10%", "20%", "50%"} & set(texts(root))
    band = next(p for p in root.iter(f"{SVG}path") if p.get("fill") == "var(--accent-soft)")
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", band.get("d", ""))]
    assert max(heights) <= 200
