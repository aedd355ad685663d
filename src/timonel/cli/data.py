"""Commands on data: init, predict, outcome."""

import csv
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from timonel.cli.errors import SystemRefused, UnreadableRequest
from timonel.cli.options import HERE, Folder, Json
from timonel.cli.output import explained, language, out, out_json, say, text
from timonel.errors import Phrase

if TYPE_CHECKING:
    from timonel.client import Client
    from timonel.events.importing.files import ImportReport
    from timonel.host import Host
    from timonel.project.incoming import Incoming, Manner
    from timonel.project.scaffold import InitReport
    from timonel.schema.inference import Decision

_ROWS_A_REQUEST = 500
_ANSWER = ("prediction", "score", "source", "reason", "version", "prediction_id", "error")

Pairs = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN=FORMAT", help="How a date is written, such as alta=%d/%m/%Y."),
]
Decimal = Annotated[str | None, typer.Option(help="'.' or ','.")]
Rejected = Annotated[Path, typer.Option(help="Where rows that cannot be used are written.")]
REJECTED = Path("rejected.csv")


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(init)
    app.command()(predict)
    outcome = typer.Typer(help="What turned out to be true.", no_args_is_help=True)
    outcome.command(name="import")(outcome_import)
    outcome.command(name="pull")(outcome_pull)
    outcome.command(name="show")(outcome_show)
    app.add_typer(outcome, name="outcome")


# --- init


def init(
    source: Annotated[
        str, typer.Option("--from", help="CSV, xlsx or Parquet file, or a database URL.")
    ],
    target: Annotated[str, typer.Option(help="The column to predict.")],
    folder: Annotated[
        Path | None, typer.Option("--folder", "-o", help="Where to write; default ./<file's name>.")
    ] = None,
    query: Annotated[str | None, typer.Option(help="What to read from a database.")] = None,
    name: Annotated[str | None, typer.Option(help="The model's name.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Such as cp1252.")] = None,
    separator: Annotated[str | None, typer.Option(help="Such as ';'.")] = None,
    decimal: Decimal = None,
    thousands: Annotated[str | None, typer.Option(help="Such as '.'.")] = None,
    sheet: Annotated[str | None, typer.Option(help="Of an xlsx file; default the first.")] = None,
    date_format: Pairs = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=KIND", help="number, text, category, flag or date."),
    ] = None,
    missing: Annotated[list[str] | None, typer.Option(help="A word that means missing.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="A column to leave out.")] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="A column to use though it looks suspicious.")
    ] = None,
    timezone: Annotated[str | None, typer.Option(help="IANA name; default the host's.")] = None,
    as_json: Json = False,
) -> None:
    """Write a project from a table: schema, model, rules to edit; says what it decided and why."""
    with explained(as_json):
        from timonel.project.reading.errors import AmbiguousDates
        from timonel.project.scaffold import init_project

        formats = _pairs(date_format)
        while True:
            try:
                report = init_project(
                    source,
                    target,
                    folder,
                    query=query,
                    name=name,
                    encoding=encoding,
                    separator=separator,
                    decimal=decimal,
                    thousands=thousands,
                    sheet=sheet,
                    date_formats=formats,
                    kinds=_pairs(kind),
                    missing=missing or (),
                    exclude=exclude or (),
                    keep=keep or (),
                    timezone=timezone,
                    language="es" if language() == "es" else "en",
                )
                break
            except AmbiguousDates as error:
                if not sys.stdin.isatty():
                    raise
                formats[error.context["column"]] = _ask_date(error)
        if as_json:
            out_json(_init_document(report))
        else:
            out(report.render(language()))
            say("init_next", folder=_shown(report.folder))


def _pairs(given: Sequence[str] | None) -> dict[str, str]:
    pairs = {}
    for entry in given or ():
        column, equals, value = entry.rpartition("=")
        if not equals:
            raise typer.BadParameter(f"{entry!r}: COLUMN=VALUE")
        pairs[column] = value
    return pairs


def _ask_date(error: Any) -> str:
    column, sample = error.context["column"], error.context["found"]
    while True:
        answer = input(text("ask_date", column=column, sample=sample)).strip().lower()
        if answer in ("d", "m"):
            return str(error.context["first" if answer == "d" else "second"])


def _init_document(report: "InitReport") -> dict[str, Any]:
    return {
        "folder": str(report.folder),
        "model": report.model,
        "target": report.target,
        "files": list(report.files),
        "columns": [_decision(decision) for decision in report.decisions],
    }


def _decision(decision: "Decision") -> dict[str, Any]:
    return {
        "name": decision.name,
        "kind": decision.kind,
        "used": decision.used,
        "why": decision.explain(language()),
    }


def _shown(folder: Path) -> str:
    try:
        shown = str(folder.relative_to(Path.cwd()))
    except ValueError:
        shown = str(folder)
    return f'"{shown}"' if " " in shown else shown


# --- predict


def predict(
    model: Annotated[str, typer.Argument(help="Name of a model.")],
    file: Annotated[Path, typer.Argument(help="CSV, xlsx or Parquet file, or a JSON request.")],
    output: Annotated[
        Path | None, typer.Option("--out", "-o", help="Default: FILE.predictions.csv.")
    ] = None,
    decimal: Decimal = None,
    date_format: Pairs = None,
    url: Annotated[str | None, typer.Option(help="The server; default the project's.")] = None,
    key: Annotated[
        str | None, typer.Option(envvar="TIMONEL_ADMIN_KEY", help="API key.", show_envvar=True)
    ] = None,
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Ask the running server for every row of a file; each answer is logged as any other."""
    with explained(as_json):
        from timonel.app import open_app
        from timonel.client import Client

        app = open_app(folder)
        address = url or f"http://{app.settings.host}:{app.settings.port}"
        with Client(address, api_key=key or app.settings.admin_key, timeout_s=60) as client:
            if file.suffix.lower() == ".json":
                out_json(_answer_request(client, model, file))
                return
            target = output or file.with_name(f"{file.name}.predictions.csv")
            require_folder(target)
            table = _read(app, model, file, _manner(decimal, date_format))
            answers = _answer_all(client, model, _requests(table), quiet=as_json)
        _write(target, table, answers)
        summary = _summary(answers) | {"file": str(target)}
        if as_json:
            out_json(summary)
        else:
            say("predicted", project=app.name, **summary)


def _answer_request(client: "Client", model: str, file: Path) -> Any:
    try:
        request = json.loads(file.read_text("utf-8-sig"))
        inputs = request["inputs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableRequest(path=str(file), found=f"{type(error).__name__}: {error}") from None
    if isinstance(inputs, list):
        return _answer_all(client, model, inputs, quiet=True)
    return client.predict(model, inputs)


def rows_for(app: "Host", model: str, file: Path) -> list[dict[str, Any]]:
    """Read the columns that the model's schema names, and its key; give each row as a request's."""
    return _requests(_read(app, model, file, _manner(None, None)))


def _manner(decimal: str | None, date_format: Sequence[str] | None) -> "Manner":
    from timonel.project.incoming import Manner

    return Manner(decimal=decimal, dates=_pairs(date_format))


def _read(app: "Host", model: str, file: Path, manner: "Manner") -> "Incoming":
    from timonel.project.incoming import read_asked
    from timonel.project.scaffold import source_for
    from timonel.registry.manifest import decode_manifest
    from timonel.schema.schema import Schema

    app.require_prepared()
    declared = decode_manifest(app.registry.declaration(model).manifest)
    schema, key = Schema.from_json(declared.schema), declared.outcome.key
    manner = replace(manner, learned=app.learned(model))
    table = read_asked(source_for(file), schema, [key] if key else [], manner)
    wanted = [name for name in (*schema.names, key) if name in table.frame.columns]
    return table._replace(frame=table.frame.select(wanted))


def _requests(table: "Incoming") -> list[dict[str, Any]]:
    return [
        {name: _cell(cell) for name, cell in row.items() if cell is not None}
        for row in table.frame.iter_rows(named=True)
    ]


def _cell(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime | date) else value


def _answer_all(
    client: "Client", model: str, rows: list[dict[str, Any]], *, quiet: bool
) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = []
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task(model, total=len(rows))
        for start in range(0, len(rows), _ROWS_A_REQUEST):
            page = rows[start : start + _ROWS_A_REQUEST]
            answers += client.predict_many(model, page)
            bar.advance(task, len(page))
    return answers


def _write(path: Path, table: "Incoming", answers: Sequence[dict[str, Any]]) -> None:
    """Write rows and answers as the file of the rows was written, for the program that opens it."""
    from timonel.events.importing.files import neutral

    def shown(cell: Any) -> str:
        if isinstance(cell, float) and table.decimal != ".":
            return str(cell).replace(".", table.decimal)
        return neutral(_cell(cell))

    with path.open("w", encoding=table.encoding, newline="") as stream:
        writer = csv.writer(stream, delimiter=table.separator)
        writer.writerow([*map(neutral, table.frame.columns), *_ANSWER])
        for original, answer in zip(table.frame.iter_rows(), answers, strict=True):
            error = answer.get("error")
            found = answer | {"error": error["detail"] if error else None}
            cells = [*original, *(found.get(name) for name in _ANSWER)]
            writer.writerow([shown(cell) for cell in cells])


def _summary(answers: Sequence[dict[str, Any]]) -> dict[str, int]:
    model_n = sum(answer.get("source") == "model" for answer in answers)
    errors = sum("error" in answer for answer in answers)
    return {
        "n": len(answers),
        "model_n": model_n,
        "fallback_n": len(answers) - model_n - errors,
        "errors": errors,
    }


# --- outcomes


def outcome_import(
    file: Annotated[Path, typer.Argument(help="CSV, xlsx or Parquet file.")],
    key: Annotated[
        str | None, typer.Option(help="Column that holds the key sent with the requests.")
    ] = None,
    prediction_id: Annotated[
        str | None, typer.Option(help="Column that holds prediction ids.")
    ] = None,
    value: Annotated[
        str | None, typer.Option(help="Column that holds the truth; default the model's target.")
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="Column that says when it held; default: now.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="DATE", help="When all rows held, for example 2026-12-31.")
    ] = None,
    decimal: Decimal = None,
    date_format: Pairs = None,
    model: Annotated[
        str | None, typer.Option(help="Whose outcomes; default the project's only model.")
    ] = None,
    rejected: Rejected = REJECTED,
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Tell what was true, from a file; importing it twice changes nothing."""
    with explained(as_json):
        from timonel.app import open_app
        from timonel.events.importing.reading import Columns

        app = open_app(folder)
        app.require_prepared()
        require_folder(rejected)
        columns = Columns(
            value=value or "", key=key, prediction_id=prediction_id, time=time, as_of=as_of
        )
        report = app.imports.from_file(
            file,
            columns,
            model=model,
            rejected=rejected,
            manner=_manner(decimal, date_format),
            lang=language(),
        )
        _tell_fates(report, as_json)


def outcome_pull(
    model: Annotated[
        str | None, typer.Option(help="Whose outcomes; default the project's only model.")
    ] = None,
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Fetch what was true from where the model says it lands, now; the worker does so by itself."""
    with explained(as_json):
        from timonel.app import open_app

        app = open_app(folder)
        app.require_prepared()
        declared = app.model(app.registry.declaration(model).model)
        _tell_fates(app.imports.from_source(declared, lang=language()), as_json)


def _tell_fates(report: "ImportReport", as_json: bool) -> None:
    if as_json:
        out_json(
            {"rows": report.n_rows, "rejected": report.rejected}
            | {str(fate): n for fate, n in report.counts.items()}
            | {"unusual": [_fate(row) for row in report.rows]}
        )
    else:
        out(report.render(language()))


def require_folder(file: Path) -> None:
    """Refuse a file that cannot be written, before anything is done that it is to tell of."""
    folder = file.absolute().parent
    if not folder.is_dir():
        found = Phrase("no such folder", "una carpeta que no existe")
        raise SystemRefused(path=str(folder), found=found)
    if not os.access(folder, os.W_OK):
        found = Phrase("a folder that is not writable", "una carpeta sin permiso de escritura")
        raise SystemRefused(path=str(folder), found=found)


def _fate(row: Any) -> dict[str, Any]:
    return {"row": row.row, "fate": str(row.fate), "reason": row.reason}


def outcome_show(
    outcome_id: Annotated[str, typer.Argument(help="As the server answered it.")],
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Say what became of an outcome."""
    with explained(as_json):
        from timonel.app import open_app

        app = open_app(folder)
        app.require_prepared()
        status = app.outcome_status(outcome_id)
        if as_json:
            out_json(asdict(status) | {"sentence": status.sentence(language())})
        else:
            out(status.sentence(language()))
