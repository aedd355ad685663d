"""The command ``timonel performance``: windows as they were estimated, and as truths said."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from timonel.cli.options import HERE, Folder, Json
from timonel.cli.output import explained, language, out, out_json, say, table, text

if TYPE_CHECKING:
    from timonel.monitoring.performance_windows import PerformanceHistory, PerformanceWindow
    from timonel.monitoring.verdicts import Verdict


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(performance)


def performance(
    model: Annotated[str | None, typer.Argument(help="A declared model; default all.")] = None,
    folder: Folder = HERE,
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many windows.")] = 10,
    as_json: Json = False,
) -> None:
    """Show how good answers were: estimated before their truths, realised once these come."""
    with explained(as_json):
        from timonel.app import open_app
        from timonel.monitoring.performance_windows import performance_history
        from timonel.registry.manifest import decode_manifest

        app = open_app(folder)
        app.require_prepared()
        declared = (
            app.registry.declarations() if model is None else [app.registry.declaration(model)]
        )
        found = {}
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
        if as_json:
            out_json([{"model": name} | history.document() for name, history in found.items()])
            return
        zone = ZoneInfo(app.config.timezone)
        for name, history in found.items():
            _print(name, history, zone)


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
        _moment(estimated.start_us, zone),
        _moment(estimated.end_us, zone),
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
    return [
        text(f"performance_look_{facts['by']}"),
        _moment(look.end_us, zone),
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
    written = f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"
    return written.replace(".", ",") if language() == "es" else written


def _moment(microseconds: int, zone: ZoneInfo) -> str:
    moment = datetime.fromtimestamp(microseconds / 1e6, UTC).astimezone(zone)
    return moment.strftime("%Y-%m-%d %H:%M")
