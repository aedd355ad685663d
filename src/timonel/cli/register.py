"""The command ``timonel register``: a model that was fitted elsewhere becomes a version."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timonel.cli.lifecycle import number
from timonel.cli.options import HERE, Folder, Json, Who
from timonel.cli.output import (
    explained,
    language,
    log_to_files,
    out,
    out_json,
    parity_text,
    say,
    text,
)

if TYPE_CHECKING:
    from timonel.registry.registry import ModelVersion
    from timonel.training.train import TrainedVersion

_REASON = "by hand; no holdout was measured"


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command(name="register")(register_model)


def register_model(
    model: Annotated[str, typer.Argument(help="Name of a declared model.")],
    artifact: Annotated[
        str,
        typer.Option(
            help="The fitted model: .skops, .onnx, XGBoost .json/.ubj, LightGBM .txt, an MLflow "
            "folder, a pickle, or the http:// address of a service."
        ),
    ],
    sample: Annotated[
        Path | None,
        typer.Option(help="A table of rows as they will be asked for (CSV, xlsx, Parquet)."),
    ] = None,
    allow_pickle: Annotated[
        bool,
        typer.Option("--allow-pickle", help="You trust who made the pickle: reading it runs code."),
    ] = False,
    classes: Annotated[
        str | None, typer.Option(help="Names of its classes in its order: NO,YES.")
    ] = None,
    form: Annotated[
        str, typer.Option(help="How a service is asked: timonel, mlflow or inference.")
    ] = "timonel",
    key_env: Annotated[
        str | None, typer.Option(help="Variable that holds a service's key (Bearer).")
    ] = None,
    promote: Annotated[
        bool, typer.Option(help="Put it into production, though nothing was measured.")
    ] = False,
    time_limit: Annotated[float, typer.Option(min=1, help="Seconds to read and convert it.")] = 300,
    folder: Folder = HERE,
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Bring a fitted model as a version: read once, compiled, compared with the original."""
    with explained(as_json):
        from timonel.app import host_name, open_app
        from timonel.training.bring.bring import Bring
        from timonel.training.services.wrap import Wrap

        app = open_app(folder)
        log_to_files(app, "register")
        app.prepare()
        names = None if classes is None else _names(classes)
        if artifact.startswith(("http://", "https://")):
            service = Wrap(url=artifact, form=form, key_env=key_env, sample=sample, classes=names)
            brought, version = app.wrap(model, service, who=who or host_name())
        else:
            given = Bring(
                artifact=Path(artifact),
                sample=sample,
                classes=names,
                allow_pickle=allow_pickle,
                time_limit_s=time_limit,
            )
            if not as_json and allow_pickle:
                say("register_pickle")
            brought, version = app.bring(model, given, who=who or host_name())
        if promote:
            done = app.registry.promote(
                model, version.version, who=who or host_name(), reason=_REASON
            )
            version = replace(done, already_registered=version.already_registered)
        if as_json:
            out_json(_document(brought, version))
        else:
            _print(brought, version)


def _names(classes: str) -> list[Any]:
    names = [name.strip() for name in classes.split(",")]
    if all(name.lstrip("-").isdigit() for name in names):
        return [int(name) for name in names]
    return names


def _document(brought: "TrainedVersion", version: "ModelVersion") -> dict[str, Any]:
    return {
        "model": version.model,
        "version": version.version,
        "stage": version.stage,
        "already_registered": version.already_registered,
        "predictor": brought.manifest.predictor,
        "classes": brought.manifest.classes,
        "parity": brought.manifest.parity,
        "profile": brought.manifest.profile,
        "metrics": version.metrics,
        "lineage": version.lineage,
        "findings": [
            finding.es if language() == "es" else finding.en for finding in brought.report.findings
        ],
    }


def _print(brought: "TrainedVersion", version: "ModelVersion") -> None:
    lineage = brought.lineage
    if version.already_registered:
        say("register_known", version=str(version))
    else:
        file = lineage["artifact"]["file"]
        say("registered", version=str(version), estimator=lineage["estimator"], file=file)
    parity = parity_text(brought.manifest.parity)
    keys = {"native": "register_native", "http": "register_service"}
    key = keys.get(brought.manifest.predictor, "register_compiled")
    say(key, predictor=brought.manifest.predictor, parity=parity)
    on_sample = brought.report.detail["on_sample"]
    say("register_unmeasured")
    if on_sample is not None:
        main = on_sample["main"]
        say(
            "register_on_sample",
            n=main["n"],
            metric=main["name"],
            value=number(main["value"]),
            baseline=number(on_sample["baseline"]),
        )
    for finding in brought.report.findings:
        out(f"  {finding.es if language() == 'es' else finding.en}")
    if version.stage == "production":
        say("promoted", version=str(version), reason=text("register_reason"))
    else:
        say("register_not_promoted", version=str(version))
