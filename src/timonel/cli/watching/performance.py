"""The command ``timonel performance``: windows as they were estimated, and as truths said."""

from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from timonel.cli.options import HERE, Folder, Json
from timonel.cli.output import decimal, explained, moment, out, out_json, say, table, text

if TYPE_CHECKING:
    from timonel.app import App
    from timonel.monitoring.performance import Performance
    from timonel.monitoring.performance_windows import PerformanceHistory, PerformanceWindow
    from timonel.monitoring.verdicts import Verdict


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(performance)


def performance(
    model: Annotated[str | None, typer.Argument(help="A declared model; default all.")] = None,
    folder: Folder = HERE,
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many windows.")] = 10,
    days: Annotated[int, typer.Option(min=1, max=90, help="Days of figures by class.")] = 7,
    by_arrival: Annotated[
        bool, typer.Option("--by-arrival", help="Figures by class of truths that came then.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show how good answers were: estimated before their truths, realised once these come."""
    with explained(as_json):
        from timonel.app import open_app
        from timonel.http.documents import performance_document
        from timonel.monitoring.performance_windows import performance_history
        from timonel.registry.manifest import decode_manifest

        app = open_app(folder)
        app.require_prepared()
        declared = (
            app.registry.declarations() if model is None else [app.registry.declaration(model)]
        )
        found, measured = {}, {}
        for row in declared:
            manifest = decode_manifest(row.manifest)
            found[row.model] = performance_history(
                app.engine,
                app.name,
                row.model,
                manifest.task,
                n_needed=manifest.watch.min_labels,
                limit=last,
            )
            measured[row.model] = _measured(
                app, row.model, manifest.task, manifest.watch.min_labels, days, by_arrival
            )
        if as_json:
            out_json(
                [
                    {
                        "model": name,
                        **history.document(),
                        "measured": performance_document(measured[name]),
                    }
                    for name, history in found.items()
                ]
            )
            return
        zone = ZoneInfo(app.config.timezone)
        for name, history in found.items():
            _print(name, history, zone)
            _print_measures(measured[name], days)


def _measured(
    app: "App", model: str, task: str, n_needed: int, days: int, by_arrival: bool
) -> "Performance":
    from timonel.monitoring.performance import measure
    from timonel.store.reads_windows import HOUR_US, MINUTE_US

    now_us = app.clock.now_us()
    return measure(
        app.engine,
        app.name,
        model,
        task,
        since_us=now_us - days * 24 * HOUR_US,
        until_us=now_us + MINUTE_US,
        n_needed=n_needed,
        by_arrival=by_arrival,
    )


def _print_measures(performance: "Performance", days: int) -> None:
    """Print the figures of each version that has labels, that by which it is judged first."""
    rows = [
        [
            " ".join(
                [group.version or text(f"performance_by_{group.source}")]
                + ([f"({group.variant})"] if group.variant else [])
            ),
            text(f"measure_{one.metric}"),
            "" if one.label is None else str(one.label),
            "-" if one.interval is None else _interval(*one.interval[:3]),
            text(f"holdout_{one.holdout.unknown}")
            if one.holdout.unknown
            else _interval(one.holdout.value, one.holdout.low, one.holdout.high),
            one.n,
            "" if one.unknown is None else text(f"measure_{one.unknown}"),
        ]
        for group in (*performance.groups, *performance.variants)
        if group.quality.n_labels
        for one in (group.quality.measure, *group.measures)
    ]
    if not rows:
        return
    axis = "arrival" if performance.by_arrival else "prediction"
    say(f"performance_measures_{axis}", model=performance.model, days=days)
    table(text("performance_measure_headings").split("|"), rows)
    out()


def _print(model: str, history: "PerformanceHistory", zone: ZoneInfo) -> None:
    if not history.windows and not history.looks:
        say("performance_none", model=model)
        return
    if history.windows:
        first = history.windows[0].estimated
        say(
            "performance_title",
            model=model,
            metric=first.facts["metric"],
            baseline=_number(first.facts["baseline"]),
            limit=_number(first.facts["limit"]),
        )
        rows = [_row(window, zone) for window in history.windows]
        table(text("performance_headings").split("|"), rows)
    if history.looks:
        say("performance_looks")
        rows = [_look(look, zone) for look in history.looks]
        table(text("performance_look_headings").split("|"), rows)
    say("performance_blind")
    out()


def _row(window: "PerformanceWindow", zone: ZoneInfo) -> list[Any]:
    estimated, realised = window.estimated, window.realised.interval
    main = estimated.facts["estimates"][estimated.facts["metric"]]
    concept = window.concept
    return [
        moment(estimated.start_us, zone),
        moment(estimated.end_us, zone),
        estimated.n,
        _interval(main["value"], main["lower"], main["upper"]),
        text(f"verdict_{estimated.state}"),
        "-" if realised is None else _interval(realised.estimate, realised.low, realised.high),
        window.realised.n_labels,
        "-" if concept is None else text(f"verdict_{concept.state}"),
        estimated.facts.get("reason", ""),
    ]


def _look(look: "Verdict", zone: ZoneInfo) -> list[Any]:
    facts = look.facts
    value = facts.get("value", facts.get("after"))
    by, metric = text(f"performance_look_{facts['by']}"), facts.get("metric")
    return [
        by if look.monitor != "metric_loss" else f"{text(f'measure_{metric}')}: {by}",
        moment(look.end_us, zone),
        _interval(value, facts.get("lower"), facts.get("upper")),
        look.n,
        text(f"verdict_{look.state}"),
        facts.get("reason", ""),
    ]


def _interval(value: float | None, lower: float | None, upper: float | None) -> str:
    if value is None:
        return "-"
    if lower is None or upper is None:
        return _number(value)
    return f"{_number(value)} [{_number(lower)}; {_number(upper)}]"


def _number(value: float) -> str:
    return decimal(value, ".3f" if abs(value) < 100 else ".0f")
