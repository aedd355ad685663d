"""Experiments as a person reads them in a terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from timonel.cli.output import decimal, language, moment, out, say, table, text
from timonel.errors import in_language

if TYPE_CHECKING:
    from timonel.experiments.design import Cap, Design
    from timonel.experiments.judging.look import ArmReport, Look, MetricReport, PartReport
    from timonel.experiments.latency import Answered
    from timonel.experiments.rows import Event, Experiment

_DAY_S = 86_400
_UNKNOWN = "-"


def shares_text(experiment: "Experiment") -> str:
    """Write the shares in force."""
    shares = zip(experiment.design.names, experiment.weights, strict=True)
    return ", ".join(f"{name} {decimal(share, '.0%')}" for name, share in shares)


def print_list(found: Sequence[tuple["Experiment", "Look | None"]]) -> None:
    """Print one line an experiment."""
    from timonel.experiments.texts import effect_of, sentence

    lang = language()
    rows = []
    for experiment, look in found:
        goal = None if look is None else look.goal
        rows.append(
            [
                experiment.name,
                experiment.design.model,
                experiment.state,
                shares_text(experiment),
                _UNKNOWN if look is None else sum(arm.answers for arm in look.arms),
                _UNKNOWN if goal is None else in_language(effect_of(goal), lang),
                _UNKNOWN if look is None else in_language(sentence(look), lang),
            ]
        )
    table(text("experiments_headings").split("|"), rows)


def print_experiment(
    experiment: "Experiment", look: "Look | None", events: Sequence["Event"], *, zone: str
) -> None:
    """Print an experiment, its last look and its history."""
    design = experiment.design
    say(
        "experiment_title",
        name=experiment.name,
        state=experiment.state,
        model=design.model,
        mode=design.mode,
        unit=design.unit,
    )
    _print_times(experiment, zone)
    if experiment.verdict is not None:
        say("experiment_ended_as", verdict=experiment.verdict)
    print_participation(design)
    print_listed(design)
    if design.cap is not None:
        _print_cap(design.cap, design.cap_needs)
    if design.horizon_days:
        say("experiment_horizon", days=design.horizon_days)
    if look is None:
        say("experiment_no_look")
    else:
        if design.mode != "interleave":  # both rankings are in every list: there are no arms
            headings = text("arms_headings", metric=design.metric).split("|")
            table(headings, [_arm_row(arm) for arm in look.arms])
        _print_look(experiment, look)
    say("experiment_history")
    for event in events:
        at, why = moment(event.at, ZoneInfo(zone)), in_language(event.reason, language())
        out(f"    {at}  {event.action}  {event.who}  {why}".rstrip())


def print_answered(answered: "Mapping[str, Answered]") -> None:
    """Print how soon and how well each arm answered, where its answers are in the log."""
    rows = [
        [
            arm,
            one.n,
            decimal(one.failed / one.n, ".2%"),
            decimal(one.fell_back / one.n, ".2%"),
            _UNKNOWN if one.p95_ms is None else f"<= {decimal(one.p95_ms, 'g')}",
        ]
        for arm, one in answered.items()
    ]
    if rows:
        table(text("answered_headings").split("|"), rows)


def _print_times(experiment: "Experiment", zone: str) -> None:
    """Say when it began and ended, and what stretches of time it counts in."""
    design = experiment.design
    started, ended = (
        _UNKNOWN if at is None else moment(at, ZoneInfo(zone))
        for at in (experiment.started_at, experiment.ended_at)
    )
    created = moment(experiment.created_at, ZoneInfo(zone))
    say("experiment_times", created=created, started=started, ended=ended, zone=zone)
    if design.ends_after_s is not None:
        say("experiment_days", days=decimal(design.ends_after_s / _DAY_S, "g"))
    if design.period_s:
        say("experiment_period", days=decimal(design.period_s / _DAY_S, "g"))
    if design.unit == "block":
        say("experiment_block", hours=decimal(design.block_s / 3600, "g"))
    if design.mode == "interleave":
        say("experiment_window", minutes=decimal(design.window_s / 60, "g"))
    if design.strategy == "THOMPSON":
        say("experiment_batch", hours=decimal(design.batch_s / 3600, "g"))
    if design.costs is not None:
        holding, shortage = decimal(design.costs.holding, "g"), decimal(design.costs.shortage, "g")
        say("experiment_costs", holding=holding, shortage=shortage)


def print_participation(design: "Design") -> None:
    """Say who takes part, and how shares grow, where the design limits it."""
    from timonel.experiments.reporting.asked import participation
    from timonel.experiments.reporting.phrases import phrase

    for key, asked in participation(design):
        out(f"  {in_language(phrase(key), language()):<9} {in_language(asked, language())}")


def print_listed(design: "Design") -> None:
    """Say by what a list of units was assigned: enough to do it again."""
    listed = design.listed
    if listed is None:
        return
    counts = zip(design.names, listed.counts, strict=True)
    say(
        "experiment_listed",
        n=sum(listed.counts),
        source=listed.source,
        counts=", ".join(f"{name} {n}" for name, n in counts),
        seed=listed.seed,
        column=listed.key,
        block=listed.block or _UNKNOWN,
        covariate=listed.covariate or _UNKNOWN,
        sha256=listed.sha256,
    )


def _print_cap(cap: "Cap", least: int) -> None:
    from timonel.stats.moments import PER_UNIT

    share = f"{decimal(cap.quantile * 100, 'g')} %"
    if cap.steps is None:
        say("experiment_no_cap", share=share, least=least)
    else:
        say("experiment_cap", share=share, cap=decimal(cap.steps / PER_UNIT, "g"), n=cap.n)


def _print_look(experiment: "Experiment", look: "Look") -> None:
    from timonel.experiments.texts import SILENT, effect_of, expected_in, sentence

    design = experiment.design
    say("experiment_says", sentence=sentence(look))
    if design.mode == "interleave" or design.strategy == "THOMPSON":
        own = _print_comparisons if design.mode == "interleave" else _print_batches
        own(look)
        return
    for goal in look.goals:
        side = text("experiment_more" if design.higher_is_better else "experiment_less")
        known = goal.effect is not None
        e = decimal(goal.e_value, ".3g") if known else _UNKNOWN
        p = decimal(goal.p_value, ".3g") if known else _UNKNOWN
        effect = in_language(effect_of(goal), language())
        say("experiment_effect", effect=effect, metric=goal.metric, side=side, e=e, p=p)
        if goal.chance_to_win is not None:
            say("experiment_win", chance=decimal(goal.chance_to_win, ".1%"))
    _print_others(look, design)
    say(
        "experiment_rule",
        engine=look.engine,
        alpha=decimal(look.alpha, "g"),
        srm=decimal(look.srm_e, ".3g"),
    )
    _print_labels(design, look)
    for name, evidence in look.guardrails.items():
        say("experiment_guardrail", name=name, e=decimal(evidence, ".3g"))
    for metric in look.silent:
        say("experiment_silent", name=metric, reason=SILENT)
    if look.ramp_e is not None:
        say("experiment_ramp_e", e=decimal(look.ramp_e, ".3g"))
    if look.verdict == "CONTINUE":
        say("experiment_expected", expected=expected_in(look))


def _print_others(look: "Look", design: "Design") -> None:
    """Print the metrics beside the goal, and the goal in parts, where there are any."""
    if len(look.compared) > len(look.goals):
        print_metrics(look, "pairs" if design.mode == "shadow" else "units")
    if look.by_part:
        print_parts(look, design)


def _print_labels(design: "Design", look: "Look") -> None:
    from timonel.experiments.texts import paired_of, youngest_of

    if design.mode == "outside":
        say("experiment_without_outcome", n=look.immature)
    elif look.mature_after_h is None:
        say("experiment_immature")
    else:
        say("experiment_mature", hours=look.mature_after_h, n=look.immature)
    ages = {arm.arm: age for arm in look.arms if (age := youngest_of(arm, look)) is not None}
    if len(set(ages.values())) == 1:  # the same of all: once
        ages = {", ".join(ages): next(iter(ages.values()))}
    for arms, age in ages.items():
        say("experiment_youngest", arm=arms, age=age)
    if look.asked_later is not None:
        say("experiment_paired", paired=paired_of(look.asked_later))


def print_metrics(look: "Look", counted: str) -> None:
    """Print a line a metric and treatment, with the p-value adjusted over all of them."""
    rows = [
        [
            one.metric,
            one.arm,
            f"{one.n_control} / {one.n_treatment}",
            decimal(one.control, ".4f"),
            decimal(one.treatment, ".4f"),
            _told(one),
            decimal(one.p_value, ".3g"),
            decimal(one.adjusted_p, ".3g"),
        ]
        for one in look.compared
    ]
    headings = text("compared_headings", n=text(f"compared_{counted}"))
    table(headings.split("|"), rows)


def print_parts(look: "Look", design: "Design") -> None:
    """Print the goal in each part of a list, by what was known of its units before."""
    rows = [
        [
            one.part,
            _bounds(one),
            f"{one.n_control} / {one.n_treatment}",
            decimal(one.control, ".4f"),
            decimal(one.treatment, ".4f"),
            _told(one),
            decimal(one.adjusted_p, ".3g"),
        ]
        for one in look.by_part
    ]
    column = "" if design.listed is None else design.listed.covariate
    table(text("parts_headings", column=column).split("|"), rows)


def _bounds(one: "PartReport") -> str:
    above = _UNKNOWN if one.above is None else decimal(one.above, "g")
    return f"{above} .. {_UNKNOWN if one.up_to is None else decimal(one.up_to, 'g')}"


def _told(one: "MetricReport") -> str:
    from timonel.experiments.texts import effect_of, unsaid

    if one.reason is not None:
        return text("metric_unknown", reason=unsaid(one.reason))
    told: str = in_language(effect_of(one), language())
    return told


def _print_batches(look: "Look") -> None:
    facts = look.facts
    say(
        "experiment_batches",
        n=facts["batches"],
        waiting=facts["waiting"],
        floor=decimal(facts["floor"], ".0%"),
    )
    if "best" in facts:
        best = facts["best"].items()
        chances = ", ".join(f"{arm} {decimal(chance, '.1%')}" for arm, chance in best)
        say("experiment_best", chances=chances)


def _print_comparisons(look: "Look") -> None:
    from timonel.experiments.texts import expected_in

    sides = {side: look.pairs.get(side, 0) for side in ("treatment", "control", "tied")}
    say("experiment_comparisons", units=look.arms[0].units, immature=look.immature, **sides)
    for goal in look.goals:
        share, low, high = (
            _UNKNOWN if value is None else decimal(value + 0.5, ".3f")
            for value in (goal.effect, goal.lower, goal.upper)
        )
        e, p = decimal(goal.e_value, ".3g"), decimal(goal.p_value, ".3g")
        say("experiment_won", share=share, low=low, high=high, e=e, p=p)
    if look.verdict == "CONTINUE":
        say("experiment_expected", expected=expected_in(look))


def _arm_row(arm: "ArmReport") -> list[object]:
    interval = _UNKNOWN
    if arm.lower is not None and arm.upper is not None:
        interval = f"{decimal(arm.lower, '.4f')} - {decimal(arm.upper, '.4f')}"
    return [
        arm.arm,
        arm.units,
        arm.answers,
        arm.labelled,
        decimal(arm.mean, ".4f"),
        interval,
        decimal(arm.fallback_rate, ".1%"),
        decimal(arm.mean_latency_ms, ".2f"),
        decimal(arm.mean_confidence, ".3f"),
    ]
