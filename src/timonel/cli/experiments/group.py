"""``timonel experiment`` and its commands, in the order of an experiment's life."""

import typer

from timonel.cli.experiments import business, commands, rankings
from timonel.cli.experiments.aa import aa
from timonel.cli.experiments.plan import plan
from timonel.cli.experiments.replay import replay
from timonel.cli.experiments.report import report


def register(app: typer.Typer) -> None:
    """Add ``timonel experiment`` with its commands."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Experiments: two versions (or a version and the rules) compared on real traffic.",
    )
    group.command("list")(commands.list_experiments)
    group.command()(plan)
    group.command()(aa)
    life = (commands.create, commands.start, commands.pause, commands.resume, commands.stop)
    for command in (*life, commands.share, commands.show, commands.look, report, replay):
        group.command()(command)
    group.command()(business.units)
    group.command()(business.record)
    group.command()(rankings.interleave)
    group.command()(rankings.click)
    app.add_typer(group, name="experiment")
