"""The command ``timonel drift normal``: whatever was found then is how it is meant to be."""

import getpass
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from timonel.cli.errors import InvalidUsage
from timonel.cli.options import HERE, Folder, Json, Who
from timonel.cli.output import explained, out_json, say

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M"]


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(normal)


def normal(
    model: Annotated[str, typer.Argument(help="A declared model.")],
    start: Annotated[
        datetime, typer.Option("--from", formats=_FORMATS, help="The first moment, local time.")
    ],
    until: Annotated[
        datetime, typer.Option("--until", formats=_FORMATS, help="The end, itself not included.")
    ],
    note: Annotated[str, typer.Option(help="Why.")] = "",
    folder: Folder = HERE,
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Call a stretch of time normal: its windows teach their slot, whatever was found in them."""
    with explained(as_json):
        from timonel.app import host_name, open_app
        from timonel.monitoring.drift.calibration import mark_normal

        app = open_app(folder)
        app.require_prepared()
        name = app.registry.declaration(model).model
        zone = ZoneInfo(app.config.timezone)
        start_us, end_us = (
            int(moment.replace(tzinfo=zone).timestamp() * 1e6) for moment in (start, until)
        )
        if end_us <= start_us:
            raise InvalidUsage(
                command="timonel drift normal", found=f"--until {until} is not after --from {start}"
            )
        with app.engine.begin() as connection:
            mark_normal(
                connection,
                app.name,
                name,
                start_us=start_us,
                end_us=end_us,
                who=who or f"{getpass.getuser()}@{host_name()}",
                note=note,
                at_us=app.clock.now_us(),
            )
        marked = {"model": name, "from": start.isoformat(), "until": until.isoformat()}
        if as_json:
            out_json({**marked, "note": note})
        else:
            say("drift_normal", model=name, start=start, end=until)
