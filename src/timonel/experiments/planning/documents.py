"""A plan as a JSON document and as a drawing."""

from typing import TYPE_CHECKING, Any

from timonel.charts.bars import Bar, horizontal_bars
from timonel.charts.svg import PRINT
from timonel.errors import Phrase, figure, in_language
from timonel.experiments.errors import PowerUnknown

if TYPE_CHECKING:
    from timonel.experiments.planning.plan import ExperimentPlan, Figure

_WIDTH = 620.0  # of a drawing with its description in one line


def plan_document(plan: "ExperimentPlan", lang: str = "en") -> dict[str, Any]:
    """Describe a plan; null is unknown, and a note or reason stands beside it."""
    asked = plan.asked
    return {
        "model": asked.model,
        "control": asked.control,
        "metric": asked.metric,
        "unit": "unit" if asked.by_unit else "request",
        "share": asked.share,
        "engine": str(asked.engine),
        "alpha": asked.alpha,
        "power": asked.power,
        "days": asked.days,
        "per_day": _figure(plan.rate, lang),
        "baseline": _figure(plan.baseline, lang),
        "sd": _figure(plan.sd, lang),
        "delay_days": _figure(plan.delay, lang),
        "sizes": [
            {
                "effect": size.effect,
                "n": size.n,
                "n_control": size.n_control,
                "n_treatment": size.n_treatment,
                "days_of_traffic": size.days,
                "extrapolated": size.extrapolated,
                "days_until_decided": size.until_decided,
                "reason": None if size.reason is None else in_language(size.reason, lang),
            }
            for size in plan.sizes
        ],
        "power_curve": {
            "n": plan.power_n,
            "points": [{"effect": effect, "power": power} for effect, power in plan.power],
        },
    }


def power_chart(plan: "ExperimentPlan", lang: str = "en") -> str:
    """Draw the chance of finding each effect, as SVG.

    Raises
    ------
    PowerUnknown
        If the log and what was given leave a number unknown that the power follows from.
    """
    if not plan.power:
        raise PowerUnknown(model=plan.asked.model, why=_why_unknown(plan))
    title = Phrase(
        "{model}: power over effects", "{model}: potencia según el efecto", model=plan.asked.model
    )
    description = Phrase(
        "chance of finding an improvement of {metric} with {n} units in all, alpha {alpha}",
        "probabilidad de hallar una mejora de {metric} con {n} unidades en total, alfa {alpha}",
        metric=plan.asked.metric,
        alpha=figure(plan.asked.alpha, "g"),
        n=plan.power_n or 0,
    )
    bars = [
        Bar(in_language(figure(effect, "+.4g"), lang), power, f"{power:.0%}")
        for effect, power in plan.power
    ]
    return horizontal_bars(
        bars,
        title=in_language(title, lang),
        description=in_language(description, lang),
        most=1.0,
        width=_WIDTH,
        palette=PRINT,  # it stands alone, without a page's colours
        headed=True,
    )


def _why_unknown(plan: "ExperimentPlan") -> Phrase:
    if plan.baseline.value is None:
        return plan.baseline.note
    reasons = [size.reason for size in plan.sizes if size.reason is not None]
    if reasons:
        return reasons[0]
    return Phrase(
        "nobody comes and is labelled within {days:g} days",
        "nadie llega y tiene su resultado en {days:g} días",
        days=plan.asked.days or 0.0,
    )


def _figure(figure: "Figure", lang: str) -> dict[str, Any]:
    note = in_language(figure.note, lang)
    return {"value": figure.value, "basis": str(figure.basis), "note": note}
