"""``timonel experiment aa``: the rules on one's own log, where there is nothing to find."""

from itertools import count
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from timonel.cli.experiments.commands import opened
from timonel.cli.experiments.plan import UnitName
from timonel.cli.options import HERE, Folder, Json
from timonel.cli.output import decimal, explained, language, out_json, say
from timonel.errors import in_language

if TYPE_CHECKING:
    from timonel.experiments.replaying.aa import AaResult, Share


def aa(
    model: Annotated[str | None, typer.Argument(help="Its model; the only one by default.")] = None,
    runs: Annotated[int, typer.Option(help="Random assignments.", min=1, max=10_000)] = 100,
    seed: Annotated[int, typer.Option(help="The same seed, the same runs.")] = 0,
    rows: Annotated[
        int, typer.Option(help="About so many labelled answers; of more, some units.", min=100)
    ] = 5000,
    unit: Annotated[
        UnitName, typer.Option(help="unit (unit_id or key of the request), or request.")
    ] = UnitName.UNIT,
    alpha: Annotated[
        float, typer.Option(help="For all looks together.", min=0.001, max=0.4)
    ] = 0.05,
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Play experiments without a difference on this log, and count false decisions."""
    with explained(as_json):
        from timonel.experiments.replaying.documents import aa_document

        planning = opened(folder).planning
        by_unit = unit is UnitName.UNIT
        with _progress(hidden=as_json) as bar:
            task = bar.add_task("", total=runs)
            # it is told of a run before that is played: the first tells of none
            played = count(0)
            found = planning.run_aa(
                model,
                by_unit=by_unit,
                runs=runs,
                seed=seed,
                rows=rows,
                alpha=alpha,
                check=lambda: bar.update(task, completed=next(played)),
            )
        if as_json:
            out_json(aa_document(found, language()))
        else:
            _print(found)


def _progress(*, hidden: bool) -> Progress:
    """Show how many runs are played and how long the rest will take, on a terminal alone."""
    console = Console(stderr=True)
    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=hidden or not console.is_terminal,
    )


def _print(found: "AaResult") -> None:
    if found.reason is not None:
        say("aa_unsaid", model=found.model, reason=in_language(found.reason, language()))
        return
    say(
        "aa_title",
        model=found.model,
        runs=found.runs,
        seed=found.seed,
        rows=found.n_rows,
        of=found.of_rows,
        units=found.n_units,
        days=found.n_days,
    )
    for key, share in (
        ("aa_wrong", found.wrong),
        ("aa_naive", found.naive),
        ("aa_invalid", found.invalid),
    ):
        if share is not None:
            say(key, share=_share(share), alpha=decimal(found.alpha, ".3g"))
    if found.known_from is None:
        say("aa_never_mature")
    else:
        say("aa_mature", day=found.known_from)


def _share(share: "Share") -> str:
    found, low, high = (decimal(one, ".1%") for one in (share.share, share.low, share.high))
    return f"{share.n} = {found} [{low}, {high}]"
