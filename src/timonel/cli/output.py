"""How commands speak: one language, sentences or JSON, and errors with their remedy."""

import json
import locale
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer import rich_utils
from typer.main import get_command

from timonel import logging as logs
from timonel.cli.errors import InstallNeeded, SystemRefused, UnexpectedStop
from timonel.cli.phrases.help import HELP_ES, PANELS_ES
from timonel.cli.phrases.usage import usage_es
from timonel.cli.texts import TEXTS
from timonel.errors import TimonelError, in_language
from timonel.installs import installed, is_full_only
from timonel.wire.problem import problem

if TYPE_CHECKING:
    from timonel.host import Host as ServingHost


def language() -> str:
    """Choose "es" or "en": ``TIMONEL_LANGUAGE``, else the locale's variables, else English."""
    for name in ("TIMONEL_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return "es" if value.lower().startswith("es") else "en"
    return "en"


def text(key: str, **values: Any) -> str:
    """Give a sentence of the catalogue in the reader's language."""
    lang = language()
    return TEXTS[key][lang].format(**in_language(values, lang))


def decimal(value: float | None, form: str) -> str:
    """Write a number with the reader's decimal sign; a dash where there is none."""
    if value is None:
        return "-"
    written = format(value, form)
    return written.replace(".", ",") if language() == "es" else written


def moment(at_us: int, zone: ZoneInfo) -> str:
    """Write microseconds since the epoch as a zone's date and time, to the minute."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M")


def say(key: str, **values: Any) -> None:
    """Print a sentence of the catalogue."""
    out(text(key, **values))


def log_as_asked(
    host: "ServingHost", process: str, *, attached: bool = False
) -> logs.Output | None:
    """Log as JSON where that is set, before the project's code has anything to say.

    Parameters
    ----------
    attached : bool
        Whether this is a server's child, whose lines the server passes on.

    Returns
    -------
    Output or None
        Where lines go; None: to people.
    """
    settings = host.settings
    if settings.log_lines == "text":
        return None
    output: logs.Output = logs.Stream(sys.stderr)
    if settings.log_to == "files" and not attached:
        output = _files(host)
        say("logs_in", folder=host.folder / settings.log_folder)
    elif settings.log_to == "stdout" and not attached:
        output = logs.Stream(sys.stdout)
        sys.stdout = sys.stderr  # what is for people would break the lines of machines
    logs.configure("json", settings.log_level, process, output)
    return output


def log_to_files(host: "ServingHost", command: str) -> None:
    """Let a command that ends by itself keep what it does in the log files, where there are any."""
    if host.settings.log_to == "files":
        logs.configure("json", host.settings.log_level, command, _files(host))


def _files(host: "ServingHost") -> logs.Files:
    settings = host.settings
    return logs.Files(
        host.folder / settings.log_folder,
        max_bytes=settings.log_max_bytes,
        backup_count=settings.log_backup_count,
    )


def out(line: str = "") -> None:
    """Print a line, also on a terminal whose encoding lacks some of its characters."""
    encoding = sys.stdout.encoding or locale.getpreferredencoding()
    print(line.encode(encoding, "replace").decode(encoding), flush=True)


def out_json(document: Any) -> None:
    """Print one JSON document, for scripts."""
    print(json.dumps(document, ensure_ascii=True, indent=2, default=str), flush=True)


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table; wide enough for its content when the output is not a terminal."""
    grid = Table(*headings, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        grid.add_row(*("" if cell is None else str(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False).print(grid)


def parity_text(parity: Mapping[str, Any] | None) -> str:
    """Say how a compiled model was held against its original."""
    found = parity or {}
    summary = str(found.get("summary", "-"))
    return str(found.get("summary_es", summary)) if language() == "es" else summary


def print_error(error: TimonelError) -> None:
    """Print an error's message and remedy to standard error."""
    lang = language()
    sys.stderr.write(f"{error.message(lang)}\n  -> {error.remedy(lang)}\n")
    sys.stderr.flush()


@contextmanager
def explained(as_json: bool = False) -> Iterator[None]:
    """Turn an error into its message and remedy (or problem document), and exit code 1."""
    try:
        yield
    except (typer.BadParameter, typer.Exit, typer.Abort):
        raise
    except TimonelError as error:
        tell(error, as_json=as_json)
        raise SystemExit(1) from error
    except ModuleNotFoundError as error:
        if not is_full_only(error.name):
            raise _unexpected(error, as_json=as_json) from error
        found = " + ".join(installed()) or "timonel"
        tell(InstallNeeded(module=error.name, found=found), as_json=as_json)
        raise SystemExit(1) from error
    except BrokenPipeError:
        # who read has enough, as `head` has; what is still to be written would raise once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from None
    except OSError as error:
        path, found = error.filename or "?", error.strerror or str(error)
        tell(SystemRefused(path=str(path), found=found), as_json=as_json)
        raise SystemExit(1) from error
    except Exception as error:
        raise _unexpected(error, as_json=as_json) from error


def _unexpected(error: Exception, *, as_json: bool) -> SystemExit:
    traceback.print_exc()
    tell(UnexpectedStop(found=f"{type(error).__name__}: {error}"[:300]), as_json=as_json)
    return SystemExit(1)


def tell(error: TimonelError, *, as_json: bool) -> None:
    """Print an error: for scripts as the one JSON document on standard output."""
    if as_json:
        out_json(problem(error, lang=language()))
    else:
        print_error(error)


def speaking_command(app: Any) -> Any:
    """Give the command of a Typer application, its ``--help`` in the reader's language."""
    command = get_command(app)
    if language() == "es":
        for name, words in PANELS_ES.items():
            if hasattr(rich_utils, name):
                setattr(rich_utils, name, words)
        rich_utils.highlighter = _Spanish()
        _translate(command)
    return command


class _Spanish(rich_utils.OptionHighlighter):
    """Where Typer colours what it says of wrong usage, it is said in Spanish too."""

    def __call__(self, text: str | Text) -> Text:
        return super().__call__(usage_es(text) if isinstance(text, str) else text)


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
