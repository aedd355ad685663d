"""The command ``timonel metrics``: what the project itself records, in the last hour."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from timonel.cli.options import HERE, Folder, Json
from timonel.cli.output import decimal, explained, out_json, say, table, text

if TYPE_CHECKING:
    from timonel.monitoring.series.recorded import Recorded


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(metrics)


def metrics(
    name: Annotated[str | None, typer.Argument(help="A recorded metric; default all.")] = None,
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Show what the project records (timonel.metrics.record): statistics of the last hour."""
    with explained(as_json):
        from timonel.app import open_app
        from timonel.monitoring.series.recorded import (
            find_recorded,
            hour_document,
            read_recorded,
        )

        app = open_app(folder)
        app.require_prepared()
        now_us = app.clock.now_us()
        if name is None:
            found = read_recorded(app.engine, app.name, now_us)
        else:
            found = find_recorded(app.engine, app.name, now_us, name)
        if as_json:
            out_json(hour_document(now_us, found))
        elif not found:
            say("metrics_none")
        else:
            _print(found)


def _print(found: "list[Recorded]") -> None:
    from timonel.stats.series.sketch import WIDEST

    rows = [_row(one) for one in found]
    say("metrics_title")
    table(text("metrics_headings").split("|"), rows)
    say("metrics_note", error=_number(100 * WIDEST))


def _row(one: "Recorded") -> list[Any]:
    document = one.document()
    figures = ("mean", "std", "min", "p50", "p95", "p99", "max")
    state = document["state"]
    return [
        str(one.series),
        document["n"],
        *(_number(document[figure]) for figure in figures),
        "-" if state is None else text(f"verdict_{state}"),
    ]


def _number(value: float | None) -> str:
    return decimal(value, ".4g" if value is None or abs(value) < 10_000 else ".0f")
