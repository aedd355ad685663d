"""What is asked of designs where someone else acts: metrics, caps and lists of units."""

from timonel.errors import Phrase
from timonel.experiments.checking.guardrails import METRIC, OWN_METRICS
from timonel.experiments.checking.refusals import refusal
from timonel.experiments.design import OF_ANSWERS, Answers, Design, Mode, parts_of

_LONGEST_HORIZON = 730


def check_outside(design: Design) -> None:
    """Refuse what makes no sense where someone else acts, or only there."""
    if design.mode is not Mode.OUTSIDE:
        outside = Phrase("mode outside", "modo outside")
        if design.cap:
            raise refusal(design, "cap", f"{design.cap.quantile * 100:g} %", outside)
        if design.secondary and not design.period_s:
            expected = Phrase("mode outside, or a period", "modo outside, o un período")
            raise refusal(design, "also", ", ".join(design.secondary), expected)
        return
    ours = [arm.name for arm in design.arms if arm.answers is not Answers.EXTERNAL]
    if ours:
        raise refusal(design, "arms", ", ".join(ours), Phrase("external", "external"))
    _check_metrics(design)
    _check_cap(design)
    none = Phrase("none in mode outside", "nada en modo outside")
    if design.unit != "unit":
        raise refusal(design, "unit", design.unit, "unit")
    if design.holdout:
        raise refusal(design, "holdout", str(design.holdout), none)


def _check_metrics(design: Design) -> None:
    for metric in design.metrics:
        parts = parts_of(metric)
        usable = all(METRIC.fullmatch(one) and one not in OWN_METRICS for one in parts)
        if not usable or len(parts) > 2 or len(set(parts)) < len(parts):
            expected = Phrase(
                "a name of yours (a-z, 0-9 and _, at most 40), or a ratio of two: revenue/orders",
                "un nombre suyo (a-z, 0-9 y _, a lo más 40), o una razón de dos: revenue/orders",
            )
            raise refusal(design, "metric", metric[:64], expected)
    metrics = (design.metric, *design.secondary)
    if len(set(metrics)) < len(metrics):
        expected = Phrase("each metric once", "cada métrica una vez")
        raise refusal(design, "also", ", ".join(metrics), expected)


def _check_cap(design: Design) -> None:
    """Refuse a cap or a covariate that could not be honoured."""
    if not design.adjusts:
        return
    cap = design.cap
    field = "covariate" if cap is None else "cap"
    if len(parts_of(design.metric)) == 2 or design.metric in OF_ANSWERS:
        expected = Phrase(
            "a goal that is one recorded value", "un objetivo que sea un solo valor registrado"
        )
        raise refusal(design, field, design.metric, expected)
    if cap is None:
        return
    if not 0.5 <= cap.quantile <= 0.9999:
        expected = Phrase("50 to 99.99 %", "50 a 99.99 %")
        raise refusal(design, field, f"{cap.quantile:.2%}", expected)
    if design.listed is not None and design.listed.counts[0] < cap.least:
        expected = Phrase(
            "{n} units or more in the control, which has {found}",
            "{n} unidades o más en el control, que tiene {found}",
            n=cap.least,
            found=design.listed.counts[0],
        )
        raise refusal(design, field, f"{cap.quantile:.2%}", expected)


def check_listed(design: Design) -> None:
    """Refuse what a list of units cannot be combined with."""
    if not design.needs_list and design.listed is None:
        return
    if design.mode is not Mode.OUTSIDE or len(design.arms) != 2:
        expected = Phrase(
            "mode outside and two arms for a list of units",
            "modo outside y dos variantes para una lista de unidades",
        )
        raise refusal(design, "mode", str(design.mode), expected)
    if design.metric in OF_ANSWERS:
        of_units = Phrase("what is recorded of units", "lo que se registra de las unidades")
        raise refusal(design, "metric", design.metric, of_units)
    if design.targeting or design.namespace is not None:
        field = "only" if design.targeting else "namespace"
        alone = Phrase("none beside a list of units", "nada junto a una lista de unidades")
        raise refusal(design, field, "+", alone)


def check_horizon(design: Design) -> None:
    """Refuse a horizon that is none."""
    if not 0 <= design.horizon_days <= _LONGEST_HORIZON:
        expected = Phrase("1 to 730 days", "de 1 a 730 días")
        raise refusal(design, "horizon", str(design.horizon_days), expected)
