"""Every metric of units that others act on, compared; and all p-values adjusted together.

The goal decides, at its own alpha. What else is shown may be believed where its adjusted p is at
most alpha: over all metrics and arms, that errs in at most alpha of experiments, at all looks.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from timonel.experiments.counting.derived import cell_of
from timonel.experiments.design import Design
from timonel.experiments.judging.evidence import Contribution, Counted, Evidence
from timonel.experiments.judging.look import (
    GoalReport,
    Look,
    MetricReport,
    Unsaid,
    alpha_each,
    finite,
    n_star,
)
from timonel.experiments.judging.reports import arm_moments
from timonel.stats.multiple import holm
from timonel.stats.sequential import asymptotic_cs

GOAL, SECONDARY, GUARDRAIL = "goal", "secondary", "guardrail"
_HARM_ALPHA = 0.01
_LEAST = 30  # units with a value, in both arms together


def metric_reports(
    design: Design, evidence: Evidence, goals: list[GoalReport], before: Look | None
) -> list[MetricReport]:
    """Report each metric and treatment, the goal first.

    Notes
    -----
    A metric that nobody recorded still counts among the hypotheses, so that what is said of one
    does not depend on whether another has come. The p-values hold at every look, and so does
    Holm's procedure on them.
    """
    reports = [
        _report(design, evidence, metric, arm, goals, before)
        for metric in evidence.metrics
        for arm in design.names[1:]
    ]
    tested = [one for one in reports if one.role != GUARDRAIL]
    if not tested:
        return reports
    adjusted = holm([1.0 if one.p_value is None else one.p_value for one in tested])
    return [
        one if one.p_value is None else replace(one, adjusted_p=float(p))
        for one, p in zip(tested, adjusted, strict=True)
    ] + [one for one in reports if one.role == GUARDRAIL]


def metric_guardrails(design: Design, evidence: Evidence) -> dict[str, float]:
    """Weigh for each guarded metric and treatment the evidence that it is worse than its margin."""
    found = {}
    for guardrail in design.guardrails:
        if guardrail.higher_is_better is None:
            continue
        for arm in design.names[1:]:
            compared = evidence.metrics.get(guardrail.event, {}).get(arm, Contribution())
            information, e = compared.information, 1.0
            if (
                information.effect is not None
                and information.se is not None
                and information.n >= _LEAST
            ):
                worse = -information.effect if guardrail.higher_is_better else information.effect
                e = asymptotic_cs(
                    worse - guardrail.margin,
                    information.se,
                    information.n,
                    alpha=_HARM_ALPHA,
                    n_star=n_star(design),
                    side="greater",
                ).e_value
            found[f"{arm}:{guardrail.event}"] = e
    return found


def _report(
    design: Design,
    evidence: Evidence,
    metric: str,
    arm: str,
    goals: list[GoalReport],
    before: Look | None,
) -> MetricReport:
    role = GOAL if metric == design.metric else SECONDARY
    if role == SECONDARY and metric not in design.secondary:
        role = GUARDRAIL
    control = arm_moments(evidence.arms, design.names[0], metric)
    treatment = arm_moments(evidence.arms, arm, metric)
    n = tuple(0 if one is None else one.n for one in (control, treatment))
    means = tuple(None if one is None else one.mean for one in (control, treatment))
    information = evidence.metrics[metric].get(arm, Contribution()).information
    found: dict[str, float | None] = {}
    reason: Unsaid | None = _reason(design, evidence.arms, metric, n)
    if information.effect is not None and information.se is not None:
        reason = None
        around = asymptotic_cs(
            information.effect,
            information.se,
            information.n,
            alpha=alpha_each(design),
            n_star=n_star(design),
        )
        p_value = min(around.p_value, _smallest(before, metric, arm))
        goal = next((one for one in goals if one.arm == arm), None)
        if role == GOAL and goal is not None:
            p_value = goal.p_value
        found = {
            "effect": information.effect,
            "lower": finite(around.lower),
            "upper": finite(around.upper),
            "e_value": min(around.e_value, 1e300),
            "p_value": p_value,
        }
    return MetricReport(
        metric=metric,
        role=role,
        arm=arm,
        n_control=n[0],
        n_treatment=n[1],
        control=means[0],
        treatment=means[1],
        reason=reason,
        **found,
    )


def _reason(design: Design, arms: Mapping[str, Counted], metric: str, n: tuple[int, ...]) -> Unsaid:
    if not any(counted.sums(metric).n for counted in arms.values()):
        return Unsaid.NOT_RECORDED
    if metric == design.metric and design.cap is not None and not _capped(design, arms):
        return Unsaid.NO_CAP
    return Unsaid.NO_SPREAD if all(n) else Unsaid.ARM_EMPTY


def _capped(design: Design, arms: Mapping[str, Counted]) -> bool:
    return any(counted.sums(cell_of(design, design.metric)).n for counted in arms.values())


def _smallest(before: Look | None, metric: str, arm: str) -> float:
    """Give the smallest p of earlier looks; 1 where there was none."""
    if before is None:
        return 1.0
    known = [
        one.p_value
        for one in before.compared
        if (one.metric, one.arm) == (metric, arm) and one.p_value is not None
    ]
    return min(known, default=1.0)
