"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[
    Path, typer.Option("--project", "-C", help="Project folder (holds timonel.toml).")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]
Who = Annotated[str | None, typer.Option("--who", help="Name for the history; default user@host.")]
HERE = Path()
