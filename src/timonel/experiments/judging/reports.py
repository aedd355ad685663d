"""What is shown of each arm: counts, the metric with its interval, classes, latency, fallback."""

from collections.abc import Mapping
from math import sqrt

from msgspec.structs import replace

from timonel.events.frames import Fate
from timonel.experiments.counting.sums import (
    ANSWERS,
    APART,
    ASKED,
    CONFIDENCE,
    DAY,
    DIFFERENCE,
    DROPPED,
    HIT,
    HOUR_US,
    LATENCY,
    SHADOW,
    PairSums,
)
from timonel.experiments.design import HOLDOUT, Design, Mode, parts_of
from timonel.experiments.judging.evidence import Counted, Evidence
from timonel.experiments.judging.look import ArmReport, ShadowReport
from timonel.stats.intervals import wilson
from timonel.stats.moments import PER_UNIT, Moments


def arm_reports(design: Design, evidence: Evidence) -> list[ArmReport]:
    """Report every arm, the control first, the holdout last."""
    names, arms = [*design.names, *([HOLDOUT] if design.holdout else [])], evidence.arms
    if design.mode is Mode.SHADOW:
        reports = [_report(design, names[0], arms.get(names[0], Counted())), _unheard(design, arms)]
    else:
        reports = [_report(design, name, arms.get(name, Counted())) for name in names]
    if evidence.youngest is None:
        return reports
    return [
        replace(one, mature_label_age_h=_age_h(evidence.at, evidence.youngest.get(one.arm)))
        for one in reports
    ]


def _age_h(at: int, day: int | None) -> int | None:
    """Give the whole hours since a day of exposure ended."""
    return None if day is None else max(0, at // HOUR_US - day - DAY)


def _unheard(design: Design, arms: Mapping[str, Counted]) -> ArmReport:
    """Report the version that nobody hears, by the labels of requests it answered too."""
    name, heard = design.names[1], arms.get(design.names[0], Counted())
    difference, goal = heard.sums(DIFFERENCE), heard.sums(design.metric)
    n = labels(difference)
    mean = None
    if n and labels(goal):
        mean = goal.q / labels(goal) / PER_UNIT + difference.q / n / PER_UNIT
    shadow = shadow_report(design, arms)
    answers = 0 if shadow is None else shadow.answered
    return ArmReport(arm=name, units=0, answers=answers, labelled=n, mean=mean)


def shadow_report(design: Design, arms: Mapping[str, Counted]) -> ShadowReport | None:
    """Say what came of asking a shadow after the answers; None where no request did."""
    if design.mode is not Mode.SHADOW:
        return None
    heard = arms.get(design.names[0], Counted())
    asked, dropped = (heard.sums(SHADOW + one).n for one in (ASKED, DROPPED))
    if not asked and not dropped:
        return None
    known = {fate.value: heard.sums(SHADOW + fate).n for fate in Fate}
    return ShadowReport(**known, dropped=dropped, missing=max(0, asked - sum(known.values())))


def _report(design: Design, name: str, counted: Counted) -> ArmReport:
    goal = counted.sums(design.metric)
    answers = counted.sums(ANSWERS)
    mean, lower, upper = _mean(design, goal)
    return ArmReport(
        arm=name,
        units=counted.units,
        answers=answers.n,
        labelled=labels(goal, design.metric),
        mean=mean,
        lower=lower,
        upper=upper,
        fallback_rate=_share(answers),
        mean_latency_ms=_share(counted.sums(LATENCY)),
        mean_confidence=_share(counted.sums(CONFIDENCE)),
        classes=_classes(counted),
    )


def labels(sums: PairSums, metric: str = "") -> int:
    """Give how many labels stand behind sums: values, not units; of a ratio, units."""
    return sums.x if sums.x and per_unit_of(metric) == 1 else sums.n


def per_unit_of(metric: str) -> int:
    """Give the steps of the second number of a metric's pairs: of a ratio, it is a value, too."""
    return PER_UNIT if len(parts_of(metric)) == 2 else 1


def _share(sums: PairSums) -> float | None:
    return sums.q / sums.n / PER_UNIT if sums.n > 0 else None


def _mean(design: Design, goal: PairSums) -> tuple[float | None, float | None, float | None]:
    """Give an arm's own mean and its 95 % interval, by units where they may come again."""
    if goal.n <= 0:
        return None, None, None
    if design.metric == "correct" and not goal.x:
        hits = goal.q // PER_UNIT
        found = wilson(hits, goal.n)
        return found.estimate, found.low, found.high
    alone = moments_of(goal, design.metric)
    if alone is None:
        return None, None, None
    if alone.variance is None:
        return alone.mean, None, None
    half = 1.959964 * sqrt(alone.variance / alone.n)
    return alone.mean, alone.mean - half, alone.mean + half


def arm_moments(arms: Mapping[str, Counted], arm: str, metric: str) -> Moments | None:
    """Give an arm's mean of a metric and how units spread about it; None where there is none."""
    return moments_of(arms.get(arm, Counted()).sums(metric), metric)


def moments_of(sums: PairSums, metric: str) -> Moments | None:
    """Give the mean of values, or the ratio of sums where units may have several.

    Notes
    -----
    A ratio ``R = sum q / sum x`` spreads as ``(q - R x) / mean x`` (the delta method). Source:
    A. Deng, U. Knoblich, J. Lu, KDD 2018, section 2.
    """
    if not sums.x and per_unit_of(metric) == 1:
        return sums.alone.moments()
    moments = sums.moments(x_per_unit=per_unit_of(metric))
    if moments is None or moments.mean_x <= 0.0:
        return None
    ratio = moments.mean_y / moments.mean_x
    spread = moments.m2_y - 2 * ratio * moments.c_yx + ratio * ratio * moments.m2_x
    return Moments(moments.n, ratio, max(0.0, spread) / moments.mean_x**2)


def _classes(counted: Counted) -> dict[str, dict[str, float | None]]:
    """Give precision, recall and F1 a class, from the counts of truth and answer."""
    hits: dict[tuple[str, str], int] = {}
    for metric, sums in counted.values.items():
        if metric.startswith(HIT) and sums.n > 0:
            truth, _, answer = metric[len(HIT) :].partition(APART)
            hits[truth, answer] = sums.n
    report: dict[str, dict[str, float | None]] = {}
    for name in sorted({part for pair in hits for part in pair}):
        right = hits.get((name, name), 0)
        truths = sum(n for (truth, _), n in hits.items() if truth == name)
        answers = sum(n for (_, answer), n in hits.items() if answer == name)
        report[name] = {
            "precision": right / answers if answers else None,
            "recall": right / truths if truths else None,
            "f1": 2 * right / (truths + answers) if truths + answers else None,
            "n": float(truths),
        }
    return report
