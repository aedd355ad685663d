"""What is asked of two answers to the same requests: periods, and what is compared."""

import math

from timonel.errors import Phrase
from timonel.experiments.checking.refusals import refusal
from timonel.experiments.design import (
    COST,
    DAY_S,
    PAIRED_LOSSES,
    STOCKED,
    Design,
    Mode,
)

_DEAREST = 1e9  # a piece


def check_pairs(design: Design) -> None:
    """Refuse a period, a loss or costs that could not be honoured."""
    if design.period_s:
        _check_period(design)
        if design.secondary:
            _check_losses(design)
    elif design.mode is Mode.SHADOW and design.metric in STOCKED:
        expected = Phrase(
            "a period for what is stocked: 24 or 168 hours",
            "un período para lo que se almacena: 24 o 168 horas",
        )
        raise refusal(design, "period", "-", expected)
    _check_costs(design)


def _check_losses(design: Design) -> None:
    metrics = (design.metric, *design.secondary)
    unknown = [metric for metric in metrics if metric not in PAIRED_LOSSES]
    if unknown or design.task not in ("", "regression"):
        found = (unknown or [design.task])[0]
        raise refusal(design, "also", found[:64], ", ".join(PAIRED_LOSSES))
    if len(set(metrics)) < len(metrics):
        expected = Phrase("each metric once", "cada métrica una vez")
        raise refusal(design, "also", ", ".join(metrics), expected)


def _check_costs(design: Design) -> None:
    wanted = design.mode is Mode.SHADOW and COST in (design.metric, *design.secondary)
    costs = design.costs
    if costs is None:
        if wanted:
            expected = Phrase(
                "what a piece costs that is left over (holding), and one that is short (shortage)",
                "lo que cuesta una pieza que sobra (holding) y una que falta (shortage)",
            )
            raise refusal(design, "costs", "-", expected)
        return
    if not wanted:
        expected = Phrase("none but with {kind}", "nada, salvo con {kind}", kind="shadow, cost")
        raise refusal(design, "costs", f"{costs.holding:g}, {costs.shortage:g}", expected)
    for field, value in (("holding", costs.holding), ("shortage", costs.shortage)):
        if not (math.isfinite(value) and 0.0 < value <= _DEAREST):
            expected = Phrase("more than 0, at most 1e9", "más que 0, a lo más 1e9")
            raise refusal(design, field, f"{value:g}", expected)


def _check_period(design: Design) -> None:
    for field, found, wrong, expected in (
        ("mode", str(design.mode), design.mode is not Mode.SHADOW, "shadow"),
        ("unit", design.unit, design.unit != "unit", "unit"),
        (
            "period",
            f"{design.period_s / 3600:g} h",
            design.period_s < DAY_S or design.period_s % DAY_S != 0,
            Phrase("whole days, in hours: 24, 168", "días enteros, en horas: 24, 168"),
        ),
    ):
        if wrong:
            raise refusal(design, field, found, expected)
