"""``timonel experiment interleave|click``: what the routes of rankers do, by hand."""

from typing import Annotated

import typer

from timonel.cli.experiments.commands import Name, opened
from timonel.cli.options import HERE, Folder, Json
from timonel.cli.output import explained, out, out_json, say

Request = Annotated[str, typer.Argument(help="Different for each list that is shown.")]


def interleave(
    name: Name,
    request: Request,
    control: Annotated[str, typer.Option(help="The control's items, best first: a,b,c.")],
    treatment: Annotated[str, typer.Option(help="The treatment's items, best first: b,d,a.")],
    unit: Annotated[
        str | None, typer.Option(help="Whom clicks belong to; default: the request.")
    ] = None,
    length: Annotated[int | None, typer.Option(help="The most items to show.", min=1)] = None,
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Make one list of two rankings by team draft, and log whose each item is."""
    with explained(as_json):
        rankings = opened(folder).experiments.rankings
        found = rankings.interleave(
            name, request, _items(control), _items(treatment), unit=unit, length=length
        )
        if as_json:
            out_json(found._asdict())
        else:
            for item in found.items:
                out(item)


def click(
    name: Name,
    request: Request,
    items: Annotated[list[str], typer.Argument(help="Items of that list.")],
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Tell which items of a list were clicked; twice the same changes nothing."""
    with explained(as_json):
        found = opened(folder).experiments.rankings.click(name, request, items)
        if as_json:
            out_json(found._asdict())
        else:
            say("clicks", **found._asdict())


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
