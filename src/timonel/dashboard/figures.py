"""The Overview's charts: its values, in the reader's language, given to ``timonel.charts``."""

from collections.abc import Callable
from typing import NamedTuple
from zoneinfo import ZoneInfo

from timonel.charts.bars import Bar, horizontal_bars
from timonel.charts.line import LineChart, Mark, Point, Threshold
from timonel.charts.loop import Node, loop_diagram
from timonel.charts.scale import TimeTick
from timonel.charts.spark import sparkline
from timonel.dashboard import formats
from timonel.dashboard.language import Language
from timonel.dashboard.overview import Card, Loop
from timonel.dashboard.texts import say
from timonel.monitoring.performance import Bucket, fallback
from timonel.stats.intervals import Interval


class Figure(NamedTuple):
    """A chart and the same numbers as a table."""

    svg: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def write_quality(metric: str, lang: Language) -> Callable[[float], str]:
    """Give how a metric's value is written: an accuracy in percent, an error as a number."""
    if metric == "accuracy":
        return lambda value: formats.percent(value, lang)
    return lambda value: formats.measure(value, lang)


def quality_figure(card: Card, zone: ZoneInfo, lang: Language) -> Figure | None:
    """Draw quality over time; None with fewer than two points, which are no line."""
    known = [(bucket, bucket.quality.interval) for bucket in card.buckets]
    buckets = [(bucket, interval) for bucket, interval in known if interval is not None]
    if len(buckets) < 2:
        return None
    metric = buckets[0][0].quality.metric
    write = write_quality(metric, lang)
    needed = buckets[0][0].quality.n_needed
    minimum = card.policy.min_accuracy if card.policy and metric == "accuracy" else None
    threshold = None
    if minimum is not None:
        threshold = Threshold(minimum, say(lang, "minimum", value=write(minimum)))

    def write_time(mark: TimeTick) -> str:
        return formats.tick(mark, lang)

    chart = LineChart(
        title=say(lang, "quality_chart", model=card.name),
        description=say(
            lang,
            "quality_chart_desc",
            metric=say(lang, metric),
            value=write(buckets[-1][1].estimate),
            needed=needed,
        ),
        points=[_point(bucket, interval, zone, lang) for bucket, interval in buckets],
        zone=zone,
        write_value=write,
        write_time=write_time,
        minimum_n=needed,
        threshold=threshold,
        marks=[Mark(deployed.at_us, deployed.version) for deployed in card.deployments],
        bounds=(0.0, 1.0) if metric == "accuracy" else None,
        until_us=card.performance.until_us if card.performance is not None else None,
    )
    rows = tuple(
        (
            formats.moment(bucket.start_us, zone, lang),
            write(interval.estimate),
            f"{write(interval.low)} – {write(interval.high)}",
            formats.number(bucket.quality.n_labels, lang),
        )
        for bucket, interval in buckets
    )
    header = ("col_time", metric, "col_interval", "col_labels")
    return Figure(chart.render(), tuple(say(lang, key) for key in header), rows)


def _point(bucket: Bucket, interval: Interval, zone: ZoneInfo, lang: Language) -> Point:
    write = write_quality(bucket.quality.metric, lang)
    hover = say(
        lang,
        "quality_hover",
        at=formats.moment(bucket.start_us, zone, lang),
        value=write(interval.estimate),
        low=write(interval.low),
        high=write(interval.high),
        n=formats.number(bucket.quality.n_labels, lang),
    )
    n = bucket.quality.n_labels
    return Point(bucket.start_us, interval.estimate, interval.low, interval.high, n, hover)


def minutes_figure(card: Card, lang: Language) -> str | None:
    """Draw the last hour's predictions per minute; None where there was none."""
    if not any(card.minutes):
        return None
    description = say(lang, "per_minute_desc", **minute_facts(card, lang))
    title = say(lang, "per_minute", model=card.name)
    return sparkline(card.minutes, title=title, description=description)


def minute_facts(card: Card, lang: Language) -> dict[str, str]:
    """Give the words of the sparkline: the busiest minute and the mean latency."""
    latency = "–"
    if card.latency_ms is not None:
        latency = formats.number(card.latency_ms, lang, 1 if card.latency_ms >= 1 else 2)
    return {"most": formats.number(max(card.minutes, default=0), lang), "latency": latency}


def fallback_figure(card: Card, lang: Language) -> str | None:
    """Draw the reasons of fallback answers as shares of all answers; None where there are none."""
    n, n_fallback, reasons = fallback(card.day)
    if not n_fallback:
        return None
    bars = [
        Bar(
            say(lang, f"reason_{reason}"),
            count / n,
            formats.percent(count / n, lang),
            f"{say(lang, f'reason_{reason}')}: {formats.number(count, lang)}",
        )
        for reason, count in reasons.items()
    ]
    return horizontal_bars(
        bars,
        title=say(lang, "fallback_chart", model=card.name),
        description=say(lang, "fallback_chart_desc"),
        most=1.0,
        width=300,
    )


def loop_figures(loop: Loop, lang: Language) -> tuple[str, str]:
    """Draw the loop twice: flat for wide screens, upright for narrow ones."""

    def node(name: str, count: int, unit: str) -> Node:
        return Node(say(lang, name), formats.number(count, lang), say(lang, unit))

    nodes = (
        node("loop_train", loop.n_versions, "unit_trained"),
        node("loop_register", loop.n_production, "unit_production"),
        node("loop_serve", loop.n_predictions, "unit_predictions"),
        _test(loop, lang),
        _monitor(loop, lang),
        _retrain(loop, lang),
    )
    title, description = say(lang, "loop"), say(lang, "loop_desc")
    wide, narrow = (
        loop_diagram(nodes, title=title, description=description, columns=columns)
        for columns in (3, 2)
    )
    return wide, narrow


def _test(loop: Loop, lang: Language) -> Node:
    running = loop.watched.experiments
    unit = "unit_experiment" if len(running) == 1 else "unit_experiments"
    amount = formats.number(len(running), lang)
    hover = f"{say(lang, 'loop_test')}: {', '.join(running)}" if running else ""
    return Node(say(lang, "loop_test"), amount, say(lang, unit), hover=hover)


def _monitor(loop: Loop, lang: Language) -> Node:
    watched = loop.watched
    windows = formats.number(watched.n_windows, lang)
    labels = formats.number(loop.n_labels, lang)
    firing = formats.number(watched.n_firing, lang)
    number = min(watched.n_firing, 2)  # none, one, several
    unit = ("unit_windows", "unit_windows_1", "unit_windows_n")[number]
    return Node(
        say(lang, "loop_monitor"),
        windows,
        say(lang, unit, firing=firing),
        hover=say(lang, "loop_monitor_hover", windows=windows, labels=labels, firing=firing),
    )


def _retrain(loop: Loop, lang: Language) -> Node:
    watched = loop.watched
    unit = "unit_retraining_now" if watched.n_running else "unit_retrainings"
    amount = formats.number(watched.n_retrainings, lang)
    return Node(say(lang, "loop_retrain"), amount, say(lang, unit))
