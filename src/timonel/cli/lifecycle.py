"""Commands on versions: train, versions, explain, promote, rollback."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from timonel.cli.options import HERE, Folder, Json, Who
from timonel.cli.output import (
    explained,
    language,
    log_to_files,
    moment,
    out,
    out_json,
    parity_text,
    say,
    table,
    text,
)

if TYPE_CHECKING:
    from timonel.app import App, Published
    from timonel.registry.registry import ModelVersion

BY_HAND = "by hand"
_log = logging.getLogger("timonel.training")
Model = Annotated[str, typer.Argument(help="Name of a declared model.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (train, versions, explain, promote, rollback):
        app.command()(command)


def train(
    model: Model,
    folder: Folder = HERE,
    seed: Annotated[int | None, typer.Option(help="Random seed; default the model's.")] = None,
    promote: Annotated[
        bool, typer.Option(help="Promote a first version that passes its gates.")
    ] = True,
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Train a version, measure it on rows it never saw, and register it."""
    with explained(as_json):
        from timonel.app import host_name, open_app

        app = open_app(folder)
        log_to_files(app, "train")
        app.prepare()
        app.declare()
        if not as_json:
            say("training", model=model)
        with _progress(hidden=as_json) as bar:
            task = bar.add_task("", total=1.0)
            published = app.train(
                model,
                who=who or host_name(),
                promote=promote,
                seed=seed,
                progress=lambda step, share: bar.update(task, description=step, completed=share),
            )
        made = published.version
        _log.info("trained %s", made, extra={"model": made.model, "version": made.version})
        if as_json:
            out_json(training_document(published))
        else:
            print_training(published)
            if published.promoted:
                _say_reloaded(app)


def _progress(*, hidden: bool) -> Progress:
    return Progress(
        TextColumn("  {task.description:<28}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=hidden,
    )


def training_document(published: "Published") -> dict[str, Any]:
    """Give the JSON form of a training's result."""
    version, trained = published.version, published.trained
    return {
        "model": version.model,
        "version": version.version,
        "stage": version.stage,
        "promoted": published.promoted,
        "reason": published.reason,
        "version_hash": version.version_hash,
        "metrics": version.metrics,
        "lineage": version.lineage,
        "parity": trained.manifest.parity,
        "predictor": trained.manifest.predictor,
    }


def print_training(published: "Published") -> None:
    """Print what was trained, how good it is on its holdout, and whether it serves."""
    version, trained = published.version, published.trained
    main = trained.report.main
    say(
        "trained",
        version=str(version),
        n_train=trained.report.n_train,
        n_test=trained.report.n_test,
        metric=main.name,
        value=number(main.value),
        lower=number(main.lower),
        upper=number(main.upper),
        baseline=number(trained.report.baseline),
    )
    if trained.report.rules is not None:
        say("trained_rules", metric=main.name, value=number(trained.report.rules))
    predictor, parity = trained.manifest.predictor, parity_text(trained.manifest.parity)
    say("trained_compiled", predictor=predictor, parity=parity)
    for finding in trained.report.findings:
        out(f"  {finding.es if language() == 'es' else finding.en}")
    if published.promoted:
        say("promoted", version=str(version), reason=published.reason)
    else:
        say(
            "not_promoted",
            version=str(version),
            reason=published.reason,
            model=version.model,
            number=version.version,
        )


def versions(
    model: Annotated[str | None, typer.Argument(help="Only this model's.")] = None,
    folder: Folder = HERE,
    stage: Annotated[str | None, typer.Option(help="Only those in this stage.")] = None,
    history: Annotated[bool, typer.Option("--history", help="Every transition instead.")] = False,
    as_json: Json = False,
) -> None:
    """List versions with their stage, aliases and measured quality."""
    with explained(as_json):
        from timonel.app import open_app

        app = open_app(folder)
        app.require_prepared()
        if history:
            _print_history(app, model, as_json)
            return
        found = app.registry.versions(model, stage=stage)
        if as_json:
            out_json([version.document() for version in found])
        elif not found:
            say("no_versions", model=model or next(iter(app.project.models), "MODEL"))
        else:
            zone = ZoneInfo(app.config.timezone)
            table(text("versions_headings").split("|"), [_version_row(v, app, zone) for v in found])


def _version_row(version: "ModelVersion", app: "App", zone: ZoneInfo) -> list[Any]:
    main = version.metrics.get("main", {})
    return [
        str(version),
        version.stage,
        ", ".join(app.registry.aliases_of(version.model, version.version)),
        main.get("name"),
        _with_interval(main),
        number(version.metrics.get("baseline")),
        version.lineage.get("n_train"),
        version.lineage.get("serving", {}).get("predictor"),
        moment(version.created_at, zone),
        version.created_by,
    ]


def _with_interval(metric: dict[str, Any]) -> str:
    value = number(metric.get("value"))
    if metric.get("lower") is None:
        return value
    return f"{value} [{number(metric['lower'])}, {number(metric['upper'])}]"


def _print_history(app: "App", model: str | None, as_json: bool) -> None:
    rows = app.registry.history(model)
    if as_json:
        out_json([row.document() for row in rows])
        return
    from timonel.retraining.reasons import reason_in

    zone = ZoneInfo(app.config.timezone)
    table(
        text("history_headings").split("|"),
        [
            [
                moment(row.at, zone),
                f"{row.model}@{row.version}",
                row.from_stage,
                row.to_stage,
                row.who,
                reason_in(language(), row.reason, json.loads(row.gates)),
            ]
            for row in rows
        ],
    )


def explain(
    model: Model,
    row: Annotated[str | None, typer.Option(help="One row: '{\"FIELD\": VALUE, ...}'.")] = None,
    file: Annotated[Path | None, typer.Option(help="JSON: a row, or a list of rows.")] = None,
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Say what each feature adds to the answers to rows; nothing is logged."""
    with explained(as_json):
        from timonel.app import open_app

        if (row is None) == (file is None):
            raise typer.BadParameter("--row / --file")
        app = open_app(folder)
        app.require_prepared()
        app.registry.declaration(model)
        sent = row.encode() if row is not None else _read(file)
        document = app.explanations.explain(model, b'{"inputs":' + sent + b"}")
        if as_json:
            out_json(document)
            return
        for one in document.get("explanations", [document]):
            _print_explanation(document, one)


def _read(file: Path | None) -> bytes:
    assert file is not None  # noqa: S101 - asked for where there is no row
    return file.read_bytes()


def _print_explanation(head: dict[str, Any], one: dict[str, Any]) -> None:
    found = one["explanation"]
    name = f"{head['model']}@{head['version']}" if head["version"] else head["model"]
    score = number(one["score"])
    say("explained_answer", name=name, prediction=one["prediction"], score=score)
    if one["source"] != "model":
        say(f"explained_by_{one['source']}", reason=one["reason"])
    else:
        of = "" if found["of"] is None else f" ({found['of']})"
        scale = text(f"scale_{found['scale']}") + of
        usual, total = number(found["base"]), number(found["total"])
        say("explained_scale", scale=scale, base=usual, total=total)
        rows = [
            [c["feature"], c["value"], _signed(c["contribution"]), _error(c)]
            for c in found["contributions"]
        ]
        table(text("explained_headings").split("|"), rows)
    for line in found["path"]:
        out(f"  {line}")
    if found["text"]:
        out(f"  {found['text']}")


def _signed(amount: float) -> str:
    return ("+" if amount >= 0 else "") + number(amount)


def _error(contribution: dict[str, Any]) -> str:
    error = contribution.get("standard_error")
    return "" if error is None else f"± {number(error)}"


def promote(
    model: Model,
    version: Annotated[
        str | None, typer.Argument(help="Version, such as 1.2.0 (or MODEL@1.2.0 in one word).")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = BY_HAND,
    folder: Folder = HERE,
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Put a version into production; running servers follow within a second."""
    with explained(as_json):
        from timonel.app import host_name, open_app

        app = open_app(folder)
        log_to_files(app, "promote")
        app.require_prepared()
        if version is None and "@" not in model:
            raise typer.BadParameter(f"{model} VERSION / {model}@VERSION")
        wanted = app.registry.resolve(f"{model}@{version}" if version else model)
        done = app.registry.promote(
            wanted.model, wanted.version, who=who or host_name(), reason=reason
        )
        if as_json:
            out_json(_transition_document(app, done))
        else:
            say(
                "promoted",
                version=str(done),
                reason=text("by_hand") if reason == BY_HAND else reason,
            )
            _say_reloaded(app)


def rollback(
    model: Model,
    to: Annotated[str | None, typer.Option(help="Version; default the previous one.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = BY_HAND,
    folder: Folder = HERE,
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Go back to the previous version (or to a named one); no retraining."""
    with explained(as_json):
        from timonel.app import host_name, open_app

        app = open_app(folder)
        log_to_files(app, "rollback")
        app.require_prepared()
        done = app.registry.roll_back(model, who=who or host_name(), reason=reason, to=to)
        if as_json:
            out_json(_transition_document(app, done))
        else:
            say("rolled_back", model=model, version=str(done))
            _say_reloaded(app)


def _transition_document(app: "App", done: "ModelVersion") -> dict[str, Any]:
    current, live = app.await_generation()
    return {
        "model": done.model,
        "version": done.version,
        "stage": done.stage,
        "processes_current": current,
        "processes_live": live,
    }


def _say_reloaded(app: "App") -> None:
    current, live = app.await_generation()
    if live:
        say("reloaded", current=current, live=live)


def number(value: float | None) -> str:
    """Write a measured figure with at most four digits, in the reader's notation."""
    if value is None:
        return "-"
    written = f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if language() == "es":
        return written.translate(str.maketrans(",.", ".,"))
    return written
