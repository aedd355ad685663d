"""Every metric of units that others act on, or loss of pairs; all p-values adjusted together.

The goal decides, at its own alpha. What else is shown may be believed where its adjusted p is at
most alpha: over all metrics and arms, that errs in at most alpha of experiments, at all looks.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from timonel.experiments.counting.derived import cell_of
from timonel.experiments.design import Design
from timonel.experiments.judging.evidence import Contribution, Counted, Evidence, covaried
from timonel.experiments.judging.look import (
    GoalReport,
    Look,
    MetricReport,
    PartReport,
    Unsaid,
    alpha_each,
    finite,
    n_star,
)
from timonel.experiments.judging.losses import loss_reports
from timonel.experiments.judging.reports import arm_moments
from timonel.stats.moments import PER_UNIT, Moments
from timonel.stats.multiple import holm
from timonel.stats.sequential import asymptotic_cs

Report = TypeVar("Report", bound=MetricReport)
GOAL, SECONDARY, GUARDRAIL, PART = "goal", "secondary", "guardrail", "part"


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
    reports = loss_reports(design, evidence, before) or [
        _report(design, evidence, metric, arm, goals, before)
        for metric in evidence.metrics
        for arm in design.names[1:]
    ]
    tested = [one for one in reports if one.role != GUARDRAIL]
    if not tested:
        return reports
    return _adjusted(tested) + [one for one in reports if one.role == GUARDRAIL]


def _adjusted(reports: list[Report]) -> list[Report]:
    """Adjust the p-values of reports together; what is unknown counts among them all the same."""
    adjusted = holm([1.0 if one.p_value is None else one.p_value for one in reports])
    return [
        one if one.p_value is None else replace(one, adjusted_p=float(p))
        for one, p in zip(reports, adjusted, strict=True)
    ]


def part_reports(design: Design, evidence: Evidence, before: Look | None) -> list[PartReport]:
    """Report the goal in each part of a list, each treatment; p adjusted over all of these.

    Parts say where an effect may be; the goal decides.
    """
    if not evidence.parts or design.listed is None:
        return []
    edges = [None, *(edge / PER_UNIT for edge in design.listed.edges), None]
    earlier = () if before is None else before.by_part
    reports = [
        PartReport(
            metric=design.metric,
            role=PART,
            arm=arm,
            part=place + 1,
            above=edges[place],
            up_to=edges[place + 1],
            **_compare(
                design,
                evidence,
                (name, arm),
                evidence.parts[name],
                [one for one in earlier if (one.part, one.arm) == (place + 1, arm)],
            ),
        )
        for place, name in enumerate(evidence.parts)
        for arm in design.names[1:]
    ]
    return _adjusted(reports)


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
    compared = () if before is None else before.compared
    earlier = [one for one in compared if (one.metric, one.arm) == (metric, arm)]
    found = _compare(design, evidence, (metric, arm), evidence.metrics[metric], earlier)
    goal = next((one for one in goals if one.arm == arm), None)
    if role == GOAL and goal is not None and found["effect"] is not None:
        found["p_value"] = goal.p_value
    return MetricReport(metric=metric, role=role, arm=arm, **found)


def _compare(
    design: Design,
    evidence: Evidence,
    place: tuple[str, str],
    contributions: Mapping[str, Contribution],
    earlier: Sequence[MetricReport],
) -> dict[str, Any]:
    """Give what is known of one comparison: the fields of its report."""
    metric, arm = place
    control, treatment = (
        _moments(design, evidence, name, metric) for name in (design.names[0], arm)
    )
    n = tuple(0 if one is None else one.n for one in (control, treatment))
    found: dict[str, Any] = {
        "n_control": n[0],
        "n_treatment": n[1],
        "control": None if control is None else control.mean,
        "treatment": None if treatment is None else treatment.mean,
        "effect": None,
    }
    information = contributions.get(arm, Contribution()).information
    if information.effect is None or information.se is None:
        return found | {"reason": _reason(design, evidence.arms, metric, n)}
    around = asymptotic_cs(
        information.effect,
        information.se,
        information.n,
        alpha=alpha_each(design),
        n_star=n_star(design) / (len(evidence.parts) if metric in evidence.parts else 1),
    )
    smallest = min((one.p_value for one in earlier if one.p_value is not None), default=1.0)
    return found | {
        "effect": information.effect,
        "lower": finite(around.lower),
        "upper": finite(around.upper),
        "e_value": min(around.e_value, 1e300),
        "p_value": min(around.p_value, smallest),
    }


def _moments(design: Design, evidence: Evidence, arm: str, metric: str) -> Moments | None:
    """Give an arm's mean as it is compared: under the cap, but with the covariate still in it."""
    if metric != design.metric or design.cap is None or not _capped(design, evidence.arms):
        return arm_moments(evidence.arms, arm, metric)
    found = covaried(evidence.arms.get(arm, Counted()).sums(cell_of(design, metric)))
    return None if found is None else found.y


def _reason(design: Design, arms: Mapping[str, Counted], metric: str, n: tuple[int, ...]) -> Unsaid:
    if not any(counted.sums(metric).n for counted in arms.values()):
        return Unsaid.NOT_RECORDED
    if metric == design.metric and design.cap is not None and not _capped(design, arms):
        return Unsaid.NO_CAP if design.cap.chosen is None else Unsaid.CAP_PENDING
    return Unsaid.NO_SPREAD if all(n) else Unsaid.ARM_EMPTY


def _capped(design: Design, arms: Mapping[str, Counted]) -> bool:
    return any(counted.sums(cell_of(design, design.metric)).n for counted in arms.values())
