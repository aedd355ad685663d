"""A report as Markdown, in the reader's language; what is not known has its reason there."""

from zoneinfo import ZoneInfo

from timonel.experiments.design import (
    DAY_S,
    Answers,
    Arm,
    Cap,
    Design,
    Guardrail,
    Mode,
    Strategy,
    UnitList,
)
from timonel.experiments.judging.look import Look, Unsaid
from timonel.experiments.reporting import bandits, comparing, rankings
from timonel.experiments.reporting.asked import participation
from timonel.experiments.reporting.page import Page, Section, plain, seen
from timonel.experiments.reporting.phrases import engine
from timonel.experiments.reporting.report import Report
from timonel.experiments.texts import expected_in, sentence, unsaid
from timonel.stats.moments import PER_UNIT


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
    page = Page(lang, ZoneInfo(zone))
    page.add(f"# {page.say('title', name=plain(report.experiment.name))}")
    if report.look is not None:
        at = page.time(report.look.at)
        page.add(page.say("as_of", number=report.number, at=at, zone=plain(zone)))
    sections = (seen("verdict", _verdict), _design, *_own(report.experiment.design), _history)
    for section in sections:
        section(page, report)
    return "\n\n".join(page.blocks) + "\n"


def _own(design: Design) -> tuple[Section, ...]:
    """Give the sections of what a kind of experiment knows."""
    if design.mode is Mode.INTERLEAVE:
        return rankings.SECTIONS
    return bandits.SECTIONS if design.strategy is Strategy.THOMPSON else comparing.SECTIONS


# --- sections of all kinds


def _verdict(page: Page, report: Report, look: Look) -> None:
    page.add(f"**{look.verdict}**: {page.tell(sentence(look))}.")
    rows = [
        [page.say("rule"), f"`{look.rule}`"],
        [page.say("engine"), page.tell(engine(look.engine))],
    ]
    if report.experiment.design.strategy is Strategy.THOMPSON:
        page.table([page.say("item"), page.say("value")], rows)
        page.add(page.say("no_claim"))
        return
    rows.append(["alpha", page.say("alpha", alpha=page.figure(look.alpha, "g"))])
    if look.verdict == "CONTINUE":
        rows.append([page.say("expected"), page.tell(expected_in(look))])
    if report.experiment.verdict is not None:
        # of a ramp that was promoted, no look says so: its last step has held
        rows.append([page.say("ended_as"), report.experiment.verdict])
    page.table([page.say("item"), page.say("value")], rows)


def _design(page: Page, report: Report) -> None:
    page.heading("design")
    experiment = report.experiment
    design = experiment.design
    given = plain(design.hypothesis) or page.say("no_hypothesis")
    arms = [
        page.say("arm_asked", arm=arm.name, answers=_answers(arm), share=page.figure(share, ".1%"))
        for arm, share in zip(design.arms, experiment.weights, strict=True)
    ]
    goal = page.say("more" if design.higher_is_better else "less", metric=f"`{design.metric}`")
    created = page.time(experiment.created_at)
    rows = [
        ("hypothesis", given),
        ("state", str(experiment.state)),
        ("mode", str(design.mode)),
        ("strategy", str(design.strategy)),
        ("model", f"`{design.model}`"),
        ("arms", "; ".join(arms)),
        ("unit", design.unit),
        ("goal", goal),
        ("created", page.say("by", at=created, who=plain(experiment.created_by))),
        ("started", _moment(page, experiment.started_at, "not_started")),
        ("ended", _moment(page, experiment.ended_at, "not_ended")),
    ]
    rows += _asked(page, design)
    if design.listed is not None:
        rows += _listed(page, design.listed)
    page.table(
        [page.say("item"), page.say("value")], [[page.say(key), value] for key, value in rows]
    )


def _asked(page: Page, design: Design) -> list[tuple[str, str]]:
    """Give what was asked for beyond what every experiment has."""
    rows = [(key, plain(page.tell(text))) for key, text in participation(design)]
    if design.template:
        rows.append(("template", design.template))
    if design.horizon_days:
        rows.append(("horizon", page.say("horizon_is", days=design.horizon_days)))
    if design.secondary:
        also = "also_compared" if design.paired else "also"
        rows.append((also, ", ".join(f"`{metric}`" for metric in design.secondary)))
    if design.costs is not None:
        holding, shortage = page.number(design.costs.holding), page.number(design.costs.shortage)
        rows.append(("costs", page.say("costs_are", holding=holding, shortage=shortage)))
    if design.margin:
        rows.append(("margin", page.number(design.margin)))
    if design.planned_n:
        rows.append(("planned", str(design.planned_n)))
    if design.ends_after_s:
        rows.append(("days", page.figure(design.ends_after_s / DAY_S, "g")))
    rows += _times(page, design)
    rows += [("guarded", _guarded(page, one)) for one in design.guardrails]
    if design.cap is not None:
        rows.append(("cap", _cap(page, design.cap)))
    return rows


def _times(page: Page, design: Design) -> list[tuple[str, str]]:
    """Give the stretches of time that a kind of experiment counts in."""
    if design.period_s:
        return [("period", page.say("period_is", days=page.figure(design.period_s / DAY_S, "g")))]
    if design.mode is Mode.INTERLEAVE:
        return [("window", page.say("window_is", minutes=page.figure(design.window_s / 60, "g")))]
    if design.strategy is Strategy.THOMPSON:
        hours = page.figure(design.batch_s / 3600, "g")
        return [
            (
                "batching",
                page.say("batches_of", hours=hours, floor=page.figure(design.floor, ".1%")),
            )
        ]
    return []


def _listed(page: Page, listed: UnitList) -> list[tuple[str, str]]:
    of = page.say(
        "list_of",
        n=sum(listed.counts),
        source=plain(listed.source),
        key=plain(listed.key),
        block=plain(listed.block) or "-",
    )
    return [("list", of), ("seed", str(listed.seed)), ("data_hash", f"`{listed.sha256}`")]


def _guarded(page: Page, guardrail: Guardrail) -> str:
    name = f"`{guardrail.event}`"
    if guardrail.recorded:
        return page.say("guarded_recorded", event=name, ratio=page.figure(guardrail.tolerated, "g"))
    if guardrail.higher_is_better is None:
        return page.say("guarded_event", event=name, ratio=page.figure(guardrail.tolerated, "g"))
    told = "guarded_more" if guardrail.higher_is_better else "guarded_less"
    return page.say(told, metric=name, margin=page.figure(guardrail.margin, "g"))


def _cap(page: Page, cap: Cap) -> str:
    share = f"{page.figure(cap.quantile * 100, 'g')} %"
    if cap.steps is None:
        reason = page.tell(unsaid(Unsaid.NO_CAP))
        return f"{share}: {page.say('unknown', reason=reason)}"
    return page.say("cap_is", share=share, cap=page.number(cap.steps / PER_UNIT), n=cap.n)


def _answers(arm: Arm) -> str:
    return arm.version if arm.answers is Answers.VERSION else str(arm.answers)


def _moment(page: Page, at: int | None, otherwise: str) -> str:
    return page.say(otherwise) if at is None else page.time(at)


def _history(page: Page, report: Report) -> None:
    page.heading("history")
    headings = [page.say(key) for key in ("when", "action", "who", "why")]
    rows = [
        [page.time(event.at), event.action, plain(event.who), plain(page.tell(event.reason))]
        for event in report.events
    ]
    page.table(headings, rows)
