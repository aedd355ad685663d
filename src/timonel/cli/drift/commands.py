"""The commands under ``timonel drift``; without the name of one, ``show`` is meant."""

import typer
from typer.core import TyperGroup

from timonel.cli.drift import column, normal, show, simulate


class _ShowsByDefault(TyperGroup):
    """``timonel drift churn`` is ``timonel drift show churn``."""

    def parse_args(self, ctx: object, args: list[str]) -> list[str]:
        """Put ``show`` before arguments that name no command."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["show", *args]
        return super().parse_args(ctx, args)  # type: ignore[arg-type]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        cls=_ShowsByDefault,
        help="How far inputs and answers are from what a version learned from. Without a "
        "command: show.",
    )
    for module in (show, column, normal, simulate):
        module.register(group)
    app.add_typer(group, name="drift")
