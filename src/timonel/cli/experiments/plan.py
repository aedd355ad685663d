"""``timonel experiment plan``: how many units and how many days, before anything starts."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timonel.cli.experiments.commands import opened
from timonel.cli.options import HERE, Folder, Json
from timonel.cli.output import decimal, explained, language, out, out_json, say, table, text
from timonel.errors import in_language

if TYPE_CHECKING:
    from timonel.experiments.planning.plan import ExperimentPlan, Figure, Size

_BAR = 30
_UNKNOWN = "-"


class UnitName(StrEnum):
    """What counts once."""

    UNIT = "unit"
    REQUEST = "request"


def plan(
    model: Annotated[str | None, typer.Argument(help="Its model; the only one by default.")] = None,
    control: Annotated[
        str | None, typer.Option(help="A version or rules; default: what answers now.")
    ] = None,
    effect: Annotated[
        list[float] | None,
        typer.Option(help="Improvement to find, absolute: 0.02 is 2 points. May be repeated."),
    ] = None,
    unit: Annotated[
        UnitName, typer.Option(help="unit (unit_id or key of the request), or request.")
    ] = UnitName.UNIT,
    share: Annotated[float, typer.Option(help="Percent for the treatment.", min=1, max=99)] = 50,
    days: Annotated[
        float | None, typer.Option(help="With an end: group-sequential bounds.", min=0.05)
    ] = None,
    alpha: Annotated[float, typer.Option(help="For all looks together.")] = 0.05,
    power: Annotated[float, typer.Option(help="Chance of finding the effect.")] = 0.8,
    baseline: Annotated[
        float | None, typer.Option(help="The control's metric, in the place of the log's.")
    ] = None,
    sd: Annotated[
        float | None, typer.Option(help="Standard deviation of one unit, likewise.")
    ] = None,
    per_day: Annotated[float | None, typer.Option(help="Units a day, likewise.")] = None,
    delay_days: Annotated[float | None, typer.Option(help="Label delay, likewise.")] = None,
    chart: Annotated[Path | None, typer.Option(help="Also draw the power as SVG here.")] = None,
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Say how many units an experiment needs, and how many days by this log's own traffic."""
    with explained(as_json):
        from timonel.experiments.planning.documents import plan_document, power_chart

        found = opened(folder).planning.plan(
            model,
            control=control,
            effects=tuple(effect or ()),
            by_unit=unit is UnitName.UNIT,
            share=share / 100.0,
            days=days,
            alpha=alpha,
            power=power,
            baseline=baseline,
            sd=sd,
            per_day=per_day,
            delay_days=delay_days,
        )
        if chart is not None:
            chart.write_text(power_chart(found, language()), "utf-8")
        if as_json:
            out_json(plan_document(found, language()))
        else:
            _print(found)


def _print(found: "ExperimentPlan") -> None:
    asked = found.asked
    say(
        "plan_title",
        model=asked.model,
        metric=asked.metric,
        unit="unit" if asked.by_unit else "request",
        share=decimal(asked.share, ".0%"),
        engine=asked.engine,
        alpha=decimal(asked.alpha, "g"),
        power=decimal(asked.power, ".0%"),
    )
    for key, figure in (
        ("plan_rate", found.rate),
        ("plan_baseline", found.baseline),
        ("plan_sd", found.sd),
        ("plan_delay", found.delay),
    ):
        _print_figure(key, figure)
    table(text("plan_headings").split("|"), [_row(size) for size in found.sizes])
    if any(size.extrapolated for size in found.sizes):
        say("plan_extrapolated")
    if found.power:
        say("plan_power", n=found.power_n)
        for effect, chance in found.power:
            bar, named = "█" * round(chance * _BAR), decimal(effect, "+.4g")
            out(f"  {named:>9}  {bar:<{_BAR}} {chance:>4.0%}")
    if asked.days is None and found.power_n:
        say("plan_next", model=asked.model, control=asked.control, n=found.power_n)


def _print_figure(key: str, figure: "Figure") -> None:
    value = text("plan_unknown") if figure.value is None else decimal(figure.value, ".6g")
    measured = f"{text('plan_measured')}: " if figure.basis == "measured" else ""
    say(key, value=value, note=f"{measured}{in_language(figure.note, language())}")


def _row(size: "Size") -> list[object]:
    about = "~" if size.extrapolated else ""
    return [
        decimal(size.effect, "+.4g"),
        _UNKNOWN if size.n is None else size.n_control,
        _UNKNOWN if size.n is None else size.n_treatment,
        _UNKNOWN if size.n is None else size.n,
        _UNKNOWN if size.days is None else f"{about}{decimal(size.days, '.1f')}",
        _UNKNOWN if size.until_decided is None else f"{about}{decimal(size.until_decided, '.1f')}",
        "" if size.reason is None else in_language(size.reason, language()),
    ]
