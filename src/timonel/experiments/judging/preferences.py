"""Interleaved rankings: which of two wins the comparisons that one of them wins.

A unit's comparison counts when its window has ended: until then a later click could turn it, and
what is counted could not be decided on at any look. Source of the rule: ``paired_e_value``, exact
at every number of comparisons; ``won_share`` gives the same as an interval.
"""

from collections.abc import Iterable
from math import inf

from sqlalchemy import Connection

from timonel.experiments.counting.cells import read_cells
from timonel.experiments.counting.sums import DAY_US, FIRST, OPEN, PAIR
from timonel.experiments.design import Design
from timonel.experiments.judging.evidence import Counted, Evidence
from timonel.experiments.judging.look import (
    ArmReport,
    GoalReport,
    Look,
    Rule,
    Verdict,
    smallest_p,
)
from timonel.experiments.rankings.service import closes_at
from timonel.stats.paired import won_share
from timonel.stats.sequential import paired_e_value
from timonel.store.tables_experiments import experiment_cells

ENGINE = "interleaving"
_MOST_DAYS = 365.0
_LEAST_DAYS = 1.0 / 24.0


def read_preferences(
    connection: Connection, project: str, design: Design, *, at: int, started_at: int | None
) -> Evidence:
    """Read what a look judges: comparisons that are over, by who won them."""
    evidence = Evidence(at=at, elapsed_us=0 if started_at is None else max(0, at - started_at))
    units = evidence.arms.setdefault(design.names[0], Counted())
    of_units = experiment_cells.c.arrival_slot == OPEN
    for key, sums in read_cells(connection, project, design.name, of_units).items():
        over = closes_at(design, key.exposure_slot) <= at
        if key.metric == FIRST:
            if over:
                units.units += sums.n
            else:
                evidence.immature += sums.n
        elif over and key.metric.startswith(PAIR):
            side = key.metric[len(PAIR) :]
            evidence.pairs[side] = evidence.pairs.get(side, 0) + sums.n
    return evidence


def judge_preferences(design: Design, evidence: Evidence, before: Look | None) -> Look:
    """Look once at two rankings."""
    control, treatment = design.names[:2]
    won, lost = evidence.pairs.get("treatment", 0), evidence.pairs.get("control", 0)
    e = paired_e_value(won, lost)
    share = won_share(won, lost, alpha=design.alpha)
    verdict, rule = Verdict.CONTINUE, Rule.NOT_YET if won + lost else Rule.NO_COMPARISON
    if e >= 1.0 / design.alpha:
        better = won > lost
        verdict = Verdict.PROMOTE if better else Verdict.ROLL_BACK
        rule = Rule.RANKING_BETTER if better else Rule.RANKING_WORSE
    units = evidence.arms.get(control, Counted()).units
    if not units and not evidence.immature:
        rule = Rule.NO_DATA
    goal = GoalReport(
        arm=treatment,
        metric=design.metric,
        effect=_less_half(share.estimate),
        lower=_less_half(share.lower),
        upper=_less_half(share.upper),
        e_value=min(e, 1e300),
        p_value=smallest_p(design.metric, treatment, min(1.0, 1.0 / max(e, 1e-300)), before),
        information=float(won + lost),
    )
    return Look(
        at=evidence.at,
        verdict=verdict,
        rule=rule,
        arm=treatment if verdict is not Verdict.CONTINUE else "",
        alpha=design.alpha,
        engine=ENGINE,
        goals=[goal],
        arms=[
            ArmReport(arm=name, units=units, answers=0, labelled=sum(evidence.pairs.values()))
            for name in (control, treatment)
        ],
        immature=evidence.immature,
        pairs=evidence.pairs,
        expected_days=_expected_days(design, evidence, won, lost, verdict),
    )


def _less_half(share: float | None) -> float | None:
    return None if share is None else share - 0.5


def _expected_days(
    design: Design, evidence: Evidence, won: int, lost: int, verdict: Verdict
) -> float | None:
    """Days until today's share, if it stays, would decide; None where that cannot be said."""
    elapsed, n = evidence.elapsed_us / DAY_US, won + lost
    if verdict is not Verdict.CONTINUE or elapsed < _LEAST_DAYS or won == lost:
        return None
    wanted = next((m for m in _numbers(n) if _decides(design, won / n, m)), inf)
    days = (wanted / n - 1.0) * elapsed
    return None if days > _MOST_DAYS else max(0.0, days)


def _numbers(n: int) -> Iterable[int]:
    while n < 10**9:
        yield n
        n = n + n // 10 + 1


def _decides(design: Design, share: float, n: int) -> bool:
    won = round(share * n)
    return paired_e_value(won, n - won) >= 1.0 / design.alpha
