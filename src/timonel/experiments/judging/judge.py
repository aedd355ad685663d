"""The judge: evidence in, one verdict out. Pure; every number it used is in the look.

The order is that of harm: what makes the comparison meaningless, then harm, then gain, then time.
Source of the rules: the engines and formulas of ADR 0023 and of ``timonel.stats.sequential``.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import inf, prod, sqrt
from typing import Any, NamedTuple

import numpy as np
from msgspec import UNSET
from scipy.special import chdtrc

from timonel.experiments.counting.sums import DAY_US, PairSums
from timonel.experiments.design import (
    DAY_S,
    HOLDOUT,
    LEAST_BLOCKS,
    Design,
    Mode,
    Strategy,
    parts_of,
)
from timonel.experiments.judging.batches import judge_batches
from timonel.experiments.judging.evidence import Contribution, Counted, Evidence
from timonel.experiments.judging.guardrails import silent_guardrails, weigh_guardrails
from timonel.experiments.judging.look import (
    GoalReport,
    Look,
    Rule,
    Verdict,
    alpha_each,
    direction,
    finite,
    n_star,
    smallest_p,
)
from timonel.experiments.judging.metrics import metric_reports, part_reports
from timonel.experiments.judging.pairs import enough_clusters, paired_difference
from timonel.experiments.judging.preferences import judge_preferences
from timonel.experiments.judging.reports import arm_reports, labels, shadow_report
from timonel.stats.compare import chance_to_win
from timonel.stats.sequential import (
    asymptotic_cs,
    lan_demets_bounds,
    paired_e_value,
    ramp_e_value,
    srm_e_value,
)

SRM_BLOCKS = 100.0
DELAY_BLOCKS = 100.0
RAMP_E = 100.0
LEAST_UNITS = 50
LEAST_EVENTS = 5
LEAST_HARMED = 30
MOST_UNANSWERED = 0.05  # of what an unheard version was asked
RAMP_ALPHA = 0.01
_MOST_DAYS = 365.0
_LEAST_DAYS = 1.0 / 24.0  # what came in less says nothing of what comes in a day
_NEW_FRACTION = 0.02
# counts that are tried, each a tenth more than the last
_TRIED = tuple(accumulate(range(176), lambda n, _: n * 1.1, initial=50.0))


class _Ruling(NamedTuple):
    verdict: Verdict
    rule: Rule
    arm: str = ""


def judge(design: Design, evidence: Evidence, before: Look | None) -> Look:
    """Look once.

    Parameters
    ----------
    design : Design
    evidence : Evidence
    before : Look or None
        The last look: the smallest p-value and the times of earlier looks go on from it.

    Returns
    -------
    Look
    """
    if design.mode is Mode.INTERLEAVE:
        return judge_preferences(design, evidence, before)
    if design.strategy is Strategy.THOMPSON:
        return judge_batches(design, evidence)
    goals = [
        _goal_report(design, evidence, arm.name, before)
        for arm in design.arms[1:]
        if arm.name != HOLDOUT
    ]
    guardrails = weigh_guardrails(design, evidence)
    srm = prod(
        srm_e_value([counts.get(name, 0) for name in design.names], evidence.weights[phase])
        for phase, counts in sorted(evidence.first.items())
        if phase in evidence.weights
    )
    ramp = None
    if guardrails or design.mode is Mode.RAMP:
        ramp = max(_ramp_e(design, goal, guardrails) for goal in goals)
    noted = _Spent.of(before)
    spent = _spend(design, evidence, goals, noted)
    found = _Found(
        design, evidence, goals, guardrails, srm, ramp, spent.bound if spent != noted else None
    )
    ruling = found.ruling()
    days = found.expected_days() if ruling.verdict is Verdict.CONTINUE else None
    return Look(
        at=evidence.at,
        verdict=ruling.verdict,
        rule=ruling.rule,
        arm=ruling.arm,
        alpha=design.alpha,
        engine=engine_of(design),
        goals=goals,
        arms=arm_reports(design, evidence),
        guardrails={name: min(e, 1e300) for name, e in guardrails.items()},
        ramp_e=None if ramp is None else min(ramp, 1e300),
        srm_e=min(srm, 1e300),
        srm_p=_chi_square(design, evidence),
        delay_e=evidence.delay_e,
        leaks=evidence.leaks,
        mature_after_h=evidence.mature_after_h,
        immature=evidence.immature,
        pairs=evidence.pairs,
        expected_days=days,
        facts=spent.facts,
        metrics=metric_reports(design, evidence, goals, before) or UNSET,
        parts=part_reports(design, evidence, before) or UNSET,
        unheard_of=silent_guardrails(design, evidence) or UNSET,
        shadow=shadow_report(design, evidence.arms) or UNSET,
    )


def engine_of(design: Design) -> str:
    """Name the engine that a design is judged by."""
    if design.mode is Mode.SHADOW:
        return "paired"
    if design.mode is Mode.RAMP:
        return "guarded_ramp"
    return "confidence_sequence" if design.ends_after_s is None else "group_sequential"


@dataclass(frozen=True, slots=True)
class _Found:
    """What one look knows, and the rules in their order."""

    design: Design
    evidence: Evidence
    goals: list[GoalReport]
    guardrails: Mapping[str, float]
    srm: float
    ramp: float | None
    bound: float | None  # of this look, where it is one that alpha is spent on

    def ruling(self) -> _Ruling:
        for rule in (self._invalid, self._harm, self._gain, self._time):
            found = rule()
            if found is not None:
                return found
        return _Ruling(Verdict.CONTINUE, self._why_not_yet())

    def _invalid(self) -> _Ruling | None:
        if self.evidence.leaks:
            return _Ruling(Verdict.INVALID, Rule.UNIT_IN_TWO_ARMS)
        if self.srm >= SRM_BLOCKS:
            return _Ruling(Verdict.INVALID, Rule.SHARES_DIFFER)
        if self.evidence.delay_e >= DELAY_BLOCKS:
            return _Ruling(Verdict.INVALID, Rule.DELAYS_DIFFER)
        return None

    def _harm(self) -> _Ruling | None:
        if self.ramp is not None and self.ramp >= RAMP_E:
            worst = max(self.goals, key=lambda goal: _ramp_e(self.design, goal, self.guardrails))
            shares = _of_arm(self.guardrails, worst.arm)
            by_goal = not shares or _goal_harm(self.design, worst) * len(shares) >= max(shares)
            rule = Rule.GOAL_HARM if by_goal else Rule.GUARDRAIL_HARM
            return _Ruling(Verdict.ROLL_BACK, rule, worst.arm)
        if self.design.mode is Mode.RAMP or self._by_blocks_too_few():
            return None
        for goal in self.goals:
            enough = _exposed(self.design, self.evidence, goal.arm) >= LEAST_HARMED
            enough = enough or _exact(self.design)
            if goal.effect is not None and enough and self._worse(goal):
                return _Ruling(Verdict.ROLL_BACK, self._worse_by(), goal.arm)
        return None

    def _worse_by(self) -> Rule:
        if self.design.mode is not Mode.SHADOW:
            return Rule.GOAL_HARM
        return Rule.PAIRS_WORSE if self.design.metric == "correct" else Rule.LOSS_LARGER

    def _shown_by_pairs(self) -> int:
        """Say who wins by right and wrong pairs: 1 the treatment, -1 the control, 0 not shown.

        Not by the effect's interval: that weighs requests, and its side may be another one where
        few units ask much.
        """
        won, lost = _won_and_lost(self.evidence)
        if paired_e_value(won, lost) < 1.0 / alpha_each(self.design):
            return 0
        return 1 if won > lost else -1

    def _worse(self, goal: GoalReport) -> bool:
        if _exact(self.design):
            return self._shown_by_pairs() < 0
        d = direction(self.design)
        against = goal.upper if d > 0 else goal.lower
        return against is not None and d * against < -self.design.margin

    def _gain(self) -> _Ruling | None:
        if self.design.mode is Mode.RAMP or self._by_blocks_too_few():
            return None
        for goal in self.goals:
            if goal.effect is None or not self._better(goal) or self._too_few(goal.arm):
                continue
            if self.design.mode is Mode.SHADOW:
                return self._by_pairs(goal.arm)
            if goal.mature_effect is None:
                outside = self.design.mode is Mode.OUTSIDE
                rule = Rule.OUTCOMES_MISSING if outside else Rule.IMMATURE
                return _Ruling(Verdict.INVALID, rule, goal.arm)
            if direction(self.design) * goal.mature_effect <= -self.design.margin:
                return _Ruling(Verdict.CONTINUE, Rule.MATURE_DISAGREES, goal.arm)
            rule = Rule.GOAL_NOT_WORSE if self.design.margin > 0 else Rule.GOAL_BETTER
            return _Ruling(Verdict.PROMOTE, rule, goal.arm)
        return None

    def _by_pairs(self, arm: str) -> _Ruling:
        shadow = shadow_report(self.design, self.evidence.arms)
        if shadow is not None and shadow.unanswered > MOST_UNANSWERED:
            # dropped ones are a random part; what it failed at may be what it is wrong about
            return _Ruling(Verdict.INVALID, Rule.PAIRS_MISSING, arm)
        rule = Rule.PAIRS_BETTER if self.design.metric == "correct" else Rule.LOSS_SMALLER
        return _Ruling(Verdict.PROMOTE, rule, arm)

    def _better(self, goal: GoalReport) -> bool:
        if self.design.ends_after_s is not None:
            compared = comparison(self.design, self.evidence, goal.arm)
            if compared is None or self.bound is None:
                return False
            effect, se, _ = compared
            return (direction(self.design) * effect + self.design.margin) / se >= self.bound
        if self.design.margin > 0:
            return goal.e_value >= 1.0 / alpha_each(self.design)
        if _exact(self.design):
            return self._shown_by_pairs() > 0
        d = direction(self.design)
        bound = goal.lower if d > 0 else goal.upper
        return bound is not None and d * bound > 0

    def _too_few(self, arm: str) -> Rule | None:
        if _exact(self.design):
            return None
        if self.design.period_s:
            return None  # its periods are counted, not its units
        if self.design.mode is Mode.SHADOW:
            return Rule.TOO_FEW if self.evidence.difference.n < LEAST_UNITS else None
        control, treatment = self._labelled(self.design.names[0]), self._labelled(arm)
        if control.n + treatment.n < LEAST_UNITS:
            return Rule.TOO_FEW
        if len(parts_of(self.design.metric)) == 2:
            return None  # a ratio has no events of two kinds
        n = labels(control) + labels(treatment)
        both = control + treatment
        # of a user's own metric it is known by its values whether it is one of yes and no
        if self.design.metric == "correct" or both.q2 == both.q * 1_000_000:
            right = (control.q + treatment.q) // 1_000_000
            if min(right, n - right) < LEAST_EVENTS:
                return Rule.TOO_FEW_EVENTS
        return None

    def _labelled(self, arm: str) -> PairSums:
        return self.evidence.arms.get(arm, Counted()).sums(self.design.metric)

    def _by_blocks_too_few(self) -> bool:
        if self.design.period_s:
            return not enough_clusters(self.evidence.periods, self.evidence.difference)
        return _blocks_too_few(self.design, self.evidence)

    def _time(self) -> _Ruling | None:
        ends = self.design.ends_after_s
        if ends is not None and self.evidence.elapsed_us >= ends * 1_000_000:
            return _Ruling(Verdict.INCONCLUSIVE_STOP, Rule.TIME_IS_UP)
        return None

    def _why_not_yet(self) -> Rule:
        if not any(arm.units for arm in self.evidence.arms.values()):
            return Rule.NO_DATA
        if self.design.mode is Mode.SHADOW and self.evidence.mature_after_h is None:
            return Rule.IMMATURE_PAIRS
        if self._by_blocks_too_few():
            return Rule.TOO_FEW_PERIODS if self.design.period_s else Rule.TOO_FEW_BLOCKS
        few = [self._too_few(goal.arm) for goal in self.goals]
        told = any(goal.effect is not None for goal in self.goals)
        otherwise = Rule.NOT_YET if told else Rule.NOTHING_TO_COMPARE
        return next((rule for rule in few if rule is not None), otherwise)

    def expected_days(self) -> float | None:
        """Days until today's effect, if it stays, would decide; None where that cannot be said."""
        elapsed = self.evidence.elapsed_us / DAY_US
        wanted = []
        # the units of a list are all there: no day brings more of them
        for goal in self.goals if elapsed >= _LEAST_DAYS and not self.design.listed else ():
            compared = comparison(self.design, self.evidence, goal.arm)
            if compared is None:
                continue
            effect, se, known = compared
            signed = direction(self.design) * effect + self.design.margin
            if signed == 0.0 or se == 0.0 or known <= 0.0:
                continue
            n = _deciding_n(signed, se * sqrt(known), self.design)
            wanted.append((n / known - 1.0) * elapsed)
        days = min(wanted, default=None)
        if self.design.ends_after_s is not None:
            left = self.design.ends_after_s / DAY_S - elapsed
            days = left if days is None else min(days, left)
        return None if days is None or days > _MOST_DAYS else max(0.0, days)


def _blocks_too_few(design: Design, evidence: Evidence) -> bool:
    """Tell whether blocks of time are the unit, and the arms have had too few of them."""
    blocks = sum(evidence.arms.get(name, Counted()).units for name in design.names)
    return design.unit == "block" and blocks < LEAST_BLOCKS


def _exact(design: Design) -> bool:
    """Tell whether right and wrong pairs decide, exactly at any number of them."""
    alone = design.margin == 0 and not design.period_s
    return design.mode is Mode.SHADOW and design.metric == "correct" and alone


def _won_and_lost(evidence: Evidence) -> tuple[int, int]:
    """Count the pairs that the treatment won (right alone, or by unit oftener), and lost."""
    return evidence.pairs.get("treatment", 0), evidence.pairs.get("control", 0)


def _exposed(design: Design, evidence: Evidence, arm: str) -> int:
    if design.mode is Mode.SHADOW:
        return evidence.each.n if design.period_s else evidence.difference.n
    return evidence.arms.get(arm, Counted()).units


def _deciding_n(effect: float, sd: float, design: Design) -> float:
    alpha, star = alpha_each(design), n_star(design)

    def decides(n: float) -> bool:
        found = asymptotic_cs(effect, sd / sqrt(n), n, alpha=alpha, n_star=star)
        return found.half_width < abs(effect)

    # the half-width only falls, whatever alpha is
    place = bisect_left(_TRIED, True, key=decides)
    return _TRIED[place] if place < len(_TRIED) else inf


def comparison(design: Design, evidence: Evidence, arm: str) -> tuple[float, float, float] | None:
    """Give effect, standard error and information of an arm against the control."""
    if design.mode is Mode.SHADOW:
        return paired_difference(design, evidence)
    information = evidence.goal.get(arm, Contribution()).information
    if information.effect is None or information.se is None:
        return None
    return information.effect, information.se, information.n


def _goal_report(design: Design, evidence: Evidence, arm: str, before: Look | None) -> GoalReport:
    compared = comparison(design, evidence, arm)
    if compared is None:
        return GoalReport(arm=arm, metric=design.metric)
    effect, se, n = compared
    alpha = alpha_each(design)
    d = direction(design)
    signed, star = d * effect + design.margin, n_star(design)
    found = asymptotic_cs(effect, se, n, alpha=alpha, n_star=star)
    harm_alpha = RAMP_ALPHA if design.mode is Mode.RAMP else alpha
    harm = asymptotic_cs(signed, se, n, alpha=harm_alpha, n_star=star, side="less")
    e = found.e_value
    if design.margin > 0:
        e = asymptotic_cs(signed, se, n, alpha=alpha, n_star=star, side="greater").e_value
    elif _exact(design):
        e = paired_e_value(*_won_and_lost(evidence))
    p_value = min(1.0, 1.0 / max(e, 1e-300))
    if design.period_s and not enough_clusters(evidence.periods, evidence.difference):
        p_value = 1.0  # it is kept for all later looks, and no p yet
    if _blocks_too_few(design, evidence):
        p_value = 1.0
    mature = evidence.mature.get(arm, Contribution()).information.effect
    exposed = _exposed(design, evidence, arm)
    return GoalReport(
        arm=arm,
        metric=design.metric,
        effect=effect,
        lower=finite(found.lower),
        upper=finite(found.upper),
        e_value=min(e, 1e300),
        p_value=smallest_p(design.metric, arm, p_value, before),
        harm_e=min(harm.e_value, 1e300) if exposed >= LEAST_HARMED else 1.0,
        information=n,
        mature_effect=mature,
        chance_to_win=chance_to_win(d * effect, se).chance_to_win,
    )


def _ramp_e(design: Design, goal: GoalReport, guardrails: Mapping[str, float]) -> float:
    return ramp_e_value(_goal_harm(design, goal), _of_arm(guardrails, goal.arm))


def _goal_harm(design: Design, goal: GoalReport) -> float:
    """Give a ramp's evidence of harm to the goal; outside of ramps intervals decide on it."""
    return goal.harm_e if design.mode is Mode.RAMP else 1.0


def _of_arm(guardrails: Mapping[str, float], arm: str) -> list[float]:
    return [e for name, e in guardrails.items() if name.startswith(f"{arm}:")]


def _chi_square(design: Design, evidence: Evidence) -> float | None:
    """Give the usual chi-square p-value of the newest phase's shares: shown, never used."""
    if not evidence.first:
        return None
    phase = max(evidence.first)
    weights = np.asarray(evidence.weights.get(phase, ()), np.float64)
    counts = np.array([evidence.first[phase].get(name, 0) for name in design.names], np.float64)
    used = weights > 0
    if used.sum() < 2 or counts[used].sum() < 10:
        return None
    expected = weights[used] / weights[used].sum() * counts[used].sum()
    statistic = float(np.sum((counts[used] - expected) ** 2 / expected))
    return float(chdtrc(used.sum() - 1, statistic))


class _Spent(NamedTuple):
    """The looks that alpha was spent on: fractions of the time, and what each look knew."""

    fractions: tuple[float, ...] = ()
    information: tuple[float, ...] = ()
    bound: float | None = None

    @classmethod
    def of(cls, before: Look | None) -> "_Spent":
        facts = {} if before is None else before.facts
        return cls(
            tuple(facts.get("fractions", ())),
            tuple(facts.get("information", ())),
            facts.get("bound"),
        )

    @property
    def facts(self) -> dict[str, Any]:
        return dict(self._asdict()) if self.fractions else {}


def _spend(design: Design, evidence: Evidence, goals: list[GoalReport], noted: _Spent) -> _Spent:
    """Spend alpha on this look, where it is new enough and knows more than the last one did."""
    if design.ends_after_s is None or not goals:
        return noted
    known = goals[0].information
    now = min(1.0, evidence.elapsed_us / (design.ends_after_s * 1_000_000))
    if now < 1.0 and design.planned_n:
        now = min(1.0, known / design.planned_n)
    last, knew = (noted.fractions or (0.0,))[-1], (noted.information or (0.0,))[-1]
    if known <= knew or not (now > last + _NEW_FRACTION or now >= 1.0 > last):
        return noted
    fractions, information = (*noted.fractions, now), (*noted.information, known)
    bounds = lan_demets_bounds(fractions, alpha=alpha_each(design), information=information)
    return _Spent(fractions, information, finite(float(bounds[-1])))
