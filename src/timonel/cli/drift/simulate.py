"""The command ``timonel drift simulate``: what would be found, and lost, if inputs drifted."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timonel.cli.errors import InvalidUsage
from timonel.cli.options import HERE, Folder, Json
from timonel.cli.output import decimal, explained, language, out, out_json, say, table, text
from timonel.errors import in_language
from timonel.registry.versions import Stage
from timonel.signals import Condition, Kind, Severity, Signal

if TYPE_CHECKING:
    from timonel.app import App
    from timonel.monitoring.drift.simulation import SimulationReport
    from timonel.registry.registry import ModelVersion

KINDS = ("feature_shift", "missing_values", "label_imbalance", "unit_change", "combined")


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(simulate)


def simulate(
    model: Annotated[str, typer.Argument(help="A declared model.")],
    kind: Annotated[str, typer.Option(help=f"{', '.join(KINDS)}.")] = "feature_shift",
    every: Annotated[bool, typer.Option("--all", help="All kinds, one after the other.")] = False,
    intensity: Annotated[float, typer.Option(help="How much, more than 0, at most 1.")] = 0.3,
    version: Annotated[str | None, typer.Option(help="Default: the one in production.")] = None,
    stage: Annotated[Stage | None, typer.Option(help="The newest version in this stage.")] = None,
    folder_out: Annotated[
        Path | None, typer.Option("--out", help="Where files go; default reports/ of the project.")
    ] = None,
    notify: Annotated[
        bool, typer.Option("--notify", help="Tell the alert channels, marked as simulated.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Inject drift into held-back rows; report what the rule finds and what answers lose."""
    with explained(as_json):
        from timonel.app import open_app
        from timonel.monitoring.drift.injection import InjectedKind

        if kind not in KINDS or not 0 < intensity <= 1:
            found = f"--kind {kind} --intensity {intensity:g}; kinds: {', '.join(KINDS)}"
            raise InvalidUsage(command="timonel drift simulate", found=found)
        app = open_app(folder)
        app.require_prepared()
        kinds = [InjectedKind(name) for name in (KINDS if every else (kind,))]
        chosen = _version(app, model, version, stage)
        simulation = app.drift_simulation(model, chosen)
        report = simulation.run(kinds, intensity=intensity, seed=seed, at=datetime.now(UTC))
        files = report.write(folder_out or app.folder / "reports")
        if notify:
            _notify(app, report)
        if as_json:
            out_json({**report.document(), "files": [str(file) for file in files]})
        else:
            _print(report, files)


def _version(app: "App", model: str, version: str | None, stage: Stage | None) -> "ModelVersion":
    if version is not None:
        return app.registry.get(model, version)
    if stage is None:
        return app.registry.resolve(app.model(model).name)
    found = [one for one in app.registry.versions(model) if one.stage == stage]
    if not found:
        nothing = f"--stage {stage}: no version of {model} is there"
        raise InvalidUsage(command="timonel drift simulate", found=nothing)
    return max(found, key=lambda one: one.semver)


def _print(report: "SimulationReport", files: list[Path]) -> None:
    say(
        "simulated",
        version=f"{report.model}@{report.version}",
        n=report.found[0].n,
        intensity=decimal(report.intensity, "g"),
    )
    if not report.unseen:
        say("simulated_seen")
    if report.quiet.drifted:
        say("simulated_false", columns=", ".join(report.quiet.drifted_columns))
    figures = list(report.found[0].before)
    rows = [
        [
            one.kind,
            *(
                f"{decimal(one.before[name], '.3f')} → {decimal(one.after[name], '.3f')}"
                for name in figures
            ),
            len(one.drift.drifted_columns),
            one.n_refused,
        ]
        for one in report.found
    ]
    table([text("simulated_kind"), *figures, *text("simulated_headings").split("|")], rows)
    for one in report.found:
        out(f"{one.kind}: {in_language(one.recommendation, language())}")
    for file in files:
        out(f"  {file}")


def _notify(app: "App", report: "SimulationReport") -> None:
    """Raise one alert of the lowest severity; it stays until a person resolves it."""
    worst = max(report.found, key=lambda one: max(one.degradation.values()))
    before = report.quiet.drifted_columns
    columns = [c for c in worst.drift.columns.values() if c.drifted and c.effect is not None]
    # what moved by the simulation rather than what had moved without it
    shown = max(columns, key=lambda c: (c.name not in before, c.effect or 0.0), default=None)
    app.alerts.hear(
        Signal(
            kind=Kind.DRIFT_DETECTED,
            condition=Condition.HOLDS,
            severity=Severity.INFO,
            model=report.model,
            version=report.version,
            monitor="simulation",
            column=shown.name if shown is not None else "",
            at=app.clock.now_us(),
            facts={
                "simulated": str(worst.kind),
                "column": shown.name if shown is not None else "",
                "effect": shown.effect if shown is not None else 0.0,
                "p_value": shown.p_value if shown is not None else None,
                "statistic": shown.statistic if shown is not None else None,
                "test": shown.test if shown is not None else None,
                "n": worst.n,
                "floor": 0.03,
            },
        )
    )
    app.deliver_alerts()
