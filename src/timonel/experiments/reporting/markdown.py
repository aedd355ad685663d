"""A report as Markdown, in the reader's language; what is not known has its reason there."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import floor, log10
from zoneinfo import ZoneInfo

from timonel.errors import Phrase, in_language
from timonel.experiments.design import DAY_S, Answers, Arm, Cap, Guardrail, Mode
from timonel.experiments.judging.look import (
    ArmReport,
    GoalReport,
    Look,
    MetricReport,
    Unsaid,
    alpha_each,
)
from timonel.experiments.judging.metrics import GUARDRAIL
from timonel.experiments.reporting.phrases import engine, phrase
from timonel.experiments.reporting.report import NO_EFFECT, NO_LOOK, Estimate, Report
from timonel.experiments.texts import expected_in, paired_of, sentence, unsaid
from timonel.stats.moments import PER_UNIT

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALARM = 20.0
_DIGITS = 5
_SPECIAL = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_[]<>|#~"} | {"\n": " ", "\r": " "})
_LINE_ENDS = "\v\f\x1c\x1d\x1e\x85\u2028\u2029"


def markdown(report: Report, *, lang: str, zone: str) -> str:
    """Write a report.

    Parameters
    ----------
    report : Report
    lang : str
        "en" or "es".
    zone : str
        Of the times, such as "America/Santiago".

    Returns
    -------
    str
        Markdown with tables; texts that people gave are escaped.
    """
    page = _Page(lang, ZoneInfo(zone))
    page.add(f"# {page.say('title', name=plain(report.experiment.name))}")
    if report.look is not None:
        at = page.time(report.look.at)
        page.add(page.say("as_of", number=report.number, at=at, zone=plain(zone)))
    for section in (
        _verdict,
        _design,
        _counts,
        _ratio,
        _maturity,
        _effect,
        _metrics,
        _parts,
        _guardrails,
        _cost,
        _corrections,
        _history,
    ):
        section(page, report)
    return "\n\n".join(page.blocks) + "\n"


class _Page:
    """Blocks of Markdown in one language."""

    def __init__(self, lang: str, zone: ZoneInfo) -> None:
        self.blocks: list[str] = []
        self._lang = lang
        self._zone = zone

    def add(self, block: str) -> None:
        self.blocks.append(block)

    def heading(self, key: str) -> None:
        self.add(f"## {self.say(key)}")

    def say(self, key: str, /, **facts: object) -> str:
        return str(in_language(phrase(key, **facts), self._lang))

    def tell(self, told: Phrase) -> str:
        """Give a phrase of another catalogue; none of them holds what people wrote."""
        return str(in_language(told, self._lang))

    def unknown(self, reason: Phrase | None) -> str:
        return self.say("unknown", reason=self.tell(reason or NO_EFFECT))

    def time(self, at_us: int) -> str:
        at = (_EPOCH + timedelta(microseconds=at_us)).astimezone(self._zone)
        return f"{at:%Y-%m-%d %H:%M}"

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        lines = [f"| {' | '.join(headings)} |", f"|{' --- |' * len(headings)}"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
        self.add("\n".join(lines))

    def interval(self, lower: float | None, upper: float | None) -> str:
        if lower is None or upper is None:
            return self.unknown(NO_EFFECT)
        return f"[{number(lower)}, {number(upper)}]"

    def estimate(self, found: Estimate) -> str:
        if found.value is None or found.lower is None or found.upper is None:
            return self.unknown(found.reason)
        return f"{found.value:+.2%} [{found.lower:+.2%}, {found.upper:+.2%}]"


def plain(text: str) -> str:
    """Escape a text that a person gave, so that it is neither markup nor a table's end."""
    for sign in _LINE_ENDS:
        text = text.replace(sign, " ")
    return text.translate(_SPECIAL)


def number(value: float, sign: str = "") -> str:
    """Write a number with about five digits, as people do: no exponents where they can be spared.

    Examples
    --------
    >>> number(12990.5), number(0.0123456), number(2.0, "+")
    ('12990', '0.012346', '+2.0000')
    """
    if value == 0.0:
        return "0"
    size = floor(log10(abs(value)))
    if not -6 <= size <= 12:
        return f"{value:{sign}.3g}"
    return f"{value:{sign}.{max(0, _DIGITS - 1 - size)}f}"


# --- sections


def _verdict(page: _Page, report: Report) -> None:
    page.heading("verdict")
    look = report.look
    if look is None:
        page.add(page.unknown(NO_LOOK))
        return
    page.add(f"**{look.verdict}**: {page.tell(sentence(look))}.")
    rows = [
        [page.say("rule"), f"`{look.rule}`"],
        [page.say("engine"), page.tell(engine(look.engine))],
        ["alpha", page.say("alpha", alpha=look.alpha)],
    ]
    if look.verdict == "CONTINUE":
        rows.append([page.say("expected"), page.tell(expected_in(look))])
    page.table([page.say("item"), page.say("value")], rows)


def _design(page: _Page, report: Report) -> None:
    page.heading("design")
    experiment = report.experiment
    design = experiment.design
    given = plain(design.hypothesis) or page.say("no_hypothesis")
    arms = [
        page.say("arm_asked", arm=arm.name, answers=_answers(arm), share=f"{share:.1%}")
        for arm, share in zip(design.arms, experiment.weights, strict=True)
    ]
    goal = page.say("more" if design.higher_is_better else "less", metric=f"`{design.metric}`")
    created = page.time(experiment.created_at)
    rows = [
        ("hypothesis", given),
        ("state", str(experiment.state)),
        ("mode", str(design.mode)),
        ("model", f"`{design.model}`"),
        ("arms", "; ".join(arms)),
        ("unit", design.unit),
        ("goal", goal),
        ("created", page.say("by", at=created, who=plain(experiment.created_by))),
        ("started", _moment(page, experiment.started_at, "not_started")),
        ("ended", _moment(page, experiment.ended_at, "not_ended")),
    ]
    if design.template:
        rows.append(("template", design.template))
    if design.horizon_days:
        rows.append(("horizon", page.say("horizon_is", days=design.horizon_days)))
    if design.secondary:
        rows.append(("also", ", ".join(f"`{metric}`" for metric in design.secondary)))
    if design.margin:
        rows.append(("margin", number(design.margin)))
    if design.planned_n:
        rows.append(("planned", str(design.planned_n)))
    if design.ends_after_s:
        rows.append(("days", f"{design.ends_after_s / DAY_S:g}"))
    rows += [("guarded", _guarded(page, one)) for one in design.guardrails]
    if design.cap is not None:
        rows.append(("cap", _cap(page, design.cap)))
    listed = design.listed
    if listed is not None:
        of = page.say(
            "list_of",
            n=sum(listed.counts),
            source=plain(listed.source),
            key=plain(listed.key),
            block=plain(listed.block) or "-",
        )
        rows += [("list", of), ("seed", str(listed.seed)), ("data_hash", f"`{listed.sha256}`")]
    page.table(
        [page.say("item"), page.say("value")], [[page.say(key), value] for key, value in rows]
    )


def _guarded(page: _Page, guardrail: Guardrail) -> str:
    name = f"`{guardrail.event}`"
    if guardrail.higher_is_better is None:
        return page.say("guarded_event", event=name, ratio=f"{guardrail.tolerated:g}")
    told = "guarded_more" if guardrail.higher_is_better else "guarded_less"
    return page.say(told, metric=name, margin=f"{guardrail.margin:g}")


def _cap(page: _Page, cap: Cap) -> str:
    share = f"{cap.quantile * 100:g} %"
    if cap.steps is None:
        reason = page.tell(unsaid(Unsaid.NO_CAP))
        return f"{share}: {page.say('unknown', reason=reason)}"
    return page.say("cap_is", share=share, cap=number(cap.steps / PER_UNIT), n=cap.n)


def _answers(arm: Arm) -> str:
    return arm.version if arm.answers is Answers.VERSION else str(arm.answers)


def _moment(page: _Page, at: int | None, otherwise: str) -> str:
    return page.say(otherwise) if at is None else page.time(at)


def _counts(page: _Page, report: Report) -> None:
    page.heading("counts")
    look, design = report.look, report.experiment.design
    if look is None:
        page.add(page.unknown(NO_LOOK))
        return
    n = sum(arm.units for arm in look.arms)
    headings = [page.say(key) for key in ("arm", "units", "share", "labelled")]
    headings += [page.say("mean", metric=f"`{design.metric}`"), page.say("interval_95")]
    page.table(headings, [_arm(page, arm, n) for arm in look.arms])
    if design.cap is not None:
        page.add(page.say("as_recorded"))


def _arm(page: _Page, arm: ArmReport, n: int) -> list[str]:
    mean = page.say("unknown", reason=page.say("no_outcome"))
    share = f"{arm.units / n:.1%}" if n else page.say("unknown", reason=page.say("few_units"))
    return [
        arm.arm,
        str(arm.units),
        share,
        str(arm.labelled),
        mean if arm.mean is None else number(arm.mean),
        mean if arm.mean is None else page.interval(arm.lower, arm.upper),
    ]


def _ratio(page: _Page, report: Report) -> None:
    page.heading("srm")
    look = report.look
    if look is None:
        page.add(page.unknown(NO_LOOK))
        return
    few = page.say("unknown", reason=page.say("few_units"))
    p = few if look.srm_p is None else f"{look.srm_p:.3g}"
    page.add(
        page.say("srm_alarm" if look.srm_e >= _ALARM else "srm_ok", e=f"{look.srm_e:.3g}", p=p)
    )
    page.add(page.say("leaks", n=look.leaks))


def _maturity(page: _Page, report: Report) -> None:
    page.heading("maturity")
    look = report.look
    if look is None:
        page.add(page.unknown(NO_LOOK))
    elif report.experiment.design.mode is Mode.OUTSIDE:
        n = sum(arm.units for arm in look.arms)
        page.add(page.say("immature_units", n=look.immature, of=n))
    elif look.mature_after_h is None:
        page.add(page.unknown(phrase("delay")))
    else:
        page.add(page.say("mature", hours=look.mature_after_h, n=look.immature))
    if look is not None and look.asked_later is not None:
        page.add(f"{page.tell(paired_of(look.asked_later))}.")


def _effect(page: _Page, report: Report) -> None:
    page.heading("effect")
    look = report.look
    if look is None:
        page.add(page.unknown(NO_LOOK))
        return
    design = report.experiment.design
    level = f"{1.0 - alpha_each(design):.3%}".replace(".000", "")
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
            kept, theta = f"{1.0 - found.kept:.1%}", number(found.theta)
        page.add(page.say("adjusted", column=plain(listed.covariate), theta=theta, share=kept))
    page.add(page.say("effect_note"))


def _goal(page: _Page, goal: GoalReport, report: Report) -> list[str]:
    lift = report.lifts.get(goal.arm, Estimate(reason=report.unsaid))
    known = goal.effect is not None
    mature = page.unknown(phrase("no_mature"))
    return [
        goal.arm,
        page.unknown(NO_EFFECT) if goal.effect is None else number(goal.effect, "+"),
        page.interval(goal.lower, goal.upper),
        f"{goal.p_value:.3g}" if known else page.unknown(NO_EFFECT),
        f"{goal.e_value:.3g}" if known else page.unknown(NO_EFFECT),
        page.estimate(lift),
        mature if goal.mature_effect is None else number(goal.mature_effect, "+"),
    ]


def _metrics(page: _Page, report: Report) -> None:
    look = report.look
    if look is None or len(look.compared) <= len(look.goals):
        return
    page.heading("metrics")
    headings = ("metric", "role", "arm", "n_units", "control", "treatment")
    own = ("effect", "interval_own", "smallest_p", "adjusted_p")
    page.table(
        [page.say(key) for key in (*headings, *own)],
        [_metric(page, one) for one in look.compared],
    )
    page.add(page.say("metrics_note", alpha=look.alpha, share=f"{look.alpha:.0%}"))


def _metric(page: _Page, one: MetricReport) -> list[str]:
    unknown = page.say("unknown_as_said")
    effect = unknown if one.reason is None else page.unknown(unsaid(one.reason))
    return [
        f"`{one.metric}`",
        page.say(f"{one.role}_role"),
        one.arm,
        f"{one.n_control} / {one.n_treatment}",
        unknown if one.control is None else number(one.control),
        unknown if one.treatment is None else number(one.treatment),
        effect if one.effect is None else number(one.effect, "+"),
        unknown if one.effect is None else page.interval(one.lower, one.upper),
        unknown if one.p_value is None else f"{one.p_value:.3g}",
        page.say("not_adjusted")
        if one.role == GUARDRAIL
        else (unknown if one.adjusted_p is None else f"{one.adjusted_p:.3g}"),
    ]


def _parts(page: _Page, report: Report) -> None:
    look, listed = report.look, report.experiment.design.listed
    if look is None or listed is None or not look.by_part:
        return
    page.heading("parts")
    headings = ("part", "n_units", "control", "treatment", "effect", "interval_own", "adjusted_p")
    unknown = page.say("unknown_as_said")
    rows = []
    for one in look.by_part:
        effect = unknown if one.reason is None else page.unknown(unsaid(one.reason))
        above = "-" if one.above is None else number(one.above)
        rows.append(
            [
                f"{one.part}: {above} … {'-' if one.up_to is None else number(one.up_to)}",
                f"{one.n_control} / {one.n_treatment}",
                unknown if one.control is None else number(one.control),
                unknown if one.treatment is None else number(one.treatment),
                effect if one.effect is None else number(one.effect, "+"),
                unknown if one.effect is None else page.interval(one.lower, one.upper),
                unknown if one.adjusted_p is None else f"{one.adjusted_p:.3g}",
            ]
        )
    page.table([page.say(key) for key in headings], rows)
    page.add(page.say("parts_note", column=plain(listed.covariate)))


def _guardrails(page: _Page, report: Report) -> None:
    look: Look | None = report.look
    page.heading("guardrails")
    if look is None:
        page.add(page.unknown(NO_LOOK))
    elif not look.guardrails:
        page.add(page.say("none"))
    else:
        rows = [[name, f"{e:.3g}"] for name, e in look.guardrails.items()]
        page.table([page.say("guardrail"), page.say("evidence_of_harm")], rows)
        if look.ramp_e is not None:
            page.add(page.say("harm_together", e=f"{look.ramp_e:.3g}"))


def _cost(page: _Page, report: Report) -> None:
    page.heading("cost")
    metric = f"`{report.experiment.design.metric}`"
    if not report.costs:
        page.add(page.unknown(report.unsaid or NO_EFFECT))
    for arm, cost in report.costs.items():
        keep, choose = number(cost.keeping), number(cost.choosing)
        page.add(page.say("cost_keep", keep=keep, choose=choose, arm=arm, metric=metric))
        if report.experiment.design.mode is not Mode.SHADOW:  # unheard answers cost nobody anything
            worse = arm if cost.worse_is_treatment else report.experiment.design.names[0]
            total = number(cost.each * cost.n_worse)
            each = number(cost.each)
            page.add(page.say("cost_so_far", n=cost.n_worse, arm=worse, each=each, total=total))


def _corrections(page: _Page, report: Report) -> None:
    page.heading("corrections")
    if report.corrected is None:
        page.add(page.unknown(report.unsaid))
    else:
        page.add(page.say("corrected", n=report.corrected))


def _history(page: _Page, report: Report) -> None:
    page.heading("history")
    headings = [page.say(key) for key in ("when", "action", "who", "why")]
    rows = [
        [page.time(event.at), event.action, plain(event.who), plain(event.reason)]
        for event in report.events
    ]
    page.table(headings, rows)
