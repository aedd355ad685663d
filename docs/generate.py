"""Writes reference pages from the code (`python docs/generate.py`); a test refuses stale ones."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

import timonel
from timonel.access.callers import Scope
from timonel.access.routes import Subject, listed
from timonel.cli.main import app
from timonel.errors import TimonelError
from timonel.settings import Settings
from timonel.wire.problem import status_of

HERE = Path(__file__).parent / "reference"
NOTE = "<!-- Generated from the code by docs/generate.py; do not edit. -->\n\n"


def pages() -> dict[str, str]:
    """Give the text of every reference page by file name."""
    return {
        "errors.md": errors(),
        "settings.md": settings(),
        "commands.md": commands(),
        "routes.md": routes(),
    }


def errors() -> str:
    lines = [
        NOTE + "# Errors\n",
        "Every error has a stable `code`, a message and a remedy, in English and Spanish. Over "
        "HTTP it is a problem document (RFC 9457) whose `type` is `urn:timonel:error:<code>`; the "
        "command line prints both sentences and ends with exit code 1.\n",
        "| code | HTTP | what it means | what to do |",
        "|---|---|---|---|",
    ]
    for kind in sorted(error_classes(), key=lambda found: found.code):
        meaning = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
        remedy = kind.texts["en"].remedy.replace("{{", "{").replace("}}", "}")
        status = status_of(kind.__new__(kind))
        shown = "-" if status == 500 else str(status)
        lines.append(f"| `{kind.code}` | {shown} | {cell(meaning)} | {cell(remedy)} |")
    return "\n".join(lines) + "\n"


def routes() -> str:
    lines = [
        NOTE + "# Routes and what they need\n",
        "A key needs one of the scopes named. The role is the lowest that has the first of them "
        "without being given it by name ([security](../security.md)). A key that is for some "
        "models only may ask about those; routes that tell of all models are closed to it.\n",
        "| route | scope | role | models |",
        "|---|---|---|---|",
    ]
    told = {
        Subject.NONE: "none",
        Subject.NAMED: "the one named",
        Subject.FOUND: "those the key is for",
        Subject.ALL: "all",
    }
    for method, path, need in listed():
        scopes = ", ".join(need.shown) if len(need.shown) < len(Scope) else "any"
        some = 0 < len(need.shown) < len(Scope)
        lowest = str(need.shown[0].default) if some else "-"
        lines.append(
            f"| `{method} {path}` | {scopes or 'open'} | {lowest} | {told[need.subject]} |"
        )
    return "\n".join(lines) + "\n"


def error_classes() -> Iterator[type[TimonelError]]:
    root = Path(timonel.__file__).parent
    for info in pkgutil.walk_packages([str(root)], "timonel."):
        if ".migrations." not in info.name and not info.name.startswith("timonel.examples"):
            importlib.import_module(info.name)
    found: list[type[TimonelError]] = [TimonelError]
    for kind in found:
        found.extend(kind.__subclasses__())
    seen = dict.fromkeys(kind for kind in found if kind.__module__.startswith("timonel."))
    return (kind for kind in seen if kind.__module__ != "timonel.errors")


def settings() -> str:
    lines = [
        NOTE + "# Settings\n",
        "Precedence: command-line option, environment variable, `[settings]` in `timonel.toml`, "
        "default.\n",
        "| in `timonel.toml` | environment | default | what it is |",
        "|---|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = "none" if field.default is None else f"`{field.default}`"
        variable = f"`TIMONEL_{name.upper()}`"
        lines.append(f"| `{name}` | {variable} | {default} | {cell(field.description or '')} |")
    return "\n".join(lines) + "\n"


def commands() -> str:
    lines = [NOTE + "# Commands\n"]
    for path, command in walk(typer.main.get_command(app), ("timonel",)):
        lines.append(f"## {' '.join(path)}\n")
        lines.append(f"{(command.help or '').strip()}\n")
        options = [row(parameter) for parameter in command.params if parameter.name != "help"]
        if options:
            lines += ["| option | what it is |", "|---|---|", *options, ""]
    return "\n".join(lines).rstrip() + "\n"


def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", None)
    if not children:
        yield path, command
        return
    for name in sorted(children):
        yield from walk(children[name], (*path, name))


def row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        names = f"`{(parameter.name or '').upper()}`"
    else:
        names = ", ".join(f"`{name}`" for name in parameter.opts)
    return f"| {names} | {cell(getattr(parameter, 'help', None) or '')} |"


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> None:
    HERE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (HERE / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
