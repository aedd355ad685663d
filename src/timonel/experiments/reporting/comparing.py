"""What a report says of arms that are compared: counts, ratio, maturity, effects, cost."""

from timonel.experiments.design import Mode
from timonel.experiments.judging.look import (
    ArmReport,
    GoalReport,
    Look,
    MetricReport,
    alpha_each,
)
from timonel.experiments.judging.metrics import GUARDRAIL
from timonel.experiments.reporting.page import Page, Section, plain, seen
from timonel.experiments.reporting.phrases import phrase
from timonel.experiments.reporting.report import NO_EFFECT, Estimate, Report
from timonel.experiments.texts import SILENT, paired_of, unsaid, youngest_of

_ALARM = 20.0


def _counts(page: Page, report: Report, look: Look) -> None:
    design = report.experiment.design
    n = sum(arm.units for arm in look.arms)
    headings = [page.say(key) for key in ("arm", "units", "share", "labelled")]
    headings += [page.say("mean", metric=f"`{design.metric}`"), page.say("interval_95")]
    page.table(headings, [_arm(page, arm, n) for arm in look.arms])
    if design.cap is not None:
        page.add(page.say("as_recorded"))
    if design.mode is Mode.SHADOW:
        _pairs(page, report, look)


def _pairs(page: Page, report: Report, look: Look) -> None:
    lower = not report.experiment.design.higher_is_better
    more, fewer = ("control", "treatment") if lower else ("treatment", "control")
    sides = {
        "treatment": look.pairs.get(more, 0),
        "control": look.pairs.get(fewer, 0),
        "tied": look.pairs.get("tied", 0),
    }
    page.add(page.say("paired_units", unit=report.experiment.design.unit, **sides))
    if report.experiment.design.period_s:
        n = 0 if report.evidence is None else report.evidence.periods.n
        page.add(page.say("paired_periods", n=n))


def _arm(page: Page, arm: ArmReport, n: int) -> list[str]:
    mean = page.say("unknown", reason=page.say("no_outcome"))
    share = (
        page.figure(arm.units / n, ".1%")
        if n
        else page.say("unknown", reason=page.say("few_units"))
    )
    return [
        arm.arm,
        str(arm.units),
        share,
        str(arm.labelled),
        mean if arm.mean is None else page.number(arm.mean),
        mean if arm.mean is None else page.interval(arm.lower, arm.upper),
    ]


def _answers(page: Page, report: Report) -> None:
    """Say how soon and how well answers came, where they are ours."""
    if not report.answered:
        return
    page.heading("answers")
    few = page.say("unknown", reason=page.say("few_answers"))
    rows = [
        [
            arm,
            str(one.n),
            page.figure(one.failed / one.n, ".2%"),
            page.figure(one.fell_back / one.n, ".2%"),
            few if one.p95_ms is None else f"<= {page.number(one.p95_ms)}",
        ]
        for arm, one in report.answered.items()
    ]
    headings = ("arm", "answers", "failed", "fell_back", "p95")
    page.table([page.say(key) for key in headings], rows)


def _ratio(page: Page, report: Report, look: Look) -> None:
    few = page.say("unknown", reason=page.say("few_units"))
    p = few if look.srm_p is None else page.figure(look.srm_p, ".3g")
    page.add(
        page.say(
            "srm_alarm" if look.srm_e >= _ALARM else "srm_ok", e=page.figure(look.srm_e, ".3g"), p=p
        )
    )
    page.add(page.say("leaks", n=look.leaks))


def _maturity(page: Page, report: Report, look: Look) -> None:
    if report.experiment.design.mode is Mode.OUTSIDE:
        n = sum(arm.units for arm in look.arms)
        page.add(page.say("immature_units", n=look.immature, of=n))
    elif look.mature_after_h is None:
        page.add(page.unknown(phrase("delay")))
    else:
        page.add(page.say("mature", hours=look.mature_after_h, n=look.immature))
    told = {arm.arm: youngest_of(arm, look) for arm in look.arms}
    if all(told.values()):
        ages = "; ".join(f"{name}: {page.tell(said)}" for name, said in told.items() if said)
        page.add(page.say("youngest", ages=ages))
    if look.asked_later is not None:
        page.add(f"{page.tell(paired_of(look.asked_later))}.")


def _effect(page: Page, report: Report, look: Look) -> None:
    design = report.experiment.design
    level = page.level(alpha_each(design))
    headings = [
        page.say("treatment"),
        page.say("effect_on", metric=f"`{design.metric}`"),
        page.say("interval", level=level),
        page.say("smallest_p"),
        page.say("e"),
        page.say("lift"),
        page.say("mature_effect"),
    ]
    page.table(headings, [_goal(page, goal, report) for goal in look.goals])
    listed, found = design.listed, report.adjustment
    if listed is not None and listed.covariate:
        kept = page.unknown(report.unsaid or NO_EFFECT)
        theta = kept
        if found is not None and found.kept is not None:
            kept, theta = page.figure(1.0 - found.kept, ".1%"), page.number(found.theta)
        page.add(page.say("adjusted", column=plain(listed.covariate), theta=theta, share=kept))
    page.add(page.say("effect_note"))


def _goal(page: Page, goal: GoalReport, report: Report) -> list[str]:
    lift = report.lifts.get(goal.arm, Estimate(reason=report.unsaid))
    known = goal.effect is not None
    mature = page.unknown(phrase("no_mature"))
    return [
        goal.arm,
        page.unknown(NO_EFFECT) if goal.effect is None else page.number(goal.effect, "+"),
        page.interval(goal.lower, goal.upper),
        page.figure(goal.p_value, ".3g") if known else page.unknown(NO_EFFECT),
        page.figure(goal.e_value, ".3g") if known else page.unknown(NO_EFFECT),
        page.estimate(lift),
        mature if goal.mature_effect is None else page.number(goal.mature_effect, "+"),
    ]


def _metrics(page: Page, report: Report) -> None:
    look = report.look
    if look is None or len(look.compared) <= len(look.goals):
        return
    page.heading("metrics")
    n = "n_pairs" if report.experiment.design.paired else "n_units"
    headings = ("metric", "role", "arm", n, "control", "treatment")
    own = ("effect", "interval_own", "smallest_p", "adjusted_p")
    page.table(
        [page.say(key) for key in (*headings, *own)],
        [_metric(page, one) for one in look.compared],
    )
    page.add(
        page.say(
            "metrics_note", alpha=page.figure(look.alpha, "g"), share=page.figure(look.alpha, ".0%")
        )
    )


def _metric(page: Page, one: MetricReport) -> list[str]:
    unknown = page.say("unknown_as_said")
    effect = unknown if one.reason is None else page.unknown(unsaid(one.reason))
    return [
        f"`{one.metric}`",
        page.say(f"{one.role}_role"),
        one.arm,
        f"{one.n_control} / {one.n_treatment}",
        unknown if one.control is None else page.number(one.control),
        unknown if one.treatment is None else page.number(one.treatment),
        effect if one.effect is None else page.number(one.effect, "+"),
        unknown if one.effect is None else page.interval(one.lower, one.upper),
        unknown if one.p_value is None else page.figure(one.p_value, ".3g"),
        page.say("not_adjusted")
        if one.role == GUARDRAIL
        else (unknown if one.adjusted_p is None else page.figure(one.adjusted_p, ".3g")),
    ]


def _parts(page: Page, report: Report) -> None:
    look, listed = report.look, report.experiment.design.listed
    if look is None or listed is None or not look.by_part:
        return
    page.heading("parts")
    headings = ("part", "n_units", "control", "treatment", "effect", "interval_own", "adjusted_p")
    unknown = page.say("unknown_as_said")
    rows = []
    for one in look.by_part:
        effect = unknown if one.reason is None else page.unknown(unsaid(one.reason))
        above = "-" if one.above is None else page.number(one.above)
        rows.append(
            [
                f"{one.part}: {above} … {'-' if one.up_to is None else page.number(one.up_to)}",
                f"{one.n_control} / {one.n_treatment}",
                unknown if one.control is None else page.number(one.control),
                unknown if one.treatment is None else page.number(one.treatment),
                effect if one.effect is None else page.number(one.effect, "+"),
                unknown if one.effect is None else page.interval(one.lower, one.upper),
                unknown if one.adjusted_p is None else page.figure(one.adjusted_p, ".3g"),
            ]
        )
    page.table([page.say(key) for key in headings], rows)
    page.add(page.say("parts_note", column=plain(listed.covariate)))


def _guardrails(page: Page, report: Report, look: Look) -> None:
    if not look.guardrails:
        page.add(page.say("none"))
    else:
        rows = [[name, page.figure(e, ".3g")] for name, e in look.guardrails.items()]
        page.table([page.say("guardrail"), page.say("evidence_of_harm")], rows)
        if look.ramp_e is not None:
            page.add(page.say("harm_together", e=page.figure(look.ramp_e, ".3g")))
    for metric in look.silent:
        page.add(f"`{metric}`: {page.unknown(SILENT)}")


def _cost(page: Page, report: Report) -> None:
    page.heading("cost")
    metric = f"`{report.experiment.design.metric}`"
    if not report.costs:
        page.add(page.unknown(report.unsaid or NO_EFFECT))
    for arm, cost in report.costs.items():
        keep, choose = page.number(cost.keeping), page.number(cost.choosing)
        page.add(page.say("cost_keep", keep=keep, choose=choose, arm=arm, metric=metric))
        if report.experiment.design.mode is not Mode.SHADOW:  # unheard answers cost nobody anything
            worse = arm if cost.worse_is_treatment else report.experiment.design.names[0]
            total = page.number(cost.each * cost.n_worse)
            each = page.number(cost.each)
            page.add(page.say("cost_so_far", n=cost.n_worse, arm=worse, each=each, total=total))


def _corrections(page: Page, report: Report) -> None:
    page.heading("corrections")
    if report.corrected is None:
        page.add(page.unknown(report.unsaid))
    else:
        page.add(page.say("corrected", n=report.corrected))


SECTIONS: tuple[Section, ...] = (
    seen("counts", _counts),
    _answers,
    seen("srm", _ratio),
    seen("maturity", _maturity),
    seen("effect", _effect),
    _metrics,
    _parts,
    seen("guardrails", _guardrails),
    _cost,
    _corrections,
)
