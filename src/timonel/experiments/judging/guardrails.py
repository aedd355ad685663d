"""Guardrails: the evidence that something which must not get worse has done so, one e-value each.

Rare bad events are weighed exactly, by betting on the arm of each; metrics by a one-sided
confidence sequence against their margin. What nobody has recorded is no evidence, and is said.
"""

from timonel.experiments.design import Design, Guardrail, Mode
from timonel.experiments.judging.evidence import Contribution, Counted, Evidence
from timonel.experiments.judging.look import n_star
from timonel.stats.sequential import asymptotic_cs, rare_event_e_value

_HARM_ALPHA = 0.01
_LEAST = 30.0  # information in both arms together
_LEAST_TREATED = 100  # units with a value: of fewer, long tails say too much


def weigh_guardrails(design: Design, evidence: Evidence) -> dict[str, float]:
    """Weigh for each treatment and guardrail the evidence of harm, by ``ARM:GUARDRAIL``."""
    events = {
        f"{name}:{event}": _event(design, evidence, place, event)
        for place, name in enumerate(design.names)
        if place
        for event in evidence.bad
    }
    return events | {
        f"{arm}:{guardrail.event}": _metric(design, evidence, guardrail, arm)
        for guardrail in design.guardrails
        if guardrail.higher_is_better is not None
        for arm in design.names[1:]
    }


def silent_guardrails(design: Design, evidence: Evidence) -> list[str]:
    """Name what has to be recorded where we answer, and cannot speak of harm yet.

    Of a treatment no unit has it that was answered since the shares were set; or it is a metric,
    and too few have.
    """
    phase = max(evidence.weights, default=0)
    metrics = {g.event for g in design.guardrails if g.higher_is_better is not None}
    silent = []
    for metric in design.guarded:
        by_phase = evidence.recorded.get(metric, {})
        for arm in design.names[1:]:
            n = sum(arms.get(arm, 0) for arms in by_phase.values())
            few = metric in metrics and n < _LEAST_TREATED
            if (few or not by_phase.get(phase, {}).get(arm)) and metric not in silent:
                silent.append(metric)
    return silent


def _event(design: Design, evidence: Evidence, place: int, event: str) -> float:
    """Weigh one bad event of one arm over the phases in which both arms had a share."""
    name, control = design.arms[place].name, design.names[0]
    tolerated = next((g.tolerated for g in design.guardrails if g.event == event), 1.1)
    bad, both, share = [], [], []
    for phase, counts in sorted(evidence.bad[event].items()):
        weights = evidence.weights.get(phase)
        if weights is None or weights[place] <= 0.0 or weights[0] <= 0.0:
            continue
        bad.append(counts.get(name, 0))
        both.append(counts.get(name, 0) + counts.get(control, 0))
        share.append(weights[place] / (weights[place] + weights[0]))
    if not bad:
        return 1.0
    return rare_event_e_value(bad, both, share, tolerated=tolerated)


def _metric(design: Design, evidence: Evidence, guardrail: Guardrail, arm: str) -> float:
    """Weigh one metric of one treatment against the control less the margin."""
    compared = evidence.metrics.get(guardrail.event, {}).get(arm, Contribution())
    information = compared.information
    if information.effect is None or information.se is None or information.n < _LEAST:
        return 1.0
    treated = evidence.arms.get(arm, Counted()).sums(guardrail.event).n
    if design.mode is not Mode.OUTSIDE and treated < _LEAST_TREATED:
        return 1.0
    worse = -information.effect if guardrail.higher_is_better else information.effect
    return asymptotic_cs(
        worse - guardrail.margin,
        information.se,
        information.n,
        alpha=_HARM_ALPHA,
        n_star=n_star(design),
        side="greater",
    ).e_value
