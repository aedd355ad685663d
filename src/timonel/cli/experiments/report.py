"""``timonel experiment report``: an experiment as a page of Markdown."""

from pathlib import Path
from typing import Annotated

import typer

from timonel.cli.data import require_folder
from timonel.cli.experiments.commands import Name, opened
from timonel.cli.options import HERE, Folder
from timonel.cli.output import explained, language, out, say


def report(
    name: Name,
    to: Annotated[
        Path | None,
        typer.Option("--out", help="Folder (made if missing) or .md file; default: the terminal."),
    ] = None,
    folder: Folder = HERE,
) -> None:
    """Report an experiment as Markdown, by its last look."""
    with explained():
        from timonel.experiments.reporting.markdown import markdown

        app = opened(folder)
        found = app.experiments.report(name)
        page = markdown(found, lang=language(), zone=app.config.timezone)
        if to is None:
            out(page.rstrip("\n"))
            return
        file = to if to.suffix == ".md" else to / f"{name}.md"
        if to.suffix != ".md" and not to.exists():
            require_folder(_first_missing(to))
            to.mkdir(parents=True)
        require_folder(file)
        file.write_text(page, encoding="utf-8")
        say("report_written", path=file)


def _first_missing(folder: Path) -> Path:
    """Give the topmost part of a path that does not exist yet."""
    missing = folder.absolute()
    while not missing.parent.exists():
        missing = missing.parent
    return missing
