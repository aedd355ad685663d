"""The command ``timonel``."""

import sys
from typing import Annotated

import typer

from timonel import __version__
from timonel.cli import alerts, bench, data, demo, lifecycle, process, register, retrain
from timonel.cli.access import keys
from timonel.cli.drift import commands as drift
from timonel.cli.errors import InvalidUsage
from timonel.cli.experiments import group as experiments
from timonel.cli.output import speaking_command, tell
from timonel.cli.watching import metrics, performance

_UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # Typer has no public name for it

app = typer.Typer(
    name="timonel",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run machine-learning models in production as one honest closed loop.",
)

for module in (
    data,
    process,
    lifecycle,
    register,
    retrain,
    alerts,
    drift,
    performance,
    metrics,
    experiments,
    keys,
    bench,
    demo,
):
    module.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"timonel {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; the console script's entry point."""
    if sys.platform == "win32":
        sys.stderr.write("Timonel runs on Linux and macOS; on Windows use WSL2.\n")
        raise SystemExit(2)
    try:
        if "--json" in sys.argv:
            _run_for_scripts()
        else:
            speaking_command(app)()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _run_for_scripts() -> None:
    """Run a command that prints one JSON document, also when its arguments are wrong (exit 2)."""
    try:
        raise SystemExit(speaking_command(app)(standalone_mode=False))
    except _UsageError as error:
        context, words = getattr(error, "ctx", None), getattr(error, "format_message", None)
        command = context.command_path if context is not None else "timonel"
        found = words() if words is not None else str(error)
        tell(InvalidUsage(command=command, found=found), as_json=True)
        raise SystemExit(2) from None
    except typer.Abort:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
