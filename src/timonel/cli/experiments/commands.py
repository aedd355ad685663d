"""``timonel experiment``: create, start, pause, resume, stop, share, list, show, look."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timonel.cli.experiments.show import (
    print_answered,
    print_experiment,
    print_list,
    print_listed,
    print_participation,
    shares_text,
)
from timonel.cli.options import HERE, Folder, Json, Who
from timonel.cli.output import explained, language, out_json, say, text

if TYPE_CHECKING:
    from timonel.app import App
    from timonel.experiments.outside.files import UnitFile
    from timonel.experiments.rows import Experiment

Name = Annotated[str, typer.Argument(help="Name of the experiment.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the history.")]


KeyColumn = Annotated[
    str | None, typer.Option(help="Column that holds the units' ids; default unit_id.")
]


class ModeName(StrEnum):
    """How the arms come to answer."""

    SPLIT = "split"
    RAMP = "ramp"
    SHADOW = "shadow"
    OUTSIDE = "outside"
    INTERLEAVE = "interleave"


def opened(folder: Path) -> "App":
    """Open the project of a folder, whose database is prepared."""
    from timonel.app import open_app

    app = open_app(folder)
    app.require_prepared()
    return app


def create(
    name: Name,
    control: Annotated[str, typer.Option(help="A version such as 1.0.0, rules, or external.")] = "",
    treatment: Annotated[
        str, typer.Option(help="A version such as 1.1.0, rules, or external.")
    ] = "",
    model: Annotated[str | None, typer.Option(help="Its model; the only one by default.")] = None,
    mode: Annotated[
        ModeName,
        typer.Option(
            help="split; ramp: the share grows while nothing speaks against it; "
            "shadow: the treatment answers unheard; outside: someone else acts; "
            "interleave: two rankings become one list, and clicks choose."
        ),
    ] = ModeName.SPLIT,
    share: Annotated[float, typer.Option(help="Percent for the treatment.", min=0, max=100)] = 50,
    strategy: Annotated[
        str | None,
        typer.Option(help="RANDOM_50_50, WEIGHT_BASED, ROUND_ROBIN, TIME_BASED, THOMPSON."),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(help="unit (unit_id or key of the request), request, or block."),
    ] = None,
    block_hours: Annotated[
        float | None, typer.Option(help="Length of a block of TIME_BASED; default 1.")
    ] = None,
    days: Annotated[
        float | None, typer.Option(help="With an end: group-sequential bounds.", min=0.05)
    ] = None,
    planned: Annotated[int | None, typer.Option(help="Units in all, as planned.", min=50)] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="Default: correct, or absolute_error. Mode outside: revenue, or revenue/orders."
        ),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            help="A further metric, in mode outside or of pairs of forecasts. May be repeated."
        ),
    ] = None,
    lower_is_better: Annotated[
        bool, typer.Option("--lower-is-better", help="Of a metric of yours, in mode outside.")
    ] = False,
    margin: Annotated[
        float, typer.Option(help="How much worse still passes; 0 asks for better.", min=0)
    ] = 0.0,
    alpha: Annotated[float, typer.Option(help="For all looks together.")] = 0.05,
    holdout: Annotated[float, typer.Option(help="Percent kept on the rules.", max=5)] = 0.0,
    namespace: Annotated[str | None, typer.Option(help="NAME:0-0.5: a part of the units.")] = None,
    guardrail: Annotated[
        list[str] | None,
        typer.Option(
            help="fallback, error, slow, slow:MILLISECONDS, or METRIC:bad of what you record as "
            "1 and 0; with @RATIO. METRIC:lower or METRIC:higher; with @MARGIN. May be repeated."
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="'age >= 18': rows that take part. May be repeated.")
    ] = None,
    step: Annotated[
        list[float] | None, typer.Option(help="Percent of a ramp's step. May be repeated.")
    ] = None,
    step_hours: Annotated[
        float | None, typer.Option(help="The least a step lasts; default 1.")
    ] = None,
    step_units: Annotated[
        int | None,
        typer.Option(
            help="The least labelled units of the treatment in a step under 5 %; 4 times as many "
            "from 5 %, 10 from 25 %, 30 from 50 %: more find smaller harm, and take longer. "
            "Default 100."
        ),
    ] = None,
    arm: Annotated[
        list[str] | None, typer.Option(help="A further arm, with THOMPSON. May be repeated.")
    ] = None,
    floor: Annotated[
        float | None, typer.Option(help="Percent that every arm keeps, with THOMPSON; default 5.")
    ] = None,
    batch_hours: Annotated[
        float | None,
        typer.Option(help="How long shares stay at least, with THOMPSON; default 24."),
    ] = None,
    window_minutes: Annotated[
        float | None,
        typer.Option(
            help="How long clicks on a list count, in mode interleave; default 30.", min=0.02
        ),
    ] = None,
    period_hours: Annotated[
        float | None,
        typer.Option(
            help="Hours that answers share their weather for, in mode shadow: 24, 168.", min=24
        ),
    ] = None,
    holding: Annotated[
        float | None,
        typer.Option(help="Cost of a piece left over, in pairs of forecasts: gives metric cost."),
    ] = None,
    shortage: Annotated[
        float | None, typer.Option(help="Cost of a piece that is short, beside --holding.")
    ] = None,
    units: Annotated[
        Path | None,
        typer.Option(help="File of the units to assign at once, in mode outside."),
    ] = None,
    key_column: KeyColumn = None,
    block: Annotated[
        str | None,
        typer.Option(help="Column of that file: exact shares within each of its values."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of that assignment; drawn and shown by default.", min=0)
    ] = None,
    covariate: Annotated[
        str | None,
        typer.Option(help="Column of that file: what was known of each unit before (CUPED)."),
    ] = None,
    cap: Annotated[
        float | None,
        typer.Option(help="Percent of the control's values; the goal above counts as that."),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(help="dynamic-prices, churn-alert or demand-forecast; fills in the rest."),
    ] = None,
    horizon: Annotated[
        int | None,
        typer.Option(help="Days from the start on which outcomes are known; 30, 60 or 90.", min=1),
    ] = None,
    hypothesis: Annotated[
        str, typer.Option(help="What is expected, and why; kept with the design.")
    ] = "",
    folder: Folder = HERE,
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Make a draft; nothing happens to traffic until it is started."""
    with explained(as_json):
        from timonel.app import host_name
        from timonel.experiments.wishes import Wish

        app = opened(folder)
        wish = Wish(
            name=name,
            control=control,
            treatment=treatment,
            mode=mode.value,
            strategy=strategy,
            share=share / 100.0,
            unit=unit,
            block_h=block_hours,
            days=days,
            planned_n=planned,
            metric=metric,
            also=also or [],
            lower_is_better=lower_is_better or None,
            margin=margin,
            alpha=alpha,
            holdout=holdout / 100.0,
            namespace=namespace,
            guardrails=guardrail or [],
            only=only or [],
            steps=[percent / 100.0 for percent in step or []],
            step_hours=step_hours,
            step_units=step_units,
            window_minutes=window_minutes,
            arms=arm or [],
            floor=None if floor is None else floor / 100.0,
            batch_hours=batch_hours,
            hypothesis=hypothesis,
            cap=None if cap is None else cap / 100.0,
            template=template or "",
            horizon_days=horizon,
            period_h=period_hours,
            holding=holding,
            shortage=shortage,
        )
        chosen = app.registry.declaration(model).model
        file = unit_file(units, key_column, block, seed, covariate)
        made = app.create_experiment(chosen, wish, who=who or host_name(), units=file)
        if as_json:
            _print_json(made)
            return
        design = made.design
        say(
            "experiment_created",
            name=made.name,
            shares=shares_text(made),
            model=design.model,
            unit=design.unit,
            metric=design.metric,
        )
        print_participation(design)
        if design.unit == "request" and design.mode not in ("shadow", "interleave"):
            say("experiment_not_sticky")
        print_listed(design)


def start(
    name: Name, reason: Reason = "", folder: Folder = HERE, who: Who = None, as_json: Json = False
) -> None:
    """Let a draft assign traffic."""
    with explained(as_json):
        app = opened(folder)
        made = app.experiments.start(name, who=who or _me(), reason=reason)
        ramp = made.design.mode == "ramp"
        every = text("experiment_every_ramp" if ramp else "experiment_every")
        _told(app, made, "experiment_started", as_json, every=every)


def pause(
    name: Name, reason: Reason = "", folder: Folder = HERE, who: Who = None, as_json: Json = False
) -> None:
    """Let the control answer everything for a while."""
    with explained(as_json):
        app = opened(folder)
        made = app.experiments.pause(name, who=who or _me(), reason=reason)
        _told(app, made, "experiment_paused", as_json)


def resume(
    name: Name, reason: Reason = "", folder: Folder = HERE, who: Who = None, as_json: Json = False
) -> None:
    """Assign again, with the shares from before the pause."""
    with explained(as_json):
        app = opened(folder)
        made = app.experiments.resume(name, who=who or _me(), reason=reason)
        _told(app, made, "experiment_resumed", as_json)


def stop(
    name: Name, reason: Reason = "", folder: Folder = HERE, who: Who = None, as_json: Json = False
) -> None:
    """End an experiment for good, or drop a draft; the champion answers everything."""
    with explained(as_json):
        app = opened(folder)
        made = app.experiments.stop(name, who=who or _me(), reason=reason)
        key = "experiment_dropped" if made.started_at is None else "experiment_stopped"
        _told(app, made, key, as_json, verdict=made.verdict or "-")


def share(
    name: Name,
    percent: Annotated[float, typer.Argument(help="For the treatment.", min=0, max=100)],
    reason: Reason = "",
    folder: Folder = HERE,
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Grow the treatment's share; a unit that has it keeps it."""
    with explained(as_json):
        app = opened(folder)
        weights = (1.0 - percent / 100.0, percent / 100.0)
        made = app.experiments.set_shares(name, weights, who=who or _me(), reason=reason)
        _told(app, made, "experiment_share", as_json)


def list_experiments(
    model: Annotated[str | None, typer.Option(help="Only this model's.")] = None,
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """List experiments with what their last look says."""
    with explained(as_json):
        from timonel.experiments.documents import experiment_document

        app = opened(folder)
        found = [app.experiments.show(one.name) for one in app.experiments.all(model=model)]
        if as_json:
            out_json([experiment_document(*one, language()) for one in found])
        elif not found:
            say("no_experiments")
        else:
            print_list([(experiment, last) for experiment, last, _ in found])


def show(name: Name, folder: Folder = HERE, as_json: Json = False) -> None:
    """Show an experiment: its arms, its last look, and what was done with it."""
    with explained(as_json):
        from timonel.experiments.documents import answered_document, experiment_document

        app = opened(folder)
        found, answered = app.experiments.show(name), app.experiments.answered(name)
        if as_json:
            shown = experiment_document(*found, language())
            out_json(shown | {"answered": answered_document(answered)})
        else:
            print_experiment(*found, zone=app.config.timezone)
            print_answered(answered)


def look(name: Name, folder: Folder = HERE, as_json: Json = False) -> None:
    """Judge what is known now; the look is stored, and a ramp follows it."""
    with explained(as_json):
        from timonel.experiments.documents import look_document

        app = opened(folder)
        found = app.experiments.look(name)
        if as_json:
            out_json(look_document(found, language()))
        else:
            print_experiment(*app.experiments.show(name), zone=app.config.timezone)


def unit_file(
    path: Path | None,
    key: str | None,
    block: str | None,
    seed: int | None,
    covariate: str | None,
) -> "UnitFile | None":
    """Say which units to assign and how; None without a file."""
    from timonel.experiments.outside.files import UnitFile

    if path is not None:
        return UnitFile(path=path, key=key, block=block, seed=seed, covariate=covariate)
    for option, given in (
        ("--key-column", key),
        ("--block", block),
        ("--seed", seed),
        ("--covariate", covariate),
    ):
        if given is not None:
            raise typer.BadParameter(text("units_missing"), param_hint=option)
    return None


def _me() -> str:
    from timonel.app import host_name

    return host_name()


def _told(app: "App", made: "Experiment", key: str, as_json: bool, **facts: str) -> None:
    if as_json:
        _print_json(made)
        return
    say(key, name=made.name, shares=shares_text(made), phase=made.phase, **facts)
    current, live = app.await_generation()
    if live:
        say("experiment_reloaded", current=current, live=live)


def _print_json(made: "Experiment") -> None:
    from timonel.experiments.documents import experiment_document

    out_json(experiment_document(made, lang=language()))
