"""The command ``timonel drift column``: one column over windows, and what was deployed between."""

from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from timonel.cli.options import HERE, Folder, Json
from timonel.cli.output import decimal, explained, moment, out_json, say, table, text

if TYPE_CHECKING:
    from timonel.monitoring.drift.column_series import ColumnSeries
    from timonel.monitoring.verdicts import Verdict


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(column)


def column(
    model: Annotated[str, typer.Argument(help="A declared model.")],
    name: Annotated[
        str, typer.Argument(help="A column as the schema names it; @score or @prediction.")
    ],
    folder: Folder = HERE,
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many windows.")] = 20,
    as_json: Json = False,
) -> None:
    """Follow one column over windows, with the versions that came into production between."""
    with explained(as_json):
        from timonel.app import open_app
        from timonel.monitoring.drift.column_series import column_series

        app = open_app(folder)
        app.require_prepared()
        declared = app.registry.declaration(model).model
        found = column_series(app.engine, app.name, app.registry, declared, name, limit=last)
        if as_json:
            out_json(found.document())
        elif found.points:
            _print(found, ZoneInfo(app.config.timezone))
        else:
            say("drift_none", model=model)


def _print(series: "ColumnSeries", zone: ZoneInfo) -> None:
    say("drift_column", model=series.model, column=series.column)
    rows = [(point.start_us, _row(point, zone)) for point in series.points]
    rows += [
        (
            one.at_us,
            [moment(one.at_us, zone), "", text("drift_deployed", version=one.version), *[""] * 5],
        )
        for one in series.deployments
    ]
    rows.sort(key=lambda row: row[0])
    table(text("drift_column_headings").split("|"), [row for _, row in rows])


def _row(point: "Verdict", zone: ZoneInfo) -> list[Any]:
    return [
        moment(point.start_us, zone),
        moment(point.end_us, zone),
        text(f"verdict_{point.state}"),
        point.n,
        decimal(point.effect, ".3f"),
        decimal(point.facts.get("floor"), ".3f"),
        decimal(point.p_value, ".2g"),
        point.facts.get("test") or point.facts.get("reason", ""),
    ]
