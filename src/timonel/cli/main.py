"""The command ``timonel``."""

import sys
from typing import Annotated

import typer

from timonel import __version__
from timonel.cli import alerts, data, demo, drift, lifecycle, process, retrain

app = typer.Typer(
    name="timonel",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run machine-learning models in production as one honest closed loop.",
)

for module in (data, process, lifecycle, retrain, alerts, drift, demo):
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
        app()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
