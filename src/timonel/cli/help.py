"""The command line's help in the reader's language: Typer is given English, and translated once."""

from typing import Any

from typer import rich_utils
from typer.main import get_command

from timonel.cli.output import language
from timonel.cli.phrases.help import HELP_ES, PANELS_ES


def speaking_command(app: Any) -> Any:
    """Give the command of a Typer application, its ``--help`` in the reader's language."""
    command = get_command(app)
    if language() == "es":
        for name, words in PANELS_ES.items():
            if hasattr(rich_utils, name):
                setattr(rich_utils, name, words)
        _translate(command)
    return command


def _translate(command: Any) -> None:
    command.help = _spanish(command.help)
    ask_for_help = command.get_help_option(command.context_class(command))
    for parameter in (*command.params, ask_for_help):
        if getattr(parameter, "help", None):
            parameter.help = _spanish(parameter.help)
    for inner in getattr(command, "commands", {}).values():
        _translate(inner)


def _spanish(words: str | None) -> str | None:
    return words and HELP_ES.get(words.strip(), words)
